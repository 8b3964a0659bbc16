"""Tables as arrays. Numbers are numbers in any dtype: nullable ones, those of pyarrow, categories
that are numbers, numbers of Python in columns of objects.

What is no number is refused by an error that names the argument, the column, the row, and what to
do. NaN is not looked for here, see :func:`levinv._validate.finite`.
"""
import decimal
import numbers
import reprlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from levinv._typing import Booleans, Floats
from levinv.tables.kinds import has_labels, is_frame

FLOAT = np.dtype(np.float64)
GAPS = "drop these rows or fill the gaps beforehand"
GROUPS = ("encode groups as numbers (get_dummies in pandas, to_dummies in polars), convert numbers "
          "that are written as text, or leave it out")
OTHERS = "convert it to numbers or leave it out"
NUMBERS = (numbers.Real, decimal.Decimal, np.bool_)


@dataclass(frozen=True)
class Place:
    """Names the places of an argument, or of one of its columns, in messages."""

    name: str                          # of the argument
    rows: Any = None                   # the rows' labels; None: they are numbered
    columns: Any = None                # the columns' labels; None: it is a vector

    def at(self, row: int, column: int = 0) -> str:
        """The words for an entry."""
        where = f"row {plain(row if self.rows is None else self.rows[row])!r}"
        return where if self.columns is None else (
            f"column {plain(self.columns[column])!r}, {where}")

    def of_column(self, column: object) -> "Place":
        """The places of one column."""
        return Place(self.name, self.rows, [column])


def plain(label: Any) -> Any:
    """A label as it is printed: numbers of NumPy as those of Python."""
    return label.item() if isinstance(label, np.generic) else label


def array_of(value: Any, name: str, of: str) -> npt.NDArray[Any]:
    """The numbers of a table or a column of the library ``of``: real, in one array."""
    place = place_of(value, name, of)
    if of == "xarray":
        array = np.asarray(value.values)
        return _entries(array, place, array.dtype) if array.ndim in (1, 2) else array
    if not is_frame(value, of):
        return _column(value, of, place)
    if of == "pandas":
        dtypes = set(value.dtypes)
        if len(dtypes) == 1 and isinstance(dtype := dtypes.pop(), np.dtype) and (
                dtype.kind in "fiub"):
            return np.asarray(value)
    out = np.empty(value.shape if of != "pyarrow" else (value.num_rows, value.num_columns))
    for j, (label, column) in enumerate(_columns(value, of)):
        out[:, j] = _column(column, of, place.of_column(label))
    return out


def place_of(value: Any, name: str, of: str) -> Place:
    """The places of an argument of the library ``of``, "" for an array."""
    columns = names_of(value, of)
    if columns is None and of == "xarray" and value.ndim == 2:
        columns = list(range(value.shape[1]))
    return Place(name, index_of(value, 0, of), columns)


def names_of(value: Any, of: str) -> list[Any] | None:
    """The names of a table's columns; None if there are none."""
    if of == "pandas" or of == "polars":
        return list(value.columns) if is_frame(value, of) else None
    if of == "pyarrow":
        return list(value.schema.names) if is_frame(value, of) else None
    labels = index_of(value, 1, of)
    return None if labels is None else list(labels)


def index_of(value: Any, axis: int, of: str) -> Any:
    """The labels of an axis, an index of pandas; None if there are none."""
    if not has_labels(value, of) or axis >= value.ndim:
        return None
    if of == "xarray":
        return value.indexes.get(value.dims[axis])
    return value.columns if axis else value.index


def _columns(value: Any, of: str) -> Iterator[tuple[Any, Any]]:
    if of == "pandas":
        return iter(value.items())
    return zip(names_of(value, of) or [],
               value.get_columns() if of == "polars" else value.columns, strict=True)


def _column(column: Any, of: str, place: Place) -> Floats:
    """The numbers of a column, (n,)."""
    dtype = column.type if of == "pyarrow" else column.dtype
    if not (isinstance(dtype, np.dtype) and dtype.kind in "fiub"):
        missing = _missing(column, of)
        if missing.any():
            raise ValueError(f"{place.name} must have no missing values, got "
                             f"{np.count_nonzero(missing)}, the first in "
                             f"{place.at(int(missing.argmax()))}: {GAPS}")
    return _entries(_unchecked(column, of), place, dtype)


def _missing(column: Any, of: str) -> Booleans:
    """Whether an entry is missing, (n,)."""
    if of == "polars":
        return np.asarray(column.is_null(), dtype=bool)
    return np.asarray(column.isna() if of == "pandas" else column.is_null(), dtype=bool)


def _unchecked(column: Any, of: str) -> npt.NDArray[Any]:
    """The entries of a column without missing values, as numbers where it holds numbers."""
    if of == "pandas":
        if getattr(column.dtype, "kind", "O") in "fiub":
            return np.asarray(column.to_numpy(dtype=FLOAT))
        return np.asarray(column)
    if of == "polars":
        polars = sys.modules["polars"]
        if column.dtype.is_numeric() or column.dtype == polars.Boolean:
            return np.asarray(column.cast(polars.Float64))
        return _of_objects(column.to_list())
    types = sys.modules["pyarrow"].types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return np.asarray(column)


def _of_objects(entries: list[Any]) -> npt.NDArray[Any]:
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


def _entries(array: npt.NDArray[Any], place: Place, dtype: object) -> Floats:
    """The entries as float64; refuses those that are no real numbers."""
    if array.dtype.kind in "fiub":
        return array.astype(FLOAT, copy=False)
    out = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        entry: Any = array[index]
        if not isinstance(entry, NUMBERS) or array.dtype.kind != "O":
            text = isinstance(entry, (str, bytes))
            raise TypeError(f"{place.name} must hold real numbers, got dtype {dtype} in "
                            f"{place.at(*index)} ({reprlib.repr(entry if text else str(entry))}): "
                            f"{GROUPS if text else OTHERS}")
        try:
            out[index] = float(entry)
        except (OverflowError, ValueError):        # beyond doubles; a NaN that signals
            raise ValueError(f"{place.name} must be finite, got {reprlib.repr(str(entry))} "
                             f"in {place.at(*index)}") from None
    return out
