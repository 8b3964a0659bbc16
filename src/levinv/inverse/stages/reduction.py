"""Presolve: eliminate the rows that need no iteration, and split the others into components.

* A zero row (a loop) has score 0 for every x.
* A row that is a component of its own (a coloop) has score 1 for every x. The direction that
  changes the slack of this row alone leaves every score unchanged: it is in the null space.
* Any other row with score 1 has zero slack. It is an equation a_i x = b_i. The equations are
  solved, and the other rows are taken modulo these rows. A row that they span has score 0.

The remaining rows are *active*. They are the direct sum of their components: A T_C is zero outside
component C, and T_C has rank(C) columns. So x = offset + sum_C T_C y_C + any element of ``free``.
"""
from collections.abc import Iterable

import numpy as np

from levinv._scalars import listed
from levinv._tolerances import ALLOWED_ROUNDINGS, EPS, SQUARABLE, ZERO_ENTRY
from levinv._typing import Booleans, Floats, Labels, RowIndex
from levinv.errors import NoSolutionError
from levinv.forward.basis import Basis, orthonormal_basis, reciprocal_norms
from levinv.forward.projection import DependentZeroSlackError, quotient
from levinv.inverse.stages.components import Block, Components, components
from levinv.inverse.values import ComponentDecision, RankDecision, Reduced
from levinv.storage.blocked import Rows


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
    offset = np.zeros(d)
    lifts = np.zeros((d, 0))
    label = found.label
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
            right = _without(rows, active * unit, transform, right)
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
    return Reduced(rows, rank, unit, start, use_A, active, np.flatnonzero(loops),
                   np.flatnonzero(spanned), np.flatnonzero(coloop), np.flatnonzero(zero), label,
                   bases, offset, orthonormal_columns(free), lifts, _rank_decision(basis, n, d),
                   component_decision([found], zero_entry))


def _rank_decision(basis: Basis, n: int, d: int) -> RankDecision:
    """The pivots, or 1/κ if the Gram matrix is too far from singular to need pivots."""
    kept, dropped = basis.pivots or (1.0 / basis.condition, np.nan)
    return RankDecision(basis.method, kept, dropped, max(n, d) * EPS)


def component_decision(found: Iterable[Components],
                       threshold: float = ZERO_ENTRY) -> ComponentDecision:
    """The decision on the components of one or several matrices."""
    return ComponentDecision(
        kept=min((f.least for f in found), default=1.0),
        dropped=max((f.gap for f in found), default=0.0), threshold=threshold,
        basis_pivot=min((f.pivot for f in found), default=1.0),
        basis_threshold=ALLOWED_ROUNDINGS * EPS)


def _block(rows: Rows, transform: Floats, active: Booleans | None = None) -> Block:
    def block(index: RowIndex) -> Floats:
        out = rows.block(index) @ transform
        if active is not None:
            out[~active[index]] = 0.0
        return out
    return block


def _without(rows: Rows, weight: Floats, transform: Floats, directions: Floats) -> Floats:
    """``directions`` minus their projection on ``transform`` in the metric of the weighted rows."""
    image: Floats = rows.fold(_normal_product, np.add, [weight], directions)
    return directions - transform @ (transform.T @ image)


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
