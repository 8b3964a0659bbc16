"""Other x with the same scores, next to the one that was found: rows with the other sign.

Row i's slack takes the other sign, with the least change of the others relative to what they are,
along dx = -2 T u_i / σ_i, in coordinates in which the scaled rows U are orthonormal; the others
change by -2 P_il / σ_i, together by 2 sqrt((1 - σ_i) / σ_i). In a row whose score is nearly 1 that
is little, and stage 4 may find an x there whose scores are as close.
"""
from __future__ import annotations

import numpy as np

from levinv.inverse.schedule import refine
from levinv.inverse.stages.refine import Polished
from levinv.inverse.task import Task
from levinv.inverse.verdict.acceptance import has_scores

NEARLY_ONE = 1e-6             # 1 - sigma; otherwise the other scores show the sign


def look_across(task: Task, best: Polished) -> bool:
    """Whether an x with another sign has the scores, too; the better one is kept."""
    point = best.point
    projection = point.projection
    found = False
    for row, basis, defect in zip(projection.heavy, projection.heavy_basis,
                                  np.diag(projection.heavy_defect), strict=True):
        if defect > NEARLY_ONE or not task.reduced.active[row] or point.slack[row] == 0:
            continue
        z = -2.0 * basis / projection.scores[row]
        with np.errstate(over="ignore", invalid="ignore"):
            dx = projection.smallest_slack * (projection.steps @ z) * np.sign(point.slack[row])
        other = refine(task, point.x + dx, task.weight())
        if (other is None or other.point.slack[row] * point.slack[row] >= 0
                or not has_scores(task, other)):
            continue
        found = True
        if task.best is None or other.point.size < task.best.point.size:
            task.best = other
    return found
