"""Outliers: rows whose given scores disagree with the x that fits all other rows.

With W = diag(1/noise), J the Jacobian at the fitted x and h_i the leverage of row i in W J, the
residual e = sigma(x) - c has standard deviation noise_i √(1 - h_i): fitting x takes the part h_i of
a row's error. The *studentised residual*

    t_i = e_i / (noise_i √(1 - h_i))

is standard normal. Of m rows the largest exceeds z, the normal quantile at 1 - level/(2 m)
(Bonferroni), with probability at most the level. The threshold is 1.1 z, because the noise is known
to 10 %. A row left out of the fit is predicted by it: its deviation is noise_i √(1 + h_i), with h_i
formed from the other rows, and t_i is the same number.

If noise does not explain the residual, or a row exceeds the threshold, the rows that exceed it are
left out and x is fitted again from its last value, until noise explains the rows kept. There is no
result if the same rows are left out again or the residual does not decrease. These are the
concentration steps of least trimmed squares. At most a quarter of the degrees of freedom are left
out, because more would explain any residual. Then rows are put back one by one, the smallest |t_i|
first, as long as noise explains the rows kept. The remaining rows are the outliers.

If only row j is wrong, |t_j| is the largest at once: with K = I - H and e = K_j δ,
|t_i| = |K_ij δ|/√K_ii is at most √K_jj |δ| (Cauchy-Schwarz), because K is a projection.

The fit starts from the best x found with all rows. If a few wrong scores have spoilt all
magnitudes, it starts from sign vectors that are chosen with some rows left out. Then the scores of
these rows are replaced by those at the x found, stage 1 runs again, and so on for a few rounds.

For exact scores rounding takes the place of noise, and a row is explained if the tolerance allows
its error.

References: Cook and Weisberg, Residuals and Influence in Regression (1982), section 2.2; Rousseeuw
and Van Driessen, "Computing LTS regression for large data sets" (2006).
"""
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from levinv._tolerances import (
    CLOSEST,
    FEW_ROUNDS,
    HEAVY_COMPLEMENT,
    MAX_OUTLIERS,
    OUTLIER_FRACTION,
    SETTLED_RESIDUAL,
    SPOILING_RESIDUAL,
)
from levinv._typing import Booleans, Floats
from levinv.inverse.result import Progress, Stopped
from levinv.inverse.stages.loss import Loss
from levinv.inverse.stages.magnitudes import interior_target, run_magnitudes, shift_to_sum
from levinv.inverse.stages.presolve import Augmented, response_in_range
from levinv.inverse.stages.recover import recover_signed
from levinv.inverse.stages.refine import refine
from levinv.inverse.stages.signs import trimmed_signs
from levinv.inverse.stages.whitened_jacobian import leverages
from levinv.inverse.values import Found, Magnitudes, Outliers, Presolved, Refined
from levinv.inverse.verdict import acceptance


def leave_out_outliers(presolved: Presolved, best: Refined, found: Found,
                       progress: Progress) -> Outliers | None:
    """Find the rows whose scores disagree with the x that fits all others, and fit x without them.

    ``best`` is the fit to all rows. None if leaving out a few rows does not explain the others, or
    the callback stopped.
    """
    problem, active = presolved.problem, presolved.reduced.active
    success = acceptance.is_solution(presolved, best)
    if not success and best.iterations == progress.maxiter:
        return None
    if problem.exact and success:
        return Outliers(np.zeros(0, dtype=int), np.zeros(0), best)
    degrees = int(np.count_nonzero(active)) - best.linearisation.steps.shape[1]

    def refit(x: Floats, left_out: Booleans) -> Refined | None:
        return refine(presolved, x, progress, progress.maxiter or MAX_OUTLIERS, left_out=left_out)

    outcome = None
    try:
        outcome = _find_outliers(presolved, best, np.zeros(len(active), dtype=bool), degrees, refit)
        if (outcome is None and not success and found.magnitudes is not None
            and (np.abs(best.point.residual).max()
                 > SPOILING_RESIDUAL * problem.scores[active].mean())):
            for x, left_out in _trimmed_starts(presolved, best, found.magnitudes, found, progress):
                fit = refit(x, left_out)
                outcome = (None if fit is None else
                           _find_outliers(presolved, fit, left_out, degrees, refit))
                if outcome is not None:
                    break
    except Stopped:
        pass
    return outcome


