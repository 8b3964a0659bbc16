"""The numbers and the labels of data frames and series.

They are recognised by their attributes, not by their type, so pandas is never imported. Labels are
also checked: a vector with A's labels in another order would be multiplied with the wrong columns.
"""
from collections.abc import Hashable, Iterable
from typing import TypeAlias

import numpy as np

from levinv import _validate
from levinv._typing import MatrixLike, VectorLike

Labels: TypeAlias = list[Hashable] | None


def split(
    A: MatrixLike, b: VectorLike, x: VectorLike,
) -> tuple[MatrixLike, VectorLike, VectorLike, list[str] | None, list[str] | None]:
    """Separate the numbers of A, b and x from the labels of A's columns and rows (those of x and b
    if A has none): a frame becomes an array, everything else stays as it is.

    Raises TypeError if a column of a frame does not hold real numbers, and ValueError if b or x has
    the labels of A in another order.
    """
    columns: Labels = None
    rows: Labels = None
    if _is_frame(A):
        for name, dtype in zip(A.columns, A.dtypes, strict=True):
            if getattr(dtype, "kind", "O") not in "fiub":
                raise TypeError(f"A must hold real numbers, got dtype {dtype} in column {name!r}")
        columns, rows = list(A.columns), _index(A)
        A = np.asarray(A, dtype=float)
    _check(b, rows, "b", "row")
    _check(x, columns, "x", "column")
    columns, rows = columns or _named(x), rows or _named(b)
    return (A, b, x, None if columns is None else _text(columns),
            None if rows is None else _text(rows))


def chosen(names: Iterable[str] | None, columns: list[str] | None, d: int) -> list[str]:
    """The names of d coefficients: the given names, the names of A's columns, or numbers."""
    if names is None:
        return columns or [f"x[{j}]" for j in range(d)]
    given = _text(names)
    if len(given) != d:
        raise ValueError(f"names must have length {d}, one entry per column of A, got "
                         f"{len(given)}")
    return given


def _is_frame(value: object) -> bool:
    return hasattr(value, "columns") and hasattr(value, "dtypes") and not _validate.is_dask(value)


def _index(value: object) -> Labels:
    """Labels of the rows of a frame or a series; None if it has none."""
    index = getattr(value, "index", None)
    # Lists and tuples have a method of this name.
    return None if index is None or callable(index) else list(index)


def _named(series: object) -> Labels:
    """The labels of a series; None if they are just 0, 1, 2, ..."""
    labels = _index(series)
    return None if labels is None or labels == list(range(len(labels))) else labels


def _check(series: object, labels: Labels, name: str, of: str) -> None:
    own = _index(series)
    if labels is None or own is None or own == labels or len(own) != len(labels):
        return
    if set(own) == set(labels):
        raise ValueError(f"{name} must have its labels in the order of A's {of}s, got "
                         f"{own[:4]} where A has {labels[:4]}")


def _text(labels: Iterable[Hashable]) -> list[str]:
    return [" ".join(str(label).split()) for label in labels]
