"""The objective of 2408.11267 as a function of x, with exact derivatives.

    𝓛(x) = ½ |r|² + ½ |diag(rho) A x|²,    r = ∇V(x) - g,

where V is the volumetric barrier (levinv.forward.barrier). With H = ∇²V(x) and C = the third
derivative of V contracted with r, a d x d matrix,

    ∇𝓛  = H r + Aᵀ diag(rho²) A x,
    ∇²𝓛 = H² + C + Aᵀ diag(rho²) A.

C is the derivative of H = Fᵀ (2 L + (c/2) diag(σ)) F along r. Here c = τ''/(τ'/2)² is a constant,
as for the weights |s|^(-4/c), and for exp(s) with c = 0. With q = F r and D = diag(q), moving x
along r moves

    F               by -(c/2) D F,
    the log weights by -2 q,
    σ               by -2 L q = 2 z, z = (Q - diag(σ)) q,
    L               by -2 T(q), T(q) = 2 P∘(P D P) - (D Q + Q D) - diag(z)

(levinv.weighting.protocol). Collected, with DQ + QD = 2 diag(σ∘q) - (D L + L D),

    C = Fᵀ [(4 + c) (diag(z + (2 - c/2) σ∘q) - (D L + L D)) - 8 P∘(P D P)] F.

For w = 1/s², c = 2. (One row, one column: V = -log s, σ, Q and P are 1, L and z are 0, and
C = -2 q/s² = -2 r/s³, the third derivative.)

With U orthonormal, range(U) = range(B), and K_y = Uᵀ diag(y) U, the last term times p has entries
8 u_iᵀ K_p K_q u_i, so that a product C v takes three Gram matrices and three quadratic forms. For C
itself, with K_j = K_y for column y = F e_j, [Fᵀ (P∘(P D P)) F]_jm = tr(K_j K_m K_q).
"""
from __future__ import annotations

import numpy as np

from levinv import _validate
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.barrier import BarrierPoint, FullRankMap, finite
from levinv.forward.score_loss import half_square_sum


class GradientLossPoint:
    """𝓛 and its derivatives at one point. It keeps n-vectors and d x d matrices, nothing larger."""

    def __init__(self, point: BarrierPoint, target: Floats):
        self.barrier, self.projection = point, point.projection
        self.residual = point.gradient() - target
        self.image = point.push(self.residual)
        self._third: tuple[Floats, Floats] | None = None
        self._curvature = point.weighting.curvature(point.slack)

    def gradient(self) -> Floats:
        """H r."""
        return self.barrier.pull(self.barrier.middle(self.image))

    def product(self, v: Floats) -> Floats:
        """(H² + C) v."""
        p = self.barrier.push(v)
        diagonal, form = self._third_parts()
        image, projection = self.image, self.projection
        joined = projection.weighted_gram(p) @ form
        curved = self._quad(joined + joined.T)
        out = (4.0 + self._curvature) * (diagonal * p + image * projection.laplacian(p)
                                         + projection.laplacian(image * p)) - 4.0 * curved
        out += self.barrier.middle(self.barrier.push(self.barrier.pull(self.barrier.middle(p))))
        return self.barrier.pull(out)

    def hessian(self) -> Floats:
        """H² + C, (d, d)."""
        projection, image, curvature = self.projection, self.image, self._curvature
        scaled = self.barrier.scaled_rows()
        diagonal, form = self._third_parts()
        moved = projection.laplacian(scaled)
        hessian = scaled.T @ (0.5 * curvature * projection.scores[:, None] * scaled - 2.0 * moved)
        cross = (image[:, None] * scaled).T @ moved
        out = hessian @ hessian + (4.0 + curvature) * (scaled.T @ (diagonal[:, None] * scaled)
                                                       + cross + cross.T)
        moments = projection.rows.moments(projection.scale, projection.transform, scaled)
        basis = projection.heavy_basis
        moments += np.einsum("ia,im,ib->abm", basis, scaled[projection.heavy], basis, optimize=True)
        k, d = moments.shape[1:]
        joined = np.tensordot(form, moments, axes=(1, 0)).reshape(k * k, d)
        out -= 8.0 * (moments.transpose(1, 0, 2).reshape(k * k, d).T @ joined)
        return 0.5 * (out + out.T)

    def _third_parts(self) -> tuple[Floats, Floats]:
        """z + (2 - c/2) σ∘q, and K_q."""
        if self._third is None:
            share = (2.0 - 0.5 * self._curvature) * self.projection.scores
            self._third = (self.projection.laplacian(self.image) + share * self.image,
                           self.projection.weighted_gram(self.image))
        return self._third

    def _quad(self, form: Floats) -> Floats:
        """u_iᵀ form u_i in all rows, (n,)."""
        basis = self.projection.heavy_basis
        out = self.projection.quad(form)
        out[self.projection.heavy] = np.einsum("ia,ab,ib->i", basis, form, basis)
        return out


