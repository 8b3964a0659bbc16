"""The volumetric barrier V(x) = ½ log det(Aᵀ diag(w) A) on a sign cell of x.

w = 1/s² and s = A x - b. V is half of f(t) = log det(Aᵀ diag(exp t) A) at the log weights t = τ(s)
(levinv.weighting.protocol). With ∇f = σ, ∇²f = L = diag(σ) - Q, F = diag(-τ'/2) A and
c = τ''/(τ'/2)², the chain rule gives

    ∇V  = -Fᵀσ
    ∇²V = Fᵀ (2 L + diag(c∘σ)/2) F.

For w = 1/s², F = B = diag(1/s) A and c = 2: ∇V = -Bᵀσ and ∇²V = Bᵀ (3 diag(σ) - 2 Q) B (Vaidya;
2408.11267 inverts the gradient). Since Q is symmetric, entrywise nonnegative and has row sums σ,
0 ⪯ Q ⪯ diag(σ) and

    Bᵀ diag(σ) B ⪯ ∇²V ⪯ 3 Bᵀ diag(σ) B:

V is strictly convex on each cell if A has full column rank. The projection applies L, a graph
Laplacian, without cancellation near a zero slack.

V needs no determinant of BᵀB: if U = m·B T is orthonormal for some number m, V = -log|det T| -
d log(m).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levinv import _validate
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.basis import accurate_squares, orthonormal_basis
from levinv.forward.leverage_map import ScoreMap
from levinv.forward.projection import Projection, row_scale
from levinv.storage.blocked import Rows
from levinv.weighting.inverse_square import INVERSE_SQUARE
from levinv.weighting.protocol import Weighting


@dataclass(frozen=True)
class BarrierPoint:
    """V and its derivatives at one point with no zero slack. Immutable."""

    rows: Rows
    slack: Floats                # (n,)
    projection: Projection
    weighting: Weighting = INVERSE_SQUARE

    def value(self) -> float:
        """V."""
        projection = self.projection
        transform, smallest = projection.transform, projection.smallest_slack
        if len(projection.heavy):      # only a QR gives an accurate determinant here
            scale, smallest = row_scale(self.weighting.magnitude(self.slack),
                                        ~self.rows.nonzero())
            with np.errstate(over="ignore"):
                transform = orthonormal_basis(self.rows, scale, method="qr", rcond=0.0).transform
        units = np.abs(transform).max(axis=0)            # reciprocals may overflow
        if not (units.all() and np.isfinite(units).all()):
            return np.inf
        sign, log_size = np.linalg.slogdet(transform / units)
        if sign == 0:
            return np.inf
        return (-float(log_size + np.log(units).sum())
                - projection.rank * float(np.log(smallest)))

    def gradient(self) -> Floats:
        """∇V, (d,)."""
        return -self.pull(self.projection.scores)

    def middle(self, y: Floats) -> Floats:
        """(2 L + diag(c∘σ)/2) y for y of shape (n,) or (n, m)."""
        diagonal = 0.5 * self.weighting.curvature(self.slack) * self.projection.scores
        return (diagonal * y.T).T - 2.0 * self.projection.laplacian(y)

    def product(self, v: Floats) -> Floats:
        """∇²V v, (d,)."""
        return self.pull(self.middle(self.push(v)))

    def hessian(self) -> Floats:
        """∇²V, (d, d)."""
        projection = self.projection
        if projection.is_long(self.rows.shape[1]) and not len(projection.heavy):
            smallest = projection.smallest_slack
            slope = self.weighting.times_slope(smallest, self.slack)       # squares are in range
            diagonal = (2.0 + 0.5 * self.weighting.curvature(self.slack)) * projection.scores
            out = self.rows.gram(slope, None, diagonal) - 2.0 * projection.squared_form(slope)
            if accurate_squares(np.diag(out)):
                return 0.5 * (out + out.T) / smallest / smallest
        scaled = self.scaled_rows()
        out = scaled.T @ self.middle(scaled)
        return 0.5 * (out + out.T)

    def push(self, v: Floats) -> Floats:
        """F v, (n,)."""
        return self.times_slope(self.rows.matvec(v))

    def pull(self, y: Floats) -> Floats:
        """Fᵀ y, (d,)."""
        return self.rows.rmatvec(self.times_slope(y))

    def scaled_rows(self) -> Floats:
        """F, (n, d)."""
        return self.rows.scaled(self.times_slope(np.ones_like(self.slack)))

    def times_slope(self, y: Floats) -> Floats:
        """-τ'/2 times y, (n,); 0 in zero rows of A with zero slack."""
        return self.weighting.times_slope(y, self.slack)


class FullRankMap:
    """The composed map for A of full column rank. Its points are BarrierPoints."""

    def __init__(self, A: MatrixLike, b: VectorLike):
        self.scores = ScoreMap(A, b)
        self.rows, self.shape = self.scores.rows, self.scores.shape
        self.threads = self.scores.threads
        rank = self.scores.rank
        if rank < self.shape[1]:
            raise ValueError(f"A must have full column rank, got rank {rank} for shape "
                             f"{self.shape}: the barrier is -inf everywhere")

    def touching(self, x: VectorLike) -> int | None:
        """The first nonzero row of A whose slack is zero at x, or None."""
        zero = self.scores.weighting.magnitude(self.scores.slack(x)) == 0
        if zero.any():
            zero &= self.rows.nonzero()
        return int(np.argmax(zero)) if zero.any() else None

    def at(self, x: VectorLike) -> BarrierPoint:
        """The BarrierPoint at x. Raises ValueError at a zero slack, where V is inf."""
        row = self.touching(x)
        if row is not None:
            raise ValueError(f"x must have no zero slack, got one in row {row}: the barrier is inf "
                             "there and has no derivatives")
        return BarrierPoint(self.rows, *self.scores.at(x), self.scores.weighting)


def finite(derivative: Floats) -> Floats:
    """``derivative``, or a ValueError if a slack is so small that it overflows."""
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
        Real, of full column rank. A zero row has no effect.
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
    Works with SciPy's minimisers:
    ``minimize(barrier.fun, x0, jac=barrier.grad, hess=barrier.hess)`` or ``hessp=barrier.hessp``.
    ``fun`` is inf at a zero slack, as a line search expects of a barrier. It is finite again in the
    neighbouring cell, where a minimiser that takes long steps can end.

    ``fun``, ``grad`` and ``hessp`` cost O(n d²), ``hess`` O(n d²·min(n/d, d)). The last point is
    remembered.

    Methods raise ValueError if x is not a finite vector of length d or if A x - b overflows; all
    but ``fun`` also at a zero slack, or if a slack is so small that the derivative overflows.

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
        """V(x); inf at a zero slack."""
        if self._map.touching(x) is not None:
            return np.inf
        with self._map.threads():
            return self._map.at(x).value()

    def grad(self, x: VectorLike) -> Floats:
        """∇V(x), (d,)."""
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
