"""What all rows in memory share: passes in chunks, and what is made of blocks of rows."""
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from levinv import _parallel
from levinv._kernels import dense
from levinv._typing import Booleans, Floats
from levinv.storage.protocol import Rows

TRIANGLE_ENTRIES = 1 << 20            # of a block whose rows go into a triangle at once
COPY_ENTRIES = 1 << 24                # of the largest dense copy of rows not dense in memory

Result = TypeVar("Result")


class Passes(Rows):
    """Chunks of rows shared among ``workers`` threads; sums over them are taken in their order."""

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
        """Blocks of the rows: which, and they themselves as rows."""
        raise NotImplementedError

    def keep(self, vector: Floats | Booleans | None) -> Any:
        """A vector (n,), or None, for repeated use in :meth:`fold`: with the rows, where they are
        elsewhere.
        """
        return vector

    def fold(self, function: Callable[..., Result],
             combine: Callable[[Result, Result], Result], vectors: Sequence[Any],
             *shared: Any) -> Result:
        """One pass: ``function(rows, *parts, *shared)`` of every block of rows and its parts of the
        vectors, put together by ``combine``, a function of two results, in the order of the rows.
        """
        total = _parallel.OrderedSum(combine=combine)

        def work(item: tuple[int, tuple[slice, Rows]]) -> None:
            position, (chunk, rows) = item
            parts = [part_of(vector, chunk) for vector in vectors]
            total.add(position, function(rows, *parts, *shared))

        _parallel.share(work, list(enumerate(self._folded())), self.workers)
        return total.total

    def triangle(self, scale: Floats | None = None, transform: Floats | None = None) -> Floats:
        """Upper triangular R, (min(n, k), k), with RᵀR = gram(scale, transform): Householder QR of
        one block of rows after the other, long rows first; errors like ε κ.
        """
        n, k = self.shape[0], self._width(transform)
        lengths = np.sqrt(self.quad(None, transform))
        order = np.argsort(-(lengths if scale is None else scale * lengths), kind="stable")
        step = max(TRIANGLE_ENTRIES // k, 4 * k)
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


def triangle_of(matrix: Floats) -> Floats:
    """R of a QR factorisation."""
    return np.asarray(np.linalg.qr(matrix, mode="r"))     # to NumPy's types it is Q and R


@overload
def part_of(vector: None, chunk: slice) -> None: ...


@overload
def part_of(vector: Floats, chunk: slice) -> Floats: ...


def part_of(vector: Floats | None, chunk: slice) -> Floats | None:
    """The entries for a chunk of rows of an optional vector."""
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
