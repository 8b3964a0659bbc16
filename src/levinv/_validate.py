"""Checks of arguments: public functions check arguments once, internal functions assume that they
are valid.

Every message names the argument, what is expected and what was given.
"""
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import scipy.sparse

from levinv._csr import canonical
from levinv._kernels.dense import all_finite
from levinv._scalars import (
    choice,
    first_index,
    generator,
    index,
    listed,
    options,
    positive_int,
    positive_number,
    scalar,
)
from levinv._source import Source, opened
from levinv._tolerances import PASS_ENTRIES, SAFE_SIZE, TINY
from levinv._typing import Booleans, Floats, MatrixLike
from levinv.tables.kinds import beneath, is_lazy, library
from levinv.tables.labels import NO_LABELS, Axes, Axis, axes, first_labels, labelled, labels_of
from levinv.tables.values import GAPS, array_of, place_of

UNKNOWN_SCORES = ": give rows of unknown scores the noise 1 and any score"

__all__ = ["NO_LABELS", "Axes", "Axis", "axes", "beneath", "choice", "finite", "first_index",
           "first_labels", "generator", "index", "is_dask", "is_streamed", "labelled", "labels_of",
           "listed", "matrix", "noise", "nonnegative", "options", "ordinary_columns",
           "ordinary_size", "positive_int", "positive_number", "real_array", "refuse", "scalar",
           "signs", "vector"]

FLOAT = np.dtype(np.float64)


