"""Second derivatives of the loss ½|σ(x) - a|²: x determines log weights, and these the scores σ.

With F = diag(-τ'/2) A, τ'' = c (τ'/2)² + e (levinv.weighting.protocol), r = σ - a, P the
projection, Q = P∘P, D_y = diag(y), z = (Q - D_σ) r, and

    T(r) = 2 P∘(P D_r P) - (D_r Q + Q D_r) - D_z,

which is the derivative of diag(σ) - Q along r in the log weights, the Hessian is

    H = Fᵀ (4 (Q - D_σ)² + G) F - Aᵀ D_{e∘z} A,   G = 4 T(r) - c D_z.

For w = 1/s², F = B = diag(1/s) A, c = 2 and e = 0 (source: 2404.13785, Lemma C.3, corrected: the
paper prints σ for r in the second-order terms). Row by row this H is D_{i,1} + ... + D_{i,6}, the
paper's decomposition (``terms``).

Its first part has two exact forms. With U an orthonormal basis and K_y = Uᵀ D_y U, the entry
of P D_r P at (i, l) is u_iᵀ K_r u_l, so that off the diagonal G_il = P_il (8 u_iᵀ K_r u_l -
4 (r_i + r_l) P_il). The *short* form takes blocks of rows of P, about 4 n² (k + d) flops. With the
third moments S_j = sum_l F_lj u_l u_lᵀ, (QF)_ij = u_iᵀ S_j u_i and [Fᵀ (P∘P D_r P) F]_jm =
tr(S_j S_m K_r). The *tall* form computes these: 2 n k² d flops.

On the diagonal the terms cancel near a zero slack. The projection computes z without
cancellation. With (Qr)_i = z_i + r_i σ_i the diagonal simplifies to G_ii = (8 σ_i - 4 - c) z_i.
For the heavy rows (see levinv.forward.projection), at most k, the rows of P and G are explicit.

A product of the first part with a vector takes three Gram matrices and two quadratic forms: with
p = F v, Qp its first form and y = 4 (Qp - σ∘p),

    H v = Fᵀ ((Q - D_σ) y + G p) - Aᵀ (e∘z∘(A v)),
    (G p)_i = u_iᵀ (4 (K_p K_r + K_r K_p) - 4 K_{r∘p}) u_i - 4 r_i (Qp)_i - (4 + c) z_i p_i,

and the forms of K_y and of G are computed together. (Heavy rows take one more of each.)
"""
from collections.abc import Iterable

import numpy as np

from levinv._kernels import hessian
from levinv._tolerances import PASS_ENTRIES
from levinv._typing import Floats
from levinv.forward.log_weights import LogWeights
from levinv.forward.projection import Projection
from levinv.storage.blocked import Rows


