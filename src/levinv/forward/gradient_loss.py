"""The objective of 2408.11267 as a function of x, with exact derivatives.

    𝓛(x) = ½ |r|² + ½ |diag(rho) A x|²,    r = ∇V(x) - g,

where V is the volumetric barrier (levinv.forward.barrier). With H = ∇²V(x) and C = the third
derivative of V contracted with r, a d x d matrix,

    ∇𝓛  = H r + Aᵀ diag(rho²) A x,
    ∇²𝓛 = H² + C + Aᵀ diag(rho²) A.

C is the derivative of H = Fᵀ (2 L + (c/2) diag(σ)) F + ½ Aᵀ diag(e∘σ) A along r, where F =
diag(-τ'/2) A and τ'' = c (τ'/2)² + e (levinv.weighting.protocol). At first let e = 0, as for the
weights |s|^(-4/c), and for exp(s) with c = 0. With q = F r and D = diag(q), moving x along r moves

    F               by -(c/2) D F,
    the log weights by -2 q,
    σ               by -2 L q = 2 z, z = (Q - diag(σ)) q,
    L               by -2 T(q), T(q) = 2 P∘(P D P) - (D Q + Q D) - diag(z).

Collected, with DQ + QD = 2 diag(σ∘q) - (D L + L D),

    C = Fᵀ [(4 + c) (diag(z + (2 - c/2) σ∘q) - (D L + L D)) - 8 P∘(P D P)] F.

With e, and a = A r, F moves by another -½ diag(e∘a) A and e by (τ''' - c² (τ'/2)³) a, which adds

    -(Aᵀ diag(e∘a) L F + Fᵀ L diag(e∘a) A) + Aᵀ diag(e∘z + ½ σ∘a∘(τ''' - c² (τ'/2)³)) A.

(Either c or e is 0, so that no product of the two appears.)

For w = 1/s², c = 2. (One row, one column: V = -log s, σ, Q and P are 1, L and z are 0, and
C = -2 q/s² = -2 r/s³, the third derivative.)

With U orthonormal, range(U) = range(B), and K_y = Uᵀ diag(y) U, the last term times p has entries
8 u_iᵀ K_p K_q u_i, so that a product C v takes three Gram matrices and three quadratic forms. For C
itself, with K_j = K_y for column y = F e_j, [Fᵀ (P∘(P D P)) F]_jm = tr(K_j K_m K_q).
"""
from __future__ import annotations

import functools

import numpy as np

from levinv import _validate
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.barrier import BarrierPoint, FullRankMap
from levinv.forward.score_loss import half_square_sum
from levinv.weighting.names import WeightingLike


