"""Weightings with one peak: those of binomial regressions.

With μ the mean, w = μ'(η)² / (μ (1 - μ)). All formulas are free of overflow and cancellation:

    logit     τ = -|η| - 2 log(1 + e^-|η|),   τ' = -tanh(η/2),   τ'' = -2 μ (1 - μ)
    probit    τ = -η² - log 2π - log Φ(η) - log Φ(-η),   τ' = -2η + φ erf(η/√2) / (Φ(η) Φ(-η))
    cauchit   μ = ½ + arctan(η)/π,   τ = -2 log(1 + η²) - log(μ (1 - μ)) - 2 log π
    cloglog   u = e^η,   τ = 2η - u - log(1 - e^-u),   τ' = 2 - u - e,   e = u/(e^u - 1)
    loglog    cloglog of -η

A peaked weighting has, for every level below its peak, two branches η₋ < mode < η₊. ``branches``
takes the *gap* τ(mode) - τ(η), which is accurate next to the mode.
"""
from __future__ import annotations

import functools
import math

import numpy as np
import scipy.special

from levinv._kernels.points import logistic
from levinv._tolerances import COMPILED_LENGTH, SMALL_ARGUMENT, TAIL_START, TAIL_TERMS
from levinv._typing import Floats
from levinv.weighting.branches import Branch
from levinv.weighting.protocol import Kind, Weighting


class Peaked(Weighting):
    """A log weight that rises up to its mode and falls beyond it."""

    kind: Kind = "peak"
    mode: float = 0.0

    @functools.cached_property
    def peak(self) -> float:
        """τ(mode)."""
        return float(self.log_weight(np.array([self.mode]))[0])

    @functools.cached_property
    def _sides(self) -> tuple[Branch, Branch]:
        curvature = float(np.abs(self.second_derivative(np.array([self.mode]))[0]))
        lower, upper = (Branch(self.log_weight, self.derivative, self.mode, direction, curvature,
                               end) for direction, end in zip((-1.0, 1.0), self.domain,
                                                              strict=True))
        return lower, upper

    def branches(self, gap: Floats) -> tuple[Floats, Floats]:
        """η₋ and η₊ with τ(mode) - τ = ``gap`` >= 0."""
        lower, upper = self._sides
        above = upper(gap)
        return (2.0 * self.mode - above if self.even else lower(gap)), above


class Logit(Peaked):
    """Binomial regression with the logit link."""

    name = "a logistic regression"
    even = True

    def log_weight(self, eta: Floats) -> Floats:
        size = np.abs(eta)
        log_weight: Floats = -size - 2.0 * np.log1p(np.exp(-size))
        return log_weight

    def magnitude(self, eta: Floats, log_prior: Floats | None = None) -> tuple[Floats, float]:
        if log_prior is not None:
            return super().magnitude(eta, log_prior)
        if eta.ndim == 1 and len(eta) <= COMPILED_LENGTH:
            magnitude = np.empty(len(eta))
            least = logistic(eta, magnitude)
            return magnitude, -least - 2.0 * math.log1p(math.exp(-least))
        # w^(-1/2) = 2 cosh(η/2) = e^(m/2) (p + e^-m / p), p = e^((|η| - m)/2), m the least |η|
        magnitude = np.abs(eta)
        least = float(magnitude.min(initial=np.inf))
        tail = math.exp(-least)
        magnitude -= least
        magnitude *= 0.5
        with np.errstate(over="ignore"):
            np.exp(magnitude, out=magnitude)
        magnitude += tail / magnitude
        magnitude /= 1.0 + tail
        return magnitude, -least - 2.0 * math.log1p(tail)

    def times_slope(self, values: Floats | float, eta: Floats) -> Floats:
        slope: Floats = 0.5 * eta
        np.tanh(slope, out=slope)
        slope *= 0.5
        return slope * values

    def derivative(self, eta: Floats) -> Floats:
        derivative: Floats = -np.tanh(0.5 * eta)
        return derivative

    def second_derivative(self, eta: Floats) -> Floats:
        odds = np.exp(-np.abs(eta))
        second: Floats = -2.0 * odds / (1.0 + odds) ** 2
        return second

    def third_derivative(self, eta: Floats) -> Floats:
        third: Floats = -self.second_derivative(eta) * np.tanh(0.5 * eta)
        return third

    def branches(self, gap: Floats) -> tuple[Floats, Floats]:
        # cosh(η/2) = e^(gap/2)
        above = gap + 2.0 * np.log1p(np.sqrt(-np.expm1(-gap)))
        return -above, above


