"""An orthonormal basis of the column space of row-scaled A, applied and never stored.

Leverage scores are those of any basis of the same column space, so the one thing to compute is a
``transform`` T (d x k) such that U = diag(scale) A T has orthonormal columns; row i of U is
scale_i a_i T, formed where it is needed. Then sigma_i = |u_i|².

How T is found decides the accuracy (κ is the condition number after columns are scaled to unit
norm):

* *one pass*: T = R⁻¹, upper triangular, from the Cholesky factor of the Gram matrix; errors grow
  like ε κ²;
* *two passes* (CholeskyQR2; Yamamoto, Nakatsukasa, Yanagisawa and Fukaya, 2015): T from the pivoted
  factor and the same again on A T; errors like ε κ as long as κ² ε is well below 1;
* *QR*: Householder with column pivoting on rows sorted by norm, row-wise backward stable (Cox and
  Higham, 1998); errors like ε κ throughout; it also decides the rank. Sparse rows of which no
  dense copy is wanted are sorted likewise and go into a triangle block by block, and the triangle
  is factored with pivoting: backward stable by columns, errors like ε κ again, memory O(d²);
* *basic columns*: where columns depend on others to rounding (indicators of all levels of several
  factors) one or two passes on the others, once it is verified on the rows that they do.

The first pass gives an estimate of κ and with it the choice.
"""
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from levinv._kernels import factor
from levinv._parallel import aside
from levinv._typing import Booleans, Floats, Integers
from levinv.storage import Rows

EPS = np.finfo(float).eps
ONE_PASS_CONDITION = 64.0       # ε κ² against the promised 100 ε κ
ONE_PASS_BASIC = 10.0           # the same for some of the columns: κ of all may be next to 1
SAFE_SQUARE = 1e280
LARGEST_LENGTH = 1e300         # of rows in their order: the square of longer ones may be inf
TINY = 1e-306                   # rows of a smaller norm may have no reciprocal
REFINEMENTS = 4                 # of the residuals of dependent columns, and their last computation
RCOND_IN_DOUBT = 1e-2           # rcond times the estimate of κ: closer to 1, only QR's pivots
                                # decide
TWO_PASS_CONDITION = 5e6        # ε κ² stays below 1/100: the second Gram matrix is close to I


@dataclass(frozen=True)
class Basis:
    """U = diag(scale) A transform has orthonormal columns."""

    transform: Floats            # (d, k)
    condition: float             # estimate of κ, within a factor sqrt(k)
    method: str                  # "cholesky" | "cholesky2" | "basic columns" | "qr"
    scores: Floats | None        # |u_i|² where the factorisation gives them at no cost (QR)
    doubt: str = ""              # why it cannot be accurate, with method="cholesky" beyond its
                                 # reach
    plain: bool = False          # diag(scale) A start itself is well conditioned, and its columns
                                 # of ordinary size: sums and forms may be taken in them
    # the smallest kept and the largest dropped (nan if none), relative to the largest, where pivots
    # decided the rank
    pivots: tuple[float, float] | None = None


def orthonormal_basis(rows: Rows, scale: Floats | None = None, start: Floats | None = None, *,
                   method: str = "auto", rcond: float | None = None,
                   gram: Floats | None = None,
                   one_pass_condition: float = ONE_PASS_CONDITION) -> Basis:
    """Find the transform for diag(scale) A start.

    Parameters
    ----------
    rows : the rows of A, shape (n, d)
    scale : (n,) array or None
        Nonnegative row scale, at most about 1; a zero leaves the row out.
    start : (d, k) array or None
        Columns to combine; None stands for the identity.
    method : "auto" | "cholesky" | "qr"
        "cholesky" never falls back to QR; where it cannot be accurate the result says so.
    rcond : float or None
        Columns are dropped as dependent below ``rcond`` times the largest pivot of the QR
        (default max(n, d) ε); 0 keeps every column with a nonzero pivot.
    gram : (k, k) array or None
        The Gram matrix, if it is known.
    one_pass_condition : float
        Largest condition number that one pass is trusted with.
    """
    found = None
    if method != "qr" or (rows if start is None else start).shape[1] == 0:
        found = basis_by_gram(rows, scale, start, method=method, rcond=rcond, gram=gram,
                                       one_pass_condition=one_pass_condition)
    return _qr(rows, scale, start, rcond) if found is None else found


