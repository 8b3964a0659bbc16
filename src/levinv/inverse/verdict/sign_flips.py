"""Sign flips: another x with the same scores, close to the one found, with one sign changed.

Row i's slack changes its sign, with the least relative change of the other slacks, along
dx = -2 T u_i / σ_i, in coordinates in which the scaled rows U are orthonormal. The other slacks
change by -2 P_il / σ_i, together by 2 sqrt((1 - σ_i) / σ_i). This is little if σ_i is nearly 1, and
stage 4 may then find an x nearby whose scores match as well.
"""
import numpy as np

from levinv._tolerances import SIGN_TOLERANCE
from levinv.inverse.progress import Progress, Stopped
from levinv.inverse.stages.refine import refine
from levinv.inverse.values import Limits, Presolved, Refined
from levinv.inverse.verdict.acceptance import is_solution


def try_sign_flips(presolved: Presolved, best: Refined, limits: Limits,
                   progress: Progress) -> tuple[Refined, bool, bool]:
    """Look for a solution with the other sign in a row of score nearly 1: the better solution,
    whether there is another one, and whether the callback stopped.
    """
    point = best.point
    projection = point.projection
    ambiguous = False
    try:
        for row, basis, defect in zip(projection.heavy, projection.heavy_basis,
                                      np.diag(projection.heavy_defect), strict=True):
            if (defect > SIGN_TOLERANCE or not presolved.reduced.active[row]
                    or point.slack[row] == 0):
                continue
            z = -2.0 * basis / projection.scores[row]
            with np.errstate(over="ignore", invalid="ignore"):
                dx = projection.smallest_slack * (projection.steps @ z) * np.sign(point.slack[row])
            other = refine(presolved, point.x + dx, progress, limits.refinements)
            if (other is None or other.point.slack[row] * point.slack[row] >= 0
                    or not is_solution(presolved, other)):
                continue
            ambiguous = True
            if other.point.norm < best.point.norm:
                best = other
    except Stopped:
        return best, ambiguous, True
    return best, ambiguous, False
