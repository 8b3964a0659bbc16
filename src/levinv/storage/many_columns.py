"""Gram matrices and quadratic forms of dense rows with many columns, by BLAS.

Tiles (:mod:`levinv._kernels.dense`) read the k x k matrix of a form again for every eight rows, and
add to a Gram matrix after every 64. They lose once these matrices have left the second cache. Here
products of long blocks are left to BLAS.

Every block of rows is made once, in pieces that threads share; so are then the strips of the Gram
matrix, of which no thread has a copy. Pieces and strips do not depend on the number of threads, and
no BLAS call is split: results are the same to the last bit.
"""
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levinv._kernels import factor, wide
from levinv._parallel import share
from levinv._source import Source
from levinv._tolerances import CACHE_ENTRIES, UNBLOCKED_COLUMNS
from levinv._typing import Floats

# Columns beyond which the triangle of a form has left the cache; and those of a sum that is added
# to less often. Measured crossovers: python benchmarks/crossovers.py.
WIDE_FORM = math.isqrt(2 * CACHE_ENTRIES)
WIDE_GRAM = math.isqrt(8 * CACHE_ENTRIES)

PIECE = 8 * UNBLOCKED_COLUMNS        # rows
STRIP = 4 * UNBLOCKED_COLUMNS        # columns


class Ordered(NamedTuple):
    """A transform whose rows, and the columns of A, were brought into an order."""

    order: npt.NDArray[np.intp] | None
    matrix: Floats | None
    triangular: bool                 # upper triangular in this order


def ordered(transform: Floats | None) -> Ordered:
    """The order in which a transform is upper triangular, if there is one."""
    if transform is None or transform.shape[0] != transform.shape[1]:
        return Ordered(None, transform, False)
    first = wide.leading_entries(transform)
    if np.all(first >= np.arange(len(first))):
        return Ordered(None, transform, True)
    order = np.argsort(first, kind="stable")
    if np.all(first[order] >= np.arange(len(first))):
        return Ordered(order, transform[order], True)
    return Ordered(None, transform, False)


def is_wide_gram(k: int, transform: Floats | None) -> bool:
    """Whether BLAS computes a Gram matrix of rows of k entries."""
    return k > (WIDE_GRAM if transform is None else WIDE_FORM)


def slices(first: int, last: int, step: int) -> list[slice]:
    """Consecutive slices."""
    return [slice(start, min(start + step, last)) for start in range(first, last, step)]


def gram(A: Floats | Source, workers: int, scale: Floats | None, transform: Floats | None,
         weights: Floats | None) -> Floats:
    """sum_i weights_i u_i u_iᵀ, (k, k)."""
    n, k = A.shape[0], A.shape[1] if transform is None else transform.shape[1]
    order, matrix, triangular = ordered(transform)
    out = np.zeros((k, k))
    room = padded_rows(min(n, PIECE), k)
    weighted = room if weights is None else np.empty_like(room.base)[:, :k]
    for block in slices(0, n, PIECE):
        count = block.stop - block.start
        u, v = room[:count], weighted[:count]

        def make(piece: slice, start: int = block.start, u: Floats = u, v: Floats = v) -> None:
            inside = slice(piece.start - start, piece.stop - start)
            wide.image(A[piece], None if scale is None else scale[piece], order, matrix,
                       triangular, u[inside])
            if weights is not None:
                np.multiply(u[inside], weights[piece, None], out=v[inside])

        def add(strip: slice, u: Floats = u, v: Floats = v) -> None:
            wide.strip(u, v, strip.start, strip.stop, out)

        share(make, slices(block.start, block.stop, PIECE // 4), workers)
        share(add, slices(0, k, STRIP), workers)
    factor.copy_upper(out)
    return out


def padded_rows(n: int, k: int) -> Floats:
    """Room for n rows of k entries, padded as the tiles want it."""
    width = -(-k // 8) * 8
    return np.empty((n, width + 8 if width % 512 == 0 else width))[:, :k]


def quad(A: Floats | Source, workers: int, scale: Floats | None, transform: Floats | None,
         form: Floats | None) -> Floats:
    """u_iᵀ form u_i, or |u_i|² without a form: (n,)."""
    n, out = A.shape[0], np.empty(A.shape[0])
    order, matrix, triangular = ordered(transform)
    folded = None if form is None else wide.folded(form)

    def work(piece: slice) -> None:
        wide.quad(A[piece], None if scale is None else scale[piece], order, matrix, triangular,
                  folded, out[piece])

    share(work, slices(0, n, PIECE)[::-1], workers)
    return out
