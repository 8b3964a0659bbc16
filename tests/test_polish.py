"""Stage 4: linearisations against the literal Jacobian, and inversions of long matrices."""
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import designs
import levinv.inverse.stages.refine as polishing
import levinv.inverse.stages.whitened_jacobian as linearisation
import levinv.storage.dense
import oracles
from levinv import LeverageMap, invert_scores, leverage_scores
from levinv.forward.projection import project, rough_projection
from levinv.inverse.stages.loss import Loss, StreamingLoss, gradient
from levinv.inverse.stages.presolve import response_in_range
from levinv.inverse.stages.reduction import reduce
from levinv.inverse.stages.whitened_jacobian import linearise_all
from levinv.inverse.values import Linearisation
from levinv.storage import DenseRows


def point_of(A, slack, error=1e-3):
    """Reduced problem, Point and weights where the scores miss their targets by about ``error``."""
    x = np.ones(A.shape[1])
    reduced = reduce(DenseRows(A))
    target = leverage_scores(A, slack=slack)
    rng = np.random.default_rng(0)
    weight = np.where(reduced.active, rng.uniform(1, 2, len(A)), 0.0)
    off = np.where(reduced.active, target * (1 + error * rng.standard_normal(len(A))), 0.0)
    return reduced, Loss(reduced, A @ x - slack, off, weight).at(x), weight


def literal(A, point, weight):
    """W J and W r by n x n matrices, in mpmath numbers.

    In doubles the literal formula itself errs by about κ² ε/(1 - sigma), here 1e-7: more than the
    functions that are tested.
    """
    kept = np.flatnonzero(weight)
    with mpmath.workdps(40):
        J = np.full(A.shape, mpmath.mpf(0), dtype=object)
        J[kept] = oracles.jacobian(oracles.exact(A[kept]), oracles.exact(point.slack[kept]))
        return (oracles.exact(weight)[:, None] * J,
                oracles.exact(weight) * oracles.exact(point.residual))


def heavy_slack(rng, n):
    """Two rows of score almost 1, not so close that the literal formula cancels."""
    slack = rng.uniform(1, 2, n) * rng.choice([-1.0, 1.0], n)
    slack[[3, n - 1]] = np.array([5e-3, -8e-3]) / np.sqrt(n)
    return slack


