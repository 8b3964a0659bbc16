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

from levinv import _validate
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.many_points import coefficients, evaluate_points, is_batch, slacks
from levinv.forward.many_weights import numbered, writes_into
from levinv.forward.score_map import ScoreMap
from levinv.weighting.names import WeightingLike


class LeverageMap:
    """Slack, leverage scores and their derivatives at a point x.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
        Real. If A is rank-deficient, the scores are those of its column space.
    b : (n,) array_like, optional
        Right-hand side: the slack is A x - b. Default: 0 if a weighting is given.
    weighting : str, tuple of str, Weighting or statsmodels family, optional
        The weight of a row as a function of its slack, the linear predictor of a regression: a
        family ("binomial"), a family and a link ("binomial", "probit"), or what
        :func:`levinv.weighting.glm` and :func:`levinv.weighting.power` return. Default: 1/slack².
    offset : (n,) array_like, optional
        The offset of a regression, -b, in place of b.
    prior_weights : float or (n,) array_like, optional
        Known factors of the weights, at least 0. A row of prior weight 0 has score 0 and no
        influence.

    Raises
    ------
    ValueError
        Wrong shapes or lengths; empty input; NaN or inf; entries of A beyond 1e307; nonzero rows or
        columns of A of size below 1e-306; both b and offset; an unknown weighting.
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

    ``slack`` and ``scores`` also take many points, the rows of an x (k, d).

    Methods raise ValueError if x is not a finite vector of length d or if A x - b overflows; all
    but ``slack`` also if linearly dependent rows have zero slack at x, if a linear predictor is
    outside the domain of its link, if the scores depend on ratios of weights beyond the range of
    doubles, or if a derivative overflows.

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

    Several points:

    >>> scores_at.scores([[0.0, 0.0], [0.5, -2.0]]).round(4)
    array([[0.9091, 0.9091, 0.1818],
           [0.5909, 0.8182, 0.5909]])

    The hat values of a logistic regression with the coefficients x:

    >>> A = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    >>> LeverageMap(A, weighting="binomial").scores([-1.0, 0.5]).round(4)
    array([0.6606, 0.3268, 0.315 , 0.6975])
    """

    def __init__(self, A: MatrixLike, b: VectorLike | None = None, *,
                 weighting: WeightingLike = None, offset: VectorLike | None = None,
                 prior_weights: VectorLike | None = None):
        self._map = ScoreMap(A, b, weighting, prior_weights, offset)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of A."""
        return self._map.shape

    def slack(self, x: VectorLike) -> Floats:
        """A x - b, (n,), or (k, n) for k points x (k, d)."""
        if is_batch(x):
            return slacks(self._map, coefficients(self._map, x))
        return self._map.slack(x)

    def scores(self, x: VectorLike, out: Floats | None = None) -> Floats:
        """Leverage scores at x, (n,), or (k, n) for k points x (k, d).

        Many points share what is computed from A. ``out`` is a float64 array for the result, which
        is also returned.
        """
        if is_batch(x):
            return self._many_scores(x, out)
        scores = self._map.at(x).projection.scores
        if out is None:
            return scores.copy()
        _validate.output(out, scores.shape)
        out[...] = scores
        return out

    def _many_scores(self, x: VectorLike, out: Floats | None) -> Floats:
        points = coefficients(self._map, x)
        _validate.output(out, (len(points), self.shape[0]))
        into = out if out is not None and writes_into(out, points) else None
        many = evaluate_points(self._map, points, out=into)
        scores = many.found.scores
        for i in many.left:
            with numbered("x", i):
                scores[i] = self._map.point(many.slack[i].copy()).projection.scores
        if out is None or scores is out:
            return scores
        out[...] = scores
        return out

    def jvp(self, x: VectorLike, v: VectorLike) -> Floats:
        """Directional derivative of the scores at x along v, (n,)."""
        point = self._map.at(x)
        return self._map.push(point, self._map.coefficients(v, "v"))

    def vjp(self, x: VectorLike, y: VectorLike) -> Floats:
        """Transposed Jacobian at x times y, (d,): the gradient of yᵀσ(x)."""
        y = _validate.vector(y, "y", self.shape[0], "row of A", self._map.axes.rows)
        return self._map.pull(self._map.at(x), y)

    def jacobian(self, x: VectorLike) -> Floats:
        """All derivatives of the scores at x, (n, d)."""
        return self._map.jacobian(self._map.at(x))
