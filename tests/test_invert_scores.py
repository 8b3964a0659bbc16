"""invert_scores: what it recovers, what it says of the rest, what it refuses."""
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import designs
import levinv
import limits
import oracles
from levinv import invert_scores, leverage_scores


def problem(n=30, d=3, seed=0):
    """A, b, x, slack, scores of a random instance."""
    rng = np.random.default_rng(seed)
    A, b, x = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
    slack = A @ x - b
    return A, b, x, slack, oracles.scores(A / slack[:, None])


def assert_recovered(result, x, rtol=1e-10):
    assert result.success, result.message
    assert result.status == 0
    error = result.x - x
    error -= result.null_space @ (result.null_space.T @ error)
    assert np.linalg.norm(error) <= rtol * np.linalg.norm(x)


# recovery

@pytest.mark.parametrize("design", designs.DESIGNS.values(), ids=designs.DESIGNS)
@pytest.mark.parametrize("n, d", [(9, 3), (40, 8), (100, 20)])
def test_unknown_signs(design, n, d):
    recovered = determined = 0
    for seed in range(4):
        rng = np.random.default_rng([seed, n])
        A, b, x = design(n, d, rng), rng.standard_normal(n), rng.standard_normal(d)
        result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=seed)
        if result.evidence["signs_determined"] and not result.null_space.shape[1]:
            determined += 1
            recovered += result.unique and np.linalg.norm(result.x - x) <= 1e-5 * np.linalg.norm(x)
    assert recovered == determined
    assert determined or design is designs.one_hot


@pytest.mark.parametrize("known", ["all positive", "vector", "integers"])
def test_known_signs(known):
    A, b, x, slack, _ = problem()
    if known == "all positive":
        b = A @ x - np.abs(slack)
        slack = np.abs(slack)
    signs = {"all positive": 1, "vector": np.sign(slack),
             "integers": np.sign(slack).astype(int)}[known]
    result = invert_scores(A, b, oracles.scores(A / slack[:, None]), signs=signs)
    assert_recovered(result, x)
    assert result.unique
    assert_array_equal(result.signs, np.sign(slack))


def test_all_negative():
    A, b, x, slack, c = problem()
    assert_recovered(invert_scores(A, A @ x + np.abs(slack), c, signs=-1), x)


def test_wrong_signs_are_said():
    A, b, _, slack, c = problem()
    result = invert_scores(A, b, c, signs=-np.sign(slack))
    assert not result.success
    assert not result.unique
    assert "signs" in result.message


def test_signs_decide_where_scores_do_not():
    # n = d + 1: every sign vector has its x.
    A, b, x, slack, c = problem(4, 3)
    unknown = invert_scores(A, b, c, rng=0)
    assert unknown.success
    assert not unknown.unique
    assert not unknown.evidence["signs_determined"]
    known = invert_scores(A, b, c, signs=np.sign(slack))
    assert_recovered(known, x, rtol=1e-8)
    assert known.unique


def test_fields():
    A, b, x, slack, c = problem()
    result = invert_scores(A, b, c, rng=0)
    assert isinstance(result, levinv.InversionResult)
    assert_allclose(result.scores, c, rtol=0, atol=1e-13)
    assert_allclose(result.slack, slack, rtol=1e-10)
    assert_array_equal(result.signs, np.sign(slack))
    assert result.fun == pytest.approx(0.5 * np.sum((result.scores - c) ** 2))
    assert result.null_space.shape == (3, 0)
    assert result.standard_errors.shape == (3,)
    assert (result.standard_errors < 1e-12).all()
    assert result.nit > 0
    assert result.nfev > 0
    assert 0 < result.condition < 1e6


@pytest.mark.parametrize("scale_a, scale_b", [(1e-8, 1.0), (1e8, 1.0), (1.0, 1e-8), (1.0, 1e8)])
def test_units_do_not_matter(scale_a, scale_b):
    A, b, x, _, c = problem()
    result = invert_scores(A * scale_a, b * scale_b, c, rng=0)
    assert_recovered(result, x * scale_b / scale_a)


def test_units_of_columns_do_not_matter():
    A, b, x, _, c = problem()
    units = np.array([1e-5, 1.0, 1e6])
    assert_recovered(invert_scores(A * units, b, c, rng=0), x / units)


