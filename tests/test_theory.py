"""levinv.theory: every bound holds, and is not idle, on random and on adverse problems."""
import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import oracles
from levinv import theory

BETA = 0.09      # the paper takes β from (0, 0.1)


def parts(A, b, x, c):
    """B, P, and the n x n matrices N and G of the Hessian Bᵀ N B = Aᵀ G A, term by term as in the
    design.
    """
    slack = A @ x - b
    B = A / slack[:, None]
    P = oracles.projection(B)
    sigma, Q = np.diag(P), P * P
    r = sigma - c
    N = (4 * (Q - np.diag(sigma)) @ (Q - np.diag(sigma)) + 8 * P * (P @ np.diag(r) @ P)
         - 6 * np.diag(Q @ r)
         - 4 * (np.diag(r) @ Q + Q @ np.diag(r)) + 6 * np.diag(r * sigma))
    return B, P, N, N / slack[:, None] / slack


def hessian(A, b, x, c, ridge=0.0):
    B, _, N, _ = parts(A, b, x, c)
    return B.T @ N @ B + ridge ** 2 * A.T @ A


def gradient(A, b, x, c, ridge=0.0):
    slack = A @ x - b
    return (oracles.jacobian(A, slack).T @ (oracles.scores(A / slack[:, None]) - c)
            + ridge ** 2 * A.T @ A @ x)


def problem(seed, slack=None):
    """A, b, x, c in [0, 1]ⁿ, often at its corners; slacks random, or between ``slack`` and twice
    that.
    """
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 5))
    n = d + int(rng.integers(1, 8))
    A = rng.normal(size=(n, d)) * np.exp(rng.normal(size=(n, 1)))
    x = rng.normal(size=d)
    size = rng.uniform(slack, 2 * slack, n) if slack else np.exp(2 * rng.normal(size=n))
    b = A @ x - size * rng.choice([-1.0, 1.0], n)
    c = rng.uniform(size=n) if seed % 2 else rng.integers(0, 2, n).astype(float)
    return A, b, x, c


seeds = st.integers(0, 10**6)


def test_the_oracle_is_the_hessian(golden):
    found = hessian(golden["A"], golden["b"], golden["x"], golden["c"])
    rtol = 1e-6 if golden["name"] == "graded" else 1e-10
    assert_allclose(found, golden["loss_hessian"], rtol=rtol, atol=rtol * np.abs(found).max())


# slack

@given(seeds)
def test_slack_bound_is_attained(seed):
    A, b, x, _ = problem(seed)
    slack, rows = np.abs(A @ x - b), np.linalg.norm(A, axis=1)
    radius = 0.5 * (slack / rows).min()
    beta = theory.slack_bound(A, b, x, radius)
    steps = np.random.default_rng(seed).normal(size=(50, len(x)))
    steps *= radius / np.linalg.norm(steps, axis=1, keepdims=True)
    assert np.abs((x + steps) @ A.T - b).min() >= beta * (1 - 1e-12)
    i = np.argmin(slack - radius * rows)
    nearest = x - np.sign(A[i] @ x - b[i]) * radius * A[i] / rows[i]
    assert_allclose(np.abs(A[i] @ nearest - b[i]), beta, rtol=1e-9)


def test_slack_bound_zero_and_zero_rows():
    A, b = [[1.0, 0.0], [0.0, 0.0]], [1.0, 0.0]
    assert theory.slack_bound(A, b, [0.0, 0.0]) == 1.0       # the zero row has zero slack and does
                                                             # not count
    assert theory.slack_bound(A, b, [0.0, 0.0], radius=2.0) == 0.0
    with pytest.raises(ValueError, match="nonzero row"):
        theory.slack_bound([[0.0]], [1.0], [0.0])


# curvature

@given(seeds)
def test_curvature_bound(seed):
    A, b, x, c = problem(seed)
    _, P, N, G = parts(A, b, x, c)
    beta = np.abs(A @ x - b).min()
    r = np.diag(P) - c
    for spread in (np.ptp(r), 1 + np.ptp(c), 2.0):
        below, above = theory.curvature_bound(beta, spread=spread)
        values = np.linalg.eigvalsh(G)
        assert -below <= values[0] * (1 - 1e-9) and values[-1] <= above * (1 + 1e-9)
        below, above = theory.curvature_bound(1.0, spread=spread)          # of N itself
        values = np.linalg.eigvalsh(N)
        assert -below <= values[0] + 1e-9 and values[-1] <= above + 1e-9
    assert np.abs(values).max() <= 1.5


