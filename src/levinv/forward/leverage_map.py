"""The leverage scores of diag(√w(A x - b)) A as a function of x, and its derivatives.

Two maps are composed: x -> t = τ(A x - b), the log weights (levinv.weighting), and t -> σ(t), the
scores (levinv.forward.projection). The second has the derivative L = diag(σ) - Q, Q = P∘P. With
F = diag(-τ'/2) A and p = F v, therefore

    dσ   = -2 L p            jvp
    Jᵀ y = -2 Fᵀ L y         vjp
    J    = -2 L F            jacobian

For w = 1/s², F = diag(1/s) A (source: 2404.13785, Lemma 5.1, in matrix form). At a zero slack all
three then have finite limits: the derivative of the row's own score is 0, and the other rows have
the derivatives of the quotient. levinv.forward.projection keeps the limit and its neighbourhood
accurate.
"""
from __future__ import annotations

import contextlib
import math
from typing import NamedTuple

import numpy as np

from levinv import _validate, storage
from levinv._parallel import sharing
from levinv._tolerances import SQUARABLE, TINY
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.basis import column_space, uncombined
from levinv.forward.projection import DependentZeroSlackError, Projection, project
from levinv.weighting.protocol import INVERSE_SQUARE
from levinv.weighting.protocol import Weighting


class Point(NamedTuple):
    """The slack and the projection at some x."""

    slack: Floats                # (n,), read-only
    projection: Projection


