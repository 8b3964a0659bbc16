"""Score inversion without a starting point: the four stages in order.

    reduction      what needs no iteration (loops, coloops, zero slacks, components)
    1 scaling      scores -> |slack| up to scale, a convex problem
    2 signs        real phase retrieval, unless they are known
    3 identification   x and its null space, least squares in closed form
    4 polish       maximum likelihood on the scores themselves

Where A has many rows and the scores are exact, x comes out of stage 3 far more accurate than the
magnitudes, whose errors average out, and stage 4 costs little: stage 1 is left early then and taken
up again only where stage 4 does not get to the scores.

A component's scale κ is positive: a solution of stage 3 with κ < 0 has its signs flipped. With
noise, stages 1 to 3 only start stage 4: scores are moved into (0, 1) and to the right sum, stage 1
stops when the noise explains the rest, and rows whose score is below three noise levels take no
part in stages 2 and 3.
"""
import itertools
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.special

from levinv.forward.orthonormal import EPS, column_space
from levinv.forward.projection import DependentZeroSlackError, project
from levinv.inverse.components import SURELY_ZERO, components
from levinv.inverse.identification import IN_RANGE, identify, response_in_range
from levinv.inverse.linearisation import evaluate
from levinv.inverse.outliers import (MOST_ITERATIONS, Outliers, bonferroni, find_outliers,
                                     most_outliers)
from levinv.inverse.polish import many_rows, polish
from levinv.inverse.reduction import (Augmented, NoSolutionError, component_decision,
                                      fixed_score_faults, reduce, sum_faults)
from levinv.inverse.report import ROUNDING, SETTLED, SIGN_TOLERANCE, report, unseen
from levinv.inverse.result import Progress, Stopped
from levinv.inverse.scaling import TIGHT, find_obstacle, log_weight_deviation, match_scores
from levinv.inverse.signs import ENUMERATED, enumerate_signs, sign_candidates
from levinv.inverse.trimmed import small_enough, trimmed_signs

LEVEL = 1e-3                       # of the chi-squared test
NOISE_KNOWN = 1.1                  # residual, in noise levels, that is explained however many rows
                                   # there are
SMALLEST_SCORE = 1e-30             # smaller ones are not known to full relative precision
CLEAR = 4.0                        # standard deviations of a slack from zero at which its sign
                                   # counts
LARGEST_FREE = 1e6                 # slack of a coloop that a start may give, as part of the largest
                                   # b
UNKNOWN = 1e200                    # stands for an infinite standard error in sums
UNUSED = 3.0                       # noise levels below which a score's row takes no part
MOST_PROPAGATED = 1000             # rows up to which the error of every score is propagated to
                                   # every magnitude
ROUGH = 0.1, 0.01                  # errors of stage 1 that stage 4 makes good in a matrix of many
                                   # rows, tried in turn; signs known;
FAIR = (1e-8,)                     # unknown, they are searched for with these magnitudes
SPOILING = 0.05                    # residual, relative to the mean score, from which wrong scores
                                   # may have spoilt the magnitudes, too
ROUNDS, TRIED = 4, 3               # with outliers left out of stages 2 and 3; candidates in each
GUESSES = 10                       # starts of stage 2 that are tried with outliers left out
MOST_EVALUATIONS = 10_000          # of the scores in the search for signs: slacks over many orders
                                   # leave thousands of sign vectors that fit alike
