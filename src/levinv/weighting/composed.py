"""Weightings of any family and link, and those that the caller supplies.

With the mean μ(η), the inverse of the link, and the variance function V(μ), Fisher scoring has

    w = μ'²/V,  τ = 2 log|μ'| - log V,  τ' = 2 m₂ - v₁,  τ'' = 2 (m₃ - m₂²) - (v₂ + v₁ m₂ - v₁²)

with m₂ = μ''/μ', m₃ = μ'''/μ', v₁ = V'(μ) μ'/V, v₂ = V''(μ) μ'²/V. Common pairs have formulas of
their own (levinv.weighting.names). The formulas above lose digits where V cancels.

The kind of such a τ, and of one that the caller supplies, follows from the signs of τ' on a grid of
the domain.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.optimize

from levinv._tolerances import EPS, KIND_NODES, KIND_REACH, SQUARABLE
from levinv._typing import Floats
from levinv.weighting.monotone import Monotone
from levinv.weighting.peaked import Peaked
from levinv.weighting.protocol import Constant, Exponential, Kind, Weighting

Derivatives = Callable[[Floats], tuple[Floats, Floats, Floats, Floats]]


@dataclass(frozen=True)
class Link:
    """The inverse of a link: μ and three derivatives as functions of η, on a domain."""

    name: str
    mean: Derivatives
    domain: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True)
class Family:
    """V, V' and V'' as functions of μ, and the interval of the means."""

    name: str
    variance: Callable[[Floats], tuple[Floats, Floats, Floats]]
    means: tuple[float, float]


