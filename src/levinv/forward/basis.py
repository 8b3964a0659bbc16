"""An orthonormal basis of the column space of row-scaled A.

All bases of a column space have the same leverage scores. This module therefore finds a
``transform`` T (d x k) for which U = diag(scale) A T has orthonormal columns; then σ_i = |u_i|². U
is never stored: its row scale_i a_i T is computed where it is needed.

The method for T decides the accuracy. κ is the condition number of the columns at unit norm.

* *One pass*: T = R⁻¹, upper triangular, from the Cholesky factor of the Gram matrix. Errors grow
  like ε κ².
* *Two passes* (CholeskyQR2; Yamamoto, Nakatsukasa, Yanagisawa and Fukaya, 2015): T from the pivoted
  factor, then a second factor, for A T. Errors grow like ε κ as long as κ² ε is well below 1.
* *QR*: Householder QR with column pivoting on rows sorted by norm, which is row-wise backward
  stable (Cox and Higham, 1998). Errors grow like ε κ for any κ, and the pivots decide the rank. If
  the rows may not be copied, they go block by block into a triangle, which is then factored with
  pivoting: this is backward stable by columns, errors grow like ε κ, memory is O(d²).
* *Basic columns*: some columns depend on others up to rounding (indicators of all levels of several
  factors). The others take one or two passes, after a check on the rows that the dependence holds.

The first pass gives an estimate of κ, which selects the method.
"""
import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.linalg

from levinv import _tolerances
from levinv._kernels import factor
from levinv._parallel import aside
from levinv._tolerances import (
    EPS,
    ROUNDING_FACTOR,
    SQUARABLE,
    TINY,
)
from levinv._typing import Booleans, Floats, Integers
from levinv.forward.cholesky import (
    close_norm_bound,
    norm_bound,
    triangular_inverse_factor,
)
from levinv.storage.blocked import Rows

# Largest condition number at which two Cholesky factorisations (CholeskyQR2) decide. The first
# leaves columns that are orthonormal to ε κ², which must be well below 1.
TWO_PASS_CONDITION = 1.0 / math.sqrt(ROUNDING_FACTOR * EPS)
# Replaces ONE_PASS_CONDITION for independent columns that were chosen among dependent ones. The κ
# of all columns may then be close to 1, so that ε κ² must not exceed ROUNDING_FACTOR ε.
INDEPENDENT_CONDITION = math.sqrt(ROUNDING_FACTOR)

Pivots: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.int64]       # LAPACK's integers


@dataclass(frozen=True)
class Basis:
    """U = diag(scale) A transform has orthonormal columns (see :func:`orthonormal_basis`)."""

    transform: Floats            # (d, k)
    condition: float             # estimate of κ, within a factor √k
    method: str                  # "cholesky" | "cholesky2" | "basic columns" | "qr"
    scores: Floats | None        # |u_i|², if the factorisation gives them at no cost (QR)
    doubt: str = ""              # reason why method="cholesky" may be inaccurate here, or ""
    well_conditioned: bool = False     # diag(scale) A C is well conditioned and its squares are
                                       # accurate: Gram matrices and forms may be computed in its
                                       # columns, without the transform
    # Pivots that decided the rank, relative to the largest: the smallest kept and the largest
    # dropped (nan if no column was dropped).
    pivots: tuple[float, float] | None = None


def orthonormal_basis(rows: Rows, scale: Floats | None = None, columns: Floats | None = None, *,
                      method: str = "auto", rcond: float | None = None, gram: Floats | None = None,
                      one_pass_condition: float = _tolerances.ONE_PASS_CONDITION) -> Basis:
    """A basis of the range of diag(scale) A C.

    The row scale (n,), at most about 1, leaves a row out where it is 0. C = ``columns`` (d, k)
    combines the columns of A; None stands for the identity. The method "cholesky" never uses QR;
    ``doubt`` of the result says where it may be inaccurate. Columns count as dependent below
    ``rcond`` times the largest pivot of the QR (default max(n, d) ε); 0 keeps every column with a
    nonzero pivot. ``gram`` (k, k) is the Gram matrix, if it is known, and ``one_pass_condition``
    the largest condition number for one pass.
    """
    found = None
    if method != "qr" or (rows if columns is None else columns).shape[1] == 0:
        found = basis_by_gram(rows, scale, columns, method=method, rcond=rcond, gram=gram,
                              one_pass_condition=one_pass_condition)
    return _qr(rows, scale, columns, rcond) if found is None else found


