"""The inverse of a Gram matrix, with or without a ridge, as a product T Tᵀ.

B = diag(scale) A are the scaled rows, Λ = diag(ridge), and G = BᵀB + Λ. From a T (d x k) with
T Tᵀ = G⁻¹, or a generalised inverse of G if its rank k is below d, follow

    b_i G⁻¹ b_iᵀ = |b_i T|²    the score of a row, or of a new row,
    b_i G⁻¹ b_jᵀ               an entry of the hat matrix.

**As more rows.** BᵀB + Λ is the Gram matrix of B on top of d more rows √λ_j e_j. All that
:mod:`levinv.forward.basis` does for matrices therefore works with a ridge, and errors grow like
ε κ, with κ the condition number of the longer matrix, columns at unit norm.

**A small ridge.** If A has dependent columns and λ is tiny, κ is about 1/√λ, T has entries as
large, and b_i T cancels. The scores themselves are well determined: those of A's column space. With
an orthonormal basis U of this space, B = U C, and

    B G⁻¹ Bᵀ = U Q Qᵀ Uᵀ,   Q the upper part of the orthogonal factor of [C; Λ^½].

Rows √λ_j e_j whose λ_j is not small, relative to column j, count as rows of A here.

C (r x d) has full rank. A QR factorisation of [C; Λ^½] with long rows first and pivoted columns
is accurate row by row, so that the rows of C are eliminated before the tiny ones, which rounding
errors of the former then do not reach. Errors are those of U, ε κ(A), and those of C, ε κ(A)
relative to its columns, which change Q by up to κ(A) (κ(A)/κ)² times as much. The rank of A is that
of its rows at unit norm, as everywhere in levinv.

**Units.** Rows are in a common unit in which neither a row scale nor √λ exceeds 1; if squares of
columns would leave the range of doubles, columns are multiplied by powers of two.
"""
import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse

from levinv import _validate, storage
from levinv._parallel import aside
from levinv._tolerances import EPS, ROUNDING_FACTOR, SAFE_SIZE, TINY
from levinv._typing import Booleans, Floats, Integers
from levinv.forward import basis
from levinv.forward import quotient as modulo
from levinv.forward.row_scales import dependent_zeros, slack_scale, weight_scale
from levinv.storage import Rows
from levinv.storage.joined import JoinedRows


@dataclass(frozen=True)
class InverseGram:
    """T and what it was computed from. Built by :func:`inverse_gram`."""

    rows: Rows                   # A diag(units)
    scale: Floats | None         # (n,) at most 1; 0 in rows left out and in those of zero slack
    units: Floats | None         # (d,) powers of two
    root: float                  # rows in the caller's units are ``root`` times as long
    zero: Integers               # rows of zero slack, which are not zero: score 1
    transform: Floats            # (d, k): G⁻¹ = T Tᵀ, for the rows in these units
    inner: Floats                # (d, k'): the same for rows in the row space of A, if it has
    own_rank: int | None         # this rank, and differs; else None. With A count the rows
    own_active: Booleans | None  # √λ_j e_j of columns whose ridge is not small
    joined: Rows                 # the rows that G is the Gram matrix of, and their scale
    joined_scale: Floats | None
    doubt: str                   # reason why method="cholesky" may be inaccurate here, or ""

    def scores(self) -> Floats:
        """b_i G⁻¹ b_iᵀ for the rows of A, (n,)."""
        scores = self.rows.quad(self.scale, self.inner)
        scores[self.zero] = 1.0
        return np.minimum(scores, 1.0, out=scores)

    def new_scores(self, new: Rows, name: str) -> Floats:
        """b G⁻¹ bᵀ for new rows b, (m,), in the caller's units."""
        if self.units is not None:
            new = new.with_columns_times(self.units)
        with np.errstate(over="ignore", invalid="ignore"):
            found = new.quad(None, self.transform)
            if self.own_rank is not None:
                inside = ~_outside(new, self.joined, self.own_active, self.own_rank)
                if inside.any():
                    found = np.where(inside, new.quad(None, self.inner), found)
            found = found / self.root / self.root
        rank = self.transform.shape[1] + len(self.zero)
        if rank < new.shape[1]:
            active = None if self.joined_scale is None else self.joined_scale > 0
            if active is not None:
                active[self.zero] = True
            outside = np.flatnonzero(_outside(new, self.joined, active, rank))
            if len(outside):
                raise ValueError(f"{name} must lie in the row space of A, outside of which "
                                 f"predictions have infinite variance (ridge > 0 makes it finite), "
                                 f"got rows {_validate.listed(outside)} outside of it")
        if not np.isfinite(found).all():
            raise ValueError(f"{name} must not be so large that scores overflow (choose other "
                             f"units), got row {int(np.argmin(np.isfinite(found)))}")
        return found


