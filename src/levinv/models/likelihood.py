"""Likelihoods of generalised linear models: means, deviances and what responses are possible.

A family has the variance V(μ), an interval of means and one of responses. Its deviance is twice the
log likelihood that a fit lacks to the best one, for dispersion 1:

    binomial            2 (y log(y/μ) + (1 - y) log((1 - y)/(1 - μ)))
    V = μ^p             2 (y^(2-p)/((1 - p)(2 - p)) - y μ^(1-p)/(1 - p) + μ^(2-p)/(2 - p)),
        p = 0           (y - μ)²
        p = 1           2 (y log(y/μ) - y + μ)
        p = 2           2 (y/μ - 1 - log(y/μ))
    V = μ + α μ²        2 (y log(y/μ) - (y + 1/α) log((1 + α y)/(1 + α μ)))

Source: McCullagh and Nelder, Generalized Linear Models (1989), sections 2.3 and 11.2; Jørgensen,
The Theory of Dispersion Models (1997), chapter 4.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.special

from levinv._typing import Floats
from levinv.weighting.composed import (
    BINOMIAL,
    Family,
    negative_binomial,
    negative_binomial_link,
    power_family,
)
from levinv.weighting.names import VARIANCES, glm, model
from levinv.weighting.protocol import Weighting

Function = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Interval:
    """Numbers from ``low`` to ``high``; the ends belong to it where ``closed``."""

    low: float
    high: float
    closed: bool

    def __contains__(self, values: Floats) -> bool:
        lowest, highest = float(values.min()), float(values.max())
        if self.closed:
            return self.low <= lowest and highest <= self.high
        return self.low < lowest and highest < self.high

    def __str__(self) -> str:
        if math.isfinite(self.high):
            return f"from {self.low:g} to {self.high:g}"
        return "finite" if math.isinf(self.low) else (
            f"at least {self.low:g}" if self.closed else f"above {self.low:g}")


REAL = Interval(-math.inf, math.inf, closed=False)


@dataclass(frozen=True)
class Link:
    """The inverse of a link on a domain, and the link itself."""

    mean: Function                          # μ
    rest: Function                          # 1 - μ without cancellation, for probabilities
    slope: Function                         # μ'
    link: Function                          # η
    domain: Interval = REAL
    reaches: bool = False                   # μ tends to the ends of its interval for η -> ±inf


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The likelihood of a family with a link."""

    weighting: Weighting
    link: Link
    family: Family
    means: Interval
    responses: Interval
    known_dispersion: bool
    unit_deviance: Callable[[Floats, Floats, Floats], Floats]      # of y, μ and 1 - μ, (n,)
    size: Function                                                 # of the terms of a deviance

    def possible(self, eta: Floats) -> bool:
        """Whether these linear predictors have means, and weights above 0."""
        if not np.isfinite(eta).all() or eta not in self.link.domain:
            return False
        with np.errstate(all="ignore"):
            mean, slope = self.link.mean(eta), self.link.slope(eta)
            return bool(slope.all() and np.isfinite(slope).all() and mean in self.means
                        and np.isfinite(self.weighting.log_weight(eta)).all())

    def deviances(self, y: Floats, eta: Floats) -> Floats:
        """The deviance of each row, (n,)."""
        with np.errstate(all="ignore"):
            return self.unit_deviance(y, self.link.mean(eta), self.link.rest(eta))


def likelihood(family: str, link: str | None = None, *, alpha: float | None = None,
               power: float | None = None) -> Likelihood:
    """The likelihood of a family and a link by their names. Raises as
    :func:`levinv.weighting.glm`.
    """
    weighting = glm(family, link, alpha=alpha, power=power)
    family, link, rho = model(family, link, None)
    if family == "binomial":
        unit = Interval(0.0, 1.0, closed=True)       # far out a probability rounds to 0 or 1
        inverse = _link("logit" if link == "canonical" else link, rho)
        if link in ("log", "logc"):
            inverse = replace(inverse, domain=Interval(-math.inf, 0.0, closed=False), reaches=False)
        return Likelihood(weighting, inverse, BINOMIAL, unit, unit, True, _binomial_deviance,
                          np.ones_like)
    positive = Interval(0.0, math.inf, closed=False)
    if family == "negative-binomial":
        dispersion = 1.0 if alpha is None else float(alpha)
        inverse = _canonical(dispersion) if link == "canonical" else _link(link, rho)
        return Likelihood(weighting, inverse, negative_binomial(dispersion), positive,
                          Interval(0.0, math.inf, closed=True), True,
                          _negative_binomial_deviance(dispersion), lambda y: y + 1.0 / dispersion)
    p = VARIANCES.get(family, 0.0 if power is None else float(power))
    means = REAL if p == 0 else positive
    responses = REAL if p <= 0 else Interval(0.0, math.inf, closed=p < 2)
    return Likelihood(weighting, _link(link, rho), power_family(p), means, responses,
                      family == "poisson", _power_deviance(p),
                      lambda y: np.maximum(np.abs(y), 1.0) ** max(2.0 - p, 0.0))