def basis_by_gram(rows: Rows, scale: Floats | None = None, start: Floats | None = None, *,
                           method: str = "auto", rcond: float | None = None,
                           gram: Floats | None = None,
                           one_pass_condition: float = ONE_PASS_CONDITION
                           ) -> Basis | None:
    """The same from Gram matrices; None where they cannot tell and a QR is needed."""
    k = rows.shape[1] if start is None else start.shape[1]
    if k == 0:
        return Basis(np.zeros((rows.shape[1], 0)), 1.0, "cholesky",
                               np.zeros(rows.shape[0]))
    if gram is None:
        gram = rows.gram(scale, start)
    if rcond is None or rcond == 0:
        found = one_pass(gram.copy(), start, one_pass_condition)
        if found is not None:
            return found
    sizes = np.diag(gram)
    if start is None and not (sizes.max() < SAFE_SQUARE and sizes.min() > 1.0 / SAFE_SQUARE):
        used = sizes[rows.column_max() > 0]
        if not np.all((used < SAFE_SQUARE) & (used > 1.0 / SAFE_SQUARE)):
            start = _column_units(rows)              # squares of the entries may over- or underflow
            gram = rows.gram(scale, start)
    first, rank, condition = _gram_factor(gram.copy())
    sizes = np.diag(gram)                        # sums of squares that are denormal are inaccurate
    doubtful = (rank < k or (rcond is not None and rcond * condition > RCOND_IN_DOUBT)
                or not (sizes.max() < SAFE_SQUARE and sizes.min() > 1.0 / SAFE_SQUARE))
    if not doubtful and _largest_stretch(condition, k) <= one_pass_condition:
        return Basis(_combine(start, first), condition, "cholesky", None)
    if method == "cholesky" or not (doubtful or condition > TWO_PASS_CONDITION):
        transform = _combine(start, first)
        second, second_rank, _ = _gram_factor(rows.gram(scale, transform))
        if rank == second_rank == k:
            doubt = (f"condition number about {condition:.1e}" if condition > TWO_PASS_CONDITION
                     else "")
            return Basis(transform @ second, condition, "cholesky2", None, doubt)
    if method == "cholesky":
        doubt = f"numerical rank of the Gram matrix {rank} of {k}"
        transform = _combine(start, _truncated_cholesky(rows.gram(scale, start)))
        return Basis(np.ascontiguousarray(transform), np.inf, "cholesky", None, doubt)
    return _basic_columns(rows, scale, start, rcond, gram) if 0 < rank < k and rcond != 0 else None


def _gram_factor(gram: Floats) -> tuple[Floats, int, float]:
    return aside(lambda: factor.gram_inverse_factor(gram, len(gram) * EPS), len(gram) ** 3)


def one_pass(gram: Floats, start: Floats | None,
             largest_condition: float = ONE_PASS_CONDITION) -> Basis | None:
    """What a Gram matrix, which is overwritten, gives where it is well conditioned; or None."""
    transform, condition = aside(lambda: factor.triangular_inverse_factor(gram), len(gram) ** 3)
    if _largest_stretch(condition, len(gram)) <= largest_condition:
        return Basis(_combine(start, transform), condition, "cholesky", None, plain=True)
    return None


def _largest_stretch(condition: float, k: int) -> float:
    """A bound of |R⁻¹|, which errors grow with, from its Frobenius norm, which is at least √k: the
    k squared singular values of R sum to k, hence the k - 1 largest of their inverses leave out at
    least (k - 1)²/k.
    """
    return math.sqrt(max(condition ** 2 - k + 2.0, 1.0))


