"""Sparse rows in memory, in CSR.

Without a transform, a Gram matrix or a form takes O(Σ nnz_i²) multiply-adds, scattered into or
gathered from a dense d x d matrix. The product of a row and a dense d x k transform takes O(nnz_i
k); the passes that need it make dense rows, block by block. Dense multiply-adds are many times
faster than scattered ones, so that rows with many entries are made dense in the same way for Gram
matrices and forms.

Each chunk in progress has its own copy of a sum. Sums of more than COPY_ENTRIES entries are taken
in one chunk, by one thread.

``quad`` of a transform without a form is |a_i T|². It is computed from T Tᵀ where this is accurate
and takes less time (see :mod:`levinv._kernels.csr`).
"""
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse

from levinv import _tolerances
from levinv._kernels import csr, dense, factor, wide
from levinv._tolerances import CACHE_ENTRIES, CHUNK_WORK, DENSE_GAIN, PASS_ENTRIES, SQUARABLE, TINY
from levinv._typing import Booleans, Floats, RowIndex
from levinv.storage.blocked import Pieces, Rows, part_of
from levinv.storage.dense import DenseRows
from levinv.storage.many_columns import WIDE_FORM, WIDE_GRAM

Parts: TypeAlias = tuple[Floats, npt.NDArray[Any], npt.NDArray[Any]]


