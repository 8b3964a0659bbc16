"""What can be settled before the first iteration: loops, coloops, zero slacks, components, free
directions.

* A zero row (loop) has score 0 and tells nothing.
* A row that is a component of its own (coloop) has score 1 whatever x is: x can move along the
  direction that changes only this row's slack, unseen.
* Any other row with score 1 has zero slack: an equation a_i x = b_i. It is eliminated, and what is
  left lives in the quotient by these rows; rows spanned by them become loops of it.

The rest, the *active* rows, is the direct sum of its components: A T_C is supported on component C,
with T_C of rank(C) columns. Points are x = offset + sum_C T_C y_C + anything in ``free``.
"""
from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from levinv._typing import Booleans, Floats, Integers, RowIndex
from levinv._validate import listed
from levinv.forward.basis import EPS, Basis, orthonormal_basis, reciprocal_norms
from levinv.forward.projection import DependentZeroSlackError, quotient
from levinv.inverse.stages.components import (
    INDEPENDENT,
    ZERO,
    Block,
    Components,
    Labels,
    components,
)
from levinv.storage import Rows

Decision: TypeAlias = dict[str, Any]    # evidence of what was taken for zero

SMALLEST_ROW = 1e-140      # its inverse square does not overflow
SPANNED = 1e-8    # a row whose part outside the span of the zero-slack rows is smaller is spanned


class NoSolutionError(ValueError):
    """No x, or no row weights, have the given leverage scores; the message says why.

    Examples
    --------
    >>> from levinv import NoSolutionError, forster_weights
    >>> A = [[1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    >>> try:
    ...     forster_weights(A, [0.7, 0.7, 0.3, 0.3])
    ... except NoSolutionError as error:
    ...     print(error)
    no weights have these scores: 2 rows (0, 1) have scores that sum to 1.4, but rank 1
    """


@dataclass(frozen=True)
class Reduced:
    """The problem after elimination. Index arrays refer to rows of A."""

    rows: Rows
    rank: int                     # of A
    unit: Floats                  # (n,) 1/|a_i|: scores do not change when rows are scaled
    start: Floats                 # (d, k): diag(unit) A start orthonormal over the active rows
    plain: bool                   # A's own columns will do as well: all are there and diag(unit) A
                                  # is well conditioned
    active: Booleans              # (n,) boolean
    loops: Integers               # zero rows of A
    spanned: Integers             # rows spanned by zero-slack rows
    coloops: Integers
    zero_slack: Integers
    label: Labels                 # (n,) component of each active row, else -1
    bases: list[Floats]           # T_C (d, rank(C)) for each component
    offset: Floats                # (d,), 0 where b is not given
    free: Floats                  # (d, j) orthonormal: null(A) and the coloops' directions
    lifts: Floats                 # (d, zeros) dx for each unit of slack in a zero-slack row
    gap: float                    # largest relative entry taken for zero in the component decision
    rank_decision: Decision       # evidence of the rank of A,
    component_decision: Decision  # and of the components

    @property
    def columns(self) -> Floats | None:
        """What projections combine the columns of A by: None for A itself."""
        return None if self.plain else self.start

    @functools.cached_property
    def left_out(self) -> Booleans | None:
        """Rows that take no part, (n,); None if all do."""
        return None if self.active.all() else ~self.active

    @property
    def count(self) -> int:
        """Number of components among the active rows."""
        return len(self.bases)

    def members(self, c: int) -> Integers:
        """Indices of the rows of component c."""
        return np.flatnonzero(self.label == c)


