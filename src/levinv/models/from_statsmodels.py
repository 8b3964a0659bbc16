"""Fits of statsmodels, read by their attributes.

Its GLM has weights frequency x variance weight x number of trials times those of Fisher scoring.
Its discrete models have the same weights as the GLM of the same name; NegativeBinomial estimates
its parameter alpha with the coefficients, and hat values are those of the coefficients, alpha held
fixed.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from levinv._typing import Floats
from levinv.models.fitted import FittedModel
from levinv.weighting.names import as_weighting, glm
from levinv.weighting.protocol import Weighting

MODELS = ("OLS", "WLS", "GLS", "GLM", "Logit", "Probit", "Poisson", "NegativeBinomial")
KNOWN_DISPERSION = ("Binomial", "Poisson", "NegativeBinomial")


def read(fit: Any) -> FittedModel:
    """What levinv needs of a fit; raises as :func:`levinv.models.reading.read`."""
    model = getattr(fit, "model", None)
    kind = type(model).__name__
    if kind not in MODELS or not hasattr(fit, "params"):
        given = type(fit).__name__ if model is None else f"{type(fit).__name__} of {kind}"
        raise TypeError(f"fit must be the result of fitting {', '.join(MODELS)} in statsmodels, "
                        f"got {given}")
    _refuse_others(fit, model)
    if kind in ("OLS", "WLS", "GLS"):
        return _linear(fit, model, kind)
    return _glm(fit, model) if kind == "GLM" else _discrete(fit, model, kind)


def _refuse_others(fit: Any, model: Any) -> None:
    """Refuse fits that are not maximum likelihood, and those without their data."""
    name = type(fit).__name__
    if name.startswith(("L1", "Regularized")):
        raise ValueError("fit must be made by the method fit, not by fit_regularized, got "
                         f"{name}")
    if getattr(fit, "k_constr", 0):
        raise ValueError(f"fit must have no constraints, got {fit.k_constr}")
    if getattr(model, "exog", None) is None or getattr(model, "endog", None) is None:
        raise ValueError("fit must keep its data, but they were removed")


def _common(fit: Any, model: Any) -> dict[str, Any]:
    design = np.asarray(model.exog, dtype=float)
    d = design.shape[1]
    return {"design": design, "names": [str(name) for name in model.exog_names[:d]],
            "labels": getattr(model.data, "row_labels", None), "framed": True,
            "params": np.asarray(fit.params, dtype=float)[:d]}


def _linear(fit: Any, model: Any, kind: str) -> FittedModel:
    common = _common(fit, model)
    n = len(common["design"])
    mean = common["design"] @ common["params"]
    return FittedModel(
        kind=f"statsmodels {kind}", **common, weighting=glm("gaussian"), offset=None,
        prior_weights=_precisions(model, kind), linear_predictor=mean, mean=mean,
        variance=np.broadcast_to(1.0, n),
        response=np.asarray(model.endog, dtype=float), dispersion=None)


def _precisions(model: Any, kind: str) -> Floats | None:
    """The weights of WLS, or the reciprocal variances of GLS; None if all are 1."""
    if kind == "WLS":
        weights = np.asarray(model.weights, dtype=float)
        return np.broadcast_to(weights, len(model.endog)) if weights.ndim else None
    sigma = getattr(model, "sigma", None)
    if kind == "OLS" or sigma is None:
        return None
    sigma = np.asarray(sigma, dtype=float)
    if sigma.ndim == 2:
        variances = np.diagonal(sigma)
        if np.count_nonzero(sigma) != np.count_nonzero(variances):
            raise ValueError("fit must have a diagonal sigma: the hat matrix of correlated errors "
                             "is not symmetric, and its diagonal is not a leverage score")
        sigma = variances
    return 1.0 / sigma


def _glm(fit: Any, model: Any) -> FittedModel:
    common = _common(fit, model)
    n = len(common["design"])
    family, offset = type(model.family).__name__, _offset(model, n)
    mean = np.asarray(fit.fittedvalues, dtype=float)
    frequencies = np.asarray(model.freq_weights, dtype=float)
    prior = frequencies * model.var_weights * model.n_trials
    scale = model.scaletype
    dispersion: float | None = float(fit.scale)
    if isinstance(scale, str) and scale.lower() == "x2":
        dispersion = None
    elif scale is None:
        dispersion = 1.0 if family in KNOWN_DISPERSION else None
    return FittedModel(
        kind=f"statsmodels GLM ({family}, {type(model.family.link).__name__})", **common,
        weighting=as_weighting(model.family), offset=offset,
        linear_predictor=_linear_predictor(common, offset),
        prior_weights=None if (prior == 1.0).all() else prior, mean=mean,
        variance=np.broadcast_to(np.asarray(model.family.variance(mean), dtype=float), n),
        response=np.asarray(model.endog, dtype=float), dispersion=dispersion,
        counts=None if (frequencies == 1.0).all() else frequencies)


def _discrete(fit: Any, model: Any, kind: str) -> FittedModel:
    common = _common(fit, model)
    n = len(common["design"])
    mean = np.asarray(model.predict(np.asarray(fit.params)), dtype=float)
    prior, offset = None, _offset(model, n)
    weighting: Weighting
    if kind in ("Logit", "Probit"):
        weighting, variance = glm("binomial", kind.lower()), mean * (1.0 - mean)
    elif kind == "Poisson":
        weighting, variance = glm("poisson"), mean
    else:
        form = model.loglike_method
        alpha = 1.0 if form == "geometric" else float(np.asarray(fit.params)[-1])
        if form == "nb1":              # V = (1 + alpha) μ
            weighting, variance = glm("poisson"), mean
            prior = np.full(n, 1.0 / (1.0 + alpha))
        else:
            weighting = glm("negative-binomial", alpha=alpha)
            variance = mean * (1.0 + alpha * mean)
    return FittedModel(
        kind=f"statsmodels {kind}", **common, weighting=weighting, offset=offset,
        linear_predictor=_linear_predictor(common, offset),
        prior_weights=prior, mean=mean, variance=variance,
        response=np.asarray(model.endog, dtype=float), dispersion=1.0)


def _linear_predictor(common: dict[str, Any], offset: Floats | None) -> Floats:
    eta: Floats = common["design"] @ common["params"]
    return eta if offset is None else eta + offset


def _offset(model: Any, n: int) -> Floats | None:
    """The offset plus the logarithm of the exposure, which the model keeps as a logarithm."""
    total = np.zeros(n)
    for name in ("offset", "exposure"):
        value = getattr(model, name, None)
        if value is not None:
            total = total + np.asarray(value, dtype=float)
    return total if total.any() else None
