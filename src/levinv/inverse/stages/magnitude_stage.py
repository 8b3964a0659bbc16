"""Stage 1 of an inversion: the scores that it matches, and the errors of its magnitudes.

The scores must lie strictly inside (0, 1) and sum to the rank on each component. For noisy scores
the stage ends when noise explains the residual. A row whose score is below a few noise levels is
not used in stages 2 and 3, since its magnitude is unknown, unless too few rows would be left.
"""
from collections.abc import Callable

import numpy as np

from levinv._tolerances import EPS, PASS_ENTRIES, SIGNIFICANT
from levinv._typing import Floats
from levinv.inverse.progress import Progress
from levinv.inverse.stages.laplacian import log_weight_deviation
from levinv.inverse.stages.magnitudes import find_magnitudes
from levinv.inverse.stages.target import shift_to_sum
from levinv.inverse.values import Limits, Magnitudes, MagnitudeWork, Presolved


def interior_target(presolved: Presolved) -> tuple[Floats, Callable[[Floats], bool] | None]:
    """Scores inside (0, 1) that sum to the rank on each component; and, for noisy scores, a test
    whether noise explains a residual.
    """
    reduced, problem = presolved.reduced, presolved.problem
    scores, noise = problem.scores, problem.noise
    if noise is None:
        target = np.where(scores > 0, np.minimum(scores, 1.0 - EPS), EPS)
    else:
        margin = np.minimum(0.5 * noise, 0.25)
        target = np.clip(scores, margin, 1.0 - margin)
    for c in range(reduced.count):
        member = reduced.members(c)
        target[member] = shift_to_sum(target[member], reduced.bases[c].shape[1])
    if noise is None:
        return target, None
    weight = np.where(reduced.active, 1.0 / noise, 0.0)
    return target, lambda residual: bool(np.linalg.norm(residual * weight)
                                         <= np.sqrt(reduced.active.sum()))


def magnitude_deviation(presolved: Presolved, magnitudes: Magnitudes,
                        target: Floats) -> Floats | None:
    """Relative standard deviation of each magnitude, (n,); None for exact scores.

    It is inf in rows that stages 2 and 3 do not use. With the other rows fixed, m² is proportional
    to (1 - c)/c, so an error δ of the score changes m by a factor 1 ± δ / (2 c (1 - c)). In short
    problems the errors of all scores are propagated to every magnitude.
    """
    reduced, problem = presolved.reduced, presolved.problem
    scores, noise = problem.scores, problem.noise
    if noise is None:
        return None
    c = np.clip(scores, EPS, 1.0 - EPS)
    deviation = np.where(scores < SIGNIFICANT * noise, np.inf,
                         np.minimum(0.5 * noise / (c * (1.0 - c)), 1.0))
    if np.count_nonzero(reduced.active) ** 2 <= PASS_ENTRIES:
        spread = 0.5 * log_weight_deviation(magnitudes.projection, reduced.active, reduced.label,
                                            noise)
        deviation = np.where(np.isfinite(deviation),
                             np.minimum(np.maximum(deviation, spread), 1.0), np.inf)
    if np.isfinite(deviation[reduced.active]).sum() <= 2 * reduced.start.shape[1] + 2:
        deviation = np.where(reduced.active, np.minimum(0.5 * noise / target, 1.0), np.inf)
    return deviation


def run_magnitudes(presolved: Presolved, target: Floats, limits: Limits, progress: Progress, *,
                   enough: Callable[[Floats], bool] | None = None,
                   log_weight: Floats | None = None, accuracy: float = 0.0,
                   before: MagnitudeWork | None = None) -> tuple[Magnitudes, MagnitudeWork]:
    """The magnitudes with the scores ``target``, and the work, including that done ``before``.

    ``log_weight``, ``accuracy`` and ``enough`` are those of :func:`find_magnitudes`.
    """
    reduced, before = presolved.reduced, before or MagnitudeWork()
    found = find_magnitudes(
        presolved.problem.rows, reduced.start, target, reduced.active, reduced.label,
        own_columns=reduced.use_A, log_weight=log_weight, accuracy=accuracy, enough=enough,
        maxiter=limits.magnitude_iterations - before.iterations,
        on_step=lambda iteration, error: progress("scaling", error))
    progress.nfev += found.evaluations
    return found, MagnitudeWork(before.iterations + found.iterations,
                                before.products + found.products, found.error)
