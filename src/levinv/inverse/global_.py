"""Score inversion without a starting point: the four stages in order.

    reduction      what needs no iteration (loops, coloops, zero slacks, components)
    1 scaling      scores -> |slack| up to scale, a convex problem
    2 signs        real phase retrieval, unless they are known
    3 identification   x and its null space, least squares in closed form
    4 polish       maximum likelihood on the scores themselves

A component's scale κ is positive: a solution of stage 3 with κ < 0 has its signs flipped.
With noise, stages 1 to 3 only start stage 4: scores are moved into (0, 1) and to the right sum, stage 1 stops when the noise explains
the rest, and rows whose score is below three noise levels take no part in stages 2 and 3.
"""
from dataclasses import dataclass, field

import numpy as np
import scipy.special

from levinv.forward.orthonormal import EPS
from levinv.inverse.components import components
from levinv.inverse.identification import identify, response_in_range
from levinv.inverse.polish import linearise, polish
from levinv.inverse.reduction import Augmented, NoSolutionError, orthonormal_columns, reduce
from levinv.inverse.result import MESSAGES, InversionResult, Progress, Stopped
from levinv.inverse.scaling import TIGHT, find_obstacle, match_scores
from levinv.inverse.signs import sign_candidates

ROUNDING = 0.5 * EPS               # relative error of a score stored in double
LEVEL = 1e-3                       # of the chi-squared test
SIGN_TOLERANCE = 1e-6              # relative misfit at which exact magnitudes accept signs
FEW_RESTARTS = 3                   # of the sign search when no x can have the scores
POORLY_KNOWN = 1e-6                # relative error of x from exact scores that the message mentions
UNDETERMINED = 1e-8                # entry of the null space from which a coefficient is free


@dataclass
class Task:
    """One inversion: the checked input and what the stages add to it."""

    rows: object
    b: np.ndarray
    scores: np.ndarray             # as given, clipped to [0, 1]
    noise: np.ndarray | None
    known_signs: np.ndarray | None
    x0: np.ndarray | None
    tol: float
    maxiter: int | None
    restarts: int
    rng: np.random.Generator
    progress: Progress
    reduced: object = None
    response: np.ndarray = None
    range: object = None
    best: object = None            # Polished
    nfev: int = 0
    obstacles: list = field(default_factory=list)     # why no x can have the scores
    remarks: list = field(default_factory=list)       # what else the message should say
    evidence: dict = field(default_factory=dict)

    @property
    def exact(self):
        """Whether the scores are given to rounding."""
        return self.noise is None

    def deviation(self):
        """Standard deviation of each score."""
        return ROUNDING * np.maximum(self.scores, 1e-150) if self.exact else self.noise


def solve(task):
    """Run the stages and report."""
    stopped = False
    try:
        prepare(task)
        if task.x0 is not None:
            _try(task, task.x0)
        if not _matched(task):
            _run_stages(task)
    except Stopped:
        stopped = True
    return _report(task, stopped)


def prepare(task):
    """What every method starts with: the reduced problem and what it says of the scores."""
    one = (task.scores >= 1.0 - 2.0 * ROUNDING) if task.exact else None
    coloop_slack = np.ones(len(task.b))
    if task.known_signs is not None:
        coloop_slack = task.known_signs
    elif task.x0 is not None:
        coloop_slack = task.rows.matvec(task.x0) - task.b
    try:
        task.reduced = reduce(task.rows, one, task.b, coloop_slack)
    except NoSolutionError as reason:
        task.obstacles.append(str(reason))
        task.reduced = reduce(task.rows, None, task.b, coloop_slack)
    reduced = task.reduced
    task.response = task.b - task.rows.matvec(reduced.offset)
    task.range = response_in_range(reduced, task.b)
    determined = _signs_determined(task)
    task.evidence.update(
        rank=reduced.rank, components=reduced.count, loops=reduced.loops, coloops=reduced.coloops,
        zero_slack=reduced.zero_slack, component_gap=reduced.gap,
        response_in_range=task.range.inside, response_ratio=task.range.ratio, signs_determined=determined)
    _check_fixed_scores(task)


