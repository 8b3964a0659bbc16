"""Whether a likelihood has no maximum, because coefficients grow without bound.

Let the mean of row i increase with its linear predictor a_i x (otherwise change the sign of a_i).
The likelihood never decreases along a direction z if

    a_i z >= 0  where the response is the largest possible one,
    a_i z <= 0  where it is the smallest possible one,      a_i z = 0  for all other rows.

If such a z has A z != 0, there is no maximum: the responses are separated, as the ones and zeros of
a binary response are by a z that is positive for the ones. Linear programming finds z.

Source: Albert and Anderson, "On the existence of maximum likelihood estimates in logistic
regression models", Biometrika 71 (1984); for Poisson regression Correia, Guimarães and Zylkin,
"Verifying the existence of maximum likelihood estimates for generalized linear models" (2019).
"""
from __future__ import annotations

import math

import numpy as np
import scipy.linalg
import scipy.optimize

from levinv._tolerances import EPS
from levinv._typing import Floats


def separates(predictor: Floats, sides: Floats) -> bool:
    """Whether A z (n,) separates all rows, none of them at 0. ``sides`` as below."""
    return bool((sides * predictor).min() > 0)


def separating_direction(design: Floats, sides: Floats) -> Floats | None:
    """A z, (d,), for a design (n, d) with orthonormal columns; None if there is no such z.

    ``sides`` (n,) is +1 where a_i z >= 0 is allowed, -1 where a_i z <= 0 is, and else 0.
    """
    rows = math.sqrt(len(design)) * design                    # of length about 1 for the solver
    free = np.eye(design.shape[1])
    if not sides.all():
        free = scipy.linalg.null_space(np.linalg.qr(rows[sides == 0], mode="r"))
    if not free.shape[1] or not sides.any():
        return None
    bounded = sides[sides != 0, None] * (rows[sides != 0] @ free)
    found = scipy.optimize.linprog(-bounded.sum(axis=0), A_ub=-bounded, b_ub=np.zeros(len(bounded)),
                                   bounds=(-1.0, 1.0), method="highs")
    if found.status != 0 or np.abs(found.x).max() < 1.0 - math.sqrt(EPS):
        return None                        # any multiple of a z is one: the longest is at the bound
    z: Floats = free @ found.x
    return z
