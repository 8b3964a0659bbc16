"""The weights of all rows of a problem: a weighting and the prior weights."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levinv._typing import Floats
from levinv.weighting.peaked import Peaked
from levinv.weighting.protocol import INVERSE_SQUARE, Power, Weighting


@dataclass(frozen=True, eq=False)
class Model:
    """Weights v_i w(η_i). The default is the papers' 1/s²."""

    weighting: Weighting = INVERSE_SQUARE
    log_prior: Floats | None = None        # (n,) log v; None: all are 1

    @property
    def is_inverse_square(self) -> bool:
        """Whether the weights are the papers'."""
        return self.weighting is INVERSE_SQUARE and self.log_prior is None

    @property
    def is_power(self) -> bool:
        """Whether scores determine |A x - b| up to a factor on each component."""
        return isinstance(self.weighting, Power)

    @property
    def has_pole(self) -> bool:
        """Whether a row of slack zero has an infinite weight."""
        return isinstance(self.weighting, Power) and self.weighting.q > 0

    @property
    def mode(self) -> float:
        """The η that divides the two sides of the weight: the pole or the peak."""
        return self.weighting.mode if isinstance(self.weighting, Peaked) else 0.0

    def side(self, eta: Floats) -> Floats:
        """The sign of η - mode, (n,)."""
        return np.sign(eta - self.mode)

    def ordinary(self, sides: Floats | None, n: int) -> Floats:
        """A predictor inside the domain for rows whose score does not depend on it, (n,)."""
        if self.is_power:
            return np.ones(n) if sides is None else sides
        low, high = self.weighting.domain
        if np.isfinite(low) or np.isfinite(high):
            middle = (0.5 * (low + high) if np.isfinite(low + high)
                      else low + 1.0 if np.isfinite(low) else high - 1.0)
            return np.full(n, middle)
        return np.full(n, self.mode) if sides is None else self.mode + sides

    @property
    def exponent(self) -> float:
        """|dt| for a relative change of 1 of |s| (powers), or of w (other weightings)."""
        return abs(self.weighting.q) if isinstance(self.weighting, Power) else 1.0

    def slack_magnitude(self, log_weight: Floats) -> Floats:
        """|s| up to a factor on each component from the log weights t of a power, (n,)."""
        assert isinstance(self.weighting, Power)
        if self.log_prior is not None:
            log_weight = log_weight - self.log_prior
        magnitude: Floats = np.exp(log_weight / -self.weighting.q)
        return magnitude

    def accepts(self, eta: Floats) -> bool:
        """Whether all η are finite and inside the domain."""
        low, high = self.weighting.domain
        return bool(np.isfinite(eta).all() and eta.min() > low and eta.max() < high)

    def magnitude(self, eta: Floats) -> Floats:
        """The reciprocal roots of the weights, up to a common factor, (n,)."""
        if self.is_inverse_square:
            return np.abs(eta)
        return self.weighting.magnitude(eta, self.log_prior)[0]

    def factor(self, eta: Floats, magnitude: Floats) -> Floats:
        """-τ'/2 times the magnitude, (n,): what a row of the orthonormal basis is multiplied by in
        the derivative of t/2. For 1/s² it is the sign of s.
        """
        if self.is_inverse_square:
            return np.where(eta < 0, -1.0, 1.0)
        finite = np.isfinite(magnitude)
        return self.weighting.times_slope(np.where(finite, magnitude, 0.0), eta)

    def relative(self, change: Floats, eta: Floats) -> Floats:
        """|τ'/2| times a change of η, (n,); 1 at a pole."""
        moved = np.abs(self.weighting.times_slope(change, eta))
        return np.where(eta == 0, 1.0, moved) if self.has_pole else moved


INVERSE_SQUARE_MODEL = Model()
