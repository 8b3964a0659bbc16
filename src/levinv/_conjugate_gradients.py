"""Preconditioned conjugate gradients for H z = r with H symmetric and positive (semi)definite.

With M ⪯ H ⪯ κ M the error falls in k iterations to 2 ((√κ - 1)/(√κ + 1))^k of what it was, in the
norm of H. The residual is measured in the norm of M⁻¹, which an iteration computes in any case.

Reference: Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems",
J. Res. Nat. Bur. Standards 49 (1952).
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from levinv._typing import Floats


class LinearSolution(NamedTuple):
    """An approximate solution, what it leaves of the right-hand side, and its cost."""

    x: Floats
    residual: Floats
    products: int


def conjugate_gradients(product: Callable[[Floats], Floats], right: Floats, *, tolerance: float,
                        maxiter: int, precondition: Callable[[Floats], Floats] | None = None,
                        project: Callable[[Floats], object] | None = None) -> LinearSolution:
    """Solve H x = right until the residual has fallen by ``tolerance``, or ``maxiter`` products.

    ``product(v)`` is H v as a new array, ``precondition(v)`` is M⁻¹ v (default: v), and
    ``project(v)`` removes the part of v in the null space of H in place; x itself is not projected.
    ``right`` is overwritten by the residual, to save memory. Rounding may make H indefinite: the
    iteration ends at a direction of no positive curvature.
    """
    x, residual = np.zeros_like(right), right
    if project is not None:
        project(residual)
    conditioned = residual if precondition is None else precondition(residual)
    direction, scratch = conditioned.copy(), np.empty_like(right)
    size = float(residual @ conditioned)
    goal, products = tolerance ** 2 * size, 0
    while products < maxiter and size > goal:
        image = product(direction)
        products += 1
        curvature = float(direction @ image)
        if not curvature > 0:
            break
        length = size / curvature
        x += np.multiply(direction, length, out=scratch)
        residual -= np.multiply(image, length, out=image)
        del image                             # before the next product needs memory
        if project is not None:
            project(residual)
        if precondition is not None:
            conditioned = precondition(residual)
        size, previous = float(residual @ conditioned), size
        direction *= size / previous
        direction += conditioned
    return LinearSolution(x, residual, products)
