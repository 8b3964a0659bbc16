"""invert_gradient: recovery, what has no solution, the promises of its methods, the door."""
import numpy as np
import pytest
import scipy.linalg
from numpy.testing import assert_allclose, assert_array_equal

from levinv import GradientLoss, InversionResult, VolumetricBarrier, invert_gradient
from levinv._conjugate_gradients import conjugate_gradients
from levinv.forward.barrier import FullRankMap
from levinv.inverse.barrier_gradient import assembly, newton, subsampled
from levinv.inverse.barrier_gradient import feasibility as cell
from levinv.inverse.barrier_gradient.problem import Problem, evaluate
from levinv.inverse.result import Progress
from levinv.storage import DenseRows

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