def inverse_gram(rows: Rows, kind: str, values: Floats | None, ridge: Floats | None, method: str,
                 rcond: float | None) -> InverseGram:
    """G⁻¹ for rows scaled by ``values`` (n,), "weights" or a "slack", and a ridge (d,)."""
    scale, root, zero = _scaled(rows, kind, values)
    roots = None
    if ridge is not None:
        if scale is None:
            scale = np.ones(rows.shape[0])
        roots = np.sqrt(ridge)
        common = max(root, float(roots.max()))
        if not root / common >= SAFE_SIZE ** -3:
            raise ValueError("ridge must not exceed the squares of the row scales by more than 600 "
                             f"orders of magnitude, got up to {ridge.max():.3g}")
        scale, roots, root = scale * (root / common), roots / common, common
    rows, roots, units, gram = _equilibrated(rows, scale, roots)
    joined, joined_scale = rows, scale
    if roots is not None and scale is not None:
        identity = storage.of(scipy.sparse.eye_array(rows.shape[1], format="csr"))
        joined, joined_scale = JoinedRows(rows, identity), np.concatenate([scale, roots])
    found, columns = _basis(joined, joined_scale, zero, method, rcond, gram)
    if not np.isfinite(found.transform).all():
        raise ValueError("A must not have rows or columns so small that a basis overflows (choose "
                         "other units)")
    inner, own_rank, active = found.transform, None, None
    if roots is not None and scale is not None and found.method == "qr":
        small = roots < math.sqrt(EPS) * np.sqrt(np.diag(rows.gram(scale)))
        own_scale = np.concatenate([scale, np.where(small, 0.0, roots)])
        own, _ = _basis(joined, own_scale, zero, "auto", rcond, None)
        of_own, of_joined = (_condition(joined, row_scale, one.transform) for
                             row_scale, one in ((own_scale, own), (joined_scale, found)))
        if of_own * (1.0 + of_own * (of_own / of_joined) ** 2) <= of_joined:
            inner = _small_ridge(joined, own_scale, np.where(small, roots, 0.0), own.transform,
                                 columns)
            active = own_scale > 0
            active[zero] = True
            own_rank = own.transform.shape[1] + len(zero)
    return InverseGram(rows, scale, units, root, zero, found.transform, inner, own_rank, active,
                       joined, joined_scale, found.doubt)


def _scaled(rows: Rows, kind: str, values: Floats | None) -> tuple[Floats | None, float, Integers]:
    """The row scale, in units of its largest entry; this entry; the rows of zero slack."""
    none = np.zeros(0, dtype=int)
    if values is None:
        return None, 1.0, none
    if kind == "weights":
        return weight_scale(values), math.sqrt(values.max()) or 1.0, none
    slack = np.abs(values)
    left_out = slack == 0
    zero = np.flatnonzero(left_out & rows.nonzero()) if left_out.any() else none
    smallest = slack[~left_out].min(initial=np.inf)
    if smallest <= TINY:
        raise ValueError(f"slack must be zero or at least {TINY:.0e} here (choose other units), "
                         f"got {smallest:.3g}")
    return slack_scale(slack, left_out), 1.0 if left_out.all() else 1.0 / smallest, zero


def _equilibrated(rows: Rows, scale: Floats | None, roots: Floats | None
                  ) -> tuple[Rows, Floats | None, Floats | None, Floats]:
    """Rows and ridge in units of the columns in which squares neither over- nor underflow; these
    units; the Gram matrix with the ridge.
    """
    def gram() -> Floats:
        found = rows.gram(scale)
        if roots is not None:
            found[np.diag_indices_from(found)] += roots ** 2
        return found

    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        first = gram()
    largest = rows.column_max() if not basis.accurate_squares(np.diag(first)) else None
    if largest is None:
        return rows, roots, None, first
    units = basis.column_units(largest)
    greatest = 1.0 if scale is None else scale.max() or 1.0
    unscaled = rows.with_columns_times(units)
    norms = greatest * np.sqrt(np.diag(unscaled.gram(None if scale is None else scale / greatest)))
    if roots is not None:
        norms = np.hypot(norms, roots * units)
    used = norms > 0
    with np.errstate(over="ignore"):
        units[used] = np.ldexp(units[used], np.clip(-np.frexp(norms[used])[1], -1000, 1000))
    if not np.isfinite(units).all() or not units.all():
        raise ValueError("A must not have columns so small, relative to rows and ridge, that units "
                         "overflow (choose other units)")
    rows, roots = rows.with_columns_times(units), None if roots is None else roots * units
    return rows, roots, units, gram()


