"""A matrix that is read block by block from wherever it is: anything with a shape, a dtype and
slices of rows, such as a dataset of h5py or zarr, and mapped files of numbers other than doubles.
"""
from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from levinv._kernels.dense import all_finite
from levinv._typing import Floats, Integers, RowIndex

Array = TypeVar("Array", bound=npt.NDArray[Any])

READ_ENTRIES = 1 << 19                # read at once where single rows are asked for: 4 MB


def aligned(array: Array) -> Array:
    """The array, or a copy whose numbers stand where the processor expects them: what came over a
    network or out of a file may begin anywhere.
    """
    return array if array.flags.aligned else array.copy()


class Stored(Protocol):
    """What a matrix has to offer to be read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    def __getitem__(self, index: slice, /) -> npt.ArrayLike:
        """A block of rows."""


class Source:
    """A matrix whose rows are read, and converted to float64, when they are asked for."""

    ndim = 2

    def __init__(self, stored: Stored):
        rows, columns = stored.shape
        self.stored = stored
        self.shape = int(rows), int(columns)
        self.size = self.shape[0] * self.shape[1]

    def __getitem__(self, index: RowIndex) -> Floats:
        """Rows of a slice, or of an array of indices or booleans, as a float64 array."""
        if isinstance(index, slice):
            first, last, step = index.indices(self.shape[0])
            return self._read(first, last)[::step] if step > 0 else self._some(
                np.arange(first, last, step))
        rows: npt.NDArray[Any] = np.asarray(index)
        return self._some(np.flatnonzero(rows) if rows.dtype == bool else rows)

    def __mul__(self, factors: Floats) -> "Source":
        """The same matrix with its columns multiplied by numbers."""
        return Source(ColumnsTimes(self, factors))

    def _read(self, first: int, last: int) -> Floats:
        return aligned(np.asarray(self.stored[first:last], dtype=np.float64))

    def _some(self, index: Integers) -> Floats:
        """A few rows: blocks that hold one are read once, in their order."""
        out = np.empty((len(index), self.shape[1]))
        step = max(READ_ENTRIES // self.shape[1], 1)
        blocks = index // step
        for block in np.unique(blocks):
            place = np.flatnonzero(blocks == block)
            wanted = index[place]
            first = int(wanted.min())
            out[place] = self._read(first, int(wanted.max()) + 1)[wanted - first]
        return out

    def _blocks(self) -> Iterator[tuple[int, Floats]]:
        step = max(READ_ENTRIES // self.shape[1], 1)
        for first in range(0, self.shape[0], step):
            yield first, self._read(first, min(first + step, self.shape[0]))

    def first_not_finite(self) -> tuple[int, int] | None:
        """Indices of the first entry that is NaN or inf, or None."""
        for first, block in self._blocks():
            if not all_finite(np.ascontiguousarray(block).ravel()):
                row, column = np.argwhere(~np.isfinite(block))[0]
                return first + int(row), int(column)
        return None


class ColumnsTimes:
    """A source with its columns multiplied by numbers."""

    def __init__(self, source: Source, factors: Floats):
        self.source, self.factors, self.shape = source, factors, source.shape

    def __getitem__(self, index: slice) -> Floats:
        return self.source[index] * self.factors
