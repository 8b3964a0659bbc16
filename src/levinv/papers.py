"""The formulas of arXiv 2404.13785 exactly as printed, errors included.

They are for reproduction and comparison, not for use. Every docstring names what is wrong, if
anything, and the part of levinv that is right; docs/errata.md is the list. As in the paper,
A(x) = diag(Ax - b)⁻¹ A, and σ(x) = A(x) (A(x)ᵀA(x))⁻¹ A(x)ᵀ is the leverage score *matrix*. The
printed formulas need all of it (n x n), so n has to be small. The loss is L_c = ½‖σ(x) - c‖².

The constants at the end are those of Sections 4 to 8 and Appendices D to G. R, β, l and M are those
of the paper, and their arguments are not checked. What is true instead is, with a proof, the
function of the same name in :mod:`levinv.theory`.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from levinv import _validate
from levinv._typing import Floats, VectorLike

__all__ = [        # noqa: RUF022 (the order of the reference page)
    "scaled_rows", "leverage_matrix", "leverage_derivative", "leverage_entry_second_derivative",
    "leverage_column_second_derivative", "leverage_second_derivative", "gradient", "hessian_terms",
    "hessian", "first_order_method", "second_order_method", "averaged_descent", "printed_average",
    "weighted_average", "row_norm_bound", "curvature_bound", "convexifying_ridge",
    "leverage_lipschitz", "hessian_lipschitz", "contraction_factor", "newton_iterations",
    "averaged_descent_gap",
]


def scaled_rows(A: ArrayLike, b: VectorLike, x: VectorLike) -> Floats:
    """A(x) = S(x)⁻¹A, (n, d): Definition A.6.

    Raises
    ------
    ValueError
        Wrong shapes, NaN or inf, a zero slack.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.scaled_rows([[1.0], [1.0]], [-1.0, -2.0], [0.0])
    array([[1. ],
           [0.5]])
    """
    axes = _validate.axes(A)
    A = _validate.matrix(A, "A", min_aspect=True)
    b = _validate.vector(b, "b", A.shape[0], "row of A", axes.rows)
    x = _validate.vector(x, "x", A.shape[1], "column of A", axes.columns)
    slack = A @ x - b
    if not slack.all():
        raise ValueError("x must leave every slack A x - b nonzero, got 0 in row "
                         f"{_validate.first_index(slack == 0)}; levinv.LeverageMap has the limits")
    return A / slack[:, None]


def leverage_matrix(A: ArrayLike, b: VectorLike, x: VectorLike) -> Floats:
    """σ(x), (n, n): Definition A.7.

    levinv.LeverageMap(A, b).scores(x) is its diagonal alone, accurately. Raises as
    :func:`scaled_rows`, and numpy.linalg.LinAlgError for a rank-deficient A.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.leverage_matrix([[1.0], [1.0]], [-1.0, -2.0], [0.0]).round(3)
    array([[0.8, 0.4],
           [0.4, 0.2]])
    """
    B = scaled_rows(A, b, x)
    return B @ np.linalg.solve(B.T @ B, B.T)


def leverage_derivative(A: ArrayLike, b: VectorLike, x: VectorLike, j: int) -> Floats:
    """dσ(x)/dx_j, (n, n): Lemma B.2(6), right as printed.

    levinv.LeverageMap(A, b).jacobian(x) has the derivatives of the diagonal. Raises as
    :func:`leverage_matrix`.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.leverage_derivative([[1.0], [1.0]], [-1.0, -2.0], [0.0], 0).round(3)
    array([[-0.16,  0.12],
           [ 0.12,  0.16]])
    """
    P, D = leverage_matrix(A, b, x), np.diag(scaled_rows(A, b, x)[:, j])
    return 2 * P @ D @ P - D @ P - P @ D


def leverage_entry_second_derivative(A: ArrayLike, b: VectorLike, x: VectorLike, i: int, m: int,
                                     k: int, j: int) -> float:
    """d²σ(x)_{i,m} / dx_k dx_j as Lemma C.1(2) prints it.

    Right for i = m, where it is Lemma C.1(1). For i ≠ m C_3 and C_4 hold row i's factors where half
    of them belong to row m, and even the order of k and j matters. True, with q =
    σ(x)_{*,i}∘σ(x)_{*,m} and row sums a = A(x)_{i,*} + A(x)_{m,*}: C_3 = -2⟨q, A(x)_{*,j}⟩a_k -
    2⟨q, A(x)_{*,k}⟩a_j and C_4 = σ(x)_{i,m} a_k a_j.

    Raises as :func:`leverage_matrix`.

    Examples
    --------
    >>> from levinv import papers
    >>> round(papers.leverage_entry_second_derivative([[1.0], [1.0]], [-1.0, -2.0], [0.0],
    ...                                               0, 0, 0, 0), 4)
    0.144
    """
    B, P = scaled_rows(A, b, x), leverage_matrix(A, b, x)
    q, u, v = P[:, i] * P[:, m], B[:, j], B[:, k]
    C1 = 4 * (v * P[:, m]) @ P @ (u * P[:, i]) + 4 * (u * P[:, m]) @ P @ (v * P[:, i])
    C2 = -6 * q @ (v * u)
    C3 = -4 * (q @ u) * B[i, k] - 4 * (q @ v) * B[i, j]
    C4 = 2 * P[i, m] * B[i, k] * B[i, j] + 2 * P[i, m] * B[m, k] * B[i, j]
    C5 = P[i, m] * B[i, k] * B[i, j] + P[i, m] * B[m, k] * B[m, j]
    return float(C1 + C2 + C3 + C4 + C5)


def leverage_column_second_derivative(A: ArrayLike, b: VectorLike, x: VectorLike, i: int, k: int,
                                      j: int) -> Floats:
    """d²σ(x)_{:,i} / dx_k dx_j, (n,), as Lemma C.2(1) prints it.

    C_2 has σ diag(A(x)_{*,k}) σ diag(A(x)_{*,j}) for σ diag(A(x)_{*,k} ∘ A(x)_{*,j}), and another
    term that belongs to C_3; C_5 has A(x)_{i,k} for a second diag and a stray last term. True:
    column i of the corrected :func:`leverage_second_derivative`.

    Raises as :func:`leverage_matrix`.
    """
    B, P = scaled_rows(A, b, x), leverage_matrix(A, b, x)
    p, u, v = P[:, i], B[:, j], B[:, k]
    C1 = 4 * P @ (v * (P @ (u * p))) + 4 * P @ (u * (P @ (v * p)))
    C2 = -6 * P @ (v * (P @ (u * p))) - 2 * u * (P @ (v * p))
    C3 = -2 * v * (P @ (u * p)) - 2 * u * (P @ (v * p))
    C4 = -2 * P @ (u * p) * B[i, k] - 2 * P @ (v * p) * B[i, j]
    C5 = 2 * v * p * B[i, k] + v * p * B[i, j]
    C6 = u * p * B[i, k] + v * p * B[i, j]
    C7 = 2 * p * B[i, k] * B[i, j]
    total: Floats = C1 + C2 + C3 + C4 + C5 + C6 + C7
    return total


def leverage_second_derivative(A: ArrayLike, b: VectorLike, x: VectorLike, k: int,
                               j: int) -> Floats:
    """d²σ(x) / dx_k dx_j, (n, n), as Lemma C.2(2) prints it.

    C_2 = -6 σ diag(A(x)_{*,k}) σ diag(A(x)_{*,j}) σ has one σ too many. True: -6 σ diag(A(x)_{*,k}
    ∘ A(x)_{*,j}) σ. The rest is right.

    Raises as :func:`leverage_matrix`.
    """
    B, P = scaled_rows(A, b, x), leverage_matrix(A, b, x)
    U, V = np.diag(B[:, j]), np.diag(B[:, k])
    C1 = 4 * P @ V @ P @ U @ P + 4 * P @ U @ P @ V @ P
    C2 = -6 * P @ V @ P @ U @ P
    C3 = -2 * V @ P @ U @ P - 2 * U @ P @ V @ P
    C4 = -2 * P @ U @ P @ V - 2 * P @ V @ P @ U
    C5, C6 = 2 * V @ U @ P, 2 * P @ V @ U
    C7 = U @ P @ V + V @ P @ U
    return C1 + C2 + C3 + C4 + C5 + C6 + C7


def gradient(A: ArrayLike, b: VectorLike, c: VectorLike, x: VectorLike) -> Floats:
    """dL_c/dx, (d,), from Lemma B.2(3): right as printed, in O(n²d).

    levinv.ScoreLoss(A, b, c).grad(x) takes O(nd²). Raises as :func:`leverage_matrix`, and
    ValueError for a c of the wrong length.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.gradient([[1.0], [1.0]], [-1.0, -2.0], [0.5, 0.5], [0.0]).round(4)
    array([-0.096])
    """
    B = scaled_rows(A, b, x)
    c = _validate.vector(c, "c", len(B), "row of A", _validate.axes(A, b=b, c=c).rows)
    P = leverage_matrix(A, b, x)
    derivative: Floats = np.array([2 * B.T @ P[:, i] ** 2 - 2 * P[i, i] * B[i]
                                   for i in range(len(B))])
    return (np.diag(P) - c) @ derivative


def hessian_terms(A: ArrayLike, b: VectorLike, x: VectorLike, *, row: int | None = None,
                  part: Literal[1, 2] = 1) -> Floats:
    """D_{i,1} ... D_{i,6} of one row i, or their sums over all rows, (6, d, d): Lemmas 5.2 and C.3.

    Parameters
    ----------
    A, b, x : (n, d), (n,) and (d,) array_like
    row : int, optional
    part : {1, 2}
        The entries of Lemma C.3 part 1, or the matrices of its part 2 and of Lemma 5.2.

    Raises
    ------
    ValueError, numpy.linalg.LinAlgError
        As :func:`leverage_matrix`; `row` out of range, `part` neither 1 nor 2.

    Notes
    -----
    c does not occur: the terms with second derivatives of σᵢ carry the factor σᵢ where ½ d²(σᵢ -
    cᵢ)² needs σᵢ - cᵢ. The coefficients 4, -8, -8, 10, 8, -6 are 4, -(4σᵢ + 4rᵢ)/σᵢ (twice), (4σᵢ +
    6rᵢ)/σᵢ, 8rᵢ/σᵢ, -6rᵢ/σᵢ in truth, rᵢ = σᵢ - cᵢ. So the sum is right iff ∑ cᵢ∇²σᵢ = 0, as for
    c = 0 and for constant c. In part 2, moreover, D_{i,3} equals D_{i,2}, where part 1 has its
    transpose: the Hessian comes out unsymmetric.

    Right: levinv.ScoreLoss(A, b, c).hess_terms(x, row).

    Examples
    --------
    >>> from levinv import papers
    >>> papers.hessian_terms([[1.0], [1.0]], [-1.0, -2.0], [0.0], row=0).ravel().round(4)
    array([ 2.0736, -4.608 , -4.608 ,  6.4   ,  4.1472, -3.264 ])
    """
    B, P = scaled_rows(A, b, x), leverage_matrix(A, b, x)
    if part not in (1, 2):
        raise ValueError(f"part must be 1 or 2, got {part!r}")
    if row is not None and not 0 <= row < len(B):
        raise ValueError(f"row must be between 0 and {len(B) - 1}, got {row}")
    total = np.zeros(())
    for i in range(len(B)) if row is None else (row,):
        sigma, p = P[i, i], P[:, i]
        Bq = B.T @ p ** 2
        D2 = -8 * sigma * np.outer(B[i], Bq)
        total = total + np.array([
            4 * np.outer(Bq, Bq),
            D2,
            D2.T if part == 1 else D2,
            10 * sigma ** 2 * np.outer(B[i], B[i]),
            8 * sigma * (B.T * p) @ P @ (p[:, None] * B),
            -6 * sigma * (B.T * p ** 2) @ B,
        ])
    return total


def hessian(A: ArrayLike, b: VectorLike, x: VectorLike, *, part: Literal[1, 2] = 1) -> Floats:
    """The Hessian of L_c as printed, (d, d): all terms of all rows.

    Lemma 5.2 leaves out the sum over rows, and so do Fact C.4 and Fact D.3; this function takes it,
    as Lemma C.3's H_i and Lemma F.5 intend. Everything else is wrong as in :func:`hessian_terms`,
    which describes the parameters and the errors raised. Right: levinv.ScoreLoss(A, b, c).hess(x).

    Examples
    --------
    >>> from levinv import papers
    >>> papers.hessian([[1.0], [1.0]], [-1.0, -2.0], [0.0]).round(4)
    array([[0.1376]])
    """
    summed: Floats = hessian_terms(A, b, x, part=part).sum(axis=0)
    return summed


def first_order_method(A: ArrayLike, b: VectorLike, c: VectorLike, x0: VectorLike, step: float,
                       iterations: int) -> Floats:
    """Algorithm 1: x_0 ... x_T with x_t = x_{t-1} - η dL_c/dx, (T + 1, d).

    Parameters
    ----------
    A, b, c, x0 : (n, d), (n,), (n,) and (d,) array_like
    step : float
        η, the same for all steps; the paper does not say which.
    iterations : int
        T. The algorithm is printed as returning L(x_T); Theorem G.1 wants x_T, the last row.

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
    return _iterate(_start(A, x0), iterations, lambda x: x - step * gradient(A, b, c, x))


