"""The result of an inversion, assembled at the best point found."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from levinv._json import plain
from levinv._typing import Floats
from levinv.forward.basis import EPS
from levinv.inverse.result import MESSAGES, InversionResult
from levinv.inverse.stages.presolve import orthonormal_columns
from levinv.inverse.stages.whitened_jacobian import negligible, propagated, reweighted
from levinv.inverse.verdict.null_space import told_apart

if TYPE_CHECKING:
    from levinv.inverse.stages.refine import Polished
    from levinv.inverse.stages.whitened_jacobian import Point
    from levinv.inverse.task import Task
    from levinv.inverse.verdict.outliers import Outliers

ROUNDING = 0.5 * EPS               # relative error of a score stored in double
SETTLED = 1e7                      # whitened residual of exact scores above which x may be another
                                   # one
ALMOST_ZERO = 1e-100
SMALLEST = 1e-300                  # numbers whose reciprocals do not overflow
POORLY_KNOWN = 1e-6                # relative error of x from exact scores that the message mentions
UNDETERMINED = 1e-8                # entry of the null space from which a coefficient is free
NAMED = 10                         # outliers in the message
TELLING_SCORES = 5                 # from which on it is no chance that all are rounded
MOST_DECIMALS = 6                  # of rounded scores that single precision still shows
EPS_SINGLE = np.finfo(np.float32).eps
SIGN_TOLERANCE = 1e-6              # relative misfit at which exact magnitudes accept signs


def report(task: Task, matched: bool, stopped: bool, converged: bool,
           changed: Floats | None) -> InversionResult:
    """Assemble the result at the best point found; ``changed``: what rounding changes there."""
    reduced, best = task.reduced, task.best
    if best is None or changed is None:
        return _without_scores(task, reduced.offset if task.x0 is None else task.x0, stopped)
    point, model = best.point, best.linearisation
    scores = point.projection.scores.copy()
    scores[~reduced.active] = 0.0
    scores[reduced.coloops] = scores[reduced.zero_slack] = 1.0
    success = (matched or converged) and not stopped
    null_space, undetermined = told_apart(task, point, orthonormal_columns(
        np.column_stack([reduced.free, *_scale_directions(task, point.slack)])))
    determined = task.known_signs is not None or task.evidence["signs_determined"]
    standard_errors = np.hypot.reduce(model.steps, axis=1)       # its squares may overflow
    rms, accuracy = task.rms(point), 0.0
    if task.exact:    # the residual that arithmetic left, where it exceeds rounding of the scores
        task.evidence["information_limit"] = float(np.hypot.reduce(standard_errors))
        changed = changed / np.sqrt(12.0)
        accuracy = max(point.largest, float(changed.max(initial=0.0)))
        hidden = hidden_slacks(task, point) if len(reduced.zero_slack) else None
        if hidden is not None:
            changed += _changed_unseen(task, point, hidden)
        standard_errors = np.hypot(standard_errors * max(1.0, rms),
                                   propagated(point, model, changed * task.weight()))
        if hidden is not None:
            standard_errors = np.hypot(standard_errors, unseen(task, hidden))
    for free in (null_space, undetermined, model.flat):
        sizes = np.hypot.reduce(free, axis=1)
        standard_errors[sizes > UNDETERMINED * np.hypot.reduce(sizes)] = np.inf
    status = 4 if stopped else 0 if success else _failure(task)
    task.evidence["polish"] = {"iterations": best.iterations, "evaluations": best.evaluations,
                               "whitened_rms": rms}
    task.evidence["undetermined_directions"] = undetermined.shape[1]
    _complete_evidence(task, best, null_space)
    slack = point.slack.copy()
    slack[reduced.zero_slack] = 0.0
    known = np.isfinite(standard_errors)
    with np.errstate(over="ignore"):
        size = max(float(np.hypot.reduce(point.x)), SMALLEST)
        relative = np.hypot.reduce(standard_errors[known]) / size if task.exact else 0.0
    return InversionResult(
        x=point.x, fun=0.5 * float(np.sum((scores - task.scores) ** 2)), scores=scores, slack=slack,
        signs=np.sign(slack), success=success, status=status,
        message=_message(task, status, relative, accuracy), nit=task.progress.nit, nfev=task.nfev,
        unique=bool(success and not converged and determined and not null_space.shape[1]
                    and not undetermined.shape[1] and not model.flat.shape[1]
                    and (not task.exact or rms <= SETTLED)),
        null_space=null_space, standard_errors=standard_errors,
        condition=_condition(task, best, np.column_stack([null_space, undetermined])),
        evidence=plain(task.evidence))


def _complete_evidence(task: Task, best: Polished, null_space: Floats) -> None:
    """What is known at the end only: outliers, the null space, how starts of stage 2 compare."""
    reduced, point, model, evidence = task.reduced, best.point, best.linearisation, task.evidence
    found, misgiven = task.outliers, task.misgiven
    evidence["outliers"], evidence["studentised_residuals"] = [], []
    if len(misgiven) or (found is not None and len(found.rows)):
        residual = np.isin(misgiven, reduced.coloops) - task.scores[misgiven]
        rows, deviations = misgiven, residual / task.deviation()[misgiven]
        if found is not None:
            rows, deviations = np.append(rows, found.rows), np.append(deviations, found.deviations)
        order = np.argsort(rows)
        evidence["outliers"], evidence["studentised_residuals"] = rows[order], deviations[order]
    values = model.values.tolist() or [np.nan]
    evidence["jacobian_decision"] = {
        "rank": len(model.values), "kept": values[-1] / values[0],
        "dropped": model.dropped / values[0], "threshold": negligible(point.projection.rank)}
    evidence["null_space"] = {
        "dimension": null_space.shape[1], "of_A": task.rows.shape[1] - reduced.rank,
        "coloops": len(reduced.coloops),
        "free_scales": int(task.range.inside.sum())}
    for c, starts in enumerate(task.starts):
        if starts:
            signs = point.slack[reduced.members(c)] < 0
            differing = [int(np.count_nonzero((start.signs < 0) != signs)) for start in starts]
            differing = [min(count, len(signs) - count) for count in differing]
            evidence["signs"][c].update(
                fitting=sum(start.fits for start in starts), same_signs=differing.count(0),
                misfits=[start.misfit for start in starts], rows_differing=differing)


def slack_rounding(task: Task, point: Point) -> Floats:
    """To what A x - b is known in double, (n,)."""
    return EPS * (task.rows.abs_matvec(np.abs(point.x)) + np.abs(task.b))


def changed_by_rounding(task: Task, point: Point) -> Floats:
    """How much of each score rounding of x and of A x - b to double makes, (n,)."""
    rounding, slack = slack_rounding(task, point), np.abs(point.slack)
    relative = np.divide(rounding, slack, out=np.ones_like(slack), where=slack > rounding)
    relative[~task.reduced.active] = 0.0
    scores = point.projection.scores
    return (2.0 * np.abs(point.projection.laplacian(relative))
            + 4.0 * scores * point.projection.complement() * relative)


def unseen(task: Task, hidden: Floats) -> Floats:
    """Standard errors from rows whose slack is taken for zero and may be ``hidden``, (d,)."""
    lifts = task.reduced.lifts
    with np.errstate(over="ignore"):
        moved = np.multiply(lifts, hidden, out=np.zeros_like(lifts), where=lifts != 0)
        errors: Floats = np.hypot.reduce(moved, axis=1)
        return errors


def _changed_unseen(task: Task, point: Point, hidden: Floats) -> Floats:
    """How much of each score slacks may make that are taken for zero, (n,)."""
    reduced = task.reduced
    slack = np.abs(point.slack)
    slack[reduced.zero_slack] = np.minimum(hidden, slack.max())
    whole = task.whole_projection(slack, ~reduced.active & ~np.isin(np.arange(len(slack)),
                                                                    reduced.zero_slack))
    if whole is None:
        return np.ones_like(slack)
    return np.where(reduced.active, np.abs(whole.scores - point.projection.scores), 0.0)


def hidden_slacks(task: Task, point: Point) -> Floats:
    """How large slacks may be that are taken for zero: as rounding of 1 - sigma hides, or inf."""
    reduced = task.reduced
    slack = np.abs(point.slack)
    without = np.isin(np.arange(len(slack)), np.append(reduced.loops, reduced.coloops))
    others = ~without
    others[reduced.zero_slack] = False
    others &= slack > 0
    least = (slack * reduced.unit)[others].min(initial=np.inf)           # rows at unit norm
    slack[reduced.zero_slack] = ALMOST_ZERO * least / reduced.unit[reduced.zero_slack]
    nothing = np.full(len(reduced.zero_slack), np.inf)
    if not np.isfinite(slack).all():                   # nothing to see a slack beside
        return nothing
    near = task.whole_projection(slack, without)
    if near is None or not near.complete:              # 1 - sigma is rounding
        return nothing
    # sqrt(1 - sigma) / |s|: 0 by underflow only, as no row here is a coloop
    complement = np.maximum(near.complement()[reduced.zero_slack], 0.0)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        leakage = np.nan_to_num(np.sqrt(complement) / slack[reduced.zero_slack], nan=0.0)
        hidden: Floats = np.maximum(np.sqrt(ROUNDING) / leakage,
                                    np.abs(point.slack[reduced.zero_slack]))
        return hidden


def _without_scores(task: Task, x: Floats, stopped: bool) -> InversionResult:
    d = task.rows.shape[1]
    slack = task.rows.matvec(x) - task.b
    status = 4 if stopped else 3
    return InversionResult(
        x=x, fun=np.inf, scores=np.zeros(len(slack)), slack=slack, signs=np.sign(slack),
        success=False, status=status, message=_message(task, status), nit=task.progress.nit,
        nfev=task.nfev, unique=False, null_space=np.zeros((d, 0)),
        standard_errors=np.full(d, np.inf), condition=np.inf, evidence=plain(task.evidence))


def _scale_directions(task: Task, slack: Floats) -> list[Floats]:
    """For each component whose scale is free, the direction whose image is its slack."""
    reduced = task.reduced
    start = reduced.start
    weighted = reduced.unit ** 2 * slack
    weighted /= np.abs(weighted).max(initial=SMALLEST)           # columns may be of any unit
    return [start @ (start.T @ task.rows.rmatvec(np.where(reduced.label == c, weighted, 0.0)))
            for c in range(reduced.count) if task.range.inside[c]]


def _condition(task: Task, best: Polished, null_space: Floats) -> float:
    point, model = best.point, best.linearisation
    if not np.any(point.x) or not model.steps.shape[1] or model.flat.size:
        return np.inf
    counted = task.reduced.active & (task.scores > SMALLEST)
    weight = np.where(counted, 1.0 / np.where(counted, task.scores, 1.0), 0.0)
    if task.noise is None:
        unit = float(ROUNDING)
    else:
        free, noise = int(np.count_nonzero(task.range.inside)), task.noise
        model = reweighted(task.reduced, point, 1.0 / noise, model, weight * noise, free)
        unit = 1.0
    steps = model.steps
    if null_space.shape[1]:
        steps = steps - null_space @ (null_space.T @ steps)
    if not steps.size:
        return np.inf
    largest = float(np.linalg.svd(steps, compute_uv=False)[0])
    return float(largest / (unit * np.hypot.reduce(point.x)))


def _failure(task: Task) -> int:
    if (task.obstacles or task.proofs) and not task.doubtful:
        return 1
    if task.outliers is not None:
        return 3
    signs = task.evidence.get("signs", ())
    if task.exact and signs and max(s["misfit"] for s in signs) > SIGN_TOLERANCE:
        return 2
    return 3


def _message(task: Task, status: int, relative_error: float = 0.0,
             accuracy: float = 0.0) -> str:
    best, outliers = task.best, task.outliers
    reasons = task.obstacles + task.proofs + task.remarks
    if status == 0 and best is not None:
        reasons = []
        if task.exact and accuracy > task.tol:
            reasons.append(f"to {accuracy:.1e} only, since the slack A x - b cannot be computed "
                           "more accurately in double")
        blurred = task.evidence["undetermined_directions"]
        if blurred:
            reasons.append(f"x is not determined in {blurred} direction"
                           f"{'s' if blurred > 1 else ''} along which the scores hardly move")
        if relative_error > POORLY_KNOWN:
            reasons.append("x is determined to a relative error of about "
                           f"{relative_error:.0e} only")
        if task.exact and task.rms(best.point) > SETTLED:
            reasons.append("but not to rounding, so that x may be another one"
                           + _advice(task.scores))
    if status == 2:
        starts = max(s["restarts"] for s in task.evidence["signs"])
        reasons.append(f"the scores fix the size of the slack, but in {starts} starts no signs "
                       "were found with which it is A x - b for an x (try options={'restarts': "
                       "...}, or noise if they are rounded)")
    if status == 3 and task.known_signs is not None and outliers is None:
        reasons.append("no x with the given signs was found to have them")
    if status in (1, 2, 3) and best is not None and task.reduced.count:
        worst = float(np.max(np.abs(best.point.residual), initial=0.0))
        if outliers is not None and len(outliers.rows):
            reasons.append(_naming(task, best, outliers))
        else:
            reasons.append(f"closest found: max|sigma(x) - scores| = {worst:.3g}"
                           + (_advice(task.scores) if task.exact else
                              f", root mean square of the residual {task.rms(best.point):.3g} "
                              "noise levels"))
    return MESSAGES[status] + (": " + "; ".join(reasons) if reasons else "") + "."


def _naming(task: Task, best: Polished, outliers: Outliers) -> str:
    """The outliers, and what to do about them."""
    rows, values = outliers.rows, outliers.deviations
    several, order = len(rows) > 1, np.argsort(-np.abs(values), kind="stable")[:NAMED]
    names = ", ".join(str(row) for row in np.sort(rows[order]))
    names = f"row{'s' if several else ''} {names}" + (", ..." if len(rows) > NAMED else "")
    worst = rows[order[0]]
    given, has = task.scores[worst], best.point.residual[worst] + task.scores[worst]
    others = (f"x has the scores of all other rows, but in row {worst} {has:.6g}, not {given:.6g}")
    if task.exact:
        unfit = "" if task.known_signs is not None else "no signs of the slack fit all rows, but "
        return (f"{unfit}outlier{'s' if several else ''} in {names}: {others}; correct "
                f"{'these scores' if several else 'this score'} (or give noise, large in "
                f"{'these rows' if several else 'this row'})")
    return (f"noise does not explain {names}, studentised residual {values[order[0]]:.3g} in row "
            f"{worst} (beyond {task.evidence['outlier_threshold']:.2g}): {others}; correct "
            f"{'these scores' if several else 'this score'} or give "
            f"{'these rows' if several else 'this row'} a larger noise")


def _advice(scores: Floats) -> str:
    """What the scores look rounded to, and the noise to give then."""
    inside = scores[(scores > 0) & (scores < 1)]
    if len(inside) < TELLING_SCORES:
        return ""
    single = inside.astype(np.float32).astype(float)
    for decimals in range(1, MOST_DECIMALS + 1):
        if np.all(np.abs(single - inside.round(decimals)) <= EPS_SINGLE * inside):
            return (f"; the scores look rounded to {decimals} decimals: give noise=1e-{decimals} / "
                    f"12**0.5")
    if np.array_equal(single, inside):
        return ("; the scores are those of single precision: give "
                "noise=np.spacing(np.float32(scores)) / 12**0.5")
    return "; if the scores are rounded or estimated, give noise"