def _check_fixed_scores(task):
    """Scores that no x can change: zero rows, coloops, sums over components."""
    reduced, c = task.reduced, task.scores
    allowed = task.tol if task.exact else 6.0 * task.noise
    allowed = np.broadcast_to(allowed, c.shape)
    for index, value, what in ((reduced.loops, 0.0, "zero rows of A have score 0"),
                               (reduced.spanned, 0.0, "rows spanned by rows of zero slack have score 0"),
                               (reduced.coloops, 1.0, "rows independent of all others have score 1")):
        off = index[np.abs(c[index] - value) > allowed[index]]
        if len(off):
            task.obstacles.append(f"{what}, but row {off[0]} is given {c[off[0]]:.10g}")
    for k in range(reduced.count):
        member = reduced.members(k)
        rank = reduced.bases[k].shape[1]
        total = float(c[member].sum())
        room = task.tol * len(member) if task.exact else 6.0 * float(np.linalg.norm(task.noise[member]))
        if abs(total - rank) > room:
            where = "" if reduced.count == 1 else f" over the component of row {member[0]}"
            task.obstacles.append(f"scores must sum to the rank {rank}{where}, got {total:.10g}"
                                  + (" (give noise if they are rounded)" if task.exact else ""))


def _augmented(task, c):
    """[A_C b_C], its last column replaced by b's residual on range(A_C): the same matroid and range."""
    return Augmented(task.reduced, c, None if task.range.inside[c] else task.range.residual / task.range.size[c])


def _signs_determined(task):
    """Stage 2's rule: [A_C b_C] is connected on every component."""
    for c in range(task.reduced.count):
        if not task.range.inside[c]:
            matrix = _augmented(task, c)
            if components(matrix.block, *matrix.shape).count > 1:
                return False
    return True


def _try(task, x):
    """Polish from x and keep the result if it is the best."""
    limit = 50 if task.maxiter is None else task.maxiter
    freedom = int(np.count_nonzero(task.range.inside))

    def report(iteration, x, error):
        task.progress("polish", error, x)

    found = polish(task.reduced, task.b, x, task.scores, task.deviation(), freedom, maxiter=limit, report=report)
    if found is None:
        return
    task.nfev += found.evaluations
    if _better(task, found):
        task.best = found


def _better(task, found):
    if task.best is None:
        return True
    agreed = [_signs_agree(task, p.point.slack) for p in (found, task.best)]
    return agreed[0] > agreed[1] or (agreed[0] == agreed[1] and found.point.size < task.best.point.size)


def _signs_agree(task, slack):
    """Whether the slack has the known signs, where the scores tell its sign apart from noise."""
    if task.known_signs is None:
        return True
    active = task.reduced.active
    if not task.exact:
        active = active & np.isfinite(_accuracy(task))
    return bool(np.all(np.sign(slack[active]) == task.known_signs[active]))


def _matched(task):
    if task.best is None or task.obstacles or not _signs_agree(task, task.best.point.slack):
        return False
    point = task.best.point
    if task.exact:
        return float(np.max(np.abs(point.residual), initial=0.0)) <= task.tol
    freedom = np.count_nonzero(task.reduced.active) - len(task.best.linearisation.values)
    return _explained(point.residual / task.noise, freedom)


def _accuracy(task):
    """Relative standard deviation of each magnitude, inf below three noise levels."""
    c = np.clip(task.scores, 1e-12, 1.0 - 1e-12)
    relative = 0.5 * task.noise / (c * (1.0 - c))
    return np.where(task.scores < 3.0 * task.noise, np.inf, np.minimum(relative, 1.0))


def _run_stages(task):
    reduced = task.reduced
    if not reduced.count:
        x = reduced.offset
        _try(task, x)
        return
    target, enough = _interior_target(task)
    scaling = match_scores(
        task.rows, reduced.start, target, reduced.active, reduced.label, enough=enough,
        maxiter=100 if task.maxiter is None else task.maxiter,
        report=lambda iteration, error: task.progress("scaling", error))
    task.nfev += scaling.iterations
    task.evidence["scaling"] = {"iterations": scaling.iterations, "products": scaling.products,
                                "error": scaling.error}
    if scaling.obstacle is not None and task.exact:
        task.obstacles.append(str(scaling.obstacle))
    if scaling.iterations == task.maxiter:
        task.remarks.append(f"stage 1 stopped at maxiter = {task.maxiter} iterations")
    _from_magnitudes(task, scaling.magnitude, target)
    if task.exact and not task.obstacles and not _matched(task):
        tight = find_obstacle(task.rows, reduced.start, target, reduced.active, reduced.label, scaling.log_weight, TIGHT)
        if tight is not None:
            task.obstacles.append(str(tight))


def _from_magnitudes(task, magnitude, target):
    """Stages 2 to 4."""
    reduced = task.reduced
    accuracy = None if task.exact else _accuracy(task)
    if accuracy is not None and np.isfinite(accuracy[reduced.active]).sum() <= 2 * reduced.start.shape[1] + 2:
        accuracy = np.where(reduced.active, np.minimum(0.5 * task.noise / target, 1.0), np.inf)
    if task.known_signs is not None:
        _from_signs(task, magnitude, task.known_signs, accuracy)
        return
    if task.x0 is not None:
        slack = task.rows.matvec(task.x0) - task.b
        _from_signs(task, magnitude, np.where(slack < 0, -1.0, 1.0), accuracy)
        if _matched(task):
            return
    _search_signs(task, magnitude, accuracy)