def real_array(value: Any, name: str, ndim: int | None, *, check_finite: bool = True) -> Floats:
    """A float64 array of ``ndim`` dimensions (None: two or more), copied only if necessary.

    Raises TypeError for complex, object, string and other non-numeric input and for sparse
    matrices, ValueError for a wrong number of dimensions, emptiness, missing values, NaN and inf.
    """
    array: npt.NDArray[Any] = (value if type(value) is np.ndarray
                               else _base_array(value, name, ndim))
    if array.dtype != FLOAT:
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
        array = array.astype(FLOAT)
    if array.ndim != ndim and (ndim is not None or array.ndim < 2):
        raise ValueError(f"{name} must be a {_dimensions(ndim)} array, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if not array.flags.aligned:
        array = array.copy()
    if check_finite:
        finite(array, name, value)
    return array


def finite(array: MatrixLike, name: str, given: object = None) -> None:
    """Refuse an array, a dask array, a Source or a sparse array in CSR that holds NaN or inf.

    The message names the entry as the table does that was ``given``.
    """
    place: Any = None
    if isinstance(array, np.ndarray):
        if array.flags.forc and _all_finite(array.ravel(order="K")):
            return
        if not np.isfinite(array).all():
            place = first_index(~np.isfinite(array))
    elif isinstance(array, Source):
        place = array.first_not_finite()
    elif is_dask(array):
        rows = np.isfinite(array).all(axis=1).compute()
        if not rows.all():
            row = int(np.argmin(rows))
            place = row, first_index(~np.isfinite(array[row].compute()))
    elif not _all_finite(array.data):
        entry = first_index(~np.isfinite(array.data))
        row = int(np.searchsorted(array.indptr, entry, side="right")) - 1
        place = row, int(array.indices[entry])
    if place is None:
        return
    of = library(given)
    if not of:
        raise ValueError(f"{name} must be finite, got NaN or inf at index {place}"
                         + UNKNOWN_SCORES * (name == "scores"))
    entry = array[place]
    where = place_of(given, name, of).at(*(place if isinstance(place, tuple) else [place]))
    raise ValueError(f"{name} must be finite, got {entry:g} in {where}"
                     f"{f': {GAPS}' if np.isnan(entry) and name != 'scores' else ''}"
                     + UNKNOWN_SCORES * (name == "scores"))


def _all_finite(entries: Floats) -> bool:
    """Whether a vector of any length holds no NaN or inf; block by block, so that Ctrl-C works."""
    if len(entries) <= PASS_ENTRIES:
        return all_finite(entries)
    return all(all_finite(entries[first:first + PASS_ENTRIES])
               for first in range(0, len(entries), PASS_ENTRIES))


def refuse(wrong: Booleans, array: Floats, name: str, expected: str) -> None:
    """Raise ValueError, with the first wrong entry and its index, where entries are ``wrong``."""
    if wrong.any():
        place = first_index(wrong)
        raise ValueError(f"{name} must be {expected}, got {array[place]} at index {place}")


def _sparse_matrix(value: Any, name: str) -> scipy.sparse.csr_array:
    """A matrix of scipy.sparse as :func:`levinv._csr.canonical` returns it."""
    _real_matrix(value, name)
    try:
        return canonical(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a valid sparse matrix: {error}") from None


def _real_matrix(value: Any, name: str) -> None:
    """Refuse a value without the shape and the dtype of a real matrix."""
    if getattr(value.dtype, "kind", "O") not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {value.dtype}")
    if len(value.shape) != 2:
        raise ValueError(f"{name} must be a two-dimensional array, got shape {value.shape}")
    if 0 in value.shape:
        raise ValueError(f"{name} must not be empty, got shape {value.shape}")


def is_streamed(value: object) -> bool:
    """Whether a value is read block by block, because NumPy would load or convert all of it."""
    if isinstance(value, Source):
        return True
    if isinstance(value, np.ndarray):
        return isinstance(value, np.memmap) and value.ndim == 2 and value.dtype != FLOAT
    if library(value):
        return is_lazy(value)
    return (hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__getitem__")
            and not scipy.sparse.issparse(value) and not is_dask(value)
            and (hasattr(value, "chunks") or not hasattr(value, "__array__")))


def is_dask(value: object) -> bool:
    """Whether a value is one of dask's collections; does not import dask."""
    return type(value).__module__.startswith("dask.")


def _dask_matrix(value: Any, name: str) -> Any:
    """A float64 dask array with its columns in one chunk; the row chunks stay, but for empty ones.
    """
    held = getattr(value, "_meta", None)
    if not isinstance(held, np.ndarray) or isinstance(held, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a dask array of NumPy arrays, got a dask "
                        f"{type(value).__name__} of {type(held).__name__}")
    _real_matrix(value, name)
    if np.isnan(value.shape).any():
        raise ValueError(f"{name} must have chunks of known sizes (see its method "
                         f"compute_chunk_sizes), got shape {value.shape}")
    rows = tuple(size for size in value.chunks[0] if size)
    return value.astype(FLOAT, copy=False).rechunk((rows, -1))


def _base_array(value: Any, name: str, ndim: int | None) -> npt.NDArray[Any]:
    """An ndarray that is of no subclass. It shares the memory of a matrix or a memmap."""
    of = library(value)
    if of:
        return array_of(value, name, of)
    if scipy.sparse.issparse(value):
        raise TypeError(f"{name} must be a dense array, got a sparse {type(value).__name__}; "
                        f"convert it with .toarray()")
    if ndim != 1 and is_dask(value):
        raise TypeError(f"{name} must be an array in memory, got a dask "
                        f"{type(value).__name__}; convert it with .compute()")
    parts = value if isinstance(value, (list, tuple)) else [value]
    if any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts):
        mask = np.ma.getmaskarray(np.ma.asarray(value))
        raise TypeError(f"{name} must not have masked entries, got {np.count_nonzero(mask)}, the "
                        f"first at index {first_index(mask)}: {GAPS}")
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be a {_dimensions(ndim)} array of "
                          f"real numbers: {error}") from None


def _dimensions(ndim: int | None) -> str:
    return "one-dimensional" if ndim == 1 else "two-dimensional" if ndim in (2, None) else (
        f"{ndim}-dimensional")


def vector(value: Any, name: str, n: int, of: str, axis: Axis | None = None, *,
           check_finite: bool = True) -> Floats:
    """A contiguous float64 vector of length n; ``of`` names what the entries belong to.

    A vector with labels is brought into the order of those of ``axis``.
    """
    if (type(value) is np.ndarray and value.dtype is FLOAT and value.shape == (n,)
            and n <= PASS_ENTRIES and (layout := value.flags).c_contiguous and layout.aligned
            and (not check_finite or all_finite(value))):
        return value                       # the usual case, without the other checks
    array = real_array(value, name, 1, check_finite=check_finite)
    if len(array) != n:
        raise ValueError(f"{name} must have length {n}, one entry per {of}, got {len(array)}")
    if axis is not None and type(value) is not np.ndarray:
        array = axis.aligned(array, value, name)
    return np.ascontiguousarray(array)


