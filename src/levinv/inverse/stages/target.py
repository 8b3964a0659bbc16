"""Scores that stage 1 can match: inside (0, 1), with the sum that the scores have at every x."""
import numpy as np

from levinv._tolerances import EPS, FEW_ROUNDINGS, TINY
from levinv._typing import Floats


def shift_to_sum(scores: Floats, total: float) -> Floats:
    """Add one number to the logits of all scores so that they sum to ``total``.

    The results lie inside (0, 1). The scores are returned unchanged if their sum is right to
    rounding, or if their number is not above ``total``.
    """
    if abs(scores.sum() - total) <= FEW_ROUNDINGS * total or total >= len(scores):
        return scores
    odds, shift = scores / (1.0 - scores), 0.0
    for _ in range(60):                 # steps of 1 go from any score to any other: log(1/ε) is 36
        shifted = odds * np.exp(shift)
        moved = shifted / (1.0 + shifted)
        excess = moved.sum() - total
        slope = (moved * (1.0 - moved)).sum()
        if abs(excess) <= 8.0 * EPS * total or slope == 0:      # stricter than the test above
            break
        shift -= float(np.clip(excess / slope, -1.0, 1.0))
    inside: Floats = np.clip(moved, TINY, 1.0 - EPS)
    return inside
