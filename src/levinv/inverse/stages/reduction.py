"""Presolve: eliminate the rows that need no iteration, and split the others into components.

* A zero row (a loop) has score 0 for every x.
* A row that is a component of its own (a coloop) has score 1 for every x. The direction that
  changes the slack of this row alone leaves every score unchanged: it is in the null space.
* Any other row with score 1 has zero slack. It is an equation a_i x = b_i. The equations are
  solved, and the other rows are taken modulo these rows. A row that they span has score 0.

The remaining rows are *active*. They are the direct sum of their components: A T_C is zero outside
component C, and T_C has rank(C) columns. So x = offset + sum_C T_C y_C + any element of ``free``.

*Components* are those of the matroid of the rows. Two rows are connected if some circuit, a minimal
dependent set, holds both. With a basis of rows A_basis, the components are those of the bipartite
graph of the nonzero entries of A A_basis⁻¹ between rows and basis rows, for every choice of the
basis (Cunningham, 1973; Oxley, Matroid Theory, section 4.3). The matrix is the direct sum of its
components. A component of one row is a coloop. A zero row is a loop and belongs to no component.
Blocks of rows are read until all basis rows are connected. Then there is one component, which
contains all rows except the loops.

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

from levinv._scalars import listed
from levinv._tolerances import (
    ALLOWED_ROUNDINGS,
    EPS,
    SAMPLE_FACTOR,
    SAMPLE_ROWS,
    SAMPLE_SEED,
    SQUARABLE,
    ZERO_ENTRY,
)
from levinv._typing import Booleans, Floats, Labels, RowIndex
from levinv.errors import NoSolutionError
from levinv.forward.basis import orthonormal_basis, reciprocal_norms
from levinv.forward.quotient import DependentZeroSlackError, quotient
from levinv.inverse.values import ComponentDecision, RankDecision, Reduced
from levinv.storage.blocked import Rows

Block: TypeAlias = Callable[[RowIndex], Floats]      # returns some rows of a matrix


@dataclass(frozen=True, eq=False)
class Components:
    """The component of each row, and how clear the decision was."""

    label: Labels             # (n,) 0..count-1, -1 for loops
    count: int
    decision: ComponentDecision


def reduce(rows: Rows, one: Booleans | None = None, b: Floats | None = None,
           coloop_slack: Floats | None = None, zero_entry: float = ZERO_ENTRY) -> Reduced:
    """Eliminate loops, coloops and zero slacks, and find the components of the other rows.

    The rows ``one`` (n,) have a score of 1 to rounding. ``offset`` needs ``b``. Coloops get the
    slack ``coloop_slack`` (n,), which their scores do not determine, or 0. ``zero_entry`` is the
    threshold of :func:`components`. Raises NoSolutionError if scores of 1 require zero slack in
    linearly dependent rows, and ValueError if b overflows in units of the rows of A.
    """
    n, d = rows.shape
    norms = rows.row_norms()
    loops = norms == 0
    unit = reciprocal_norms(norms, SQUARABLE)
    if b is not None:
        with np.errstate(over="ignore"):
            beyond = ~np.isfinite(unit ** 2 * b)
        if beyond.any():
            row = int(np.argmax(beyond))
            raise ValueError("b must not be so large beside the rows of A (choose other units), "
                             f"got {b[row]:.3g} beside a row of norm {norms[row]:.3g}, row {row}")
    basis = orthonormal_basis(rows, unit)
    start, use_A = basis.transform, basis.well_conditioned
    rank = start.shape[1]
    free = _null_space(rows, unit, start)
    found = components(_block(rows, start), n, rank, loops, zero_entry)
    coloop = ((np.bincount(found.label + 1, minlength=found.count + 1)[found.label + 1] == 1)
              & ~loops)
    zero = np.zeros(n, dtype=bool) if one is None else one & ~coloop & ~loops
    active = ~(loops | coloop | zero)
    spanned = np.zeros(n, dtype=bool)
    offset, lifts, label = np.zeros(d), np.zeros((d, 0)), found.label
    if not active.all() and rank:
        settled = np.flatnonzero(coloop | zero)
        if len(settled):
            try:
                null, right, lengths = quotient(rows, settled, start)
                right = right / lengths
            except DependentZeroSlackError:
                raise NoSolutionError(
                    f"scores are 1 in linearly dependent rows ({listed(np.flatnonzero(zero))}): "
                    "every set of rows has scores that sum to at most its rank") from None
            # squared norms have an error of ε times those before the quotient
            spanned = active & (rows.quad(unit, null) <= EPS * rows.quad(unit, start))
            active &= ~spanned
            transform = orthonormal_basis(rows, active * unit, null).transform
            # minus its projection on ``transform`` in the metric of the active rows
            right = right - transform @ (transform.T @ rows.fold(
                _normal_product, np.add, [active * unit], right))
            if b is not None:
                values = b[settled]
                if coloop_slack is not None:
                    values = values + np.where(coloop[settled], coloop_slack[settled], 0.0)
                offset = right @ values
            free = np.hstack([free, right[:, coloop[settled]]])
            lifts = right[:, zero[settled]]
            start, use_A = transform, False
            if zero.any():
                found = components(_block(rows, start, active), n, start.shape[1], ~active,
                                   zero_entry)
            label = np.where(active, found.label, -1)
            _, label[active] = np.unique(label[active], return_inverse=True)
    bases = _component_bases(rows, unit, start, label)
    # 1/κ if the Gram matrix is too far from singular to need pivots
    kept, dropped = basis.pivots or (1.0 / basis.condition, np.nan)
    return Reduced(rows, rank, unit, start, use_A, active, np.flatnonzero(loops),
                   np.flatnonzero(spanned), np.flatnonzero(coloop), np.flatnonzero(zero), label,
                   bases, offset, orthonormal_columns(free), lifts,
                   RankDecision(basis.method, kept, dropped, max(n, d) * EPS),
                   found.decision)


def _block(rows: Rows, transform: Floats, active: Booleans | None = None) -> Block:
    def block(index: RowIndex) -> Floats:
        out = rows.block(index) @ transform
        if active is not None:
            out[~active[index]] = 0.0
        return out
    return block


def _normal_product(rows: Rows, weight: Floats, directions: Floats) -> Floats:
    """Aᵀ diag(weight²) A directions, for a block of rows."""
    return rows.rmatvec(rows.matvec(directions) * (weight ** 2)[:, None])


def _null_space(rows: Rows, unit: Floats, start: Floats) -> Floats:
    """Orthonormal basis of null(A), (d, d - rank)."""
    d, rank = start.shape
    if rank == d:
        return np.zeros((d, 0))
    row_space: Floats = rows.fold(_normal_product, np.add, [unit], start)
    return np.linalg.svd(row_space, full_matrices=True)[0][:, rank:]


def _component_bases(rows: Rows, unit: Floats, start: Floats, label: Labels) -> list[Floats]:
    """T_C for every component: A start is orthonormal, so their Gram matrices are projections."""
    count = int(label.max(initial=-1)) + 1
    if count <= 1:
        return [start] if count else []
    bases = []
    for c in range(count):
        values, vectors = np.linalg.eigh(rows.gram(np.where(label == c, unit, 0.0), start))
        bases.append(np.ascontiguousarray(start @ vectors[:, values > 0.5]))
    return bases


def orthonormal_columns(matrix: Floats) -> Floats:
    """An orthonormal basis of the span of columns that are independent or zero."""
    norms = np.hypot.reduce(matrix, axis=0)
    if not norms.all():
        matrix, norms = matrix[:, norms > 0], norms[norms > 0]
    if not matrix.shape[1]:
        return matrix
    u, values, _ = np.linalg.svd(matrix / norms, full_matrices=False)
    return u[:, values > ALLOWED_ROUNDINGS * EPS * values[0]]


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
        return Components(label, 0, ComponentDecision(threshold=zero))
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
    return Components(label, count, ComponentDecision(float(least), float(gap), zero, pivot))


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
