"""Rounded scores: the local minima of a component, and no `unique` that another x contradicts."""
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import oracles
from acceptance_rooms.noise import DESIGNS, nearest, rounded_problem
from levinv import LeverageMap, invert_scores, leverage_scores
from levinv._kernels import cells as portable
from levinv.inverse.compiled import cells as kernel
from levinv.inverse.stages.branches import _in_all_cells as points_in_all_cells
from levinv.inverse.stages.branches import (
    branches,
    can_enumerate,
    descended,
    reflected,
)
from levinv.inverse.stages.noisy_component import NoisyComponent
from levinv.inverse.stages.presolve import _bases_by_score
from levinv.inverse.stages.reduction import reduce
from levinv.inverse.verdict.acceptance import chi_squared_limit
from levinv.storage import DenseRows
from levinv.weighting.names import as_weighting
from levinv.weighting.protocol import Power


def component(rng, m, rank, weighting=None, log_prior=None, noise=1e-3):
    weighting = as_weighting(weighting)
    matrix, offset = rng.standard_normal((m, rank)), rng.standard_normal(m)
    y = rng.standard_normal(rank)
    log_weight = weighting.log_weight(matrix @ y - offset)
    if log_prior is not None:
        log_weight = log_weight + log_prior
    scores = oracles.scores(np.exp(0.5 * log_weight)[:, None] * matrix)
    return NoisyComponent(matrix, offset, scores, np.full(m, 1.0 / noise), weighting,
                          log_prior), y


@pytest.mark.parametrize("weighting", [None, "binomial", "poisson", ("binomial", "cloglog")])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_misfit_and_its_derivatives(rng, weighting, rank):
    part, y = component(rng, 12, rank, weighting, np.log(rng.uniform(0.5, 2.0, 12)))
    trials = y + 0.1 * rng.standard_normal((5, rank))
    assert part.misfits(y[None])[0] < 1e-18
    for trial, misfit in zip(trials, part.misfits(trials), strict=True):
        t = part.weighting.log_weight(part.matrix @ trial - part.offset) + part.log_prior
        scores = oracles.scores(np.exp(0.5 * t)[:, None] * part.matrix)
        assert_allclose(misfit, np.sum((part.weight * (scores - part.scores)) ** 2), rtol=1e-9)
    _, gradient, eta = part.normal_equations(trials)
    assert_allclose(eta, trials @ part.matrix.T - part.offset, rtol=1e-12, atol=1e-12)
    for direction in np.eye(rank):
        slopes = [oracles.central_difference(lambda z: part.misfits(z[None])[0], trial, direction,
                                             1e-4) for trial in trials]
        assert_allclose(2.0 * gradient @ direction, slopes, rtol=1e-5,
                        atol=1e-6 * np.abs(gradient).max())


def test_normal_matrix(rng):
    part, y = component(rng, 12, 2)
    normal, _, _ = part.normal_equations(y[None])
    jacobian = part.weight[:, None] * oracles.jacobian(part.matrix, part.matrix @ y - part.offset)
    assert_allclose(normal[0], jacobian.T @ jacobian, rtol=1e-9)


@pytest.mark.parametrize("m, rank", [(6, 1), (30, 1), (7, 2), (15, 2), (8, 3)])
def test_points_in_all_cells(rng, m, rank):
    part, _ = component(rng, m, rank)
    points, misfit = kernel.best_points(*part.compiled, np.array([0.01, 0.1, 0.5]), 4000)
    cells = {tuple(row) for row in points @ part.matrix.T > part.offset}
    drawn = np.concatenate([rng.standard_normal((20000, rank)) * scale
                            for scale in (0.3, 1.0, 3.0, 30.0)])
    assert {tuple(row) for row in drawn @ part.matrix.T > part.offset} <= cells
    assert len(cells) == len(points)
    assert np.all(np.diff(misfit) >= 0)
    assert_allclose(part.misfits(points), misfit, rtol=1e-6)


