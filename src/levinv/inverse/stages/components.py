"""Connected components of the matroid of a matrix's rows.

Two rows are connected if some circuit, a minimal dependent set, holds both. With a basis of rows
A_basis, the components are those of the bipartite graph of the nonzero entries of A A_basis⁻¹
between rows and basis rows, for every choice of the basis (Cunningham, 1973; Oxley, Matroid
Theory, section 4.3). The matrix is the direct sum of its components. A component of one row is a
coloop. A zero row is a loop and belongs to no component. Blocks of rows are read until all basis
rows are connected. Then there is one component, which contains all rows except the loops.

The components answer three questions: on which rows the slack has one common factor (stage 1, rows
of A), whether the signs are determined (stage 2, rows of [A b]), and which changes of x leave all
scores unchanged (stage 3).
"""
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.linalg
import scipy.sparse.csgraph

from levinv._tolerances import (
    ALLOWED_ROUNDINGS,
    EPS,
    SAMPLE_FACTOR,
    SAMPLE_ROWS,
    SAMPLE_SEED,
    ZERO_ENTRY,
)
from levinv._typing import Booleans, Floats, Labels, RowIndex

Block: TypeAlias = Callable[[RowIndex], Floats]      # returns some rows of a matrix


@dataclass(frozen=True)
class Components:
    """The component of each row, and how clear the decision was."""

    label: Labels             # (n,) 0..count-1, -1 for loops
    count: int
    gap: float                # largest entry rounded to zero, relative to the largest of its row
    least: float              # smallest entry not rounded to zero, likewise
    pivot: float              # last pivot of the basis relative to the first


def components(block: Block, n: int, width: int, loops: Booleans | None = None,
               zero: float = ZERO_ENTRY) -> Components:
    """Find the components of an n x width matrix with independent columns.

    ``block(index)`` returns rows (slice or index array) as an (m, width) array. If the zero rows,
    ``loops`` (n,), are known, rows are read only until all are connected. An entry of A A_basis⁻¹
    counts as zero if it is below ``zero`` times the largest entry of its row. Raises LinAlgError if
    fewer than ``width`` independent rows are found.
    """
    label = np.full(n, -1, dtype=np.int32)
    if width == 0:
        return Components(label, 0, 0.0, 1.0, 1.0)
    inverse, pivot = _basis_inverse(block, n, width)
    joined = np.zeros((width, width), dtype=bool)
    gap, least = 0.0, 1.0
    owner = np.zeros(n, dtype=int)                  # a basis row that the row is connected to
    first, count, basis_label = 0, width, np.arange(width)
    while first < n and (count > 1 or loops is None):
        rows = slice(first, first + min(max(first, SAMPLE_ROWS // 2), 4 * SAMPLE_ROWS))
        coefficients = np.abs(block(rows) @ inverse)
        largest = coefficients.max(axis=1, keepdims=True)
        relative = coefficients / np.where(largest > 0, largest, 1.0)
        nonzero = relative > zero
        gap = max(gap, np.where(nonzero, 0.0, relative).max())
        least = min(least, np.where(nonzero, relative, 1.0).min())
        pattern = nonzero.astype(float)
        joined |= (pattern.T @ pattern) > 0
        owner[rows] = np.where(largest[:, 0] > 0, relative.argmax(axis=1), -1)
        first = rows.stop
        if joined[0].all():                          # the usual case, much faster than a search
            count, basis_label = 1, np.zeros(width, dtype=int)
        else:
            count, basis_label = scipy.sparse.csgraph.connected_components(joined, directed=False)
    if loops is not None:
        owner[loops] = -1
    connected = owner >= 0
    label[connected] = basis_label[owner[connected]]
    return Components(label, count, float(gap), float(least), pivot)


def _basis_inverse(block: Block, n: int, width: int) -> tuple[Floats, float]:
    """Inverse of ``width`` independent, well-conditioned rows of unit norm; and the last pivot
    relative to the first. Pivoted QR chooses the rows from a sample.
    """
    index = np.arange(n)
    if n > 2 * SAMPLE_ROWS:
        sample = min(max(SAMPLE_ROWS, SAMPLE_FACTOR * width), n)
        index = np.sort(np.random.default_rng(SAMPLE_SEED).choice(n, size=sample, replace=False))
    while True:
        candidates = block(index)
        norms = np.linalg.norm(candidates, axis=1, keepdims=True)
        candidates = np.divide(candidates, norms, out=np.zeros_like(candidates), where=norms > 0)
        r, pivots = scipy.linalg.qr(candidates.T, mode="r", pivoting=True, check_finite=False)
        diagonal = np.abs(np.diag(r))
        if len(diagonal) == width and diagonal[-1] > ALLOWED_ROUNDINGS * EPS * diagonal[0]:
            return (np.linalg.inv(candidates[pivots[:width]]),
                    float(diagonal[-1] / diagonal[0]))
        if len(index) == n:
            raise np.linalg.LinAlgError("fewer independent rows than columns")
        index = np.arange(n)
