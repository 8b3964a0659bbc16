"""Derivatives of the loss L_c = ½‖σ(x) - c‖²: Lemmas 5.2, B.2 and C.3."""
from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from levinv import _validate
from levinv._typing import Floats, VectorLike
from levinv.papers.leverage import projection, scaled_rows


def gradient(A: ArrayLike, b: VectorLike, c: VectorLike, x: VectorLike) -> Floats:
    """dL_c/dx, (d,), from Lemma B.2(3): right as printed, in O(n²d).

    levinv.ScoreLoss(A, b, c).grad(x) takes O(nd²).

    Raises as :func:`leverage_matrix`, and ValueError for a c of the wrong length.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.gradient([[1.0], [1.0]], [-1.0, -2.0], [0.5, 0.5], [0.0]).round(4)
    array([-0.096])
    """
    B = scaled_rows(A, b, x)
    c = _validate.vector(c, "c", len(B), "row of A")
    P = projection(B)
    derivative = [2 * B.T @ P[:, i] ** 2 - 2 * P[i, i] * B[i] for i in range(len(B))]
    product: Floats = (np.diag(P) - c) @ np.array(derivative)
    return product


def hessian_terms(A: ArrayLike, b: VectorLike, x: VectorLike, *, row: int | None = None,
                  part: Literal[1, 2] = 1) -> Floats:
    """D_{i,1} ... D_{i,6} of one row i, or their sums over all rows, (6, d, d): Lemmas 5.2 and C.3.

    Parameters
    ----------
    A : (n, d) array_like
    b : (n,) array_like
    x : (d,) array_like
    row : int, optional
    part : {1, 2}
        The entries of Lemma C.3 part 1, or the matrices of its part 2 and of Lemma 5.2.

    Returns
    -------
    (6, d, d) ndarray

    Raises
    ------
    ValueError
        As :func:`scaled_rows`; `row` out of range, `part` neither 1 nor 2.
    numpy.linalg.LinAlgError
        A rank-deficient.

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
    B = scaled_rows(A, b, x)
    P = projection(B)
    if part not in (1, 2):
        raise ValueError(f"part must be 1 or 2, got {part!r}")
    if row is None:
        return sum((_row_terms(B, P, i, part) for i in range(len(B))), np.zeros(()))
    if not 0 <= row < len(B):
        raise ValueError(f"row must be between 0 and {len(B) - 1}, got {row}")
    return _row_terms(B, P, row, part)


def hessian(A: ArrayLike, b: VectorLike, x: VectorLike, *, part: Literal[1, 2] = 1) -> Floats:
    """The Hessian of L_c as printed, (d, d): all terms of all rows.

    Right: levinv.ScoreLoss(A, b, c).hess(x).

    Lemma 5.2 leaves out the sum over rows, and so do Fact C.4 and Fact D.3; this
    function takes it, as Lemma C.3's H_i and Lemma F.5 intend. Everything else is wrong as in
    :func:`hessian_terms`, which describes the parameters and the errors raised.

    Examples
    --------
    >>> from levinv import papers
    >>> papers.hessian([[1.0], [1.0]], [-1.0, -2.0], [0.0]).round(4)
    array([[0.1376]])
    """
    summed: Floats = hessian_terms(A, b, x, part=part).sum(axis=0)
    return summed


def _row_terms(B: Floats, P: Floats, i: int, part: Literal[1, 2]) -> Floats:
    sigma, p = P[i, i], P[:, i]
    Bq = B.T @ p ** 2
    D2 = -8 * sigma * np.outer(B[i], Bq)
    return np.array([
        4 * np.outer(Bq, Bq),
        D2,
        D2.T if part == 1 else D2,
        10 * sigma ** 2 * np.outer(B[i], B[i]),
        8 * sigma * (B.T * p) @ P @ (p[:, None] * B),
        -6 * sigma * (B.T * p ** 2) @ B,
    ])
