"""The projection P = B (BᵀB)⁻¹ Bᵀ of slack-scaled rows B = diag(1/s) A, through an orthonormal
basis.

With U (n x k) orthonormal and range(U) = range(B): P = U Uᵀ, sigma_i = |u_i|², and for Q = P∘P

    (Q y)_i = u_iᵀ K_y u_i,   K_y = Uᵀ diag(y) U.

Everything that is differentiated or inverted contains Q - diag(sigma), minus a graph Laplacian,
that is (Q y)_i - sigma_i y_i. In a row whose slack is close to zero this cancels: sigma_i = 1 -
O(s_i²), while y_i may be as large as 1/s_i. Such *heavy rows* are therefore eliminated. Let H be
the rows with 1 - sigma_i < min(1e-3, 1/(4k)) (their scores sum to within 1/4 of their number, so
P_HH is far from singular; in other rows few digits cancel) and rho the ratio of their slacks to the
smallest slack of the other rows, L. With

    N a basis of null(A_H),  W a right inverse, A_H W = I,
    U_2 = B_L N (...)        the orthonormal basis of the light rows *modulo* the heavy ones,
    F~ = (I - U_2 U_2ᵀ) B_L W,   F = F~ diag(rho),   I + FᵀF = L Lᵀ,

the columns of [I; F] L⁻ᵀ (heavy rows on top) and [0; U_2] are an orthonormal basis of range(B).
Hence

    P_HH = (I + FᵀF)⁻¹,    1 - sigma_H = diag(FᵀF (I + FᵀF)⁻¹),    P_HL = (I + FᵀF)⁻¹ Fᵀ,

each to full relative accuracy, however small rho is, and rho = 0 is the continuous limit at a zero
slack: the row has score 1 and the others have the scores of the quotient. It exists if the
zero-slack rows are independent.
"""
import functools
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from levinv._typing import Booleans, Floats, Integers
from levinv.forward.basis import EPS, orthonormal_basis
from levinv.storage import Rows

ROWS_AT_ONCE = 4096
SPANNED = 8.0             # rounding, in ε, of a row in the quotient by others that span it
TINY = 1e-306
SHORTEST = 1e-140         # length that rows are balanced to, as part of the longest
REFINEMENTS = 24          # of a quotient, each of which may take ε off what is not yet zero
ROUGHLY_ONE = 1e-7        # least 1 - sigma of rows that rough projections do not eliminate
PLAIN_CONDITION = 2.0     # beyond it, derivatives without the transform lose digits: second ones
                          # were worse than 100 ε κ ten times as often as with it


class DependentZeroSlackError(ValueError):
    """The rows with zero slack are linearly dependent: scores have no limit there."""


