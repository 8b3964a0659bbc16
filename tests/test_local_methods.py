"""The local methods of invert_scores: what they reach, how fast, and how they end."""
import numpy as np
import pytest
from numpy.testing import assert_allclose

from levinv import LeverageMap, ScoreLoss, invert_scores, leverage_scores
from levinv.inverse.local.methods import constrained_minimiser
from levinv.weighting import power

METHODS = ["newton", "trust-region", "gradient-descent"]


def problem(seed, n=60, d=5):
    rng = np.random.default_rng(seed)
    A, b, x = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
    direction = rng.standard_normal(d)
    return A, b, x, leverage_scores(A, slack=A @ x - b), direction / np.linalg.norm(direction)


def polytope(seed, n=60, d=5):
    """All slacks at least 1: well-conditioned."""
    rng = np.random.default_rng(seed)
    A, x = rng.standard_normal((n, d)), rng.standard_normal(d)
    slack = rng.uniform(1.0, 3.0, n)
    direction = rng.standard_normal(d)
    return (A, A @ x - slack, x, leverage_scores(A, slack=slack),
            direction / np.linalg.norm(direction))


def path(callback_list):
    return lambda intermediate_result: callback_list.append(intermediate_result.x)


@pytest.mark.parametrize("seed", range(10))
def test_newton_contracts_and_ends_quadratically(seed):
    A, b, x, c, direction = polytope(seed)
    points = [x + 0.01 * direction]
    result = invert_scores(A, b, c, x0=points[0], method="newton", callback=path(points))
    assert result.success
    assert result.unique
    errors = np.array([np.linalg.norm(p - x) for p in points])
    above = errors[:-1] > 1e-9
    assert (errors[1:][above] <= 0.4 * errors[:-1][above]).all()
    assert (errors[1:] <= 100 * errors[:-1] ** 2 + 1e-12).all()
    assert len(points) <= 8
    assert errors[-1] < 1e-12


def test_trust_region_from_a_start_that_is_neither_good_nor_hopeless():
    reached = 0
    for seed in range(40):
        A, b, x, c, direction = problem(seed)
        result = invert_scores(A, b, c, x0=x + 0.1 * direction, method="trust-region")
        close = np.linalg.norm(result.x - x) < 1e-7
        reached += close
        assert result.success == close
        if not close:
            assert "stationary" in result.message or "no step" in result.message
            assert "closest found" in result.message
    assert reached >= 30


@pytest.mark.parametrize("seed", range(5))
def test_gradient_descent_is_monotone(seed):
    A, b, x, c, direction = problem(seed)
    points = [x + 0.03 * direction]
    invert_scores(A, b, c, x0=points[0], method="gradient-descent", callback=path(points),
                  maxiter=200)
    loss = ScoreLoss(A, b, c)
    values = np.array([loss.fun(p) for p in points])
    assert len(values) > 5
    assert (np.diff(values) < 0).all()


def test_gradient_descent_falls_by_a_thousand():
    falls = []
    for seed in range(20):
        A, b, x, c, direction = problem(seed)
        result = invert_scores(A, b, c, x0=x + 0.03 * direction, method="gradient-descent")
        assert result.nit <= 3000
        falls.append(ScoreLoss(A, b, c).fun(x + 0.03 * direction) / max(result.fun, 1e-300))
    assert np.median(falls) > 1e3
    assert np.mean(np.array(falls) > 1e3) >= 0.9


def test_fixed_step():
    A, b, x, c, direction = polytope(0)
    loss, start = ScoreLoss(A, b, c), x + 0.01 * direction
    step = 1.0 / np.linalg.norm(loss.hess(x), 2)
    points = []
    invert_scores(A, b, c, x0=start, method="gradient-descent", options={"step": step},
                  callback=path(points), maxiter=3, tol=1e-15)
    expected = start
    for point in points:
        expected = expected - step * loss.grad(expected)
        assert_allclose(point, expected, rtol=1e-12)