class ScoreMap:
    """The composed map, which LeverageMap and the losses share. It checks its arguments."""

    def __init__(self, A: MatrixLike, b: VectorLike, weighting: Weighting = INVERSE_SQUARE):
        A = _validate.matrix(A, "A", sparse=True)
        self._b = _validate.vector(b, "b", A.shape[0], "row of A")
        self.weighting = weighting
        self.rows = storage.of(A)
        with self.threads() as self.rows.workers:
            sizes = _validate.ordinary_columns(self.rows.column_max(), "A")
            transform = column_space(self.rows).transform
        self.rank = transform.shape[1]
        # Forms in A's own columns have products of four entries, which must not over- or underflow.
        own_columns = (self.rank == A.shape[1] and sizes.min() > math.sqrt(SQUARABLE)
                       and sizes.max() < 1.0 / math.sqrt(SQUARABLE))
        self._columns = None if own_columns else uncombined(self.rows, transform)
        zero_rows = ~self.rows.nonzero()
        self._zero_rows = zero_rows if zero_rows.any() else None
        self._last: tuple[bytes, Point] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of A."""
        return self.rows.shape

    def threads(self) -> contextlib.AbstractContextManager[int]:
        """A context in which BLAS stays on the caller's thread (see levinv._parallel)."""
        return sharing(None, self.rows.flops)

    def slack(self, x: VectorLike) -> Floats:
        """A x - b, (n,). Raises ValueError if x is not a finite (d,) or if the slack overflows."""
        return self._slack(_validate.vector(x, "x", self.shape[1], "column of A"))

    def _slack(self, x: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            slack = self.rows.matvec(x) - self._b
        if not np.isfinite(slack).all():
            raise ValueError("x must not be so large that A x - b overflows")
        slack[np.abs(slack) < TINY] = 0.0      # their reciprocals would overflow
        return slack

    def project(self, slack: Floats) -> Projection:
        """The projection for a slack vector."""
        try:
            with self.threads(), np.errstate(over="raise"):
                return project(self.rows, self.weighting.magnitude(slack), self._columns,
                               self._zero_rows)
        except FloatingPointError:
            raise ValueError("x must not make slacks so large beside the entries of A that their "
                             "quotients overflow") from None
        except DependentZeroSlackError:
            raise ValueError("x must not make the slack of linearly dependent rows zero: "
                             "the scores have no limit there") from None

    def at(self, x: VectorLike) -> Point:
        """The point at x. The last one is remembered."""
        x = _validate.vector(x, "x", self.rows.shape[1], "column of A")
        key, last = x.tobytes(), self._last
        if last is None or last[0] != key:
            slack = self._slack(x)
            point = Point(slack, self.project(slack))
            slack.flags.writeable = point.projection.scores.flags.writeable = False
            last = self._last = key, point
        return last[1]

    def jacobian(self, point: Point) -> Floats:
        """J = -2 L F, (n, d)."""
        with self.threads(), np.errstate(over="ignore", invalid="ignore"):
            scaled = self.rows.scaled(self.weighting.times_slope(np.ones(self.shape[0]),
                                                                 point.slack))
            return _finite(2.0 * point.projection.laplacian(scaled), "A")

    def pull(self, point: Point, y: Floats) -> Floats:
        """Jᵀ y = -2 Fᵀ L y, (d,)."""
        with self.threads(), np.errstate(over="ignore", invalid="ignore"):
            scaled = self.weighting.times_slope(point.projection.laplacian(y), point.slack)
            return _finite(2.0 * self.rows.rmatvec(scaled), "y")


class LeverageMap:
    """Slack, leverage scores and their derivatives at a point x.

    Parameters
    ----------
    A : (n, d) array_like, sparse matrix, stored or dask array
        Real. If A is rank-deficient, the scores are those of its column space.
    b : (n,) array_like
        Right-hand side: the slack is A x - b.

    Raises
    ------
    ValueError
        Wrong shapes or lengths; empty input; NaN or inf; entries of A beyond 1e307; nonzero rows or
        columns of A of size below 1e-306.
    TypeError
        Complex, object or string input; sparse input other than A.

    See Also
    --------
    leverage_scores : scores of any matrix
    ScoreLoss : the misfit of the scores at x
    invert_scores : from the scores back to x

    Notes
    -----
    Each evaluation costs O(n d²), the Jacobian O(n d²·min(n/d, d)). The last point is remembered
    and never modified, so that threads may share an object. A and b are not modified; float64
    arrays are not copied.

    Methods raise ValueError if x is not a finite vector of length d or if A x - b overflows; all
    but ``slack`` also if linearly dependent rows have zero slack at x, or if a derivative
    overflows.

    References
    ----------
    .. [1] Li, Song, Wang, Yin and Yu, "How to Inverting the Leverage Score Distribution?", arXiv
       2404.13785, Lemma 5.1.

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import LeverageMap
    >>> scores_at = LeverageMap([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [-1.0, -1.0, -3.0])
    >>> scores_at.slack([0.0, 0.0])
    array([1., 1., 3.])
    >>> scores_at.scores([0.0, 0.0]).round(4)
    array([0.9091, 0.9091, 0.1818])
    >>> scores_at.jvp([0.0, 0.0], [1.0, 0.0]).round(4)
    array([-0.1157,  0.0661,  0.0496])
    """

    def __init__(self, A: MatrixLike, b: VectorLike):
        self._map = ScoreMap(A, b)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of A."""
        return self._map.shape

    def slack(self, x: VectorLike) -> Floats:
        """A x - b, (n,)."""
        return self._map.slack(x)

    def scores(self, x: VectorLike) -> Floats:
        """Leverage scores at x, (n,)."""
        return self._map.at(x).projection.scores.copy()

    def jvp(self, x: VectorLike, v: VectorLike) -> Floats:
        """Directional derivative of the scores at x along v, (n,)."""
        inner = self._map
        point = inner.at(x)
        v = _validate.vector(v, "v", inner.rows.shape[1], "column of A")
        with inner.threads(), np.errstate(over="ignore", invalid="ignore"):
            p = inner.weighting.times_slope(inner.rows.matvec(v), point.slack)
            return _finite(2.0 * point.projection.laplacian(p), "v")

    def vjp(self, x: VectorLike, y: VectorLike) -> Floats:
        """Transposed Jacobian at x times y, (d,): the gradient of yᵀσ(x)."""
        y = _validate.vector(y, "y", self.shape[0], "row of A")
        return self._map.pull(self._map.at(x), y)

    def jacobian(self, x: VectorLike) -> Floats:
        """All derivatives of the scores at x, (n, d)."""
        return self._map.jacobian(self._map.at(x))


def _finite(derivative: Floats, name: str) -> Floats:
    if not np.isfinite(derivative).all():
        raise ValueError(f"{name} must not be so large that the derivative overflows")
    return derivative
