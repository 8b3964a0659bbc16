"""Checks of the given scores and of their noise."""
from __future__ import annotations

import math

import numpy as np

from levinv._scalars import first_index
from levinv._tolerances import EPS, FEW_ROUNDINGS
from levinv._typing import Floats


def usable_noise(noise: Floats) -> Floats:
    """Clip standard deviations, of any shape, to the range in which they matter.

    Scores are computed to a few units of rounding, and no score can be wrong by more than 1.
    """
    return np.clip(noise, FEW_ROUNDINGS, 1.0)


def clipped_scores(scores: Floats, noise: Floats | None) -> Floats:
    """Clip scores, of any shape, to [0, 1].

    Raises
    ------
    ValueError
        If a score is outside [0, 1] by more than rounding or noise explains.
    """
    # six standard deviations: chance exceeds them once in 1e9 scores
    room = math.sqrt(EPS) if noise is None else np.maximum(math.sqrt(EPS), 6.0 * noise)
    outside = (scores < -room) | (scores > 1.0 + room)
    if outside.any():
        index = first_index(outside)
        raise ValueError(f"scores must lie in [0, 1], got {scores[index]} at index {index}")
    if scores.min() >= 0.0 and scores.max() <= 1.0:
        return scores
    return np.clip(scores, 0.0, 1.0)