@dataclass(frozen=True)
class Projection:
    """P for one slack vector. Immutable; built by :func:`project`."""

    rows: Rows
    scale: Floats                # (n,) unit / |s|; 0 in heavy rows
    unit: float                  # smallest |s| of the light rows
    transform: Floats            # (d, k)
    steps: Floats                # (d, k) invertible at full rank: U = diag(unit / |s|) A steps but
                                 # for rounding
    heavy: Integers              # (h,) indices
    heavy_basis: Floats          # (h, k) their rows of U
    heavy_defect: Floats         # (h, h) I - P_HH
    scores: Floats               # (n,)
    plain: bool = False          # sums and forms may be taken in A's own columns, without the
                                 # transform in between

    @property
    def rank(self) -> int:
        return int(self.transform.shape[1])

    @property
    def complete(self) -> bool:
        """Whether all heavy rows were eliminated."""
        kept = np.delete(self.scores, self.heavy)
        return bool(kept.max(initial=0.0) <= 1.0 - _heavy_below(self.rank))

    def complement(self) -> Floats:
        """1 - sigma, (n,), without cancellation in heavy rows."""
        out = 1.0 - self.scores
        if len(self.heavy):
            out[self.heavy] = np.diag(self.heavy_defect)
        return out

    def residual(self, target: Floats) -> Floats:
        """sigma - target, (n,), without cancellation in heavy rows."""
        out = self.scores - target
        if len(self.heavy):
            out[self.heavy] = (1.0 - target[self.heavy]) - np.diag(self.heavy_defect)
        return out

    def laplacian(self, y: Floats) -> Floats:
        """(Q - diag(sigma)) y for y of shape (n,) or (n, m).

        A vector takes one Gram matrix and one quadratic form. Many columns share the products u_a
        u_b (about n k² m flops) or, in short and wide problems, blocks of rows of P (2 n² (k + m)).
        """
        heavy, basis = self.heavy, self.heavy_basis
        heavy_part: Floats | None = None
        if y.ndim == 1:
            form = self._light_gram(y)
            if len(heavy):
                heavy_part = np.einsum("ia,ab,ib->i", basis, form, basis)
                form += basis.T @ (y[heavy, None] * basis)
            out = self.quad(form)
        else:
            if not self.is_long(y.shape[1]):
                u = self.basis()
                out = self.rows.squares(u, y)
                if len(heavy):
                    u[heavy] = 0.0
                    heavy_part = (basis @ u.T) ** 2 @ y
            else:
                forms = self.rows.moments(self.scale, self.transform, np.ascontiguousarray(y))
                if len(heavy):
                    heavy_part = np.einsum("ia,abm,ib->im", basis, forms, basis, optimize=True)
                    forms += np.einsum("ia,im,ib->abm", basis, y[heavy], basis, optimize=True)
                out = self.rows.contract(self.scale, self.transform, forms)
        for first in range(0, len(y), ROWS_AT_ONCE):         # no second array of this size
            part = slice(first, first + ROWS_AT_ONCE)
            out[part] -= (self.scores[part] * y[part].T).T
        if heavy_part is not None:
            out[heavy] = heavy_part + self.heavy_laplacian() @ y[heavy]
        return out

    def weighted_gram(self, y: Floats) -> Floats:
        """K_y = Uᵀ diag(y) U, (k, k)."""
        light, basis = self._light_gram(y), self.heavy_basis
        return light + basis.T @ (y[self.heavy, None] * basis) if len(basis) else light

    def _light_gram(self, y: Floats) -> Floats:
        """The part of K_y from the light rows."""
        if self.plain:
            return self.transform.T @ self.rows.gram(self.scale, None, y) @ self.transform
        return self.rows.gram(self.scale, self.transform, y)

    def quad(self, form: Floats) -> Floats:
        """u_iᵀ form u_i, (n,): 0 in heavy rows."""
        if self.plain:
            return self.rows.quad(self.scale, None, self.transform @ form @ self.transform.T)
        return self.rows.quad(self.scale, self.transform, form)

    def squared_form(self, row_scale: Floats, directions: Floats | None = None) -> Floats:
        """Aᵀ D Q D A with D = diag(row_scale), 0 in heavy rows, for A or A ``directions``: (d, d),
        in a long matrix without an n x d array.

        It is the sum over a, b of T_abᵀ T_ab with T_ab = sum_l u_la u_lb D_l a_l.
        """
        moments = self.rows.third_moments(self.scale, self.transform, row_scale)
        if directions is not None:
            moments = moments @ directions
        upper = np.triu_indices(self.rank)
        twice = np.where(upper[0] == upper[1], 1.0, 2.0)[:, None]
        return moments.T @ (twice * moments)

    def is_long(self, columns: int) -> bool:
        """Whether sums over u_a u_b take less time than blocks of rows of P would."""
        return self.rows.shape[0] * (self.rank + columns) >= self.rank ** 2 * columns

    def heavy_laplacian(self) -> Floats:
        """The heavy block of Q - diag(sigma): off-diagonal squares, -sigma_i (1 - sigma_i) on the
        diagonal.
        """
        block = self.heavy_defect ** 2
        np.fill_diagonal(block, -self.scores[self.heavy] * np.diag(self.heavy_defect))
        return block

    def basis(self) -> Floats:
        """U itself, (n, k)."""
        u = self.rows.matvec(self.transform)
        u *= self.scale[:, None]
        u[self.heavy] = self.heavy_basis
        return u

    def coordinates(self, y: Floats) -> Floats:
        """Uᵀ y."""
        light = self.transform.T @ self.rows.rmatvec((self.scale * y.T).T)
        return light + self.heavy_basis.T @ y[self.heavy]

    def expand(self, v: Floats) -> Floats:
        """U v."""
        out = self.rows.matvec(self.transform @ v)
        np.multiply(out.T, self.scale, out=out.T)
        out[self.heavy] = self.heavy_basis @ v
        return out


def row_scale(magnitude: Floats, left_out: Booleans | None = None) -> tuple[Floats, float]:
    """smallest / magnitude, 0 where a row is left out: never 1/s², which overflows."""
    if left_out is None or not left_out.any():
        smallest = magnitude.min()
        return smallest / magnitude, smallest
    kept = ~left_out
    scale = np.zeros(len(magnitude))
    if kept.any():
        smallest = magnitude[kept].min()
        scale[kept] = smallest / magnitude[kept]
        return scale, smallest
    return scale, 1.0