class ScoreHessian:
    """The Hessian at one point. It keeps n-vectors and k x k matrices, nothing larger."""

    def __init__(self, rows: Rows, weights: LogWeights, projection: Projection, residual: Floats):
        self.rows, self.projection, self.residual = rows, projection, residual
        self.slope = weights.times_slope(1.0)                  # -τ'/2
        self.light_slope = self.slope.copy()
        self.light_slope[projection.heavy] = 0.0
        self.form = projection.weighted_gram(residual)         # K_r
        flow = projection.laplacian(residual)                  # z
        curvature = 4.0 + weights.ratio
        self.diagonal = (8.0 * projection.scores - curvature) * flow
        # The part of the diagonal that is not among the products of the tall form.
        self.outside = -curvature * flow
        remainder = weights.remainder
        self.extra = None if remainder is None else -remainder * flow       # -e∘z

    def hessian(self) -> Floats:
        """H, (d, d)."""
        n, d = self.rows.shape
        k = self.projection.rank
        # Measured crossover: asv run --bench hessian.Forms.
        if 5 * n * (k + d) <= 4 * k * k * d:
            out = self._short()
        else:
            out = self._tall()
        if self.extra is not None:
            out += self.rows.gram(None, None, self.extra)
        return 0.5 * (out + out.T)

    def _short(self) -> Floats:
        projection = self.projection
        u = projection.basis()
        out = np.zeros((self.rows.shape[1],) * 2)
        square = -projection.scores * projection.complement()
        hessian.short(u, self._scaled_rows(), u @ self.form, self.residual, square, self.diagonal,
                      out)
        return out

    def _tall(self) -> Floats:
        projection, rows = self.projection, self.rows
        d, k = rows.shape[1], projection.rank
        packed = rows.third_moments(projection.scale, projection.transform, self.light_slope)
        upper = np.triu_indices(k)
        moments = np.empty((k, k, d))
        moments[upper] = moments[upper[::-1]] = packed
        flat = moments.reshape(k * k, d)
        turned = (self.form @ moments.reshape(k, k * d)).reshape(k, k, d).transpose(1, 0, 2)
        out = 8.0 * (turned.reshape(k * k, d).T @ flat)
        heavy, basis = projection.heavy, projection.heavy_basis
        doubled = packed
        if len(heavy):
            scaled = self._heavy_rows()
            doubled = packed + (basis[:, upper[0]] * basis[:, upper[1]]).T @ scaled
        doubled *= np.where(upper[0] == upper[1], 1.0, 2.0)[:, None]
        square, cross = rows.tall_hessian(projection.scale, projection.transform,
                                          self.light_slope, doubled, projection.scores,
                                          self.residual, self.outside)
        out += square - 4.0 * (cross + cross.T)
        if len(heavy):
            image = np.einsum("ia,abj,ib->ij", basis, moments, basis, optimize=True)
            image += projection.heavy_laplacian() @ scaled
            out += 4.0 * image.T @ image
            mixed, light = self._heavy_products(with_light_residual=False)
            joined = rows.rmatvec(self.light_slope[:, None] * light) @ scaled
            out += joined + joined.T + scaled.T @ mixed @ scaled
        return out

    def product(self, v: Floats) -> Floats:
        """H v, (d,)."""
        projection, rows, residual = self.projection, self.rows, self.residual
        heavy = projection.heavy
        p = rows.matvec(v)
        extra = None if self.extra is None else rows.rmatvec(self.extra * p)
        p *= self.slope
        form = projection.weighted_gram(p)
        image = projection.quad(form)                      # Qp
        joined = form @ self.form
        joined += joined.T
        joined -= projection.weighted_gram(residual * p)
        joined *= 4.0
        out = self.outside * p - 4.0 * residual * image
        if len(heavy):
            out += projection.quad(joined)
            mixed, light = self._heavy_products(with_light_residual=True)
            out[heavy] = mixed @ p[heavy] + light.T @ np.where(projection.scale > 0, p, 0.0)
            out += 4.0 * projection.laplacian(projection.laplacian(p))
        else:
            image -= projection.scores * p
            image *= 4.0                                   # y
            out += projection.quad(joined + projection.weighted_gram(image))
            out -= projection.scores * image
        out *= self.slope
        return rows.rmatvec(out) if extra is None else rows.rmatvec(out) + extra

    def terms(self, row: int | None = None, zero: Iterable[int] = ()) -> Floats:
        """The six terms D_{i,1} ... D_{i,6} for w = 1/s², (6, d, d), of one row or summed over all.

        In rows ``zero`` a small slack stands for zero. Their terms have no limit, but the sum of
        the six has one, which replaces the fourth term.
        """
        d = self.rows.shape[1]
        out = np.zeros((6, d, d))
        if not self.projection.rank:
            return out
        first, last = (0, self.rows.shape[0]) if row is None else (row, row + 1)
        u, scaled = self.projection.basis(), self._scaled_rows()
        step = max(1, PASS_ENTRIES // scaled.size)             # Ctrl-C works between two calls
        limits = [i for i in zero if first <= i < last]
        for start, stop in zip([first, *(i + 1 for i in limits)], [*limits, last], strict=True):
            for place in range(start, stop, step):
                hessian.row_terms(u, scaled, self.projection.scores, self.residual, place,
                                  min(place + step, stop), out)
        for i in limits:
            image = np.sqrt(self.projection.complement()[i]) * scaled[i]
            out[3] -= 2.0 * self.residual[i] * np.outer(image, image)
        return out

    def _scaled_rows(self) -> Floats:
        """F, (n, d)."""
        return self.rows.scaled(self.slope)

    def _heavy_rows(self) -> Floats:
        heavy = self.projection.heavy
        return self.rows.block(heavy) * self.slope[heavy, None]

    def _heavy_products(self, with_light_residual: bool) -> tuple[Floats, Floats]:
        """G at the heavy rows, (h, h), and between light and heavy ones, (n, h).

        The latter include the part -4 r_l P_il² of light row l only if ``with_light_residual``.
        """
        projection, r = self.projection, self.residual
        heavy, basis = projection.heavy, projection.heavy_basis
        inner = -projection.heavy_defect
        np.fill_diagonal(inner, 0.0)
        curved = basis @ self.form @ basis.T
        mixed = inner * (8.0 * curved - 4.0 * np.add.outer(r[heavy], r[heavy]) * inner)
        np.fill_diagonal(mixed, self.diagonal[heavy])
        light = projection.scale[:, None] * self.rows.matvec(projection.transform @ basis.T)
        curved = (projection.scale[:, None]
                  * self.rows.matvec(projection.transform @ (self.form @ basis.T)))
        weight = r[heavy] + (r[:, None] if with_light_residual else 0.0)
        return mixed, light * (8.0 * curved - 4.0 * weight * light)

