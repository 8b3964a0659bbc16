"""The null space: the directions in which x can move without changing any score.

The presolve gives candidates. They depend on what counts as zero: entries that connect rows, and
pivots. But an entry of 1e-10 changes the scores noticeably if the slacks differ by many orders of
magnitude. So every candidate v is checked against the Jacobian J at the point found,

    |J v|  <=  √ε max|A v / s|  +  100 ε max |a_i| |v| / |s_i|,

where the last term bounds the effect of rounding v. If a candidate fails and no scale is free, the
candidates are computed again as the last right singular vectors of the rows that are no coloops:
these are accurate in every row, unlike combinations of almost parallel coloop directions. A
candidate that still fails is undetermined: it is not in the null space, but the scores do not
determine it either. Then ``unique`` is False.
"""
import math

import numpy as np

from levinv._tolerances import EPS, ROUNDING_FACTOR
from levinv._typing import Booleans, Floats
from levinv.inverse.values import Point, Presolved, Reduced


def null_space(presolved: Presolved, point: Point, directions: Floats) -> tuple[Floats, Floats]:
    """Split ``directions``, (d, k) orthonormal, into the null space and undetermined directions."""
    if not directions.shape[1]:
        return directions, directions
    moved, change = _moves_scores(presolved, point, directions)
    if moved.any() and not presolved.range.inside.any():
        again = _last_singular_vectors(presolved.reduced, directions.shape[1])
        moved_again, change_again = _moves_scores(presolved, point, again)
        if moved_again.sum() < moved.sum():
            directions, moved, change = again, moved_again, change_again
    # rotate the directions so that as few as possible change a score
    if moved.any() and directions.shape[1] > 1 and np.isfinite(change).all():
        rotated = directions @ np.linalg.svd(change)[2].T
        moved_rotated, _ = _moves_scores(presolved, point, rotated)
        if moved_rotated.sum() < moved.sum():
            directions, moved = rotated, moved_rotated
    return directions[:, ~moved], directions[:, moved]


def _moves_scores(presolved: Presolved, point: Point,
                  directions: Floats) -> tuple[Booleans, Floats]:
    """Which directions change a score, (k,), and the changes of the scores, (n, k)."""
    reduced, rows = presolved.reduced, presolved.problem.rows
    counted = point.slack != 0
    counted[reduced.zero_slack] = counted[reduced.loops] = False
    slack = np.where(counted, point.slack, np.inf)
    with np.errstate(all="ignore"):
        moved = rows.matvec(directions) / slack[:, None]
        largest = np.abs(moved).max(axis=0)
        rounding = EPS * np.max(rows.row_norms() / np.abs(slack))
        allowed = math.sqrt(EPS) * largest + ROUNDING_FACTOR * rounding
        moved[~reduced.active] = 0.0
        if np.all(4.0 * np.abs(moved).max(axis=0) <= allowed):    # |J v| is at most this
            return np.zeros(len(allowed), dtype=bool), np.zeros_like(moved)
        change = 2.0 * point.projection.laplacian(moved)
        change[~reduced.active] = 0.0
        return ~(np.abs(change).max(axis=0) <= allowed), change


def _last_singular_vectors(reduced: Reduced, count: int) -> Floats:
    """The last right singular vectors of the rows at unit norm, without coloops: (d, count)."""
    scale = reduced.unit.copy()
    scale[reduced.loops] = scale[reduced.coloops] = 0.0
    vt = np.linalg.svd(reduced.rows.triangle(scale, None))[2]
    return np.ascontiguousarray(vt[len(vt) - count:].T)