class Probit(Peaked):
    """Binomial regression with the probit link."""

    name = "a probit regression"
    even = True

    def log_weight(self, eta: Floats) -> Floats:
        with np.errstate(over="ignore"):
            size = np.abs(eta)
            # log Φ(-size) is about -size²/2: only half of -size² is left
            tail = np.log(0.5 * scipy.special.erfcx(size / math.sqrt(2.0)))
            log_weight: Floats = (-0.5 * size ** 2 - math.log(2.0 * math.pi) - tail
                                  - scipy.special.log_ndtr(size))
        return log_weight

    def _hazard(self, eta: Floats) -> tuple[Floats, Floats]:
        """|η| and φ/Φ(-|η|)."""
        size = np.abs(eta)
        return size, math.sqrt(2.0 / math.pi) / scipy.special.erfcx(size / math.sqrt(2.0))

    def derivative(self, eta: Floats) -> Floats:
        size, hazard = self._hazard(eta)
        # h(|η|) - |η| goes to 1/|η|, by a continued fraction's first terms where it cancels
        far = np.maximum(size, 1.0)
        rest = np.where(size < 1.0 / SMALL_ARGUMENT, hazard - size, 1.0 / (far + 2.0 / far))
        symmetric = hazard * scipy.special.erf(size / math.sqrt(2.0)) / scipy.special.ndtr(size)
        below = symmetric - 2.0 * size
        # beyond the middle, erf/Φ is 1 but for h(-|η|)
        other = hazard * scipy.special.ndtr(-size) / scipy.special.ndtr(size)
        slope = np.where(size < 1.0, below, rest - size - other)
        derivative: Floats = np.copysign(1.0, eta) * slope
        return derivative

    def second_derivative(self, eta: Floats) -> Floats:
        size, hazard = self._hazard(eta)
        with np.errstate(over="ignore"):
            # h' = h (h - |η|) = 1 - r₁ (r₂ - r₁); the other tail has h₋ = φ/Φ(|η|),
            # h₋' = -h₋ (h₋ + |η|)
            first, next_one, _ = normal_tail(size)
            far = size >= TAIL_START
            excess = np.where(far, -first * (next_one - first), hazard * (hazard - size) - 1.0)
            other = hazard * scipy.special.ndtr(-size) / scipy.special.ndtr(size)
            tail = np.where(other > 0, other * (other + size), 0.0)
        second: Floats = -1.0 + excess + tail
        return second

    def third_derivative(self, eta: Floats) -> Floats:
        size, hazard = self._hazard(eta)
        small, large = scipy.special.ndtr(-size), scipy.special.ndtr(size)
        with np.errstate(over="ignore", invalid="ignore"):
            # with h + h₋ = S and h - h₋ = D
            total = hazard / large
            excess = total * scipy.special.erf(size / math.sqrt(2.0))
            near = (0.5 * excess * (3.0 * total ** 2 + excess ** 2)
                    - 1.5 * size * (total ** 2 + excess ** 2) + (size ** 2 - 1.0) * excess)
            # h'' = h r₁² r₂ (r₃ - r₂), and -h₋'' = -h₋ ((h₋ + |η|)(2 h₋ + |η|) - 1)
            r1, r2, r3 = normal_tail(size)
            other = hazard * small / large
            tail = np.where(other > 0, other * ((other + size) * (2.0 * other + size) - 1.0), 0.0)
            far = hazard * r1 ** 2 * r2 * (r3 - r2) - tail
        third: Floats = np.copysign(1.0, eta) * np.where(size >= TAIL_START, far, near)
        return third


def normal_tail(eta: Floats) -> tuple[Floats, Floats, Floats]:
    """r₁, r₂ and r₃ of φ/Φ(-η) = η + r₁, r_k = k/(η + r_(k+1)), where η is at least TAIL_START."""
    eta = np.maximum(eta, TAIL_START)
    # the first one solves r = k/(η + r)
    r = 0.5 * (np.hypot(eta, 2.0 * math.sqrt(TAIL_TERMS)) - eta)
    found = []
    for k in range(TAIL_TERMS, 0, -1):
        r = k / (eta + r)
        found.append(r)
    return found[-1], found[-2], found[-3]