def test_strongly_convex_steps_are_averaged():
    A, b, x, c, direction = polytope(0)
    ridge = 1.0
    loss, start = ScoreLoss(A, b, c, ridge=ridge), x + 0.01 * direction
    alpha = 2.0 * np.linalg.norm(loss.hess(x), 2)
    steps = 4
    result = invert_scores(A, b, c, x0=start, method="gradient-descent", ridge=ridge, maxiter=steps,
                           tol=1e-15,
                           options={"step": "strongly convex", "strong_convexity": alpha})
    point, average = start, 0.0
    for k in range(1, steps + 1):
        point = point - 2.0 / (alpha * (k + 1)) * loss.grad(point)
        average = average + 2.0 * k / (steps * (steps + 1)) * point
    assert_allclose(result.x, average, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_ridge_ends_at_a_stationary_point(method):
    A, b, x, c, direction = polytope(1)
    loss = ScoreLoss(A, b, c, ridge=0.01)
    result = invert_scores(A, b, c, x0=x + 0.01 * direction, method=method, ridge=0.01)
    assert result.success, result.message
    assert result.fun == pytest.approx(loss.fun(result.x))
    assert np.linalg.norm(loss.grad(result.x)) < 1e-6
    assert not result.unique


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("start", ["far", "zero slack", "huge", "zero"])
def test_hopeless_starts_end_with_a_reason(method, start):
    A, b, x, c, direction = problem(3)
    x0 = {"far": x + 5 * direction, "zero slack": np.linalg.solve(A[:5], b[:5]),
          "huge": 1e12 * direction, "zero": np.zeros(5)}[start]
    result = invert_scores(A, b, c, x0=x0, method=method, maxiter=50)
    assert np.isfinite(result.x).all()
    assert np.isfinite(result.fun)
    assert result.success or len(result.message) > 40
    assert result.evidence[method]["ended"] in ("matched", "stationary", "iterations", "stuck")


@pytest.mark.parametrize("method", METHODS)
def test_callback_stops(method):
    A, b, x, c, direction = problem(3)

    def callback(intermediate_result):
        if intermediate_result.nit >= 2:
            raise StopIteration

    result = invert_scores(A, b, c, x0=x + 0.01 * direction, method=method, callback=callback)
    assert result.status == 4
    assert result.nit == 2
    assert "callback" in result.message


@pytest.mark.parametrize("method", METHODS)
def test_iteration_limit_is_said(method):
    A, b, x, c, direction = problem(3)
    result = invert_scores(A, b, c, x0=x + 0.03 * direction, method=method, maxiter=1)
    assert not result.success
    assert "maxiter = 1" in result.message


def test_units_of_columns_do_not_matter():
    A, b, x, c, direction = problem(0)
    units = np.array([1e-4, 1e3, 1.0, 1e5, 1e-2])
    for method in METHODS:
        result = invert_scores(A * units, b, c, x0=(x + 0.01 * direction) / units, method=method)
        assert result.success, result.message
        assert_allclose(result.x * units, x, rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_constrained_minimiser(seed):
    rng = np.random.default_rng(seed)
    eigenvalues = np.sort(rng.standard_normal(4))
    gradient = rng.standard_normal(4) * (rng.random(4) > 0.3)
    radius = rng.exponential()
    q = constrained_minimiser(eigenvalues, gradient, radius)
    assert np.linalg.norm(q) <= radius * (1 + 1e-8)

    def model(p):
        return gradient @ p + 0.5 * eigenvalues @ p ** 2

    for _ in range(300):
        p = rng.standard_normal(4)
        p *= radius * rng.random() ** 0.25 / np.linalg.norm(p)
        assert model(q) <= model(p) + 1e-9


@pytest.mark.parametrize("change, message", [
    ({"x0": None}, "x0 must be given"),
    ({"ridge": -1.0}, "ridge must be at least 0"),
    ({"options": {"restarts": 3}}, "unknown key 'restarts'"),
    ({"method": "trust-region", "options": {"initial_radius": -1.0}}, "initial_radius"),
    ({"method": "gradient-descent", "options": {"step": "long"}}, "step"),
    ({"method": "gradient-descent", "options": {"step": -1.0}}, "step"),
    ({"method": "gradient-descent", "options": {"step": "strongly convex"}}, "strong_convexity"),
    ({"method": "gradient-descent", "options": {"strong_convexity": 1.0}}, "strong_convexity"),
])
def test_bad_input(change, message):
    A, b, x, c, _ = problem(0)
    with pytest.raises(ValueError, match=message):
        invert_scores(A, b, c, **({"x0": x, "method": "newton"} | change))


# other weightings

WEIGHTINGS = ["binomial", ("binomial", "probit"), ("binomial", "cloglog"), ("binomial", "cauchit"),
              "negative-binomial", "poisson", power(1.5), power(-2.5)]


def regression(seed, weighting, n=60, d=4):
    """The arguments of an inversion, an x, and a direction."""
    rng = np.random.default_rng([seed, 3])
    A, x = 0.5 * rng.standard_normal((n, d)), 1.5 * rng.standard_normal(d)
    known = {"weighting": weighting, "offset": rng.standard_normal(n),
             "prior_weights": rng.uniform(0.5, 3.0, n)}
    direction = rng.standard_normal(d)
    return (A, known, x, LeverageMap(A, **known).scores(x),
            direction / np.linalg.norm(direction))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_other_weightings_from_a_close_start(method, weighting):
    reached = 0
    for seed in range(5):
        A, known, x, c, direction = regression(seed, weighting)
        start = x + (0.001 if isinstance(weighting, type(power(1.5))) else 0.03) * direction
        result = invert_scores(A, None, c, x0=start, method=method, **known)
        loss = ScoreLoss(A, None, c, **known)
        assert result.fun == pytest.approx(loss.fun(result.x), abs=1e-20)
        assert_allclose(result.scores, LeverageMap(A, **known).scores(result.x), atol=1e-12)
        assert result.fun <= loss.fun(start)
        reached += bool(result.success and np.abs(result.x - x).max() < 1e-5)
        if not result.success:
            assert result.status == 3
    assert reached == 5 or (method == "gradient-descent" and isinstance(weighting,
                                                                        type(power(1.5))))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighting", ["binomial", "poisson", "negative-binomial"])
def test_ridge_with_a_weighting(method, weighting):
    A, known, x, c, direction = regression(1, weighting)
    loss = ScoreLoss(A, None, c, ridge=0.01, **known)
    result = invert_scores(A, None, c, x0=x + 0.01 * direction, method=method, ridge=0.01, **known)
    assert result.success, result.message
    assert result.fun == pytest.approx(loss.fun(result.x))
    assert np.linalg.norm(loss.grad(result.x)) < 1e-6
    assert not result.unique


def test_a_weighting_by_another_name_takes_the_same_steps():
    A, b, x, c, direction = problem(0)
    for method in METHODS:
        paper = invert_scores(A, b, c, x0=x + 0.01 * direction, method=method, maxiter=5)
        gamma = invert_scores(A, None, c, offset=-b, weighting=power(2.0), prior_weights=3.0,
                              x0=x + 0.01 * direction, method=method, maxiter=5)
        np.testing.assert_array_equal(gamma.x, paper.x)


def test_a_local_method_does_not_claim_a_mirrored_solution_unique():
    A, known, x, c, direction = regression(2, "binomial")
    c = LeverageMap(A, weighting="binomial").scores(x)
    for side in (1.0, -1.0):
        result = invert_scores(A, None, c, weighting="binomial", x0=side * x + 0.01 * direction,
                               method="trust-region")
        assert result.success
        assert not result.unique
        assert_allclose(result.x, side * x, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_far_starts_with_a_weighting_end_with_a_reason(method):
    for weighting in ("binomial", "poisson", ("binomial", "cloglog")):
        A, known, x, c, direction = regression(3, weighting)
        for far in (3.0, 30.0):
            result = invert_scores(A, None, c, x0=x + far * direction, method=method, maxiter=30,
                                   **known)
            assert np.isfinite(result.x).all()
            assert np.isfinite(result.fun)
            assert result.success or len(result.message) > 40


@pytest.mark.parametrize("method", METHODS)
def test_a_start_outside_the_domain_of_a_link_is_refused(method):
    rng = np.random.default_rng(0)
    A, x = rng.uniform(0.1, 1.0, (30, 3)), np.array([-1.0, -0.5, -0.2])
    c = LeverageMap(A, weighting=("binomial", "log")).scores(x)
    with pytest.raises(ValueError, match="x0 must keep the linear predictor in"):
        invert_scores(A, None, c, weighting=("binomial", "log"), x0=-x, method=method)
    result = invert_scores(A, None, c, weighting=("binomial", "log"), x0=1.02 * x, method=method)
    assert np.abs(result.x - x).max() < 1e-3