class GradientLossPoint:
    """𝓛 and its derivatives at one point. It keeps n-vectors and d x d matrices, nothing larger."""

    def __init__(self, point: BarrierPoint, target: Floats):
        self.barrier, self.projection = point, point.projection
        self.residual = point.gradient() - target
        self.image = point.push(self.residual)
        self._third: tuple[Floats, Floats] | None = None
        self._ratio = point.weights.ratio

    def gradient(self) -> Floats:
        """H r."""
        barrier = self.barrier
        out = barrier.pull(barrier.middle(self.image))
        return (out if barrier.extra is None
                else out + barrier.rows.rmatvec(barrier.extra * self._moved))

    def product(self, v: Floats) -> Floats:
        """(H² + C) v."""
        rows = self.barrier.rows
        fitted = rows.matvec(v)
        p = self.barrier.times_slope(fitted)
        diagonal, form = self._third_parts()
        image, projection = self.image, self.projection
        joined = projection.weighted_gram(p) @ form
        curved = self._quad(joined + joined.T)
        flow = projection.laplacian(p)
        out = (4.0 + self._ratio) * (diagonal * p + image * flow
                                     + projection.laplacian(image * p)) - 4.0 * curved
        if self._extra is None:
            out += self.barrier.middle(self.barrier.push(self.barrier.pull(self.barrier.middle(p))))
            return self.barrier.pull(out)
        cross, square = self._extra
        out += projection.laplacian(cross * fitted)
        return (self.barrier.pull(out) + rows.rmatvec(cross * flow + square * fitted)
                + self.barrier.product(self.barrier.product(v)))

    def hessian(self) -> Floats:
        """H² + C, (d, d)."""
        projection, image, ratio = self.projection, self.image, self._ratio
        rows, extra = self.barrier.rows, self._extra
        scaled = self.barrier.scaled_rows()
        diagonal, form = self._third_parts()
        moved = projection.laplacian(scaled)
        hessian = scaled.T @ (0.5 * ratio * projection.scores[:, None] * scaled - 2.0 * moved)
        if self.barrier.extra is not None:
            hessian += rows.gram(None, None, self.barrier.extra)
        cross = (image[:, None] * scaled).T @ moved
        out = hessian @ hessian + (4.0 + ratio) * (scaled.T @ (diagonal[:, None] * scaled)
                                                   + cross + cross.T)
        if extra is not None:
            mixed = rows.rmatvec(extra[0][:, None] * moved)
            out += mixed + mixed.T + rows.gram(None, None, extra[1])
        moments = projection.rows.moments(projection.scale, projection.transform, scaled)
        basis = projection.heavy_basis
        moments += np.einsum("ia,im,ib->abm", basis, scaled[projection.heavy], basis, optimize=True)
        k, d = moments.shape[1:]
        joined = np.tensordot(form, moments, axes=(1, 0)).reshape(k * k, d)
        out -= 8.0 * (moments.transpose(1, 0, 2).reshape(k * k, d).T @ joined)
        return 0.5 * (out + out.T)

    @functools.cached_property
    def _moved(self) -> Floats:
        """a = A r, (n,)."""
        return self.barrier.rows.matvec(self.residual)

    @functools.cached_property
    def _extra(self) -> tuple[Floats, Floats] | None:
        """e∘a, and the diagonal of the last form of C; None without e."""
        weights, moved = self.barrier.weights, self._moved
        remainder, third = weights.remainder, weights.third
        if remainder is None or third is None:
            return None
        flow = self.projection.laplacian(self.image)
        return remainder * moved, remainder * flow + 0.5 * self.projection.scores * moved * third

    def _third_parts(self) -> tuple[Floats, Floats]:
        """z + (2 - c/2) σ∘q, and K_q."""
        if self._third is None:
            share = (2.0 - 0.5 * self._ratio) * self.projection.scores
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
    sigma; with another weighting it is Jeffreys' penalty.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
        Real, of full column rank. A zero row has no effect.
    b : (n,) array_like or None
        Right-hand side: the slack is A x - b. With a weighting, None stands for 0 or -offset.
    g : (d,) array_like
        The target: any finite numbers.
    ridge : float or (n,) array_like
        rho, the paper's w: at least 0.
    weighting, offset, prior_weights : optional
        The weights of the rows, as in :class:`LeverageMap`.

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, A not of full column rank, a negative
        ridge, an unknown weighting.
    TypeError
        Complex, object or string input; sparse input other than A.

    See Also
    --------
    VolumetricBarrier, JeffreysPenalty : V and its derivatives
    invert_gradient : the minimiser in a cell

    Notes
    -----
    Works with SciPy's minimisers:
    ``minimize(loss.fun, x0, jac=loss.grad, hess=loss.hess)`` or ``hessp=loss.hessp``. Without a
    ridge its only stationary points on a cell are solutions of ∇V(x) = g, as ∇²V is positive
    definite. ``fun`` is inf at a zero slack and finite again in the neighbouring cell.

    ``fun``, ``grad`` and ``hessp`` cost O(n d²), ``hess`` O(n d³). The last point is remembered.
    Methods raise ValueError in the same cases as those of :class:`VolumetricBarrier` and
    :class:`JeffreysPenalty`. ``hess`` and ``hessp`` need a third derivative of the log weight: they
    raise it for links of a family that have none here.

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

    def __init__(self, A: MatrixLike, b: VectorLike | None, g: VectorLike, *,
                 ridge: VectorLike = 0.0, weighting: WeightingLike = None,
                 offset: VectorLike | None = None, prior_weights: VectorLike | None = None):
        self._map = FullRankMap(A, b, weighting, prior_weights, offset,
                                "barrier" if weighting is None else "penalty")
        self._target = self._map.scores.coefficients(g, "g")
        self._ridge = _validate.nonnegative(ridge, "ridge", self._map.shape[0], "row of A",
                                            self._map.scores.axes.rows)
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
            residual = self._map.finite(self._at(x, 1).residual)
            out = 0.5 * float(residual @ residual)
            if self._ridge_hessian is not None:
                shrunk = self._ridge * self._fitted(x)
                out += half_square_sum(shrunk)
        return out

    def grad(self, x: VectorLike) -> Floats:
        """∇L(x), (d,)."""
        point = self._at(x, 2)
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            out = point.gradient()
            if self._ridge_hessian is not None:
                out = out + self._map.rows.rmatvec(self._ridge ** 2 * self._fitted(x))
            return self._map.finite(out)

    def fun_and_grad(self, x: VectorLike) -> tuple[float, Floats]:
        """(L(x), ∇L(x)), for ``minimize(..., jac=True)``."""
        return self.fun(x), self.grad(x)

    def hess(self, x: VectorLike) -> Floats:
        """∇²L(x), (d, d)."""
        point = self._at(x, 3)
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            out = point.hessian()
        return self._map.finite(out if self._ridge_hessian is None else out + self._ridge_hessian)

    def hessp(self, x: VectorLike, p: VectorLike) -> Floats:
        """∇²L(x) p, (d,), matrix-free: O(n d²)."""
        point = self._at(x, 3)
        p = self._map.scores.coefficients(p, "p")
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            out = point.product(p)
        return self._map.finite(out if self._ridge_hessian is None
                                else out + self._ridge_hessian @ p)

    def _fitted(self, x: VectorLike) -> Floats:
        return self._map.rows.matvec(self._map.scores.coefficients(x))

    def _at(self, x: VectorLike, order: int) -> GradientLossPoint:
        point = self._map.at(x, order)
        last = self._last
        if last is None or last.projection is not point.projection:
            with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
                last = self._last = GradientLossPoint(point, self._target)
        return last
