"""The acceptance test: is a point a solution?

Exact scores match if every error is at most ``tol``, plus what rounding of x and of A x - b can
change (at most 100 tol). Noisy scores match if the whitened residual passes a chi-squared test, or
if all errors are within those of the rounding to decimals, and rounding of A x - b changes no score
by more than its noise. In both cases

* zero slacks must be zero to rounding, or their scores 1 to tol;
* the slack must have the known signs where it is significantly different from zero;
* entries set to zero when components were separated must be negligible for the scores.

*Rounding.* A x - b is computed with an error of at most ε (|A| |x| + |b|) in each row, a relative
change δ_i of the slack. To first order the scores change by 2 L δ, L = Q - diag(sigma), hence by at
most 2 L |δ| + 4 sigma (1 - sigma) |δ|, because only the diagonal of L is negative.

The slack of a row with score 1 to rounding is set to zero. Its true slack may be as large as the
*hidden slack*: for small s_i, 1 - sigma_i = (leakage_i s_i)², which rounding hides up to
s_i = √u / leakage_i, u the unit roundoff.
"""
import math

import numpy as np
import scipy.special

from levinv import _tolerances
from levinv._noise import half_unit
from levinv._tolerances import EPS, TINY, UNIT_ROUNDOFF
from levinv._typing import Floats, RowIndex
from levinv.inverse.values import Point, Presolved, Refined


def is_solution(presolved: Presolved, found: Refined | None) -> bool:
    """Whether the point found passes the acceptance test."""
    if found is None or presolved.contradictions or not signs_agree(presolved, found):
        return False
    problem, point = presolved.problem, found.point
    if not _zero_slacks_hold(presolved, point):
        return False
    if problem.exact:
        return (within_tolerance(presolved, point, slice(None))
                and _separation_holds(presolved, point))
    residual, coloops = point.residual, presolved.reduced.coloops
    residual[coloops] = 1.0 - problem.scores[coloops]
    degrees = (np.count_nonzero(presolved.reduced.active) + len(coloops)
               - found.linearisation.steps.shape[1])
    whitened = residual / presolved.problem.deviation()
    return ((explained_by_noise(whitened, degrees)
             or (problem.rounded and bool(np.all(np.abs(whitened) <= half_unit(1.0)))))
            and scores_are_accurate(presolved, point, score_rounding(presolved, point))
            and _separation_holds(presolved, point))


def is_solution_to_rounding(presolved: Presolved, found: Refined | None) -> bool:
    """Whether the search may end: another sign vector may also match to ``tol``."""
    if found is None or not is_solution(presolved, found):
        return False
    if not presolved.problem.exact:
        return True
    weight = presolved.weight()
    rounding = float(np.linalg.norm(score_rounding(presolved, found.point) * weight))
    return (found.point.norm
            <= _tolerances.ROUNDING_FACTOR * max(rounding, math.sqrt(np.count_nonzero(weight))))


def signs_agree(presolved: Presolved, found: Refined) -> bool:
    """Whether the slack has the known signs where it differs significantly from zero."""
    problem, reduced = presolved.problem, presolved.reduced
    if problem.known_signs is None:
        return True
    slack = found.point.slack - problem.model.mode
    counted = reduced.active.copy()
    counted[reduced.spanned] = counted[reduced.coloops] = True
    if np.all((np.sign(slack) == problem.known_signs)[counted]):
        return True
    spread = np.sqrt(problem.rows.quad(None, found.linearisation.steps))
    if problem.exact:
        spread = spread * max(1.0, presolved.rms(found.point))
        if len(reduced.zero_slack):
            errors = hidden_errors(presolved, hidden_slacks(presolved, found.point))
            known = np.isfinite(errors)
            spread = spread + problem.rows.abs_matvec(np.where(known, errors, 0.0))
            spread[problem.rows.abs_matvec(np.where(known, 0.0, 1.0)) > 0] = np.inf
    significant = counted & (np.abs(slack) > _tolerances.SIGNIFICANT * spread
                             + slack_rounding(presolved, found.point))
    return bool(np.all(np.sign(slack[significant]) == problem.known_signs[significant]))


def has_known_signs(presolved: Presolved, best: Refined) -> bool:
    """Whether noisy scores are matched with the known signs in all rows: exact scores may leave the
    sign of a slack open that is zero to rounding.
    """
    problem = presolved.problem
    if problem.exact or problem.known_signs is None:
        return True
    sides = problem.known_signs * (best.point.slack - problem.model.mode)
    return bool(np.all((sides > 0) | ~presolved.reduced.active))


