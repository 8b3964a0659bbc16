"""Sparse rows that are stored: every pass reads them, block by block, as sparse rows."""
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy.sparse

from levinv._kernels import csr
from levinv._source import SparseSource
from levinv._tolerances import PASS_ENTRIES
from levinv._typing import Floats, RowIndex
from levinv.storage.blocked import Rows
from levinv.storage.sparse import Parts, SparseRows


class StoredSparseRows(SparseRows):
    """The rows of a :class:`levinv._source.SparseSource`."""

    in_memory = False

    def __init__(self, A: SparseSource, workers: int = 1):
        self.A = A
        self._prepare(A.shape, A.counts, workers)

    def _chunks(self, work: npt.NDArray[np.int64], size: int, least: int = 0) -> list[slice]:
        # a read takes milliseconds, of however few rows: no more chunks than blocks to be read
        reads = max(int(self._entries[-1]) // PASS_ENTRIES, 1)
        return super()._chunks(work, max(size, int(work[-1]) // reads), least)

    def _read(self, chunk: slice) -> Iterator[tuple[slice, Parts]]:
        first = chunk.start
        while first < chunk.stop:
            most = self._entries[first] + PASS_ENTRIES
            last = int(np.searchsorted(self._entries, most, side="right")) - 1
            block = slice(first, min(max(last, first + 1), chunk.stop))
            rows = self.A.sparse(block.start, block.stop)
            yield block, (rows.data, rows.indices, rows.indptr)
            first = block.stop

    def _all(self) -> Iterator[tuple[slice, Parts]]:
        return self._read(slice(0, self.shape[0]))

    def column_max(self) -> Floats:
        out = np.zeros(self.shape[1])
        for _, (data, indices, _) in self._all():
            csr.column_max(data, indices, out)
        return out

    def column_norms(self) -> Floats:
        largest = self.column_max()
        unit = 1.0 / np.where(largest > 0, largest, 1.0)
        squares = np.zeros(self.shape[1])
        for _, (data, indices, _) in self._all():
            squares += np.bincount(indices, (data * unit[indices]) ** 2, self.shape[1])
        return np.sqrt(squares) / unit

    def block(self, index: RowIndex) -> Floats:
        return np.asarray(self.A[index])

    def part(self, index: RowIndex) -> SparseRows:
        """Rows ``index`` in memory, in this order."""
        wanted = np.arange(self.shape[0])[index]
        order = np.argsort(wanted, kind="stable")
        found, done = [], 0
        for block, (data, indices, indptr) in self._all():
            upto = int(np.searchsorted(wanted[order], block.stop))
            rows = scipy.sparse.csr_array((data, indices, indptr),
                                          shape=(block.stop - block.start, self.shape[1]))
            found.append(rows[wanted[order[done:upto]] - block.start])
            done = upto
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return SparseRows(scipy.sparse.vstack(found, format="csr")[back])

    def with_columns_times(self, factors: Floats) -> "StoredSparseRows":
        return StoredSparseRows(self.A * factors, self.workers)

    def as_sparse(self) -> scipy.sparse.csr_array:
        return scipy.sparse.vstack(
            [scipy.sparse.csr_array(parts, shape=(block.stop - block.start, self.shape[1]))
             for block, parts in self._all()], format="csr")

    def _chunk(self, chunk: slice) -> Rows:
        return SparseRows(self.A.sparse(chunk.start, chunk.stop))