def power_link(power: float) -> Link:
    """η = μ^power, μ = η^(1/power) for η > 0."""
    e = 1.0 / power

    def mean(eta: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        return (eta ** e, e * eta ** (e - 1.0), e * (e - 1.0) * eta ** (e - 2.0),
                e * (e - 1.0) * (e - 2.0) * eta ** (e - 3.0))

    return Link(f"power {power:g}", mean, (0.0, math.inf))


def _log_mean(eta: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    mean = np.exp(eta)
    return mean, mean, mean, mean


def _cloglog_mean(eta: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    u = np.exp(eta)
    slope = u * np.exp(-u)
    return -np.expm1(-u), slope, slope * (1.0 - u), slope * (1.0 - 3.0 * u + u * u)


LOG = Link("log", _log_mean)
CLOGLOG = Link("cloglog", _cloglog_mean)


def negative_binomial_link(alpha: float) -> Link:
    """η = log(αμ / (1 + αμ)), the canonical link, for η < 0."""
    def mean(eta: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        p = np.exp(eta)
        rest = -np.expm1(eta)
        return (p / rest / alpha, p / rest ** 2 / alpha, p * (1.0 + p) / rest ** 3 / alpha,
                p * (1.0 + 4.0 * p + p * p) / rest ** 4 / alpha)

    return Link("canonical", mean, (-math.inf, 0.0))


def _binomial() -> Family:
    """V = μ (1 - μ)."""
    return Family("binomial", lambda m: (m * (1.0 - m), 1.0 - 2.0 * m, np.full_like(m, -2.0)),
                  (0.0, 1.0))


BINOMIAL = _binomial()


def negative_binomial(alpha: float) -> Family:
    """V = μ + α μ²."""
    return Family("negative binomial",
                  lambda m: (m + alpha * m * m, 1.0 + 2.0 * alpha * m,
                             np.full_like(m, 2.0 * alpha)),
                  (0.0, math.inf))


def power_family(power: float) -> Family:
    """V = μ^power."""
    def variance(m: Floats) -> tuple[Floats, Floats, Floats]:
        return (m ** power, power * m ** (power - 1.0),
                power * (power - 1.0) * m ** (power - 2.0))

    return Family(f"variance mean^{power:g}", variance, (0.0, math.inf))


class LogWeight(Protocol):
    """τ with two derivatives, for float64 arrays of any shape."""

    def log_weight(self, eta: Floats) -> Floats:
        """τ."""

    def derivative(self, eta: Floats) -> Floats:
        """τ'."""

    def second_derivative(self, eta: Floats) -> Floats:
        """τ''."""


class _Composed:
    """τ of a family and a link."""

    def __init__(self, family: Family, link: Link) -> None:
        self.family, self.link = family, link

    def _parts(self, eta: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        with np.errstate(all="ignore"):
            mean, first, second, third = self.link.mean(eta)
            variance, slope, curvature = self.family.variance(mean)
            return (np.log(np.abs(first)), second / first, third / first, np.log(variance),
                    slope * first / variance, curvature * first ** 2 / variance)

    def log_weight(self, eta: Floats) -> Floats:
        log_slope, _, _, log_variance, _, _ = self._parts(eta)
        return 2.0 * log_slope - log_variance

    def derivative(self, eta: Floats) -> Floats:
        _, m2, _, _, v1, _ = self._parts(eta)
        return 2.0 * m2 - v1

    def second_derivative(self, eta: Floats) -> Floats:
        _, m2, m3, _, v1, v2 = self._parts(eta)
        return 2.0 * (m3 - m2 * m2) - (v2 + v1 * m2 - v1 * v1)


class _BinomialLog:
    """τ of the binomial family with the log link, w = μ / (1 - μ), μ = exp(η).

    Close to η = 0 the weight is 1/|η|, and 1 - μ has no digits left.
    """

    def log_weight(self, eta: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            log_weight: Floats = eta - np.log(-np.expm1(eta))
        return log_weight

    def derivative(self, eta: Floats) -> Floats:
        with np.errstate(divide="ignore", over="ignore"):
            derivative: Floats = -1.0 / np.expm1(eta)
        return derivative

    def second_derivative(self, eta: Floats) -> Floats:
        with np.errstate(all="ignore"):
            rest = np.expm1(eta)
            second: Floats = np.exp(eta) / rest / rest
        return second


class _Delegating(Weighting):
    """A weighting that takes τ and its derivatives from another object."""

    def __init__(self, inner: LogWeight, name: str, domain: tuple[float, float]) -> None:
        self.inner, self.name, self.domain = inner, name, domain

    def log_weight(self, eta: Floats) -> Floats:
        return self.inner.log_weight(eta)

    def derivative(self, eta: Floats) -> Floats:
        return self.inner.derivative(eta)

    def second_derivative(self, eta: Floats) -> Floats:
        return self.inner.second_derivative(eta)

    def third_derivative(self, eta: Floats) -> Floats:
        third = getattr(self.inner, "third_derivative", None)
        if third is None:
            raise NotImplementedError
        found: Floats = third(eta)
        return found


class _DelegatingPeaked(_Delegating, Peaked):
    def __init__(self, inner: LogWeight, name: str, domain: tuple[float, float],
                 mode: float) -> None:
        super().__init__(inner, name, domain)
        self.mode = 0.0 if _is_even(inner, domain, 0.0) else mode
        self.even = _is_even(inner, domain, self.mode)


class _DelegatingMonotone(_Delegating, Monotone):
    def __init__(self, inner: LogWeight, name: str, domain: tuple[float, float],
                 start: float) -> None:
        super().__init__(inner, name, domain)
        self.start = start


class _Forward(_Delegating):
    """A weighting without a known way back."""

    kind: Kind = "other"


def grid(domain: tuple[float, float]) -> Floats:
    """Points of an open interval, dense around zero and at finite ends."""
    low, high = domain
    far = np.sinh(np.linspace(-math.asinh(KIND_REACH), math.asinh(KIND_REACH), KIND_NODES))
    if math.isinf(low) and math.isinf(high):
        return far
    if math.isinf(low):
        return high - np.exp(far[::-1] / KIND_REACH * math.log(KIND_REACH))
    if math.isinf(high):
        return low + np.exp(far / KIND_REACH * math.log(KIND_REACH))
    share = np.linspace(0.0, 1.0, KIND_NODES + 2)[1:-1]
    return low + (high - low) * share


def _is_even(inner: LogWeight, domain: tuple[float, float], mode: float) -> bool:
    """Whether τ(mode - u) = τ(mode + u) on the grid, to half of the digits."""
    if mode - domain[0] != domain[1] - mode:
        return False
    eta = grid(domain)
    with np.errstate(all="ignore"):
        right, left = inner.log_weight(eta), inner.log_weight(2.0 * mode - eta)
        close = np.abs(right - left) <= math.sqrt(EPS) * (1.0 + np.abs(right))
    return bool(np.all(close | ~np.isfinite(right) | ~np.isfinite(left)))


def classified(inner: LogWeight, name: str,
               domain: tuple[float, float] = (-math.inf, math.inf)) -> Weighting:
    """The weighting of a τ, of the kind that its derivatives show on a grid of the domain.

    If τ' changes its sign, but not once from plus to minus, no way back is known. Raises ValueError
    if the derivative is nowhere finite.
    """
    eta = grid(domain)
    with np.errstate(all="ignore"):
        slope = np.asarray(inner.derivative(eta), dtype=float)
    counted = np.isfinite(slope)
    if not counted.any():
        raise ValueError(f"weighting: the derivative of {name} is nowhere finite")
    eta, slope = eta[counted], slope[counted]
    largest = float(np.abs(slope).max(initial=0.0))
    if largest <= math.sqrt(SQUARABLE):
        return Constant(name, float(inner.log_weight(eta[len(eta) // 2:][:1])[0]))
    signs = np.sign(slope[slope != 0])
    if np.all(signs == signs[0]):
        if np.ptp(slope) == 0.0:
            constant = float(inner.log_weight(np.zeros(1))[0])
            return Exponential(float(slope[0]), name, constant)
        middle = float(eta[len(eta) // 2])
        return _DelegatingMonotone(inner, name, domain, middle)
    turns = np.flatnonzero(np.diff(np.sign(slope)) != 0)
    falls_after = slope[turns[0]] > 0 and np.all(slope[turns[-1] + 1:] <= 0)
    if not falls_after or np.any(slope[:turns[0]] < 0):
        return _Forward(inner, name, domain)
    left, right = float(eta[turns[0]]), float(eta[min(turns[-1] + 1, len(eta) - 1)])
    mode = scipy.optimize.brentq(
        lambda point: float(inner.derivative(np.array([point]))[0]), left, right)
    return _DelegatingPeaked(inner, name, domain, float(mode))


def composed(family: Family, link: Link, name: str) -> Weighting:
    """The weighting of a family with a link, where the mean lies inside the family's interval."""
    low, high = link.domain
    if math.isfinite(family.means[1]) and link is not CLOGLOG:       # μ < 1: η < 0, η < 1 or η > 1
        end = 0.0 if link is LOG else 1.0
        decreasing = link.mean(np.array([2.0]))[0][0] < 1.0
        low, high = (1.0, high) if decreasing else (low, end)
    inner = _BinomialLog() if family is BINOMIAL and link is LOG else _Composed(family, link)
    return classified(inner, name, (low, high))