def _basic_columns(rows: Rows, scale: Floats | None, start: Floats | None, rcond: float | None,
                   gram: Floats) -> Basis | None:
    """Independent columns alone, where the others depend on them beyond doubt; None otherwise.

    The Gram matrix chooses the columns. What is left of each of the others, of norm 1, once its
    projection onto the chosen ones is taken away, is computed from the rows, accurate to ε κ: it
    must be below ``rcond``, as the pivot of a QR would have to be.
    """
    n, k = rows.shape[0], len(gram)
    rcond = max(n, rows.shape[1]) * EPS if rcond is None else rcond
    sizes = np.sqrt(np.diag(gram))
    unit = 1.0 / np.where(sizes > 0, sizes, 1.0)
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
    transform = np.ascontiguousarray(_combine(start, transform))
    if _largest_stretch(condition, rank) > ONE_PASS_BASIC:
        second, full, _ = _gram_factor(rows.gram(scale, transform))
        if full < rank:
            return None
        transform = transform @ second
    left = np.zeros((k, len(others)))
    left[others, np.arange(len(others))] = unit[others]
    left = _combine(start, left)
    weight = np.ones(n) if scale is None else scale
    for _ in range(REFINEMENTS):
        image = rows.matvec(left) * weight[:, None]
        largest = np.linalg.norm(image, axis=0).max(initial=0.0)
        if largest <= rcond:
            return Basis(transform, condition, "basic columns", None,
                                   pivots=(1.0 / condition, float(largest)))
        left = left - transform @ (transform.T @ rows.rmatvec(image * weight[:, None]))
    return None


def _column_units(rows: Rows) -> Floats:
    """A diagonal start that brings the largest entry of each column to 1."""
    units = rows.column_max()
    return np.diag(1.0 / np.where(units > 0, units, 1.0))


def _combine(start: Floats | None, transform: Floats) -> Floats:
    return transform if start is None else start @ transform


def _truncated_cholesky(gram: Floats) -> Floats:
    """Eigenvectors of the scaled Gram matrix above rounding: what a Gram matrix can still tell."""
    if not np.isfinite(gram).all():
        raise ValueError("A must not have entries whose squares overflow with method='cholesky' "
                         "(choose other units, or method='qr')")
    column_scale = np.sqrt(np.maximum(np.diag(gram), 0.0))
    column_scale[column_scale == 0] = 1.0
    values, vectors = scipy.linalg.eigh(gram / np.outer(column_scale, column_scale))
    kept = values > len(values) * EPS * max(values[-1], 0.0)
    transform: Floats = vectors[:, kept] / np.sqrt(values[kept]) / column_scale[:, None]
    return transform


def _qr(rows: Rows, scale: Floats | None, start: Floats | None,
        rcond: float | None) -> Basis:
    n, d = rows.shape
    if start is None:
        start = _column_units(rows)
    rcond = max(n, d) * EPS if rcond is None else rcond
    if n * start.shape[1] > rows.copy_limit:
        return _streamed_qr(rows, scale, start, rcond)
    matrix, order, norms = _sorted_rows(rows, scale, start)
    if rcond > 0:                       # the rank is asked for: that of columns of unit norm
        norms = np.abs(matrix).max(axis=0, initial=0.0)
        norms[norms == 0] = 1.0
        norms *= np.linalg.norm(matrix / norms, axis=0)
        norms[norms == 0] = 1.0
    matrix /= norms
    r, pivots, info = aside(lambda: factor.pivoted_qr(matrix), 2 * matrix.size * len(matrix.T))
    if info != 0:
        raise np.linalg.LinAlgError(f"QR failed: LAPACK returned info = {info}")
    transform, condition, sizes = _read_triangle(r, pivots, norms, rcond)
    rank = transform.shape[1]
    scores = np.empty(n)
    scores[order] = np.einsum("ij,ij->i", matrix[:, :rank], matrix[:, :rank])
    return Basis(np.ascontiguousarray(start @ transform), condition, "qr", scores,
                           pivots=sizes)


def _streamed_qr(rows: Rows, scale: Floats | None, start: Floats,
                 rcond: float) -> Basis:
    """The same without a copy of the rows: they go into a triangle a block at a time, and the
    triangle is factored with column pivoting. Memory O(block k + k²).
    """
    used = None if scale is None else (scale > 0).astype(float)
    squares = np.diag(rows.gram(used, start))
    norms = np.sqrt(np.where(squares > 0, squares, 1.0))
    triangle = np.asfortranarray(rows.triangle(scale, start) / norms)
    r, pivots, info = aside(lambda: factor.pivoted_qr(triangle),
                            2 * triangle.size * len(triangle))
    if info != 0:
        raise np.linalg.LinAlgError(f"QR failed: LAPACK returned info = {info}")
    transform, condition, sizes = _read_triangle(r, pivots, norms, rcond)
    return Basis(np.ascontiguousarray(start @ transform), condition, "qr", None,
                           pivots=sizes)