@pytest.mark.parametrize("n", [10, 40, 300])
def test_linearisation_is_that_of_the_literal_jacobian(rng, n, monkeypatch):
    monkeypatch.setattr(levinv.storage.dense, "CHUNK_WORK", 1000)      # several blocks
    A = rng.standard_normal((n, 4))
    A[n // 2] = 0.0
    reduced, point, weight = point_of(A, heavy_slack(rng, n))
    assert len(point.projection.heavy) == 2
    J, r = literal(A, point, weight)
    found = linearise_all(point, weight, 0)
    with mpmath.workdps(40):
        effect = J @ oracles.exact(found.steps)
        metric, left = effect.T @ effect, (effect.T @ r).astype(float)
        newton = oracles.inverse(J.T @ J) @ (J.T @ r)
    # The steps change W r by orthonormal vectors; left holds its coefficients on them.
    assert_allclose(metric.astype(float), np.eye(4), atol=1e-12)
    assert_allclose(found.left, left, rtol=1e-11, atol=1e-13 * np.linalg.norm(left))
    assert_allclose(found.steps @ found.left, newton.astype(float), rtol=1e-10)


def test_gradient(rng):
    A = rng.standard_normal((200, 3))
    A[7] = 0.0
    reduced, point, weight = point_of(A, heavy_slack(rng, 200))
    J, r = literal(A, point, weight)
    with mpmath.workdps(40):
        expected = (J.T @ r).astype(float)
    assert_allclose(gradient(point, weight), expected, rtol=1e-13)


def test_gradient_with_a_zero_slack(rng):
    A = rng.standard_normal((50, 3))
    slack, gradients = rng.exponential(size=50), []
    for small in (1e-9, 0.0):
        slack[4] = small
        reduced, point, weight = point_of(A, slack)
        gradients.append(gradient(point, weight))
    assert_allclose(gradients[0], gradients[1], rtol=1e-6)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("known", [1.0, 0.0])
def test_a_trial_is_the_point_and_its_gradient(rng, plain, known, monkeypatch):
    monkeypatch.setattr(levinv.storage.dense, "CHUNK_WORK", 1000)
    A = rng.standard_normal((300, 3))
    A[7] = 0.0
    slack = rng.uniform(1, 2, 300) * rng.choice([-1.0, 1.0], 300)
    reduced, _, weight = point_of(A, slack)
    reduced = replace(reduced, use_A=plain)
    reduced.rows.in_memory = False
    weight[20] *= known
    b, target = A @ np.ones(3) - slack, rng.uniform(size=300)
    trials = StreamingLoss(Loss(reduced, b, target, weight))
    assert trials.start(np.zeros(3)).point is not None
    trial = trials.at(np.ones(3), np.inf)
    assert trial.point is None                                         # three passes were enough
    projection = project(reduced.rows, np.abs(slack), reduced.columns, reduced.left_out)
    residual = np.where(reduced.active, projection.scores - target, 0.0)
    assert_allclose(trial.norm, np.linalg.norm(weight * residual), rtol=1e-12)
    assert_allclose(trial.max_residual, np.abs(residual).max(), rtol=1e-12)
    expected = 2.0 * (A / slack[:, None]).T @ projection.laplacian(weight ** 2 * residual)
    assert_allclose(trial.gradient, expected, rtol=1e-9)
    assert trials.at(np.ones(3), 0.5 * trial.norm).gradient is None
    assert_allclose(trials.with_point(trial).point.slack, slack, rtol=1e-12)
    heavy = trials.at(np.linalg.solve(A[:3], b[:3]), np.inf)            # on three hyperplanes
    assert len(heavy.point.projection.heavy) == 3 and np.isfinite(heavy.gradient).all()


@pytest.mark.parametrize("design", [designs.gaussian, designs.one_hot, designs.cauchy])
def test_a_sample_of_rows_stands_for_all(rng, design):
    A = design(20_000, 6, rng)
    slack = rng.exponential(size=20_000)
    slack[5] = 1e-9
    reduced, point, _ = point_of(A, slack)
    assert len(point.projection.heavy)
    weight = 1.0 / leverage_scores(A, slack=slack)
    every = linearise_all(point, weight, 0)
    some = linearisation.linearise(point, weight, 0)
    # the sampled matrix in coordinates in which the true one is the identity
    values = np.linalg.svd(np.linalg.solve(every.steps, some.steps), compute_uv=False) ** -2.0
    assert 0.5 < values.min() < values.max() < 2.0
    assert not np.allclose(values, 1.0, atol=1e-6)                 # it was a sample
    assert_allclose(some.left, some.steps.T @ gradient(point, weight))
    again = linearisation.linearise(point, weight, 0)
    assert_array_equal(some.steps, again.steps)


def test_the_sample_is_not_drawn_as_the_data_were():
    """Slacks and sample from one stream: the rows of smallest slack, and no step gets anywhere."""
    n = 20_000
    A = np.random.default_rng(1).standard_normal((n, 5))
    x, slack = np.array([0.3, -0.1, 0.2, 0.5, 0.1]), np.random.default_rng(0).uniform(0.5, 2.0, n)
    b = A @ x - slack
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), signs=1)
    assert result.success and result.nfev < 15
    assert_allclose(result.x, x, rtol=0, atol=1e-15)


def test_correction_is_that_of_bfgs(rng):
    steps, left = rng.standard_normal((4, 4)), rng.standard_normal(4)
    p = rng.standard_normal(4)
    y = p + 0.3 * rng.standard_normal(4)
    found = polishing._corrected(Linearisation(left, np.ones(4), steps, np.zeros((4, 0))), p, y)
    G = np.eye(4) - np.outer(p, p) / (p @ p) + np.outer(y, y) / (y @ p)
    assert_allclose(G @ p, y)
    # the new steps have G as their metric: steps G⁻¹ stepsᵀ, and the Newton step follows
    assert_allclose(found.steps @ found.steps.T, steps @ np.linalg.inv(G) @ steps.T)
    assert_allclose(found.steps @ found.left, steps @ np.linalg.solve(G, left))


def test_concave_changes_correct_nothing(rng):
    model = Linearisation(np.ones(3), np.ones(3), np.eye(3), np.zeros((3, 0)))
    assert polishing._corrected(model, np.ones(3), -np.ones(3)) is model


def test_rough_projection(rng):
    A = rng.standard_normal((100, 3))
    nobody = np.zeros(100, dtype=bool)
    for small, heavy in ((1.0, 0), (1e-3, 0), (1e-6, 1), (0.0, 1)):
        slack = rng.uniform(1, 2, 100)
        slack[2] = small
        rough, full = (f(DenseRows(A), slack, None, nobody) for f in (rough_projection, project))
        assert len(rough.heavy) == heavy
        assert rough.complete == (len(rough.heavy) == len(full.heavy))
        assert_allclose(rough.scores, full.scores, rtol=1e-10)


# whole inversions of long matrices