class GradientLoss:
    """½|∇V(x) - g|² + ½|diag(rho) A x|², its gradient and its Hessian.

    V is the volumetric barrier, so that ∇V = -Bᵀsigma, B = diag(A x - b)⁻¹ A with leverage scores
    sigma.

    Parameters
    ----------
    A : (n, d) array_like, sparse matrix, stored or dask array
        Real, of full column rank. A zero row has no effect.
    b : (n,) array_like
        Right-hand side: the slack is A x - b.
    g : (d,) array_like
        The target: any finite numbers.
    ridge : float or (n,) array_like
        rho, the paper's w: at least 0.

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, A not of full column rank, a negative
        ridge.
    TypeError
        Complex, object or string input; sparse input other than A.

    See Also
    --------
    VolumetricBarrier : V and its derivatives
    invert_gradient : the minimiser in a cell

    Notes
    -----
    Works with SciPy's minimisers:
    ``minimize(loss.fun, x0, jac=loss.grad, hess=loss.hess)`` or ``hessp=loss.hessp``. Without a
    ridge its only stationary points on a cell are solutions of ∇V(x) = g, as ∇²V is positive
    definite. ``fun`` is inf at a zero slack and finite again in the neighbouring cell.

    ``fun``, ``grad`` and ``hessp`` cost O(n d²), ``hess`` O(n d³). The last point is remembered.
    Methods raise ValueError in the same cases as those of :class:`VolumetricBarrier`.

    References
    ----------
    .. [1] arXiv 2408.11267, the regularised least squares problem of the abstract.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> from levinv import GradientLoss, VolumetricBarrier
    >>> A = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> b = -np.ones(4)
    >>> g = VolumetricBarrier(A, b).grad([0.5, -0.25])
    >>> loss = GradientLoss(A, b, g)
    >>> minimize(loss.fun, [0.0, 0.0], jac=loss.grad, hess=loss.hess,
    ...          method="trust-exact").x.round(6)
    array([ 0.5 , -0.25])
    """

    def __init__(self, A: MatrixLike, b: VectorLike, g: VectorLike, *, ridge: VectorLike = 0.0):
        self._map = FullRankMap(A, b)
        n, d = self._map.shape
        self._target = _validate.vector(g, "g", d, "column of A")
        self._ridge = _validate.nonnegative(ridge, "ridge", n, "row of A")
        self._ridge_hessian: Floats | None = None
        if self._ridge.any():
            with self._map.threads():
                self._ridge_hessian = self._map.rows.gram(None, None, self._ridge ** 2)
        self._last: GradientLossPoint | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of A."""
        return self._map.shape

    def fun(self, x: VectorLike) -> float:
        """L(x); inf at a zero slack."""
        if self._map.touching(x) is not None:
            return np.inf
        with np.errstate(over="ignore", invalid="ignore"):
            residual = finite(self._at(x).residual)
            out = 0.5 * float(residual @ residual)
            if self._ridge_hessian is not None:
                shrunk = self._ridge * self._map.rows.matvec(np.asarray(x, dtype=float))
                out += half_square_sum(shrunk)
        return out

    def grad(self, x: VectorLike) -> Floats:
        """∇L(x), (d,)."""
        point = self._at(x)
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            out = point.gradient()
            if self._ridge_hessian is not None:
                out = out + self._map.rows.rmatvec(
                    self._ridge ** 2 * self._map.rows.matvec(np.asarray(x, dtype=float)))
            return finite(out)

    def fun_and_grad(self, x: VectorLike) -> tuple[float, Floats]:
        """(L(x), ∇L(x)), for ``minimize(..., jac=True)``."""
        return self.fun(x), self.grad(x)

    def hess(self, x: VectorLike) -> Floats:
        """∇²L(x), (d, d)."""
        point = self._at(x)
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            out = point.hessian()
        return finite(out if self._ridge_hessian is None else out + self._ridge_hessian)

    def hessp(self, x: VectorLike, p: VectorLike) -> Floats:
        """∇²L(x) p, (d,), matrix-free: O(n d²)."""
        point = self._at(x)
        p = _validate.vector(p, "p", self.shape[1], "column of A")
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            out = point.product(p)
        return finite(out if self._ridge_hessian is None else out + self._ridge_hessian @ p)

    def _at(self, x: VectorLike) -> GradientLossPoint:
        point = self._map.at(x)
        last = self._last
        if last is None or last.projection is not point.projection:
            with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
                last = self._last = GradientLossPoint(point, self._target)
        return last