def _interior_target(task):
    """Scores inside (0, 1) that sum to the rank on each component, and when they are matched well enough."""
    reduced = task.reduced
    active = reduced.active
    if task.exact:
        target = np.where(task.scores > 0, np.minimum(task.scores, 1.0 - EPS), 1e-12)
    else:
        margin = np.minimum(0.5 * task.noise, 0.25)
        target = np.clip(task.scores, margin, 1.0 - margin)
    for c in range(reduced.count):
        member = reduced.members(c)
        target[member] = _shift_to_sum(target[member], reduced.bases[c].shape[1])
    if task.exact:
        return target, None
    weight = np.where(active, 1.0 / task.noise, 0.0)
    return target, lambda residual: np.linalg.norm(residual * weight) <= 0.1 * np.sqrt(active.sum())


def _shift_to_sum(target, total):
    """Add one number to all logits so that the sum is ``total``: stays inside (0, 1)."""
    excess = target.sum() - total
    if abs(excess) <= 64 * EPS * total or total >= len(target):
        return target
    odds, shift = target / (1.0 - target), 0.0
    for _ in range(60):
        shifted = odds * np.exp(shift)
        moved = shifted / (1.0 + shifted)
        excess = moved.sum() - total
        slope = (moved * (1.0 - moved)).sum()
        if abs(excess) <= 8 * EPS * total or slope == 0:
            break
        shift -= float(np.clip(excess / slope, -1.0, 1.0))
    return moved


def _from_signs(task, magnitude, signs, accuracy):
    """Stages 3 and 4 from one vector of signs."""
    reduced = task.reduced
    found = identify(reduced, task.response, magnitude, signs, task.range.inside, accuracy)
    negative = [c for c in range(reduced.count) if found.scale[c] < 0]
    if negative and task.known_signs is None:
        signs = np.where(np.isin(reduced.label, negative), -signs, signs)
        found = identify(reduced, task.response, magnitude, signs, task.range.inside, accuracy)
    elif negative:
        task.evidence["negative_scale"] = negative
    task.evidence["identification"] = {"scale": found.scale, "misfit": found.misfit}
    if task.known_signs is None and not task.exact:
        for _ in range(5):                        # x read back: signs of uncertain rows settle
            settled = np.where(task.rows.matvec(found.x) - task.b < 0, -1.0, 1.0)
            if np.array_equal(settled[reduced.active], signs[reduced.active]):
                break
            signs = settled
            found = identify(reduced, task.response, magnitude, signs, task.range.inside, accuracy)
    _try(task, found.x)


def _search_signs(task, magnitude, accuracy):
    """Take sign candidates component by component until the scores are matched."""
    reduced = task.reduced
    searches = []
    for c in range(reduced.count):
        member = reduced.members(c)
        searches.append(sign_candidates(
            _augmented(task, c), magnitude[member], task.rng, accuracy=None if accuracy is None else accuracy[member],
            tolerance=SIGN_TOLERANCE, restarts=task.restarts if not task.obstacles else FEW_RESTARTS,
            report=lambda start, misfit: task.progress("signs", misfit)))
    signs = np.ones(len(magnitude))
    evidence = task.evidence["signs"] = [{"misfit": np.inf, "restarts": 0} for _ in searches]
    unsettled = range(reduced.count)
    while unsettled:
        moved = False
        for c in unsettled:
            candidate = next(searches[c], None)
            if candidate is not None:
                moved = True
                signs[reduced.members(c)] = candidate.signs
                evidence[c] = {"misfit": min(candidate.misfit, evidence[c]["misfit"]),
                               "restarts": max(candidate.restarts, evidence[c]["restarts"])}
        if not moved:
            return
        _from_signs(task, magnitude, signs, accuracy)
        unsettled = [c for c in unsettled if not _settled(task, c)]


def _settled(task, c):
    """Whether the best point matches the scores on component c."""
    if task.best is None:
        return False
    member = task.reduced.members(c)
    residual = task.best.point.residual[member]
    if task.exact:
        return float(np.max(np.abs(residual))) <= task.tol
    freedom = len(member) - task.reduced.bases[c].shape[1] - 1
    return _explained(residual / task.noise[member], freedom)


def _explained(whitened, freedom):
    """Chi-squared test of a residual in units of its standard deviation."""
    return bool(whitened @ whitened <= scipy.special.chdtri(max(freedom, 1), LEVEL))


