"""What every kind of storage offers: the primitives that all solvers are written in. Those that
have code here work in passes over chunks of rows, and combine what the chunks give.

Rows are u_i = scale_i a_i T, with a_i row i of A; ``scale`` (n,) and the ``transform`` T (d, k) are
optional: 1 and I. A row of scale 0 contributes nothing, so that rows are left out without a copy
of A. Below, k is the length of u_i.
"""
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import scipy.sparse

from levinv._kernels import dense, hessian
from levinv._parallel import share, summed
from levinv._tolerances import PASS_ENTRIES
from levinv._typing import Booleans, Floats, RowIndex

Result = TypeVar("Result")
Pieces: TypeAlias = Iterator[tuple[slice, Floats, Floats | None, Floats | None]]
NO_CHUNKS = NotImplementedError("these rows have all primitives of their own")


class Rows(Protocol):
    """The rows of A. The docstrings here hold for all implementations."""

    shape: tuple[int, int]
    workers: int                      # threads that share a pass over the rows
    in_memory: bool                   # False if a pass over the rows also costs I/O
    copy_limit: float                 # entries of the largest array that may be made of the rows
    small: Floats | None = None       # A itself if it is a dense array, small enough for kernels
                                      # of a whole point

    @property
    def flops(self) -> int:
        """Flops of one Gram matrix and one quadratic form: they decide whether threads pay."""

    def matvec(self, v: Floats) -> Floats:
        """A v for a vector (d,) or columns (d, m)."""
        return self._times(v, False)

    def rmatvec(self, y: Floats) -> Floats:
        """Aᵀ y for a vector (n,) or columns (n, m)."""

    def abs_matvec(self, v: Floats) -> Floats:
        """|A| v with entrywise absolute values: bounds the rounding errors of A v."""
        return self._times(v, True)

    def _times(self, v: Floats, absolute: bool) -> Floats:
        """A v or |A| v."""

    def row_norms(self) -> Floats:
        """Euclidean norms of the rows, (n,), without overflow."""

    def column_norms(self) -> Floats:
        """Euclidean norms of the columns, (d,)."""

    def column_max(self) -> Floats:
        """Largest absolute entry of each column, (d,)."""

    def nonzero(self) -> Booleans:
        """Whether a row has an entry other than zero, (n,)."""

    def block(self, index: RowIndex) -> Floats:
        """Rows ``index`` as a new (len(index), d) array; for a few rows."""

    def part(self, index: RowIndex) -> "Rows":
        """Rows ``index`` as a Rows object."""

    def with_columns_times(self, factors: Floats) -> "Rows":
        """A diag(factors) as a Rows object."""

    def scaled(self, factors: Floats) -> Floats:
        """diag(factors) A as a new (n, d) array: for results of this shape and short problems."""

    def as_sparse(self) -> scipy.sparse.csr_array:
        """A in CSR, for linear programs."""

    def gram(self, scale: Floats | None = None, transform: Floats | None = None,
             weights: Floats | None = None) -> Floats:
        """sum_i weights_i u_i u_iᵀ, (k, k)."""

    def quad(self, scale: Floats | None = None, transform: Floats | None = None,
             form: Floats | None = None) -> Floats:
        """u_iᵀ form u_i, or |u_i|² without a form: (n,)."""

    def moments(self, scale: Floats | None, transform: Floats | None, Y: Floats) -> Floats:
        """sum_i Y_im u_i u_iᵀ for each column of Y (n, m), in one pass: symmetric (k, k, m)."""
        k, m = self._width(transform), Y.shape[1]

        def add(chunk: slice, out: Floats) -> None:
            for block, rows, factors, T in self._pieces(chunk, scale, transform):
                dense.moments(rows, factors, T, Y[block], None, out)

        pairs = k * (k + 1) // 2
        packed = self._sum(self._dense_chunks(pairs * m, k, m), (pairs, m), add)
        return unpacked(packed, k)

    def contract(self, scale: Floats | None, transform: Floats | None, forms: Floats) -> Floats:
        """u_iᵀ forms[:, :, m] u_i for symmetric forms (k, k, m), in one pass: (n, m)."""
        packed = packed_forms(forms)
        out = np.empty((self.shape[0], forms.shape[2]))

        def work(chunk: slice) -> None:
            for block, rows, factors, T in self._pieces(chunk, scale, transform):
                dense.contract(rows, factors, T, packed, out[block])

        self._each(self._dense_chunks(packed.size, forms.shape[0]), work)
        return out

    def third_moments(self, scale: Floats, transform: Floats | None,
                      inverse_slack: Floats) -> Floats:
        """sum_l u_la u_lb B_lj for a <= b, (k(k+1)/2, d), with B = diag(inverse_slack) A."""

        def add(chunk: slice, out: Floats) -> None:
            for block, rows, _, _ in self._pieces(chunk, None, None):
                dense.moments(rows, scale[block], transform, rows, inverse_slack[block], out)

        k, d = self._width(transform), self.shape[1]
        pairs = k * (k + 1) // 2
        return self._sum(self._dense_chunks(pairs * d, d, d), (pairs, d), add)

    def tall_hessian(self, scale: Floats, transform: Floats | None, inverse_slack: Floats,
                     forms: Floats, scores: Floats, residual: Floats,
                     diagonal: Floats) -> Floats:
        """The pass over the rows of :meth:`levinv.forward.score_hessian.ScoreHessian.hessian`: two
        (d, d) arrays, out and cross of :func:`levinv._kernels.hessian.tall`.
        """

        def add(chunk: slice, out: Floats) -> None:
            for block, rows, _, _ in self._pieces(chunk, None, None):
                hessian.tall(rows, scale[block], transform, inverse_slack[block], forms,
                             scores[block], residual[block], diagonal[block], out[0], out[1])

        d = self.shape[1]
        return self._sum(self._dense_chunks(len(forms) * d, d, d), (2, d, d), add)

    def triangle(self, scale: Floats | None = None, transform: Floats | None = None) -> Floats:
        """Upper triangular R, (min(n, k), k), with RᵀR = gram(scale, transform), by QR."""
        # Householder QR of one block of rows after the other, long rows first; errors like ε κ.
        # A block has at least 8 k rows, since the k rows of R are put on top of each.
        n, k = self.shape[0], self._width(transform)
        lengths = np.sqrt(self.quad(None, transform))
        order = np.argsort(-(lengths if scale is None else scale * lengths), kind="stable")
        step = max(PASS_ENTRIES // k, 8 * k)
        triangle = np.zeros((0, k))
        for first in range(0, n, step):
            chunk = order[first:first + step]
            block = self.block(chunk)
            if transform is not None:
                block = block @ transform
            if scale is not None:
                block *= scale[chunk, None]
            triangle = triangle_of(np.vstack([triangle, block]))
        return triangle

    def squares(self, basis: Floats, Y: Floats) -> Floats:
        """(P∘P) Y for P = basis basisᵀ, from a basis (n, k) in memory: (n, m)."""
        out = np.empty(Y.shape)
        dense.squares(basis, np.ascontiguousarray(Y), out)
        return out

    def keep(self, vector: Floats | Booleans | None) -> Any:
        """A vector (n,), or None, for repeated use in :meth:`fold`, stored where the rows are."""
        return vector

    def fold(self, function: Callable[..., Result],
             combine: Callable[[Result, Result], Result], vectors: Sequence[Any],
             *shared: Any) -> Result:
        """One pass: ``function(rows, *parts, *shared)`` of every block of rows and its parts of the
        vectors; ``combine``, a function of two results, combines them in the order of the rows.
        """

        def value(chunk: slice) -> Result:
            return function(self._chunk(chunk), *[part_of(vector, chunk) for vector in vectors],
                            *shared)

        return summed(value, self._folded(), self.workers, combine=combine)

    def _sum(self, chunks: Sequence[slice], shape: tuple[int, ...],
             add: Callable[[slice, Floats], None]) -> Floats:
        """The sum over chunks of what ``add(chunk, out)`` adds to an array of zeros."""

        def part(chunk: slice) -> Floats:
            out = np.zeros(shape)
            add(chunk, out)
            return out

        if len(chunks) == 1:
            return part(chunks[0])
        return summed(part, chunks, self.workers, np.zeros(shape))

    def _each(self, chunks: Sequence[slice], work: Callable[[slice], None]) -> None:
        share(work, chunks, self.workers)

    def _width(self, transform: Floats | None) -> int:
        return self.shape[1] if transform is None else transform.shape[1]

    def _folded(self) -> Sequence[slice]:
        """The blocks of rows of :meth:`fold`."""
        raise NO_CHUNKS

    def _chunk(self, chunk: slice) -> "Rows":
        """The rows of one of these blocks; stored ones are read here, and not all at once."""
        raise NO_CHUNKS

    def _dense_chunks(self, work_per_row: int, k: int, width: int = 0) -> list[slice]:
        """Chunks for dense arithmetic on rows of k entries, at least 8 ``width`` rows each."""
        raise NO_CHUNKS

    def _pieces(self, chunk: slice, scale: Floats | None, transform: Floats | None) -> Pieces:
        """Dense blocks of a chunk: indices, rows, and the scale and transform yet to be applied."""
        raise NO_CHUNKS


def triangle_of(matrix: Floats) -> Floats:
    """R of a QR factorisation."""
    return np.asarray(np.linalg.qr(matrix, mode="r"))     # by NumPy's annotations, Q and R


def part_of(vector: Floats | None, chunk: slice) -> Floats | None:
    """The entries of an optional vector that belong to a chunk of rows."""
    return None if vector is None else vector[chunk]


def unpacked(packed: Floats, k: int) -> Floats:
    """Symmetric (k, k, m) from the entries a <= b, (k(k+1)/2, m)."""
    upper = np.triu_indices(k)
    out = np.empty((k, k, packed.shape[1]))
    out[upper] = packed
    out[upper[::-1]] = packed
    return out


def packed_forms(forms: Floats) -> Floats:
    """The entries a <= b of symmetric forms (k, k, m), those with a < b doubled."""
    upper = np.triu_indices(forms.shape[0])
    return forms[upper] * np.where(upper[0] == upper[1], 1.0, 2.0)[:, None]
