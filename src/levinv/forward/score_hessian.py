"""Second derivatives of the loss ½|sigma(x) - c|².

With B = diag(1/s) A, P its projection, Q = P∘P, r = sigma - c, D_y = diag(y), and W = (Q - D_sigma)
B (source: 2404.13785, Lemma C.3, corrected: the paper prints sigma for r in the second-order
terms),

    H = JᵀJ + sum_i r_i ∇²sigma_i = 4 WᵀW + Bᵀ G B,
    G = 8 P∘(P D_r P) - 6 D_{Qr} - 4 (D_r Q + Q D_r) + 6 D_{r∘sigma}.

Row by row it is D_{i,1} + ... + D_{i,6}, the paper's decomposition (``terms``). It is run in one of
two exact forms. With U an orthonormal basis and K_y = Uᵀ D_y U, the entry of P D_r P at (i, l) is
u_iᵀ K_r u_l, so that off the diagonal G_il = P_il (8 u_iᵀ K_r u_l - 4 (r_i + r_l) P_il): *short*,
by blocks of rows of P, about 4 n² (k + d) flops. And with the third moments S_j = sum_l B_lj u_l
u_lᵀ, (QB)_ij = u_iᵀ S_j u_i and [Bᵀ (P∘P D_r P) B]_jm = tr(S_j S_m K_r): *tall*, 2 n k² d flops.

On the diagonal everything cancels near a zero slack. With z = (Q - D_sigma) r, which the projection
computes without cancellation, it simplifies to G_ii = 2 (4 sigma_i - 3) z_i: eliminate (Qr)_i =
z_i + r_i sigma_i from 8 sigma_i (Qr)_i - 6 (Qr)_i - 8 r_i sigma_i² + 6 r_i sigma_i. Heavy rows (see
levinv.forward.projection) get their rows of P and G explicitly; there are at most k of them.

A product with a vector takes three Gram matrices and two quadratic forms: with p = B v, Qp its
first form and y = 4 (Qp - sigma∘p),

    H v = Bᵀ ((Q - D_sigma) y + G p),
    (G p)_i = u_iᵀ (4 (K_p K_r + K_r K_p) - 4 K_{r∘p}) u_i - 4 r_i (Qp)_i + 6 (r∘sigma - Qr)_i p_i,

and the forms of K_y and of G are taken together. (Heavy rows take one of each more.)
"""
from collections.abc import Iterable

import numpy as np

from levinv._kernels import hessian
from levinv._typing import Floats
from levinv.forward.projection import Projection
from levinv.storage import Rows


class ScoreHessian:
    """The Hessian at one point; n-vectors and k x k matrices are kept, nothing larger.

    Parameters
    ----------
    rows : the rows of A
    projection : Projection
    slack : (n,) array
    residual : (n,) array
        sigma - c.
    """

    def __init__(self, rows: Rows, projection: Projection, slack: Floats, residual: Floats):
        self.rows, self.projection, self.residual = rows, projection, residual
        self.inverse_slack = np.divide(1.0, slack, out=np.zeros_like(slack), where=slack != 0)
        self.light_inverse = self.inverse_slack.copy()
        self.light_inverse[projection.heavy] = 0.0
        self.form = projection.weighted_gram(residual)
        self.flow = projection.laplacian(residual)
        scores = projection.scores
        self.diagonal = 2.0 * (4.0 * scores - 3.0) * self.flow
        # 6 (r∘sigma - Qr), the part of the diagonal that stands outside the products of the tall
        # form
        self.outside = -6.0 * self.flow

    def hessian(self) -> Floats:
        """H, (d, d)."""
        n, d = self.rows.shape
        k = self.projection.rank
        # measured: benchmarks/benchmarks/hessian.py, Forms
        if 5 * n * (k + d) <= 4 * k * k * d:
            out = self._short()
        else:
            out = self._tall()
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
        packed = rows.third_moments(projection.scale, projection.transform, self.light_inverse)
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
                                          self.light_inverse, doubled, projection.scores,
                                          self.residual, self.outside)
        out += square - 4.0 * (cross + cross.T)
        if len(heavy):
            image = np.einsum("ia,abj,ib->ij", basis, moments, basis, optimize=True)
            image += projection.heavy_laplacian() @ scaled
            out += 4.0 * image.T @ image
            mixed, light = self._heavy_products(with_light_residual=False)
            joined = rows.rmatvec(self.light_inverse[:, None] * light) @ scaled
            out += joined + joined.T + scaled.T @ mixed @ scaled
        return out

    def product(self, v: Floats) -> Floats:
        """H v, (d,)."""
        projection, rows, residual = self.projection, self.rows, self.residual
        heavy = projection.heavy
        p = rows.matvec(v)
        p *= self.inverse_slack
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
        out *= self.inverse_slack
        return rows.rmatvec(out)

    def terms(self, row: int | None = None, zero: Iterable[int] = ()) -> Floats:
        """The six terms D_{i,1} ... D_{i,6}, (6, d, d): of one row, or summed over all; of rows
        ``zero``, whose slack stands for zero, the sum of the terms in the place of the fourth.
        """
        d = self.rows.shape[1]
        out = np.zeros((6, d, d))
        if not self.projection.rank:
            return out
        first, last = (0, self.rows.shape[0]) if row is None else (row, row + 1)
        u, scaled = self.projection.basis(), self._scaled_rows()
        limits = [i for i in zero if first <= i < last]
        for start, stop in zip([first, *(i + 1 for i in limits)], [*limits, last], strict=True):
            for place in range(start, stop, ROWS_PER_CALL):
                hessian.row_terms(u, scaled, self.projection.scores, self.residual, place,
                                  min(place + ROWS_PER_CALL, stop), out)
        for i in limits:
            image = np.sqrt(self.projection.complement()[i]) * scaled[i]
            out[3] -= 2.0 * self.residual[i] * np.outer(image, image)
        return out

    def _scaled_rows(self) -> Floats:
        """B, (n, d)."""
        return self.rows.scaled(self.inverse_slack)

    def _heavy_rows(self) -> Floats:
        heavy = self.projection.heavy
        return self.rows.block(heavy) * self.inverse_slack[heavy, None]

    def _heavy_products(self, with_light_residual: bool) -> tuple[Floats, Floats]:
        """G at the heavy rows, (h, h), and between light and heavy ones, (n, h).

        The latter without the part -4 r_l P_il² of its light row l, unless asked for.
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


ROWS_PER_CALL = 64