def report_at(task, x, stopped, fun, converged):
    """The result at a point that another method found; ``converged``: a success by its own rule."""
    task.maxiter = 0
    _try(task, x)
    result = _report(task, stopped, converged)
    result.fun = fun
    return result


def _report(task, stopped, converged=False):
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
    success = (_matched(task) or converged) and not stopped
    null_space = orthonormal_columns(np.column_stack([reduced.free, *_scale_directions(task, point.slack)]))
    determined = task.known_signs is not None or task.evidence["signs_determined"]
    weighted = model.directions / model.values
    standard_errors = np.sqrt(np.einsum("ij,ij->i", weighted, weighted))
    rms = point.size / np.sqrt(max(np.count_nonzero(reduced.active), 1))
    if task.exact:                 # the residual that arithmetic left, where it exceeds rounding of the scores
        task.evidence["information_limit"] = float(np.linalg.norm(standard_errors))
        standard_errors *= max(1.0, rms)
    for free in (null_space, model.flat):
        standard_errors[np.linalg.norm(free, axis=1) > UNDETERMINED * np.linalg.norm(free)] = np.inf
    status = 4 if stopped else 0 if success else _failure(task)
    task.evidence["polish"] = {"iterations": task.best.iterations, "evaluations": task.best.evaluations,
                               "whitened_rms": rms}
    slack = point.slack.copy()
    slack[reduced.zero_slack] = 0.0
    known = np.isfinite(standard_errors)
    relative = np.linalg.norm(standard_errors[known]) / max(np.linalg.norm(point.x), 1e-300) if task.exact else 0.0
    return InversionResult(
        x=point.x, fun=0.5 * float(np.sum((scores - task.scores) ** 2)), scores=scores, slack=slack,
        signs=np.sign(slack), success=success, status=status, message=_message(task, status, relative),
        nit=task.progress.nit, nfev=task.nfev,
        unique=bool(success and not converged and determined and not null_space.shape[1]), null_space=null_space,
        standard_errors=standard_errors, condition=_condition(task), evidence=task.evidence)


def _without_scores(task, x, stopped):
    d = task.rows.shape[1]
    slack = task.rows.matvec(x) - task.b
    status = 4 if stopped else 3
    return InversionResult(
        x=x, fun=np.inf, scores=np.zeros(len(slack)), slack=slack, signs=np.sign(slack), success=False,
        status=status, message=_message(task, status), nit=task.progress.nit, nfev=task.nfev, unique=False,
        null_space=np.zeros((d, 0)), standard_errors=np.full(d, np.inf), condition=np.inf,
        evidence=task.evidence)


def _scale_directions(task, slack):
    """For each component whose scale is free, the direction whose image is its slack."""
    reduced = task.reduced
    start = reduced.start
    return [start @ (start.T @ task.rows.rmatvec(np.where(reduced.label == c, slack, 0.0)))
            for c in range(reduced.count) if task.range.inside[c]]


def _condition(task):
    point = task.best.point
    if not np.any(point.x) or not len(task.best.linearisation.values) or task.best.linearisation.flat.size:
        return np.inf
    weight = np.where(task.reduced.active, 1.0 / np.maximum(task.scores, 1e-150), 0.0)
    if task.exact:
        model, unit = task.best.linearisation, ROUNDING
    else:
        model, unit = linearise(task.reduced, point, weight, int(np.count_nonzero(task.range.inside))), 1.0
    return float(np.linalg.norm(model.directions / model.values, 2) / (unit * np.linalg.norm(point.x)))


def _failure(task):
    if task.obstacles:
        return 1
    signs = task.evidence.get("signs", ())
    if task.exact and signs and max(s["misfit"] for s in signs) > SIGN_TOLERANCE:
        return 2
    return 3


def _message(task, status, relative_error=0.0):
    reasons = task.obstacles + task.remarks
    if status == 0:
        reasons = []
        if relative_error > POORLY_KNOWN:
            reasons.append(f"x is determined to a relative error of about {relative_error:.0e} only")
    if status == 2:
        starts = max(s["restarts"] for s in task.evidence["signs"])
        reasons.append(f"the scores fix the size of the slack, but in {starts} starts no signs were found with which "
                       f"it is A x - b for an x (try options={{'restarts': ...}}, or noise if they are rounded)")
    if status == 3 and task.known_signs is not None:
        reasons.append("no x with the given signs was found to have them")
    if status in (1, 2, 3) and task.best is not None:
        worst = float(np.max(np.abs(task.best.point.residual), initial=0.0))
        reasons.append(f"closest found: max|sigma(x) - scores| = {worst:.3g}")
    return MESSAGES[status] + (": " + "; ".join(reasons) if reasons else "") + "."
