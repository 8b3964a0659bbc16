"""One inversion from scores: what is given, and what the stages add to it; and what all methods
start with, the reduced problem and what it says of the scores.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from levinv._tolerances import FEW_ROUNDINGS
from levinv._typing import Booleans, Floats, Integers
from levinv.forward.basis import column_space
from levinv.forward.projection import DependentZeroSlackError, Projection, project
from levinv.inverse.result import Progress
from levinv.inverse.stages.components import components
from levinv.inverse.stages.presolve import (
    Augmented,
    Decision,
    NoSolutionError,
    Reduced,
    component_decision,
    fixed_score_faults,
    reduce,
    sum_faults,
)
from levinv.inverse.stages.recover import IN_RANGE, Range, response_in_range
from levinv.inverse.verdict.report import ROUNDING
from levinv.storage import Rows

if TYPE_CHECKING:
    from levinv.inverse.stages.magnitudes import Magnitudes
    from levinv.inverse.stages.refine import Polished
    from levinv.inverse.stages.signs import SignCandidate
    from levinv.inverse.stages.whitened_jacobian import Point
    from levinv.inverse.verdict.outliers import Outliers

SMALLEST_SCORE = 1e-30             # smaller ones are not known to full relative precision
LARGEST_FREE = 1e6                 # slack of a coloop that a start may give, as part of the largest
                                   # b


@dataclass
class Task:
    """One inversion: the checked input and what the stages add to it."""

    rows: Rows
    b: Floats
    scores: Floats                 # as given, clipped to [0, 1]
    noise: Floats | None
    known_signs: Floats | None
    x0: Floats | None
    tol: float
    maxiter: int | None
    restarts: int
    rng: np.random.Generator
    progress: Progress
    zero_slacks: bool = True       # whether exact scores of 1.0 are taken for those of zero slack
    reduced: Reduced = field(init=False)              # until prepare is through these are not there
    response: Floats = field(init=False)              # b - A offset
    range: Range = field(init=False)                  # of A, component by component: is b in it?
    misgiven: Integers = field(init=False)            # rows whose score no x changes and that are
                                                      # given another one
    best: Polished | None = None
    latest: Floats | None = None   # x of the polish under way
    nfev: int = 0
    # scores that no x changes are given otherwise
    obstacles: list[str] = field(default_factory=list)
    doubtful: bool = False         # whether obstacles hold only if rounding connects no rows
    proofs: list[str] = field(default_factory=list)   # why no weights have the scores
    remarks: list[str] = field(default_factory=list)  # what else the message should say
    scaling: Magnitudes | None = None                 # the last of stage 1
    # of each component: what every start of stage 2 found
    starts: list[list[SignCandidate]] = field(default_factory=list)
    outliers: Outliers | None = None                  # None: leaving out a few explains nothing
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether the scores are given to rounding."""
        return self.noise is None

    def deviation(self) -> Floats:
        """Standard deviation of each score."""
        if self.noise is not None:
            return self.noise
        return ROUNDING * np.maximum(self.scores, SMALLEST_SCORE)

    def weight(self) -> Floats:
        """Its inverse, 0 in rows that take no part."""
        weight: Floats = 1.0 / self.deviation()
        weight[~self.reduced.active] = 0.0
        return weight

    def whole_projection(self, slack: Floats, without: Booleans) -> Projection | None:
        """The projection of all rows but some, nothing reduced; None where it is not defined or
        cannot be computed.
        """
        try:
            with np.errstate(over="raise"):
                return project(self.rows, slack, column_space(self.rows).transform, without)
        except (DependentZeroSlackError, FloatingPointError, np.linalg.LinAlgError):
            return None

    def rms(self, point: Point) -> float:
        """Root mean square of the whitened residual at a Point."""
        return point.size / math.sqrt(max(int(np.count_nonzero(self.reduced.active)), 1))


def prepare(task: Task) -> None:
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
    allowed = np.broadcast_to(task.tol if task.noise is None else 6.0 * task.noise,
                              task.scores.shape)
    try:
        task.reduced = reduce(task.rows, one, task.b, coloop_slack)
        if (task.exact and task.reduced.gap > FEW_ROUNDINGS
                and _faults(task, task.reduced, allowed)[0]):   # do they tell of connections?
            finer = reduce(task.rows, one, task.b, coloop_slack, FEW_ROUNDINGS)
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


def _check_fixed_scores(task: Task, allowed: Floats) -> None:
    """Scores that no x can change: zero rows, coloops, sums over components."""
    reduced, c = task.reduced, task.scores
    faults, task.misgiven = _faults(task, reduced, allowed)
    task.obstacles += faults
    if task.exact:
        zero = np.flatnonzero(reduced.active & (c == 0))
        if len(zero):
            task.obstacles.append(f"no finite slack gives row {zero[0]} the score 0")


def _faults(task: Task, reduced: Reduced, allowed: Floats) -> tuple[list[str], Integers]:
    """Sentences on scores that contradict the components; rows whose score nothing can change."""
    faults, misgiven = fixed_score_faults(reduced, task.scores, allowed)
    if task.exact:        # scores rounded to zero sum to less: with noise the residual decides
        faults += [fault + " (give noise if they are rounded)"
                   for fault in sum_faults(reduced, task.scores, task.tol)]
    return faults, misgiven


def augmented(task: Task, c: int) -> Augmented:
    """[A_C b_C], its last column replaced by b's residual on range(A_C): the same matroid and
    range.
    """
    if task.range.inside[c]:
        return Augmented(task.reduced, c, None)
    assert task.range.residual is not None          # kept while signs are looked for
    return Augmented(task.reduced, c, task.range.residual / task.range.size[c])


def _signs_determined(task: Task) -> tuple[list[bool], Decision]:
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
