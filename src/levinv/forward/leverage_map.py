"""The leverage scores of diag(A x - b)⁻¹ A as a function of x, and its derivatives.

With s = A x - b, B = diag(1/s) A, P the projection onto range(B), Q = P∘P and p = B v (source:
2404.13785, Lemma 5.1, in matrix form):

    d sigma = 2 (Q - diag(sigma)) p            jvp
    Jᵀ y    = 2 Bᵀ (Q - diag(sigma)) y         vjp
    J       = 2 (Q - diag(sigma)) B            jacobian

At a zero slack all three have finite limits: the row's own derivative is 0 and the other rows have
those of the quotient (see :mod:`levinv.forward.projection`, which also keeps the neighbourhood of
the limit accurate).
"""
import contextlib
from typing import TypeAlias

import numpy as np

from levinv import _validate, storage
from levinv._parallel import sharing
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.basis import column_space, uncombined
from levinv.forward.projection import DependentZeroSlackError, Projection, project

TINY = np.finfo(float).tiny
PLAIN_CONDITION = 1e3     # below it A's own columns serve; above, they are brought to one size,
ORDINARY = 1e100          # and where squares of A's entries over- or underflow, too

Point: TypeAlias = tuple[Floats, Projection]           # slack and projection at some x


class LeverageMap:
    """Slack, leverage scores and their derivatives at a point x.

    Parameters
    ----------
    A : (n, d) array_like, sparse matrix, stored or dask array
        Real. Rank-deficient A is accepted: the scores are those of the column space.
    b : (n,) array_like
        Right-hand side: the slack is A x - b.

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, entries of A beyond 1e307, nonzero rows or
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
    Each evaluation costs O(n d²), the Jacobian O(n d²·min(n/d, d)). The last point is remembered as
    an immutable snapshot: an object may be shared between threads. A and b are neither copied, if
    they are float64 arrays, nor written to.

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
        A = _validate.matrix(A, "A", sparse=True)
        self._b = _validate.vector(b, "b", A.shape[0], "row of A")
        self.rows = storage.of(A)
        with self.threads() as self.rows.workers:
            largest = _validate.ordinary_columns(self.rows.column_max(), "A").max()
            transform = column_space(self.rows).transform
        self.rank = transform.shape[1]       # if full, A and transform are of the same condition
        plain = (self.rank == A.shape[1] and np.linalg.cond(transform) <= PLAIN_CONDITION
                 and 1.0 / ORDINARY <= largest <= ORDINARY)
        self._start = None if plain else uncombined(self.rows, transform)
        self._loops = ~self.rows.nonzero()
        self._last: tuple[bytes, Point] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of A."""
        return self.rows.shape

    def slack(self, x: VectorLike) -> Floats:
        """A x - b, (n,)."""
        x = _validate.vector(x, "x", self.shape[1], "column of A")
        return self._slack(x)

    def scores(self, x: VectorLike) -> Floats:
        """Leverage scores at x, (n,).

        Raises
        ------
        ValueError
            If x is not a finite vector of length d, if A x - b overflows, or if linearly dependent
            rows have zero slack at x.
        """
        return self.at(x)[1].scores.copy()

    def jvp(self, x: VectorLike, v: VectorLike) -> Floats:
        """Directional derivative of the scores at x along v, (n,). Raises as :meth:`scores`, and on
        overflow.
        """
        slack, projection = self.at(x)
        v = _validate.vector(v, "v", self.shape[1], "column of A")
        with self.threads(), np.errstate(over="ignore", invalid="ignore"):
            return _finite(2.0 * projection.laplacian(divide(self.rows.matvec(v), slack)), "v")

    def vjp(self, x: VectorLike, y: VectorLike) -> Floats:
        """Transposed Jacobian at x times y, (d,): the gradient of yᵀ sigma(x). Raises as
        :meth:`scores`.
        """
        y = _validate.vector(y, "y", self.shape[0], "row of A")
        return self.pull(self.at(x), y)

    def jacobian(self, x: VectorLike) -> Floats:
        """All derivatives of the scores at x, (n, d). Raises as :meth:`scores`."""
        slack, projection = self.at(x)
        with self.threads(), np.errstate(over="ignore", invalid="ignore"):
            scaled = self.rows.scaled(divide(np.ones(len(slack)), slack))
            return _finite(2.0 * projection.laplacian(scaled), "A")

    def pull(self, point: Point, y: Floats) -> Floats:
        """Transposed Jacobian at a point of :meth:`at` times y."""
        slack, projection = point
        with self.threads(), np.errstate(over="ignore", invalid="ignore"):
            scaled = divide(projection.laplacian(y), slack)
            return _finite(2.0 * self.rows.rmatvec(scaled), "y")

    def project(self, slack: Floats) -> Projection:
        """The projection for a slack vector."""
        try:
            with self.threads(), np.errstate(over="raise"):
                return project(self.rows, np.abs(slack), self._start, self._loops)
        except FloatingPointError:
            raise ValueError("x must not make slacks so large beside the entries of A that their "
                             "quotients overflow") from None
        except DependentZeroSlackError:
            raise ValueError("x must not make the slack of linearly dependent rows zero: "
                             "the scores have no limit there") from None

    def threads(self) -> contextlib.AbstractContextManager[int]:
        """While this lasts BLAS stays on the caller's thread (see levinv._parallel)."""
        return sharing(None, self.rows.flops)

    def _slack(self, x: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            slack = self.rows.matvec(x) - self._b
        if not np.isfinite(slack).all():
            raise ValueError("x must not be so large that A x - b overflows")
        slack[np.abs(slack) < TINY] = 0.0      # 1/s would overflow
        return slack

    def at(self, x: VectorLike) -> Point:
        """Slack and projection at x, remembered: read-only."""
        x = _validate.vector(x, "x", self.shape[1], "column of A")
        key, last = x.tobytes(), self._last
        if last is None or last[0] != key:
            slack = self._slack(x)
            projection = self.project(slack)
            slack.flags.writeable = projection.scores.flags.writeable = False
            last = self._last = key, (slack, projection)
        return last[1]


def _finite(derivative: Floats, name: str) -> Floats:
    if not np.isfinite(derivative).all():
        raise ValueError(f"{name} must not be so large that the derivative overflows")
    return derivative


def divide(values: Floats, slack: Floats) -> Floats:
    """values / slack, 0 where the slack is 0: those rows drop out in the limit."""
    return values / (slack if slack.all() else np.where(slack == 0, np.inf, slack))