@pytest.mark.parametrize("m, rank", [(12, 1), (9, 2), (8, 3)])
@pytest.mark.parametrize("weighting", [None, "binomial", ("binomial", "cloglog"), "poisson"])
@pytest.mark.parametrize("module", [portable, kernel])
def test_kernel_and_python(rng, m, rank, weighting, module):
    part, y = component(rng, m, rank, weighting, np.log(rng.uniform(0.5, 2.0, m)))
    general = replace(part)
    general.__dict__["compiled"] = None      # as of a weighting that the kernel does not know
    assert_allclose(module.misfits(*part.compiled, y[None] + 0.1), general.misfits(y[None] + 0.1))
    points = points_in_all_cells(general)
    here, misfit = module.best_points(*part.compiled, np.array([0.01, 0.1, 0.5]), 64)
    assert_allclose(misfit[:20], general.misfits(points)[:20], rtol=1e-7)
    starts = points[:5]
    ends, least = descended(general, starts, 30.0, in_cell=part.has_pole)
    y, after = starts.copy(), np.empty(len(starts))
    module.descend(*part.compiled, y, after, 30.0, np.inf, part.has_pole)
    defined = np.isfinite(part.misfits(y))         # where both sums of the scores are the rank
    assert_allclose(after[defined], part.misfits(y)[defined], rtol=1e-5, atol=1e-6)
    assert_allclose(after, least, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("rows, rank", [(20, 1), (16, 2), (20, 3)])
@pytest.mark.parametrize("decimals, weighting", [(2, None), (3, None), (2, Power(1.0)),
                                                 (3, Power(3.0))])
def test_sign_changes(rows, rank, decimals, weighting):
    """All sign vectors that the cells show are among those of the linear model."""
    cases = missed = others = 0
    for seed in range(12):
        rng = np.random.default_rng([seed, rank, decimals])
        exact, _ = component(rng, rows, rank, weighting, noise=10.0 ** -decimals / np.sqrt(12.0))
        part = replace(exact, scores=exact.scores.round(decimals))
        limit = chi_squared_limit(rows - rank)
        found = branches(part, None, limit)
        if not found.misfit[0] <= limit:
            continue
        starts, tried = kernel.sign_changes(*part.compiled, found.y[0],
                                            *part.halves(found.y[0]), limit)
        if tried < 2:
            continue
        cases += 1
        ends, misfit = descended(part, starts, limit, in_cell=part.has_pole)
        sides = {tuple(row) for row in ends[misfit <= limit] @ part.matrix.T > part.offset}
        for other in found.y[1:][found.misfit[1:] <= limit]:
            others += 1
            missed += tuple(part.matrix @ other > part.offset) not in sides
    assert missed <= others // 20
    assert cases >= 6


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("decimals", [2, 4])
def test_the_truth_is_a_minimum(rank, decimals):
    for seed in range(20):
        rng = np.random.default_rng([seed, rank, decimals])
        part, y = component(rng, 10, rank, noise=10.0 ** -decimals / np.sqrt(12.0))
        rounded = NoisyComponent(part.matrix, part.offset, part.scores.round(decimals),
                                 part.weight, part.weighting, None)
        found = branches(rounded, None, 40.0)
        assert found.enumerated
        assert np.all(np.diff(found.misfit) >= 0)
        jacobian = part.weight[:, None] * oracles.jacobian(part.matrix,
                                                           part.matrix @ y - part.offset)
        distances = [np.linalg.norm(jacobian @ (other - y)) for other in found.y]
        assert min(distances) <= 3.0 * np.sqrt(rank) + 4.0


def test_enumeration_has_a_limit():
    assert can_enumerate(200, 1) and can_enumerate(60, 2) and can_enumerate(14, 4)
    assert not can_enumerate(200, 2)
    assert not can_enumerate(60, 8)


def rounded_one_hot(seed):
    """A level with two sign vectors that rounding does not tell apart."""
    n, d = 30, 4
    rng = np.random.default_rng(seed)
    A = np.column_stack([np.ones(n), np.eye(d)[rng.integers(0, d, n)][:, 1:]])
    x, b = rng.standard_normal(d), rng.standard_normal(n)
    return A, b, x, oracles.scores(A / (A @ x - b)[:, None]).round(3)


@pytest.mark.parametrize("seed", [10, 18, 19, 27, 29, 33])
def test_another_sign_vector_fits(seed):
    A, b, x, c = rounded_one_hot(seed)
    result = invert_scores(A, b, c, decimals=3, rng=seed)
    assert result.success and not result.unique and len(result.alternatives)
    deviation = 1e-3 / np.sqrt(12.0)
    chi_squared = [np.sum((leverage_scores(A, slack=A @ z - b) - c) ** 2) / deviation ** 2
                   for z in (result.x, *result.alternatives)]
    assert max(chi_squared) <= result.evidence["fit"]["limit"]
    assert all(part["enumerated"] for part in result.evidence["branches"])
    jacobian = LeverageMap(A, b).jacobian(x) / deviation
    assert np.linalg.norm(jacobian @ (nearest(A, result, x, jacobian) - x)) <= 10.0


@pytest.mark.parametrize("kind", DESIGNS)
@pytest.mark.parametrize("decimals", [2, 3, 4])
def test_no_wrong_unique(kind, decimals):
    solved = 0
    for seed in range(1000, 1006):
        problem = rounded_problem(np.random.default_rng([seed, decimals]), kind, None, decimals)
        if problem is None:
            continue
        A, b, x, c, jacobian = problem
        result = invert_scores(A, b, c, decimals=decimals, rng=seed)
        allowed = 3.0 * np.sqrt(A.shape[1]) + 4.0
        solved += result.success
        if result.unique:
            assert np.linalg.norm(jacobian @ (result.x - x)) <= allowed
        if result.success:
            assert np.linalg.norm(jacobian @ (nearest(A, result, x, jacobian) - x)) <= allowed
    assert solved


def test_a_slack_that_rounding_hides():
    """χ² falls while a slack tends to zero: the x reported has a score that can be computed."""
    A, b = np.column_stack([np.ones(6), [0, 0, 0, 1, 1, 1.0]]), np.arange(6.0)
    slack = A @ [1e-3, 2.3] - b
    c = leverage_scores(A, slack=slack).round(2)
    assert c[0] == 1.0
    result = invert_scores(A, b, c, decimals=2, rng=0)
    assert result.success and not result.unique
    assert abs(result.x[0] - 1e-3) <= 4.0 * result.standard_errors[0]


def test_no_reflection_where_squares_underflow(rng):
    """A matrix of NaN was handed to LAPACK."""
    part, y = component(rng, 8, 2)
    tiny = NoisyComponent(1e-200 * part.matrix, part.offset, part.scores, part.weight,
                          part.weighting, None)
    assert reflected(tiny, y, [np.array([3]), np.array([1, 3])]).shape == (0, 2)
    assert reflected(part, y, [np.array([3]), np.array([1, 3])]).shape == (2, 2)


@pytest.mark.parametrize("seed", [8, 47, 106])
def test_a_slack_of_almost_zero(seed):
    """On its other side χ² was not computed accurately enough to count."""
    rng = np.random.default_rng(seed)
    A, b, x = rng.standard_normal((60, 8)), rng.standard_normal(60), rng.standard_normal(8)
    c = oracles.scores(A / (A @ x - b)[:, None]).round(3)
    result = invert_scores(A, b, c, decimals=3, rng=0)
    assert result.success and not result.unique and len(result.alternatives) == 1
    slacks = A @ np.array([result.x, result.alternatives[0]]).T - b[:, None]
    changed = np.flatnonzero(slacks[:, 0] * slacks[:, 1] < 0)
    assert len(changed) == 1 and c[changed[0]] == 1.0
    assert_allclose(leverage_scores(A, slack=slacks[:, 1]), c, atol=1.5e-3)


def test_scores_beside_a_slack_of_almost_zero(rng):
    """Rows of large score are the first in the coordinates: the other scores lose no digits."""
    A, slack = rng.standard_normal((60, 8)), rng.standard_normal(60)
    slack[17] = 1e-8
    scores, _ = oracles.limit_at_zero_slack(A, np.where(slack == 1e-8, 0.0, slack))
    reduced = reduce(DenseRows(A))
    matrix = A @ _bases_by_score(reduced, scores)[0]
    offset, weight = -slack, np.full(60, 1e6)
    kind, parameters = NoisyComponent(matrix, offset, scores, weight, as_weighting(None),
                                      None).compiled[-2:]
    for module in portable, kernel:
        assert module.misfits(matrix, offset, scores, weight, None, kind, parameters,
                              np.zeros((1, 8)))[0] < 1e-14


def test_descent_to_a_slack_of_almost_zero():
    """With an inaccurate χ² the descent had stopped short of the limit."""
    rng = np.random.default_rng([60, 8])
    A, b, x = (rng.standard_normal((60, *shape))[31] for shape in ((60, 8), (60,), (8,)))
    scores = LeverageMap(A, b).scores(x).round(4)
    found = invert_scores(A, b, scores, decimals=4)
    assert found.success and not found.unique and scores[23] == 1.0
    assert np.count_nonzero((A @ found.x - b) * (A @ found.alternatives[0] - b) < 0) == 1


def test_two_minima_at_a_slack_of_almost_zero():
    """One on each side, a twentieth of a standard error apart."""
    rng = np.random.default_rng([100, 20])
    A, b, x = (rng.standard_normal((60, *shape))[48] for shape in ((100, 20), (100,), (20,)))
    found = invert_scores(A, b, LeverageMap(A, b).scores(x).round(2), decimals=2)
    assert found.success and not found.unique


@pytest.mark.parametrize("weighting", [None, "binomial"])
def test_other_x_beside_a_large_offset(weighting):
    """A large b moves every x: a difference that is small beside x counts all the same."""
    rng = np.random.default_rng(18)
    A = np.column_stack([np.ones(30), np.eye(4)[rng.integers(0, 4, 30)][:, 1:]])
    x, b = rng.standard_normal(4), rng.standard_normal(30)
    scores = LeverageMap(A, b, weighting=weighting).scores(x).round(3)
    near, far = (invert_scores(A, b + A @ shift, scores, weighting=weighting, decimals=3, rng=0)
                 for shift in (np.zeros(4), np.full(4, 1e5)))
    assert near.success and far.success
    assert near.unique == far.unique and len(near.alternatives) == len(far.alternatives)


@pytest.mark.parametrize("kind, decimals, seed", [("slopes", 3, 135), ("real", 2, 101)])
def test_the_cell_of_another_start(kind, decimals, seed):
    """The truth differs in the sign of one small slack: a start of other signs had taken the place
    in its cell, and a linear model away from a solution did not reach it.
    """
    A, b, x, scores, jacobian = rounded_problem(np.random.default_rng([seed, decimals]), kind,
                                                None, decimals)
    found = invert_scores(A, b, scores, decimals=decimals, rng=seed)
    assert found.success and not found.unique
    assert np.linalg.norm(jacobian @ (nearest(A, found, x, jacobian) - x)) < 10.0


@pytest.mark.parametrize("seed", [16, 101])
def test_almost_mirrored(seed):
    """The offset is small beside A x, so that -x almost has the scores of x."""
    A, b, x, scores, jacobian = rounded_problem(np.random.default_rng([seed, 2]), "cauchy",
                                                "binomial", 2)
    found = invert_scores(A, b, scores, weighting="binomial", decimals=2, rng=seed)
    assert found.success and not found.unique
    assert np.linalg.norm(jacobian @ (nearest(A, found, x, jacobian) - x)) < 10.0


@pytest.mark.parametrize("seed", [3, 15, 33])
def test_rounding_errors_that_are_alike(seed):
    """Least squares leaves 1.27 noise levels, because most rows have nearly the same score."""
    A, b, x, scores, _ = rounded_problem(np.random.default_rng([seed, 2]), "real", "binomial", 2)
    found = invert_scores(A, b, scores, weighting="binomial", decimals=2, rng=seed)
    assert found.success and np.abs(found.scores - scores).max() <= 0.005
    plain = invert_scores(A, b, scores, weighting="binomial", noise=0.01 / 12 ** 0.5, rng=seed)
    assert not plain.success


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_minima_that_fit_alike(seed):
    """As many scores as unknowns, but for their sum: several x have χ² of zero, in one cell or in
    several. Each that is listed has the scores.
    """
    rng = np.random.default_rng([9, seed])
    A, b, x = rng.standard_normal((5, 4)), rng.standard_normal(5), rng.standard_normal(4)
    scores = LeverageMap(A, b, weighting=("binomial", "cloglog")).scores(x)
    found = invert_scores(A, b, scores, weighting=("binomial", "cloglog"), noise=1e-6)
    points = np.array([found.x, *found.alternatives])
    assert found.success and not found.unique and len(points) > 1
    for point in points:
        here = LeverageMap(A, b, weighting=("binomial", "cloglog")).scores(point)
        assert np.abs(here - scores).max() < 5e-6


def test_no_unique_where_standard_errors_are_infinite():
    """Three scores of one, the others zero: the x in which their hyperplanes meet is a minimum, and
    all signs of the three slacks have scores that round to these.
    """
    rng = np.random.default_rng([30, 3, 92])
    A, b, x = rng.standard_normal((30, 3)), rng.standard_normal(30), rng.standard_normal(3)
    scores = LeverageMap(A, b, weighting=Power(3.0)).scores(x).round(2)
    found = invert_scores(A, b, scores, weighting=Power(3.0), decimals=2)
    assert found.success and not found.unique