def reduce(rows: Rows, one: Booleans | None = None, b: Floats | None = None,
           coloop_slack: Floats | None = None, zero_entry: float = ZERO) -> Reduced:
    """Eliminate what needs no iteration.

    Parameters
    ----------
    rows : the rows of A
    one : (n,) boolean array, optional
        Rows whose score is 1 to rounding.
    b : (n,) array, optional
        Needed for ``offset``.
    coloop_slack : (n,) array, optional
        Slack to give coloops, whose scores do not tell it; default 0.
    zero_entry : float
        See :func:`levinv.inverse.stages.components.components`.

    Raises
    ------
    NoSolutionError
        If linearly dependent rows should all have zero slack.
    """
    n, d = rows.shape
    norms = rows.row_norms()
    loops = norms == 0
    unit = reciprocal_norms(norms, SMALLEST_ROW)
    if b is not None:
        with np.errstate(over="ignore"):
            beyond = ~np.isfinite(unit ** 2 * b)
        if beyond.any():
            row = int(np.argmax(beyond))
            raise ValueError("b must not be so large beside the rows of A (choose other units), "
                             f"got {b[row]:.3g} beside a row of norm {norms[row]:.3g}, row {row}")
    basis = orthonormal_basis(rows, unit)
    start, plain = basis.transform, basis.well_conditioned
    rank = start.shape[1]
    free = _null_space(rows, unit, start)
    found = components(_block(rows, start), n, rank, loops, zero_entry)
    coloop = ((np.bincount(found.label + 1, minlength=found.count + 1)[found.label + 1] == 1)
              & ~loops)
    zero = np.zeros(n, dtype=bool) if one is None else one & ~coloop & ~loops
    active = ~(loops | coloop | zero)
    spanned = np.zeros(n, dtype=bool)
    offset = np.zeros(d)
    lifts = np.zeros((d, 0))
    label = found.label
    if not active.all() and rank:
        settled = np.flatnonzero(coloop | zero)
        if len(settled):
            try:
                null, right, norms = quotient(rows, settled, start)
                right = right / norms
            except DependentZeroSlackError:
                raise NoSolutionError(_dependent(np.flatnonzero(zero))) from None
            spanned = active & (rows.quad(unit, null) <= SPANNED ** 2 * rows.quad(unit, start))
            active &= ~spanned
            transform = orthonormal_basis(rows, active * unit, null).transform
            right = _without(rows, active * unit, transform, right)
            if b is not None:
                values = b[settled]
                if coloop_slack is not None:
                    values = values + np.where(coloop[settled], coloop_slack[settled], 0.0)
                offset = right @ values
            free = np.hstack([free, right[:, coloop[settled]]])
            lifts = right[:, zero[settled]]
            start, plain = transform, False
            if zero.any():
                found = components(_block(rows, start, active), n, start.shape[1], ~active,
                                   zero_entry)
            label = np.where(active, found.label, -1)
            _, label[active] = np.unique(label[active], return_inverse=True)
    bases = _component_bases(rows, unit, start, label)
    return Reduced(rows, rank, unit, start, plain, active, np.flatnonzero(loops),
                   np.flatnonzero(spanned), np.flatnonzero(coloop), np.flatnonzero(zero), label,
                   bases, offset, orthonormal_columns(free), lifts, found.gap,
                   _rank_decision(basis, n, d), component_decision([found], zero_entry))


def _rank_decision(basis: Basis, n: int, d: int) -> Decision:
    """Evidence of the rank: without pivots the Gram matrix is far from singular."""
    kept, dropped = basis.pivots or (1.0 / basis.condition, np.nan)
    return {"method": basis.method, "kept": kept, "dropped": dropped,
            "threshold": max(n, d) * EPS}


def component_decision(found: Iterable[Components], threshold: float = ZERO) -> Decision:
    """Evidence of connected components, of one matrix or several."""
    return {"kept": min((f.least for f in found), default=1.0),
            "dropped": max((f.gap for f in found), default=0.0), "threshold": threshold,
            "basis_pivot": min((f.pivot for f in found), default=1.0),
            "basis_threshold": INDEPENDENT}


def fixed_score_faults(reduced: Reduced, scores: Floats,
                       allowed: Floats) -> tuple[list[str], Integers]:
    """Sentences on scores that nothing can change and that are given otherwise, by more than
    ``allowed`` (n,); and the rows.
    """
    faults, rows = [], []
    for index, value, what in (
            (reduced.loops, 0.0, "zero rows of A have score 0"),
            (reduced.spanned, 0.0, "rows spanned by rows of zero slack have score 0"),
            (reduced.coloops, 1.0, "rows independent of all others have score 1")):
        off = index[np.abs(scores[index] - value) > allowed[index]]
        if len(off):
            faults.append(f"{what}, but row {off[0]} is given {scores[off[0]]:.10g}")
            rows.append(off)
    return faults, np.concatenate(rows) if rows else np.zeros(0, dtype=int)


