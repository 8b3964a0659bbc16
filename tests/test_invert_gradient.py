"""invert_gradient: recovery, what has no solution, the promises of its methods, the door."""
import itertools

import numpy as np
import pytest
import scipy.linalg
from numpy.testing import assert_allclose, assert_array_equal

from levinv import (
    GradientLoss,
    InversionResult,
    JeffreysPenalty,
    VolumetricBarrier,
    invert_gradient,
)
from levinv._conjugate_gradients import conjugate_gradients
from levinv.forward.barrier import FullRankMap
from levinv.inverse.barrier_gradient import assembly, newton, subsampled
from levinv.inverse.barrier_gradient import feasibility as cell
from levinv.inverse.barrier_gradient.problem import Problem, evaluate
from levinv.inverse.result import Progress
from levinv.storage import DenseRows
from levinv.weighting import glm, power

METHODS = ("newton", "approximate-newton", "least-squares")
SQUARE = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
CONE = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])         # with b = 0: the quadrant


def polytope(n, d, seed):
    """A box cut by random halfspaces, and a point of it by hit-and-run."""
    rng = np.random.default_rng([seed, n])
    A = np.vstack([np.eye(d), -np.eye(d), rng.standard_normal((n - 2 * d, d))])
    b = -np.concatenate([np.ones(2 * d), np.sqrt(d) * np.abs(rng.standard_normal(n - 2 * d))])
    x = np.zeros(d)
    for _ in range(40):
        direction = rng.standard_normal(d)
        change = A @ direction / (A @ x - b)
        x = x + rng.uniform(-1 / change.max(), -1 / change.min()) * direction
    return A, b, x


def state_at(A, b, x, g):
    n = len(b)
    problem = Problem(FullRankMap(A, b), b, g, np.sign(A @ x - b), np.ones(n, bool), np.zeros(n),
                      1e-10, 100)
    return evaluate(problem, x, Progress(None, np.random.default_rng(0)))


# recovery

@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(6, 2), (60, 5), (200, 10), (600, 20), (2000, 30)])
def test_random_polytopes(shape, method):
    for seed in range(4 if shape[0] < 1000 else 2):
        A, b, x = polytope(*shape, seed)
        result = invert_gradient(A, b, VolumetricBarrier(A, b).grad(x), signs=1, method=method,
                                 rng=seed)
        assert result.success, result.message
        assert result.unique
        assert_allclose(result.x, x, rtol=0, atol=1e-8 * np.linalg.norm(x))
        if method == "newton":
            assert result.nit <= 15
            assert all(step.get("cg_iterations", 0) <= 25 for step in result.evidence["steps"])


@pytest.mark.parametrize("method", METHODS)
def test_golden(golden, method):
    signs, g = np.sign(golden["A"] @ golden["x"] - golden["b"]), golden["volumetric_gradient"]
    result = invert_gradient(golden["A"], golden["b"], g, signs=signs, method=method, rng=0)
    assert result.success, result.message
    assert_allclose(result.x, golden["x"], rtol=0, atol=1e-8 * np.linalg.norm(golden["x"]))
    assert_allclose(result.scores, golden["scores"], rtol=1e-6)
    assert_array_equal(result.signs, signs)
    assert_allclose(result.slack, golden["A"] @ result.x - golden["b"])


@pytest.mark.parametrize("method", METHODS)
def test_from_a_start(method):
    A, b, x = polytope(60, 5, 1)
    g = VolumetricBarrier(A, b).grad(x)
    by_start = invert_gradient(A, b, g, x0=0.5 * x, method=method, rng=0)
    assert by_start.success
    assert_allclose(by_start.x, x, atol=1e-8)
    warm = invert_gradient(A, b, g, x0=x * (1 + 1e-9), signs=1, method=method, rng=0)
    assert warm.success
    assert warm.nit <= 3


def test_every_cell_has_its_own_solution():
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(12, 2)), rng.normal(size=12)
    seen = []
    for x in rng.normal(size=(20, 2)):
        result = invert_gradient(A, b, VolumetricBarrier(A, b).grad(x), x0=x + 1e-12)
        assert result.success
        assert_allclose(result.x, x, atol=1e-8)
        signs = np.sign(A @ x - b)
        found = invert_gradient(A, b, [0.5, -0.5], signs=signs)
        if found.success:
            assert_array_equal(found.signs, signs)
            assert_allclose(VolumetricBarrier(A, b).grad(found.x), [0.5, -0.5], atol=1e-7)
            seen.append(found.x)
    assert len({tuple(x.round(6)) for x in seen}) > 2