def _link(name: str, rho: float | None) -> Link:
    return INVERSE_LINKS[name] if rho is None else _power_link(rho)


INVERSE_LINKS = {
    "logit": Link(scipy.special.expit, lambda eta: scipy.special.expit(-eta),
                  lambda eta: scipy.special.expit(eta) * scipy.special.expit(-eta),
                  scipy.special.logit, reaches=True),
    "probit": Link(scipy.special.ndtr, lambda eta: scipy.special.ndtr(-eta),
                   lambda eta: np.exp(-0.5 * eta ** 2) / math.sqrt(2.0 * math.pi),
                   scipy.special.ndtri, reaches=True),
    "cauchit": Link(lambda eta: np.arctan2(1.0, -eta) / math.pi,
                    lambda eta: np.arctan2(1.0, eta) / math.pi,
                    lambda eta: 1.0 / (math.pi * (1.0 + eta ** 2)),
                    lambda mean: np.tan(math.pi * (mean - 0.5)), reaches=True),
    "cloglog": Link(lambda eta: -np.expm1(-np.exp(eta)), lambda eta: np.exp(-np.exp(eta)),
                    lambda eta: np.exp(eta - np.exp(eta)),
                    lambda mean: np.log(-np.log1p(-mean)), reaches=True),
    "loglog": Link(lambda eta: np.exp(-np.exp(-eta)), lambda eta: -np.expm1(-np.exp(-eta)),
                   lambda eta: np.exp(-eta - np.exp(-eta)),
                   lambda mean: -np.log(-np.log(mean)), reaches=True),
    "log": Link(np.exp, lambda eta: -np.expm1(eta), np.exp, np.log, reaches=True),
    "logc": Link(lambda eta: -np.expm1(eta), np.exp, lambda eta: -np.exp(eta),
                 lambda mean: np.log1p(-mean)),
}


def _power_link(rho: float) -> Link:
    """η = μ^ρ, μ > 0; for ρ = 1 any μ."""
    if rho == 1.0:
        return Link(lambda eta: eta, lambda eta: 1.0 - eta, np.ones_like, lambda mean: mean)
    e = 1.0 / rho
    return Link(lambda eta: eta ** e, lambda eta: 1.0 - eta ** e,
                lambda eta: e * eta ** (e - 1.0), lambda mean: mean ** rho,
                Interval(0.0, math.inf, closed=False))


def _canonical(alpha: float) -> Link:
    """η = log(αμ / (1 + αμ))."""
    inverse = negative_binomial_link(alpha).mean
    return Link(lambda eta: inverse(eta)[0], lambda eta: 1.0 - inverse(eta)[0],
                lambda eta: inverse(eta)[1], lambda mean: np.log(alpha * mean / (1 + alpha * mean)),
                Interval(-math.inf, 0.0, closed=False))


def _binomial_deviance(y: Floats, mean: Floats, rest: Floats) -> Floats:
    deviance: Floats = 2.0 * (scipy.special.rel_entr(y, mean)
                              + scipy.special.rel_entr(1.0 - y, rest))
    return deviance


def _negative_binomial_deviance(alpha: float) -> Callable[[Floats, Floats, Floats], Floats]:
    def deviance(y: Floats, mean: Floats, _: Floats) -> Floats:
        both: Floats = 2.0 * (scipy.special.rel_entr(y, mean) - (y + 1.0 / alpha) * (
            np.log1p(alpha * y) - np.log1p(alpha * mean)))
        return both

    return deviance


def _power_deviance(p: float) -> Callable[[Floats, Floats, Floats], Floats]:
    if p == 0:
        return lambda y, mean, _: (y - mean) ** 2
    if p == 1:
        return lambda y, mean, _: 2.0 * scipy.special.kl_div(y, mean)
    if p == 2:
        return lambda y, mean, _: 2.0 * (y / mean - 1.0 - np.log(y / mean))

    def deviance(y: Floats, mean: Floats, _: Floats) -> Floats:
        best = np.maximum(y, 0.0) ** (2.0 - p) / ((1.0 - p) * (2.0 - p))
        return 2.0 * (best - y * mean ** (1.0 - p) / (1.0 - p) + mean ** (2.0 - p) / (2.0 - p))

    return deviance