@overload
def matrix(value: Any, name: str, *, min_aspect: bool = False, check_finite: bool = True,
           sparse: Literal[False] = False) -> Floats: ...


@overload
def matrix(value: Any, name: str, *, min_aspect: bool = False, check_finite: bool = True,
           sparse: Literal[True]) -> MatrixLike: ...


def matrix(value: Any, name: str, *, min_aspect: bool = False, check_finite: bool = True,
           sparse: bool = False) -> MatrixLike:
    """A float64 matrix; with ``sparse`` also a sparse array in CSR, a Source or a dask array; with
    ``min_aspect`` at least as many rows as columns. Raises as :func:`real_array`, and ValueError
    for dask chunks of unknown sizes.
    """
    array: MatrixLike
    given = value
    if sparse and type(value) is not np.ndarray:
        value = beneath(value)
    if sparse and isinstance(value, Source):
        array, check_finite = value, False             # it was checked when it was made
    elif sparse and scipy.sparse.issparse(value):
        array = _sparse_matrix(value, name)
    elif sparse and is_streamed(value):
        _real_matrix(value, name)
        array = opened(value)
    elif sparse and is_dask(value):
        array = _dask_matrix(value, name)
    else:
        array = real_array(value, name, 2, check_finite=False)
    if check_finite:
        finite(array, name, given)
    if min_aspect and array.shape[0] < array.shape[1]:
        raise ValueError(f"{name} must have at least as many rows as columns, got shape "
                         f"{array.shape}")
    return array


def nonnegative(value: Any, name: str, n: int, of: str, axis: Axis | None = None, *,
                zero: bool = True) -> Floats:
    """A float64 vector of n entries >= 0, or > 0 unless ``zero``, from a vector or a scalar."""
    if np.ndim(value) == 0:
        return np.full(n, positive_number(scalar(value), name, zero=zero))
    array = vector(value, name, n, of, axis)
    refuse(array < 0 if zero else array <= 0, array, name, "at least 0" if zero else "above 0")
    return array


def noise(value: Any, name: str, n: int, axis: Axis | None = None) -> Floats:
    """Positive standard deviations, one for each of n rows, from a vector or a scalar."""
    return nonnegative(value, name, n, "row of A", axis, zero=False)


def signs(value: Any, name: str, n: int, axis: Axis | None = None) -> Floats:
    """A float64 vector of +1 and -1, one for each of n rows, from a vector or a scalar; from a
    scalar it takes the memory of one entry.
    """
    if np.ndim(value) == 0:
        return np.broadcast_to(signs(np.full(1, value), name, 1), (n,))
    array = vector(value, name, n, "row of A", axis)
    refuse(np.abs(array) != 1.0, array, name, "+1 or -1")
    return array


def ordinary_size(array: Floats, name: str) -> Floats:
    """Refuse an array so large or small that products of a few entries over- or underflow."""
    largest = max(float(array.max()), -float(array.min()))
    if largest > 0 and not 1 / SAFE_SIZE <= largest <= SAFE_SIZE:
        raise ValueError(f"{name} must have its largest entry between {1 / SAFE_SIZE:.0e} and "
                         f"{SAFE_SIZE:.0e} (choose other units), got {largest:.3g}")
    return array


def ordinary_columns(column_max: Floats, name: str) -> Floats:
    """Refuse columns whose largest entries, ``column_max`` (d,), are too large or too small.

    Sums over a row, at most d times its largest entry, must not overflow; neither must the
    quotient of the largest column and the smallest nonzero one.
    """
    least, most = len(column_max) * TINY, 1 / (len(column_max) * TINY)
    largest = column_max.max()
    if largest > most:
        raise ValueError(f"{name} must have no entry beyond {most:.0e} (choose other units), "
                         f"got {largest:.3g} in column {int(np.argmax(column_max))}")
    least *= max(1.0, largest)
    small = (column_max > 0) & (column_max < least)
    if small.any():
        column = first_index(small)
        raise ValueError(f"{name} must have no nonzero column of entries below {least:.0e} (choose "
                         f"other units), got at most {column_max[column]:.3g} in column {column}")
    return column_max
