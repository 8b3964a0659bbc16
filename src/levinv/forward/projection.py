"""The second of levinv's two maps: from the weights of the rows to the leverage scores.

The rows of A have weights w_i = exp(t_i). B = diag(√w) A, and P = B (BᵀB)⁻¹ Bᵀ is the projection
onto its range. A weighting (levinv.weighting) makes the log weights t from the slack; this module
receives the weights, up to a common factor, as magnitudes m = 1/√w. For w = 1/s², m = |s|.

With U (n x k) orthonormal and range(U) = range(B): P = U Uᵀ, σ_i = |u_i|², and for Q = P∘P

    (Q y)_i = u_iᵀ K_y u_i,   K_y = Uᵀ diag(y) U.

With f(t) = log det Aᵀ diag(exp t) A, ∇f = σ and ∇²f = L = diag(σ) - Q, a graph Laplacian. Every
derivative and every inversion of the scores contains L: (L y)_i = σ_i y_i - (Q y)_i. If the weight
of a row is very large (its slack is close to zero), this difference cancels: σ_i = 1 - O(m_i²),
while y_i may be as large as 1/m_i. Such *heavy rows* are therefore eliminated. Let H be the rows
with 1 - σ_i < min(1e-3, 1/(4k)). (The sum of their scores is within 1/4 of their number, so that
P_HH is far from singular; in the other rows few digits cancel.) Let ρ be the ratio of their
magnitudes to the smallest magnitude of the other rows, the light rows, which are denoted by 2. With

    N a basis of null(A_H),  W a right inverse, A_H W = I,
    U_2 = B_2 N (...)        the orthonormal basis of the light rows *modulo* the heavy ones,
    F~ = (I - U_2 U_2ᵀ) B_2 W,   F = F~ diag(ρ),   I + FᵀF = R Rᵀ,

the columns of [I; F] R⁻ᵀ (heavy rows on top) and [0; U_2] are an orthonormal basis of range(B).
Hence

    P_HH = (I + FᵀF)⁻¹,    1 - σ_H = diag(FᵀF (I + FᵀF)⁻¹),    P_H2 = (I + FᵀF)⁻¹ Fᵀ,

each to full relative accuracy for any ρ > 0. At ρ = 0, an infinite weight, this is the continuous
limit: the row has score 1, and the other rows have the scores of the quotient by it. The limit
exists if the rows of infinite weight are independent. Only weightings with a pole, like 1/s², have
such rows.
"""
import functools
import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from levinv import _tolerances
from levinv._kernels import points
from levinv._tolerances import EPS, TINY
from levinv._typing import Booleans, Floats, Integers
from levinv.forward.basis import orthonormal_basis
from levinv.forward.cholesky import norm_bound
from levinv.forward.quotient import DependentZeroSlackError, balanced, quotient, scaled, spanned
from levinv.storage.blocked import Rows