def test_row_order_does_not_matter(rng):
    A, b, x, _, c = problem()
    order = rng.permutation(len(b))
    assert_recovered(invert_scores(A[order], b[order], c[order], rng=0), x)


@pytest.mark.parametrize("convert", [np.asfortranarray, lambda a: a[::-1][::-1], np.ndarray.tolist])
def test_memory_layout_does_not_matter(convert):
    A, b, x, _, c = problem()
    assert_recovered(invert_scores(convert(A), b, c, rng=0), x)


def test_inputs_are_not_written_to():
    arrays = problem()
    A, b, x, slack, c = arrays
    for array in arrays:
        array.flags.writeable = False
    invert_scores(A, b, c, signs=np.sign(slack), x0=x, noise=np.full(len(b), 1e-6))


def test_deterministic_given_rng():
    A, b, _, _, c = problem(30, 8)
    first, second = (invert_scores(A, b, c, rng=7) for _ in range(2))
    assert_array_equal(first.x, second.x)
    generator = invert_scores(A, b, c, rng=np.random.default_rng(7))
    assert_array_equal(first.x, generator.x)


def test_many_rows_without_a_matrix_of_their_number():
    rng = np.random.default_rng(5)
    n, d = 20_000, 6
    A, x = rng.standard_normal((n, d)), rng.standard_normal(d)
    slack = rng.exponential(size=n) * rng.choice([-1.0, 1.0], n)
    c = leverage_scores(A, slack=slack)
    result = invert_scores(A, A @ x - slack, c, rng=0)
    assert_recovered(result, x, rtol=1e-9)
    assert result.evidence["scaling"]["products"] > 0


@pytest.mark.parametrize("seed", range(8))
def test_badly_scaled_sparse_rows(seed):
    # As linear programs have them: rows and columns over six orders of magnitude, three entries a
    # row.
    rng = np.random.default_rng(seed)
    n, d = 70, 35
    A = np.zeros((n, d))
    for row in A:
        row[rng.choice(d, 3, replace=False)] = rng.choice([-1.0, 1.0, 2.0], 3)
    columns, rows = 10.0 ** rng.uniform(-3, 3, d), 10.0 ** rng.uniform(-3, 3, n)
    A *= rows[:, None] * columns
    x = rng.standard_normal(d) / columns
    slack = rng.exponential(size=n) * rows
    b = A @ x - slack
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), signs=1)
    assert result.success, result.message
    error = columns * (result.x - x)
    basis = np.linalg.qr(columns[:, None] * result.null_space)[0]
    error -= basis @ (basis.T @ error)
    assert np.linalg.norm(error) <= 1e-6 * np.linalg.norm(columns * x)


# warm start

def test_warm_start_costs_a_few_evaluations():
    A, b, x, _, c = problem(60, 5)
    result = invert_scores(A, b, c, x0=x + 1e-6)
    assert_recovered(result, x)
    assert result.nfev <= 8
    assert "scaling" not in result.evidence


def test_useless_warm_start_does_no_harm():
    A, b, x, _, c = problem(60, 5)
    assert_recovered(invert_scores(A, b, c, x0=-30 * x, rng=0), x)


# what x can do unseen

def test_response_in_the_range():
    A, _, x, _, _ = problem()
    centre = np.array([1.0, 2.0, 3.0])
    c = oracles.scores(A / (A @ (x - centre))[:, None])
    result = invert_scores(A, A @ centre, c, rng=0)
    assert_recovered(result, x)
    assert not result.unique
    assert result.null_space.shape == (3, 1)
    direction = (x - centre) / np.linalg.norm(x - centre)
    assert abs(result.null_space[:, 0] @ direction) == pytest.approx(1.0)
    assert np.isinf(result.standard_errors).all()


def test_zero_response():
    A, _, x, _, _ = problem()
    result = invert_scores(A, np.zeros(30), oracles.scores(A / (A @ x)[:, None]), rng=0)
    assert_recovered(result, x)
    assert result.null_space.shape == (3, 1)