FEW_RESTARTS = 3                   # of the sign search when no x can have the scores


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
    latest: np.ndarray = None      # x of the polish under way
    nfev: int = 0
    obstacles: list = field(default_factory=list)     # scores that no x changes are given otherwise
    doubtful: bool = False         # whether obstacles hold only if rounding connects no rows
    proofs: list = field(default_factory=list)        # why no weights have the scores
    remarks: list = field(default_factory=list)       # what else the message should say
    scaling: object = None         # the last of stage 1
    starts: list = field(default_factory=list)        # of each component: the Signs found by every
                                                      # start of stage 2
    misgiven: np.ndarray = None    # rows whose score no x changes and that are given another one
    outliers: object = None        # Outliers, or None: leaving out a few rows explains nothing
    evidence: dict = field(default_factory=dict)

    @property
    def exact(self):
        """Whether the scores are given to rounding."""
        return self.noise is None

    def deviation(self):
        """Standard deviation of each score."""
        return ROUNDING * np.maximum(self.scores, SMALLEST_SCORE) if self.exact else self.noise

    def weight(self):
        """Its inverse, 0 in rows that take no part."""
        weight = 1.0 / self.deviation()
        weight[~self.reduced.active] = 0.0
        return weight

    def rms(self, point):
        """Root mean square of the whitened residual at a Point."""
        return point.size / np.sqrt(max(np.count_nonzero(self.reduced.active), 1))


def solve(task):
    """Run the stages, look for outliers and report."""
    stopped = False
    try:
        prepare(task)
        if task.x0 is not None:
            _try(task, _on_equations(task, task.x0))
        if not matched(task):
            _run_stages(task)
    except Stopped:
        stopped = True
        if task.best is None and task.latest is not None:
            task.maxiter, task.progress.callback = 0, None
            _try(task, task.latest)
    if task.best is not None and not stopped:
        _leave_out_outliers(task)
    return _report(task, stopped)


