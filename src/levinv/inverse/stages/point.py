"""A point x with its slack s = A x - b, its projection, and its whitened residual W (sigma(x) - c).

W = diag(1/deviation). With L = Q - diag(sigma) of :mod:`levinv.forward.projection`, half the
gradient of |W (sigma - c)|² is

    Jᵀ W² (sigma - c) = 2 Aᵀ diag(1/s) L W² (sigma - c).
"""
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from levinv._tolerances import EPS, TINY
from levinv._typing import Booleans, Floats
from levinv.forward.projection import DependentZeroSlackError, Projection, project
from levinv.inverse.values import Point, Reduced, masked_residual
from levinv.storage.blocked import Rows

Projector: TypeAlias = Callable[[Rows, Floats, Floats | None, Booleans | None], Projection]


def evaluate(reduced: Reduced, b: Floats, x: Floats, target: Floats, weight: Floats,
             projector: Projector = project) -> Point | None:
    """The point at x, or None if its scores or its whitened residual are not defined."""
    if not np.isfinite(x).all():
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        slack = reduced.rows.matvec(x)
        slack -= b
    if not np.isfinite(slack).all():
        return None
    magnitude = np.abs(slack)
    # slacks below TINY/ε times the largest (none above √TINY) count as zero: quotients lose digits
    if magnitude.min() < math.sqrt(TINY):
        largest = magnitude[reduced.active].max(initial=0.0)
        magnitude[magnitude < TINY / EPS * largest] = 0.0
    try:
        with np.errstate(over="raise"):
            projection = projector(reduced.rows, magnitude, reduced.columns, reduced.left_out)
    except (DependentZeroSlackError, FloatingPointError):
        return None
    residual = masked_residual(projection, target, reduced.left_out)
    max_residual = max(float(residual.max()), -float(residual.min()))
    with np.errstate(over="ignore"):
        residual *= weight
        norm = float(np.linalg.norm(residual))
    if not math.isfinite(norm):
        return None
    return Point(x, slack, projection, target, reduced.left_out, norm, max_residual)


def gradient(point: Point, weight: Floats) -> Floats:
    """Half the gradient of |W (sigma - c)|², (d,)."""
    weighted = point.residual
    weighted *= weight
    weighted *= weight
    image = point.projection.laplacian(weighted)
    # the Laplacian vanishes like s² at a zero slack: the row contributes nothing
    image /= point.slack if point.slack.all() else np.where(point.slack == 0, np.inf, point.slack)
    return 2.0 * point.projection.rows.rmatvec(image)
