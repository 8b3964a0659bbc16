"""A matrix that is read block by block: anything with a shape, a dtype and slices of rows, such as
a dataset of h5py or zarr, or a mapped file of numbers other than doubles. The slices may be sparse,
as those of anndata's stored matrices.
"""
import functools
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import scipy.sparse

from levinv._csr import canonical
from levinv._kernels.dense import all_finite
from levinv._tolerances import PASS_ENTRIES
from levinv._typing import Floats, Integers, MatrixLike, RowIndex

Array = TypeVar("Array", bound=npt.NDArray[Any])


def aligned(array: Array) -> Array:
    """The array, or an aligned copy: one from a network or a file may begin at any address."""
    return array if array.flags.aligned else array.copy()


class Source:
    """A matrix whose rows are read, converted to float64, and multiplied by ``factors`` (d,), at
    each access.
    """

    ndim = 2

    def __init__(self, stored: MatrixLike, factors: Floats | None = None):
        rows, columns = stored.shape
        self.stored, self.factors = stored, factors
        self.shape = int(rows), int(columns)
        self.size = self.shape[0] * self.shape[1]

    def __getitem__(self, index: RowIndex) -> Floats:
        """Rows of a slice, or of an array of indices or booleans, as a float64 array."""
        if isinstance(index, slice):
            first, last, step = index.indices(self.shape[0])
            return self._read(first, last)[::step] if step > 0 else self._gather(
                np.arange(first, last, step))
        rows: npt.NDArray[Any] = np.asarray(index)
        return self._gather(np.flatnonzero(rows) if rows.dtype == bool else rows)

    def __mul__(self, factors: Floats) -> "Source":
        """The same matrix with its columns multiplied by numbers."""
        return Source(self, factors)

    def _read(self, first: int, last: int) -> Floats:
        rows = self.stored[first:last]
        if np.ma.is_masked(rows):
            raise TypeError(f"A must not have masked entries, got some in rows {first} to "
                            f"{last - 1}: fill the gaps beforehand")
        rows = aligned(np.asarray(rows, dtype=np.float64))
        return rows if self.factors is None else rows * self.factors

    @property
    def _step(self) -> int:
        return max(PASS_ENTRIES // self.shape[1], 1)

    def _gather(self, index: Integers) -> Floats:
        """Single rows: every block that holds one of them is read once."""
        out = np.empty((len(index), self.shape[1]))
        blocks = index // self._step
        for block in np.unique(blocks):
            place = np.flatnonzero(blocks == block)
            wanted = index[place]
            first = int(wanted.min())
            out[place] = self._read(first, int(wanted.max()) + 1)[wanted - first]
        return out

    def first_not_finite(self) -> tuple[int, int] | None:
        """Indices of the first entry that is NaN or inf, or None."""
        for first in range(0, self.shape[0], self._step):
            block = self[first:first + self._step]
            if not all_finite(np.ascontiguousarray(block).ravel()):
                place = int(np.argmax(~np.isfinite(block)))
                return first + place // self.shape[1], place % self.shape[1]
        return None


class SparseSource(Source):
    """A stored matrix whose slices of rows are matrices of scipy.sparse."""

    def __mul__(self, factors: Floats) -> "SparseSource":
        return SparseSource(self, factors)

    def sparse(self, first: int, last: int) -> scipy.sparse.csr_array:
        """Rows as a float64 array in CSR, as the kernels need it."""
        if isinstance(self.stored, SparseSource):
            rows = self.stored.sparse(first, last)
        else:
            try:
                rows = canonical(self.stored[first:last])
            except ValueError as error:
                raise ValueError(f"A must have valid sparse rows: {error}") from None
        if rows.shape != (last - first, self.shape[1]):
            raise ValueError(f"A must have slices of {self.shape[1]} columns, got shape "
                             f"{rows.shape} for rows {first} to {last - 1}")
        if self.factors is None:
            return rows
        return scipy.sparse.csr_array((rows.data * self.factors[rows.indices], rows.indices,
                                       rows.indptr), shape=rows.shape)

    def _read(self, first: int, last: int) -> Floats:
        return np.asarray(self.sparse(first, last).toarray())

    @functools.cached_property
    def counts(self) -> Integers:
        """Entries other than 0 in each row, (n,)."""
        return self._survey[0]

    def first_not_finite(self) -> tuple[int, int] | None:
        return self._survey[1]

    @functools.cached_property
    def _survey(self) -> tuple[Integers, tuple[int, int] | None]:
        """One pass: the counts, and the indices of the first entry that is NaN or inf."""
        if isinstance(self.stored, SparseSource):
            return self.stored._survey
        n = self.shape[0]
        counts, place = np.empty(n, dtype=np.intp), None
        first, step, seen = 0, self._step, 0
        while first < n:
            rows = self.sparse(first, min(first + step, n))
            counts[first:first + step] = np.diff(rows.indptr)
            if place is None and not all_finite(rows.data):
                entry = int(np.argmax(~np.isfinite(rows.data)))
                row = int(np.searchsorted(rows.indptr, entry, side="right")) - 1
                place = first + row, int(rows.indices[entry])
            seen += rows.nnz
            first += rows.shape[0]
            # the rows may be so sparse that many more of them make a block
            step = max(min(PASS_ENTRIES * first // max(seen, 1), 8 * step), 1)
        return counts, place


def opened(stored: MatrixLike) -> Source:
    """A stored matrix, dense or sparse, as its first row is."""
    if not isinstance(stored, np.ndarray) and scipy.sparse.issparse(stored[0:1]):
        return SparseSource(stored)
    return Source(stored)
