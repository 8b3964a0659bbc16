"""The volumetric barrier V(x) = ½ log det(Aᵀ diag(w) A) on a sign cell of x.

w = 1/s² and s = A x - b; levinv.forward.jeffreys_penalty has the other weightings. V is half of
f(t) = log det(Aᵀ diag(exp t) A) at the log weights t = τ(s) (levinv.weighting.protocol). With
∇f = σ, ∇²f = L = diag(σ) - Q, F = diag(-τ'/2) A and τ'' = c (τ'/2)² + e, the chain rule gives

    ∇V  = -Fᵀσ
    ∇²V = Fᵀ (2 L + (c/2) diag(σ)) F + ½ Aᵀ diag(e∘σ) A.

For w = 1/s², F = B = diag(1/s) A, c = 2 and e = 0: ∇V = -Bᵀσ and ∇²V = Bᵀ (3 diag(σ) - 2 Q) B
(Vaidya; 2408.11267 inverts the gradient). Since Q is symmetric, entrywise nonnegative and has row
sums σ, 0 ⪯ Q ⪯ diag(σ) and

    Bᵀ diag(σ) B ⪯ ∇²V ⪯ 3 Bᵀ diag(σ) B:

V is strictly convex on each cell if A has full column rank. The projection applies L, a graph
Laplacian, without cancellation near a zero slack.

V needs no determinant of BᵀB: if U = m·B T is orthonormal for some number m, V = -log|det T| -
d log(m). The projection has weights relative to exp(unit), which adds d unit/2.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from levinv import _validate, cython_api
from levinv._typing import Floats, MatrixLike, One, SignsLike, VectorLike
from levinv.forward.basis import accurate_squares, orthonormal_basis
from levinv.forward.log_weights import LogWeights
from levinv.forward.many_points import coefficients, evaluate_points, is_batch, slacks
from levinv.forward.many_weights import numbered
from levinv.forward.projection import Projection, heavy_below, row_scale
from levinv.forward.score_map import ScoreMap
from levinv.storage.blocked import Rows
from levinv.weighting.names import WeightingLike


@dataclass(frozen=True)
class BarrierPoint:
    """V and its derivatives at one point with no zero slack. Immutable."""

    rows: Rows
    weights: LogWeights
    projection: Projection

    @property
    def slack(self) -> Floats:
        """A x - b, (n,)."""
        return self.weights.eta

    def value(self) -> float:
        """V."""
        projection = self.projection
        transform, smallest = projection.transform, projection.smallest_slack
        if len(projection.heavy):      # only a QR gives an accurate determinant here
            left_out = ~self.rows.nonzero() if self.weights.idle is None else self.weights.idle
            scale, smallest = row_scale(self.weights.magnitude(), left_out)
            with np.errstate(over="ignore"):
                transform = orthonormal_basis(self.rows, scale, method="qr", rcond=0.0).transform
        units = np.abs(transform).max(axis=0)            # reciprocals may overflow
        if not (units.all() and np.isfinite(units).all()):
            return np.inf
        sign, log_size = np.linalg.slogdet(transform / units)
        if sign == 0:
            return np.inf
        return (-float(log_size + np.log(units).sum())
                - projection.rank * (float(np.log(smallest)) - 0.5 * self.weights.unit))

    def gradient(self) -> Floats:
        """∇V, (d,)."""
        return -self.pull(self.projection.scores)

    def middle(self, y: Floats) -> Floats:
        """(2 L + (c/2) diag(σ)) y for y of shape (n,) or (n, m)."""
        diagonal = 0.5 * self.weights.ratio * self.projection.scores
        return (diagonal * y.T).T - 2.0 * self.projection.laplacian(y)

    @functools.cached_property
    def extra(self) -> Floats | None:
        """e∘σ/2, (n,); None if it is 0."""
        remainder = self.weights.remainder
        return None if remainder is None else 0.5 * remainder * self.projection.scores

    def product(self, v: Floats) -> Floats:
        """∇²V v, (d,)."""
        out = self.pull(self.middle(self.push(v)))
        return (out if self.extra is None
                else out + self.rows.rmatvec(self.extra * self.rows.matvec(v)))

    def hessian(self) -> Floats:
        """∇²V, (d, d)."""
        out = self._first_part()
        return out if self.extra is None else out + self.rows.gram(None, None, self.extra)

    def _first_part(self) -> Floats:
        """Fᵀ (2 L + (c/2) diag(σ)) F."""
        projection = self.projection
        if projection.is_long(self.rows.shape[1]) and not len(projection.heavy):
            smallest = projection.smallest_slack
            slope = self.times_slope(smallest)               # squares are in range
            diagonal = (2.0 + 0.5 * self.weights.ratio) * projection.scores
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
        return self.rows.scaled(self.times_slope(1.0))

    def times_slope(self, y: Floats | float) -> Floats:
        """-τ'/2 times y, (n,); 0 in idle rows and where the weight is infinite."""
        return self.weights.times_slope(y)


