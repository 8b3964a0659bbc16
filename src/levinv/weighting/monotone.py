"""Weightings that rise or fall everywhere, but not exponentially.

Negative binomial regression with the log link: w = μ/(1 + α μ), μ = e^η, so that

    τ = η - log(1 + α e^η),   τ' = 1/(1 + α e^η),   τ'' = -τ' (1 - τ'),   τ''' = -τ'' (1 - 2 τ').
"""
from __future__ import annotations

import functools
import math

import numpy as np
import scipy.special

from levinv._typing import Floats
from levinv.weighting.branches import Branch
from levinv.weighting.protocol import Kind, Weighting


class Monotone(Weighting):
    """A strictly monotone log weight with the values ``limits``, an open interval."""

    kind: Kind = "monotone"
    limits: tuple[float, float] = (-math.inf, math.inf)
    start: float = 0.0                     # any η in the domain: it separates the two branches

    @functools.cached_property
    def _sides(self) -> tuple[Branch, Branch]:
        lower, upper = (Branch(self.log_weight, self.derivative, self.start, direction, 0.0, end)
                        for direction, end in zip((-1.0, 1.0), self.domain, strict=True))
        return lower, upper

    def inverse(self, log_weight: Floats) -> Floats:
        """η with τ(η) = ``log_weight``, inside ``limits``."""
        lower, upper = self._sides
        rise = log_weight - upper.level
        if self.derivative(np.array([self.start]))[0] < 0:
            rise = -rise
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(rise >= 0, upper(np.maximum(rise, 0.0)), lower(np.maximum(-rise, 0.0)))


class NegativeBinomial(Monotone):
    """Negative binomial regression with the log link and the dispersion α."""

    def __init__(self, alpha: float) -> None:
        self.name = f"a negative binomial regression (alpha = {alpha:g})"
        self.log_alpha = math.log(alpha)
        self.limits = (-math.inf, -self.log_alpha)

    def log_weight(self, eta: Floats) -> Floats:
        shifted = eta + self.log_alpha
        # η - log(1 + α e^η) = min(η, -log α) - log(1 + e^-|shifted|)
        log_weight: Floats = (np.minimum(shifted, 0.0) - self.log_alpha
                              - np.log1p(np.exp(-np.abs(shifted))))
        return log_weight

    def derivative(self, eta: Floats) -> Floats:
        derivative: Floats = scipy.special.expit(-(eta + self.log_alpha))
        return derivative

    def second_derivative(self, eta: Floats) -> Floats:
        odds = np.exp(-np.abs(eta + self.log_alpha))
        second: Floats = -odds / (1.0 + odds) ** 2
        return second

    def third_derivative(self, eta: Floats) -> Floats:
        third: Floats = -self.second_derivative(eta) * np.tanh(0.5 * (eta + self.log_alpha))
        return third

    def inverse(self, log_weight: Floats) -> Floats:
        # w = μ/(1 + α μ), μ = w/(1 - α w)
        with np.errstate(divide="ignore", invalid="ignore"):
            eta: Floats = log_weight - np.log(-np.expm1(log_weight + self.log_alpha))
        return eta