def blocks(n, d, rng):
    """Two components, a coloop and a zero row."""
    A = rng.standard_normal((n, d))
    first = np.arange(n) < n // 3
    A[first, d // 2:] = 0.0
    A[~first, :d // 2] = 0.0
    A[:, -1] = 0.0
    A[n - 1, -1] = 3.0
    A[n // 2] = 0.0
    return A


def rank_deficient(n, d, rng):
    A = rng.standard_normal((n, d))
    A[:, -1] = A[:, 0] - A[:, 1]
    return A


@pytest.mark.parametrize("n", [400, 6000])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("design", [designs.gaussian, designs.cauchy, designs.one_hot,
                                    designs.polynomial, blocks, rank_deficient])
def test_long_matrices(rng, design, known, n):
    A, x = design(n, 6, rng), rng.standard_normal(6)
    b = A @ x - rng.exponential(size=n) * rng.choice([-1.0, 1.0], n)
    slack = A @ x - b
    loops = ~A.any(axis=1)
    c = np.zeros(n)
    c[~loops] = LeverageMap(A[~loops], b[~loops]).scores(x)
    result = invert_scores(A, b, c, signs=np.where(slack < 0, -1, 1) if known else None, rng=0)
    assert result.success, result.message
    error = result.x - x
    error -= result.null_space @ (result.null_space.T @ error)
    assert np.linalg.norm(error) <= 1e-12 * np.linalg.norm(x)
    assert result.null_space.shape[1] == (design in (blocks, rank_deficient))


def test_zero_slack_in_a_long_matrix(rng):
    A, b, x = rng.standard_normal((3000, 5)), rng.standard_normal(3000), rng.standard_normal(5)
    b[10] = A[10] @ x
    slack = A @ x - b
    slack[10] = 0.0
    result = invert_scores(A, b, leverage_scores(A, slack=slack), rng=0)
    assert result.success, result.message
    assert np.linalg.norm(result.x - x) <= 1e-11 * np.linalg.norm(x)


def test_levenberg_marquardt_takes_over(rng, monkeypatch):
    A, b, x = rng.standard_normal((2500, 5)), rng.standard_normal(2500), rng.standard_normal(5)
    slack = A @ x - b                     # too many rows for the kernel
    c = leverage_scores(A, slack=slack)
    used = []
    marquardt = polishing._levenberg_marquardt
    monkeypatch.setattr(polishing, "_levenberg_marquardt",
                        lambda *args: used.append(1) or marquardt(*args))
    monkeypatch.setattr(polishing, "MAX_USELESS_STEPS", (-1, -1))
    result = invert_scores(A, b, c, signs=np.sign(slack), rng=0)
    assert used
    assert result.success
    assert np.linalg.norm(result.x - x) <= 1e-13 * np.linalg.norm(x)


@pytest.mark.parametrize("n", [800, 9000])
def test_noise_in_a_long_matrix(rng, n):
    A, b, x = rng.standard_normal((n, 4)), rng.standard_normal(n), rng.standard_normal(4)
    c = leverage_scores(A, slack=A @ x - b)
    noise = 0.01 * c.mean()
    noisy = np.clip(c + noise * rng.standard_normal(n), 0, 1)
    result = invert_scores(A, b, noisy, noise=noise, rng=0)
    assert result.success, result.message
    J = LeverageMap(A, b).jacobian(x)
    bound = noise * np.sqrt(np.diag(np.linalg.inv(J.T @ J)))
    assert_allclose(result.standard_errors, bound, rtol=0.25)
    # a stationary point of the likelihood, to a thousandth of the standard errors
    there = LeverageMap(A, b)
    r = there.scores(result.x) - noisy
    J = there.jacobian(result.x)
    assert np.linalg.norm(np.linalg.solve(J.T @ J, J.T @ r)) <= 1e-3 * np.linalg.norm(bound)


def test_wrong_signs_of_a_long_matrix_are_not_accepted(rng):
    A, b, x = rng.standard_normal((2000, 5)), rng.standard_normal(2000), rng.standard_normal(5)
    slack = A @ x - b
    signs = np.sign(slack)
    signs[::7] *= -1
    result = invert_scores(A, b, leverage_scores(A, slack=slack), signs=signs, rng=0)
    assert not result.success
    assert np.isfinite(result.x).all()


@pytest.mark.parametrize("fit", [1.0, 1e3, 1e9])
def test_residual_of_b_on_the_range(rng, fit):
    A = rng.standard_normal((2000, 3))
    reduced = reduce(DenseRows(A), b=np.zeros(2000))
    outside = rng.standard_normal(2000)
    outside -= A @ np.linalg.lstsq(A, outside, rcond=None)[0]
    norms = np.linalg.norm(A, axis=1)
    expected = norms * (outside / norms
                        - A / norms[:, None]
                        @ np.linalg.lstsq(A / norms[:, None], outside / norms, rcond=None)[0])
    b = outside + fit * A @ np.ones(3)
    found = response_in_range(reduced, b, b)
    assert not found.inside[0]
    assert_allclose(found.residual, expected, atol=1e-14 * fit + 1e-13)