@given(seeds)
def test_the_derivation_of_the_curvature_bound(seed):
    """(2) and (3) of levinv/theory/curvature.py, line by line."""
    A, b, x, c = problem(seed)
    _, P, N, _ = parts(A, b, x, c)
    sigma, complement = np.diag(P), np.eye(len(P)) - P
    r, W = sigma - c, P * complement
    R, h = np.diag(r), 0.5 * np.ptp(r)
    T = 6 * np.diag(W @ r) - 4 * P * (P @ R @ complement + complement @ R @ P)
    assert_allclose(4 * W @ W + T, N, atol=1e-9)
    assert np.linalg.norm(W, 2) <= 0.5 + 1e-9 and np.linalg.norm(T, 2) <= math.sqrt(5) * h + 1e-9
    v = np.random.default_rng(seed).normal(size=len(P))
    v /= np.linalg.norm(v)
    D, w = np.diag(v), v @ W @ v
    inner = 6 * P @ D @ complement @ D @ complement - 2 * P @ D @ P @ D @ complement
    assert np.trace(R @ inner) == pytest.approx(v @ T @ v, abs=1e-9)
    assert np.trace(inner) == pytest.approx(0.0, abs=1e-9)
    assert abs(v @ T @ v) <= h * math.sqrt(40 * w * (1 - 2 * w)) + 1e-9


@given(seeds)
def test_the_derivative_of_the_middle_matrix(seed):
    """(4), by differences: |dN| <= (4 + √5 + (4√2 + 2√6) h) max |p|, and |dP| <= max |p|."""
    A, b, x, c = problem(seed, slack=1.0)
    u = np.random.default_rng(seed).normal(size=len(x))
    B, P, _, _ = parts(A, b, x, c)
    u /= np.abs(B @ u).max()
    h = 0.5 * np.ptp(np.diag(P) - c)
    for which, bound in [(2, 4 + 5 ** 0.5 + (4 * 2 ** 0.5 + 2 * 6 ** 0.5) * h), (1, 1.0)]:
        change = oracles.central_difference(lambda y, which=which: parts(A, b, y, c)[which], x, u,
                                            1e-3)
        assert np.linalg.norm(change, 2) <= bound + 1e-6


@given(seeds, st.floats(-10.0, 10.0))
def test_curvature_depends_on_the_spread_alone(seed, shift):
    A, b, x, c = problem(seed)
    assert_allclose(parts(A, b, x, c + shift)[2], parts(A, b, x, c)[2], atol=1e-8)


def test_a_large_target_needs_its_spread():
    A, b, x, c = problem(3)
    c = 1e4 * c
    beta = np.abs(A @ x - b).min()
    norm = np.linalg.norm(parts(A, b, x, c)[2], 2)
    assert norm > 44
    below, above = theory.curvature_bound(1.0, spread=1 + np.ptp(c))
    assert norm <= above
    assert (np.linalg.norm(parts(A, b, x, c)[3], 2)
            <= theory.curvature_bound(beta, spread=1 + np.ptp(c))[1])


@given(seeds, st.sampled_from([0.0, 1e-3, 1.0, 50.0]))
def test_convexifying_ridge(seed, convexity):
    A, b, x, c = problem(seed, slack=BETA)
    beta = theory.slack_bound(A, b, x)
    ridge = theory.convexifying_ridge(A, beta, convexity)
    values = np.linalg.eigvalsh(hessian(A, b, x, c, ridge))
    assert values[0] >= convexity - 1e-10 * values[-1]
    assert values[-1] <= theory.smoothness(A, beta, ridge=ridge) * (1 + 1e-12)


def test_convexifying_ridge_is_smallest_by_its_formula():
    A = np.diag([2.0, 3.0])
    below = theory.curvature_bound(0.5)[0]
    assert theory.convexifying_ridge(A, 0.5, 8.0) == pytest.approx(math.sqrt(below + 8.0 / 4.0),
                                                                   rel=1e-14)
    assert theory.convexifying_ridge(A, 0.5) == pytest.approx(math.sqrt(below), rel=1e-14)


def test_no_ridge_for_rank_deficient_rows():
    A = np.ones((3, 2))
    assert theory.convexifying_ridge(A, 1.0) > 0
    with pytest.raises(ValueError, match="full column rank"):
        theory.convexifying_ridge(A, 1.0, 0.1)


@given(seeds)
def test_loss_lipschitz(seed):
    A, b, x, c = problem(seed)
    beta = np.abs(A @ x - b).min()
    for ridge in (0.0, 0.7):
        bound = theory.loss_lipschitz(A, beta, ridge=ridge, norm=np.linalg.norm(x),
                                      spread=1 + np.ptp(c))
        assert np.linalg.norm(gradient(A, b, x, c, ridge)) <= bound * (1 + 1e-12)


# Lipschitz constants

