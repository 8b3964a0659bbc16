"""One inversion from scores: what is given, and what the stages add to it; and what all methods
start with, the reduced problem and what it says of the scores.
"""
from dataclasses import dataclass, field, replace

import numpy as np

from levinv.inverse.components import SURELY_ZERO, components
from levinv.inverse.identification import IN_RANGE, response_in_range
from levinv.inverse.reduction import (Augmented, NoSolutionError, component_decision,
                                      fixed_score_faults, reduce, sum_faults)
from levinv.inverse.report import ROUNDING
from levinv.inverse.result import Progress

SMALLEST_SCORE = 1e-30             # smaller ones are not known to full relative precision
LARGEST_FREE = 1e6                 # slack of a coloop that a start may give, as part of the largest
                                   # b


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
    zero_slacks: bool = True       # whether exact scores of 1.0 are taken for those of zero slack
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


def prepare(task):
    """What every method starts with: the reduced problem and what it says of the scores."""
    one = task.scores >= 1.0 - 2.0 * ROUNDING if task.exact and task.zero_slacks else None
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


def augmented(task, c):
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
            matrix = augmented(task, c)
            no_loops = np.zeros(matrix.shape[0], dtype=bool)
            try:
                found = components(matrix.block, *matrix.shape, no_loops)
                decided.append(found)
                connected = found.count == 1
            except np.linalg.LinAlgError:            # b close to range(A): nothing is certain
                connected = False
        determined.append(connected)
    return determined, component_decision(decided)
