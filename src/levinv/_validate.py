"""The door: every public function checks its arguments here, once, and what is behind it trusts
them.

Messages name the argument, what was expected and what came.
"""
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import scipy.sparse

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
from levinv._source import Source
from levinv._typing import Floats, MatrixLike

__all__ = ["choice", "dask_matrix", "finite", "finite_matrix", "first_index", "generator", "index",
           "is_dask", "is_streamed", "listed", "matrix", "noise", "nonnegative", "options",
           "ordinary_columns", "ordinary_size", "positive_int", "positive_number", "real_array",
           "scalar", "signs", "sparse_matrix", "streamed_matrix", "vector"]

FLOAT = np.dtype(np.float64)
LARGEST = 1e100
BLOCK = 1 << 22            # entries looked at before Ctrl-C is heard
HUGE = 1e307               # rows of larger entries may have no norm
TINY = 1e-306              # columns of smaller entries, which may have no reciprocal


def real_array(value: Any, name: str, ndim: int | None, *, check_finite: bool = True) -> Floats:
    """A float64 array of ``ndim`` dimensions (None: two or more); no copy of one that already is.

    Raises TypeError for complex, object, string and other non-numeric input and for sparse
    matrices, ValueError for a wrong number of dimensions, emptiness, NaN and inf.
    """
    if type(value) is not np.ndarray:
        value = _plain(value, name, ndim)
    array: npt.NDArray[Any] = value
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
        finite(array, name)
    return array


def finite(array: Floats, name: str) -> None:
    """Raise ValueError where an array holds NaN or inf."""
    if array.flags.forc and _all_finite(array.ravel(order="K")):
        return
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or inf at index "
                         f"{first_index(~np.isfinite(array))}")


def _all_finite(entries: Floats) -> bool:
    """Whether a vector of any length holds no NaN or inf."""
    if len(entries) <= BLOCK:
        return all_finite(entries)
    return all(all_finite(entries[first:first + BLOCK]) for first in range(0, len(entries), BLOCK))


def sparse_matrix(value: Any, name: str, *, check_finite: bool = True) -> scipy.sparse.csr_array:
    """A float64 matrix in CSR with sorted indices, duplicates summed and no explicit zeros; no copy
    of one that already is.

    Raises as :func:`real_array`.
    """
    _real_matrix(value, name)
    try:
        array = scipy.sparse.csr_array(_checked(value), dtype=FLOAT)
    except ValueError as error:
        raise ValueError(f"{name} must be a valid sparse matrix: {error}") from None
    if not array.has_canonical_format:
        array = array.copy()
        array.sum_duplicates()
    if not array.data.all():
        array = array.copy()
        array.eliminate_zeros()
    if check_finite:
        finite_matrix(array, name)
    return array


def _real_matrix(value: Any, name: str) -> None:
    """Refuse what has the shape or the dtype of no real matrix."""
    if getattr(value.dtype, "kind", "O") not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {value.dtype}")
    if len(value.shape) != 2:
        raise ValueError(f"{name} must be a two-dimensional array, got shape {value.shape}")
    if 0 in value.shape:
        raise ValueError(f"{name} must not be empty, got shape {value.shape}")


def is_streamed(value: object) -> bool:
    """Whether a value is to be read block by block: what would otherwise be loaded, or converted,
    as a whole.
    """
    if isinstance(value, Source):
        return True
    if isinstance(value, np.ndarray):
        return isinstance(value, np.memmap) and value.ndim == 2 and value.dtype != FLOAT
    return (hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__getitem__")
            and not scipy.sparse.issparse(value) and not is_dask(value)
            and (hasattr(value, "chunks") or not hasattr(value, "__array__")))


def streamed_matrix(value: Any, name: str, *, check_finite: bool = True) -> Source:
    """A Source of float64 rows. Raises as :func:`real_array`."""
    if isinstance(value, Source):
        return value                       # one that has been checked
    _real_matrix(value, name)
    source = Source(value)
    if check_finite:
        finite_matrix(source, name)
    return source


def is_dask(value: object) -> bool:
    """Whether a value is one of dask's collections, told without importing dask."""
    return type(value).__module__.startswith("dask.")