def test_thin_and_graded_cells():
    """Slacks over eight orders of magnitude: the linear program alone finds no interior."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        A, x = rng.normal(size=(200, 10)), rng.normal(size=10)
        b = A @ x - 10.0 ** rng.uniform(-4, 4, size=200)
        result = invert_gradient(A, b, VolumetricBarrier(A, b).grad(x), signs=1)
        assert result.success, result.message
        assert_allclose(result.x, x, rtol=0, atol=1e-10)


def test_badly_scaled_columns():
    A, b, x = polytope(60, 5, 2)
    scales = 10.0 ** np.array([-80.0, -5.0, 0.0, 7.0, 90.0])
    result = invert_gradient(A * scales, b, VolumetricBarrier(A, b).grad(x) * scales, signs=1)
    assert result.success, result.message
    assert_allclose(result.x * scales, x, atol=1e-9)


def test_zero_rows_take_no_part():
    A, b, x = polytope(60, 5, 3)
    g = VolumetricBarrier(A, b).grad(x)
    result = invert_gradient(np.vstack([A, np.zeros((2, 5))]), np.append(b, [-1.0, 0.0]), g,
                             signs=1)
    assert result.success
    assert_allclose(result.x, x, atol=1e-9)
    empty = invert_gradient(np.vstack([A, np.zeros(5)]), np.append(b, 1.0), g, signs=1)
    assert empty.status == 2
    assert "row 60 of A is zero" in empty.message


# no solution

@pytest.mark.parametrize("method", METHODS)
def test_empty_cell(method):
    result = invert_gradient([[1.0], [-1.0]], [1.0, 1.0], [0.0], signs=1, method=method)
    assert (result.success, result.unique, result.status) == (False, False, 2)
    assert "cell is empty" in result.message
    assert not np.isnan(np.concatenate([result.x, result.scores, result.standard_errors])).any()
    point = invert_gradient([[1.0], [-1.0]], [1.0, -1.0], [0.0], signs=1, method=method)
    assert point.status == 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("g", [[1.0, -1.0], [0.0, 0.0], [0.0, -1.0], [1e-6, -1.0], [2.0, 3.0]])
def test_unbounded_cell_without_a_preimage(method, g):
    result = invert_gradient(CONE, np.zeros(3), g, signs=1, method=method, rng=0)
    assert (result.success, result.unique, result.status) == (False, False, 1)
    assert "unbounded" in result.message
    y = result.evidence["certificate"]
    assert (CONE @ y >= -1e-9).all()
    assert y @ g >= -1e-9
    assert np.isinf(result.standard_errors).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("g", [[-1.0, -1.0], [-1e-4, -1.0], [-30.0, -1e-3]])
def test_unbounded_cell_with_a_preimage(method, g):
    result = invert_gradient(CONE, np.zeros(3), g, signs=1, method=method, rng=0)
    assert result.success, result.message
    assert_allclose(VolumetricBarrier(CONE, np.zeros(3)).grad(result.x), g, rtol=1e-8)


def test_certificate_is_right_about_the_cone(rng):
    """Targets that a point has, and those moved against the cone."""
    for _ in range(20):
        d = int(rng.integers(1, 5))
        A = np.abs(rng.normal(size=(d + 3, d)))              # the positive orthant is in the cone
        A[:d] = np.eye(d)
        x = np.abs(rng.normal(size=d)) + 0.1
        g = VolumetricBarrier(A, np.zeros(d + 3)).grad(x)
        assert cell.certificate(DenseRows(A), np.ones(d + 3), g) is None
        y = cell.certificate(DenseRows(A), np.ones(d + 3), g + 2 * np.abs(g).sum() * np.eye(d)[0])
        assert (A @ y >= -1e-9).all()
    assert cell.certificate(DenseRows(SQUARE), np.ones(4), np.array([5.0, -3.0])) is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1e12, 1e100, 1e300])
def test_extreme_targets_end_without_nan(method, size):
    result = invert_gradient(SQUARE, -np.ones(4), [size, -1.0], signs=1, method=method, maxiter=60)
    for part in ("x", "scores", "slack", "standard_errors", "fun", "condition"):
        assert not np.isnan(result[part]).any()
    assert result.message
    if result.success:
        assert_allclose(VolumetricBarrier(SQUARE, -np.ones(4)).grad(result.x), [size, -1.0],
                        rtol=1e-3)


# the methods

def test_preconditioned_condition_number_is_at_most_3(rng):
    for n, d in ((6, 5), (30, 4), (100, 20)):
        A, b, x = rng.standard_cauchy((n, d)), rng.normal(size=n), rng.normal(size=d)
        state = state_at(A, b, x, np.zeros(d))
        values = scipy.linalg.eigh(state.hessian(), state.factor @ state.factor.T,
                                   eigvals_only=True)
        assert values[0] >= 1 - 1e-9
        assert values[-1] <= 3 + 1e-9
        right = rng.normal(size=d)
        z, _, iterations = conjugate_gradients(state.product, right.copy(), tolerance=1e-8,
                                               maxiter=60, precondition=state.precondition)
        assert iterations <= 25
        assert_allclose(state.hessian() @ z, right, rtol=0, atol=1e-6 * np.linalg.norm(right))


def test_conjugate_gradients_and_direct_solves_agree(monkeypatch):
    A, b, x = polytope(200, 10, 5)
    g = VolumetricBarrier(A, b).grad(x)
    found = []
    for largest in (0, 100):
        monkeypatch.setattr(newton, "DIRECT_DIMENSION", largest)
        result = invert_gradient(A, b, g, signs=1)
        assert all(("cg_iterations" in step) == (largest == 0) for step in result.evidence["steps"])
        found.append(result.x)
    assert_allclose(*found, atol=1e-10)


def test_subsampled_hessian_is_unbiased_and_definite():
    A, b, x = polytope(300, 4, 0)
    state = state_at(A, b, x, np.zeros(4))
    exact = state.hessian()
    rng = np.random.default_rng(0)
    samples = [subsampled.subsampled_hessian(state, 60, rng) for _ in range(600)]
    assert_allclose(np.mean([rows for _, rows in samples]), 60, atol=3)
    assert subsampled.spectral_error(np.mean([h for h, _ in samples], axis=0), exact) < 0.05
    assert all(np.linalg.eigvalsh(h)[0] > 0 for h, _ in samples)
    assert subsampled.probabilities(state, 60).sum() == pytest.approx(60, abs=1)
    everything, rows = subsampled.subsampled_hessian(state, 10 ** 9, rng)
    assert rows == 300
    assert_allclose(everything, exact, rtol=0, atol=1e-12)


def test_subsampled_error_falls_like_the_root_of_the_sample_size(rng):
    A = rng.normal(size=(20000, 5))
    state = state_at(A, -rng.uniform(1.0, 2.0, 20000), np.zeros(5), np.zeros(5))
    exact = state.hessian()
    errors = [np.mean([subsampled.spectral_error(subsampled.subsampled_hessian(state, size, rng)[0],
                                                 exact)
                       for _ in range(20)]) for size in (60, 240, 960)]
    assert 1.6 < errors[0] / errors[1] < 3.0                  # 2 for four times as many rows
    assert 1.6 < errors[1] / errors[2] < 3.0
    assert errors[2] < 2.5 * np.sqrt(5 * np.log(5) / 960)


def test_sample_size_is_an_option_and_reported():
    A, b, x = polytope(600, 5, 0)
    g = VolumetricBarrier(A, b).grad(x)

    def run(size):
        return invert_gradient(A, b, g, signs=1, method="approximate-newton", rng=0,
                               options={"sample_size": size})

    runs = [run(size) for size in (20, 100, 10 ** 6)]
    for result, size in zip(runs, (20, 100, 10 ** 6), strict=True):
        assert result.success
        assert result.evidence["sample_size"] == size
        assert len(result.evidence["steps"]) == result.nit
        assert all(step["rows"] <= 600 for step in result.evidence["steps"])
    errors = [result.evidence["spectral_error"] for result in runs]
    assert errors == sorted(errors, reverse=True)
    assert runs[0].nit > runs[2].nit
    assert_array_equal(run(20).x, runs[0].x)


def test_ridge_finds_a_stationary_point_of_the_loss():
    A, b, x = polytope(60, 5, 4)
    g = VolumetricBarrier(A, b).grad(x)
    for ridge in (1e-3, 0.3, np.linspace(0.0, 1.0, 60)):
        result = invert_gradient(A, b, g, signs=1, method="least-squares", ridge=ridge, tol=1e-8)
        loss = GradientLoss(A, b, g, ridge=ridge)
        assert result.success, result.message
        assert not result.unique
        assert result.fun == pytest.approx(loss.fun(result.x), rel=1e-9)
        assert result.fun < loss.fun(x)
        assert np.abs(loss.grad(result.x)).max() < 1e-5 * np.abs(loss.hess(result.x)).max()
        assert (A @ result.x > b).all()
        assert np.linalg.eigvalsh(loss.hess(result.x))[0] > 0


def test_ridge_on_an_unbounded_cell():
    """With a ridge there is a minimum though g has no preimage."""
    result = invert_gradient(CONE, np.zeros(3), [1.0, -1.0], signs=1, method="least-squares",
                             ridge=0.1)
    assert result.success, result.message
    assert (np.abs(GradientLoss(CONE, np.zeros(3), [1.0, -1.0], ridge=0.1).grad(result.x)).max()
            < 1e-7)


def test_least_squares_descends_from_a_given_start():
    A, b, x = polytope(60, 5, 6)
    loss = GradientLoss(A, b, VolumetricBarrier(A, b).grad(x))
    values = []
    result = invert_gradient(A, b, VolumetricBarrier(A, b).grad(x), x0=0.3 * x,
                             method="least-squares", callback=lambda x: values.append(loss.fun(x)))
    assert result.success
    assert values == sorted(values, reverse=True)


# what is reported

def test_standard_errors_are_those_of_rounding():
    A, b, x = polytope(60, 5, 7)
    g = VolumetricBarrier(A, b).grad(x)
    result = invert_gradient(A, b, g, signs=1)
    noise = 1e-7                                             # in place of ½ eps
    expected = result.standard_errors * noise / (0.5 * np.finfo(float).eps)
    rng = np.random.default_rng(0)
    noisy = g * (1 + noise * rng.standard_normal((200, 5)))
    moved = [invert_gradient(A, b, target, x0=result.x).x - result.x for target in noisy]
    assert_allclose(np.std(moved, axis=0), expected, rtol=0.2)
    assert np.linalg.norm(moved, axis=1).max() <= 5 * noise * result.condition * np.linalg.norm(x)


def test_large_problems_take_bounds_for_the_hessian(monkeypatch):
    A, b, x = polytope(60, 5, 7)
    g = VolumetricBarrier(A, b).grad(x)
    for method in METHODS:
        exact = invert_gradient(A, b, g, signs=1, method=method, rng=0)
        with monkeypatch.context() as patch:
            patch.setattr(assembly, "EXACT_FLOPS", 0.0)
            bounded = invert_gradient(A, b, g, signs=1, method=method, rng=0)
        assert bounded.success
        assert_allclose(bounded.x, x, atol=1e-8)
        ratio = bounded.standard_errors / exact.standard_errors
        assert (ratio > 1 / 3).all()
        assert (ratio < 9).all()


def test_result_and_callback():
    A, b, x = polytope(60, 5, 8)
    g = VolumetricBarrier(A, b).grad(x)
    seen = []

    def watch(intermediate_result):
        seen.append(intermediate_result)

    result = invert_gradient(A, b, g, signs=1, callback=watch)
    assert isinstance(result, InversionResult)
    assert result.nit == len(seen) == len(result.evidence["steps"])
    assert result.nfev >= result.nit
    assert all((A @ step.x > b).all() for step in seen)
    assert result.null_space.shape == (5, 0)
    assert result.fun == pytest.approx(0.0, abs=1e-18 * (g @ g))

    def stop(x):
        raise StopIteration

    for method in METHODS:
        stopped = invert_gradient(A, b, g, signs=1, method=method, callback=stop)
        assert (stopped.success, stopped.status, stopped.nit) == (False, 4, 1)
    short = invert_gradient(A, b, g, signs=1, maxiter=1)
    assert (short.success, short.status) == (False, 3)
    assert "maxiter = 1" in short.message


def test_threads_and_memory_layout_do_not_matter():
    A, b, x = polytope(600, 20, 0)
    g = VolumetricBarrier(A, b).grad(x)
    plain = invert_gradient(A, b, g, signs=1).x
    other = invert_gradient(np.asfortranarray(A), b, g, signs=np.ones(600, int), workers=2).x
    assert_allclose(other, plain, atol=1e-12)


# the door

@pytest.mark.parametrize("change, error, match", [
    ({"A": np.ones((4, 2))}, ValueError, "A must have full column rank"),
    ({"b": np.ones(3)}, ValueError, "b must have length 4"),
    ({"g": np.ones(3)}, ValueError, "g must have length 2"),
    ({"g": [np.nan, 0.0]}, ValueError, "g must be finite"),
    ({"signs": None}, ValueError, "signs or x0 must be given"),
    ({"signs": 2}, ValueError, "signs must be"),
    ({"signs": [1, 1, 0, 1]}, ValueError, r"signs must be \+1 or -1, got 0.0 at index 2"),
    ({"signs": [1, 1]}, ValueError, "signs must have length 4"),
    ({"x0": [2.0, 0.0]}, ValueError,
     "x0 must lie strictly inside the cell of signs, got slack -1 in row 1"),
    ({"x0": [1.0, 0.0], "signs": None}, ValueError,
     "strictly inside the cell, got slack 0 in row 1"),
    ({"x0": [0.0]}, ValueError, "x0 must have length 2"),
    ({"x0": [1e308, 1e308], "A": 10 * SQUARE}, ValueError, "x0 must not be so large"),
    ({"method": "bfgs"}, ValueError, "method must be one of"),
    ({"ridge": 1.0}, ValueError, "ridge must be 0 with method 'newton', got 1.0"),
    ({"ridge": -1.0, "method": "least-squares"}, ValueError, "ridge must be at least 0"),
    ({"tol": 0.0}, ValueError, "tol must be above 0"),
    ({"maxiter": 0}, ValueError, "maxiter must be at least 1"),
    ({"options": {"sample_size": 5}}, ValueError, "unknown key 'sample_size'"),
    ({"options": {"sample_size": 0}, "method": "approximate-newton"}, ValueError, "sample_size"),
    ({"rng": "x"}, (TypeError, ValueError), "rng must be"),
    ({"callback": 3}, TypeError, "callback must be callable"),
    ({"workers": 0}, ValueError, "workers must be at least 1"),
    ({"A": SQUARE * 1j}, TypeError, "A must hold real numbers"),
])
def test_refused(change, error, match):
    given = {"A": SQUARE, "b": -np.ones(4), "g": np.zeros(2), "signs": 1} | change
    with pytest.raises(error, match=match):
        invert_gradient(given.pop("A"), given.pop("b"), given.pop("g"), **given)


def test_inputs_are_not_written_to():
    A, b, x = polytope(60, 5, 9)
    g, signs, x0 = VolumetricBarrier(A, b).grad(x), np.ones(60), 0.5 * x
    for part in (A, b, g, signs, x0):
        part.setflags(write=False)
    for method in METHODS:
        assert invert_gradient(A, b, g, signs=signs, x0=x0, method=method, rng=0).success


# other weightings: Jeffreys' penalty

LOG_LINKS = ["poisson", ("gaussian", "log"), glm("tweedie", power=1.5), glm("tweedie", power=3.0)]
POWERS = [power(1.0), power(1.5), power(4.0), power(0.3), ("poisson", "identity"),
          "inverse-gaussian"]
NOT_CONVEX = ["binomial", ("binomial", "probit"), ("binomial", "cloglog"), ("binomial", "cauchit"),
              "negative-binomial"]


def regression(seed, intercept=False):
    """A, an x, an offset and prior weights."""
    rng = np.random.default_rng([seed, 7])
    d = int(rng.integers(1, 7))
    n = int(rng.integers(3 * d, 120))
    A = rng.normal(size=(n, d)) / np.sqrt(d)
    if intercept:
        A[:, 0] = 1.0
    return A, 1.5 * rng.normal(size=d), rng.normal(size=n), rng.uniform(0.5, 3.0, n)


def cell_of(A, seed):
    """An x, and b with slacks of both signs."""
    rng = np.random.default_rng([seed, 8])
    x = rng.normal(size=A.shape[1])
    slack = rng.exponential(size=len(A)) * rng.choice([-1.0, 1.0], len(A))
    return x, A @ x - slack, np.sign(slack)


@pytest.mark.parametrize("method", [None, "least-squares"])
@pytest.mark.parametrize("weighting", LOG_LINKS)
def test_exponential_weights_need_no_start(weighting, method):
    for seed in range(10):
        A, x, offset, prior = regression(seed)
        g = JeffreysPenalty(A, weighting=weighting, offset=offset, prior_weights=prior).grad(x)
        result = invert_gradient(A, None, g, weighting=weighting, offset=offset,
                                 prior_weights=prior, method=method)
        assert result.success, result.message
        assert result.unique
        assert_allclose(result.x, x, rtol=0, atol=1e-9)
        assert np.isfinite(result.standard_errors).all()


@pytest.mark.parametrize("method", ["newton", "least-squares"])
@pytest.mark.parametrize("weighting", LOG_LINKS)
def test_an_intercept_is_free_with_exponential_weights(weighting, method):
    for seed in range(10):
        A, x, offset, prior = regression(seed, intercept=True)
        penalty = JeffreysPenalty(A, weighting=weighting, offset=offset, prior_weights=prior)
        start = np.zeros(len(x))
        start[0] = 0.75
        result = invert_gradient(A, None, penalty.grad(x), weighting=weighting, offset=offset,
                                 prior_weights=prior, method=method, x0=start)
        assert result.success, result.message
        assert not result.unique
        assert_allclose(np.abs(result.null_space), np.eye(len(x))[:, :1], atol=1e-12)
        assert_allclose(result.x[1:], x[1:], rtol=0, atol=1e-9)
        assert result.x[0] == pytest.approx(0.75, abs=1e-9)
        assert np.isinf(result.standard_errors[0])
        assert np.isfinite(result.standard_errors[1:]).all()
        assert "null_space" in result.message


def test_each_component_may_have_a_free_direction(rng):
    """Dummies of two groups, and a row independent of all others."""
    A = np.zeros((21, 5))
    A[:10, 0] = A[10:20, 2] = 1.0
    A[:10, 1], A[10:20, 3] = rng.normal(size=(2, 10))
    A[20] = rng.normal(size=5)
    x = rng.normal(size=5)
    penalty = JeffreysPenalty(A, weighting="poisson")
    result = invert_gradient(A, None, penalty.grad(x), weighting="poisson")
    assert result.success, result.message
    assert result.null_space.shape == (5, 3)
    for direction in result.null_space.T:
        assert_allclose(penalty.hessp(x, direction), 0.0, atol=1e-12)
    moved = result.x - x
    assert_allclose(moved, result.null_space @ (result.null_space.T @ moved), atol=1e-9)


@pytest.mark.parametrize("method", [None, "least-squares"])
@pytest.mark.parametrize("weighting", POWERS)
def test_power_weights_on_a_cell(weighting, method):
    for seed in range(8):
        A, _, _, prior = regression(seed)
        x, b, signs = cell_of(A, seed)
        g = JeffreysPenalty(A, b, weighting=weighting, prior_weights=prior).grad(x)
        result = invert_gradient(A, b, g, weighting=weighting, prior_weights=prior, signs=signs,
                                 method=method)
        assert result.success, result.message
        assert result.unique
        assert_allclose(result.x, x, rtol=0, atol=1e-9)
        assert_array_equal(result.signs, signs)


def test_the_hessian_of_power_weights_lies_within_the_bounds(rng):
    """G <= H <= (1 + q) G with G = (2/q) F' diag(scores) F."""
    A, b, x = rng.normal(size=(30, 4)), rng.normal(size=30), rng.normal(size=4)
    for q in (0.5, 1.0, 2.0, 5.0):
        penalty = JeffreysPenalty(A, b, weighting=power(q))
        weight = np.abs(A @ x - b) ** -q
        root = np.sqrt(weight)[:, None] * A
        scores = np.einsum("ij,ij->i", root, root @ np.linalg.inv(root.T @ root))
        rows = 0.5 * q * A / (A @ x - b)[:, None]
        lower = 2.0 / q * rows.T @ (scores[:, None] * rows)
        values = scipy.linalg.eigh(penalty.hess(x), lower, eigvals_only=True)
        assert values[0] >= 1.0 - 1e-9
        assert values[-1] <= 1.0 + q + 1e-9


