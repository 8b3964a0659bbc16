"""The modified Newton step and Armijo's rule, which the minimisers of this package share.

*Modified Newton step.* With the Hessian H = V diag(λ) Vᵀ, possibly indefinite,

    step = -V diag(1 / max(|λ|, δ)) Vᵀ gradient,      δ = √ε max|λ|.

It is a descent direction, and equals Newton's step if H is positive definite. It leaves saddle
points along negative curvature. Curvature below δ is mostly rounding error.

*Armijo's rule.* The step length is halved until the function falls by at least ARMIJO times the
decrease that its slope predicts.

Reference: Nocedal and Wright, Numerical Optimization (2006), sections 3.1 and 3.4.
"""
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from levinv._tolerances import ARMIJO, EPS
from levinv._typing import Floats

Point = TypeVar("Point")


def modified_newton_step(hessian: Floats, gradient: Floats) -> Floats | None:
    """The step, (d,); None if the Hessian is zero."""
    eigenvalues, vectors = np.linalg.eigh(hessian)
    curvature = np.abs(eigenvalues)
    least = np.sqrt(EPS) * curvature.max()
    if least == 0:
        return None
    step: Floats = -vectors @ ((vectors.T @ gradient) / np.maximum(curvature, least))
    return step


def along(fun: Callable[[Floats], float], y: Floats,
          direction: Floats) -> Callable[[float], tuple[float, Floats]]:
    """The ``trial`` for :func:`armijo` on the line y + length * direction."""
    def trial(length: float) -> tuple[float, Floats]:
        point = y + length * direction
        return fun(point), point

    return trial


def armijo(trial: Callable[[float], tuple[float, Point]], value: float, slope: float,
           length: float, rounding: float) -> tuple[float, float, Point] | None:
    """The length, the value and the point of a step that lowers the function enough; or None.

    ``trial(length)`` returns the function's value (inf if not defined) and the point at this
    length. ``slope`` is the derivative at length 0. The search ends when the predicted decrease is
    at most ``rounding``, the rounding error of the value.
    """
    while rounding < -length * slope < np.inf:
        lower, point = trial(length)
        if lower <= value + ARMIJO * length * slope:
            return length, lower, point
        length *= 0.5
    return None
