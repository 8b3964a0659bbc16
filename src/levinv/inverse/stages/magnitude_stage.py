"""Stage 1 of an inversion: what it is asked for, and how errors of the scores reach its magnitudes.

It needs scores strictly inside (0, 1) that sum to the rank on each component. For noisy scores
it ends when noise explains what is left, and a row whose score is below a few noise levels takes no
part in stages 2 and 3: its magnitude is unknown.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from levinv._tolerances import EPS, LARGEST_PROPAGATED, SIGNIFICANT, TINY
from levinv._typing import Floats
from levinv.inverse.progress import Progress
from levinv.inverse.stages.magnitudes import Scaling, log_weight_deviation, match_scores
from levinv.inverse.values import Limits, MagnitudeWork, Presolved


def interior_target(presolved: Presolved) -> tuple[Floats, Callable[[Floats], bool] | None]:
    """Scores inside (0, 1) that sum to the rank on each component, and, for noisy scores, when they
    are matched well enough.
    """
    reduced, problem = presolved.reduced, presolved.problem
    scores, noise = problem.scores, problem.noise
    if noise is None:
        target = np.where(scores > 0, np.minimum(scores, 1.0 - EPS), 1e-12)
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


def shift_to_sum(target: Floats, total: float) -> Floats:
    """Add one number to all logits so that the sum is ``total``: scores stay inside (0, 1)."""
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
    inside: Floats = np.clip(moved, TINY, 1.0 - EPS)
    return inside


def magnitude_deviation(presolved: Presolved, magnitudes: Scaling,
                        target: Floats) -> Floats | None:
    """Relative standard deviation of each magnitude, (n,); None for exact scores.

    It is inf in rows that stages 2 and 3 do not use. m² is proportional to (1 - c)/c for a row alone,
    so that an error δ of its score changes m by δ / (2 c (1 - c)); in short problems the errors of
    all scores are propagated to every magnitude.
    """
    reduced, problem = presolved.reduced, presolved.problem
    scores, noise = problem.scores, problem.noise
    if noise is None:
        return None
    c = np.clip(scores, 1e-12, 1.0 - 1e-12)
    deviation = np.where(scores < SIGNIFICANT * noise, np.inf,
                         np.minimum(0.5 * noise / (c * (1.0 - c)), 1.0))
    if np.count_nonzero(reduced.active) <= LARGEST_PROPAGATED:
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
                   before: MagnitudeWork | None = None) -> tuple[Scaling, MagnitudeWork]:
    """Magnitudes with the scores ``target``; and the work, with that done ``before``.

    ``log_weight``, ``accuracy`` and ``enough`` are those of :func:`match_scores`.
    """
    reduced, before = presolved.reduced, before or MagnitudeWork()
    found = match_scores(
        presolved.problem.rows, reduced.start, target, reduced.active, reduced.label,
        plain=reduced.use_A, log_weight=log_weight, accuracy=accuracy, enough=enough,
        maxiter=limits.magnitude_iterations - before.iterations,
        report=lambda iteration, error: progress("scaling", error))
    progress.nfev += found.evaluations
    return found, MagnitudeWork(before.iterations + found.iterations,
                                before.products + found.products, found.error)
