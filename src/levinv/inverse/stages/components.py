"""Connected components of the matroid of a matrix's rows.

Two rows are connected if some circuit (a minimal dependent set) holds both. With a basis of rows
A_basis, the components are those of the bipartite graph of nonzeros of A A_basis⁻¹ between rows and
basis rows, whichever basis is taken (Cunningham, 1973; Oxley, Matroid Theory, section 4.3). The
matrix is the direct sum of its components. A component of one row is a coloop. Rows are looked at
until the basis rows are all connected: further rows, loops aside, belong to the one component.

One routine serves three questions: in which rows the scale of the slack is common (stage 1),
whether signs are determined (stage 2, on [A b]) and what x can do unseen (stage 3).
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse.csgraph

from levinv._tolerances import EPS
from levinv._typing import Booleans, Floats, RowIndex

Block: TypeAlias = Callable[[RowIndex], Floats]      # gives some rows of a matrix
Labels: TypeAlias = npt.NDArray[np.int32]            # the component of each row

ZERO = 1e-9                   # entries of A A_basis⁻¹ below this part of their row's largest are
                              # zero, unless the scores say that they connect rows:
SURELY_ZERO = 1e-14           # then those below this
INDEPENDENT = 1e4 * EPS       # least pivot of a basis, relative to the largest
ALL_ROWS = 4096               # up to as many rows the basis is chosen among all
CHUNK = 1024                  # rows looked at first, LONGEST_CHUNK later
LONGEST_CHUNK = 8192
SEED = 5396                   # of rows drawn; nobody's data come from it, as they do from 0: the
                              # rows would be those of smallest slack


@dataclass(frozen=True)
class Components:
    """``label[i]`` in 0..count-1 for each row, -1 for loops (zero rows)."""

    label: Labels
    count: int
    gap: float                # largest relative entry taken for zero among the rows looked at, and
    least: float              # smallest taken for nonzero: how clear the decision was
    pivot: float              # last pivot of the basis relative to the first


def components(block: Block, n: int, width: int, loops: Booleans | None = None,
               zero: float = ZERO) -> Components:
    """Components of a matrix with independent columns.

    Parameters
    ----------
    block : callable
        ``block(index)`` returns rows (slice or index array) as an (m, width) array.
    n, width : int
        Shape of the matrix; its rank must be ``width``.
    loops : (n,) boolean array, optional
        The zero rows, where they are known: all rows need not be looked at then.
    zero : float
        Entries of A A_basis⁻¹ below this part of their row's largest are zero.

    Returns
    -------
    Components

    Raises
    ------
    numpy.linalg.LinAlgError
        If fewer than ``width`` independent rows are found.
    """
    label = np.full(n, -1, dtype=np.int32)
    if width == 0:
        return Components(label, 0, 0.0, 1.0, 1.0)
    inverse, pivot = _basis_inverse(block, n, width)
    joined = np.zeros((width, width), dtype=bool)
    largest_zero, least = 0.0, 1.0
    owner = np.zeros(n, dtype=int)                  # a basis row that the row is connected to
    first, count, basis_label = 0, width, np.arange(width)
    while first < n and (count > 1 or loops is None):
        chunk = slice(first, first + (LONGEST_CHUNK if first else CHUNK))
        coefficients = np.abs(block(chunk) @ inverse)
        largest = coefficients.max(axis=1, keepdims=True)
        relative = coefficients / np.where(largest > 0, largest, 1.0)
        nonzero = relative > zero
        largest_zero = max(largest_zero, np.where(nonzero, 0.0, relative).max())
        least = min(least, np.where(nonzero, relative, 1.0).min())
        pattern = nonzero.astype(float)
        joined |= (pattern.T @ pattern) > 0
        owner[chunk] = np.where(largest[:, 0] > 0, relative.argmax(axis=1), -1)
        first = chunk.stop
        if joined[0].all():                          # the usual case, a hundred times faster
            count, basis_label = 1, np.zeros(width, dtype=int)
        else:
            count, basis_label = scipy.sparse.csgraph.connected_components(joined, directed=False)
    if loops is not None:
        owner[loops] = -1
    real = owner >= 0
    label[real] = basis_label[owner[real]]
    return Components(label, count, float(largest_zero), float(least), pivot)


def _basis_inverse(block: Block, n: int, width: int) -> tuple[Floats, float]:
    """Inverse of ``width`` independent, well-conditioned rows of unit norm, by pivoted QR, and its
    last pivot relative to the first.
    """
    index = np.arange(n)
    if n > ALL_ROWS:
        sample = max(ALL_ROWS // 2, 16 * width)
        index = np.sort(np.random.default_rng(SEED).choice(n, size=min(sample, n), replace=False))
    while True:
        candidates = block(index)
        norms = np.linalg.norm(candidates, axis=1, keepdims=True)
        candidates = np.divide(candidates, norms, out=np.zeros_like(candidates), where=norms > 0)
        r, pivots = scipy.linalg.qr(candidates.T, mode="r", pivoting=True, check_finite=False)
        diagonal = np.abs(np.diag(r))
        if len(diagonal) == width and diagonal[-1] > INDEPENDENT * diagonal[0]:
            return (np.linalg.inv(candidates[pivots[:width]]),
                    float(diagonal[-1] / diagonal[0]))
        if len(index) == n:
            raise np.linalg.LinAlgError("fewer independent rows than columns")
        index = np.arange(n)
