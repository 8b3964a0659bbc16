"""Maximum likelihood for generalised linear models by Fisher scoring.

With η = A x + offset, the mean μ(η), the variance V(μ) and known prior weights v, the likelihood
has for dispersion 1 the gradient and the expected information

    g = Aᵀ (w r),    H = Aᵀ diag(w) A,    w = v μ'²/V,    r = (y - μ)/μ'.

A step x + t H⁻¹ g is the least-squares fit of r with the weights w: the method is also called
iteratively reweighted least squares. t is 1, halved until all linear predictors have means and the
deviance does not rise. The first x is the one whose linear predictors are closest to a constant,
that of the mean response. The iteration ends when a full step no longer changes the linear
predictors. If they still change when the likelihood no longer does, coefficients may grow without
bound; levinv.models.separation tells. All this is done in coordinates c in which the design A T has
orthonormal columns, x = T c, so that columns that are almost dependent do not slow it down.

Source: McCullagh and Nelder, Generalized Linear Models (1989), section 2.5.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from levinv import storage
from levinv._tolerances import ALLOWED_ROUNDINGS, EPS, FEW_ITERATIONS, UNIT_ROUNDOFF
from levinv._typing import Floats, Integers
from levinv.forward.basis import orthonormal_basis
from levinv.models.fitted import FittedModel
from levinv.models.likelihood import REAL, Likelihood
from levinv.models.separation import separates, separating_direction

SETTLED = math.sqrt(EPS) / ALLOWED_ROUNDINGS     # change of η, relative to the largest |η| or to 1


class FitError(ValueError):
    """There is no fit. ``columns`` are the columns of the design to which the message applies."""

    def __init__(self, message: str, columns: Integers | None = None) -> None:
        super().__init__(message)
        self.columns: list[int] = [] if columns is None else columns.tolist()


@dataclass(frozen=True, eq=False)
class Regression:
    """A regression that is to be fitted."""

    likelihood: Likelihood
    design: Floats                         # (n, d)
    names: list[str]                       # of the columns
    response: Floats                       # (n,)
    offset: Floats | None = None           # (n,)
    prior_weights: Floats | None = None    # (n,) v, at least 0
    labels: list[str] | None = None        # of the rows


class _Separation(Exception):
    """The likelihood never decreases along a direction of the coordinates."""

    def __init__(self, direction: Floats) -> None:
        super().__init__()
        self.direction = direction


@dataclass(frozen=True, eq=False)
class _State:
    """A point of the iteration, in coordinates c."""

    c: Floats
    eta: Floats
    deviance: float


def fit(regression: Regression) -> FittedModel:
    """The coefficients of maximum likelihood.

    Raises FitError for responses that the family has not, dependent columns, fewer rows of positive
    weight than columns, separated data, means that no coefficients reach, and an iteration that
    does not converge.
    """
    likelihood, y = regression.likelihood, regression.response
    _check_responses(regression)
    transform = _coordinates(regression)
    inner = replace(regression, design=regression.design @ transform)
    try:
        state = _iterated(inner, _start(inner))
    except _Separation as found:
        raise _separated(regression, transform @ found.direction) from None
    mean = likelihood.link.mean(state.eta)
    with np.errstate(all="ignore"):
        variance = likelihood.family.variance(mean)[0]
    return FittedModel(
        kind=likelihood.weighting.name, design=regression.design, names=regression.names,
        labels=regression.labels, framed=False, weighting=likelihood.weighting,
        offset=regression.offset, prior_weights=regression.prior_weights,
        params=transform @ state.c, linear_predictor=state.eta, mean=mean, variance=variance,
        response=y, dispersion=1.0 if likelihood.known_dispersion else None)


def _iterated(regression: Regression, state: _State) -> _State:
    """The state at which the iteration ends."""
    looked, before, sides = False, math.inf, _sides(regression)
    for _ in range(FEW_ITERATIONS):
        step, gain = _step(regression, state)
        after, share = _moved(regression, state, step)
        if after is state or gain >= before:
            # nothing is left to gain but rounding, or the step is no step upwards
            if gain <= EPS * max(1.0, state.deviance):
                _refuse_separated(regression, sides)
                return state
            if after is state:
                break
        before = gain
        change = float(np.abs(after.eta - state.eta).max())
        state = after
        if sides is not None and separates(_used(regression, state.eta - _offset(regression)),
                                           sides):
            raise _Separation(state.c)
        if share == 1.0 and change <= SETTLED * (1.0 + float(np.abs(state.eta).max())):
            return state
        if not looked and gain <= math.sqrt(EPS) and change > math.sqrt(math.sqrt(EPS)):
            looked = True
            _refuse_separated(regression, sides)
    _refuse_separated(regression, sides)
    edge = ("" if regression.likelihood.link.reaches else
            ": with this link the maximum may lie where means leave their range")
    raise FitError("the fit does not converge, the gradient of the likelihood is not zero after "
                   f"the last step of Fisher scoring{edge}")


def _check_responses(regression: Regression) -> None:
    y, allowed = regression.response, regression.likelihood.responses
    if y not in allowed:
        row = int(np.argmax([np.array([value]) not in allowed for value in y]))
        raise FitError(f"the responses of {regression.likelihood.weighting.name} must be {allowed},"
                       f" got {y[row]:g} in row {row}")
    prior = _prior(regression)
    counted = y[prior > 0]
    if not len(counted):
        raise FitError("a prior weight must be above 0")
    if counted.min() == counted.max() and counted[0] in (allowed.low, allowed.high):
        raise FitError(f"all responses are {counted[0]:g}, so that coefficients grow without bound "
                       "and there is no fit")
    if len(counted) < regression.design.shape[1]:
        raise FitError(f"{regression.design.shape[1]} coefficients are not determined by "
                       f"{len(counted)} rows")


def _prior(regression: Regression) -> Floats:
    if regression.prior_weights is None:
        return np.ones(len(regression.response))
    return regression.prior_weights


def _used(regression: Regression, values: Floats) -> Floats:
    """The rows of positive weight."""
    return values if regression.prior_weights is None else values[regression.prior_weights > 0]


def _offset(regression: Regression) -> Floats:
    return np.zeros(len(regression.response)) if regression.offset is None else regression.offset


def _transform(regression: Regression, weights: Floats) -> Floats:
    """T with orthonormal columns of diag(√w) A T, for weights up to 1."""
    return orthonormal_basis(storage.of(regression.design), np.sqrt(weights)).transform


def _dependent(rows: Floats) -> Integers:
    """The columns of one combination that is zero."""
    norms = np.linalg.norm(rows, axis=0)
    triangle = np.linalg.qr(rows / np.where(norms > 0, norms, 1.0), mode="r")
    vector = np.linalg.svd(triangle)[2][-1]
    return np.flatnonzero(np.abs(vector) > math.sqrt(EPS))


def _coordinates(regression: Regression) -> Floats:
    """T, (d, d). Raises FitError if the columns of the design are dependent."""
    transform = _transform(regression, np.where(_prior(regression) > 0, 1.0, 0.0))
    if transform.shape[1] < regression.design.shape[1]:
        raise FitError("columns of the design are linearly dependent, so that their coefficients "
                       "are not determined", _dependent(_used(regression, regression.design)))
    return transform


def _start(regression: Regression) -> _State:
    """The point whose linear predictors are closest to that of the mean response."""
    likelihood, y, prior = regression.likelihood, regression.response, _prior(regression)
    mean = float(prior @ y) / float(prior.sum())
    if math.isfinite(likelihood.responses.high):                # inside the interval of the means
        mean = (float(prior @ y) + 0.5) / (float(prior.sum()) + 1.0)
    elif not likelihood.means.low < mean:
        mean = 1.0
    with np.errstate(all="ignore"):
        wanted = float(likelihood.link.link(np.array([mean]))[0])
    missing = wanted - _offset(regression)
    state = _state(regression, regression.design.T @ np.where(prior > 0, missing, 0.0))
    if state is None:
        raise FitError(f"no start of the fit is known: the means of {likelihood.weighting.name} "
                       "would leave their range (an intercept may be missing)")
    return state


def _state(regression: Regression, c: Floats) -> _State | None:
    """The state at c; None if some linear predictor has no mean or the likelihood vanishes."""
    likelihood = regression.likelihood
    eta = regression.design @ c + _offset(regression)
    with np.errstate(all="ignore"):
        if not likelihood.possible(eta):
            return None
        prior = _prior(regression)
        deviances = np.where(prior > 0, likelihood.deviances(regression.response, eta), 0.0)
        deviance = float(prior @ deviances)
    return _State(c, eta, deviance) if math.isfinite(deviance) else None


def _step(regression: Regression, state: _State) -> tuple[Floats, float]:
    """H⁻¹ g, (d,), and its square g H⁻¹ g in standard errors."""
    link, y = regression.likelihood.link, regression.response
    with np.errstate(all="ignore"):
        log_weight = (regression.likelihood.weighting.log_weight(state.eta)
                      + np.log(_prior(regression)))
        top = float(log_weight.max())
        weights = np.exp(log_weight - top)
        working = (y - link.mean(state.eta)) / link.slope(state.eta)
    transform = _transform(regression, weights)
    if transform.shape[1] < len(state.c):
        _refuse_separated(regression, _sides(regression))
        raise FitError("the fit does not converge: the weights of Fisher scoring are too far apart")
    inner = transform.T @ (regression.design.T @ np.where(weights > 0, weights * working, 0.0))
    return transform @ inner, math.exp(top) * float(inner @ inner)


def _moved(regression: Regression, state: _State, step: Floats) -> tuple[_State, float]:
    """The state after a step or a part of it, and the part; the state itself if none is better."""
    size = float(_prior(regression) @ regression.likelihood.size(regression.response))
    allowed = state.deviance + ALLOWED_ROUNDINGS * EPS * (size + state.deviance)
    share = 1.0
    while share > UNIT_ROUNDOFF:
        after = _state(regression, state.c + share * step)
        if after is not None and after.deviance <= allowed:
            return after, share
        share *= 0.5
    return state, 0.0


def _sides(regression: Regression) -> Floats | None:
    """How far a linear predictor may grow for rows of positive weight: +1 up, -1 down, 0 not at
    all; None if that does not tell whether there is a fit.
    """
    likelihood, y = regression.likelihood, regression.response
    if not likelihood.link.reaches or likelihood.responses is REAL:
        return None
    sides = np.where(y == likelihood.responses.low, -1.0,
                     np.where(y == likelihood.responses.high, 1.0, 0.0))
    return _used(regression, sides)


def _refuse_separated(regression: Regression, sides: Floats | None) -> None:
    """Raise _Separation if coefficients grow without bound."""
    if sides is None:
        return
    direction = separating_direction(_used(regression, regression.design), sides)
    if direction is not None:
        raise _Separation(direction)


def _separated(regression: Regression, direction: Floats) -> FitError:
    """The error for coefficients that grow in this direction."""
    sizes = np.abs(direction) * np.linalg.norm(regression.design, axis=0)
    ends = ("ones and zeros" if math.isfinite(regression.likelihood.responses.high)
            else "zeros and other responses")
    return FitError(f"the responses are separated: a combination of columns divides {ends}, so "
                    "that its coefficients grow without bound and there is no fit",
                    np.flatnonzero(sizes > math.sqrt(EPS) * sizes.max()))
