"""Projections of which few digits are wanted: heavy rows stay with the others.

Elimination of heavy rows (:mod:`levinv.forward.projection`) keeps 1 - sigma to full relative
accuracy and costs as much as four evaluations of the scores (200 000 x 40). On the way to a
solution it is enough that 1 - sigma is known to a few digits: rows are eliminated only where less
than that is left.
"""
import numpy as np

from levinv.forward.orthonormal import orthonormalise
from levinv.forward.projection import Projection, _heavy_below, project, row_scale

NEAR_ONE = 1e-7               # 1 - sigma; its error is about ε κ², 1e-12 after one pass


def rough_projection(rows, magnitude, start, left_out):
    """As :func:`levinv.forward.projection.project`, its last digits of 1 - sigma in heavy rows
    aside.
    """
    if not magnitude.all() and (left_out is None or not magnitude[~left_out].all()):
        return project(rows, magnitude, start, left_out)
    scale, smallest = row_scale(magnitude, left_out)
    found = orthonormalise(rows, scale, start, rcond=0.0)
    scores = found.scores if found.scores is not None else rows.quad(scale, found.transform)
    if scores.max() > 1.0 - NEAR_ONE:
        return project(rows, magnitude, start, left_out)
    width = found.transform.shape[1]
    return Projection(rows, scale, smallest, found.transform, found.transform,
                      np.zeros(0, dtype=int), np.zeros((0, width)), np.zeros((0, 0)), scores)


def is_accurate(projection):
    """Whether no heavy row was kept."""
    kept = np.delete(projection.scores, projection.heavy)
    return kept.max(initial=0.0) <= 1.0 - _heavy_below(projection.rank)
