"""Jeffreys' penalty ½ log det(Aᵀ diag(w) A) of a generalised linear model.

w are the weights of Fisher scoring, so that the matrix is the expected information. See
levinv.forward.barrier for the derivatives: the penalty is the barrier of another weighting.
"""
from __future__ import annotations

from levinv._typing import MatrixLike, VectorLike
from levinv.forward.barrier import FullRankMap, LogDeterminant
from levinv.weighting.names import WeightingLike


class JeffreysPenalty(LogDeterminant):
    """½ log det(Aᵀ diag(w) A) for the weights w of a regression, its gradient and its Hessian.

    Maximising the log-likelihood plus this penalty is Firth's regression, which has finite
    coefficients where the data are separated.

    Parameters
    ----------
    A : (n, d) array_like, data frame, sparse matrix, stored or dask array
        The design: real, of full column rank. A zero row has no effect.
    b : (n,) array_like, optional
        The linear predictor is A x - b. Default: 0.
    weighting : str, tuple of str, Weighting or statsmodels family
        The model, as in :class:`LeverageMap`: "binomial", ("binomial", "probit").
    offset : (n,) array_like, optional
        The offset of the regression, -b, in place of b.
    prior_weights : float or (n,) array_like, optional
        Known factors of the weights, at least 0: numbers of trials, frequencies.

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, A not of full column rank, both b and
        offset, an unknown weighting.
    TypeError
        Complex, object or string input; sparse input other than A.

    See Also
    --------
    VolumetricBarrier : the same for the weights 1/slack²
    GradientLoss : the misfit of the gradient at x

    Notes
    -----
    Constants of the weights are included: for a logistic regression ``fun`` is ½ log det of the
    information matrix that statsmodels and R compute.

    ``fun``, ``grad`` and ``hessp`` cost O(n d²), ``hess`` O(n d²·min(n/d, d)). The last point is
    remembered. The gradient of a logistic regression is Aᵀ(h∘(½ - p)), with hat values h and
    probabilities p.

    Methods raise ValueError if x is not a finite vector of length d, if A x - b overflows, if a
    linear predictor is outside the domain of its link, if the scores depend on ratios of weights
    beyond the range of doubles, or if a derivative overflows.

    References
    ----------
    .. [1] Firth, "Bias reduction of maximum likelihood estimates", Biometrika 80 (1993).

    Examples
    --------
    The sign of the second column separates the responses, so that the likelihood alone has no
    maximum:

    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> from levinv import JeffreysPenalty
    >>> A = np.column_stack([np.ones(6), [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]])
    >>> y = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    >>> penalty = JeffreysPenalty(A, weighting="binomial")
    >>> def loss(x):
    ...     return np.logaddexp(0.0, A @ x).sum() - y @ A @ x - penalty.fun(x)
    >>> def grad(x):
    ...     return A.T @ (1.0 / (1.0 + np.exp(-A @ x)) - y) - penalty.grad(x)
    >>> minimize(loss, np.zeros(2), jac=grad, tol=1e-10).x.round(4) + 0.0
    array([0.    , 0.9384])
    """

    def __init__(self, A: MatrixLike, b: VectorLike | None = None, *, weighting: WeightingLike,
                 offset: VectorLike | None = None, prior_weights: VectorLike | None = None):
        self._map = FullRankMap(A, b, weighting, prior_weights, offset, "penalty")
