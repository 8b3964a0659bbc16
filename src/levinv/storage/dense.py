"""Dense rows in memory or mapped from a file, in any memory layout."""
import mmap
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from levinv._kernels import dense
from levinv._source import Source
from levinv._tolerances import (
    CHUNK_WORK,
    COPY_ENTRIES,
    LONG,
    PASS_ENTRIES,
    SQUARABLE,
    TINY,
    UNBLOCKED_COLUMNS,
)
from levinv._typing import Booleans, Floats, RowIndex
from levinv.storage import many_columns
from levinv.storage.blocked import Pieces, Rows, part_of


class DenseRows(Rows):
    """The rows of a float64 array, of which no more than a block is ever copied."""

    def __init__(self, A: Floats | Source, workers: int = 1):
        self.A = A
        self.shape: tuple[int, int] = A.shape
        self.workers = workers
        self.in_memory = not (isinstance(A, Source) or _is_mapped(A))
        self.copy_limit = np.inf if self.in_memory else COPY_ENTRIES
        if (isinstance(A, np.ndarray) and A.size * A.shape[1] <= CHUNK_WORK
                and 0 < A.shape[1] <= UNBLOCKED_COLUMNS):
            self.small = A

    @property
    def flops(self) -> int:
        return 4 * self.A.size * self.shape[1]

    def _chunks(self, work_per_row: int, width: int = 0) -> list[slice]:
        """Chunks large enough for a thread, also for adding a sum of ``width`` x ``width``."""
        n, work_per_row = self.shape[0], max(work_per_row, 1)
        if n * work_per_row <= CHUNK_WORK:
            return [slice(0, n)]
        # In 3200 rows a sum takes ten times as long as adding it to others.
        step = max(CHUNK_WORK // work_per_row, 8 * width, min(32 * width, 3200))
        step = max(min(step, LONG // work_per_row), 64)
        count = max(1, round(n / step))
        step = -(-n // count)
        step += -step % 32                           # whole tiles, also in half a chunk
        # Half chunks in the last quarter: threads end at almost the same time.
        halves = range(3 * -(-n // step) // 4 * step, n, step // 2)
        firsts = [*range(0, halves.start, step), *halves]
        return [slice(first, last) for first, last in zip(firsts, [*firsts[1:], n], strict=True)]

    def _dense_chunks(self, work_per_row: int, k: int, width: int = 0) -> list[slice]:
        return self._chunks(work_per_row, width)

    def _pieces(self, chunk: slice, scale: Floats | None, transform: Floats | None) -> Pieces:
        yield chunk, self.A[chunk], part_of(scale, chunk), transform

    def _passes(self) -> list[slice]:
        """Chunks for a pass over A whose time is that of reading A, not of arithmetic."""
        return self._chunks(CHUNK_WORK * self.shape[1] // PASS_ENTRIES)

    def _times(self, v: Floats, absolute: bool) -> Floats:
        if self.small is not None and not absolute:
            product: Floats = np.matmul(self.small, v)
            return product
        out = np.empty(self.shape[:1] + v.shape[1:])

        def work(chunk: slice) -> None:
            rows = self.A[chunk]
            np.matmul(np.abs(rows) if absolute else rows, v, out=out[chunk])

        self._each(self._passes(), work)
        return out

    def rmatvec(self, y: Floats) -> Floats:
        def add(chunk: slice, out: Floats) -> None:
            np.matmul(self.A[chunk].T, y[chunk], out=out)

        return self._sum(self._passes(), self.shape[1:] + y.shape[1:], add)

    def row_norms(self) -> Floats:
        norms = np.sqrt(self.quad())
        if SQUARABLE < norms.min() and norms.max() < 1 / SQUARABLE:
            return norms
        largest = np.concatenate([np.maximum(self.A[chunk].max(axis=1), -self.A[chunk].min(axis=1))
                                  for chunk in self._passes()])
        # Reciprocals of denormal numbers may overflow.
        unit = np.where(largest > 0, np.maximum(largest, TINY), 1.0)
        return unit * np.sqrt(self.quad(1.0 / unit))

    def column_max(self) -> Floats:
        return np.asarray(np.max([np.maximum(self.A[chunk].max(axis=0), -self.A[chunk].min(axis=0))
                                  for chunk in self._passes()], axis=0))

    def column_norms(self) -> Floats:
        return np.asarray(np.linalg.norm(
            [np.linalg.norm(self.A[chunk], axis=0) for chunk in self._passes()], axis=0))

    def nonzero(self) -> Booleans:
        return np.concatenate([self.A[chunk].any(axis=1) for chunk in self._passes()])

    def block(self, index: RowIndex) -> Floats:
        return np.array(self.A[index])

    def part(self, index: RowIndex) -> "DenseRows":
        return DenseRows(self.block(index))

    def with_columns_times(self, factors: Floats) -> "DenseRows":
        return type(self)(self.A * factors, self.workers)

    def scaled(self, factors: Floats) -> Floats:
        out = np.empty(self.shape)
        for chunk in self._passes():
            np.multiply(self.A[chunk], factors[chunk, None], out=out[chunk])
        return out

    def as_sparse(self) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array(self.A)

    def _folded(self) -> Sequence[slice]:
        d = self.shape[1]
        return self._chunks(d * d, d)

    def _chunk(self, chunk: slice) -> Rows:
        return DenseRows(self.A[chunk])

    def gram(self, scale: Floats | None = None, transform: Floats | None = None,
             weights: Floats | None = None) -> Floats:
        k = self._width(transform)
        if many_columns.is_wide_gram(k, transform):
            return many_columns.gram(self.A, self.workers, scale, transform, weights)

        def add(chunk: slice, out: Floats) -> None:
            dense.gram(self.A[chunk], part_of(scale, chunk), transform, part_of(weights, chunk),
                       out)

        return self._sum(self._chunks(self.shape[1] * k, k), (k, k), add)

    def quad(self, scale: Floats | None = None, transform: Floats | None = None,
             form: Floats | None = None) -> Floats:
        if self._width(transform) > many_columns.WIDE_FORM and (form is not None
                                                                or transform is not None):
            return many_columns.quad(self.A, self.workers, scale, transform, form)
        out, packed = np.empty(self.shape[0]), dense.Form(self.shape[1], transform, form)

        def work(chunk: slice) -> None:
            dense.quad(self.A[chunk], part_of(scale, chunk), packed, out[chunk])

        # From the end, since the previous pass has left the last rows in the cache.
        n = self.shape[0]
        chunks = self._chunks(self.shape[1] * self._width(transform))
        self._each([slice(n - chunk.stop, n - chunk.start) for chunk in chunks], work)
        return out


class StreamedRows(DenseRows):
    """The rows of a :class:`levinv._source.Source`: every pass reads them, block by block."""

    def as_sparse(self) -> scipy.sparse.csr_array:
        return scipy.sparse.vstack([scipy.sparse.csr_array(self.A[chunk])
                                    for chunk in self._passes()], format="csr")


def _is_mapped(A: object) -> bool:
    """Whether an array is a view of a file mapped into memory."""
    while isinstance(A, np.ndarray):
        A = A.base
    return isinstance(A, mmap.mmap)