def test_gamma_regression_is_the_barrier():
    A, b, x = polytope(60, 5, 1)
    g = VolumetricBarrier(A, b).grad(x)
    for method in METHODS:
        barrier = invert_gradient(A, b, g, signs=1, method=method, rng=0)
        gamma = invert_gradient(A, None, g, offset=-b, weighting="gamma", prior_weights=2.0,
                                signs=1, method=method, rng=0)
        assert_array_equal(gamma.x, barrier.x)
        assert gamma.message == barrier.message
    weighted = invert_gradient(A, b, JeffreysPenalty(A, b, weighting="gamma",
                                                     prior_weights=np.arange(1.0, 61.0)).grad(x),
                               prior_weights=np.arange(1.0, 61.0), signs=1)
    assert_allclose(weighted.x, x, atol=1e-9)


@pytest.mark.parametrize("weighting", NOT_CONVEX)
def test_a_local_solution_from_a_start(weighting):
    for seed in range(10):
        A, x, offset, prior = regression(seed, intercept=seed % 2 == 0)
        known = {"weighting": weighting, "offset": offset, "prior_weights": prior}
        penalty = JeffreysPenalty(A, **known)
        result = invert_gradient(A, None, penalty.grad(x), x0=x + 0.01, **known)
        assert result.success, result.message
        assert not result.unique
        assert "local solution" in result.message
        assert_allclose(result.x, x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("weighting", NOT_CONVEX)
def test_farther_starts_end_with_a_gradient_that_matches_or_say_so(weighting):
    successes = 0
    for seed in range(20):
        A, x, offset, _ = regression(seed)
        penalty = JeffreysPenalty(A, weighting=weighting, offset=offset)
        g = penalty.grad(x)
        start = x + 0.5 * np.random.default_rng(seed).normal(size=len(x))
        result = invert_gradient(A, None, g, weighting=weighting, offset=offset, x0=start)
        successes += result.success
        if result.success:
            assert_allclose(penalty.grad(result.x), g, rtol=0, atol=1e-7)
        else:
            assert result.status == 3
            assert np.abs(penalty.grad(result.x) - g).max() > 1e-8
    assert successes >= 10                                  # others end at minima of the misfit


def steepest(A, y):
    """The largest slope of the penalty of weights exp(A x) along y, over all bases."""
    bases = (list(rows) for rows in itertools.combinations(range(len(A)), A.shape[1]))
    return max(0.5 * float((A[rows] @ y).sum()) for rows in bases
               if abs(np.linalg.det(A[rows])) > 1e-9)


@pytest.mark.parametrize("method", [None, "least-squares"])
def test_exponential_weights_without_a_preimage(method):
    statuses = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        d = int(rng.integers(1, 4))
        A = rng.normal(size=(int(rng.integers(d + 2, 9)), d))
        if seed % 3 == 0:
            A[:, 0] = 1.0
        penalty = JeffreysPenalty(A, weighting="poisson")
        g = penalty.grad(rng.normal(size=d)) + (seed % 2) * rng.normal(size=d)
        result = invert_gradient(A, None, g, weighting="poisson", method=method)
        statuses.append(result.status)
        if result.status == 1:
            y = result.evidence["certificate"]
            assert g @ y >= steepest(A, y) - 1e-9
            assert "No x has this gradient" in result.message
            assert not result.success
        else:
            assert result.success, result.message
            assert_allclose(penalty.grad(result.x), g, rtol=0, atol=1e-8)
        if seed % 2 == 0:
            assert result.success
    assert statuses.count(1) > 15


def test_gradients_close_to_the_limit(rng):
    """From the gradient at 0 to a vertex: all before it have a preimage, ever farther away."""
    A = rng.normal(size=(40, 3))
    penalty = JeffreysPenalty(A, weighting="poisson")
    order, chosen = np.argsort(-A @ rng.normal(size=3)), []
    for row in order:
        if np.linalg.matrix_rank(A[[*chosen, row]]) > len(chosen):
            chosen.append(row)
    vertex, first = 0.5 * A[chosen].sum(axis=0), penalty.grad(np.zeros(3))
    for share in (0.9, 0.99, 1 - 1e-4, 1 - 1e-8):
        g = first + share * (vertex - first)
        result = invert_gradient(A, None, g, weighting="poisson")
        assert result.success, result.message
        assert_allclose(penalty.grad(result.x), g, rtol=0, atol=1e-9)
    for share in (1.0, 1 + 1e-8, 2.0):
        g = first + share * (vertex - first)
        assert invert_gradient(A, None, g, weighting="poisson").status == 1


@pytest.mark.parametrize("weighting", POWERS)
@pytest.mark.parametrize("g, status", [([1.0, -1.0], 1), ([0.0, -1.0], 1), ([-1.0, -1.0], 0),
                                       ([-30.0, -1e-3], 0)])
def test_power_weights_on_an_unbounded_cell(weighting, g, status):
    result = invert_gradient(CONE, None, g, weighting=weighting, signs=1)
    assert result.status == status, result.message
    if status:
        assert (CONE @ result.evidence["certificate"] >= -1e-9).all()
    else:
        assert_allclose(JeffreysPenalty(CONE, weighting=weighting).grad(result.x), g, rtol=1e-8)


def test_an_empty_cell_of_power_weights():
    result = invert_gradient([[1.0], [-1.0]], [1.0, 1.0], [0.0], signs=1, weighting=power(1.0))
    assert result.status == 2


@pytest.mark.parametrize("weighting", ["poisson", power(1.5), *NOT_CONVEX])
@pytest.mark.parametrize("size", [1e3, 1e12, 1e100, 1e300])
def test_extreme_targets_of_other_weightings_end_without_nan(weighting, size):
    given = {"x0": [0.1, -0.2]} if isinstance(weighting, (str, tuple)) else {"signs": 1}
    result = invert_gradient(np.vstack([SQUARE, [1.0, 1.0]]), [-2.0] * 5, [size, -1.0],
                             weighting=weighting, maxiter=60, **given)
    for part in ("x", "scores", "slack", "standard_errors", "fun", "condition"):
        assert not np.isnan(result[part]).any()
    assert result.message


def test_extreme_offsets():
    """Weights from exp(-400) to exp(400) at x = 0."""
    A, x, offset, _ = regression(3)
    far = np.linalg.lstsq(A, np.linspace(-1.0, 1.0, len(A)), rcond=None)[0]
    far *= 400.0 / np.abs(A @ far).max()
    g = JeffreysPenalty(A, weighting="poisson", offset=offset).grad(x)
    result = invert_gradient(A, None, g, weighting="poisson", offset=offset - A @ far)
    assert result.success, result.message
    assert_allclose(result.x, x + far, rtol=1e-9)


def test_prior_weights_of_zero_leave_rows_out():
    A, x, offset, prior = regression(4)
    g = JeffreysPenalty(A, weighting="poisson", offset=offset, prior_weights=prior).grad(x)
    more = np.vstack([A, 1e3 * np.ones((2, len(x)))])
    result = invert_gradient(more, None, g, weighting="poisson", offset=np.append(offset, [5, 7]),
                             prior_weights=np.append(prior, [0.0, 0.0]))
    assert result.success, result.message
    assert_allclose(result.x, x, atol=1e-9)


def test_units_of_columns_do_not_matter_for_the_penalty():
    scales = 10.0 ** np.array([-80.0, -5.0, 0.0, 7.0, 90.0])
    A, b, x = polytope(60, 5, 2)
    for given in ({"weighting": power(1.5), "signs": 1}, {"weighting": "poisson"}):
        g = JeffreysPenalty(A, b, weighting=given["weighting"]).grad(x)
        result = invert_gradient(A * scales, b, g * scales, **given)
        assert result.success, result.message
        assert_allclose(result.x * scales, x, atol=1e-9)


def test_a_ridge_with_a_weighting():
    A, x, offset, _ = regression(5, intercept=True)
    for weighting, given in (("poisson", {}), ("binomial", {"x0": x})):
        g = JeffreysPenalty(A, weighting=weighting, offset=offset).grad(x)
        loss = GradientLoss(A, None, g, ridge=0.01, weighting=weighting, offset=offset)
        result = invert_gradient(A, None, g, weighting=weighting, offset=offset, ridge=0.01,
                                 method="least-squares", tol=1e-8, **given)
        assert result.success, result.message
        assert not result.unique
        assert result.fun == pytest.approx(loss.fun(result.x), rel=1e-9)
        assert np.abs(loss.grad(result.x)).max() < 1e-6


def test_the_standard_errors_of_a_penalty_are_those_of_rounding():
    for seed, weighting in ((1, "poisson"), (2, "binomial")):
        A, x, offset, _ = regression(seed)
        known = {"weighting": weighting, "offset": offset}
        g = JeffreysPenalty(A, **known).grad(x)
        result = invert_gradient(A, None, g, x0=x, **known)
        noise = 1e-7
        rng = np.random.default_rng(0)
        moved = [invert_gradient(A, None, g * (1 + noise * rng.standard_normal(len(x))),
                                 x0=result.x, **known).x - result.x for _ in range(200)]
        assert_allclose(np.std(moved, axis=0), result.standard_errors * 2 * noise
                        / np.finfo(float).eps, rtol=0.2)


def test_evidence_and_callback_of_a_penalty():
    A, x, offset, _ = regression(6)

    def stop(x):
        raise StopIteration

    for weighting, given in (("poisson", {}), ("binomial", {"x0": x + 0.05})):
        g = JeffreysPenalty(A, weighting=weighting, offset=offset).grad(x)
        seen = []
        result = invert_gradient(A, None, g, weighting=weighting, offset=offset,
                                 callback=lambda x, seen=seen: seen.append(x), **given)
        assert result.nit == len(seen) == len(result.evidence["steps"])
        assert {"steps", "decrement", "floor"} <= result.evidence.keys()
        stopped = invert_gradient(A, None, g, weighting=weighting, offset=offset, callback=stop,
                                  **given)
        assert (stopped.success, stopped.status, stopped.nit) == (False, 4, 1)
        short = invert_gradient(A, None, g, weighting=weighting, offset=offset, maxiter=1, **given)
        assert (short.success, short.status) == (False, 3)


@pytest.mark.parametrize("change, error, match", [
    ({"weighting": "binomial"}, ValueError, "x0 must be given for a logistic regression: its"),
    ({"weighting": "binomial", "x0": [0.0, 0.0], "method": "newton"}, ValueError,
     "method must be 'least-squares' for a logistic regression"),
    ({"weighting": "poisson", "signs": 1}, ValueError, "signs must not be given"),
    ({"weighting": "poisson", "method": "approximate-newton"}, ValueError, "1/slack²"),
    ({"weighting": power(1.0)}, ValueError, "signs or x0 must be given"),
    ({"weighting": "gaussian"}, ValueError, "is the same for every x"),
    ({"weighting": "nonsense"}, ValueError, "family"),
    ({"weighting": 3}, TypeError, "weighting must be"),
    ({"weighting": ("binomial", "log"), "x0": [0.0, 0.0]}, ValueError, "third derivative"),
    ({"b": None, "weighting": None, "signs": 1}, ValueError, "b must be given"),
    ({"offset": np.ones(4), "weighting": "poisson"}, ValueError, "must not both be given"),
    ({"prior_weights": -1.0, "weighting": "poisson"}, ValueError, "prior_weights"),
    ({"prior_weights": np.zeros(4), "weighting": "poisson"}, ValueError, "prior_weights"),
    ({"prior_weights": [1, 0, 1, 0], "weighting": "poisson", "A": np.eye(4)[:, :2]}, ValueError,
     "full column rank"),
    ({"x0": [2.0, 0.0], "signs": 1, "weighting": power(1.5)}, ValueError, "strictly inside"),
    ({"ridge": 1.0, "weighting": "poisson"}, ValueError, "ridge must be 0"),
    ({"x0": [1e308, 1e308], "A": 10 * SQUARE, "weighting": "poisson"}, ValueError, "overflows"),
])
def test_other_weightings_refused(change, error, match):
    given = {"A": SQUARE, "b": -np.ones(4), "g": np.zeros(2)} | change
    with pytest.raises(error, match=match):
        invert_gradient(given.pop("A"), given.pop("b"), given.pop("g"), **given)


def test_a_start_outside_the_domain_is_refused():
    class Half:
        """η log η on η > 0."""

        domain = (0.0, np.inf)

        def log_weight(self, eta):
            return -eta ** 2 + np.log(eta)

        def derivative(self, eta):
            return -2 * eta + 1 / eta

        def second_derivative(self, eta):
            return -2 - 1 / eta ** 2

        def third_derivative(self, eta):
            return 2 / eta ** 3

    rng = np.random.default_rng(0)
    A, x = rng.uniform(0.1, 1.0, (30, 3)), np.array([1.0, 0.5, 0.2])
    g = JeffreysPenalty(A, weighting=Half()).grad(x)
    with pytest.raises(ValueError, match="x0 must keep the linear predictor in"):
        invert_gradient(A, None, g, weighting=Half(), x0=-x)
    result = invert_gradient(A, None, g, weighting=Half(), x0=1.02 * x)
    assert result.success, result.message
    assert_allclose(result.x, x, atol=1e-7)