def _basis(rows: Rows, scale: Floats | None, zero: Integers, method: str, rcond: float | None,
           gram: Floats | None) -> tuple[basis.Basis, Floats | None]:
    """A basis of the range of the scaled rows, modulo rows ``zero`` of zero slack; and columns C,
    for which diag(scale) A C is the same range (None: those of A).

    The rank is that of the unscaled rows: a column that scaling makes small is not dependent.
    """
    if len(zero):
        assert scale is not None
        active = scale > 0
        active[zero] = True
        columns = basis.independent_columns(rows, active, rcond=rcond)
        try:
            columns = modulo.balanced(rows, scale, zero, columns)
            columns = modulo.quotient(rows, zero, columns)[0]
        except modulo.DependentZeroSlackError:
            raise dependent_zeros(zero) from None
        scale[modulo.spanned(rows, columns)] = 0.0
        return basis.orthonormal_basis(rows, scale, columns, method=method, rcond=0.0), columns
    if scale is None:
        return basis.orthonormal_basis(rows, None, None, method=method, rcond=rcond,
                                       gram=gram), None
    if method != "qr":
        found = basis.basis_by_gram(rows, scale, None, method=method, rcond=0.0, gram=gram)
        if found is not None:
            return found, None
    columns = basis.independent_columns(rows, scale > 0, rcond=rcond)
    with np.errstate(over="ignore"):
        found = basis.orthonormal_basis(
            rows, scale, columns, method=method, rcond=0.0,
            one_pass_condition=basis.INDEPENDENT_CONDITION)
    return found, columns


def _condition(rows: Rows, scale: Floats | None, transform: Floats) -> float:
    """The condition number of the columns that a transform combines, at unit norm, up to √k."""
    norms = np.sqrt(np.diag(rows.gram(scale)))
    columns = norms[:, None] * transform
    largest = float(np.abs(columns).max(initial=0.0)) or 1.0              # its square may overflow
    return max(largest * float(np.linalg.norm(columns / largest)), 1.0)


def _small_ridge(rows: Rows, scale: Floats, roots: Floats, own: Floats,
                 columns: Floats | None) -> Floats:
    """T_A Q for the transform T_A = ``own`` of a basis of A's range (see the module)."""
    d, r = own.shape
    both = np.hstack([own, np.eye(d)])
    coordinates = rows.gram(scale, both)[:r, r:]
    matrix = np.vstack([coordinates, np.diag(roots)])
    if columns is not None:
        matrix = matrix @ columns
    order = np.argsort(-np.linalg.norm(matrix, axis=1), kind="stable")
    q = aside(lambda: scipy.linalg.qr(matrix[order], mode="economic", pivoting=True,
                                      check_finite=False)[0], 4 * matrix.size * d)
    upper = np.empty_like(q)
    upper[order] = q
    return np.ascontiguousarray(own @ upper[:r])


def _outside(new: Rows, rows: Rows, active: Booleans | None, rank: int) -> Booleans:
    """Which of the new rows are not combinations of the active ones, up to rounding, (m,).

    The active rows, at unit norm, with columns D at unit norm, have the singular values s_l and
    right singular vectors v_l. Rounding turns the row space by ε s_1 / s_l in the direction v_l.
    """
    norms = rows.row_norms()
    unit = basis.reciprocal_norms(norms if active is None else np.where(active, norms, 0.0))
    lengths = np.sqrt(np.diag(rows.gram(unit)))
    columns = np.where(lengths > 0, 1.0 / np.where(lengths > 0, lengths, 1.0), 1.0)
    triangle = rows.triangle(unit) * columns
    _, values, right = aside(lambda: scipy.linalg.svd(triangle, check_finite=False),
                             20 * len(columns) ** 3)
    vectors = np.ascontiguousarray(columns[:, None] * right.T)
    inside = vectors[:, :rank] * (values[0] / values[:rank])
    outside = np.ascontiguousarray(vectors[:, rank:])
    limit = ROUNDING_FACTOR * len(columns) * EPS
    return np.asarray(new.row_norms() > 0) & (np.sqrt(new.quad(None, outside))
                                              > limit * np.sqrt(new.quad(None, inside)))
