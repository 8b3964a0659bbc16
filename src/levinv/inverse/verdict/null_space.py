"""The directions in which x can move with every score unchanged, each checked against the Jacobian.

Which directions are free follows from what is taken for zero: entries that connect rows, and the
rank. A connection of 1e-10 moves the scores nevertheless, where the slacks are far apart by a part
that can be seen. Hence every direction v is tried on the scores at the point found,

    |J v|  <=  UNSEEN max|A v / s|  +  VISIBLE ε max |a_i| |v| / |s_i|,

the last term being what rounding of v does. Directions that fail are made anew, as the last right
singular vectors of the rows that count, which is accurate in every row where combining the coloops'
directions, often almost parallel, is not. What fails still is neither free nor determined by the
scores: no null space holds it, and ``unique`` is False.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from levinv._typing import Booleans, Floats
from levinv.forward.basis import EPS
from levinv.inverse.stages.presolve import Reduced
from levinv.inverse.stages.whitened_jacobian import Point

if TYPE_CHECKING:
    from levinv.inverse.task import Task

UNSEEN = 1e-7      # change of a score, relative to the largest relative change of a slack
VISIBLE = 100.0


def told_apart(task: Task, point: Point, directions: Floats) -> tuple[Floats, Floats]:
    """``directions``, (d, k) orthonormal, split into those that no score sees and the others."""
    if not directions.shape[1]:
        return directions, directions
    seen, _ = _changes(task, point, directions)
    if seen.any() and not task.range.inside.any():
        anew = _last_singular_vectors(task.reduced, directions.shape[1])
        seen_anew, _ = _changes(task, point, anew)
        if seen_anew.sum() < seen.sum():
            directions, seen = anew, seen_anew
    if seen.any() and directions.shape[1] > 1:         # as few of them as possible
        _, change = _changes(task, point, directions)
        if np.isfinite(change).all():
            turned = directions @ np.linalg.svd(change)[2].T
            seen_turned, _ = _changes(task, point, turned)
            if seen_turned.sum() < seen.sum():
                directions, seen = turned, seen_turned
    return directions[:, ~seen], directions[:, seen]


def _changes(task: Task, point: Point, directions: Floats) -> tuple[Booleans, Floats]:
    """Which of the directions move a score, (k,), and the changes, (n, k)."""
    reduced = task.reduced
    counted = point.slack != 0
    counted[reduced.zero_slack] = counted[reduced.loops] = False
    slack = np.where(counted, point.slack, np.inf)
    with np.errstate(all="ignore"):
        moved = task.rows.matvec(directions) / slack[:, None]
        largest = np.abs(moved).max(axis=0)
        rounding = EPS * np.max(task.rows.row_norms() / np.abs(slack))
        allowed = UNSEEN * largest + VISIBLE * rounding
        moved[~reduced.active] = 0.0
        if np.all(4.0 * np.abs(moved).max(axis=0) <= allowed):    # |J v| is at most this
            return np.zeros(len(allowed), dtype=bool), np.zeros_like(moved)
        change = 2.0 * point.projection.laplacian(moved)
        change[~reduced.active] = 0.0
        return ~(np.abs(change).max(axis=0) <= allowed), change


def _last_singular_vectors(reduced: Reduced, count: int) -> Floats:
    """The last right singular vectors of the rows that are no coloops, at unit norm, (d, count)."""
    scale = reduced.unit.copy()
    scale[reduced.loops] = scale[reduced.coloops] = 0.0
    vt = np.linalg.svd(reduced.rows.triangle(scale, None))[2]
    return np.ascontiguousarray(vt[len(vt) - count:].T)
