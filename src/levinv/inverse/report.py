"""The result of an inversion, assembled at the best point found."""
import numpy as np

from levinv.forward.orthonormal import EPS, column_space
from levinv.forward.projection import DependentZeroSlackError, project
from levinv.inverse.linearisation import linearise
from levinv.inverse.reduction import orthonormal_columns
from levinv.inverse.result import MESSAGES, InversionResult

ROUNDING = 0.5 * EPS               # relative error of a score stored in double
SETTLED = 1e7                      # whitened residual of exact scores above which x may be another
                                   # one
ALMOST_ZERO = 1e-100
SMALLEST = 1e-300                  # numbers whose reciprocals do not overflow
POORLY_KNOWN = 1e-6                # relative error of x from exact scores that the message mentions
UNDETERMINED = 1e-8                # entry of the null space from which a coefficient is free
SIGN_TOLERANCE = 1e-6              # relative misfit at which exact magnitudes accept signs


def report(task, matched, stopped, converged=False):
    """Assemble the result at the best point found."""
    d = task.rows.shape[1]
    reduced = task.reduced
    if task.best is None:
        x = task.x0 if task.x0 is not None else np.zeros(d) if reduced is None else reduced.offset
        return _without_scores(task, x, stopped)
    point, model = task.best.point, task.best.linearisation
    scores = point.projection.scores.copy()
    scores[~reduced.active] = 0.0
    scores[reduced.coloops] = scores[reduced.zero_slack] = 1.0
    success = (matched or converged) and not stopped
    null_space = orthonormal_columns(np.column_stack([reduced.free,
                                                      *_scale_directions(task, point.slack)]))
    determined = task.known_signs is not None or task.evidence["signs_determined"]
    standard_errors = np.hypot.reduce(model.steps, axis=1)       # its squares may overflow
    rms = task.rms(point)
    if task.exact:    # the residual that arithmetic left, where it exceeds rounding of the scores
        task.evidence["information_limit"] = float(np.hypot.reduce(standard_errors))
        standard_errors *= max(1.0, rms)
        standard_errors = np.hypot(standard_errors, unseen(task, point))
    for free in (null_space, model.flat):
        sizes = np.hypot.reduce(free, axis=1)
        standard_errors[sizes > UNDETERMINED * np.hypot.reduce(sizes)] = np.inf
    status = 4 if stopped else 0 if success else _failure(task)
    task.evidence["polish"] = {"iterations": task.best.iterations,
                               "evaluations": task.best.evaluations, "whitened_rms": rms}
    slack = point.slack.copy()
    slack[reduced.zero_slack] = 0.0
    known = np.isfinite(standard_errors)
    with np.errstate(over="ignore"):
        size = max(np.hypot.reduce(point.x), SMALLEST)
        relative = np.hypot.reduce(standard_errors[known]) / size if task.exact else 0.0
    return InversionResult(
        x=point.x, fun=0.5 * float(np.sum((scores - task.scores) ** 2)), scores=scores, slack=slack,
        signs=np.sign(slack), success=success, status=status,
        message=_message(task, status, relative), nit=task.progress.nit, nfev=task.nfev,
        unique=bool(success and not converged and determined and not null_space.shape[1]
                    and not model.flat.shape[1] and (not task.exact or rms <= SETTLED)),
        null_space=null_space, standard_errors=standard_errors, condition=_condition(task),
        evidence=task.evidence)


