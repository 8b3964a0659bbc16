"""Whether a point has the scores that are given.

Exact scores are had to tol, or to what rounding of x and of A x - b to double changes in them;
noisy ones to the chi-squared test. Rows of zero slack must have it to rounding, or so nearly that
their scores are 1 to tol, and known signs must be those of the slack, where it is clear of zero.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special

from levinv._typing import Floats, RowIndex
from levinv.forward.basis import EPS
from levinv.inverse.stages.refine import Polished
from levinv.inverse.stages.whitened_jacobian import Point
from levinv.inverse.task import Task
from levinv.inverse.verdict.report import (
    SETTLED,
    changed_by_rounding,
    hidden_slacks,
    slack_rounding,
    unseen,
)

LEVEL = 1e-3                       # of the chi-squared test
NOISE_KNOWN = 1.1                  # residual, in noise levels, that is explained however many rows
                                   # there are
CLEAR = 4.0                        # standard deviations of a slack from zero at which its sign
                                   # counts
TO_ROUNDING = 100.0                # times the residual that rounding leaves
UNKNOWN = 1e200                    # stands for an infinite standard error in sums


def matched(task: Task) -> bool:
    """Whether the best point has the scores."""
    return task.best is not None and has_scores(task, task.best)


def has_scores(task: Task, found: Polished) -> bool:
    """Whether a point has the scores."""
    if task.obstacles or not signs_agree(task, found):
        return False
    point = found.point
    if not _equations_hold(task, point):
        return False
    if task.exact:
        return within_tolerance(task, point, slice(None)) and _apart(task, point)
    residual, coloops = point.residual, task.reduced.coloops
    residual[coloops] = 1.0 - task.scores[coloops]
    freedom = (np.count_nonzero(task.reduced.active) + len(coloops)
               - found.linearisation.steps.shape[1])
    return (explained_by_noise(residual / task.deviation(), freedom)
            and told(task, point, changed_by_rounding(task, point)) and _apart(task, point))


def signs_agree(task: Task, found: Polished) -> bool:
    """Whether the slack has the known signs, in the rows in which it is clear of zero."""
    if task.known_signs is None:
        return True
    reduced, slack = task.reduced, found.point.slack
    told = reduced.active.copy()
    told[reduced.spanned] = told[reduced.coloops] = True
    if np.all((np.sign(slack) == task.known_signs)[told]):
        return True
    spread = np.sqrt(task.rows.quad(None, found.linearisation.steps))
    if task.exact:
        spread = spread * max(1.0, task.rms(found.point))
        if len(reduced.zero_slack):
            spread = spread + task.rows.abs_matvec(
                np.minimum(unseen(task, hidden_slacks(task, found.point)), UNKNOWN))
    clear = told & (np.abs(slack) > CLEAR * spread + slack_rounding(task, found.point))
    return bool(np.all(np.sign(slack[clear]) == task.known_signs[clear]))


def beyond_doubt(task: Task) -> bool:
    """Whether the best point has the scores, exact ones to little more than rounding: within tol,
    other signs may have them, too.
    """
    if task.best is None or not matched(task):
        return False
    if not task.exact:
        return True
    point, weight = task.best.point, task.weight()
    rounding = float(np.linalg.norm(changed_by_rounding(task, point) * weight))
    return point.size <= TO_ROUNDING * max(rounding, math.sqrt(np.count_nonzero(weight)))


def _equations_hold(task: Task, point: Point) -> bool:
    """Whether the rows of zero slack have it at a point, to rounding, or so nearly that their
    scores are 1 to tol; and those spanned by them have not.
    """
    reduced = task.reduced
    zero, slack = reduced.zero_slack, np.abs(point.slack)
    if not len(zero):
        return True
    rounding = len(point.x) * EPS * (task.rows.abs_matvec(np.abs(point.x)) + np.abs(task.b))
    if np.any(slack[reduced.spanned] <= rounding[reduced.spanned]):
        return False                           # dependent rows of zero slack: no scores there
    if np.all(slack[zero] <= rounding[zero]):
        return True
    without = np.isin(np.arange(len(slack)), np.append(reduced.loops, reduced.coloops))
    slack[slack < np.finfo(float).tiny] = 0.0
    whole = task.whole_projection(slack, without)
    return whole is not None and bool(np.all(whole.complement()[zero] <= task.tol))


def _apart(task: Task, point: Point) -> bool:
    """Whether entries that were taken for zero between components and coloops are zero to the
    scores, too: slacks far apart magnify them.
    """
    reduced = task.reduced
    slack = np.abs(point.slack)
    slack[reduced.zero_slack] = 0.0
    sizes = (slack * reduced.unit)[slack * reduced.unit > 0]
    allowed = task.tol if task.exact else task.deviation()
    if not len(sizes) or reduced.gap * (sizes.max() / sizes.min()) <= np.min(allowed):
        return True
    scores = np.where(reduced.active, point.projection.scores, 0.0)
    scores[reduced.coloops] = scores[reduced.zero_slack] = 1.0
    without = np.isin(np.arange(len(slack)), reduced.loops)
    whole = task.whole_projection(slack, without)
    return whole is not None and bool(np.all((np.abs(whole.scores - scores) <= allowed)[~without]))


def within_tolerance(task: Task, point: Point, member: RowIndex) -> bool:
    """Whether the errors of exact scores are allowed, on some of the rows."""
    error = np.abs(point.residual[member])
    return bool(np.all(error <= task.tol) or np.all(error <= allowed_errors(task, point)[member]))


def told(task: Task, point: Point, changed: Floats) -> bool:
    """Whether scores that rounding changes so are known to 100 tol, or to the noise: far off,
    A x - b cancels.
    """
    if task.exact:
        return bool(np.max(changed, initial=0.0) <= 100.0 * np.sqrt(12.0) * task.tol)
    known = changed <= task.deviation()
    known &= np.abs(point.slack) > slack_rounding(task, point)
    return bool(known[task.reduced.active].all())


def allowed_errors(task: Task, point: Point) -> Floats:
    """Errors of exact scores that count as none, (n,): tol and, within limits, what rounding of x
    and of A x - b to double changes in each.
    """
    return task.tol + np.minimum(changed_by_rounding(task, point), 100.0 * task.tol)


def settled_on(task: Task, c: int) -> bool:
    """Whether the best point matches the scores on component c."""
    if task.best is None:
        return False
    member = task.reduced.members(c)
    whitened = task.best.point.residual[member] / task.deviation()[member]
    if task.exact:
        return (np.sqrt(np.mean(whitened ** 2)) <= SETTLED
                and within_tolerance(task, task.best.point, member))
    freedom = len(member) - task.reduced.bases[c].shape[1] - 1
    return explained_by_noise(whitened, freedom)


def explained_by_noise(whitened: Floats, freedom: int) -> bool:
    """Chi-squared test of a residual in units of its standard deviation, which is known to one part
    in ten at best.
    """
    return bool(whitened @ whitened <= _most_explained(freedom))


def _most_explained(freedom: int) -> float:
    freedom = max(freedom, 1)
    return float(max(scipy.special.chdtri(freedom, LEVEL), NOISE_KNOWN ** 2 * freedom))


def evidence_of_fit(task: Task, best: Polished) -> dict[str, Any]:
    """Evidence of the fit: what was compared with what. Outliers are left out."""
    point, active = best.point, task.reduced.active
    rows = active
    if task.outliers is not None and len(task.outliers.rows):
        rows = active.copy()
        rows[task.outliers.rows] = False
    error = np.abs(point.residual[rows])
    if not task.exact:
        error = np.append(error, 1.0 - task.scores[task.reduced.coloops])
    found = {"rows": len(error), "largest_error": float(error.max(initial=0.0))}
    if task.exact:
        return found | {"test": "tolerance", "tolerance": task.tol}
    freedom = max(len(error) - best.linearisation.steps.shape[1], 1)
    deviation = np.append(task.deviation()[rows], task.deviation()[task.reduced.coloops])
    chi_squared = float(np.sum((error / deviation) ** 2))
    return found | {"test": "chi-squared", "chi_squared": chi_squared,
                    "degrees_of_freedom": freedom, "level": LEVEL,
                    "limit": _most_explained(freedom),
                    "p_value": scipy.special.chdtrc(freedom, chi_squared)}
