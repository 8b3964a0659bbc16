"""The leverage score matrix σ(x) and its derivatives: Definition A.7, Lemmas B.2, C.1, C.2."""
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from levinv import _validate
from levinv._typing import Floats, VectorLike


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
    A = _validate.matrix(A, "A", min_aspect=True)
    b = _validate.vector(b, "b", A.shape[0], "row of A")
    x = _validate.vector(x, "x", A.shape[1], "column of A")
    slack = A @ x - b
    if not slack.all():
        raise ValueError("x must leave every slack A x - b nonzero, got 0 in row "
                         f"{_validate.first_index(slack == 0)}; levinv.LeverageMap has the limits")
    return A / slack[:, None]


def leverage_matrix(A: ArrayLike, b: VectorLike, x: VectorLike) -> Floats:
    """σ(x), (n, n): Definition A.7.

    levinv.LeverageMap(A, b).scores(x) is its diagonal alone, accurately.

    Raises
    ------
    ValueError
        As :func:`scaled_rows`.
    numpy.linalg.LinAlgError
        A rank-deficient.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.leverage_matrix([[1.0], [1.0]], [-1.0, -2.0], [0.0]).round(3)
    array([[0.8, 0.4],
           [0.4, 0.2]])
    """
    return projection(scaled_rows(A, b, x))


def leverage_derivative(A: ArrayLike, b: VectorLike, x: VectorLike, j: int) -> Floats:
    """dσ(x)/dx_j, (n, n): Lemma B.2(6), right as printed.

    levinv.LeverageMap(A, b).jacobian(x) has the derivatives of the diagonal.

    Raises as :func:`leverage_matrix`.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.leverage_derivative([[1.0], [1.0]], [-1.0, -2.0], [0.0], 0).round(3)
    array([[-0.16,  0.12],
           [ 0.12,  0.16]])
    """
    B = scaled_rows(A, b, x)
    P, D = projection(B), np.diag(B[:, j])
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
    B = scaled_rows(A, b, x)
    P = projection(B)
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
    B = scaled_rows(A, b, x)
    P, u, v = projection(B), B[:, j], B[:, k]
    p = P[:, i]
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
    B = scaled_rows(A, b, x)
    P, U, V = projection(B), np.diag(B[:, j]), np.diag(B[:, k])
    C1 = 4 * P @ V @ P @ U @ P + 4 * P @ U @ P @ V @ P
    C2 = -6 * P @ V @ P @ U @ P
    C3 = -2 * V @ P @ U @ P - 2 * U @ P @ V @ P
    C4 = -2 * P @ U @ P @ V - 2 * P @ V @ P @ U
    C5, C6 = 2 * V @ U @ P, 2 * P @ V @ U
    C7 = U @ P @ V + V @ P @ U
    return C1 + C2 + C3 + C4 + C5 + C6 + C7


def projection(B: Floats) -> Floats:
    """The projection onto range(B), (n, n)."""
    return B @ np.linalg.solve(B.T @ B, B.T)
