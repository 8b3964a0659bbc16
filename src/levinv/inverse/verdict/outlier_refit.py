"""Rows whose scores are not those of the x that has all others: x without them.

First from the best x there is; where a few wrong scores have spoilt all magnitudes, from signs that
are chosen with some rows left out.
"""
from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from levinv._typing import Booleans, Floats
from levinv.inverse.result import Stopped
from levinv.inverse.schedule import from_signs, interior_target, refine, run_scaling
from levinv.inverse.stages.magnitudes import Magnitudes
from levinv.inverse.stages.recover import response_in_range
from levinv.inverse.stages.refine import Polished
from levinv.inverse.stages.robust_signs import trimmed_signs
from levinv.inverse.stages.target import shift_to_sum
from levinv.inverse.stages.whitened_jacobian import evaluate
from levinv.inverse.task import Task, augmented
from levinv.inverse.verdict.acceptance import (
    LEVEL,
    NOISE_KNOWN,
    allowed_errors,
    explained_by_noise,
    matched,
    signs_agree,
    within_tolerance,
)
from levinv.inverse.verdict.outliers import (
    MOST_ITERATIONS,
    Outliers,
    bonferroni,
    find_outliers,
    most_outliers,
)
from levinv.inverse.verdict.report import SETTLED

SPOILING = 0.05                    # residual, relative to the mean score, from which wrong scores
                                   # may have spoilt the magnitudes, too
ROUNDS, TRIED = 4, 3               # with outliers left out of stages 2 and 3; candidates in each
GUESSES = 10                       # starts of stage 2 that are tried with outliers left out


def leave_out_outliers(task: Task, best: Polished) -> None:
    """Fit x again without the rows whose scores are not those of the x that has all others;
    ``best`` is the fit to all of them.
    """
    success = matched(task)
    if not success and best.iterations == task.maxiter:
        return
    if task.exact and success:
        task.outliers = Outliers(np.zeros(0, dtype=int), np.zeros(0), best)
        return
    active, deviation = task.reduced.active, task.deviation()
    freedom = int(np.count_nonzero(active)) - best.linearisation.steps.shape[1]
    threshold = outlier_threshold(task)

    def explained(fit: Polished, left_out: Booleans) -> bool:
        if not signs_agree(task, fit):
            return False
        if task.exact:
            return task.rms(fit.point) <= SETTLED and within_tolerance(task, fit.point, ~left_out)
        whitened = (fit.point.residual / deviation)[~left_out]
        return explained_by_noise(whitened, freedom - left_out.sum())

    def suspect(fit: Polished, deviations: Floats) -> Booleans:
        if task.exact:
            return np.abs(fit.point.residual) > allowed_errors(task, fit.point)
        return np.abs(deviations) > threshold

    def refit(x: Floats, left_out: Booleans) -> Polished | None:
        return refine(task, x, np.where(left_out, 0.0, task.weight()), most=MOST_ITERATIONS)

    def outliers(fit: Polished, left_out: Booleans | None = None) -> Outliers | None:
        return find_outliers(fit, task.weight(), freedom, explained=explained, suspect=suspect,
                             refit=refit, left_out=left_out)

    try:
        task.outliers = outliers(best)
        if (task.outliers is None and not success and task.scaling is not None
            and np.abs(best.point.residual).max() > SPOILING * task.scores[active].mean()):
            for x, left_out in _trimmed_starts(task, best, task.scaling):
                fit = refit(x, left_out)
                task.outliers = None if fit is None else outliers(fit, left_out)
                if task.outliers is not None:
                    break
    except Stopped:
        return
    if task.outliers is not None:
        task.best = task.outliers.fit


def _trimmed_starts(task: Task, best: Polished,
                    scaling: Magnitudes) -> Iterator[tuple[Floats, Booleans]]:
    """Stages 2 and 3 where some magnitudes are wrong: x and the rows left out.

    Wrong scores spoil all magnitudes somewhat: those of the rows left out are replaced by what x
    makes of them, and stage 1 runs again.
    """
    reduced, (target, _) = task.reduced, interior_target(task)
    guesses: list[list[Floats]] = []
    if task.range.residual is None:
        task.range = response_in_range(reduced, task.b, task.response)
    for c in range(reduced.count):
        starts = sorted(task.starts[c] if task.starts else [], key=lambda start: start.misfit)
        guesses.append([start.signs for start in starts[:GUESSES]])
        guesses[c].append(np.where(best.point.slack[reduced.members(c)] < 0, -1.0, 1.0))
    for _ in range(ROUNDS):
        found = [trimmed_signs(
            augmented(task, c), scaling.magnitude[reduced.members(c)],
            None if task.known_signs is None else task.known_signs[reduced.members(c)], guesses[c],
            most_outliers(len(reduced.members(c)) - reduced.bases[c].shape[1] - 1), task.rng)
            for c in range(reduced.count)]
        likeliest = None
        for candidates in itertools.islice(zip(*found, strict=False), TRIED):
            signs, left_out = np.ones(len(target)), np.zeros(len(target), dtype=bool)
            for c, candidate in enumerate(candidates):
                assert candidate.left_out is not None
                signs[reduced.members(c)] = candidate.signs
                left_out[reduced.members(c)] = candidate.left_out
            x = from_signs(task, scaling, signs, np.where(left_out, np.inf, 1.0))
            likeliest = (x, signs, left_out) if likeliest is None else likeliest
            yield x, left_out
        if likeliest is None:
            return
        x, signs, left_out = likeliest
        point = evaluate(reduced, task.b, x, target, np.zeros(len(target)))
        if point is None:
            return
        for c in range(reduced.count):
            member = reduced.members(c)
            guesses[c].insert(0, signs[member])
            wrong = member[left_out[member]]
            kept = member[~left_out[member]]
            rest = reduced.bases[c].shape[1] - target[kept].sum()
            if 0 < rest < len(wrong):
                target[wrong] = shift_to_sum(np.clip(point.projection.scores[wrong], 1e-9,
                                                      1.0 - 1e-9), rest)
        scaling = run_scaling(task, target, None, None, 0.0)


def outlier_threshold(task: Task) -> float:
    return NOISE_KNOWN * bonferroni(LEVEL, int(np.count_nonzero(task.reduced.active)))
