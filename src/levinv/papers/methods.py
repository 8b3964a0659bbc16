"""Algorithms 1 and 2, and the averaged descent of Lemma 7.4."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from levinv import _validate
from levinv._typing import Floats, VectorLike
from levinv.papers.loss import gradient, hessian


def first_order_method(A: ArrayLike, b: VectorLike, c: VectorLike, x0: VectorLike, step: float,
                       iterations: int) -> Floats:
    """Algorithm 1: x_0 ... x_T with x_t = x_{t-1} - η dL_c/dx, (T + 1, d).

    Parameters
    ----------
    A : (n, d) array_like
    b, c : (n,) array_like
    x0 : (d,) array_like
    step : float
        η, the same for all steps; the paper does not say which.
    iterations : int
        T.

    Returns
    -------
    (T + 1, d) ndarray
        The algorithm is printed as returning L(x_T); Theorem G.1 wants x_T, the last row.

    Raises
    ------
    ValueError, TypeError, numpy.linalg.LinAlgError
        A wrong argument, or a step that lands on a zero slack or does not stay finite: nothing
        guards the steps.

    Notes
    -----
    It descends on L_c, while the analysis is of L = L_c + L_reg: the minimiser of L is not a fixed
    point. Lemma 7.4, by which Theorem G.1 counts its iterations, is about other steps
    (:func:`averaged_descent`).

    Right: levinv.invert_scores(A, b, c, x0=x0, method="gradient-descent"), and
    levinv.theory.descent_iterations.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.first_order_method([[1.0], [1.0]], [-1.0, -2.0], [0.7, 0.3], [0.0], 1.0, 2).round(4)
    array([[0.    ],
           [0.032 ],
           [0.0615]])
    """
    step = _validate.positive_number(step, "step")
    return _iterate(x0, iterations, lambda x: x - step * gradient(A, b, c, x))


def second_order_method(A: ArrayLike, b: VectorLike, c: VectorLike, x0: VectorLike,
                        iterations: int) -> Floats:
    """Algorithm 2: x_0 ... x_T with x_t = x_{t-1} - H⁻¹ dL_c/dx, H the printed Hessian, (T + 1, d).

    Parameters
    ----------
    A : (n, d) array_like
    b, c : (n,) array_like
    x0 : (d,) array_like
    iterations : int
        T.

    Returns
    -------
    (T + 1, d) ndarray

    Raises
    ------
    ValueError, TypeError, numpy.linalg.LinAlgError
        A wrong argument, or a step that lands on a zero slack, does not stay finite or meets a
        singular H: nothing guards the steps.

    Notes
    -----
    H is that of Lemma C.3 (:func:`hessian`), which is not the Hessian: near a solution the method
    converges linearly, if at all. And H may be indefinite, even the right one: the algorithm leaves
    out L_reg, which the analysis relies on.

    Right: levinv.invert_scores(A, b, c, x0=x0, method="newton"), and
    levinv.theory.newton_iterations.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.second_order_method([[1.0], [1.0]], [-1.0, -2.0], [0.5, 0.5], [0.0], 1).round(4)
    array([[0.    ],
           [0.6977]])
    """
    return _iterate(x0, iterations,
                    lambda x: x - np.linalg.solve(hessian(A, b, x), gradient(A, b, c, x)))


def averaged_descent(A: ArrayLike, b: VectorLike, c: VectorLike, x0: VectorLike,
                     strong_convexity: float, iterations: int) -> tuple[Floats, Floats]:
    """Lemma 7.4's x_1 ... x_T with steps 2/(α(k+1)), and their average as printed.

    Parameters
    ----------
    A : (n, d) array_like
    b, c : (n,) array_like
    x0 : (d,) array_like
        x_1 of the lemma.
    strong_convexity : float
        α.
    iterations : int
        T.

    Returns
    -------
    points : (T, d) ndarray
    average : (d,) ndarray
        :func:`printed_average` of them. Right: :func:`weighted_average`.

    Raises
    ------
    ValueError, TypeError, numpy.linalg.LinAlgError
        As :func:`first_order_method`.

    Notes
    -----
    The lemma projects to a set on which L is Lipschitz; Algorithm 1 knows no such set, and nothing
    is projected here. Right: levinv.invert_scores(A, b, c, x0=x0, method="gradient-descent"), whose
    options have these steps, and levinv.theory.averaged_descent_iterations.
    """
    alpha = _validate.positive_number(strong_convexity, "strong_convexity")
    iterations = _validate.positive_int(iterations, "iterations")
    visited = [_validate.real_array(x0, "x0", 1)]
    for k in range(1, iterations):
        visited.append(visited[-1] - 2 / (alpha * (k + 1)) * gradient(A, b, c, visited[-1]))
    points = np.array(visited)
    return points, printed_average(points)


def printed_average(points: ArrayLike) -> Floats:
    """1/(T(T+1)) ∑ 2k/(T(T+1)) x_k, (d,): Lemma 7.4, whose weights sum to 1/(T(T+1)).

    Right: :func:`weighted_average`.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.printed_average([[1.0], [1.0]]).round(4)
    array([0.1667])
    """
    points = _validate.real_array(points, "points", 2)
    count = len(points)
    return weighted_average(points) / (count * (count + 1))


def weighted_average(points: ArrayLike) -> Floats:
    """∑ 2k/(T(T+1)) x_k, (d,): what Lemma 7.4 means, with weights that sum to 1.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.weighted_average([[1.0], [1.0]])
    array([1.])
    """
    points = _validate.real_array(points, "points", 2)
    count = len(points)
    return 2 * np.arange(1, count + 1) / (count * (count + 1)) @ points


def _iterate(x0: VectorLike, iterations: int, update: Callable[[Floats], Floats]) -> Floats:
    points = [_validate.real_array(x0, "x0", 1)]
    for _ in range(_validate.positive_int(iterations, "iterations")):
        points.append(update(points[-1]))
    return np.array(points)
