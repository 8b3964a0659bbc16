"""A matrix that is read block by block: anything with a shape, a dtype and slices of rows, such as
a dataset of h5py or zarr, or a mapped file of numbers other than doubles.
"""
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

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
        rows = aligned(np.asarray(self.stored[first:last], dtype=np.float64))
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
