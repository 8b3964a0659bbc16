"""The volumetric barrier V(x) = ½ log det(BᵀB) on a sign cell of x, B = diag(1/s) A, s = A x - b.

With P the projection onto range(B), Q = P∘P, sigma = diag P and p = B v (Vaidya; 2408.11267 inverts
the gradient):

    ∇V  = -Bᵀ sigma
    ∇²V = Bᵀ (3 diag(sigma) - 2 Q) B.

The derivation: d log det M = tr(M⁻¹ dM) with dB = -diag(p) B gives dV = -sigmaᵀp; differentiating
again, d sigma = 2 (Q - diag(sigma)) p (levinv.forward.leverage_map) and dB = -diag(p) B add up to
the Hessian. Since Q is symmetric, entrywise nonnegative and has row sums sigma, 0 ⪯ Q ⪯ diag(sigma)
and

    Bᵀ diag(sigma) B ⪯ ∇²V ⪯ 3 Bᵀ diag(sigma) B:

V is strictly convex on each cell if A has full column rank. The middle is evaluated as
diag(sigma) + 2 (diag(sigma) - Q): the bracket is a graph Laplacian, which the projection applies
without cancellation near a zero slack.

The value needs no determinant of BᵀB: if U = unit·B T is orthonormal, V = -log|det T| -
d log(unit).
"""
from dataclasses import dataclass

import numpy as np

from levinv import _validate
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.basis import orthonormal_basis
from levinv.forward.leverage_map import LeverageMap, divide
from levinv.forward.projection import Projection, row_scale
from levinv.storage import Rows

SAFE_SQUARE = 1e200         # numbers between it and its inverse: no square has over- or underflowed


@dataclass(frozen=True)
class BarrierPoint:
    """V and its derivatives at one point with no zero slack. Immutable."""

    rows: Rows
    slack: Floats                # (n,)
    projection: Projection

    def value(self) -> float:
        """V."""
        projection = self.projection
        transform, unit = projection.transform, projection.smallest_slack
        if len(projection.heavy):           # rows so far apart that only a QR has the determinant
            scale, unit = row_scale(np.abs(self.slack), ~self.rows.nonzero())
            with np.errstate(over="ignore"):
                transform = orthonormal_basis(self.rows, scale, method="qr", rcond=0.0).transform
        columns = np.abs(transform).max(axis=0)          # pivots may have no reciprocal
        if not (columns.all() and np.isfinite(columns).all()):
            return np.inf
        sign, log_size = np.linalg.slogdet(transform / columns)
        if sign == 0:
            return np.inf
        return -float(log_size + np.log(columns).sum()) - projection.rank * float(np.log(unit))

    def gradient(self) -> Floats:
        """∇V, (d,)."""
        return -self.rows.rmatvec(self.divide(self.projection.scores))

    def middle(self, y: Floats) -> Floats:
        """(3 diag(sigma) - 2 Q) y for y of shape (n,) or (n, m)."""
        return (self.projection.scores * y.T).T - 2.0 * self.projection.laplacian(y)

    def product(self, v: Floats) -> Floats:
        """∇²V v, (d,)."""
        return self.pull(self.middle(self.push(v)))

    def hessian(self) -> Floats:
        """∇²V, (d, d)."""
        projection = self.projection
        if projection.is_long(self.rows.shape[1]) and not len(projection.heavy):
            scale = projection.scale
            out = (3.0 * self.rows.gram(scale, None, projection.scores)
                   - 2.0 * projection.squared_form(np.copysign(scale, self.slack)))
            if 1.0 / SAFE_SQUARE < np.diag(out).min() and np.diag(out).max() < SAFE_SQUARE:
                return 0.5 * (out + out.T) / projection.smallest_slack / projection.smallest_slack
        scaled = self.scaled_rows()
        out = scaled.T @ self.middle(scaled)
        return 0.5 * (out + out.T)

    def push(self, v: Floats) -> Floats:
        """B v, (n,)."""
        return self.divide(self.rows.matvec(v))

    def pull(self, y: Floats) -> Floats:
        """Bᵀ y, (d,)."""
        return self.rows.rmatvec(self.divide(y))

    def scaled_rows(self) -> Floats:
        """B, (n, d)."""
        return self.rows.scaled(self.divide(np.ones_like(self.slack)))

    def divide(self, y: Floats) -> Floats:
        """y / s; 0 where s = 0, which only zero rows of A have here."""
        return divide(y, self.slack)