def test_two_components_one_with_its_response_in_the_range():
    rng = np.random.default_rng(0)
    A = np.zeros((9, 4))
    A[:5, :2], A[5:, 2:] = rng.standard_normal((5, 2)), rng.standard_normal((4, 2))
    b, x = rng.standard_normal(9), rng.standard_normal(4)
    b[5:] = 0.0
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=0)
    assert_recovered(result, x)
    assert_allclose(result.x[:2], x[:2], rtol=1e-10)
    assert_array_equal(np.isinf(result.standard_errors), [False, False, True, True])
    assert result.evidence["components"] == 2


def test_coloop():
    A, b, x, slack, _ = problem(12, 3)
    A = np.block([[A, np.zeros((12, 1))], [np.array([[1.0, 2.0, 3.0, 4.0]])]])
    b, x = np.append(b, 0.5), np.append(x, 2.0)
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=0)
    assert_recovered(result, x)
    assert_allclose(result.null_space.ravel() / result.null_space[3], [0, 0, 0, 1], atol=1e-12)
    assert_allclose(result.x[:3], x[:3], rtol=1e-10)
    assert_array_equal(np.isinf(result.standard_errors), [False, False, False, True])
    assert_array_equal(result.evidence["coloops"], [12])


@pytest.mark.parametrize("signs, expected", [(None, 1.0), (1, 1.0), (-1, -1.0)])
def test_nothing_but_coloops(signs, expected):
    A, b, _, _, _ = problem(3, 3)
    result = invert_scores(A, b, np.ones(3), signs=signs)
    assert result.success
    assert result.null_space.shape == (3, 3)
    assert_allclose(result.slack, expected)


def test_rank_deficient():
    A, b, x, _, c = problem()
    A = np.column_stack([A, A @ [1.0, 1.0, 1.0]])
    result = invert_scores(A, b, c, rng=0)
    assert_recovered(result, np.append(x, 0.0))
    assert_allclose(A @ result.null_space, 0.0, atol=1e-13)
    assert result.null_space.shape == (4, 1)
    assert not result.unique


def test_zero_rows():
    A, b, x, slack, _ = problem()
    A[[4, 9]] = 0.0
    result = invert_scores(A, b, leverage_scores(A, slack=slack), rng=0)
    assert_recovered(result, x)
    assert_array_equal(result.evidence["loops"], [4, 9])


@pytest.mark.parametrize("zeros", [[5], [2, 7], [0, 1, 2]])
@pytest.mark.parametrize("known", [False, True])
def test_zero_slack(zeros, known):
    A, b, x, slack, _ = problem()
    b[zeros] = (A @ x)[zeros]
    slack[zeros] = 0.0
    signs = np.where(slack < 0, -1, 1) if known else None
    result = invert_scores(A, b, leverage_scores(A, slack=slack), signs=signs, rng=0)
    assert_recovered(result, x)
    assert_array_equal(result.evidence["zero_slack"], zeros)
    assert_array_equal(result.slack[zeros], 0.0)


def test_rows_spanned_by_rows_of_zero_slack():
    A, b, x, slack, _ = problem()
    A[5] = 2 * A[0] - A[1]
    slack = A @ x - b
    b[[0, 1]], slack[[0, 1]] = (A @ x)[[0, 1]], 0.0
    result = invert_scores(A, b, leverage_scores(A, slack=slack), rng=0)
    assert_recovered(result, x)


# noise

@pytest.mark.parametrize("decimals", [8, 6, 4, 3])
def test_rounded_scores(decimals):
    A, b, x, _, c = problem(100, 5)
    noise = 10.0 ** -decimals / np.sqrt(12)
    result = invert_scores(A, b, c.round(decimals), noise=noise, rng=0)
    assert result.success, result.message
    bound = limits.bound_at(A, b, x, noise)
    assert_allclose(result.standard_errors, bound, rtol=0.1)
    assert np.linalg.norm(result.x - x) <= 3 * np.linalg.norm(bound)


def test_noise_per_row(rng):
    A, b, x, _, c = problem(100, 5)
    noise = np.where(np.arange(100) < 50, 1e-4, 1e-7)
    result = invert_scores(A, b, np.clip(c + noise * rng.standard_normal(100), 0, 1), noise=noise,
                           rng=0)
    assert result.success, result.message
    assert np.linalg.norm(result.x - x) <= 4 * np.linalg.norm(result.standard_errors)
    even = invert_scores(A, b, c, noise=1e-4, rng=0)
    assert (result.standard_errors < even.standard_errors).all()


