"""Entries of the hat matrix for pairs of rows or for columns, without the n x n matrix."""
from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from levinv import _validate
from levinv._parallel import sharing
from levinv._tolerances import PASS_ENTRIES
from levinv._typing import Floats, Integers, MatrixLike, VectorLike
from levinv.forward.inverse_gram import InverseGram
from levinv.forward.more_scores import METHODS, inverse_of
from levinv.forward.row_scales import row_values
from levinv.storage import Rows


def hat_entries(A: MatrixLike, i: npt.ArrayLike, j: npt.ArrayLike | None = None, *,
                slack: VectorLike | None = None, weights: VectorLike | None = None,
                ridge: VectorLike | None = None, method: str = "auto",
                rcond: float | None = None, workers: int | None = None) -> Floats:
    """Entries of the hat matrix: for chosen pairs of rows, or whole columns.

    With B = A, B = diag(1/slack) A or B = diag(sqrt(weights)) A, the hat matrix is
    H = B (BᵀB + diag(ridge))⁺ Bᵀ, symmetric, with the leverage scores on its diagonal. Without
    ridge it is the projection onto the column space of B. H itself, n x n, is not formed.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
        As in :func:`levinv.leverage_scores`.
    i, j : (m,) array_like of int
        Row numbers from 0 to n - 1. With j, the entries ``H[i, j]`` are returned; i and j are
        broadcast to a common shape, as in NumPy's indexing. Without j, the columns ``H[:, i]``.
    slack, weights : (n,) array_like, optional
        As in :func:`levinv.leverage_scores`, but a negative slack turns its row of B, and with it
        the signs of the row's entries off the diagonal. At zero slacks the entries are limits.
    ridge : float or (d,) array_like, optional
        Added to the diagonal of BᵀB; at least 0.
    method : {"auto", "cholesky", "qr"}, default "auto"
        As in :func:`levinv.leverage_scores`.
    rcond : float, optional
        As in :func:`levinv.leverage_scores`.
    workers : int, optional
        Number of threads that share the rows. Results do not depend on it.

    Returns
    -------
    entries : (m,) or (n, m) ndarray
        ``H[i, j]``, or ``H[:, i]`` if j is not given. A single number gives an array of shape ()
        or (n,).

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, row numbers outside of 0..n-1, negative
        weights or ridge, both slack and weights, linearly dependent rows that all have zero slack.
    TypeError
        Row numbers that are not integers; complex, object or string input; sparse input other than
        A.

    Warns
    -----
    scipy.linalg.LinAlgWarning
        ``method="cholesky"`` if the condition number is too large for it.

    See Also
    --------
    leverage_scores : the diagonal of H

    Notes
    -----
    The cost is that of the scores, and O(d²) for each row that occurs in a pair, or O(n d) for
    each column. The error of an entry is at most about 100 ε κ (see
    :func:`levinv.leverage_scores`). In weighted regressions the fitted values are
    diag(1/√w) H diag(√w) times the responses.

    References
    ----------
    .. [1] Hoaglin and Welsch, "The hat matrix in regression and ANOVA", The American Statistician
       32 (1978).

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import hat_entries
    >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 9.0]])
    >>> hat_entries(A, [0, 0], [0, 3]).round(2)           # H[0, 0] and H[0, 3]
    array([ 0.43, -0.11])
    >>> hat_entries(A, [3]).round(2)                      # the influence of the last response
    array([[-0.11],
           [ 0.01],
           [ 0.13],
           [ 0.97]])
    """
    axes = _validate.axes(A)
    A = _validate.matrix(A, "A", sparse=True)
    n = A.shape[0]
    first = _row_numbers(i, "i", n)
    second = None if j is None else _row_numbers(j, "j", n)
    _validate.choice(method, "method", METHODS)
    if slack is not None and weights is not None:
        raise ValueError("slack and weights cannot both be given")
    kind, given = ("weights", weights) if slack is None else ("slack", slack)
    values = None if given is None else row_values(given, kind, A, axes.rows, check_finite=True)
    inverse = inverse_of(A, kind, values, ridge, method, rcond, workers, axes.columns, own=True)
    if inverse.doubt:
        warnings.warn(f"method='cholesky' cannot be accurate here ({inverse.doubt}); use 'auto' or "
                      f"'qr'", scipy.linalg.LinAlgWarning, stacklevel=2)
    with sharing(inverse.rows.workers, inverse.rows.flops):
        if second is not None:
            found = _pairs(inverse, first, second)
        else:
            found = _columns(inverse, first.ravel()).reshape(n, *first.shape)
    if kind == "slack" and values is not None and (values < 0).any():
        # ``inverse`` is that of |slack|
        signs = np.where(values < 0, -1.0, 1.0)
        found *= signs[first] * (signs[second] if second is not None
                                 else signs.reshape(n, *(1,) * first.ndim))
    return found


def _row_numbers(value: Any, name: str, n: int) -> Integers:
    """Numbers of rows as an array of integers of any shape."""
    if np.ma.is_masked(value):
        raise TypeError(f"{name} must not have masked entries")
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got dtype {numbers.dtype}")
    if numbers.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {numbers.shape}")
    _validate.refuse(np.atleast_1d((numbers < 0) | (numbers >= n)), np.atleast_1d(numbers), name,
                     f"in 0..{n - 1}")
    return numbers.astype(np.intp)


def _basis_rows(inverse: InverseGram, index: Integers) -> Floats:
    """u_i for chosen rows, with u_i · u_j = H_ij."""
    rows = inverse.rows.block(index) @ inverse.inner
    if inverse.scale is not None:
        rows *= inverse.scale[index, None]
    return rows


def _pairs(inverse: InverseGram, i: Integers, j: Integers) -> Floats:
    """H[i, j]."""
    try:
        i, j = np.broadcast_arrays(i, j)
    except ValueError:
        raise ValueError(f"j must have the shape of i, {i.shape}, or one that is broadcast to it, "
                         f"got {j.shape}") from None
    left, right, out = i.ravel(), j.ravel(), np.empty(i.size)
    step = max(PASS_ENTRIES // inverse.rows.shape[1], 1)
    for first in range(0, len(left), step):
        part = slice(first, first + step)
        needed, place = np.unique(np.concatenate([left[part], right[part]]), return_inverse=True)
        u = _basis_rows(inverse, needed)
        a, b = np.split(place, 2)
        out[part] = np.einsum("ik,ik->i", u[a], u[b])
    out[(left == right) & np.isin(left, inverse.zero)] = 1.0
    return out.reshape(i.shape)


def _columns(inverse: InverseGram, index: Integers) -> Floats:
    """H[:, index]."""
    chosen = np.ascontiguousarray(_basis_rows(inverse, index).T)
    out: Floats = np.concatenate(inverse.rows.fold(_products, operator.add, [inverse.scale],
                                                   inverse.inner, chosen))
    zero = np.flatnonzero(np.isin(index, inverse.zero))
    out[index[zero], zero] = 1.0
    return out


def _products(rows: Rows, scale: Floats | None, transform: Floats, chosen: Floats) -> list[Floats]:
    """u_i · u_j for a block of rows."""
    found = (rows.block(slice(None)) @ transform) @ chosen
    if scale is not None:
        found *= scale[:, None]
    return [found]
