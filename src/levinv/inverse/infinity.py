"""Scores that are a limit x -> infinity.

On a component the slack A x - b tends to a multiple of A y if x = offset + T y grows. So scores of
slacks proportional to A y, which do not depend on b, are those of every large multiple of y, to
rounding. The hat values of an ordinary regression with an intercept are such scores: those of equal
slacks.
"""
import math

import numpy as np

from levinv._tolerances import EPS, ROUNDING_FACTOR
from levinv._typing import Floats
from levinv.inverse.result import Progress
from levinv.inverse.stages.presolve import coordinates
from levinv.inverse.stages.refine import refine
from levinv.inverse.values import Presolved, Refined
from levinv.inverse.verdict.acceptance import is_solution


def reaches_infinity(presolved: Presolved, best: Refined, progress: Progress) -> bool:
    """Whether the scores stay matched while x goes to infinity on a component. The size of x is
    then not determined: it is tried only if the standard errors are a per cent of x or more.
    """
    reduced, x, model = presolved.reduced, best.point.x, best.linearisation
    errors = np.hypot.reduce(model.steps.ravel()) * max(1.0, presolved.rms(best.point))
    known = not model.flat.size and (ROUNDING_FACTOR * errors
                                     < np.hypot.reduce(x - reduced.offset))
    if known or not presolved.problem.model.is_power:
        return False
    image = best.point.slack + presolved.response
    for c in np.flatnonzero(~presolved.range.inside).tolist():
        if (image[reduced.members(c)].any()
            and matched_far_away(presolved, x, image, c, progress, math.sqrt(EPS))):
            return True
    return False


def matched_far_away(presolved: Presolved, x: Floats, image: Floats, c: int, progress: Progress,
                     shown: float = math.sqrt(EPS) / ROUNDING_FACTOR) -> bool:
    """Whether the scores are matched where the slack of component c is a large multiple of
    ``image`` (n,), in the range of A, but for the response: so far that this shows in a part
    ``shown`` of the slack.
    """
    reduced = presolved.reduced
    member = reduced.members(c)
    factor = float(np.abs(presolved.response[member]).max() / np.abs(image[member]).max())
    move = reduced.bases[c] @ coordinates(reduced, image, c)
    far = refine(presolved, x + max(factor, 1.0) / shown * move, Progress(None, progress.rng),
                 maxiter=0)
    return is_solution(presolved, far)