@given(seeds, st.sampled_from([1e-6, 1e-2, 0.5]))
def test_lipschitz_constants(seed, part):
    A, b, x, c = problem(seed)
    radius = part * (np.abs(A @ x - b) / np.linalg.norm(A, axis=1)).min()
    beta = theory.slack_bound(A, b, x, radius)
    step = np.random.default_rng(seed).normal(size=len(x))
    y = x + radius * step / np.linalg.norm(step)
    moved = np.linalg.norm(x - y)
    change = np.linalg.norm(hessian(A, b, x, c) - hessian(A, b, y, c), 2)
    rounding = 1e-12 * np.linalg.norm(hessian(A, b, x, c), 2)
    assert change <= theory.hessian_lipschitz(A, beta, spread=1 + np.ptp(c)) * moved + rounding
    change = np.linalg.norm(parts(A, b, x, c)[1] - parts(A, b, y, c)[1], 2)
    assert change <= theory.leverage_lipschitz(A, beta) * moved + 1e-12


def test_leverage_lipschitz_is_sharp():
    # P projects on (1/s_1, 1/s_2), whose angle turns at rate 1 when s_1 = 1 = -s_2 move at rate 1.
    A, b = np.array([[1.0], [1.0]]), np.array([-1.0, 1.0])
    near, far = (parts(A, b, np.array([t]), np.zeros(2))[1] for t in (-1e-6, 1e-6))
    assert np.linalg.norm(near - far, 2) / 2e-6 == pytest.approx(theory.leverage_lipschitz(A, 1.0),
                                                                 rel=1e-6)


# Newton's method and gradient descent on L

@pytest.fixture(params=range(4))
def minimised(request):
    """A, b, c, the ridge, the minimiser, the constants l and M on a ball about it, and its
    radius.
    """
    rng = np.random.default_rng(request.param)
    A = rng.normal(size=(12, 3))
    b, c = (A @ rng.normal(size=3) - rng.choice([-1, 1], 12) * rng.uniform(1, 3, 12),
            rng.uniform(size=12))
    ridge, x = 0.5, np.zeros(3)
    b += 2 * np.sign(b)    # the minimum is near 0: keep the slacks there away from 0
    for _ in range(30):
        x = x - np.linalg.solve(hessian(A, b, x, c, ridge), gradient(A, b, x, c, ridge))
    radius = 0.2 * theory.slack_bound(A, b, x) / np.linalg.norm(A, axis=1).max()
    beta = theory.slack_bound(A, b, x, radius)
    convexity = np.linalg.eigvalsh(hessian(A, b, x, c, ridge))[0]
    assert convexity > 0 and np.linalg.norm(gradient(A, b, x, c, ridge)) < 1e-13
    return A, b, c, ridge, x, convexity, theory.hessian_lipschitz(A, beta), radius


def test_newton_contracts_as_promised(minimised, rng):
    A, b, c, ridge, x, convexity, lipschitz, radius = minimised
    distance = min(radius, 0.099 * convexity / lipschitz)
    assert theory.is_good_start(distance, convexity, lipschitz)
    start = rng.normal(size=3)
    point = x + distance * start / np.linalg.norm(start)
    steps = 0
    while (far := np.linalg.norm(point - x)) > 1e-12:
        point = point - np.linalg.solve(hessian(A, b, point, c, ridge),
                                        gradient(A, b, point, c, ridge))
        assert (np.linalg.norm(point - x)
                <= theory.contraction_factor(far, convexity, lipschitz) * far + 1e-14)
        steps += 1
    assert 1 <= steps <= theory.newton_iterations(distance, 1e-12, convexity, lipschitz)


def test_descent_arrives_as_promised(minimised, rng):
    A, b, c = minimised[:3]
    point = np.zeros(3)
    beta = theory.slack_bound(A, b, point, 0.3)      # the ridge brings the minimum close to 0
    ridge = theory.convexifying_ridge(A, beta, 30.0)
    smooth = theory.smoothness(A, beta, ridge=ridge)
    for _ in range(20):
        point = point - np.linalg.solve(hessian(A, b, point, c, ridge),
                                        gradient(A, b, point, c, ridge))
    minimum = point
    assert np.linalg.norm(minimum) < 0.1
    start = rng.normal(size=3)
    point = minimum + 0.2 * start / np.linalg.norm(start)
    steps = theory.descent_iterations(0.2, 1e-6, 30.0, smooth)
    assert steps < 20_000
    for _ in range(steps):
        point = point - gradient(A, b, point, c, ridge) / smooth
    assert np.linalg.norm(point - minimum) <= 1e-6


