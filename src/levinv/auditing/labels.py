"""Data frames and series, told by what they offer and not by their type: pandas is never imported.

Whoever passes names expects them to be kept, and to be heeded: a vector whose labels are those of A
in another order would be multiplied with the wrong columns without a word.
"""
import numpy as np

from levinv import _validate


def split(A, b, x):
    """Numbers and labels of the three.

    Returns
    -------
    A, b, x
        As arrays where they were frames or series, otherwise as they came.
    columns, rows : list of str, or None
        Labels of A's columns and rows.

    Raises
    ------
    TypeError
        A frame with a column that does not hold real numbers.
    ValueError
        Labels of b or x that are those of A in another order.
    """
    columns = rows = None
    if _is_frame(A):
        for name, dtype in zip(A.columns, A.dtypes, strict=True):
            if getattr(dtype, "kind", "O") not in "fiub":
                raise TypeError(f"A must hold real numbers, got dtype {dtype} in column {name!r}")
        columns, rows = list(A.columns), _index(A)
        A = np.asarray(A, dtype=float)
    _check(b, rows, "b", "row")
    _check(x, columns, "x", "column")
    columns = columns or _named(x)
    return A, b, x, _text(columns), _text(rows or _named(b))


def chosen(names, columns, d):
    """The names of d coefficients: given, those of A's columns, or numbers."""
    if names is None:
        return columns or [f"x[{j}]" for j in range(d)]
    names = _text(list(names))
    if len(names) != d:
        raise ValueError(f"names must have length {d}, one entry per column of A, got "
                         f"{len(names)}")
    return names


def _is_frame(value):
    return hasattr(value, "columns") and hasattr(value, "dtypes") and not _validate.is_dask(value)


def _index(value):
    """Labels of a frame's or a series' rows; None where there are none."""
    index = getattr(value, "index", None)
    # lists and tuples have a method of this name
    return None if index is None or callable(index) else list(index)


def _named(series):
    """A series' labels, None where they only count."""
    labels = _index(series)
    return None if labels is None or labels == list(range(len(labels))) else labels


def _check(series, labels, name, of):
    own = _index(series)
    if labels is None or own is None or own == labels or len(own) != len(labels):
        return
    if set(own) == set(labels):
        raise ValueError(f"{name} must have its labels in the order of A's {of}s, got "
                         f"{own[:4]} where A has {labels[:4]}")


def _text(labels):
    return None if labels is None else [" ".join(str(label).split()) for label in labels]