@dataclass(frozen=True)
class Projection:
    """P for given magnitudes m. Immutable; built by :func:`project`."""

    rows: Rows
    scale: Floats                # (n,) smallest_slack / m; 0 in heavy rows
    smallest_slack: float        # smallest m of the light rows
    transform: Floats            # (d, k) of U, light rows: U = diag(scale) A transform
    steps: Floats                # (d, k), invertible if A has full rank: but for rounding,
                                 # U = diag(smallest_slack / m) A steps in all rows
    heavy: Integers              # (h,) indices
    heavy_basis: Floats          # (h, k) heavy rows of U
    heavy_defect: Floats         # (h, h) I - P_HH
    scores: Floats               # (n,)
    in_own_columns: bool = False     # Gram matrices and forms are computed in A's own columns,
                                     # without the transform
    compiled: bool = False           # the rows are small, no row is heavy, and the transform is
                                     # upper triangular

    @property
    def rank(self) -> int:
        return int(self.transform.shape[1])

    @property
    def complete(self) -> bool:
        """Whether every heavy row was eliminated."""
        kept = np.delete(self.scores, self.heavy)
        return bool(kept.max(initial=0.0) <= 1.0 - heavy_below(self.rank))

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
        """-L y = (Q - diag(σ)) y for y of shape (n,) or (n, m).

        A vector takes one Gram matrix and one quadratic form. Many columns share the products u_a
        u_b (about n k² m flops) or, in short and wide problems, blocks of rows of P (2 n² (k + m)).
        """
        heavy, basis = self.heavy, self.heavy_basis
        heavy_part: Floats | None = None
        if self.compiled and self.rows.small is not None and y.ndim == 1:
            out = np.empty(len(y))
            points.laplacian(self.rows.small, self.scale, self.transform, self.in_own_columns,
                             self.scores, np.ascontiguousarray(y), out)
            return out
        if y.ndim == 1:
            form = self._light_gram(y)
            if len(heavy):
                heavy_part = np.einsum("ia,ab,ib->i", basis, form, basis)
                form += basis.T @ (y[heavy, None] * basis)
            out = self.quad(form)
            out -= self.scores * y
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
            step = max(1, _tolerances.PASS_ENTRIES // y.shape[1])
            for first in range(0, len(y), step):             # no second array of this size
                part = slice(first, first + step)
                out[part] -= self.scores[part, None] * y[part]
        if heavy_part is not None:
            out[heavy] = heavy_part + self.heavy_laplacian() @ y[heavy]
        return out

    def weighted_gram(self, y: Floats) -> Floats:
        """K_y = Uᵀ diag(y) U, (k, k)."""
        light, basis = self._light_gram(y), self.heavy_basis
        return light + basis.T @ (y[self.heavy, None] * basis) if len(basis) else light

    def _light_gram(self, y: Floats) -> Floats:
        """The part of K_y from the light rows."""
        if self.in_own_columns:
            return self.transform.T @ self.rows.gram(self.scale, None, y) @ self.transform
        return self.rows.gram(self.scale, self.transform, y)

    def quad(self, form: Floats) -> Floats:
        """u_iᵀ form u_i, (n,): 0 in heavy rows."""
        if self.in_own_columns:
            return self.rows.quad(self.scale, None, self.transform @ form @ self.transform.T)
        return self.rows.quad(self.scale, self.transform, form)

    def squared_form(self, row_scale: Floats, directions: Floats | None = None) -> Floats:
        """Aᵀ D Q D A with D = diag(row_scale), 0 in heavy rows, for A or A ``directions``: (d, d).

        It is the sum over a, b of T_abᵀ T_ab with T_ab = sum_l u_la u_lb D_l a_l, which takes no
        n x d array.
        """
        moments = self.rows.third_moments(self.scale, self.transform, row_scale)
        if directions is not None:
            moments = moments @ directions
        upper = np.triu_indices(self.rank)
        twice = np.where(upper[0] == upper[1], 1.0, 2.0)[:, None]
        return moments.T @ (twice * moments)

    def is_long(self, columns: int) -> bool:
        """Whether sums over u_a u_b take less time than blocks of rows of P."""
        return self.rows.shape[0] * (self.rank + columns) >= self.rank ** 2 * columns

    def heavy_laplacian(self) -> Floats:
        """The heavy block of Q - diag(σ): off-diagonal squares, -σ_i (1 - σ_i) on the diagonal."""
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
    """smallest / magnitude, which is at most 1, or 0 if a row is left out; and the smallest."""
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


def project(rows: Rows, magnitude: Floats, columns: Floats | None = None,
            left_out: Booleans | None = None, *, rough: bool = False) -> Projection:
    """The projection for rows divided by magnitudes m = 1/√w (n,), for w = 1/s² those of the slack.

    A zero magnitude stands for the continuous limit; if such rows are linearly dependent, this
    raises DependentZeroSlackError. Rows ``left_out`` (loops) are ignored. Over the rows kept, A C
    is a basis of the column space for C = ``columns`` (d, k); None stands for A's own columns,
    which then have full rank and are of ordinary size.

    Iterations need a few digits of derivatives and of 1 - σ only. If ``rough``, their errors are
    about ε κ² (1e-12 after one pass over the rows), and fewer rows are eliminated, since an
    elimination costs as much as four evaluations of the scores.
    """
    compiled = compiled_projection(rows, magnitude, columns, left_out, rough)
    if compiled is not None:
        return compiled
    d = rows.shape[1]
    if magnitude.all():
        heavy = np.zeros(0, dtype=int)
    else:
        zero = magnitude == 0
        heavy = np.flatnonzero(zero if left_out is None else zero & ~left_out)
    k = d if columns is None else columns.shape[1]
    if not len(heavy):
        scale, smallest = row_scale(magnitude, left_out)
        found = orthonormal_basis(rows, scale, columns, rcond=0.0)
        scores = found.scores if found.scores is not None else rows.quad(scale, found.transform)
        # 1 - σ loses at most half of its digits if rough, which iterations tolerate, else three
        if scores.max() > 1.0 - (math.sqrt(EPS) if rough else heavy_below(k)):
            heavy = np.flatnonzero(scores > 1.0 - heavy_below(k))
            try:
                return _eliminate(rows, magnitude, columns, left_out, heavy)
            except DependentZeroSlackError:          # the scores are too inaccurate for this
                heavy = heavy[:0]
        width = found.transform.shape[1]
        own = (columns is None and found.well_conditioned
               and (rough or found.condition <= _tolerances.OWN_FORMS_CONDITION * np.sqrt(k)))
        return Projection(rows, scale, smallest, found.transform, found.transform, heavy,
                          np.zeros((0, width)), np.zeros((0, 0)), scores, in_own_columns=own)
    return _eliminate(rows, magnitude, columns, left_out, heavy)


def compiled_projection(rows: Rows, magnitude: Floats, columns: Floats | None,
                        left_out: Booleans | None, rough: bool = False) -> Projection | None:
    """:func:`project` of a small problem by a kernel; None if one pass is not enough there."""
    A = rows.small
    if A is None or columns is not None or left_out is not None:
        return None
    n, k = A.shape
    scale, scores, transform = np.empty(n), np.empty(n), np.empty((k, k))
    smallest, condition, largest = points.project(A, magnitude, scale, transform, scores)
    return _of_kernel(rows, scale, transform, scores, smallest, condition, largest, rough)


def projection_at(rows: Rows, x: Floats, b: Floats | None,
                  slack: Floats) -> tuple[bool, Projection | None]:
    """``slack`` <- A x - b, 0 where that is below every normal double; whether it is finite; and
    :func:`compiled_projection` for its absolute values. The rows have to be ``small``.
    """
    assert rows.small is not None
    n, k = rows.shape
    scale, scores, transform = np.empty(n), np.empty(n), np.empty((k, k))
    smallest, condition, largest, finite = points.at(rows.small, x, b, slack, scale, transform,
                                                     scores)
    return finite, _of_kernel(rows, scale, transform, scores, smallest, condition, largest)


def _of_kernel(rows: Rows, scale: Floats, transform: Floats, scores: Floats, smallest: float,
               condition: float, largest: float, rough: bool = False) -> Projection | None:
    k = len(transform)
    if (not norm_bound(condition, k) <= _tolerances.ONE_PASS_CONDITION
            or largest > 1.0 - (math.sqrt(EPS) if rough else heavy_below(k))):
        return None
    own = rough or condition <= _tolerances.OWN_FORMS_CONDITION * math.sqrt(k)
    return Projection(rows, scale, smallest, transform, transform, np.empty(0, dtype=int),
                      np.empty((0, k)), np.empty((0, 0)), scores, own, True)


rough_projection = functools.partial(project, rough=True)


def heavy_below(k: int) -> float:
    """Rows with a smaller 1 - σ are heavy."""
    return min(_tolerances.HEAVY_COMPLEMENT, 0.25 / max(k, 1))


def _eliminate(rows: Rows, magnitude: Floats, columns: Floats | None,
               left_out: Booleans | None, heavy: Integers) -> Projection:
    """The projection with heavy rows eliminated, and with them the rows that are heavy in the
    quotient by rows of zero magnitude.
    """
    k = rows.shape[1] if columns is None else columns.shape[1]
    light_out = np.zeros(rows.shape[0], dtype=bool) if left_out is None else left_out.copy()
    light_out[heavy] = True
    scale, smallest = row_scale(magnitude, light_out)
    columns = balanced(rows, scale, heavy, columns)
    null, right_inverse, norms = quotient(rows, heavy, columns)
    zero = magnitude[heavy] == 0
    if zero.any():
        beside = null if zero.all() else quotient(rows, heavy[zero], columns)[0]
        scale[spanned(rows, beside)] = 0.0
        light_out |= scale == 0
    found = orthonormal_basis(rows, scale, null, rcond=0.0)
    light_scores = found.scores if found.scores is not None else rows.quad(scale, found.transform)
    more = np.flatnonzero((light_scores > 1.0 - heavy_below(k)) & ~light_out)
    if len(more):
        try:
            return _eliminate(rows, magnitude, columns, left_out,
                              np.sort(np.append(heavy, more)))
        except DependentZeroSlackError:
            pass
    joint, middle, length, rounding = _complement(rows, scale, found.transform, heavy,
                                                  right_inverse, norms)
    return _joined(rows, scale, smallest, heavy, found.transform, joint, middle,
                   magnitude[heavy] / smallest * (length / norms), rounding)


def _complement(rows: Rows, scale: Floats, light: Floats, heavy: Integers, right_inverse: Floats,
                norms: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """F~ with columns divided by ``length``, from a right inverse of A_H with rows at unit norm.

    Returns its transform (d, h), F~ᵀF~, the lengths (h,), and bounds of the rounding errors of the
    norms of its columns (h,).
    """
    m = light.shape[1]
    image = scaled(scale, rows.matvec(right_inverse))
    length = np.abs(image).max(axis=0)           # without it, squares may over- or underflow
    length[length <= TINY * np.maximum(np.abs(right_inverse).max(axis=0), 1.0)] = 1.0
    right_inverse = right_inverse / length
    errors = np.abs(rows.block(heavy) / norms[:, None]) @ np.abs(right_inverse)  # of A_H W, over ε
    joint = np.hstack([light, right_inverse])
    terms = np.abs(right_inverse)
    for _ in range(2):       # twice is enough (Parlett, The Symmetric Eigenvalue Problem, 6.9)
        gram = rows.gram(scale, joint)
        joint[:, m:] -= light @ gram[:m, m:]
        terms += np.abs(light) @ np.abs(gram[:m, m:])
    with np.errstate(over="ignore", invalid="ignore"):       # in rows that take no part
        product = rows.abs_matvec(terms)
    rounding = EPS * np.linalg.norm(scaled(scale, product) + np.abs(image) @ errors, axis=0)
    return joint[:, m:], gram[m:, m:] - gram[:m, m:].T @ gram[:m, m:], length, rounding


def _joined(rows: Rows, scale: Floats, smallest: float, heavy: Integers, light: Floats,
            complement: Floats, middle: Floats, whole: Floats, rounding: Floats) -> Projection:
    """The projection from the light rows' basis and F = F~ diag(ρ), where ``complement`` is the
    transform of F~, ``middle`` is F~ᵀF~, and ``whole`` is ρ.
    """
    h, m = len(heavy), light.shape[1]
    # A row that is heavy for any magnitude (a coloop) has F = 0. Its computed F is a rounding error
    # and must not be multiplied by a huge magnitude.
    size = np.sqrt(np.maximum(np.diag(middle), 0.0))
    noisy = (size <= _tolerances.ROUNDING_FACTOR * rounding) | (whole * size > 1.0)
    ratio = np.where(noisy, 0.0, whole)
    weighted = ratio[:, None] * middle * ratio
    lower = np.linalg.cholesky(np.eye(h) + weighted)
    inverse = scipy.linalg.solve_triangular(lower, np.eye(h), lower=True, check_finite=False)
    # FᵀF (I + FᵀF)⁻¹ with the ratios outside, so that tiny ones keep their relative accuracy.
    defect = ratio[:, None] * np.linalg.solve(np.eye(h) + middle * ratio ** 2, middle) * ratio
    defect = 0.5 * (defect + defect.T)
    transform = np.ascontiguousarray(np.hstack([complement @ (ratio[:, None] * inverse.T), light]))
    steps = transform.copy()
    steps[:, :h] = complement @ (whole[:, None] * inverse.T)
    basis = np.hstack([inverse.T, np.zeros((h, m))])
    scores = rows.quad(scale, transform)
    scores[heavy] = 1.0 - np.diag(defect)
    return Projection(rows, scale, smallest, transform, steps, heavy, basis, defect, scores)