def _find_outliers(presolved: Presolved, fit: Refined, left_out: Booleans, degrees: int,
                   refit: Callable[[Floats, Booleans], Refined | None]) -> Outliers | None:
    """Leave out rows until the residual of the others is explained. The result holds no rows if all
    are explained; it is None if leaving out a few rows does not explain the others.

    ``fit`` is the fit without the rows ``left_out`` (n,) at first, ``degrees`` are the residual's
    degrees of freedom. ``refit(x, left_out)`` fits again from x and may fail with None.
    """
    problem, weight, most = presolved.problem, presolved.weight(), _most_outliers(degrees)

    def judged(fit: Refined, left_out: Booleans) -> tuple[Floats, Booleans, bool]:
        """Studentised residuals, the rows suspected, and whether the rows kept are explained."""
        deviations = studentised(fit, weight, left_out)
        if problem.exact:
            wrong = np.abs(fit.point.residual) > acceptance.allowed_errors(presolved, fit.point)
            explained = (presolved.rms(fit.point) <= SETTLED_RESIDUAL
                         and acceptance.within_tolerance(presolved, fit.point, ~left_out))
        else:
            wrong = np.abs(deviations) > acceptance.outlier_threshold(presolved)
            whitened = (fit.point.residual / problem.deviation())[~left_out]
            explained = acceptance.explained_by_noise(whitened, degrees - left_out.sum())
        return deviations, wrong, (explained and acceptance.signs_agree(presolved, fit)
                                   and not (wrong & ~left_out).any())

    deviations, wrong, settled = judged(fit, left_out)
    for _ in range(MAX_OUTLIERS):
        if settled or not most:
            break
        before, left_out, norm = left_out, np.zeros(len(weight), dtype=bool), fit.point.norm
        left_out[np.argsort(-np.abs(deviations), kind="stable")[:most]] = True
        left_out &= wrong
        again = None if np.array_equal(left_out, before) else refit(fit.point.x, left_out)
        if again is None:
            return None
        fit = again
        deviations, wrong, settled = judged(fit, left_out)
        if not settled and fit.point.norm >= norm:
            return None
    if not settled:
        return None
    suspected = np.flatnonzero(left_out & ~wrong)
    for row in suspected[np.argsort(np.abs(deviations[suspected]), kind="stable")]:
        fewer = left_out.copy()
        fewer[row] = False
        again = refit(fit.point.x, fewer)
        if again is not None:
            found = judged(again, fewer)
            if found[2]:
                left_out, fit, deviations = fewer, again, found[0]
    rows = np.flatnonzero(left_out)
    return Outliers(rows, deviations[rows], fit)


def studentised(fit: Refined, weight: Floats, left_out: Booleans) -> Floats:
    """Studentised residuals, (n,); ``weight`` is 1/noise, 0 in rows that are not active."""
    leverage = leverages(fit.point, weight, fit.linearisation, left_out)
    variance = np.where(left_out, 1.0 + leverage, 1.0 - leverage)
    whitened = fit.point.residual * weight
    return np.divide(whitened, np.sqrt(np.maximum(variance, HEAVY_COMPLEMENT)),
                     out=np.zeros_like(whitened), where=variance > HEAVY_COMPLEMENT)


def _most_outliers(degrees: int) -> int:
    """Largest number of rows that may be left out."""
    return min(MAX_OUTLIERS, int(OUTLIER_FRACTION * degrees))


def _trimmed_starts(presolved: Presolved, best: Refined, magnitudes: Magnitudes, found: Found,
                    progress: Progress) -> Iterator[tuple[Floats, Booleans]]:
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
            Augmented(reduced, in_range, c), magnitudes.magnitude[reduced.members(c)],
            None if problem.known_signs is None else problem.known_signs[reduced.members(c)],
            guesses[c],
            _most_outliers(len(reduced.members(c)) - reduced.bases[c].shape[1] - 1), progress.rng)
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
        magnitudes, work = run_magnitudes(presolved, target, progress, before=work)


def _replace_scores(presolved: Presolved, x: Floats, signs: Floats, left_out: Booleans,
                    target: Floats, guesses: list[list[Floats]]) -> bool:
    """Write the scores at x into the rows of ``target`` that were left out, with the sum over each
    component unchanged, and insert the signs at the front of ``guesses``.

    False if the scores at x are not defined.
    """
    reduced = presolved.reduced
    point = Loss(reduced, presolved.problem.b, target, np.zeros(len(target))).at(x)
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