class FullRankMap:
    """A LeverageMap for A of full column rank, whose points are BarrierPoints."""

    def __init__(self, A: MatrixLike, b: VectorLike):
        self.scores = LeverageMap(A, b)
        self.rows, self.shape = self.scores.rows, self.scores.shape
        self.threads = self.scores.threads
        rank = self.scores.rank
        if rank < self.shape[1]:
            raise ValueError(f"A must have full column rank, got rank {rank} for shape "
                             f"{self.shape}: the barrier is -inf everywhere")

    def touching(self, x: VectorLike) -> int | None:
        """The first row other than zero rows of A whose slack is zero at x, or None."""
        zero = self.scores.slack(x) == 0
        if zero.any():
            zero &= self.rows.nonzero()
        return int(np.argmax(zero)) if zero.any() else None

    def at(self, x: VectorLike) -> BarrierPoint:
        """The BarrierPoint at x.

        Raises
        ------
        ValueError
            At a zero slack, where V is inf and has no derivatives, and as
            :meth:`LeverageMap.scores`.
        """
        row = self.touching(x)
        if row is not None:
            raise ValueError(f"x must have no zero slack, got one in row {row}: the barrier is inf "
                             "there and has no derivatives")
        return BarrierPoint(self.rows, *self.scores.at(x))


def finite(derivative: Floats) -> Floats:
    """``derivative``, or a ValueError where a slack is so small that it overflows."""
    if not np.all(np.isfinite(derivative)):
        raise ValueError("x must not be so close to a zero slack that a derivative of the barrier "
                         "overflows")
    return derivative


class VolumetricBarrier:
    """½ log det(Aᵀ diag(A x - b)⁻² A), its gradient and its Hessian.

    Convex on each sign cell, the set of x on which no slack A x - b changes sign, and inf on the
    cell's boundary.

    Parameters
    ----------
    A : (n, d) array_like, sparse matrix, stored or dask array
        Real, of full column rank. A zero row takes no part.
    b : (n,) array_like
        Right-hand side: the slack is A x - b.

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, A not of full column rank.
    TypeError
        Complex, object or string input; sparse input other than A.

    See Also
    --------
    invert_gradient : from the gradient back to x
    GradientLoss : the misfit of the gradient at x

    Notes
    -----
    Drops into SciPy: ``minimize(barrier.fun, x0, jac=barrier.grad, hess=barrier.hess)`` or
    ``hessp=barrier.hessp``. ``fun`` is inf at a zero slack, as a line search expects of a barrier.
    It is finite again beyond, in the neighbouring cell: a minimiser that takes long steps can end
    up there.

    ``fun``, ``grad`` and ``hessp`` cost O(n d²), ``hess`` O(n d²·min(n/d, d)). The last point is
    remembered.

    References
    ----------
    .. [1] Vaidya, "A new algorithm for minimizing convex functions over convex sets", Mathematical
       Programming 73 (1996): the barrier, its gradient, and the bounds on its Hessian.
    .. [2] arXiv 2408.11267: recovering x from the gradient.

    Examples
    --------
    The square -1 < x, y < 1:

    >>> import numpy as np
    >>> from levinv import VolumetricBarrier
    >>> A = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> barrier = VolumetricBarrier(A, -np.ones(4))
    >>> barrier.grad([0.5, -0.25]).round(4)
    array([ 1.7333, -0.7686])
    >>> barrier.hess([0.0, 0.0]).round(12)
    array([[3., 0.],
           [0., 3.]])
    >>> barrier.fun([1.0, 0.0])
    inf
    """

    def __init__(self, A: MatrixLike, b: VectorLike):
        self._map = FullRankMap(A, b)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of A."""
        return self._map.shape

    def fun(self, x: VectorLike) -> float:
        """V(x); inf at a zero slack.

        Raises
        ------
        ValueError
            If x is not a finite vector of length d, or if A x - b overflows.
        """
        if self._map.touching(x) is not None:
            return np.inf
        with self._map.threads():
            return self._map.at(x).value()

    def grad(self, x: VectorLike) -> Floats:
        """∇V(x), (d,).

        Raises
        ------
        ValueError
            As :meth:`fun`; at a zero slack; and so close to one that the derivative overflows. The
            methods below raise likewise.
        """
        point = self._map.at(x)
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            return finite(point.gradient())

    def hess(self, x: VectorLike) -> Floats:
        """∇²V(x), (d, d), positive definite."""
        point = self._map.at(x)
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            return finite(point.hessian())

    def hessp(self, x: VectorLike, p: VectorLike) -> Floats:
        """∇²V(x) p, (d,), matrix-free: one Gram matrix and one quadratic form, O(n d²)."""
        point = self._map.at(x)
        p = _validate.vector(p, "p", self.shape[1], "column of A")
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            return finite(point.product(p))
