"""A matrix that is read block by block from wherever it is: anything with a shape, a dtype and
slices of rows, such as a dataset of h5py or zarr, and mapped files of numbers other than doubles.
"""
import numpy as np

from levinv._kernels.dense import all_finite

READ_ENTRIES = 1 << 19                # read at once where single rows are asked for: 4 MB


def aligned(array):
    """The array, or a copy whose numbers stand where the processor expects them: what came over a
    network or out of a file may begin anywhere.
    """
    return array if array.flags.aligned else array.copy()


class Source:
    """A matrix whose rows are read, and converted to float64, when they are asked for."""

    ndim = 2

    def __init__(self, stored):
        self.stored = stored
        self.shape = tuple(int(size) for size in stored.shape)
        self.size = self.shape[0] * self.shape[1]

    def __getitem__(self, index):
        """Rows of a slice, or of an array of indices or booleans, as a float64 array."""
        if isinstance(index, slice):
            first, last, step = index.indices(self.shape[0])
            return self._read(first, last)[::step] if step > 0 else self._some(
                np.arange(first, last, step))
        index = np.asarray(index)
        return self._some(np.flatnonzero(index) if index.dtype == bool else index)

    def _read(self, first, last):
        return aligned(np.asarray(self.stored[first:last], dtype=np.float64))

    def _some(self, index):
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

    def _blocks(self):
        step = max(READ_ENTRIES // self.shape[1], 1)
        for first in range(0, self.shape[0], step):
            yield first, self._read(first, min(first + step, self.shape[0]))

    def first_not_finite(self):
        """Indices of the first entry that is NaN or inf, or None."""
        for first, block in self._blocks():
            if not all_finite(np.ascontiguousarray(block).ravel()):
                row, column = np.argwhere(~np.isfinite(block))[0]
                return first + int(row), int(column)
        return None


class ColumnsTimes:
    """A source with its columns multiplied by numbers."""

    def __init__(self, source, factors):
        self.source, self.factors, self.shape = source, factors, source.shape

    def __getitem__(self, index):
        return self.source[index] * self.factors
