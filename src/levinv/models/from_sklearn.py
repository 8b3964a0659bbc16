"""Fits of scikit-learn, read by their attributes.

A fit has neither its design nor its sample weights s; the caller gives both. With the negative log
likelihood ℓ_i of dispersion 1 (half the unit deviance, up to constants), scikit-learn minimises

    LinearRegression, Ridge      Σ s_i (y_i - η_i)² + α |x|²                        λ = α
    LogisticRegression           C Σ s_i ℓ_i + ½ |x|²                              λ = 1/C
    Poisson-, Gamma-, Tweedie-   Σ s_i ℓ_i / Σ s_i + (α/2) |x|²                    λ = α Σ s_i

without the intercept in |x|. RidgeCV and LogisticRegressionCV keep the strength that they chose as
α or C with an underscore. The solver "liblinear" alone penalises it, as the coefficient of a
column of entries ``intercept_scaling``: λ = 1 / (C intercept_scaling²) for the intercept.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import scipy.special

from levinv import _validate
from levinv._typing import Floats, MatrixLike, VectorLike
from levinv.models.fitted import FittedModel
from levinv.weighting.names import VARIANCES, glm
from levinv.weighting.protocol import Weighting

ESTIMATORS = ("LinearRegression", "Ridge", "RidgeCV", "LogisticRegression", "LogisticRegressionCV",
              "PoissonRegressor", "GammaRegressor", "TweedieRegressor")
RIDGE, LOGISTIC = ("Ridge", "RidgeCV"), ("LogisticRegression", "LogisticRegressionCV")
FAMILIES = {"PoissonRegressor": "poisson", "GammaRegressor": "gamma"}


def read(fit: Any, X: MatrixLike | None, y: VectorLike | None,
         sample_weight: VectorLike | None) -> FittedModel:
    """What levinv needs of a fit; raises as :func:`levinv.models.reading.read`."""
    labels, rows = _labels(X), _validate.axes(X, sample_weight=sample_weight, y=y).rows
    fit, X, names = _last_step(fit, X)
    kind = type(fit).__name__
    if kind not in ESTIMATORS:
        raise TypeError(f"fit must be one of scikit-learn's {', '.join(ESTIMATORS)} or a Pipeline "
                        f"that ends in one, got {kind}")
    if not hasattr(fit, "coef_"):
        raise ValueError(f"fit must be fitted, got a {kind} without coefficients")
    if X is None:
        raise TypeError("X must be given: a fit of scikit-learn does not keep its design")
    _refuse_others(fit, kind)
    features = _validate.matrix(X, "X", sparse=scipy.sparse.issparse(X))
    if hasattr(fit, "feature_names_in_"):
        order = _validate.Axis(list(fit.feature_names_in_), "the fit's columns", True, True)
        features = order.aligned(features, X, "X", axis=1)
    coefficients = np.atleast_2d(np.asarray(fit.coef_, dtype=float))
    if len(coefficients) != 1:
        of = "two classes" if kind in LOGISTIC else "one target"
        raise ValueError(f"fit must be of {of}, got {len(coefficients)} rows of coefficients")
    if features.shape[1] != coefficients.shape[1]:
        raise ValueError(f"X must have the {coefficients.shape[1]} columns of the fit, got "
                         f"{features.shape[1]}")
    n = features.shape[0]
    weight = (None if sample_weight is None
              else _validate.nonnegative(sample_weight, "sample_weight", n, "row of X", rows))
    if getattr(fit, "class_weight", None) is not None and weight is None:
        raise ValueError("sample_weight must be given for a fit with class_weight: the products of "
                         "the class weights and the sample weights")
    names = names or [f"x{j}" for j in range(features.shape[1])]
    design, params = features, coefficients[0]
    if fit.fit_intercept:
        design = _with_ones(features)
        params = np.concatenate([np.ravel(np.asarray(fit.intercept_, dtype=float)), params])
        names = ["intercept", *names]
    eta = design @ params
    weighting, mean, variance, dispersion = _model(fit, kind, eta)
    return FittedModel(
        kind=f"scikit-learn {kind}", design=design, names=names, labels=labels,
        framed=labels is not None, weighting=weighting, offset=None, prior_weights=weight,
        params=params, linear_predictor=eta, mean=mean, variance=variance,
        response=_response(fit, kind, y, n, rows), dispersion=dispersion,
        ridge=_ridge(fit, kind, len(params), n if weight is None else float(weight.sum())))


def _last_step(fit: Any, X: MatrixLike | None) -> tuple[Any, MatrixLike | None, list[str] | None]:
    """The regression at the end of a pipeline, its design and its names if there are any."""
    named = fit
    if type(fit).__name__ == "Pipeline":
        steps, named = fit[:-1], fit.steps[-1][1]
        if len(fit.steps) > 1 and X is not None:
            X = steps.transform(X)
            if _validate.axes(X).columns.labels is None:
                try:
                    return named, X, [str(name) for name in steps.get_feature_names_out()]
                except AttributeError:         # a step that has no names
                    return named, X, None
    columns = _validate.axes(X).columns.labels
    if columns is None:
        columns = getattr(named, "feature_names_in_", None)
    return named, X, None if columns is None else [str(name) for name in columns]


def _refuse_others(fit: Any, kind: str) -> None:
    """Refuse penalties and constraints that are no ridge."""
    if getattr(fit, "positive", False):
        raise ValueError(f"fit must have no constraints, got {kind}(positive=True)")
    if not getattr(fit, "refit", True):
        raise ValueError(f"fit must be a fit to all rows of X, got {kind}(refit=False)")
    if kind in LOGISTIC:
        ratio = np.ravel(fit.l1_ratio_)[0] if hasattr(fit, "l1_ratio_") else fit.l1_ratio
        if getattr(fit, "penalty", None) in ("l1", "elasticnet") or (
                getattr(fit, "penalty", None) == "deprecated" and ratio):
            raise ValueError("fit must have a ridge penalty or none, got one with absolute values "
                             "of the coefficients")
        if getattr(fit, "multi_class", None) == "multinomial":
            raise ValueError("fit must be a binary regression, got multi_class='multinomial'")
    if kind in RIDGE and np.size(_chosen(fit, "alpha")) != 1:
        raise ValueError(f"fit must have one alpha, got {np.size(_chosen(fit, 'alpha'))}")


def _chosen(fit: Any, name: str) -> Any:
    """The strength of a penalty: the one that cross-validation chose, or the given one."""
    return getattr(fit, f"{name}_", getattr(fit, name, None))


def _ridge(fit: Any, kind: str, d: int, total: float) -> Floats | None:
    """λ for each coefficient, (d,); None if there is no penalty."""
    if kind == "LinearRegression":
        strength = 0.0
    elif kind in RIDGE:
        strength = float(np.ravel(_chosen(fit, "alpha"))[0])
    elif kind in LOGISTIC:
        free = getattr(fit, "penalty", "l2") in (None, "none")
        strength = 0.0 if free else 1.0 / float(np.ravel(_chosen(fit, "C"))[0])
    else:
        strength = float(fit.alpha) * total
    if not strength:
        return None
    ridge = np.full(d, strength)
    if fit.fit_intercept:
        ridge[0] = (strength / float(fit.intercept_scaling) ** 2
                    if getattr(fit, "solver", "") == "liblinear" else 0.0)
    return ridge


def _model(fit: Any, kind: str, eta: Floats) -> tuple[Weighting, Floats, Floats, float | None]:
    """The weighting, μ, V(μ) and the dispersion, or None where it is to be estimated."""
    if kind in ("LinearRegression", *RIDGE):
        return glm("gaussian"), eta, np.ones_like(eta), None
    if kind in LOGISTIC:
        mean = scipy.special.expit(eta)
        return glm("binomial"), mean, mean * scipy.special.expit(-eta), 1.0
    family = FAMILIES.get(kind)
    power = float(fit.power) if family is None else VARIANCES[family]
    link = getattr(fit, "link", "log")
    if link == "auto":
        link = "identity" if power <= 0 else "log"
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.exp(eta) if link == "log" else eta
        variance = mean ** power
    if not np.isfinite(variance).all():
        raise ValueError("fit must have finite variances, and means above 0, in all rows of X, "
                         f"got the mean {mean[np.argmin(np.isfinite(variance))]:g}")
    weighting = glm("tweedie", link, power=power) if family is None else glm(family, "log")
    return weighting, mean, variance, 1.0 if kind == "PoissonRegressor" else None


def _response(fit: Any, kind: str, y: VectorLike | None, n: int,
              rows: _validate.Axis) -> Floats | None:
    """The response, (n,); of a logistic regression 1 for the second class and 0 for the first."""
    if y is None:
        return None
    if np.ma.is_masked(y):
        raise TypeError("y must not have masked entries")
    if kind in LOGISTIC:
        classes = np.ravel(np.asarray(y))
        if len(classes) != n or not np.isin(classes, fit.classes_).all():
            raise ValueError(f"y must hold one of the classes {list(fit.classes_)} for each of the "
                             f"{n} rows of X")
        return rows.aligned(np.asarray(classes == fit.classes_[1], dtype=float), y, "y")
    column = np.ravel(_validate.real_array(y, "y", 1 if np.ndim(y) == 1 else None))
    return rows.aligned(_validate.vector(column, "y", n, "row of X"), y, "y")


def _labels(X: MatrixLike | None) -> Any:
    """The index of a data frame of pandas; None for other designs."""
    return getattr(X, "index", None) if type(X).__module__.startswith("pandas") else None


def _with_ones(features: MatrixLike) -> MatrixLike:
    ones = np.ones((features.shape[0], 1))
    if scipy.sparse.issparse(features):
        return scipy.sparse.hstack([ones, features], format="csr")
    return np.hstack([ones, np.asarray(features)])