class Cauchit(Peaked):
    """Binomial regression with the cauchit link."""

    name = "a cauchit regression"
    even = True

    def _tails(self, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """|η|, and π times the smaller and the larger of μ and 1 - μ."""
        size = np.abs(eta)
        small = np.arctan2(1.0, size)
        return size, small, math.pi - small

    def log_weight(self, eta: Floats) -> Floats:
        size, small, large = self._tails(eta)
        log_weight: Floats = -4.0 * np.log(np.hypot(1.0, size)) - np.log(small) - np.log(large)
        return log_weight

    def _rates(self, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """|η|/(1 + η²), 1/(1 + η²) and π² μ (1 - μ)."""
        size, small, large = self._tails(eta)
        root = 1.0 / np.hypot(1.0, size)
        return size * root * root, root * root, small * large

    def derivative(self, eta: Floats) -> Floats:
        quotient, density, product = self._rates(eta)
        # (log μ (1 - μ))' = -density (large - small) / (small large), large - small = 2 arctan|η|
        rise = 2.0 * density * np.arctan(np.abs(eta)) / product
        derivative: Floats = np.copysign(1.0, eta) * (rise - 4.0 * quotient)
        return derivative

    def second_derivative(self, eta: Floats) -> Floats:
        quotient, density, product = self._rates(eta)
        rise = 2.0 * density * np.arctan(np.abs(eta)) / product
        second: Floats = (8.0 * quotient ** 2 - 4.0 * density + rise ** 2
                          + 2.0 * density ** 2 / product - 2.0 * quotient * rise)
        return second

    def third_derivative(self, eta: Floats) -> Floats:
        # q, D and R = 2 D arctan|η| / (π² μ (1 - μ)): q' = D - 2 q², D' = -2 q D,
        # R' = R² - 2 q R + G, G = 2 D² / (π² μ (1 - μ)), G' = (R - 4 q) G; τ' = R - 4 q
        quotient, density, product = self._rates(eta)
        rise = 2.0 * density * np.arctan(np.abs(eta)) / product
        rest = 2.0 * density ** 2 / product
        turn = density - 2.0 * quotient ** 2
        steepening = rise ** 2 - 2.0 * quotient * rise + rest
        third: Floats = np.copysign(1.0, eta) * (
            2.0 * (rise - quotient) * steepening - 2.0 * turn * rise
            + rest * (rise - 4.0 * quotient) + 8.0 * quotient * (density + 2.0 * turn))
        return third


class Cloglog(Peaked):
    """Binomial regression with the complementary log-log link, or mirrored: the log-log link."""

    def __init__(self, mirrored: bool = False) -> None:
        self.sign = -1.0 if mirrored else 1.0
        self.name = f"a {'log-log' if mirrored else 'complementary log-log'} regression"
        # the zero of 2 - u - u/(e^u - 1): 2 - u = u/(e^u - 1) has u = 2 + W(-2 e^-2)
        self.mode = self.sign * math.log(2.0 + float(scipy.special.lambertw(
            -2.0 * math.exp(-2.0)).real))

    def log_weight(self, eta: Floats) -> Floats:
        eta = self.sign * eta
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            u = np.exp(eta)
            # log(1 - e^-u) = η - u/2 + u²/24 - ... for small u
            small = u < SMALL_ARGUMENT
            log_mean = np.where(small, eta - 0.5 * u + u ** 2 / 24.0,
                                np.log(-np.expm1(-np.where(small, 1.0, u))))
            log_weight: Floats = np.where(np.isinf(u), -np.inf, 2.0 * eta - u - log_mean)
        return log_weight

    def derivative(self, eta: Floats) -> Floats:
        _, _, rest = cloglog_parts(self.sign * eta)
        derivative: Floats = self.sign * (1.0 + rest)
        return derivative

    def second_derivative(self, eta: Floats) -> Floats:
        u, e, rest = cloglog_parts(self.sign * eta)
        with np.errstate(invalid="ignore"):
            second: Floats = -u - np.where(e > 0, e * rest, 0.0)
        return second

    def third_derivative(self, eta: Floats) -> Floats:
        # with R = 1 - u - e: u' = u, e' = e R, R' = -u - e R, 1 - e = R + u
        u, e, rest = cloglog_parts(self.sign * eta)
        with np.errstate(over="ignore", invalid="ignore"):
            curved = np.where(e > 0, e * rest * (e - rest), 0.0)
            third: Floats = self.sign * (curved - u * np.where(e > 0, rest + u, 1.0))
        return third


def cloglog_parts(eta: Floats) -> tuple[Floats, Floats, Floats]:
    """u = e^η, e = u/(e^u - 1) and 1 - u - e."""
    with np.errstate(over="ignore", invalid="ignore"):
        u = np.exp(eta)
        small = u < SMALL_ARGUMENT
        square = np.where(small, u, 0.0) ** 2
        e = np.where(u > 0, u / np.expm1(np.where(u > 0, u, 1.0)), 1.0)
        e = np.where(np.isinf(u), 0.0, e)
        rest = np.where(small, -0.5 * u - square / 12.0 + square ** 2 / 720.0, 1.0 - u - e)
    return u, e, rest