def test_averaged_descent_on_a_quadratic():
    """½ α x² on [-1, 1]: Lipschitz α there, and the steps 2/(α(k+1)) stay within it."""
    alpha, accuracy = 2.0, 0.01
    steps = theory.averaged_descent_iterations(accuracy, alpha, alpha)
    assert 2 * alpha ** 2 / (alpha * (steps + 1)) <= accuracy < 2 * alpha ** 2 / (alpha * steps)
    x, average = 1.0, 0.0
    for k in range(1, steps + 1):
        average += 2 * k / (steps * (steps + 1)) * x
        x = np.clip(x - 2 / (alpha * (k + 1)) * alpha * x, -1.0, 1.0)
    assert 0.5 * alpha * average ** 2 <= accuracy


# counts

def test_good_start_is_the_papers():
    assert theory.is_good_start(0.1, 1.0, 1.0) and not theory.is_good_start(0.1001, 1.0, 1.0)
    assert theory.is_good_start(5.0, 1.0, 0.0)
    assert theory.contraction_factor(0.1, 1.0, 1.0) == pytest.approx(1 / 18)
    assert theory.contraction_factor(2 / 3, 1.0, 1.0) == pytest.approx(1.0)


@given(st.floats(1e-6, 0.6666), st.floats(1e-200, 1e-3))
def test_newton_iterations_are_the_least(shift, accuracy):
    steps = theory.newton_iterations(shift, accuracy, 1.0, 1.0)
    r, trail = shift, [shift]
    for _ in range(steps):
        r *= 0.5 * r / (1 - r)
        trail.append(r)
    assert trail[-1] <= accuracy and (steps == 0 or trail[-2] > accuracy)


def test_the_contraction_factor_is_attained():
    """L' = l x + M x²/2 has Hessian l + M x: one Newton step from r < 0 attains M r² / (2 (l - M
    r)).
    """
    convexity, lipschitz, x = 2.0, 3.0, -0.1
    after = x - (convexity * x + 0.5 * lipschitz * x * x) / (convexity + lipschitz * x)
    assert abs(after) == pytest.approx(theory.contraction_factor(0.1, convexity, lipschitz) * 0.1,
                                       rel=1e-12)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_newton_iterations_at_the_edge(convexity, lipschitz):
    edge = 2 / 3 * convexity / lipschitz
    with pytest.raises(ValueError, match="no step need come closer"):
        theory.newton_iterations(edge * (1 + 1e-14), 1e-9 * edge, convexity, lipschitz)
    assert theory.newton_iterations(edge * (1 - 1e-14), 1e-9 * edge, convexity, lipschitz) < 100


@pytest.mark.parametrize("distance, accuracy, expected",
                         [(1.0, 1.0, 0), (0.0, 1.0, 0), (1.0, 1e-3, 10)])
def test_descent_iterations(distance, accuracy, expected):
    assert theory.descent_iterations(distance, accuracy, 1.0, 2.0) == expected


def test_descent_iterations_perfectly_conditioned():
    assert theory.descent_iterations(1.0, 1e-9, 2.0, 2.0) == 1


# the door

@pytest.mark.parametrize("name", theory.__all__)
def test_examples(name):
    runner = doctest.DocTestRunner(verbose=False)
    for examples in doctest.DocTestFinder().find(getattr(theory, name), name):
        assert examples.examples
        runner.run(examples)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("call, error, message", [
    (lambda: theory.slack_bound([[1.0]], [1.0, 2.0], [0.0]), ValueError, "b must have length 1"),
    (lambda: theory.slack_bound([[1.0]], [1.0], [0.0], -1.0), ValueError,
     "radius must be at least 0"),
    (lambda: theory.curvature_bound(0.0), ValueError, "slack must be above 0"),
    (lambda: theory.curvature_bound("1"), TypeError, "slack must be a real number"),
    (lambda: theory.curvature_bound(1.0, spread=-1.0), ValueError, "spread must be at least 0"),
    (lambda: theory.convexifying_ridge([1.0], 1.0), ValueError, "A must be a two-dimensional"),
    (lambda: theory.hessian_lipschitz([[np.nan]], 1.0), ValueError, "A must be finite"),
    (lambda: theory.is_good_start(0.1, 0.0, 1.0), ValueError, "strong_convexity must be above 0"),
    (lambda: theory.contraction_factor(1.0, 1.0, 1.0), ValueError, "distance must be below"),
    (lambda: theory.newton_iterations(0.7, 1e-3, 1.0, 1.0), ValueError,
     "distance must be below 2/3"),
    (lambda: theory.descent_iterations(1.0, 1e-3, 2.0, 1.0), ValueError, "at most smoothness"),
    (lambda: theory.averaged_descent_iterations(0.0, 1.0, 1.0), ValueError,
     "accuracy must be above 0"),
])
def test_door(call, error, message):
    with pytest.raises(error, match=message):
        call()