def within_tolerance(presolved: Presolved, point: Point, member: RowIndex) -> bool:
    """Whether the errors of exact scores in the rows ``member`` are allowed."""
    error = np.abs(point.residual[member])
    return bool(np.all(error <= presolved.problem.tol)
                or np.all(error <= allowed_errors(presolved, point)[member]))


def allowed_errors(presolved: Presolved, point: Point) -> Floats:
    """Largest errors of exact scores, (n,): tol, plus what rounding changes, up to 100 tol."""
    tol = presolved.problem.tol
    return tol + np.minimum(score_rounding(presolved, point), _tolerances.ROUNDING_FACTOR * tol)


def scores_are_accurate(presolved: Presolved, point: Point, rounding: Floats) -> bool:
    """Whether sigma(x) can be computed accurately enough. For large x A x - b cancels.

    ``rounding``, (n,), bounds the effect of rounding A x - b on a score. Its standard deviation, a
    part 1/√12 of it, may be 100 tol. With noise the bound itself may be as large as the noise.
    """
    if presolved.problem.exact:
        limit = _tolerances.ROUNDING_FACTOR * np.sqrt(12.0) * presolved.problem.tol
        return bool(np.max(rounding, initial=0.0) <= limit)
    accurate = rounding <= presolved.problem.deviation()
    if presolved.problem.model.has_pole:
        accurate &= np.abs(point.slack) > slack_rounding(presolved, point)
    return bool(accurate[presolved.reduced.active].all())


def component_is_settled(presolved: Presolved, found: Refined | None, c: int) -> bool:
    """Whether the point found has the scores of component c."""
    if found is None:
        return False
    member = presolved.reduced.members(c)
    whitened = found.point.residual[member] / presolved.problem.deviation()[member]
    if presolved.problem.exact:
        return (np.sqrt(np.mean(whitened ** 2)) <= _tolerances.SETTLED_RESIDUAL
                and within_tolerance(presolved, found.point, member))
    degrees = len(member) - presolved.reduced.bases[c].shape[1] - 1
    return explained_by_noise(whitened, degrees)


def explained_by_noise(whitened: Floats, degrees: int) -> bool:
    """Chi-squared test of a whitened residual whose standard deviations are known to 10 %."""
    return bool(whitened @ whitened <= chi_squared_limit(degrees))


def chi_squared_limit(degrees: int, tests: int = 1) -> float:
    """Largest sum of squares of a whitened residual that noise explains, in one of so many tests.
    """
    degrees = max(degrees, 1)
    return float(max(scipy.special.chdtri(degrees, _tolerances.CHI_SQUARED_LEVEL / tests),
                     _tolerances.NOISE_UNCERTAINTY ** 2 * degrees))


def outlier_threshold(presolved: Presolved) -> float:
    """Studentised residual beyond which a row with noise is an outlier.

    The largest of all rows exceeds this normal quantile with probability CHI_SQUARED_LEVEL.
    """
    rows = max(int(np.count_nonzero(presolved.reduced.active)), 1)
    chance = 0.5 * _tolerances.CHI_SQUARED_LEVEL / rows
    return -_tolerances.NOISE_UNCERTAINTY * float(scipy.special.ndtri(chance))


def _zero_slacks_hold(presolved: Presolved, point: Point) -> bool:
    """Whether the slacks set to zero are zero to rounding, or their scores 1 to tol, and the slacks
    of the rows that they span are not zero.
    """
    reduced = presolved.reduced
    zero, slack = reduced.zero_slack, np.abs(point.slack)
    if not len(zero):
        return True
    rounding = len(point.x) * slack_rounding(presolved, point)
    if np.any(slack[reduced.spanned] <= rounding[reduced.spanned]):
        return False                           # zero slack in dependent rows: no scores
    if np.all(slack[zero] <= rounding[zero]):
        return True
    without = np.isin(np.arange(len(slack)), np.append(reduced.loops, reduced.coloops))
    slack[slack < TINY] = 0.0
    whole = presolved.whole_projection(slack, without)
    return whole is not None and bool(np.all(whole.complement()[zero] <= presolved.problem.tol))