def test_noise_that_does_not_explain_the_residual():
    A, b, _, _, c = problem(100, 5)
    result = invert_scores(A, b, c.round(3), noise=1e-8, rng=0)
    assert not result.success
    assert not result.unique
    assert np.isfinite(result.x).all()


def test_standard_errors_say_how_far_estimates_scatter(rng):
    A, b, x, _, c = problem(60, 4)
    deviations = []
    for _ in range(40):
        result = invert_scores(A, b, np.clip(c + 1e-6 * rng.standard_normal(60), 0, 1), noise=1e-6,
                               x0=x)
        deviations.append((result.x - x) / result.standard_errors)
    scatter = np.sqrt(np.mean(np.square(deviations)))
    assert 0.8 < scatter < 1.2


# no solution

def assert_refused(result, *words):
    assert not result.success
    assert not result.unique
    assert np.isfinite(result.x).all()
    for word in words:
        assert word in result.message


def test_scores_that_do_not_sum_to_the_rank():
    A, b, _, _, c = problem()
    result = invert_scores(A, b, c * 1.001)
    assert_refused(result, "sum to the rank 3", "noise")
    assert result.status == 1


def test_scores_of_no_x():
    A, b, _, _, c = problem()
    c[0] += 0.01
    c[1] += 0.02
    c[np.argmax(c)] -= 0.03
    assert_refused(invert_scores(A, b, c, rng=0), "signs")


@pytest.mark.parametrize("first", [0.7, 0.5])
def test_scores_outside_the_base_polytope_and_on_its_boundary(first):
    A, b, _, _, _ = problem()
    A[1] = 2 * A[0]                                     # parallel: together less than 1
    c = np.full(30, (3 - 2 * first) / 28)
    c[:2] = first
    result = invert_scores(A, b, c, rng=0)
    assert_refused(result, "2 rows (0, 1)", "rank 1")
    assert result.status == 1


def test_ones_in_dependent_rows():
    A, b, _, _, _ = problem()
    A[1] = -A[0]
    c = np.full(30, 1 / 28)
    c[:2] = 1.0
    assert_refused(invert_scores(A, b, c, rng=0), "dependent")


def test_score_of_a_zero_row():
    A, b, _, slack, _ = problem()
    A[4] = 0.0
    c = leverage_scores(A, slack=slack)
    c[4] = 0.1
    assert_refused(invert_scores(A, b, c, rng=0), "row 4")


def test_score_of_a_coloop():
    result = invert_scores(np.eye(3), np.zeros(3), [1.0, 1.0, 0.5])
    assert_refused(result, "row 2")


def test_iteration_limit_is_said():
    A, b, _, _, c = problem()
    assert_refused(invert_scores(A, b, c, maxiter=1, rng=0), "maxiter = 1")


# callback

def test_callback_with_intermediate_result():
    A, b, _, _, c = problem(40, 6)
    seen = []

    def callback(intermediate_result):
        seen.append(intermediate_result)

    result = invert_scores(A, b, c, callback=callback, rng=0)
    assert [r.nit for r in seen] == list(range(1, result.nit + 1))
    assert {r.stage for r in seen} >= {"scaling", "signs"}
    assert all(np.isfinite(r.error) for r in seen)


def test_plain_callback_receives_x():
    A, b, x, _, c = problem(40, 6)
    seen = []
    invert_scores(A, b, c.round(5), noise=1e-5 / 12 ** 0.5, callback=lambda xk: seen.append(xk),
                  rng=0)
    assert seen
    assert all(xk.shape == x.shape for xk in seen)


@pytest.mark.parametrize("after", [1, 5, 9])
def test_callback_stops(after):
    A, b, _, _, c = problem(40, 6)

    def callback(intermediate_result):
        if intermediate_result.nit >= after:
            raise StopIteration

    result = invert_scores(A, b, c, callback=callback, rng=0)
    assert result.nit == after
    assert result.status == 4
    assert_refused(result, "callback")


def test_errors_in_the_callback_pass_through():
    A, b, _, _, c = problem()

    def callback(intermediate_result):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        invert_scores(A, b, c, callback=callback)


# refusals

