"""How well x is determined: null space, standard errors, condition.

Standard errors are the Cramér-Rao bound: the norms of the rows of ``steps``, which change the
whitened residual by unit vectors. For exact scores they are multiplied by the RMS of the whitened
residual if it exceeds 1, and the effects of rounding A x - b and of hidden slacks are added.
"""
import math

import numpy as np

from levinv._tolerances import EPS, TINY, UNIT_ROUNDOFF
from levinv._typing import Floats
from levinv.inverse.stages.reduction import orthonormal_columns
from levinv.inverse.stages.whitened_jacobian import propagated, reweighted
from levinv.inverse.values import Presolved, Refined, Uncertainty
from levinv.inverse.verdict.null_space import null_space
from levinv.inverse.verdict.rounding import hidden_errors, hidden_score_changes, hidden_slacks


def uncertainty(presolved: Presolved, best: Refined, rounding: Floats) -> Uncertainty:
    """The uncertainty at the point found; ``rounding``, (n,), bounds its effect on the scores."""
    reduced, problem = presolved.reduced, presolved.problem
    point, model = best.point, best.linearisation
    free, undetermined = null_space(presolved, point, orthonormal_columns(
        np.column_stack([reduced.free, *_scale_directions(presolved, point.slack)])))
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
    """For each component whose scale is free, the direction whose image is its slack."""
    reduced, rows = presolved.reduced, presolved.problem.rows
    start = reduced.start
    weighted = reduced.unit ** 2 * slack
    weighted /= np.abs(weighted).max(initial=TINY)           # columns may have any units
    return [start @ (start.T @ rows.rmatvec(np.where(reduced.label == c, weighted, 0.0)))
            for c in range(reduced.count) if presolved.range.inside[c]]


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