class SparseRows(Rows):
    """The rows of a CSR array with sorted indices, no duplicates and no explicit zeros.

    No more than a block of them is ever made dense. Raises ValueError if d x d matrices would not
    fit into memory.
    """

    in_memory = True
    copy_limit = _tolerances.COPY_ENTRIES
    A: Any                             # the array, or what blocks of it are read from

    def __init__(self, A: scipy.sparse.csr_array, workers: int = 1):
        self.A = A
        self._prepare(A.shape, np.diff(A.indptr), workers)

    def _prepare(self, shape: tuple[int, int], counts: npt.NDArray[Any], workers: int) -> None:
        """Note the shape and the number of entries in each row."""
        n, d = shape
        if d > _tolerances.LARGEST_DIMENSION:
            raise ValueError(
                f"A must have at most {_tolerances.LARGEST_DIMENSION} columns if it is sparse, got "
                f"shape {shape}: 5 dense {d} x {d} matrices would take "
                f"{5 * 8 * d * d / 2 ** 30:.3g} GiB; leverage_scores approximates the "
                f"scores of more columns, with method='sketch'")
        self.shape = shape
        self.workers = workers
        counts = counts.astype(np.int64)
        self._entries = np.concatenate([[0], np.cumsum(counts)])      # entries in the rows before
        self._pairs = np.concatenate([[0], np.cumsum(counts * (counts + 1) // 2)])    # products
        self._crowded = DENSE_GAIN * int(self._pairs[-1]) > n * d * (d + 1) // 2

    @property
    def flops(self) -> int:
        n, d = self.shape
        return 4 * min(n * d * d, 2 * DENSE_GAIN * int(self._pairs[-1])) + d ** 3

    def _chunks(self, work: npt.NDArray[np.int64], size: int, least: int = 0) -> list[slice]:
        """Chunks of about ``size``, at least ``least`` work; ``work[i]``: that of rows before i."""
        n, total = self.shape[0], int(work[-1])
        count = min(max(total // max(size, least, 1), 1), n)
        if count == 1:
            return [slice(0, n)]
        cuts = np.searchsorted(work, np.arange(1, count) * (total / count))
        cuts = np.unique(np.concatenate([[0], cuts, [n]]))
        return [slice(int(first), int(last)) for first, last in itertools.pairwise(cuts)]

    def _pair_chunks(self, summed: int = 0) -> list[slice]:
        """Chunks for scattered sums of ``summed`` entries and for gathered forms."""
        if summed > _tolerances.COPY_ENTRIES:
            return [slice(0, self.shape[0])]
        return self._chunks(self._pairs, CHUNK_WORK // DENSE_GAIN, 8 * summed)

    def _passes(self, columns: int = 1) -> list[slice]:
        """Chunks for products with a few columns."""
        return self._chunks(self._entries + np.arange(len(self._entries)), PASS_ENTRIES // columns)

    def _dense_chunks(self, work_per_row: int, k: int, width: int = 0) -> list[slice]:
        # At least 64 rows. With a width, work_per_row entries are summed over chunks.
        if width and work_per_row > _tolerances.COPY_ENTRIES:
            return [slice(0, self.shape[0])]
        work = np.arange(self.shape[0] + 1) * work_per_row
        work += self._entries * (4 * k)          # along rows of T
        return self._chunks(work, CHUNK_WORK, max(64, 8 * width) * work_per_row)

    def _read(self, chunk: slice) -> Iterator[tuple[slice, Parts]]:
        """Blocks of a chunk: their rows, and data, indices and indptr of these rows."""
        A = self.A
        yield chunk, (A.data, A.indices, A.indptr[chunk.start:chunk.stop + 1])

    def _pieces(self, chunk: slice, scale: Floats | None, transform: Floats | None) -> Pieces:
        k = self._width(transform)
        step = max(CACHE_ENTRIES // max(k, 1), 64 if k <= WIDE_GRAM else WIDE_GRAM)
        u = np.empty((min(step, chunk.stop - chunk.start), k))
        for read, (data, indices, indptr) in self._read(chunk):
            for first in range(read.start, read.stop, step):
                block = slice(first, min(first + step, read.stop))
                rows = indptr[first - read.start:block.stop - read.start + 1]
                part = u[:block.stop - first]
                if transform is None:
                    csr.dense_rows(data, indices, rows, part_of(scale, block), part)
                else:
                    csr.product(data, indices, rows, part_of(scale, block), False, transform, part)
                yield block, part, None, None

    def _times(self, v: Floats, absolute: bool) -> Floats:
        columns = _columns(v)
        out = np.empty((self.shape[0], columns.shape[1]))

        def work(chunk: slice) -> None:
            for block, parts in self._read(chunk):
                csr.product(*parts, None, absolute, columns, out[block])

        if out.size:
            self._each(self._passes(columns.shape[1]), work)
        return out.reshape(self.shape[:1] + v.shape[1:])

    def rmatvec(self, y: Floats) -> Floats:
        columns = _columns(y)
        m = columns.shape[1]

        def add(chunk: slice, out: Floats) -> None:
            for block, parts in self._read(chunk):
                csr.transposed(*parts, columns[block], out)

        if m == 0:
            return np.zeros((self.shape[1], 0))
        out = self._sum(self._passes(m), (self.shape[1], m), add)
        return out.reshape(self.shape[1:] + y.shape[1:])

    def row_norms(self) -> Floats:
        norms = np.sqrt(self.quad())
        odd = ~((SQUARABLE < norms) & (norms < 1 / SQUARABLE)) & self.nonzero()
        if odd.any():
            part = self.part(odd)
            # Reciprocals of denormal numbers may overflow.
            unit = np.maximum(np.ravel(abs(part.A).max(axis=1).toarray()), TINY)
            norms[odd] = unit * np.sqrt(part.quad(1.0 / unit))
        return norms

    def column_max(self) -> Floats:
        out = np.zeros(self.shape[1])
        csr.column_max(self.A.data, self.A.indices, out)
        return out

    def column_norms(self) -> Floats:
        largest = self.column_max()
        unit = 1.0 / np.where(largest > 0, largest, 1.0)
        squares = (self.A.data * unit[self.A.indices]) ** 2
        return np.sqrt(np.bincount(self.A.indices, squares, self.shape[1])) / unit

    def nonzero(self) -> Booleans:
        return np.asarray(np.diff(self._entries) > 0)

    def block(self, index: RowIndex) -> Floats:
        return np.asarray(self.A[index].toarray())

    def part(self, index: RowIndex) -> "SparseRows":
        return SparseRows(self.A[index])

    def with_columns_times(self, factors: Floats) -> "SparseRows":
        A = self.A
        return SparseRows(scipy.sparse.csr_array((A.data * factors[A.indices], A.indices, A.indptr),
                                                 shape=self.shape), self.workers)

    def scaled(self, factors: Floats) -> Floats:
        out = np.empty(self.shape)
        for block, parts in self._read(slice(0, self.shape[0])):
            csr.dense_rows(*parts, factors[block], out[block])
        return out

    def as_sparse(self) -> scipy.sparse.csr_array:
        return self.A

    def _folded(self) -> Sequence[slice]:
        d = self.shape[1]
        return self._dense_chunks(d * d, d, d)

    def _chunk(self, chunk: slice) -> Rows:
        indptr = self.A.indptr[chunk.start:chunk.stop + 1]
        inside = slice(indptr[0], indptr[-1])
        return SparseRows(scipy.sparse.csr_array(
            (self.A.data[inside], self.A.indices[inside], indptr - indptr[0]),
            shape=(chunk.stop - chunk.start, self.shape[1])))

    def gram(self, scale: Floats | None = None, transform: Floats | None = None,
             weights: Floats | None = None) -> Floats:
        k = self._width(transform)

        def add(chunk: slice, out: Floats) -> None:
            for block, parts in self._read(chunk):
                csr.gram(*parts, part_of(scale, block), part_of(weights, block), out)

        def add_dense(chunk: slice, out: Floats) -> None:
            for block, u, _, _ in self._pieces(chunk, scale, transform):
                if k <= WIDE_GRAM:
                    dense.gram(u, None, None, part_of(weights, block), out)
                else:
                    out += u.T @ (u if weights is None else weights[block, None] * u)

        if transform is None and not self._crowded:
            out = self._sum(self._pair_chunks(k * k), (k, k), add)
            factor.copy_upper(out)
            return out
        if k == 0:
            return np.zeros((0, 0))
        out = self._sum(self._dense_chunks(k * k, k, k), (k, k), add_dense)
        if k > WIDE_GRAM:
            factor.copy_upper(out)
        return out

    def quad(self, scale: Floats | None = None, transform: Floats | None = None,
             form: Floats | None = None) -> Floats:
        n, k = self.shape[0], self._width(transform)
        out = np.empty(n)
        if transform is None and form is None:
            for block, (data, _, indptr) in self._read(slice(0, n)):
                csr.row_squares(data, indptr, part_of(scale, block), out[block])
        elif (form is None and transform is not None and self._form_pays(k)
              and _squarable(transform)):
            self._lengths(scale, transform, out)
        elif form is not None and transform is None and not self._crowded:
            form = np.ascontiguousarray(0.5 * (form + form.T))

            def forms(chunk: slice) -> None:
                for block, parts in self._read(chunk):
                    csr.forms(*parts, part_of(scale, block), form, out[block])

            self._each(self._pair_chunks(), forms)
        elif k == 0:
            out[:] = 0.0
        else:
            def work(chunk: slice) -> None:
                for block, u, _, _ in self._pieces(chunk, scale, transform):
                    quad(u, out[block])

            quad = _form_of_rows(k, form)

            self._each(self._dense_chunks(k * k if form is not None else k, k), work)
        return out

    def _form_pays(self, k: int) -> bool:
        """Whether T Tᵀ and Σ nnz_i² multiply-adds take less time than Σ nnz_i k."""
        form = self.shape[1] ** 2 * k // 16      # along rows of T a quarter of DENSE_GAIN
        return DENSE_GAIN // 4 * int(self._pairs[-1]) + form < int(self._entries[-1]) * k

    def _lengths(self, scale: Floats | None, transform: Floats, out: Floats) -> None:
        """out_i <- |u_i|², from T Tᵀ."""
        k = transform.shape[1]
        if k <= WIDE_GRAM:
            form = DenseRows(transform.T, self.workers).gram()
        else:
            form = transform @ transform.T
        sizes = np.sqrt(np.diag(form))

        def work(chunk: slice) -> None:
            for block, parts in self._read(chunk):
                csr.lengths(*parts, part_of(scale, block), form, sizes, transform,
                            _tolerances.ROUNDING_FACTOR, np.empty(k), out[block])

        self._each(self._pair_chunks(), work)


def _form_of_rows(k: int, form: Floats | None) -> Callable[[Floats, Floats], None]:
    """The function of rows u_i (n, k) and of an output (n,) for u_iᵀ form u_i or |u_i|²."""
    if form is not None and k > WIDE_FORM:
        triangle = wide.folded(np.ascontiguousarray(form))
        return lambda u, out: wide.quad(u, None, None, None, False, triangle, out)
    packed = dense.Form(k, None, form)
    return lambda u, out: dense.quad(u, None, packed, out)


def _columns(v: Floats) -> Floats:
    return np.ascontiguousarray(v if v.ndim == 2 else v[:, None], dtype=float)


def _squarable(transform: Floats) -> bool:
    """Whether squares of the entries neither overflow nor lose digits by underflow."""
    sizes = np.max(np.abs(transform), axis=1)
    sizes = sizes[sizes > 0]
    return len(sizes) > 0 and bool(SQUARABLE < sizes.min() and sizes.max() < 1 / SQUARABLE)
