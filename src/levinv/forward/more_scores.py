"""Scores in a regularised Gram matrix, of new rows, and of the best approximation of a rank.

**Wide matrices.** For n < d and a ridge λ in every column, with A diag(λ)^-½ = M Qᵀ, M of n columns
and Q of orthonormal ones, the scores of A with the ridge λ are those of M with the ridge 1: a
problem of n x n. M comes from a QR factorisation of the transpose. The long columns of A come first
there and its rows are pivoted, so that the errors are small column by column (Cox and Higham). The
rounding errors E of M change the scores by about (|E|/√λ)² where rows are dependent; if that is not
below ε, A is left as it is.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

from levinv import _validate, storage
from levinv._parallel import aside, count, sharing
from levinv._tolerances import EPS, SAFE_SIZE
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.best_rank import best_rank_scores
from levinv.forward.inverse_gram import InverseGram, inverse_gram
from levinv.forward.row_scales import row_values, slack_scale, weight_scale

METHODS = ("auto", "cholesky", "qr")


def more_scores(A: MatrixLike, kind: str, given: VectorLike | None, ridge: VectorLike | None,
                rows: MatrixLike, rank: int | None, method: str, rcond: float | None,
                check_finite: bool, workers: int | None, axes: _validate.Axes
                ) -> tuple[Floats, str]:
    """Scores as in :func:`levinv.leverage_scores` and the doubt (see :class:`Basis`)."""
    if rank is not None:
        for name, value in (("ridge", ridge), ("rows", rows), ("rcond", rcond)):
            if value is not None:
                raise ValueError(f"{name} and rank cannot both be given")
        rank = _validate.positive_int(rank, "rank")
    dense = not (scipy.sparse.issparse(A) or _validate.is_dask(A) or _validate.is_streamed(A))
    A = (_validate.real_array(A, "A", None, check_finite=check_finite) if dense
         else _validate.matrix(A, "A", check_finite=check_finite, sparse=True))
    _validate.choice(method, "method", METHODS)
    values = None if given is None else row_values(given, kind, A, axes.rows, check_finite)
    if values is not None and kind == "weights":
        _validate.refuse(values < 0, values, "weights", "at least 0")
    if A.ndim == 2:
        if rank is not None:
            return _best_rank(A, kind, values, rank, method, workers)
        inverse = inverse_of(A, kind, values, ridge, method, rcond, workers, axes.columns,
                             own=rows is None)
        return (inverse.scores() if rows is None
                else _new_scores(inverse, rows, workers, axes.columns), inverse.doubt)
    if rows is not None:
        raise ValueError(f"A must be a two-dimensional array with rows, got shape {A.shape}")
    stack, out, doubts = A.reshape(-1, *A.shape[-2:]), np.empty(A.shape[:-1]), []
    each = None if values is None else values.reshape(-1, A.shape[-2])
    for i, matrix in enumerate(stack):
        scores, doubt = more_scores(matrix, kind, None if each is None else each[i], ridge, None,
                                    rank, method, rcond, False, workers, _validate.NO_LABELS)
        out.reshape(len(stack), -1)[i] = scores
        doubts += [f"matrix {i} of the stack: {doubt}"] if doubt else []
    return out, "; ".join(doubts[:3])


def inverse_of(A: MatrixLike, kind: str, values: Floats | None, ridge: VectorLike | None,
               method: str, rcond: float | None, workers: int | None,
               columns: _validate.Axis, *, own: bool) -> InverseGram:
    """G⁻¹ for a checked matrix and row values; ridge and rcond are checked here. If it is only for
    A's ``own`` rows, it may be in other coordinates of the row space.
    """
    d = A.shape[1]
    if rcond is not None:
        rcond = _validate.positive_number(rcond, "rcond", zero=True)
    if ridge is not None:
        checked = _validate.nonnegative(ridge, "ridge", d, "column of A", columns)
        ridge = checked if checked.any() else None
        narrow = _narrowed(A, checked) if own and rcond is None else None
        if narrow is not None:
            rcond = d * EPS                  # of A's own columns
            A, ridge = narrow
    stored = storage.of(A)
    stored.workers = count(workers, stored.flops)
    with sharing(stored.workers, stored.flops):
        return inverse_gram(stored, kind, values, ridge, method, rcond)


def _narrowed(A: MatrixLike, ridge: Floats) -> tuple[Floats, Floats] | None:
    """M (n, n), and the ridge of its columns, if A is dense and wide (see the module)."""
    n, d = A.shape
    if type(A) is not np.ndarray or 2 * n > d or not ridge.min() > ridge.max() / SAFE_SIZE:
        return None
    columns = np.sqrt(ridge.max() / ridge)[:, None] * A.T
    if not np.isfinite(columns).all():
        return None
    order = np.argsort(-np.abs(columns).max(axis=1), kind="stable")
    triangle, rows = aside(lambda: scipy.linalg.qr(
        columns[order], mode="r", pivoting=True, overwrite_a=True, check_finite=False),
        4 * A.size * n)
    pivots = np.abs(np.diag(triangle))
    if not max(pivots[-1], np.sqrt(ridge.max())) > np.sqrt(EPS) * pivots[0]:
        return None                          # rounding would make dependent rows independent
    narrow = np.empty((n, n))
    narrow[rows] = triangle[:n].T
    return narrow, np.full(n, ridge.max())


def _new_scores(inverse: InverseGram, rows: MatrixLike, workers: int | None,
                columns: _validate.Axis) -> Floats:
    """Scores (m,) of new rows."""
    new: Any = _validate.matrix(rows, "rows", sparse=True)
    d = inverse.rows.shape[1]
    if new.shape[1] != d:
        raise ValueError(f"rows must have {d} columns, as A has, got shape {new.shape}")
    if not isinstance(new, np.ndarray):
        columns = replace(columns, fixed=True)
    new = columns.aligned(new, rows, "rows", axis=1)
    stored = storage.of(new)
    stored.workers = count(workers, stored.flops)
    with sharing(stored.workers, stored.flops):
        return inverse.new_scores(stored, "rows")


def _best_rank(A: MatrixLike, kind: str, values: Floats | None, rank: int, method: str,
               workers: int | None) -> tuple[Floats, str]:
    """Scores (n,) of the best approximation of this rank, and the doubt."""
    scale = None
    if values is not None and kind == "weights":
        scale = weight_scale(values)
    elif values is not None:
        _validate.refuse(values == 0, values, "slack", "different from 0 with rank")
        scale = slack_scale(np.abs(values))
    stored = storage.of(A)
    stored.workers = count(workers, stored.flops)
    with sharing(stored.workers, stored.flops):
        return best_rank_scores(stored, scale, rank, method)
