"""Leave-one-out diagnostics of fitted regressions.

Let r_i = √v_i (y_i - μ_i)/√V(μ_i) be the Pearson residual, h_i the hat value, H⁻¹ the inverse of
Aᵀ diag(w) A + diag(λ), and P = diag(√w) A H⁻¹ Aᵀ diag(√w), so that h = diag P. Without row i, one
step of Fisher scoring from the fit changes the coefficients by

    -H⁻¹ a_i √w_i r_i / (1 - h_i),   the linear predictor by -P_ji r_i / (√w_j (1 - h_i)) in row j.

In a linear regression, weighted or with a ridge, this step is the fit without row i, and

    y_i - (its prediction)    (y_i - μ_i)/(1 - h_i)
    Cook's distance           c_i² (P²)_ii / (p φ),      c_i = r_i / (1 - h_i),
    Pearson's statistic       Σ r² + 2 c_i (P r)_i - c_i² (1 - (P²)_ii),
    effective coefficients    p - (h_i - (P²)_ii) / (1 - h_i),      p = Σ h.

Without a penalty P² = P and P r = 0; with one, P r = diag(√w) A H⁻¹ diag(λ) x.

In other models all are the first order: means change with the linear predictor at the rate μ'.
"""
from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from levinv import _validate, storage
from levinv._tolerances import ALLOWED_ROUNDINGS, EPS, FIT_DEPARTURE
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.forward.basis import orthonormal_basis
from levinv.models.fitted import FittedModel
from levinv.models.hat_values import scores_of
from levinv.models.reading import read


def diagnostics(fit: Any, X: MatrixLike | None = None, y: VectorLike | None = None, *,
                sample_weight: VectorLike | None = None) -> Any:
    """Hat values, leave-one-out residuals, Cook's distances of a fitted regression.

    Parameters
    ----------
    fit, X, sample_weight
        As for :func:`hat_values`.
    y : (n,) array_like
        The response of a fit of scikit-learn. A fit of statsmodels has its own.

    Returns
    -------
    diagnostics : pandas.DataFrame or dict of (n,) ndarray
        A frame for a fit of statsmodels and where X is a data frame, with the labels of its rows.
        The columns:

        * ``hat_value``: h.
        * ``loo_residual``: the response less its prediction without the row, (y - μ)/(1 - h).
        * ``press``: its square in units of the variance, times the weight of the row. The sum is
          the statistic PRESS.
        * ``standardized_residual``: the Pearson residual divided by √(φ(1 - h)), with the
          dispersion φ.
        * ``studentized_residual``: the same with the dispersion of the fit without the row.
        * ``cooks_distance``: Σ_j w_j (change of the linear predictor of row j without the row)²,
          divided by φ p for p coefficients.

    Raises
    ------
    TypeError, ValueError
        As :func:`hat_values`; no y for a fit of scikit-learn, or X, y and sample weights that
        are not those of the fit; no degrees of freedom to estimate a dispersion; a response that
        is fitted without error.

    See Also
    --------
    hat_values : the hat values alone

    Notes
    -----
    In linear regressions (OLS, WLS, GLS, Ridge) all columns are exact: the same numbers result
    from as many fits as there are rows. In other models they are those of one step of Fisher
    scoring from the fit, to first order [1]_. A penalty λ stays the same when a row is left out.

    A row of weight 0 has no influence, and its ``loo_residual`` is its residual. A row of hat value
    1 has the entry inf in all columns but the first: without it the model is not determined.

    With a penalty, p is the sum of the hat values, the effective number of coefficients. An
    estimated dispersion is Pearson's statistic divided by the number of observations of positive
    weight less p, both without the row for ``studentized_residual``. The dispersions of binomial,
    Poisson and negative binomial regressions are known, and both columns of residuals agree. A row
    of frequency f is left out as a whole.

    For OLS the numbers are those of statsmodels' ``OLSInfluence``. That class is not for WLS: its
    hat values then lack the factor √w, and all else is computed with them.

    References
    ----------
    .. [1] Pregibon, "Logistic regression diagnostics", Annals of Statistics 9 (1981).

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from levinv import diagnostics
    >>> data = sm.datasets.stackloss.load()
    >>> fit = sm.OLS(data.endog, sm.add_constant(data.exog)).fit()
    >>> frame = diagnostics(fit)
    >>> frame.cooks_distance.nlargest(2).round(3).to_dict()
    {20: 0.692, 0: 0.154}
    >>> float(frame.press.sum().round(2))
    291.87
    """
    model = read(fit, X, y, sample_weight)
    if model.response is None:
        raise TypeError("y must be given: a fit of scikit-learn does not keep its response")
    columns = _columns(model, model.response, given=y is not None)
    if not model.framed:
        return columns
    return sys.modules["pandas"].DataFrame(columns, index=model.labels)