class FullRankMap:
    """The composed map for A of full column rank. Its points are BarrierPoints."""

    def __init__(self, A: MatrixLike, b: VectorLike | None, weighting: WeightingLike = None,
                 prior_weights: VectorLike | None = None, offset: VectorLike | None = None,
                 name: str = "barrier"):
        self.name = name
        self.scores = ScoreMap(A, b, weighting, prior_weights, offset)
        self.rows, self.shape = self.scores.rows, self.scores.shape
        self.threads = self.scores.threads
        rank = self.scores.rank
        if rank < self.shape[1]:
            raise ValueError(f"A must have full column rank, got rank {rank} for shape "
                             f"{self.shape}: the {name} is -inf everywhere")

    def touching(self, x: VectorLike) -> int | None:
        """The first row of infinite weight at x, or None. A zero row of A does not count."""
        weighting = self.scores.weighting
        if weighting.kind != "power" or weighting.ratio < 0:
            return None
        zero = self.scores.slack(x) == 0
        if zero.any() and self.scores.left_out is not None:
            zero &= ~self.scores.left_out
        return int(np.argmax(zero)) if zero.any() else None

    def at(self, x: VectorLike, order: int = 0) -> BarrierPoint:
        """The BarrierPoint at x, for derivatives up to an order.

        Raises ValueError at a zero slack, where V is inf or has no such derivatives.
        """
        row = self.touching(x)
        if row is not None:
            raise ValueError(f"x must have no zero slack, got one in row {row}: the {self.name} is "
                             "inf there and has no derivatives")
        point = self.scores.at(x)
        self.scores.require(order, point)
        return BarrierPoint(self.rows, *point)

    def finite(self, derivative: Floats) -> Floats:
        """``derivative``, or a ValueError if a slack is so small that it overflows."""
        if not np.all(np.isfinite(derivative)):
            raise ValueError("x must not be so close to a zero slack that a derivative of the "
                             f"{self.name} overflows")
        return derivative


    def at_once(self, x: Floats) -> tuple[float, Floats, Floats] | None:
        """V, ∇V and ∇²V of a small array by one compiled call; None where it does not serve."""
        scores, A, d = self.scores, self.rows.small, self.shape[1]
        if (A is None or not A.flags.c_contiguous or not scores.direct or scores.b is None
                or not scores.in_own_columns or scores.left_out is not None):
            return None
        gradient, hessian = np.empty(d), np.empty((d, d))
        value = cython_api.barrier_at(A, scores.b, x, 1.0 - heavy_below(d), gradient, hessian)
        return None if np.isnan(value) else (value, gradient, hessian)