def basis_by_gram(rows: Rows, scale: Floats | None = None, columns: Floats | None = None, *,
                  method: str = "auto", rcond: float | None = None, gram: Floats | None = None,
                  one_pass_condition: float = _tolerances.ONE_PASS_CONDITION) -> Basis | None:
    """:func:`orthonormal_basis` from Gram matrices; None if it needs a QR factorisation."""
    k = rows.shape[1] if columns is None else columns.shape[1]
    if k == 0:
        return Basis(np.zeros((rows.shape[1], 0)), 1.0, "cholesky", np.zeros(rows.shape[0]))
    if gram is None:
        gram = rows.gram(scale, columns)
    if rcond is None or rcond == 0:
        found = one_pass_basis(gram.copy(), columns, one_pass_condition, rows.workers)
        if found is not None:
            return found
    if columns is None and not accurate_squares(np.diag(gram)):
        largest = rows.column_max()
        if not accurate_squares(np.diag(gram)[largest > 0]):
            columns = np.diag(column_units(largest))
            gram = rows.gram(scale, columns)
    first, rank, condition = _gram_factor(gram.copy())
    # The least pivot of a QR is at least 1 / condition, which is known within a factor 2.
    doubtful = (rank < k or (rcond is not None and 2.0 * rcond * condition > 1.0)
                or not accurate_squares(np.diag(gram)))
    if not doubtful and norm_bound(condition, k) <= one_pass_condition:
        return Basis(_combine(columns, first), condition, "cholesky", None)
    if method == "cholesky" or not (doubtful or condition > TWO_PASS_CONDITION):
        transform = _combine(columns, first)
        second, second_rank, _ = _gram_factor(rows.gram(scale, transform))
        if rank == second_rank == k:
            doubt = (f"condition number about {condition:.1e}"
                     if condition > TWO_PASS_CONDITION else "")
            return Basis(transform @ second, condition, "cholesky2", None, doubt)
    if method == "cholesky":
        doubt = f"numerical rank of the Gram matrix {rank} of {k}"
        transform = _combine(columns, _truncated_cholesky(rows.gram(scale, columns)))
        return Basis(np.ascontiguousarray(transform), np.inf, "cholesky", None, doubt)
    if 0 < rank < k and rcond != 0:
        return _basic_columns(rows, scale, columns, rcond, gram)
    return None


def accurate_squares(squares: Floats) -> bool:
    """Whether sums of squares kept their precision: no square over- or underflowed."""
    return bool(squares.max(initial=1.0) < SQUARABLE ** -2
                and squares.min(initial=1.0) > SQUARABLE ** 2)


def _gram_factor(gram: Floats) -> tuple[Floats, int, float]:
    return aside(lambda: factor.gram_inverse_factor(gram, len(gram) * EPS), len(gram) ** 3)


def one_pass_basis(gram: Floats, columns: Floats | None,
                   largest_condition: float = _tolerances.ONE_PASS_CONDITION,
                   workers: int = 1) -> Basis | None:
    """The basis that a well-conditioned Gram matrix gives, or None. The matrix is overwritten."""
    diagonal = np.diag(gram).copy()
    transform, condition = triangular_inverse_factor(gram, workers)
    bound = norm_bound(condition, len(gram))
    # The closer bound is at least the square root of the mean of fourth powers.
    if bound > largest_condition and condition ** 2 <= largest_condition ** 2 * len(gram) ** 0.5:
        bound = close_norm_bound(transform, diagonal, condition, workers)
    if bound <= largest_condition:
        return Basis(_combine(columns, transform), condition, "cholesky", None,
                     well_conditioned=True)
    return None


