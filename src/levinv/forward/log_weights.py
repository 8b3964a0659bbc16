"""The first of levinv's two maps at one point: the log weights of the rows and their derivatives.

A row is *idle* if it has no influence: a zero row of A, a row of prior weight 0, or one whose
weight is below every double beside the largest. Idle rows have score 0, and their factors are 0
here, since the derivative of τ may be as large as the weight is small.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from levinv._typing import Booleans, Floats
from levinv.weighting.protocol import Power, Weighting


@dataclass(frozen=True)
class LogWeights:
    """t = τ(η) + log v at given η, v the prior weights. Immutable."""

    weighting: Weighting
    eta: Floats                          # (n,) the linear predictor, read-only
    unit: float                          # weights are exp(unit) / magnitude²
    log_prior: Floats | None = None      # (n,) log v
    idle: Booleans | None = None         # (n,)

    @property
    def ratio(self) -> float:
        """c in τ'' = c (τ'/2)² + e."""
        return self.weighting.ratio

    def magnitude(self) -> Floats:
        """exp(-(t - unit)/2), (n,)."""
        return self.weighting.magnitude(self.eta, self.log_prior)[0]

    @property
    def infinite(self) -> Booleans | None:
        """Rows of infinite weight, (n,); None if there are none."""
        if self.weighting.kind != "power" or self.weighting.ratio < 0:
            return None
        zero: Booleans = self.eta == 0
        return zero if zero.any() else None

    def times_slope(self, values: Floats | float) -> Floats:
        """-τ'/2 times values, (n,); 0 in idle rows and where the weight is infinite."""
        if isinstance(self.weighting, Power):          # divides by η: no reciprocal may overflow
            out = self.weighting.quotient(values, self._divisor)
            if self.idle is not None:
                out[self.idle] = 0.0
            return out
        return values * self._slope

    @functools.cached_property
    def _divisor(self) -> Floats:
        """η, inf where it is 0."""
        return self.eta if self.eta.all() else np.where(self.eta == 0, np.inf, self.eta)

    @functools.cached_property
    def _slope(self) -> Floats:
        slope = self.weighting.times_slope(1.0, self.eta)
        if self.idle is not None:
            slope[self.idle] = 0.0
        return slope

    @functools.cached_property
    def remainder(self) -> Floats | None:
        """e in τ'' = c (τ'/2)² + e, (n,); None if it is 0 everywhere."""
        remainder = self.weighting.remainder(self.eta)
        return None if remainder is None else self._in_use(remainder)

    @functools.cached_property
    def third(self) -> Floats | None:
        """τ''' - c² (τ'/2)³, (n,); None if it is 0 everywhere, as it is if the remainder is.

        Raises ValueError if the weighting has no third derivative.
        """
        if self.remainder is None:
            return None
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                third = self.weighting.third_derivative(self.eta)
        except NotImplementedError:
            raise ValueError(f"the weighting of {self.weighting.name} has no third derivative: use "
                             "fun and grad") from None
        return self._in_use(third)

    def _in_use(self, values: Floats) -> Floats:
        """The values, 0 in idle rows and where they are not finite."""
        out = np.where(np.isfinite(values), values, 0.0)
        if self.idle is not None:
            out[self.idle] = 0.0
        return out