BAD = {
    "NaN in A": ({"A": np.full((30, 3), np.nan)}, ValueError, "A must be finite"),
    "inf in b": ({"b": np.full(30, np.inf)}, ValueError, "b must be finite"),
    "NaN in scores": ({"scores": np.full(30, np.nan)}, ValueError, "scores must be finite"),
    "NaN in x0": ({"x0": np.full(3, np.nan)}, ValueError, "x0 must be finite"),
    "NaN in noise": ({"noise": np.nan}, ValueError, "noise must be"),
    "NaN in signs": ({"signs": np.full(30, np.nan)}, ValueError, "signs must be"),
    "one-dimensional A": ({"A": np.ones(30)}, ValueError, "A must be a two-dimensional"),
    "three-dimensional A": ({"A": np.ones((2, 30, 3))}, ValueError, "A must be a two-dimensional"),
    "n < d": ({"A": np.ones((3, 4)), "b": np.ones(3), "scores": np.ones(3)}, ValueError,
              "at least as many rows"),
    "short b": ({"b": np.ones(29)}, ValueError, "b must have length 30"),
    "long scores": ({"scores": np.ones(31)}, ValueError, "scores must have length 30"),
    "matrix for scores": ({"scores": np.ones((30, 1))}, ValueError,
                          "scores must be a one-dimensional"),
    "wrong x0": ({"x0": np.ones(4)}, ValueError, "x0 must have length 3"),
    "wrong noise": ({"noise": np.ones(4)}, ValueError, "noise must have length 30"),
    "wrong signs": ({"signs": np.ones(4)}, ValueError, "signs must have length 30"),
    "complex A": ({"A": np.ones((30, 3)) * 1j}, TypeError, "A must hold real"),
    "object b": ({"b": np.array([None] * 30)}, TypeError, "b must hold real"),
    "strings": ({"scores": ["0.1"] * 30}, TypeError, "scores must hold real"),
    "empty": ({"A": np.ones((0, 0)), "b": [], "scores": []}, ValueError, "A must not be empty"),
    "scores above 1": ({"scores": np.full(30, 1.1)}, ValueError, r"scores must lie in \[0, 1\]"),
    "scores below 0": ({"scores": np.full(30, -0.1)}, ValueError, r"scores must lie in \[0, 1\]"),
    "method": ({"method": "magic"}, ValueError, "method must be one of"),
    "option": ({"options": {"magic": 1}}, ValueError, "unknown key 'magic'"),
    "options": ({"options": 3}, TypeError, "options must be a dict"),
    "restarts": ({"options": {"restarts": 0}}, ValueError, "restarts"),
    "maxtime": ({"options": {"maxtime": 0}}, ValueError, "maxtime"),
    "signs 0": ({"signs": 0}, ValueError, r"signs must be \+1 or -1"),
    "signs 2": ({"signs": np.full(30, 2)}, ValueError, r"signs must be \+1 or -1"),
    "ridge": ({"ridge": 1.0}, ValueError, "ridge must be 0"),
    "negative noise": ({"noise": -1.0}, ValueError, "noise must be above 0"),
    "zero noise in a row": ({"noise": np.zeros(30)}, ValueError, "noise must be above 0"),
    "tol": ({"tol": 0.0}, ValueError, "tol must be above 0"),
    "tol as text": ({"tol": "small"}, TypeError, "tol must be a real number"),
    "maxiter": ({"maxiter": 0}, ValueError, "maxiter must be at least 1"),
    "fractional maxiter": ({"maxiter": 1.5}, TypeError, "maxiter must be an integer"),
    "callback": ({"callback": 3}, TypeError, "callback must be callable"),
    "workers": ({"workers": 0}, ValueError, "workers must be at least 1"),
    "rng": ({"rng": -1}, ValueError, "rng"),
    "rng as text": ({"rng": "seed"}, TypeError, "rng"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    A, b, _, _, c = problem()
    change, error, message = BAD[case]
    with pytest.raises(error, match=message):
        invert_scores(**({"A": A, "b": b, "scores": c} | change))


def test_scores_a_little_outside_are_clipped():
    A, b, x, slack, _ = problem()
    A[4] = 0.0
    c = leverage_scores(A, slack=slack)
    c[4] = -1e-9
    assert_recovered(invert_scores(A, b, c, rng=0), x)
    noisy = np.where(np.arange(30) == 4, -3e-4, c)
    assert invert_scores(A, b, noisy, noise=1e-4, rng=0).success
