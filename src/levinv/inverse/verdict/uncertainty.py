"""How well x is determined: null space, standard errors, condition.

Standard errors are the Cramér-Rao bound: the norms of the rows of ``steps``, which change the
whitened residual by unit vectors. For exact scores they are multiplied by the RMS of the whitened
residual if it exceeds 1, and the effects of rounding A x - b and of hidden slacks are added.

*Null space*: the directions in which x can move without changing any score. The presolve gives
candidates. They depend on what counts as zero: entries that connect rows, and pivots. But an entry
of 1e-10 changes the scores noticeably if the slacks differ by many orders of magnitude. So every
candidate v is checked against the Jacobian J at the point found,

    |J v|  <=  √ε max|F v|  +  100 ε max |f_i| |a_i| |v|,   F = diag(f) A,  f = -τ'/2,

where the last term bounds the effect of rounding v. If a candidate fails and no scale is free, the
candidates are computed again as the last right singular vectors of the rows that are no coloops:
these are accurate in every row, unlike combinations of almost parallel coloop directions. A
candidate that still fails is undetermined: it is not in the null space, but the scores do not
determine it either. Then ``unique`` is False.
"""
import math

import numpy as np

from levinv._tolerances import EPS, ROUNDING_FACTOR, TINY, UNIT_ROUNDOFF
from levinv._typing import Booleans, Floats
from levinv.inverse.stages.presolve import response_in_range
from levinv.inverse.stages.reduction import orthonormal_columns
from levinv.inverse.stages.whitened_jacobian import propagated, reweighted
from levinv.inverse.values import Point, Presolved, Refined, Uncertainty
from levinv.inverse.verdict.acceptance import hidden_errors, hidden_score_changes, hidden_slacks


def uncertainty(presolved: Presolved, best: Refined, rounding: Floats) -> Uncertainty:
    """The uncertainty at the point found; ``rounding``, (n,), bounds its effect on the scores."""
    reduced, problem = presolved.reduced, presolved.problem
    point, model = best.point, best.linearisation
    free, undetermined = _null_space(presolved, point, orthonormal_columns(
        np.column_stack([reduced.free, *_scale_directions(presolved, point.slack),
                         *_directions_at(presolved, point)])))
    standard_errors = np.hypot.reduce(model.steps, axis=1)       # squares may overflow
    information_limit, accuracy = None, 0.0
    if problem.exact:
        information_limit = float(np.hypot.reduce(standard_errors))
        changes = rounding / math.sqrt(12.0)
        accuracy = max(point.max_residual, float(changes.max(initial=0.0)))
        hidden = hidden_slacks(presolved, point) if len(reduced.zero_slack) else None
        if hidden is not None:
            changes += hidden_score_changes(presolved, point, hidden)
        standard_errors = np.hypot(standard_errors * max(1.0, presolved.rms(point)),
                                   propagated(model, changes * presolved.weight()))
        if hidden is not None:
            standard_errors = np.hypot(standard_errors, hidden_errors(presolved, hidden))
    for directions in (free, undetermined, model.flat):
        lengths = np.hypot.reduce(directions, axis=1)
        standard_errors[lengths > math.sqrt(EPS) * np.hypot.reduce(lengths)] = np.inf
    return Uncertainty(free, undetermined, model.flat, standard_errors, information_limit,
                       accuracy, _condition(presolved, best, np.column_stack([free, undetermined])))


def _scale_directions(presolved: Presolved, slack: Floats) -> list[Floats]:
    """For each component whose level is free, the direction whose image changes t by a constant:
    for powers its image is the slack.
    """
    reduced, rows = presolved.reduced, presolved.problem.rows
    start = reduced.start
    if presolved.range.image is not None:
        with np.errstate(divide="ignore"):
            slope = 1.0 / presolved.problem.model.weighting.derivative(slack)
        # at the mode every direction will do
        slack = np.where(np.isfinite(slope), slope, presolved.range.image)
    weighted = reduced.unit ** 2 * slack
    weighted /= np.abs(weighted).max(initial=TINY)           # columns may have any units
    return [start @ (start.T @ rows.rmatvec(np.where(reduced.label == c, weighted, 0.0)))
            for c in range(reduced.count) if presolved.range.inside[c]]