def _basic_columns(rows: Rows, scale: Floats | None, columns: Floats | None, rcond: float | None,
                   gram: Floats) -> Basis | None:
    """A basis from independent columns, if the others depend on them beyond doubt; or None.

    The Gram matrix chooses the independent columns. The others, at unit norm, are projected onto
    the orthogonal complement of these. What remains is computed from the rows, accurate to ε κ, and
    must be below ``rcond``, as the pivot of a QR would have to be.
    """
    n, k = rows.shape[0], len(gram)
    rcond = max(n, rows.shape[1]) * EPS if rcond is None else rcond
    norms = np.sqrt(np.diag(gram))
    unit = 1.0 / np.where(norms > 0, norms, 1.0)
    r, pivots, rank, _ = scipy.linalg.lapack.dpstrf(gram * unit[:, None] * unit, tol=k * EPS)
    basic, others = pivots[:rank] - 1, pivots[rank:] - 1
    if n * len(others) > min(rows.copy_limit, n * k // 2):
        return None
    inverse = scipy.linalg.solve_triangular(r[:rank, :rank], np.eye(rank), check_finite=False)
    condition = float(np.linalg.norm(inverse))
    if not condition <= TWO_PASS_CONDITION:
        return None
    transform = np.zeros((k, rank))
    transform[basic] = unit[basic, None] * inverse
    transform = np.ascontiguousarray(_combine(columns, transform))
    if norm_bound(condition, rank) > INDEPENDENT_CONDITION:
        second, full, _ = _gram_factor(rows.gram(scale, transform))
        if full < rank:
            return None
        transform = transform @ second
    rest = np.zeros((k, len(others)))
    rest[others, np.arange(len(others))] = unit[others]
    rest = _combine(columns, rest)
    weight = np.ones(n) if scale is None else scale
    for _ in range(3):                      # two are enough; the third measures the rest
        image = rows.matvec(rest) * weight[:, None]
        largest = np.linalg.norm(image, axis=0).max(initial=0.0)
        if largest <= rcond:
            return Basis(transform, condition, "basic columns", None,
                         pivots=(1.0 / condition, float(largest)))
        rest = rest - transform @ (transform.T @ rows.rmatvec(image * weight[:, None]))
    return None


def column_units(largest: Floats) -> Floats:
    """Powers of two that bring columns to ordinary size, (d,): exact factors.

    ``largest`` holds the largest absolute entry of each column, which becomes at least 1/2 and
    less than 1. Subnormal entries, whose factor would overflow, become as large as possible.
    """
    return np.ldexp(1.0, np.minimum(-np.frexp(largest)[1], np.finfo(float).maxexp - 2))


def _combine(columns: Floats | None, transform: Floats) -> Floats:
    return transform if columns is None else columns @ transform


def _truncated_cholesky(gram: Floats) -> Floats:
    """Eigenvectors of the scaled Gram matrix whose eigenvalues are above rounding."""
    if not np.isfinite(gram).all():
        raise ValueError("A must not have entries whose squares overflow with method='cholesky' "
                         "(choose other units, or method='qr')")
    norms = np.sqrt(np.maximum(np.diag(gram), 0.0))
    norms[norms == 0] = 1.0
    values, vectors = scipy.linalg.eigh(gram / np.outer(norms, norms))
    kept = values > len(values) * EPS * max(values[-1], 0.0)
    transform: Floats = vectors[:, kept] / np.sqrt(values[kept]) / norms[:, None]
    return transform


def _qr(rows: Rows, scale: Floats | None, columns: Floats | None, rcond: float | None) -> Basis:
    n, d = rows.shape
    if columns is None:
        columns = np.diag(column_units(rows.column_max()))
    rcond = max(n, d) * EPS if rcond is None else rcond
    if n * columns.shape[1] > rows.copy_limit:
        return _streamed_qr(rows, scale, columns, rcond)
    matrix, order, norms = _sorted_rows(rows, scale, columns)
    if rcond > 0:                       # the rank of columns at unit norm is wanted
        norms = np.abs(matrix).max(axis=0, initial=0.0)
        norms[norms == 0] = 1.0
        norms *= np.linalg.norm(matrix / norms, axis=0)
        norms[norms == 0] = 1.0
    matrix /= norms
    r, pivots = _pivoted_qr(matrix)
    transform, condition, sizes = _read_triangle(r, pivots, norms, rcond)
    rank = transform.shape[1]
    scores = np.empty(n)
    scores[order] = np.einsum("ij,ij->i", matrix[:, :rank], matrix[:, :rank])
    return Basis(np.ascontiguousarray(columns @ transform), condition, "qr", scores, pivots=sizes)


def _streamed_qr(rows: Rows, scale: Floats | None, columns: Floats, rcond: float) -> Basis:
    """The QR without a copy of the rows, in O(block k + k²) memory."""
    used = None if scale is None else (scale > 0).astype(float)
    squares = np.diag(rows.gram(used, columns))
    norms = np.sqrt(np.where(squares > 0, squares, 1.0))
    r, pivots = _pivoted_qr(np.asfortranarray(rows.triangle(scale, columns) / norms))
    transform, condition, sizes = _read_triangle(r, pivots, norms, rcond)
    return Basis(np.ascontiguousarray(columns @ transform), condition, "qr", None, pivots=sizes)


def _pivoted_qr(matrix: Floats) -> tuple[Floats, Pivots]:
    """R and the order of the columns. The orthogonal factor replaces the matrix."""
    r, pivots, info = aside(lambda: factor.pivoted_qr(matrix), 2 * matrix.size * matrix.shape[1])
    if info != 0:
        raise np.linalg.LinAlgError(f"QR failed: LAPACK returned info = {info}")
    return r, pivots


def _read_triangle(r: Floats, pivots: Pivots, norms: Floats,
                   rcond: float) -> tuple[Floats, float, tuple[float, float]]:
    """The transform, its condition, the last pivot kept and the first one dropped."""
    pivot_sizes = np.abs(np.diag(r))
    rank = int(np.count_nonzero(pivot_sizes > rcond * pivot_sizes[0]))
    basic = pivots[:rank]
    # The diagonal is kept apart, since products of very large and very small pivots overflow.
    diagonal = np.diag(r)[:rank]
    inverse = scipy.linalg.solve_triangular(r[:rank, :rank] / diagonal[:, None], np.eye(rank),
                                            unit_diagonal=True, check_finite=False) / diagonal
    transform = np.zeros((r.shape[1], rank))
    transform[basic] = inverse / norms[basic, None]
    with np.errstate(over="ignore"):
        condition = float(np.abs(inverse).max() * np.sqrt(rank)) if rank else 1.0
    kept, dropped = (float(pivot_sizes[i] / pivot_sizes[0]) if 0 <= i < len(pivot_sizes) and rank
                     else np.nan for i in (rank - 1, rank))
    return transform, condition, (kept, dropped)


def _sorted_rows(rows: Rows, scale: Floats | None,
                 columns: Floats) -> tuple[Floats, Integers, Floats]:
    """diag(scale) A C with rows by decreasing norm, column-major; the order; the norms of its
    columns.

    The norms are those of the unscaled rows: if one row dominates a column, pivoting must see it.
    """
    n, k = rows.shape[0], columns.shape[1]
    matrix = np.empty((n, k), order="F")
    # The bound prevents products inf · 0.
    lengths = np.minimum(np.sqrt(rows.quad(None, columns)), 1.0 / TINY)
    order = np.argsort(-(lengths if scale is None else lengths * scale), kind="stable")
    step = max(1, _tolerances.PASS_ENTRIES // max(rows.shape[1], 1))
    squares = np.zeros(k)
    for first in range(0, n, step):
        index = order[first:first + step]
        block = rows.block(index) @ columns
        used = block if scale is None else block[scale[index] > 0]
        squares += np.einsum("ij,ij->j", used, used)
        if scale is not None:
            block *= scale[index, None]
        matrix[first:first + step] = block
    return matrix, order, np.sqrt(np.where(squares > 0, squares, 1.0))


def column_space(rows: Rows, active: Booleans | None = None, *,
                 rcond: float | None = None) -> Basis:
    """A basis of the range of diag(1/|a_i|) A over the active rows; its width is the rank of A.

    ``active`` is None or a boolean (n,). The ranks of row-scaled matrices are decided here and
    nowhere else: scaling rows by nonzero numbers does not change the rank, so the rows are taken at
    unit norm.
    """
    norms = rows.row_norms()
    unit = reciprocal_norms(norms if active is None else np.where(active, norms, 0.0))
    return orthonormal_basis(rows, unit, rcond=rcond)


def independent_columns(rows: Rows, active: Booleans | None = None, *,
                        rcond: float | None = None) -> Floats:
    """Independent columns of A, at ordinary size: (d, rank) with one nonzero entry in a column.

    The columns are not combined, so that entries over many orders of magnitude keep their accuracy.
    The scores of scaled rows are as accurate as the scaled columns are well conditioned.
    """
    with np.errstate(over="ignore"):               # only the pattern of the transform matters
        transform = column_space(rows, active, rcond=rcond).transform
    return uncombined(rows, transform)


def uncombined(rows: Rows, transform: Floats) -> Floats:
    """The columns of A that a transform combines, at ordinary size."""
    basic = np.flatnonzero(transform.any(axis=1))
    columns = np.zeros_like(transform)
    columns[basic, np.arange(len(basic))] = 1.0 / rows.column_max()[basic]
    return columns


def reciprocal_norms(norms: Floats, least: float = TINY) -> Floats:
    """1/norms of rows, 0 for 0. Raises ValueError for a nonzero row of norm ``least`` or less."""
    kept = norms > 0
    unit = 1.0 / np.where(kept, np.maximum(norms, least), 1.0)
    unit[~kept] = 0.0
    if unit.max() >= 1.0 / least:
        row = int(np.argmax(unit))
        raise ValueError(f"A must have no nonzero row of norm {least:.0e} or less (choose other "
                         f"units), got {norms[row]:.3g} in row {row}")
    return unit
