"""Hat values of fitted regressions."""
from __future__ import annotations

import sys
from typing import Any

from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.leverage import leverage_scores
from levinv.models.fitted import FittedModel
from levinv.models.reading import read


def hat_values(fit: Any, X: MatrixLike | None = None, *,
               sample_weight: VectorLike | None = None) -> Any:
    """Hat values of a regression that statsmodels or scikit-learn has fitted.

    They are the diagonal of the hat matrix of the last step of Fisher scoring: the leverage scores
    of the design, its rows multiplied by the roots of the weights, above one more row √λ for each
    coefficient with a ridge penalty λ.

    Parameters
    ----------
    fit : fitted regression
        Of statsmodels: OLS, WLS, GLS with a diagonal sigma, GLM, Logit, Probit, Poisson,
        NegativeBinomial. Of scikit-learn: LinearRegression, Ridge, RidgeCV, LogisticRegression and
        LogisticRegressionCV of two classes, PoissonRegressor, GammaRegressor, TweedieRegressor, or
        a Pipeline that ends in one.
    X : (n, d) array_like, data frame or sparse matrix
        The design of a fit of scikit-learn, as its method ``fit`` had it. A fit of statsmodels has
        its own.
    sample_weight : float or (n,) array_like, optional
        What the method ``fit`` of scikit-learn had, at least 0. A fit with ``class_weight`` needs
        it: the products of both weights.

    Returns
    -------
    hat_values : (n,) ndarray or pandas.Series
        A series if the rows of the fit, or of X, have labels.

    Raises
    ------
    TypeError
        No fit of a model above; no X for a fit of scikit-learn.
    ValueError
        An X for a fit of statsmodels, or one with other columns than the fit; correlated errors,
        constraints, penalties other than a ridge; several targets or more than two classes; a link
        that is not known, weights that are not finite or range over more than 300 orders of
        magnitude.

    See Also
    --------
    diagnostics : leave-one-out residuals and Cook's distances
    audit : what the hat values give away
    leverage_scores : scores of any matrix

    Notes
    -----
    Weights are those of expected information, as in R; statsmodels has them with
    ``get_hat_matrix_diag(observed=False)``. A row of frequency f has f times the hat value of each
    of its observations. A row of weight 0 has the hat value 0. Hat values sum to the rank of the
    design, with a penalty to the effective number of coefficients.

    Penalties are those that scikit-learn documents: λ is ``alpha`` for Ridge, ``1/C`` for
    LogisticRegression (``alpha_`` and ``1/C_`` where cross-validation chose it), and ``alpha``
    times the sum of the sample weights for PoissonRegressor, GammaRegressor and TweedieRegressor.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from levinv import hat_values
    >>> data = sm.datasets.spector.load()
    >>> fit = sm.Logit(data.endog, sm.add_constant(data.exog)).fit(disp=False)
    >>> hat_values(fit).head(3).round(4).tolist()
    [0.039, 0.0545, 0.0889]
    """
    model = read(fit, X, sample_weight=sample_weight)
    scores = scores_of(model)
    if model.labels is None:
        return scores
    return sys.modules["pandas"].Series(scores, index=model.labels, name="hat_value")


def scores_of(model: FittedModel) -> Floats:
    """The hat values, (n,)."""
    rows, weights = model.augmented(*model.weights())
    return leverage_scores(rows, weights=weights)[:model.design.shape[0]]