def _directions_at(presolved: Presolved, point: Point) -> list[Floats]:
    """For weightings that are not powers: the v with D A v constant on a component, D = diag(τ'),
    that exist at this x only, as the intercept does if all η are equal.
    """
    reduced, rows, found = presolved.reduced, presolved.problem.rows, []
    if presolved.problem.model.is_power:
        return []
    slope = point.model.weighting.times_slope(np.ones(len(point.slack)), point.slack)
    with np.errstate(divide="ignore"):
        image = np.where(slope != 0, 1.0 / slope, 0.0)
    level = response_in_range(reduced, image, image)
    for c in range(reduced.count):
        member, basis = reduced.label == c, reduced.bases[c]
        if not presolved.range.inside[c] and level.inside[c] and slope[member].all():
            weighted = np.where(member, reduced.unit ** 2 * image, 0.0)
            found.append(basis @ (basis.T @ rows.rmatvec(weighted)))
    return found


def _condition(presolved: Presolved, best: Refined, free: Floats) -> float:
    """The largest relative change of x, without ``free``, for relative changes of the scores."""
    problem = presolved.problem
    point, model = best.point, best.linearisation
    if not np.any(point.x) or not model.steps.shape[1] or model.flat.size:
        return np.inf
    unit = UNIT_ROUNDOFF
    if problem.noise is not None:
        counted = presolved.reduced.active & (problem.scores > TINY)
        weight = np.where(counted, 1.0 / np.where(counted, problem.scores, 1.0), 0.0)
        model = reweighted(point, 1.0 / problem.noise, model, weight * problem.noise,
                           presolved.null_dimension)
        unit = 1.0
    steps = model.steps
    if free.shape[1]:
        steps = steps - free @ (free.T @ steps)
    if not steps.size:
        return np.inf
    largest = float(np.linalg.svd(steps, compute_uv=False)[0])
    return float(largest / (unit * np.hypot.reduce(point.x)))


def _null_space(presolved: Presolved, point: Point,
                directions: Floats) -> tuple[Floats, Floats]:
    """Split ``directions``, (d, k) orthonormal, into the null space and undetermined directions."""
    if not directions.shape[1]:
        return directions, directions
    moved, change = _moves_scores(presolved, point, directions)
    if moved.any() and not presolved.range.inside.any():
        reduced, scale = presolved.reduced, presolved.reduced.unit.copy()
        scale[reduced.loops] = scale[reduced.coloops] = 0.0
        vectors = np.linalg.svd(reduced.rows.triangle(scale, None))[2]
        again = np.ascontiguousarray(vectors[len(vectors) - directions.shape[1]:].T)
        moved_again, change_again = _moves_scores(presolved, point, again)
        if moved_again.sum() < moved.sum():
            directions, moved, change = again, moved_again, change_again
    # rotate the directions so that as few as possible change a score
    if moved.any() and directions.shape[1] > 1 and np.isfinite(change).all():
        rotated = directions @ np.linalg.svd(change)[2].T
        moved_rotated, _ = _moves_scores(presolved, point, rotated)
        if moved_rotated.sum() < moved.sum():
            directions, moved = rotated, moved_rotated
    return directions[:, ~moved], directions[:, moved]


def _moves_scores(presolved: Presolved, point: Point,
                  directions: Floats) -> tuple[Booleans, Floats]:
    """Which directions change a score, (k,), and the changes of the scores, (n, k)."""
    reduced, rows = presolved.reduced, presolved.problem.rows
    n = len(point.slack)
    counted = point.slack != 0 if presolved.problem.model.has_pole else np.ones(n, dtype=bool)
    counted[reduced.zero_slack] = counted[reduced.loops] = False
    with np.errstate(all="ignore"):
        slope = point.model.weighting.times_slope(counted.astype(float), point.slack)
        moved = rows.matvec(directions) * slope[:, None]
        largest = np.abs(moved).max(axis=0)
        rounding = EPS * np.max(rows.row_norms() * np.abs(slope))
        allowed = math.sqrt(EPS) * largest + ROUNDING_FACTOR * rounding
        moved[~reduced.active] = 0.0
        if np.all(4.0 * np.abs(moved).max(axis=0) <= allowed):    # |J v| is at most this
            return np.zeros(len(allowed), dtype=bool), np.zeros_like(moved)
        change = 2.0 * point.projection.laplacian(moved)
        change[~reduced.active] = 0.0
        return ~(np.abs(change).max(axis=0) <= allowed), change
