"""Scores in a regularised Gram matrix, of new rows, and of the best approximation of a rank."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse

from levinv import _validate, storage
from levinv._parallel import count, sharing
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
        inverse = inverse_of(A, kind, values, ridge, method, rcond, workers, axes.columns)
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
               columns: _validate.Axis) -> InverseGram:
    """G⁻¹ for a checked matrix and row values; ridge and rcond are checked here."""
    d = A.shape[1]
    if rcond is not None:
        rcond = _validate.positive_number(rcond, "rcond", zero=True)
    if ridge is not None:
        checked = _validate.nonnegative(ridge, "ridge", d, "column of A", columns)
        ridge = checked if checked.any() else None
    stored = storage.of(A)
    stored.workers = count(workers, stored.flops)
    with sharing(stored.workers, stored.flops):
        return inverse_gram(stored, kind, values, ridge, method, rcond)


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
