"""The fit of x without outliers.

It starts from the best x found with all rows. If a few wrong scores have spoilt all magnitudes, it
starts from sign vectors that are chosen with some rows left out. Then the scores of these rows are
replaced by those at the x found, stage 1 runs again, and so on for a few rounds.
"""
import itertools
from collections.abc import Iterator

import numpy as np

from levinv._tolerances import (
    CLOSEST,
    FEW_ROUNDS,
    MAX_OUTLIERS,
    SETTLED_RESIDUAL,
    SPOILING_RESIDUAL,
)
from levinv._typing import Booleans, Floats
from levinv.inverse.progress import Progress, Stopped
from levinv.inverse.stages.loss import evaluate
from levinv.inverse.stages.magnitudes import interior_target, run_magnitudes, shift_to_sum
from levinv.inverse.stages.presolve import augmented, response_in_range
from levinv.inverse.stages.recover import recover_signed
from levinv.inverse.stages.refine import refine
from levinv.inverse.stages.robust_signs import trimmed_signs
from levinv.inverse.values import Found, Limits, Magnitudes, Outliers, Presolved, Refined
from levinv.inverse.verdict import acceptance
from levinv.inverse.verdict.outliers import find_outliers, most_outliers


def leave_out_outliers(presolved: Presolved, best: Refined, found: Found, limits: Limits,
                       progress: Progress) -> Outliers | None:
    """Find the rows whose scores disagree with the x that fits all others, and fit x without them.

    ``best`` is the fit to all rows. None if leaving out a few rows does not explain the others, or
    the callback stopped.
    """
    problem = presolved.problem
    success = acceptance.is_solution(presolved, best)
    if not success and best.iterations == limits.maxiter:
        return None
    if problem.exact and success:
        return Outliers(np.zeros(0, dtype=int), np.zeros(0), best)
    active, deviation = presolved.reduced.active, presolved.problem.deviation()
    degrees = int(np.count_nonzero(active)) - best.linearisation.steps.shape[1]
    threshold = acceptance.outlier_threshold(presolved)

    def explained(fit: Refined, left_out: Booleans) -> bool:
        if not acceptance.signs_agree(presolved, fit):
            return False
        if problem.exact:
            return (presolved.rms(fit.point) <= SETTLED_RESIDUAL
                    and acceptance.within_tolerance(presolved, fit.point, ~left_out))
        whitened = (fit.point.residual / deviation)[~left_out]
        return acceptance.explained_by_noise(whitened, degrees - left_out.sum())

    def suspect(fit: Refined, deviations: Floats) -> Booleans:
        if problem.exact:
            return np.abs(fit.point.residual) > acceptance.allowed_errors(presolved, fit.point)
        return np.abs(deviations) > threshold

    def refit(x: Floats, left_out: Booleans) -> Refined | None:
        iterations = MAX_OUTLIERS if limits.maxiter is None else limits.maxiter
        return refine(presolved, x, progress, iterations, left_out=left_out)

    def outliers(fit: Refined, left_out: Booleans | None = None) -> Outliers | None:
        return find_outliers(fit, presolved.weight(), degrees, explained=explained,
                             suspect=suspect, refit=refit, left_out=left_out)

    outcome = None
    try:
        outcome = outliers(best)
        if (outcome is None and not success and found.magnitudes is not None
            and (np.abs(best.point.residual).max()
                 > SPOILING_RESIDUAL * problem.scores[active].mean())):
            for x, left_out in _trimmed_starts(presolved, best, found.magnitudes, found, limits,
                                               progress):
                fit = refit(x, left_out)
                outcome = None if fit is None else outliers(fit, left_out)
                if outcome is not None:
                    break
    except Stopped:
        pass
    return outcome


def _trimmed_starts(presolved: Presolved, best: Refined, magnitudes: Magnitudes, found: Found,
                    limits: Limits, progress: Progress) -> Iterator[tuple[Floats, Booleans]]:
    """Yield x from stages 2 and 3 with some rows left out, and these rows."""
    problem, reduced, work = presolved.problem, presolved.reduced, found.magnitude_work
    target = interior_target(presolved)[0]
    in_range = presolved.range
    if in_range.residual is None:
        in_range = response_in_range(reduced, problem.b, presolved.response)
    guesses: list[list[Floats]] = []
    for c in range(reduced.count):
        starts = sorted(found.signs[c].starts if found.signs else (),
                        key=lambda start: start.misfit)
        guesses.append([start.signs for start in starts[:2 * CLOSEST]])
        guesses[c].append(np.where(best.point.slack[reduced.members(c)] < 0, -1.0, 1.0))
    for _ in range(FEW_ROUNDS):
        trimmed = [trimmed_signs(
            augmented(reduced, in_range, c), magnitudes.magnitude[reduced.members(c)],
            None if problem.known_signs is None else problem.known_signs[reduced.members(c)],
            guesses[c],
            most_outliers(len(reduced.members(c)) - reduced.bases[c].shape[1] - 1), limits.rng)
            for c in range(reduced.count)]
        likeliest = None
        for candidates in itertools.islice(zip(*trimmed, strict=False), CLOSEST):
            signs, left_out = np.ones(len(target)), np.zeros(len(target), dtype=bool)
            for c, candidate in enumerate(candidates):
                assert candidate.left_out is not None
                signs[reduced.members(c)] = candidate.signs
                left_out[reduced.members(c)] = candidate.left_out
            x = recover_signed(presolved, magnitudes, signs, np.where(left_out, np.inf, 1.0)).x
            likeliest = (x, signs, left_out) if likeliest is None else likeliest
            yield x, left_out
        if likeliest is None or not _replace_scores(presolved, *likeliest, target, guesses):
            return
        magnitudes, work = run_magnitudes(presolved, target, limits, progress, before=work)


def _replace_scores(presolved: Presolved, x: Floats, signs: Floats, left_out: Booleans,
                    target: Floats, guesses: list[list[Floats]]) -> bool:
    """Write the scores at x into the rows of ``target`` that were left out, with the sum over each
    component unchanged, and insert the signs at the front of ``guesses``.

    False if the scores at x are not defined.
    """
    reduced = presolved.reduced
    point = evaluate(reduced, presolved.problem.b, x, target, np.zeros(len(target)))
    if point is None:
        return False
    for c in range(reduced.count):
        member = reduced.members(c)
        guesses[c].insert(0, signs[member])
        wrong, kept = member[left_out[member]], member[~left_out[member]]
        rest = reduced.bases[c].shape[1] - target[kept].sum()
        if 0 < rest < len(wrong):
            scores = np.clip(point.projection.scores[wrong], 1e-9, 1.0 - 1e-9)
            target[wrong] = shift_to_sum(scores, rest)
    return True
