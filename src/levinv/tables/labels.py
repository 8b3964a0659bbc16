"""Labelled vectors in the order of A's rows or columns, and results with the labels of A.

Labels are an index of pandas, as pandas and xarray have it. An index 0, 1, 2, ... is what pandas
gives to rows without names: it counts as no labels, unless the other one is a permutation of it.
"""
import collections
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from levinv._typing import Floats, Integers
from levinv.tables.kinds import NO_TABLES, has_labels, is_frame, library
from levinv.tables.values import index_of, names_of, plain


@dataclass(frozen=True)
class Axis:
    """The labels of A's rows or columns."""

    labels: Any = None                 # an index of pandas or a list of names; None: it has none
    of: str = ""                       # whose labels they are, in messages
    fixed: bool = False                # whether another order is refused, and not changed
    named: bool = False                # whether other labels are only other names: of columns

    def aligned(self, array: Floats, value: object, name: str, axis: int = 0) -> Floats:
        """``array``, the numbers of an argument, in the order of these labels along an axis.

        Raises ValueError if the labels of the argument are others, or occur more than once.
        """
        own = None if self.labels is None else labels_of(value, axis)
        return array if own is None else self.ordered(array, own, name, axis)

    def ordered(self, array: Floats, own: Any, name: str, axis: int = 0) -> Floats:
        """The same for an array with labels of its ``own``, an index of pandas."""
        labels = _index(self.labels)
        if own.equals(labels):
            return array
        order = _order(own, labels, name)
        if order is None:
            self._check_others(own, labels, name)
            return array
        if self.fixed:
            raise ValueError(f"{name} must have its labels in the order of {self.of}, got "
                             f"{_first(own)} in place of {_first(labels)}")
        return np.take(array, order, axis)

    def _check_others(self, own: Any, labels: Any, name: str) -> None:
        """Refuse labels that are not those of A, unless one of both is a numbering."""
        if _is_numbering(own) or _is_numbering(labels):
            return
        if self.named:
            place = labels.get_indexer_for(own) if labels.is_unique else []
            for j, (label, found) in enumerate(zip(own, place, strict=False)):
                if found not in (j, -1):
                    raise ValueError(f"{name} must have its labels in the order of {self.of}, got "
                                     f"{plain(label)!r} at {j}, where it is at {found}")
        else:
            known, given = set(labels), set(own)
            label = next((label for label in own if label not in known),
                         next((label for label in labels if label not in given), own[0]))
            raise ValueError(
                f"{name} must have the labels of {self.of}, but "
                f"{plain(label)!r} is a label of {name if label in given else self.of} only: give "
                f"{name} without labels, as an array, if it is in the order of A")


class Axes(NamedTuple):
    """The labels of A's rows and columns."""

    rows: Axis
    columns: Axis


NO_LABELS = Axes(Axis(), Axis())


def labels_of(value: Any, axis: int = 0) -> Any:
    """The labels of a value along an axis, an index of pandas; None if it has none."""
    of = library(value)
    if not has_labels(value, of) or value.ndim == 0:
        return None
    return index_of(value, axis % value.ndim, of)


def axes(A: object, *, fixed: bool = False, **of_rows: object) -> Axes:
    """The labels of a matrix and, if its rows have none, those of the first of the vectors
    ``of_rows`` that has some: the others must then have the same order. Of a table with a row for
    each of several problems, the columns are the rows of the matrix.
    """
    of = library(A)
    if of == "xarray" and getattr(A, "ndim", 0) != 2:         # a stack
        of = ""
    if not of and NO_TABLES.issuperset(map(type, of_rows.values())):
        return NO_LABELS
    rows = Axis(index_of(A, 0, of), "A's rows", fixed)
    if rows.labels is None or _is_numbering(rows.labels):
        first = first_labels(of_rows, -1, rows.labels)
        rows = rows if first.labels is None else first
    columns = names_of(A, of) if of else None
    if columns is None and rows.labels is None:
        return NO_LABELS
    return Axes(rows, Axis(columns, "A's columns", fixed, named=True))


def first_labels(values: Mapping[str, Any], axis: int, known: Any = None) -> Axis:
    """The labels along an axis of the first of the values that has some, others than the known.

    No value is brought into their order: another one is refused.
    """
    for name, value in values.items():
        own = labels_of(value, axis)
        if own is not None and not _is_numbering(own) and (
                known is None or _order(own, known, name) is None):
            return Axis(own, name, fixed=True)
    return Axis()


def labelled(values: Floats, A: Any, name: str) -> Any:
    """A number for each row of A with the labels of the rows: a Series for a frame of pandas, a
    DataArray for one of xarray; otherwise the array.
    """
    of = library(A)
    if of == "pandas" and is_frame(A, of):
        return sys.modules["pandas"].Series(values, index=A.index, name=name)
    if of == "xarray" and A.ndim == 2:
        out = A.isel({A.dims[1]: 0}, drop=True).copy(data=values)
        out.name, out.attrs = name, {}
        return out
    return values


def _index(labels: Any) -> Any:
    index = sys.modules["pandas"].Index
    return labels if isinstance(labels, index) else index(labels)


def _is_numbering(labels: Any) -> bool:
    """Whether the labels are 0, 1, 2, ..."""
    return getattr(labels.dtype, "kind", "O") in "iu" and bool(
        sys.modules["pandas"].RangeIndex(len(labels)).equals(labels))


def _order(own: Any, labels: Any, name: str) -> Integers | None:
    """Where the labels are among an argument's own, (n,); None if they are others."""
    if len(own) != len(labels):
        return None
    if own.is_unique and labels.is_unique:
        order: Integers = np.asarray(own.get_indexer_for(labels), dtype=np.intp)
        return order if len(order) == len(labels) and (order >= 0).all() else None
    if collections.Counter(own) != collections.Counter(labels):
        return None
    label = own[own.duplicated().argmax()]
    raise ValueError(f"{name} must have labels that occur once, or in the order of A, got "
                     f"{plain(label)!r} more than once")


def _first(labels: Any) -> list[Any]:
    return [plain(label) for label in labels[:4]]