def project(rows: Rows, magnitude: Floats, start: Floats | None = None,
            left_out: Booleans | None = None, *, rough: bool = False) -> Projection:
    """The projection of the rows divided by their slack magnitudes.

    Parameters
    ----------
    rows : the rows of A, shape (n, d)
    magnitude : (n,) array, nonnegative
        |s|; zero asks for the continuous limit.
    start : (d, k) array or None
        Columns A start that span the column space independently over the rows kept; None when
        A has full column rank and is not badly conditioned.
    left_out : (n,) boolean array or None
        Rows that take no part (loops).
    rough : bool
        On the way to a solution a few digits of derivatives and of 1 - sigma will do (their errors
        are about ε κ², 1e-12 after one pass over the rows), and fewer rows are eliminated: that
        costs as much as four evaluations of the scores.

    Raises
    ------
    DependentZeroSlackError
        If the rows with zero slack are linearly dependent.
    """
    d = rows.shape[1]
    if magnitude.all():
        heavy = np.zeros(0, dtype=int)
    else:
        zero = magnitude == 0
        heavy = np.flatnonzero(zero if left_out is None else zero & ~left_out)
    k = d if start is None else start.shape[1]
    if not len(heavy):
        scale, smallest = row_scale(magnitude, left_out)
        found = orthonormal_basis(rows, scale, start, rcond=0.0)
        scores = found.scores if found.scores is not None else rows.quad(scale, found.transform)
        if scores.max() > 1.0 - (ROUGHLY_ONE if rough else _heavy_below(k)):
            heavy = np.flatnonzero(scores > 1.0 - _heavy_below(k))
            try:
                return _eliminate(rows, magnitude, start, left_out, heavy)
            except DependentZeroSlackError:          # scores too inaccurate to tell heavy rows
                heavy = heavy[:0]
        width = found.transform.shape[1]
        return Projection(rows, scale, smallest, found.transform, found.transform, heavy,
                          np.zeros((0, width)), np.zeros((0, 0)), scores,
                          plain=(start is None and found.plain
                                 and (rough or found.condition <= PLAIN_CONDITION * np.sqrt(k))))
    return _eliminate(rows, magnitude, start, left_out, heavy)


rough_projection = functools.partial(project, rough=True)


def _heavy_below(k: int) -> float:
    """Rows are heavy whose 1 - sigma is smaller."""
    return min(1e-3, 0.25 / max(k, 1))


def _eliminate(rows: Rows, magnitude: Floats, start: Floats | None,
               left_out: Booleans | None, heavy: Integers) -> Projection:
    """Heavy rows eliminated; rows that are heavy only in the quotient by zero slacks follow."""
    n = rows.shape[0]
    k = rows.shape[1] if start is None else start.shape[1]
    light_out = np.zeros(n, dtype=bool) if left_out is None else left_out.copy()
    light_out[heavy] = True
    scale, smallest = row_scale(magnitude, light_out)
    start = balanced(rows, scale, heavy, start)
    null, right_inverse, norms = quotient(rows, heavy, start)
    zero = magnitude[heavy] == 0
    if zero.any():
        beside = null if zero.all() else quotient(rows, heavy[zero], start)[0]
        scale[spanned(rows, beside)] = 0.0
        light_out |= scale == 0
    found = orthonormal_basis(rows, scale, null, rcond=0.0)
    light_scores = found.scores if found.scores is not None else rows.quad(scale, found.transform)
    more = np.flatnonzero((light_scores > 1.0 - _heavy_below(k)) & ~light_out)
    if len(more):
        try:
            return _eliminate(rows, magnitude, start, left_out, np.sort(np.append(heavy, more)))
        except DependentZeroSlackError:
            pass
    h, m = len(heavy), found.transform.shape[1]
    image = scale[:, None] * rows.matvec(right_inverse)
    length = np.abs(image).max(axis=0)           # squares of F~ as it is may over- or underflow
    length[length <= TINY * np.maximum(np.abs(right_inverse).max(axis=0), 1.0)] = 1.0
    right_inverse /= length
    errors = np.abs(rows.block(heavy) / norms[:, None]) @ np.abs(right_inverse)  # of A_H W, over ε
    joint = np.hstack([found.transform, right_inverse])
    size_of_terms = np.abs(right_inverse)
    for _ in range(2):                       # the second projection removes what rounding left
        gram = rows.gram(scale, joint)
        joint[:, m:] -= found.transform @ gram[:m, m:]
        size_of_terms += np.abs(found.transform) @ np.abs(gram[:m, m:])
    rounding = EPS * np.linalg.norm(scale[:, None] * rows.abs_matvec(size_of_terms)
                                    + np.abs(image) @ errors, axis=0)
    middle = gram[m:, m:] - gram[:m, m:].T @ gram[:m, m:]
    whole = ratio = magnitude[heavy] / smallest * (length / norms)
    # A row that is heavy at any slack (a coloop) has F = 0, of which rounding, times a huge slack,
    # leaves something.
    size = np.sqrt(np.maximum(np.diag(middle), 0.0))
    ratio = np.where((size <= 100 * rounding) | (ratio * size > 1.0), 0.0, whole)
    weighted = ratio[:, None] * middle * ratio
    lower = np.linalg.cholesky(np.eye(h) + weighted)
    inverse = scipy.linalg.solve_triangular(lower, np.eye(h), lower=True, check_finite=False)
    # F'F (I + F'F)^-1 with the ratios outside, so that tiny ones keep their relative accuracy
    defect = ratio[:, None] * np.linalg.solve(np.eye(h) + middle * ratio ** 2, middle) * ratio
    defect = 0.5 * (defect + defect.T)
    transform = np.ascontiguousarray(np.hstack([joint[:, m:] @ (ratio[:, None] * inverse.T),
                                                found.transform]))
    steps = transform.copy()
    steps[:, :h] = joint[:, m:] @ (whole[:, None] * inverse.T)
    basis = np.hstack([inverse.T, np.zeros((h, m))])
    scores = rows.quad(scale, transform)
    scores[heavy] = 1.0 - np.diag(defect)
    return Projection(rows, scale, smallest, transform, steps, heavy, basis, defect, scores)