def dask_matrix(value: Any, name: str, *, check_finite: bool = True) -> Any:
    """A float64 dask array with its columns in one chunk; its rows stay in theirs.

    Raises as :func:`real_array`, and ValueError for chunks of unknown sizes.
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
    array = value.astype(FLOAT, copy=False).rechunk((rows, -1))
    if check_finite:
        finite_matrix(array, name)
    return array


def _checked(value: Any) -> Any:
    """A sparse matrix whose indices are in range: kernels and conversions would write elsewhere;
    its parts contiguous and aligned.
    """
    kind = getattr(scipy.sparse, f"{value.format}_array")
    if value.format in ("csr", "csc", "bsr"):
        parts = [np.require(part, requirements=["C", "A"])
                 for part in (value.data, value.indices, value.indptr)]
        value = kind(tuple(parts), shape=value.shape)
        value.check_format(full_check=True)
        if value.format == "bsr" and np.any(np.mod(value.shape, value.blocksize)):
            raise ValueError(f"blocks of {value.blocksize} do not fill shape {value.shape}")
    elif value.format == "coo":
        value = kind((value.data, (value.row, value.col)), shape=value.shape)
    return value


def finite_matrix(array: MatrixLike, name: str) -> None:
    """:func:`finite` for an array, a dask array or a sparse array in CSR."""
    if isinstance(array, np.ndarray):
        finite(array, name)
    elif isinstance(array, Source):
        index = array.first_not_finite()
        if index is not None:
            raise ValueError(f"{name} must be finite, got NaN or inf at index {index}")
    elif is_dask(array):
        rows = np.isfinite(array).all(axis=1).compute()
        if not rows.all():
            row = int(np.argmin(rows))
            column = int(np.argmin(np.isfinite(array[row].compute())))
            raise ValueError(f"{name} must be finite, got NaN or inf at index {(row, column)}")
    elif not _all_finite(array.data):
        place = int(np.argmax(~np.isfinite(array.data)))
        row = int(np.searchsorted(array.indptr, place, side="right")) - 1
        raise ValueError(f"{name} must be finite, got NaN or inf at index "
                         f"{(row, int(array.indices[place]))}")


def _plain(value: Any, name: str, ndim: int | None) -> npt.NDArray[Any]:
    """An ndarray, not of a subclass (matrix, memmap: they share their memory)."""
    if scipy.sparse.issparse(value):
        raise TypeError(f"{name} must be a dense array, got a sparse {type(value).__name__}; "
                        f"convert it with .toarray()")
    if ndim != 1 and is_dask(value):
        raise TypeError(f"{name} must be an array in memory, got a dask "
                        f"{type(value).__name__}; convert it with .compute()")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise TypeError(f"{name} must not have masked entries, got {np.count_nonzero(value.mask)}")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a {_dimensions(ndim)} array of "
                         f"real numbers: {error}") from None


def vector(value: Any, name: str, n: int, of: str, *, check_finite: bool = True) -> Floats:
    """A contiguous float64 vector of length n; ``of`` says what it has one entry for."""
    array = real_array(value, name, 1, check_finite=check_finite)
    if len(array) != n:
        raise ValueError(f"{name} must have length {n}, one entry per {of}, got {len(array)}")
    return np.ascontiguousarray(array)


@overload
def matrix(value: Any, name: str, *, min_aspect: bool = False, check_finite: bool = True,
           sparse: Literal[False] = False) -> Floats: ...


@overload
def matrix(value: Any, name: str, *, min_aspect: bool = False, check_finite: bool = True,
           sparse: Literal[True]) -> MatrixLike: ...


def matrix(value: Any, name: str, *, min_aspect: bool = False, check_finite: bool = True,
           sparse: bool = False) -> MatrixLike:
    """A float64 matrix, or with ``sparse`` a sparse array in CSR or a dask array as well; with
    ``min_aspect`` at least as many rows as columns.
    """
    if sparse and scipy.sparse.issparse(value):
        array = sparse_matrix(value, name, check_finite=check_finite)
    elif sparse and is_streamed(value):
        array = streamed_matrix(value, name, check_finite=check_finite)
    elif sparse and is_dask(value):
        array = dask_matrix(value, name, check_finite=check_finite)
    else:
        array = real_array(value, name, 2, check_finite=check_finite)
    if min_aspect and array.shape[0] < array.shape[1]:
        raise ValueError(f"{name} must have at least as many rows as columns, got shape "
                         f"{array.shape}")
    return array


def nonnegative(value: Any, name: str, n: int, of: str) -> Floats:
    """A float64 vector of length n of entries at least 0, from a vector or a scalar."""
    if np.ndim(value) == 0:
        return np.full(n, positive_number(scalar(value), name, zero=True))
    array = vector(value, name, n, of)
    if (array < 0).any():
        index = int(np.argmax(array < 0))
        raise ValueError(f"{name} must be at least 0, got {array[index]} at index {index}")
    return array


def ordinary_size(array: Floats, name: str) -> Floats:
    """Refuse arrays whose largest entry is so large or small that squares of it over- or
    underflow.
    """
    largest = max(float(array.max()), -float(array.min()))
    if largest > 0 and not LARGEST ** -1 <= largest <= LARGEST:
        raise ValueError(f"{name} must have its largest entry between {1 / LARGEST:.0e} and "
                         f"{LARGEST:.0e} (choose other units), got {largest:.3g}")
    return array


def ordinary_columns(column_max: Floats, name: str) -> Floats:
    """Refuse columns of entries so small that they may have no reciprocal, or so large that rows
    may have no norm; ``column_max`` (d,).
    """
    if column_max.max() > HUGE:
        raise ValueError(f"{name} must have no entry beyond {HUGE:.0e} (choose other units), "
                         f"got {column_max.max():.3g} in column {int(np.argmax(column_max))}")
    least = TINY * max(1.0, column_max.max())
    small = (column_max > 0) & (column_max < least)
    if small.any():
        column = int(np.argmax(small))
        raise ValueError(f"{name} must have no nonzero column of entries below {least:.0e} (choose "
                         f"other units), got at most {column_max[column]:.3g} in column {column}")
    return column_max


def noise(value: Any, name: str, n: int) -> Floats:
    """Positive standard deviations, one for each of n rows, from a vector or a scalar."""
    if np.ndim(value) == 0:
        return np.full(n, positive_number(scalar(value), name))
    array = vector(value, name, n, "row of A")
    if (array <= 0).any():
        index = int(np.argmax(array <= 0))
        raise ValueError(f"{name} must be above 0, got {array[index]} at index {index}")
    return array


def signs(value: Any, name: str, n: int) -> Floats:
    """A float64 vector of +1 and -1, one for each of n rows, from a vector or a scalar, which takes
    no more memory for many rows.
    """
    if np.ndim(value) == 0:
        return np.broadcast_to(signs(np.full(1, value), name, 1), (n,))
    array = vector(value, name, n, "row of A")
    if not np.all(np.abs(array) == 1.0):
        place = int(np.argmax(np.abs(array) != 1.0))
        raise ValueError(f"{name} must be +1 or -1, got {array[place]} at index {place}")
    return array


def _dimensions(ndim: int | None) -> str:
    return {1: "one-dimensional", 2: "two-dimensional",
            None: "two-dimensional"}.get(ndim, f"{ndim}-dimensional")
