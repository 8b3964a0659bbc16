"""The loss of 2404.13785 (Definitions 4.3 and 4.6) as a function of x, with exact derivatives.

    L(x) = ½ |sigma(x) - c|² + ½ |diag(rho) A x|²,
    ∇L = Jᵀ (sigma - c) + Aᵀ diag(rho²) A x,
    ∇²L = H + Aᵀ diag(rho²) A      (H: levinv.forward.score_hessian),

with J and sigma of levinv.forward.leverage_map: scores composed with the log weights.

The gradient is one vector-Jacobian product, O(nd²), where the paper's Lemma F.4 spends O(n²d).
"""
from __future__ import annotations

from typing import Any, overload

import numpy as np

from levinv import _validate
from levinv._tolerances import DOT_ENTRIES, SAFE_SIZE
from levinv._typing import Floats, MatrixLike, One, VectorLike
from levinv.forward.many_points import coefficients, evaluate_points, is_batch, times
from levinv.forward.many_weights import numbered
from levinv.forward.projection import Projection
from levinv.forward.score_hessian import ScoreHessian
from levinv.forward.score_map import Point, ScoreMap
from levinv.weighting.names import WeightingLike
from levinv.weighting.protocol import INVERSE_SQUARE


class ScoreLoss:
    """½|sigma(x) - c|² + ½|diag(rho) A x|², its gradient and its Hessian.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
    b : (n,) array_like or None
        Right-hand side: the slack is A x - b. With a weighting, None stands for 0 or -offset.
    scores : (n,) array_like
        The target c: any finite numbers.
    ridge : float or (n,) array_like
        rho, the paper's w: at least 0.
    weighting, offset, prior_weights : optional
        The weights of the rows, as in :class:`LeverageMap`.

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, a negative ridge, an unknown weighting.
    TypeError
        Complex, object or string input; sparse input other than A.

    See Also
    --------
    LeverageMap : the scores and their derivatives
    invert_scores : finds its minimiser; no starting point needed

    Notes
    -----
    Works with every SciPy minimiser:
    ``minimize(loss.fun, x0, jac=loss.grad, hess=loss.hess)`` or ``hessp=loss.hessp``, and
    ``least_squares(loss.residuals, x0, jac=loss.residuals_jac)``. The last point is remembered:
    calls at the same x share their work. Methods raise ValueError in the same cases as those of
    :class:`LeverageMap`: if x is not a finite vector of length d, if A x - b overflows, if linearly
    dependent rows have zero slack at x, or if a derivative overflows. Second derivatives also
    raise it if the weighting has none.

    The paper (Lemmas 5.2 and C.3) drops c from the second-order terms. Its Hessian is right only if
    c = 0, or if all entries of c are equal. See :mod:`levinv.papers` for the terms as printed.

    References
    ----------
    .. [1] arXiv 2404.13785, Definitions 4.3, 4.5 and 4.6, Lemmas 5.2, 5.3 and C.3.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> from levinv import LeverageMap, ScoreLoss
    >>> rng = np.random.default_rng(0)
    >>> A, b, x = rng.standard_normal((40, 3)), rng.standard_normal(40), np.array([1.0, -2.0, 0.5])
    >>> loss = ScoreLoss(A, b, LeverageMap(A, b).scores(x))
    >>> found = minimize(loss.fun, x + 1e-3, jac=loss.grad, hess=loss.hess, method="trust-exact",
    ...                  tol=1e-12)
    >>> found.x.round(6)
    array([ 1. , -2. ,  0.5])
    """

    def __init__(self, A: MatrixLike, b: VectorLike | None, scores: VectorLike, *,
                 ridge: VectorLike = 0.0, weighting: WeightingLike = None,
                 offset: VectorLike | None = None, prior_weights: VectorLike | None = None):
        self._map = ScoreMap(A, b, weighting, prior_weights, offset)
        n, axis = self._map.shape[0], self._map.axes.rows
        self._target = _validate.vector(scores, "scores", n, "row of A", axis)
        self._ridge = _validate.nonnegative(ridge, "ridge", n, "row of A", axis)
        self._squared_ridge = self._ridge ** 2
        self._last: tuple[Projection, ScoreHessian] | None = None
        self._ridge_hessian: Floats | None = None
        if self._ridge.any():
            with self._map.threads():
                self._ridge_hessian = self._map.rows.gram(None, None, self._squared_ridge)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of A."""
        return self._map.shape

    @overload
    def fun(self, x: One) -> float: ...

    @overload
    def fun(self, x: VectorLike) -> Any: ...

    def fun(self, x: VectorLike) -> Any:
        """L(x); (k,) for k points x (k, d), which share what is computed from A."""
        if is_batch(x):
            return self._many_values(coefficients(self._map, x))
        return self._fun(self._map.at(x), x)

    def grad(self, x: VectorLike) -> Floats:
        """∇L(x), (d,); (k, d) for k points x (k, d)."""
        if is_batch(x):
            return self._many_gradients(coefficients(self._map, x))
        return self._grad(self._map.at(x), x)

    def fun_and_grad(self, x: VectorLike) -> tuple[float, Floats]:
        """(L(x), ∇L(x)), for ``minimize(..., jac=True)``."""
        point = self._map.at(x)
        return self._fun(point, x), self._grad(point, x)

    def _many_values(self, x: Floats) -> Floats:
        many = evaluate_points(self._map, x)
        residual = np.where(many.served[:, None], many.found.scores, 0.0) - self._target
        out: Floats = 0.5 * np.einsum("ij,ij->i", residual, residual)
        if self._ridge_hessian is not None:
            shrunk = self._ridge * times(self._map, x)
            out += 0.5 * np.einsum("ij,ij->i", shrunk, shrunk)
        for i in many.left:
            with numbered("x", int(i)):
                out[i] = self.fun(x[i])
        return out

    def _many_gradients(self, x: Floats) -> Floats:
        many = evaluate_points(self._map, x, order=1, target=self._target)
        out = np.empty(x.shape)
        if many.found.product is not None:
            out = 2.0 * many.pull(many.found.product)
            if self._ridge_hessian is not None:
                out += x @ self._ridge_hessian
        for i in np.flatnonzero(~(many.served & np.isfinite(out).all(axis=1))):
            with numbered("x", int(i)):
                out[i] = self.grad(x[i])
        return out

    def _fun(self, point: Point, x: VectorLike) -> float:
        residual = point.projection.residual(self._target)
        out = half_square_sum(residual)
        if self._ridge_hessian is not None:
            shrunk = self._ridge * self._fitted(x)
            out += half_square_sum(shrunk)
        return out

    def _grad(self, point: Point, x: VectorLike) -> Floats:
        out = self._map.pull(point, point.projection.residual(self._target))
        if self._ridge_hessian is not None:
            out = out + self._map.rows.rmatvec(self._squared_ridge * self._fitted(x))
        return out

    def hess(self, x: VectorLike) -> Floats:
        """∇²L(x), (d, d): O(n²d) or 2 n d³ flops, whichever is less."""
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            out = _finite(self._score_hessian(x).hessian())
        return out if self._ridge_hessian is None else out + self._ridge_hessian

    def hessp(self, x: VectorLike, p: VectorLike) -> Floats:
        """∇²L(x) p, (d,), matrix-free: O(n d²)."""
        p = self._map.coefficients(p, "p")
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            out = _finite(self._score_hessian(x).product(p))
        return out if self._ridge_hessian is None else out + self._ridge_hessian @ p

    def hess_terms(self, x: VectorLike, row: int | None = None) -> Floats:
        """The terms D_{i,1} ... D_{i,6} of the Hessian (Lemma C.3, corrected), without the ridge.

        With q_i column i of P∘P, r_i = sigma_i - c_i and B_i row i of B = diag(1/s) A::

            D1 = 4 Bᵀq_i q_iᵀB                       D4 = (4 sigma_i² + 6 r_i sigma_i) B_iᵀB_i
            D2 = -4 (sigma_i + r_i) B_iᵀ q_iᵀB       D5 = 8 r_i Bᵀdiag(P_i) P diag(P_i) B
            D3 = D2ᵀ                                 D6 = -6 r_i Bᵀdiag(q_i) B

        The paper prints r_i = sigma_i: coefficients 4, -8, -8, 10, 8, -6.

        Parameters
        ----------
        x : (d,) array_like
        row : int, optional
            One row i; default: sums over all rows, which add up to the Hessian. O(n d²) flops for
            each row.

        Returns
        -------
        terms : (6, d, d) ndarray

        Notes
        -----
        As a slack s_i goes to zero, the terms of row i have no limit, but their sum has one: this
        limit is r_i ∇²sigma_i = -2 r_i (1 - sigma_i) B_iᵀB_i; it takes the place of D4.
        """
        weighting = self._map.weighting
        if weighting.kind != "power" or weighting.ratio != INVERSE_SQUARE.ratio:
            raise ValueError("hess_terms is for the weights 1/slack² of the paper, not for "
                             f"{weighting.name}: use hess")
        if row is not None:
            row = _validate.index(row, "row", self.shape[0])
        zero = self._map.at(x).slack == 0
        if zero.any():
            zero &= self._map.rows.nonzero()
        with self._map.threads(), np.errstate(over="ignore", invalid="ignore"):
            return _finite(self._score_hessian(x).terms(row, np.flatnonzero(zero)))

    def residuals(self, x: VectorLike) -> Floats:
        """sigma(x) - c, and diag(rho) A x if there is a ridge; L is half the sum of squares."""
        residual = self._map.at(x).projection.residual(self._target)
        return (residual if self._ridge_hessian is None
                else np.append(residual, self._ridge * self._fitted(x)))

    def residuals_jac(self, x: VectorLike) -> Floats:
        """Jacobian of :meth:`residuals`, (n, d) or (2n, d)."""
        jacobian = self._map.jacobian(self._map.at(x))
        return (jacobian if self._ridge_hessian is None
                else np.vstack([jacobian, self._map.rows.scaled(self._ridge)]))

    def _column_norms(self) -> Floats:
        """Norms of the columns of A, (d,). In these units the entries of x are of similar size."""
        return self._map.rows.column_norms()

    def _fitted(self, x: VectorLike) -> Floats:
        return self._map.rows.matvec(self._map.coefficients(x))

    def _score_hessian(self, x: VectorLike) -> ScoreHessian:
        point = self._map.at(x)
        last = self._last
        if last is None or last[0] is not point.projection:
            last = self._last = point.projection, self._new_hessian(point)
        return last[1]

    def _new_hessian(self, point: Point) -> ScoreHessian:
        self._map.require(2, point)
        if point.weights.infinite is not None:
            # 1 - sigma_i = O(s_i²) has a second derivative at s_i = 0. It is computed at a slack so
            # small that 1 - sigma_i is far below rounding.
            zero, slack = point.weights.infinite, point.slack
            norms = self._map.rows.row_norms()
            light = ~zero & (norms > 0)
            least = np.min(np.abs(slack[light]) / norms[light]) if light.any() else 1.0
            norms[norms == 0] = 1.0
            point = self._map.point(np.where(zero, least * norms / SAFE_SIZE, slack))
        return ScoreHessian(self._map.rows, *point, point.projection.residual(self._target))


def _finite(derivative: Floats) -> Floats:
    if not np.isfinite(derivative).all():
        raise ValueError("x must not be so close to a zero slack that a second derivative "
                         "overflows")
    return derivative


def half_square_sum(values: Floats) -> float:
    """½|values|², the same for any number of threads of BLAS."""
    if len(values) <= DOT_ENTRIES:
        return 0.5 * float(values @ values)
    return 0.5 * float(np.square(values).sum())