def _read_triangle(r: Floats, pivots: npt.NDArray[np.int32] | npt.NDArray[np.int64],
                   norms: Floats, rcond: float) -> tuple[Floats, float, tuple[float, float]]:
    """The transform of the independent columns, scaled by 1/``norms``, its condition, and the last
    pivot kept and the first dropped.
    """
    pivot_sizes = np.abs(np.diag(r))
    rank = int(np.count_nonzero(pivot_sizes > rcond * pivot_sizes[0]))
    basic = pivots[:rank]
    diagonal = np.diag(r)[:rank]          # apart, as products of very large and small ones overflow
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
                 start: Floats) -> tuple[Floats, Integers, Floats]:
    """diag(scale) A start with rows by decreasing norm, column-major; the order; the norms of the
    columns.

    The norms are those of the rows as they are, unscaled: pivoting must see a dominating row
    dominate.
    """
    n, k = rows.shape[0], start.shape[1]
    matrix = np.empty((n, k), order="F")
    lengths = np.minimum(np.sqrt(rows.quad(None, start)), LARGEST_LENGTH)
    order = np.argsort(-(lengths if scale is None else lengths * scale), kind="stable")
    step = max(1, (1 << 20) // max(rows.shape[1], 1))
    squares = np.zeros(k)
    for first in range(0, n, step):
        index = order[first:first + step]
        block = rows.block(index) @ start
        used = block if scale is None else block[scale[index] > 0]
        squares += np.einsum("ij,ij->j", used, used)
        if scale is not None:
            block *= scale[index, None]
        matrix[first:first + step] = block
    return matrix, order, np.sqrt(np.where(squares > 0, squares, 1.0))


def column_space(rows: Rows, active: Booleans | None = None, *,
                 rcond: float | None = None) -> Basis:
    """A transform with diag(1/|a_i|) A transform orthonormal over the active rows; its width is the
    rank.

    ``active`` is None or a boolean (n,). Where rows will be scaled, the rank is decided here and
    nowhere else: scaling by nonzero numbers does not change it, so that rows are taken at unit
    norm.
    """
    norms = rows.row_norms()
    unit = reciprocal_norms(norms if active is None else np.where(active, norms, 0.0))
    return orthonormal_basis(rows, unit, rcond=rcond)


def independent_columns(rows: Rows, active: Booleans | None = None, *,
                        rcond: float | None = None) -> Floats:
    """Independent columns of A, brought to ordinary size: (d, rank) with one entry in a column.

    Not combined: rows over many orders stay as exact as they are, and the scores of scaled rows
    as exact as these are well conditioned, whatever A is.
    """
    with np.errstate(over="ignore"):                       # which entries are zero is all it takes
        transform = column_space(rows, active, rcond=rcond).transform
    return uncombined(rows, transform)


def uncombined(rows: Rows, transform: Floats) -> Floats:
    """The columns that a transform combines."""
    basic = np.flatnonzero(transform.any(axis=1))          # the others depend on these
    start = np.zeros_like(transform)
    start[basic, np.arange(len(basic))] = 1.0 / rows.column_max()[basic]
    return start


def reciprocal_norms(norms: Floats, least: float = TINY) -> Floats:
    """1/norms of rows, 0 for 0.

    Raises
    ------
    ValueError
        If a row's norm is ``least`` or less: it may have no reciprocal that can be used.
    """
    kept = norms > 0
    unit = 1.0 / np.where(kept, np.maximum(norms, least), 1.0)
    unit[~kept] = 0.0
    if unit.max() >= 1.0 / least:
        row = int(np.argmax(unit))
        raise ValueError(f"A must have no nonzero row of norm {least:.0e} or less (choose other "
                         f"units), got {norms[row]:.3g} in row {row}")
    return unit