def _columns(model: FittedModel, response: Floats, *, given: bool) -> dict[str, Floats]:
    """The columns; data that the caller has ``given`` are checked: they may not be the fit's."""
    error = response - model.mean
    squares = _in_variances(model, error)
    pearson = np.sign(error) * np.sqrt(squares)
    if given:
        traces = _with_basis(model, pearson)
    else:
        hat = scores_of(model)
        traces = _Traces(hat, hat, np.zeros(1), 0.0)
    hat = traces.hat
    parameters = float(hat.sum())
    if model.ridge is None:
        parameters = float(round(parameters))            # the rank
    alone = 1.0 - hat <= ALLOWED_ROUNDINGS * EPS
    rest = np.where(alone, 1.0, 1.0 - hat)
    without = np.where(alone, 0.0, pearson / rest)
    total = float(squares.sum())
    dispersion, dispersion_without = _dispersions(
        model, response, total, parameters,
        without ** 2 * (1.0 - traces.squared) - 2.0 * without * traces.fitted,
        (hat - traces.squared) / rest)
    if given:
        _check_data(traces.step, dispersion * parameters, total)
    standardized = pearson / np.sqrt(dispersion * rest)
    found = {
        "loo_residual": error / rest,
        "press": squares / rest ** 2,
        "standardized_residual": standardized,
        "studentized_residual": standardized * np.sqrt(dispersion / dispersion_without),
        "cooks_distance": without ** 2 * traces.squared / (dispersion * parameters),
    }
    return {"hat_value": hat,
            **{name: np.where(alone, np.inf, column) for name, column in found.items()}}


class _Traces(NamedTuple):
    """What the columns take of P."""

    hat: Floats                  # (n,) h
    squared: Floats              # (n,) diag(P²)
    fitted: Floats               # (n,) or (1,) P r for the Pearson residuals r
    step: float                  # g H⁻¹ g for the gradient g: what a further step would gain


def _with_basis(model: FittedModel, pearson: Floats) -> _Traces:
    """P of a model whose data the caller has given. Pearson residuals (n,) have the unit of
    √dispersion.
    """
    weights, largest = model.weights()
    matrix, all_weights = model.augmented(weights, largest)
    rows, n = storage.of(matrix), model.design.shape[0]
    scale = np.ones(matrix.shape[0]) if all_weights is None else np.sqrt(all_weights)
    transform = orthonormal_basis(rows, scale).transform
    hat = np.minimum(rows.quad(scale, transform)[:n], 1.0)
    # all links of scikit-learn increase: the score of a row is √w times its Pearson residual
    score = model.design.T @ (scale[:n] * pearson)
    squared, fitted = hat, np.zeros(1)
    if model.ridge is not None:
        penalty = np.sqrt(model.ridge / largest)
        squared = hat - rows.quad(scale, transform @ (penalty[:, None] * transform).T)[:n]
        pull = penalty ** 2 * np.sqrt(largest) * model.params
        score = score - pull
        fitted = scale[:n] * (model.design @ (transform @ (transform.T @ pull)))
    return _Traces(hat, squared, fitted, float(np.sum((transform.T @ score) ** 2)))


def _in_variances(model: FittedModel, error: Floats) -> Floats:
    """Squares of errors of the response in units of the variances for dispersion 1, (n,)."""
    prior = 1.0 if model.prior_weights is None else model.prior_weights
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        squares: Floats = error ** 2 * prior / model.variance
    # a probability that rounds to 0 or 1, as the response is, has the variance 0
    squares = np.where(error == 0, 0.0, squares)
    _validate.refuse(~np.isfinite(squares) | (squares < 0), model.variance, "variances of the fit",
                     "above 0 and finite where the response is not fitted without error")
    return squares


def _dispersions(model: FittedModel, response: Floats, pearson: float, parameters: float,
                 explained: Floats, freed: Floats) -> tuple[float, Floats | float]:
    """The dispersion of the fit and those without each row, (n,), where it is estimated.

    Without a row, Pearson's statistic is smaller by ``explained`` and the number of coefficients
    by ``freed``, (n,) both.
    """
    if model.dispersion is not None:
        return model.dispersion, model.dispersion
    n = len(explained)
    counts = np.ones(n) if model.counts is None else model.counts
    if model.prior_weights is not None:
        counts = np.where(model.prior_weights > 0, counts, 0.0)
    freedom = float(counts.sum()) - parameters
    left_freedom = freedom - counts + freed
    if freedom <= 0 or (left_freedom <= 0).any():
        raise ValueError("fit must have a degree of freedom for its dispersion without any row, "
                         f"got {float(counts.sum()):g} observations and {parameters:g} parameters")
    left = pearson - explained
    rounding = (ALLOWED_ROUNDINGS * EPS) ** 2 * float(_in_variances(model, response).sum())
    exact = left <= max(ALLOWED_ROUNDINGS * EPS * pearson, rounding)
    if exact.any():
        raise ValueError("fit must have errors in more than one row, but all rows are fitted "
                         f"without error without row {_validate.first_index(exact)}")
    return pearson / freedom, left / left_freedom


def _check_data(step: float, variance: float, pearson: float) -> None:
    """Refuse data that are not those of the fit: its equations do not hold there."""
    if step > FIT_DEPARTURE ** 2 * variance + (ALLOWED_ROUNDINGS * EPS) ** 2 * pearson:
        raise ValueError("X, y and sample_weight must be those of the fit, but there a step would "
                         f"change the coefficients by {np.sqrt(step / variance):.2g} standard "
                         "errors (or the fit has not converged)")