class LogDeterminant:
    """V and its derivatives as functions of x."""

    _map: FullRankMap

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of A."""
        return self._map.shape

    @overload
    def fun(self, x: One) -> float: ...

    @overload
    def fun(self, x: VectorLike) -> Any: ...

    def fun(self, x: VectorLike) -> Any:
        """V(x), inf where a weight is infinite, at a zero slack; (k,) for k points x (k, d)."""
        if is_batch(x):
            return self._many_values(coefficients(self._map.scores, x))
        if self._map.touching(x) is not None:
            return np.inf
        with self._map.threads():
            return self._map.at(x).value()

    def _many_values(self, x: Floats) -> Floats:
        many = evaluate_points(self._map.scores, x, determinants=True)
        out = np.empty(len(x))
        if many.found.log_det is not None:
            out = 0.5 * (many.found.log_det + self.shape[1] * many.unit)
        for i in many.left:
            with numbered("x", int(i)):
                out[i] = self.fun(x[i])
        return out

    def grad(self, x: VectorLike) -> Floats:
        """∇V(x), (d,); (k, d) for k points x (k, d)."""
        if is_batch(x):
            return self._many_gradients(coefficients(self._map.scores, x))
        point = self._map.at(x, 1)
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            return self._map.finite(point.gradient())

    def _many_gradients(self, x: Floats) -> Floats:
        many = evaluate_points(self._map.scores, x, order=1)
        out = -many.pull(many.found.scores)
        for i in np.flatnonzero(~(many.served & np.isfinite(out).all(axis=1))):
            with numbered("x", int(i)):
                out[i] = self.grad(x[i])
        return out

    def hess(self, x: VectorLike) -> Floats:
        """∇²V(x), (d, d); positive definite for the barrier."""
        point = self._map.at(x, 2)
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            return self._map.finite(point.hessian())

    def fun_grad_hess(self, x: VectorLike) -> tuple[float, Floats, Floats]:
        """(V(x), ∇V(x), ∇²V(x)), as a Newton step needs them: what they share is computed once."""
        x = self._map.scores.coefficients(x)
        found = self._map.at_once(x)
        return (self.fun(x), self.grad(x), self.hess(x)) if found is None else found

    def hessp(self, x: VectorLike, p: VectorLike) -> Floats:
        """∇²V(x) p, (d,), matrix-free: one Gram matrix and one quadratic form, O(n d²)."""
        point = self._map.at(x, 2)
        p = self._map.scores.coefficients(p, "p")
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            return self._map.finite(point.product(p))


class VolumetricBarrier(LogDeterminant):
    """½ log det(Aᵀ diag(A x - b)⁻² A), its gradient and its Hessian.

    Convex on each sign cell, the set of x on which no slack A x - b changes sign, and inf on the
    cell's boundary.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
        Real, of full column rank. A zero row has no effect.
    b : (n,) array_like
        Right-hand side: the slack is A x - b.
    signs : None, +1, -1 or (n,) array_like of +1 and -1
        The signs of the slack in the cell of interest, +1 for the polytope A x > b. ``fun`` is then
        inf outside the cell. None: V is finite in every cell.

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, A not of full column rank, signs other
        than +1 and -1.
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
    ``fun`` is inf at a zero slack, as a line search expects of a barrier. Without ``signs`` it is
    finite again in the neighbouring cell, where a minimiser that takes long steps can end. With
    ``signs``, the methods BFGS, CG, Newton-CG and the trust-region methods stay in the cell from a
    start inside; L-BFGS-B and TNC cannot deal with infinite values, and do not move. ``grad``,
    ``hess`` and ``hessp`` do not depend on ``signs``.

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

    Its minimum is its centre. A long step must not leave it:

    >>> from scipy.optimize import minimize
    >>> inside = VolumetricBarrier(A, -np.ones(4), signs=1)
    >>> inside.fun([2.0, 0.0])
    inf
    >>> abs(minimize(inside.fun, [0.99, 0.5], jac=inside.grad, method="BFGS").x).round(4)
    array([0., 0.])
    """

    def __init__(self, A: MatrixLike, b: VectorLike, signs: SignsLike | None = None):
        self._map = FullRankMap(A, b)
        scores = self._map.scores
        self._signs = None if signs is None else _validate.signs(
            signs, "signs", self.shape[0], scores.axes.rows)
        if self._signs is not None and scores.left_out is not None:
            self._signs = np.where(scores.left_out, 0.0, self._signs)

    @overload
    def fun(self, x: One) -> float: ...

    @overload
    def fun(self, x: VectorLike) -> Any: ...

    def fun(self, x: VectorLike) -> Any:
        """V(x), inf at a zero slack and, with ``signs``, outside the cell; (k,) for k points x
        (k, d).
        """
        if is_batch(x):
            return super().fun(x)
        if self._signs is not None and np.any(self._map.scores.slack(x) * self._signs < 0.0):
            return np.inf
        return super().fun(x)

    def fun_grad_hess(self, x: VectorLike) -> tuple[float, Floats, Floats]:
        value, gradient, hessian = super().fun_grad_hess(x)
        if self._signs is not None and np.any(self._map.scores.slack(x) * self._signs < 0.0):
            value = np.inf
        return value, gradient, hessian

    def _many_values(self, x: Floats) -> Floats:
        out = super()._many_values(x)
        if self._signs is not None:
            outside = slacks(self._map.scores, x) * self._signs < 0.0
            out[outside.any(axis=1)] = np.inf
        return out