def unseen(task, point):
    """Standard errors from rows whose slack is taken for zero: it may be as large as rounding of
    1 - sigma hides.
    """
    reduced = task.reduced
    if not len(reduced.zero_slack):
        return 0.0
    slack = np.abs(point.slack)
    without = np.isin(np.arange(len(slack)), np.append(reduced.loops, reduced.coloops))
    others = ~without
    others[reduced.zero_slack] = False
    others &= slack > 0
    least = (slack * reduced.unit)[others].min(initial=np.inf)           # rows at unit norm
    slack[reduced.zero_slack] = ALMOST_ZERO * least / reduced.unit[reduced.zero_slack]
    nothing = np.where(reduced.lifts.any(axis=1), np.inf, 0.0)
    if not np.isfinite(slack).all():                   # nothing to see a slack beside
        return nothing
    try:
        near = project(reduced.rows, slack, column_space(reduced.rows).transform, without)
    except DependentZeroSlackError:
        return nothing
    # sqrt(1 - sigma) / |s|: 0 by underflow only, as no row here is a coloop
    complement = np.maximum(near.complement()[reduced.zero_slack], 0.0)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        leakage = np.nan_to_num(np.sqrt(complement) / slack[reduced.zero_slack], nan=0.0)
        hidden = np.maximum(np.sqrt(ROUNDING) / leakage, np.abs(point.slack[reduced.zero_slack]))
        moved = np.multiply(reduced.lifts, hidden, out=np.zeros_like(reduced.lifts),
                            where=reduced.lifts != 0)
        return np.hypot.reduce(moved, axis=1)


def _without_scores(task, x, stopped):
    d = task.rows.shape[1]
    slack = task.rows.matvec(x) - task.b
    status = 4 if stopped else 3
    return InversionResult(
        x=x, fun=np.inf, scores=np.zeros(len(slack)), slack=slack, signs=np.sign(slack),
        success=False, status=status, message=_message(task, status), nit=task.progress.nit,
        nfev=task.nfev, unique=False, null_space=np.zeros((d, 0)),
        standard_errors=np.full(d, np.inf), condition=np.inf, evidence=task.evidence)


def _scale_directions(task, slack):
    """For each component whose scale is free, the direction whose image is its slack."""
    reduced = task.reduced
    start = reduced.start
    weighted = reduced.unit ** 2 * slack
    return [start @ (start.T @ task.rows.rmatvec(np.where(reduced.label == c, weighted, 0.0)))
            for c in range(reduced.count) if task.range.inside[c]]


def _condition(task):
    point = task.best.point
    if (not np.any(point.x) or not task.best.linearisation.steps.shape[1]
        or task.best.linearisation.flat.size):
        return np.inf
    counted = task.reduced.active & (task.scores > SMALLEST)
    weight = np.where(counted, 1.0 / np.where(counted, task.scores, 1.0), 0.0)
    if task.exact:
        model, unit = task.best.linearisation, ROUNDING
    else:
        model, unit = linearise(task.reduced, point, weight,
                                int(np.count_nonzero(task.range.inside))), 1.0
    return float(np.linalg.norm(model.steps, 2)
                 / (unit * np.hypot.reduce(point.x)))


def _failure(task):
    if task.obstacles or task.proofs:
        return 1
    signs = task.evidence.get("signs", ())
    if task.exact and signs and max(s["misfit"] for s in signs) > SIGN_TOLERANCE:
        return 2
    return 3


def _message(task, status, relative_error=0.0):
    reasons = task.obstacles + task.proofs + task.remarks
    if status == 0:
        reasons = []
        worst = float(np.max(np.abs(task.best.point.residual), initial=0.0))
        if task.exact and worst > task.tol:
            reasons.append(f"to {worst:.1e} only, since the slack A x - b cannot be computed more "
                           "accurately in double")
        if relative_error > POORLY_KNOWN:
            reasons.append("x is determined to a relative error of about "
                           f"{relative_error:.0e} only")
    if status == 2:
        starts = max(s["restarts"] for s in task.evidence["signs"])
        reasons.append(f"the scores fix the size of the slack, but in {starts} starts no signs "
                       "were found with which it is A x - b for an x (try options={'restarts': "
                       "...}, or noise if they are rounded)")
    if status == 3 and task.known_signs is not None:
        reasons.append("no x with the given signs was found to have them")
    if status in (1, 2, 3) and task.best is not None and task.reduced.count:
        worst = float(np.max(np.abs(task.best.point.residual), initial=0.0))
        reasons.append(f"closest found: max|sigma(x) - scores| = {worst:.3g}")
    return MESSAGES[status] + (": " + "; ".join(reasons) if reasons else "") + "."