def balanced(rows: Rows, scale: Floats, heavy: Integers, start: Floats | None = None) -> Floats:
    """Columns of A start in which the scaled light rows, and the heavy ones at the longest one's
    length, are orthonormal: a quotient mixes columns, which in any others may be of very different
    size.
    """
    norms = rows.row_norms()
    norms[norms == 0] = 1.0
    lengths = scale * norms
    lengths /= lengths.max() or 1.0
    lengths = np.where(lengths > 0, np.maximum(lengths, SHORTEST), 0.0)
    lengths[heavy] = 1.0
    weights = lengths / norms
    if start is not None:           # both may undo the units of A: squares must not underflow
        largest = (weights * rows.abs_matvec(np.abs(start).sum(axis=1))).max()
        weights /= max(largest, TINY, TINY * weights.max())
    return orthonormal_basis(rows, weights, start, rcond=0.0).transform


def spanned(rows: Rows, null: Floats) -> Booleans:
    """Rows in the span of those that ``null`` belongs to (see :func:`quotient`), (n,): where these
    have zero slack their scores are 0, and what rounding leaves of them in the quotient is nothing
    that a small slack may magnify.
    """
    terms = rows.abs_matvec(np.abs(null).sum(axis=1))
    unit = 1.0 / np.where(terms > 0, np.maximum(terms, TINY), 1.0)
    rest: Booleans = rows.quad(unit, null) <= (SPANNED * EPS) ** 2
    return rest


def quotient(rows: Rows, index: Integers, start: Floats) -> tuple[Floats, Floats, Floats]:
    """A basis N (d, k - h) of the combinations of columns A start that rows ``index``, A_H, map to
    zero, a right inverse W (d, h) of A_H with rows at unit norm, and these norms.

    Rows elsewhere may be of any weight beside A_H, where what rounding leaves of A_H N and of
    A_H W - I would count: they are brought to ε |A_H| |N| and ε |A_H| |W|, entry by entry.

    Raises
    ------
    DependentZeroSlackError
        If the rows are linearly dependent.
    """
    rows_h = rows.block(index)
    block = rows_h @ start
    norms = np.hypot.reduce(block, axis=1)         # squares may overflow
    safe = np.where(norms > 0, norms, 1.0)
    block /= safe[:, None]
    h, k = block.shape
    if h > k or np.linalg.svd(block, compute_uv=False)[-1] <= 1e3 * k * EPS:
        raise DependentZeroSlackError(index)
    q, r = scipy.linalg.qr(block.T, check_finite=False)
    inverse = scipy.linalg.solve_triangular(r[:h], np.eye(h), trans="T", check_finite=False)
    null, right = start @ q[:, h:], start @ (q[:, :h] @ inverse)
    rows_h /= norms[:, None]
    for part, image in ((right, np.eye(h)), (null, 0.0)):
        for _ in range(REFINEMENTS):
            error = image - rows_h @ part
            if np.all(np.abs(error) <= k * EPS * (np.abs(rows_h) @ np.abs(part))):
                break
            part += right @ error
    return np.ascontiguousarray(null), right, norms