def sum_faults(reduced: Reduced, scores: Floats, tol: float) -> list[str]:
    """Sentences on components whose scores do not sum to the rank, to ``tol`` for each row."""
    faults = []
    for c in range(reduced.count):
        member = reduced.members(c)
        rank, total = reduced.bases[c].shape[1], float(scores[member].sum())
        if abs(total - rank) > tol * len(member) + 64 * EPS * rank:
            where = "" if reduced.count == 1 else f" over the component of row {member[0]}"
            faults.append(f"scores must sum to the rank {rank}{where}, got {total:.10g}")
    return faults


def _dependent(index: Integers) -> str:
    return (f"scores are 1 in linearly dependent rows ({listed(index)}): every set of rows has "
            "scores that sum to at most its rank")


def _block(rows: Rows, transform: Floats, active: Booleans | None = None) -> Block:
    def block(index: RowIndex) -> Floats:
        out = rows.block(index) @ transform
        if active is not None:
            out[~active[index]] = 0.0
        return out
    return block


def _without(rows: Rows, weight: Floats, transform: Floats, directions: Floats) -> Floats:
    """``directions`` less their part in the span of ``transform``, as seen by the weighted rows."""
    image: Floats = rows.fold(_normal_product, np.add, [weight], directions)
    return directions - transform @ (transform.T @ image)


def _normal_product(rows: Rows, weight: Floats, directions: Floats) -> Floats:
    """Aᵀ diag(weight²) A directions, of a block of rows."""
    return rows.rmatvec(rows.matvec(directions) * (weight ** 2)[:, None])


def _null_space(rows: Rows, unit: Floats, start: Floats) -> Floats:
    """Orthonormal basis of null(A), (d, d - rank)."""
    d, rank = start.shape
    if rank == d:
        return np.zeros((d, 0))
    row_space: Floats = rows.fold(_normal_product, np.add, [unit], start)
    return np.linalg.svd(row_space, full_matrices=True)[0][:, rank:]


def _component_bases(rows: Rows, unit: Floats, start: Floats, label: Labels) -> list[Floats]:
    """T_C for every component: the Gram matrices of the components are complementary
    projections.
    """
    count = int(label.max(initial=-1)) + 1
    if count <= 1:
        return [start] if count else []
    bases = []
    for c in range(count):
        values, vectors = np.linalg.eigh(rows.gram(np.where(label == c, unit, 0.0), start))
        bases.append(np.ascontiguousarray(start @ vectors[:, values > 0.5]))
    return bases


class Augmented:
    """[A T_C, q] on the rows of component c, never formed: q is a further column, or None."""

    def __init__(self, reduced: Reduced, c: int, column: Floats | None) -> None:
        self._rows, self._basis = reduced.rows, reduced.bases[c]
        self._member = reduced.members(c)
        self._column = None if column is None else column[self._member]
        self.shape = (len(self._member), self._basis.shape[1] + (column is not None))

    def block(self, index: RowIndex) -> Floats:
        """Some of the rows (slice or indices within the component), as an array."""
        part = self._rows.block(self._member[index]) @ self._basis
        return part if self._column is None else np.column_stack([part, self._column[index]])

    def matvec(self, v: Floats) -> Floats:
        """The matrix times v."""
        k = self._basis.shape[1]
        image = self._rows.matvec(self._basis @ v[:k])[self._member]
        return image if self._column is None else image + self._column * v[k]


def orthonormal_columns(matrix: Floats) -> Floats:
    """An orthonormal basis of the span of independent columns, and of zero ones, if any."""
    norms = np.hypot.reduce(matrix, axis=0)
    if not norms.all():
        matrix, norms = matrix[:, norms > 0], norms[norms > 0]
    if not matrix.shape[1]:
        return matrix
    u, values, _ = np.linalg.svd(matrix / norms, full_matrices=False)
    return u[:, values > 1e3 * EPS * values[0]]
