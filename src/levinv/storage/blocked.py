"""Code that the kinds of rows share: passes in chunks, and results combined from chunks."""
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np

from levinv import _parallel
from levinv._kernels import dense, hessian
from levinv._tolerances import PASS_ENTRIES
from levinv._typing import Booleans, Floats
from levinv.storage.protocol import Rows

Result = TypeVar("Result")
Pieces: TypeAlias = Iterator[tuple[slice, Floats, Floats | None, Floats | None]]


class Passes(Rows):
    """Rows in chunks that ``workers`` threads share; sums over chunks are taken in their order."""

    def _sum(self, chunks: Sequence[slice], shape: tuple[int, ...],
             add: Callable[[slice, Floats], None]) -> Floats:
        """The sum over chunks of what ``add(chunk, out)`` adds to an array of zeros."""
        if len(chunks) == 1:
            out = np.zeros(shape)
            add(chunks[0], out)
            return out
        total = _parallel.OrderedSum(np.zeros(shape))

        def work(item: tuple[int, slice]) -> None:
            position, chunk = item
            part = np.zeros(shape)
            add(chunk, part)
            total.add(position, part)

        _parallel.share(work, list(enumerate(chunks)), self.workers)
        return total.total

    def _each(self, chunks: Sequence[slice], work: Callable[[slice], None]) -> None:
        _parallel.share(work, chunks, self.workers)

    def _width(self, transform: Floats | None) -> int:
        return self.shape[1] if transform is None else transform.shape[1]

    def _folded(self) -> Iterable[tuple[slice, Rows]]:
        """Blocks of the rows: their indices and the rows themselves."""
        raise NotImplementedError

    def _dense_chunks(self, work_per_row: int, k: int, width: int = 0) -> list[slice]:
        """Chunks for dense arithmetic on rows of k entries, at least 8 ``width`` rows each."""
        raise NotImplementedError

    def _pieces(self, chunk: slice, scale: Floats | None, transform: Floats | None) -> Pieces:
        """Dense blocks of a chunk: indices, rows, and the scale and transform yet to be applied."""
        raise NotImplementedError

    def keep(self, vector: Floats | Booleans | None) -> Any:
        return vector

    def fold(self, function: Callable[..., Result],
             combine: Callable[[Result, Result], Result], vectors: Sequence[Any],
             *shared: Any) -> Result:
        total = _parallel.OrderedSum(combine=combine)

        def work(item: tuple[int, tuple[slice, Rows]]) -> None:
            position, (chunk, rows) = item
            parts = [part_of(vector, chunk) for vector in vectors]
            total.add(position, function(rows, *parts, *shared))

        _parallel.share(work, list(enumerate(self._folded())), self.workers)
        return total.total

    def triangle(self, scale: Floats | None = None, transform: Floats | None = None) -> Floats:
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
        out = np.empty(Y.shape)
        dense.squares(basis, np.ascontiguousarray(Y), out)
        return out

    def moments(self, scale: Floats | None, transform: Floats | None, Y: Floats) -> Floats:
        k, m = self._width(transform), Y.shape[1]

        def add(chunk: slice, out: Floats) -> None:
            for block, rows, factors, T in self._pieces(chunk, scale, transform):
                dense.moments(rows, factors, T, Y[block], None, out)

        pairs = k * (k + 1) // 2
        packed = self._sum(self._dense_chunks(pairs * m, k, m), (pairs, m), add)
        return unpacked(packed, k)

    def contract(self, scale: Floats | None, transform: Floats | None, forms: Floats) -> Floats:
        packed = packed_forms(forms)
        out = np.empty((self.shape[0], forms.shape[2]))

        def work(chunk: slice) -> None:
            for block, rows, factors, T in self._pieces(chunk, scale, transform):
                dense.contract(rows, factors, T, packed, out[block])

        self._each(self._dense_chunks(packed.size, forms.shape[0]), work)
        return out

    def third_moments(self, scale: Floats, transform: Floats | None,
                      inverse_slack: Floats) -> Floats:
        def add(chunk: slice, out: Floats) -> None:
            for block, rows, _, _ in self._pieces(chunk, None, None):
                dense.moments(rows, scale[block], transform, rows, inverse_slack[block], out)

        k, d = self._width(transform), self.shape[1]
        pairs = k * (k + 1) // 2
        return self._sum(self._dense_chunks(pairs * d, d, d), (pairs, d), add)

    def tall_hessian(self, scale: Floats, transform: Floats | None, inverse_slack: Floats,
                     forms: Floats, scores: Floats, residual: Floats,
                     diagonal: Floats) -> Floats:
        def add(chunk: slice, out: Floats) -> None:
            for block, rows, _, _ in self._pieces(chunk, None, None):
                hessian.tall(rows, scale[block], transform, inverse_slack[block], forms,
                             scores[block], residual[block], diagonal[block], out[0], out[1])

        d = self.shape[1]
        return self._sum(self._dense_chunks(len(forms) * d, d, d), (2, d, d), add)


def triangle_of(matrix: Floats) -> Floats:
    """R of a QR factorisation."""
    return np.asarray(np.linalg.qr(matrix, mode="r"))     # by NumPy's annotations, Q and R


@overload
def part_of(vector: None, chunk: slice) -> None: ...


@overload
def part_of(vector: Floats, chunk: slice) -> Floats: ...


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