def prepare(task):
    """What every method starts with: the reduced problem and what it says of the scores."""
    one = (task.scores >= 1.0 - 2.0 * ROUNDING) if task.exact else None
    coloop_slack = np.ones(len(task.b))
    if task.known_signs is not None:
        coloop_slack = task.known_signs
    elif task.x0 is not None:
        largest = LARGEST_FREE * (np.abs(task.b).max() or 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            coloop_slack = task.rows.matvec(task.x0) - task.b
        coloop_slack = np.nan_to_num(np.clip(coloop_slack, -largest, largest), nan=1.0)
    allowed = np.broadcast_to(task.tol if task.exact else 6.0 * task.noise, task.scores.shape)
    try:
        task.reduced = reduce(task.rows, one, task.b, coloop_slack)
        if (task.exact and task.reduced.gap > SURELY_ZERO
                and _faults(task, task.reduced, allowed)[0]):   # do they tell of connections?
            finer = reduce(task.rows, one, task.b, coloop_slack, SURELY_ZERO)
            if not _faults(task, finer, allowed)[0]:
                task.reduced = finer
        if task.exact and 0.0 < task.reduced.gap and _faults(task, task.reduced, allowed)[0]:
            # connected by less than rounding, rows may have the scores: that is no proof
            faintest = reduce(task.rows, one, task.b, coloop_slack, 0.0)
            task.doubtful = not _faults(task, faintest, allowed)[0]
    except NoSolutionError as reason:
        task.obstacles.append(str(reason))
        task.reduced = reduce(task.rows, None, task.b, coloop_slack)
    reduced = task.reduced
    task.response = (task.b - task.rows.matvec(reduced.offset) if reduced.offset.any()
                     else task.b)
    task.range = response_in_range(reduced, task.b, task.response)
    determined, sign_decision = _signs_determined(task)
    if task.known_signs is not None:
        task.range = replace(task.range, residual=None)        # for the search for signs
    task.evidence.update(
        rank=reduced.rank, rank_decision=reduced.rank_decision, components=reduced.count,
        component_gap=reduced.gap, component_decision=reduced.component_decision,
        loops=reduced.loops, coloops=reduced.coloops, zero_slack=reduced.zero_slack,
        response_in_range=task.range.inside, response_ratio=task.range.ratio,
        response_threshold=IN_RANGE, signs_determined=all(determined),
        signs_determined_on=determined, sign_decision=sign_decision)
    _check_fixed_scores(task, allowed)


def _check_fixed_scores(task, allowed):
    """Scores that no x can change: zero rows, coloops, sums over components."""
    reduced, c = task.reduced, task.scores
    faults, task.misgiven = _faults(task, reduced, allowed)
    task.obstacles += faults
    if task.exact:
        zero = np.flatnonzero(reduced.active & (c == 0))
        if len(zero):
            task.obstacles.append(f"no finite slack gives row {zero[0]} the score 0")


def _faults(task, reduced, allowed):
    """Sentences on scores that contradict the components; rows whose score nothing can change."""
    faults, misgiven = fixed_score_faults(reduced, task.scores, allowed)
    if task.exact:        # scores rounded to zero sum to less: with noise the residual decides
        faults += [fault + " (give noise if they are rounded)"
                   for fault in sum_faults(reduced, task.scores, task.tol)]
    return faults, misgiven


def _augmented(task, c):
    """[A_C b_C], its last column replaced by b's residual on range(A_C): the same matroid and
    range.
    """
    return Augmented(task.reduced, c,
                     None if task.range.inside[c] else task.range.residual / task.range.size[c])


def _signs_determined(task):
    """Stage 2's rule: [A_C b_C] is connected, for every component; and its evidence."""
    determined, decided = [], []
    for c in range(task.reduced.count):
        connected = True
        if not task.range.inside[c]:
            matrix = _augmented(task, c)
            no_loops = np.zeros(matrix.shape[0], dtype=bool)
            try:
                found = components(matrix.block, *matrix.shape, no_loops)
                decided.append(found)
                connected = found.count == 1
            except np.linalg.LinAlgError:            # b close to range(A): nothing is certain
                connected = False
        determined.append(connected)
    return determined, component_decision(decided)


def _on_equations(task, x):
    """x moved to where the rows of zero slack have it: stage 4 leaves their slack as it is."""
    zero = task.reduced.zero_slack
    if not len(zero):
        return x
    with np.errstate(over="ignore", invalid="ignore"):
        while True:                            # again: a start from afar leaves rounding
            slack = (task.rows.matvec(x) - task.b)[zero]
            moved = x - task.reduced.lifts @ slack
            after = (task.rows.matvec(moved) - task.b)[zero]
            if not np.isfinite(moved).all():
                return task.reduced.offset
            if not np.abs(after).max() <= 0.5 * np.abs(slack).max():
                return x
            if not after.any():
                return moved
            x = moved


def _try(task, x, brief=False):
    """Polish from x and keep the result if it is the best; ``brief``: unless it takes long."""
    found = _polished(task, x, task.weight(), brief)
    if found is None:
        return
    if _better(task, found):
        task.best = found
    if brief and found.stuck and matched(task):      # within tol, but not all that x can be
        _try(task, found.point.x)


def _polished(task, x, weight, brief=False, most=50):
    """Stage 4 from x, or None."""
    limit = most if task.maxiter is None else task.maxiter
    freedom = int(np.count_nonzero(task.range.inside))

    def report(iteration, x, error):
        task.latest = x
        task.progress("polish", error, x)

    found = polish(task.reduced, task.b, x, task.scores, weight, freedom, maxiter=limit,
                   brief=brief, report=report)
    if found is not None:
        task.nfev += found.evaluations
    return found


def _better(task, found):
    if task.best is None:
        return True
    agreed = [_signs_agree(task, p) for p in (found, task.best)]
    return (agreed[0] > agreed[1]
            or (agreed[0] == agreed[1] and found.point.size < task.best.point.size))


def _signs_agree(task, found):
    """Whether the slack has the known signs, in the rows in which it is clear of zero."""
    if task.known_signs is None:
        return True
    reduced, slack = task.reduced, found.point.slack
    told = reduced.active.copy()
    told[reduced.spanned] = True
    if np.all((np.sign(slack) == task.known_signs)[told]):
        return True
    spread = np.sqrt(task.rows.quad(None, found.linearisation.steps))
    if task.exact:
        spread = spread * max(1.0, task.rms(found.point))
        if len(reduced.zero_slack):
            spread = spread + task.rows.abs_matvec(np.minimum(unseen(task, found.point), UNKNOWN))
    clear = told & (np.abs(slack) > CLEAR * spread)
    return bool(np.all(np.sign(slack[clear]) == task.known_signs[clear]))


def matched(task):
    """Whether the best point has the scores."""
    if task.best is None or task.obstacles or not _signs_agree(task, task.best):
        return False
    point = task.best.point
    if not _equations_hold(task, point):
        return False
    if task.exact:
        return _within(task, point, slice(None))
    freedom = np.count_nonzero(task.reduced.active) - task.best.linearisation.steps.shape[1]
    return _explained(point.residual / task.noise, freedom)


def _equations_hold(task, point):
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
    try:
        whole = project(task.rows, slack, column_space(task.rows).transform, without)
    except DependentZeroSlackError:
        return False
    return bool(np.all(whole.complement()[zero] <= task.tol))


def _leave_out_outliers(task):
    """Fit x again without the rows whose scores are not those of the x that has all others."""
    success = matched(task)
    if not success and task.best.iterations == task.maxiter:
        return
    if task.exact and success:
        task.outliers = Outliers(np.zeros(0, dtype=int), np.zeros(0), task.best)
        return
    active, deviation = task.reduced.active, task.deviation()
    freedom = np.count_nonzero(active) - task.best.linearisation.steps.shape[1]
    threshold = _outlier_threshold(task)

    def explained(fit, left_out):
        if not _signs_agree(task, fit):
            return False
        if task.exact:
            return task.rms(fit.point) <= SETTLED and _within(task, fit.point, ~left_out)
        return _explained((fit.point.residual / deviation)[~left_out], freedom - left_out.sum())

    def suspect(fit, deviations):
        if task.exact:
            return np.abs(fit.point.residual) > _allowed(task, fit.point)
        return np.abs(deviations) > threshold

    def refit(x, left_out):
        return _polished(task, x, np.where(left_out, 0.0, task.weight()), most=MOST_ITERATIONS)

    def outliers(fit, left_out=None):
        return find_outliers(fit, task.weight(), freedom, explained=explained, suspect=suspect,
                             refit=refit, left_out=left_out)

    try:
        task.outliers = outliers(task.best)
        if (task.outliers is None and not success and task.scaling is not None
            and np.abs(task.best.point.residual).max() > SPOILING * task.scores[active].mean()):
            for x, left_out in _trimmed_starts(task):
                fit = refit(x, left_out)
                task.outliers = None if fit is None else outliers(fit, left_out)
                if task.outliers is not None:
                    break
    except Stopped:
        return
    if task.outliers is not None:
        task.best = task.outliers.fit


def _trimmed_starts(task):
    """Stages 2 and 3 where some magnitudes are wrong: x and the rows left out.

    Wrong scores spoil all magnitudes somewhat: those of the rows left out are replaced by what x
    makes of them, and stage 1 runs again.
    """
    reduced, (target, _) = task.reduced, _interior_target(task)
    guesses = []
    if task.range.residual is None:
        task.range = response_in_range(reduced, task.b, task.response)
    for c in range(reduced.count):
        starts = sorted(task.starts[c] if task.starts else [], key=lambda start: start.misfit)
        guesses.append([start.signs for start in starts[:GUESSES]])
        guesses[c].append(np.where(task.best.point.slack[reduced.members(c)] < 0, -1.0, 1.0))
    for _ in range(ROUNDS):
        found = [trimmed_signs(
            _augmented(task, c), task.scaling.magnitude[reduced.members(c)],
            None if task.known_signs is None else task.known_signs[reduced.members(c)], guesses[c],
            most_outliers(len(reduced.members(c)) - reduced.bases[c].shape[1] - 1), task.rng)
            for c in range(reduced.count)]
        best = None
        for candidates in itertools.islice(zip(*found, strict=False), TRIED):
            signs, left_out = np.ones(len(target)), np.zeros(len(target), dtype=bool)
            for c, candidate in enumerate(candidates):
                signs[reduced.members(c)], left_out[reduced.members(c)] = candidate
            x = _from_signs(task, task.scaling, signs, np.where(left_out, np.inf, 1.0))
            best = (x, signs, left_out) if best is None else best
            yield x, left_out
        point = None if best is None else evaluate(reduced, task.b, best[0], target,
                                                   np.zeros(len(target)))
        if point is None:
            return
        for c in range(reduced.count):
            member = reduced.members(c)
            guesses[c].insert(0, best[1][member])
            wrong = member[best[2][member]]
            kept = member[~best[2][member]]
            rest = reduced.bases[c].shape[1] - target[kept].sum()
            if 0 < rest < len(wrong):
                target[wrong] = _shift_to_sum(np.clip(point.projection.scores[wrong], 1e-9,
                                                      1.0 - 1e-9), rest)
        _scale(task, target, None, None, 0.0)


def _outlier_threshold(task):
    return NOISE_KNOWN * bonferroni(LEVEL, np.count_nonzero(task.reduced.active))


def _within(task, point, member):
    """Whether the errors of exact scores are allowed, on some of the rows."""
    error = np.abs(point.residual[member])
    return bool(np.all(error <= task.tol) or np.all(error <= _allowed(task, point)[member]))


def _allowed(task, point):
    """Errors of exact scores that count as none, (n,): tol and, within limits, what rounding of x
    and of A x - b to double changes in each.
    """
    rounding = EPS * (task.rows.abs_matvec(np.abs(point.x)) + np.abs(task.b))
    slack = np.abs(point.slack)
    relative = np.divide(rounding, slack, out=np.ones_like(slack), where=slack > rounding)
    relative[~task.reduced.active] = 0.0
    scores = point.projection.scores
    changed = (2.0 * np.abs(point.projection.laplacian(relative))
               + 4.0 * scores * point.projection.complement() * relative)
    return task.tol + np.minimum(changed, 100.0 * task.tol)


def _run_stages(task):
    reduced = task.reduced
    if not reduced.count:
        x = reduced.offset
        _try(task, x)
        return
    many = task.exact and many_rows(len(task.b), reduced.start.shape[1])
    known = task.known_signs is not None
    log_weight = None
    for accuracy in (*(ROUGH if known else FAIR), 0.0) if many else (0.0,):
        target, enough = _interior_target(task)
        before, scaling = log_weight, _scale(task, target, enough, log_weight, accuracy)
        log_weight, last = scaling.log_weight, accuracy == 0 or scaling.error > accuracy
        if scaling.obstacle is not None and task.exact:
            task.proofs.append(str(scaling.obstacle))
        if last and task.evidence["scaling"]["iterations"] == task.maxiter:
            task.remarks.append(f"stage 1 stopped at maxiter = {task.maxiter} iterations")
        if known:
            x = _from_signs(task, scaling, task.known_signs, _accuracy(task, scaling, target))
            del target, scaling, before             # n-vectors that stage 4 has no use for
            _try(task, x, brief=many and not last)
        elif before is None or 0.5 * np.abs(log_weight - before).max() > SIGN_TOLERANCE:
            _from_magnitudes(task, scaling, target)
        if last or matched(task):
            break
    if many and not known and task.best is not None and not matched(task):
        _try(task, task.best.point.x)
    if task.exact and not (task.obstacles or task.proofs or matched(task)):
        tight = find_obstacle(task.rows, reduced.start, _interior_target(task)[0],
                              reduced.active, reduced.label, log_weight, TIGHT)
        if tight is not None:
            task.proofs.append(str(tight))


def _scale(task, target, enough, log_weight, accuracy):
    """Stage 1, or its continuation; the evidence counts both."""
    reduced = task.reduced
    spent = task.evidence.setdefault("scaling", {"iterations": 0, "products": 0})
    scaling = match_scores(
        task.rows, reduced.start, target, reduced.active, reduced.label, plain=reduced.plain,
        log_weight=log_weight, accuracy=accuracy, enough=enough,
        maxiter=(100 if task.maxiter is None else task.maxiter) - spent["iterations"],
        report=lambda iteration, error: task.progress("scaling", error))
    task.nfev += scaling.evaluations
    if small_enough(len(task.b), reduced.start.shape[1] + 1):
        task.scaling = scaling
    task.evidence["scaling"] = {"iterations": spent["iterations"] + scaling.iterations,
                                "products": spent["products"] + scaling.products,
                                "error": scaling.error}
    return scaling


def _from_magnitudes(task, scaling, target):
    """Stages 2 to 4, signs unknown."""
    accuracy = _accuracy(task, scaling, target)
    if task.x0 is not None:
        slack = task.rows.matvec(task.x0) - task.b
        _try(task, _from_signs(task, scaling, np.where(slack < 0, -1.0, 1.0), accuracy))
        if matched(task):
            return
    _search_signs(task, scaling, accuracy)


def _accuracy(task, scaling, target):
    """Relative standard deviation of each magnitude, inf in rows that are not to be used; None
    without noise.
    """
    if task.exact:
        return None
    reduced = task.reduced
    c = np.clip(task.scores, 1e-12, 1.0 - 1e-12)
    accuracy = np.where(task.scores < UNUSED * task.noise, np.inf,
                        np.minimum(0.5 * task.noise / (c * (1.0 - c)), 1.0))
    if np.count_nonzero(reduced.active) <= MOST_PROPAGATED:
        spread = 0.5 * log_weight_deviation(scaling.projection, reduced.active, reduced.label,
                                            task.noise)
        accuracy = np.where(np.isfinite(accuracy), np.minimum(np.maximum(accuracy, spread), 1.0),
                            np.inf)
    if np.isfinite(accuracy[reduced.active]).sum() <= 2 * reduced.start.shape[1] + 2:
        accuracy = np.where(reduced.active, np.minimum(0.5 * task.noise / target, 1.0), np.inf)
    return accuracy


def _interior_target(task):
    """Scores inside (0, 1) that sum to the rank on each component, and when they are matched well
    enough.
    """
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
    return target, lambda residual: np.linalg.norm(residual * weight) <= np.sqrt(active.sum())


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
    return np.clip(moved, np.finfo(float).tiny, 1.0 - EPS)


def _from_signs(task, scaling, signs, accuracy):
    """Stage 3, x from one vector of signs."""
    reduced = task.reduced
    found = identify(reduced, task.response, scaling, signs, task.range.inside, accuracy)
    negative = [c for c in range(reduced.count) if found.scale[c] < 0]
    if negative and task.known_signs is None:
        signs = np.where(np.isin(reduced.label, negative), -signs, signs)
        found = identify(reduced, task.response, scaling, signs, task.range.inside, accuracy)
    elif negative:
        task.evidence["negative_scale"] = negative
    task.evidence["identification"] = {"scale": found.scale, "misfit": found.misfit}
    if task.known_signs is None and not task.exact:
        for _ in range(5):                        # x read back: signs of uncertain rows settle
            settled = np.where(task.rows.matvec(found.x) - task.b < 0, -1.0, 1.0)
            if np.array_equal(settled[reduced.active], signs[reduced.active]):
                break
            signs = settled
            found = identify(reduced, task.response, scaling, signs, task.range.inside, accuracy)
    return found.x


def _search_signs(task, scaling, accuracy):
    """Take sign candidates component by component until the scores are matched."""
    reduced, magnitude = task.reduced, scaling.magnitude
    searches = []
    task.starts = [[] for _ in range(reduced.count)]
    for c in range(reduced.count):
        member = reduced.members(c)
        searches.append(sign_candidates(
            _augmented(task, c), magnitude[member], task.rng,
            accuracy=None if accuracy is None else accuracy[member],
            tolerance=SIGN_TOLERANCE,
            restarts=FEW_RESTARTS if task.obstacles or task.proofs else task.restarts,
            report=lambda start, misfit: task.progress("signs", misfit), starts=task.starts[c]))
    signs = np.ones(len(magnitude))
    evidence = task.evidence["signs"] = [{"misfit": np.inf, "restarts": 0} for _ in searches]
    unsettled = range(reduced.count)
    most = task.nfev + max(MOST_EVALUATIONS, 100 * task.restarts)
    while unsettled:
        moved = False
        for c in unsettled:
            candidate = next(searches[c], None)
            if candidate is not None:
                moved = True
                signs[reduced.members(c)] = candidate.signs
                evidence[c]["misfit"] = min(candidate.misfit, evidence[c]["misfit"])
                evidence[c]["restarts"] = max(candidate.restarts, evidence[c]["restarts"])
                if not task.starts[c]:           # enumerated: all that fit, and the closest
                    evidence[c]["fitting"] = evidence[c].get("fitting", 0) + candidate.fits
        if not moved:
            return
        if task.nfev > most:
            task.remarks.append("not all signs that fit were tried")
            return
        _try(task, _from_signs(task, scaling, signs, accuracy))
        unsettled = [c for c in unsettled if not _settled(task, c)]


def _settled(task, c):
    """Whether the best point matches the scores on component c."""
    if task.best is None:
        return False
    member = task.reduced.members(c)
    residual = task.best.point.residual[member]
    if task.exact:
        whitened = residual / task.deviation()[member]
        return (np.sqrt(np.mean(whitened ** 2)) <= SETTLED
                and _within(task, task.best.point, member))
    freedom = len(member) - task.reduced.bases[c].shape[1] - 1
    return _explained(residual / task.noise[member], freedom)


def _explained(whitened, freedom):
    """Chi-squared test of a residual in units of its standard deviation, which is known to one part
    in ten at best.
    """
    return bool(whitened @ whitened <= _most_explained(freedom))


def _most_explained(freedom):
    freedom = max(freedom, 1)
    return float(max(scipy.special.chdtri(freedom, LEVEL), NOISE_KNOWN ** 2 * freedom))


def _fit(task):
    """Evidence of the fit: what was compared with what. Outliers are left out."""
    point, active = task.best.point, task.reduced.active
    rows = active
    if task.outliers is not None and len(task.outliers.rows):
        rows = active.copy()
        rows[task.outliers.rows] = False
    error = np.abs(point.residual[rows])
    found = {"rows": len(error), "largest_error": float(error.max(initial=0.0))}
    if task.exact:
        return found | {"test": "tolerance", "tolerance": task.tol}
    freedom = max(len(error) - task.best.linearisation.steps.shape[1], 1)
    chi_squared = float(np.sum((error / task.noise[rows]) ** 2))
    return found | {"test": "chi-squared", "chi_squared": chi_squared,
                    "degrees_of_freedom": freedom, "level": LEVEL,
                    "limit": _most_explained(freedom),
                    "p_value": scipy.special.chdtrc(freedom, chi_squared)}


def report_at(task, x, stopped, fun, converged):
    """The result at a point that another method found; ``converged``: a success by its own rule."""
    task.maxiter = 0
    _try(task, x)
    result = _report(task, stopped, converged)
    result.fun = fun
    return result


def _report(task, stopped, converged=False):
    success = matched(task) and not (task.outliers is not None and len(task.outliers.rows))
    if task.best is not None:
        task.evidence["fit"] = _fit(task)
        if not task.exact:
            task.evidence["outlier_threshold"] = _outlier_threshold(task)
    if success and task.known_signs is None:
        _note_ambiguity(task, np.abs(task.best.point.slack))
    with np.errstate(over="ignore"):                   # standard errors may be inf
        return report(task, success, stopped, converged)


def _note_ambiguity(task, magnitude):
    """Few rows: count the sign vectors that fit, for x that is none of "almost every x"."""
    for c in range(task.reduced.count):
        member = task.reduced.members(c)
        if task.exact and not task.range.inside[c] and len(member) <= ENUMERATED:
            found = enumerate_signs(_augmented(task, c), magnitude[member], SIGN_TOLERANCE)
            if sum(s.misfit <= SIGN_TOLERANCE for s in found) > 1:
                task.evidence["signs_determined"] = False
                task.evidence["signs_determined_on"][c] = False