def _separation_holds(presolved: Presolved, point: Point) -> bool:
    """Whether entries set to zero between components, and of rows that those of zero slack seem to
    span, are negligible for the scores.
    """
    reduced, problem = presolved.reduced, presolved.problem
    slack = point.slack.copy()
    slack[reduced.zero_slack] = 0.0
    lengths = problem.model.magnitude(slack) * reduced.unit
    lengths = lengths[(lengths > 0) & (lengths < np.inf)]
    allowed = problem.tol if problem.exact else presolved.problem.deviation()
    if not len(lengths) or (not len(reduced.spanned) and reduced.component_decision.dropped
                            * (lengths.max() / lengths.min()) <= np.min(allowed)):
        return True
    scores = np.where(reduced.active, point.projection.scores, 0.0)
    scores[reduced.coloops] = scores[reduced.zero_slack] = 1.0
    without = np.isin(np.arange(len(slack)), reduced.loops)
    whole = presolved.whole_projection(slack, without)
    return whole is not None and bool(np.all((np.abs(whole.scores - scores) <= allowed)[~without]))


def slack_rounding(presolved: Presolved, point: Point) -> Floats:
    """Bound of the rounding error of A x - b, (n,)."""
    problem = presolved.problem
    return EPS * (problem.rows.abs_matvec(np.abs(point.x)) + np.abs(problem.b))


def score_rounding(presolved: Presolved, point: Point) -> Floats:
    """Bound of the changes of the scores by rounding of x and of A x - b, (n,)."""
    rounding = slack_rounding(presolved, point)
    relative = point.model.relative(rounding, point.slack)
    if point.model.has_pole:
        relative[np.abs(point.slack) <= rounding] = 1.0
    relative[~presolved.reduced.active] = 0.0
    projection = point.projection
    return (2.0 * np.abs(projection.laplacian(relative))
            + 4.0 * projection.scores * projection.complement() * relative)


def hidden_slacks(presolved: Presolved, point: Point) -> Floats:
    """Upper bounds of the slacks that were set to zero; inf if there is no bound.

    Smaller slacks change 1 - sigma by less than rounding.
    """
    reduced, exponent = presolved.reduced, presolved.problem.model.exponent
    slack = np.abs(point.slack)
    without = np.isin(np.arange(len(slack)), np.append(reduced.loops, reduced.coloops))
    others = ~without
    others[reduced.zero_slack] = False
    others &= slack > 0
    least = (slack * reduced.unit)[others].min(initial=np.inf)           # rows at unit norm
    slack[reduced.zero_slack] = math.cbrt(TINY) * least / reduced.unit[reduced.zero_slack]
    unbounded = np.full(len(reduced.zero_slack), np.inf)
    if not np.isfinite(slack).all():                   # no other row has a slack
        return unbounded
    near = presolved.whole_projection(slack, without)
    if near is None or not near.complete:              # 1 - sigma is only rounding error
        return unbounded
    complement = np.maximum(near.complement()[reduced.zero_slack], 0.0)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        # no coloop is among these rows: a leakage of 0 is due to underflow
        leakage = np.nan_to_num(np.sqrt(complement) / slack[reduced.zero_slack], nan=0.0)
        hidden: Floats = np.sqrt(UNIT_ROUNDOFF) / leakage
        if exponent != 2.0:                    # in general 1 - sigma = (leakage_i s_i)^q
            zero = slack[reduced.zero_slack]
            hidden = zero * (hidden / zero) ** (2.0 / exponent)
        largest: Floats = np.maximum(hidden, np.abs(point.slack[reduced.zero_slack]))
        return largest


def hidden_errors(presolved: Presolved, hidden: Floats) -> Floats:
    """Standard errors of x if the slacks that were set to zero are as large as ``hidden``: (d,)."""
    lifts = presolved.reduced.lifts
    with np.errstate(over="ignore"):
        moved = np.multiply(lifts, hidden, out=np.zeros_like(lifts), where=lifts != 0)
        errors: Floats = np.hypot.reduce(moved, axis=1)
        return errors


def hidden_score_changes(presolved: Presolved, point: Point, hidden: Floats) -> Floats:
    """How much each score would change if the slacks set to zero were as large as ``hidden``: (n,).
    """
    reduced = presolved.reduced
    slack = np.abs(point.slack)
    slack[reduced.zero_slack] = np.minimum(hidden, slack.max())
    whole = presolved.whole_projection(slack, ~reduced.active & ~np.isin(np.arange(len(slack)),
                                                                         reduced.zero_slack))
    if whole is None:
        return np.ones_like(slack)
    return np.where(reduced.active, np.abs(whole.scores - point.projection.scores), 0.0)