def second_order_method(A: ArrayLike, b: VectorLike, c: VectorLike, x0: VectorLike,
                        iterations: int) -> Floats:
    """Algorithm 2: x_0 ... x_T with x_t = x_{t-1} - H⁻¹ dL_c/dx, H the printed Hessian, (T + 1, d).

    :func:`first_order_method` describes the parameters and the errors raised; a singular H also
    raises numpy.linalg.LinAlgError.

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
    return _iterate(_start(A, x0), iterations,
                    lambda x: x - np.linalg.solve(hessian(A, b, x), gradient(A, b, c, x)))


def averaged_descent(A: ArrayLike, b: VectorLike, c: VectorLike, x0: VectorLike,
                     strong_convexity: float, iterations: int) -> tuple[Floats, Floats]:
    """Lemma 7.4's x_1 ... x_T with steps 2/(α(k+1)), and their average as printed.

    Raises as :func:`first_order_method`.

    Parameters
    ----------
    A, b, c, x0 : (n, d), (n,), (n,) and (d,) array_like
        x0 is x_1 of the lemma.
    strong_convexity : float
        α.
    iterations : int
        T.

    Returns
    -------
    points : (T, d) ndarray
    average : (d,) ndarray
        :func:`printed_average` of them. Right: :func:`weighted_average`.

    Notes
    -----
    The lemma projects to a set on which L is Lipschitz; Algorithm 1 knows no such set, and nothing
    is projected here. Right: levinv.invert_scores(A, b, c, x0=x0, method="gradient-descent"), whose
    options have these steps, and levinv.theory.averaged_descent_iterations.
    """
    alpha = _validate.positive_number(strong_convexity, "strong_convexity")
    iterations = _validate.positive_int(iterations, "iterations")
    visited = [_start(A, x0)]
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
    return weighted_average(points) / (len(points) * (len(points) + 1))


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


def row_norm_bound(beta: float, R: float) -> float:
    """‖a(x)_i‖ <= βR: Lemma D.1(4). True: R/β, for slacks of at least β."""
    return beta * R


def curvature_bound(beta: float) -> float:
    """-44β I ⪯ G(x) ⪯ 44β I: Lemma D.4. True: 44β⁻², and less."""
    return 44 * beta


def convexifying_ridge(beta: float, strong_convexity: float,
                       smallest_singular_value: float) -> float:
    """Least w: w² >= -44β + l/σ_min(A)²: Definition 4.5, Lemma D.5. True: 44β⁻², and less."""
    return math.sqrt(max(0.0, -44 * beta + strong_convexity / smallest_singular_value ** 2))


def leverage_lipschitz(beta: float, R: float) -> float:
    """‖σ(x) - σ(x̂)‖ <= 3β⁻⁷R³‖x - x̂‖: Lemma E.1(6). True: max‖aᵢ‖/β."""
    return 3 * beta ** -7 * R ** 3


def hessian_lipschitz(beta: float, R: float) -> float:
    """‖H(x) - H(x̂)‖ <= 812β⁻⁹R⁵‖x - x̂‖: Lemmas 6.3, E.3. True: 23β⁻³R³, for c in [0, 1]ⁿ."""
    return 812 * beta ** -9 * R ** 5


def contraction_factor(distance: float, strong_convexity: float, lipschitz: float,
                       relative_error: float) -> float:
    """r_{t+1} <= 2 (ε₀ + Mr/(l - Mr)) r_t: Lemma 8.5, for a Hessian with relative error ε₀.

    True for the exact Hessian: a quarter of this at ε₀ = 0.
    """
    shift = lipschitz * distance
    return 2 * (relative_error + shift / (strong_convexity - shift))


def newton_iterations(distance: float, accuracy: float) -> float:
    """log(r₀/ε): Theorem G.2. At Lemma 8.6's rate of 0.4 it falls short."""
    return math.log(distance / accuracy)


def averaged_descent_gap(strong_convexity: float, lipschitz: float, iterations: int) -> float:
    """2l²/(α(T+1)): Lemma 7.4's bound, right for :func:`weighted_average`.

    levinv.theory.averaged_descent_iterations has the number of steps that it asks for.
    """
    return 2 * lipschitz ** 2 / (strong_convexity * (iterations + 1))


def _start(A: ArrayLike, x0: VectorLike) -> Floats:
    """x0 in the order of A's columns, (d,)."""
    array = _validate.real_array(x0, "x0", 1)
    return _validate.axes(A).columns.aligned(array, x0, "x0")


def _iterate(x0: Floats, iterations: int, update: Callable[[Floats], Floats]) -> Floats:
    points = [x0]
    for _ in range(_validate.positive_int(iterations, "iterations")):
        points.append(update(points[-1]))
    return np.array(points)
