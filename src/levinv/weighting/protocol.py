"""What a weighting is: the log weight of a row as a function of its linear predictor.

levinv composes two maps. With η = A x - b (the slack s of the papers, the linear predictor of a
regression), a weight w(η) > 0 and known prior weights v > 0,

    x  ->  η  ->  t = τ(η) + log v,  τ = log w  ->  σ(t), the leverage scores of diag(exp(t/2)) A.

The second map is linear algebra and the same for all weightings (levinv.forward.projection). The
first is one scalar function τ with two derivatives. With L = ∂σ/∂t = diag(σ) - Q, Q = P∘P, and

    T(r) = ∂L[r] = diag(L r) - (D_r Q + Q D_r) + 2 P∘(P D_r P),    D_y = diag(y),

the derivatives in x follow from F = diag(-τ'(η)/2) A and τ'' = c (τ'/2)² + e:

    Jacobian of the scores                             -2 L F
    Hessian of ½|σ - a|², with r = σ - a               Fᵀ (4 L² + 4 T(r) + c diag(L r)) F
                                                           + Aᵀ diag(e∘(L r)) A
    gradient of V = ½ log det(Aᵀ diag(w) A)            -Fᵀσ
    Hessian of V                                       Fᵀ (2 L + (c/2) diag(σ)) F
                                                           + ½ Aᵀ diag(e∘σ) A

A weighting supplies -τ'/2, the constant c and the remainder e. For |η|^(-q) c = 4/q and e = 0. That
split keeps the derivatives at a zero slack finite. For all others c = 0 and e = τ''.

The way back depends on the *kind* of τ: see levinv.inverse.
"""
from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np

from levinv._kernels.dense import all_finite
from levinv._typing import Floats
from levinv.tables.labels import Axis

Kind: TypeAlias = Literal["constant", "power", "exponential", "monotone", "peak", "other"]


class Weighting:
    """A weight function w = exp(τ) of the linear predictor η.

    Subclasses define ``log_weight``, ``derivative`` and ``second_derivative`` for float64 arrays of
    any shape, and their way back.
    """

    name: str = "a weighting"              # of the model, in messages
    kind: Kind                             # decides the way back
    even: bool = False                     # τ is symmetric about its mode or pole
    domain: tuple[float, float] = (-math.inf, math.inf)    # of η, an open interval
    ratio: float = 0.0                     # c
    smooth: int = 3                        # order of the derivatives that exist at η = 0
    length: int | None = None              # number of rows, if it depends on the row

    def __repr__(self) -> str:
        return f"<levinv weighting: {self.name}>"

    def in_order(self, rows: Axis) -> Weighting:
        """The weighting of rows in the order of these labels, if it depends on the row."""
        return self

    def log_weight(self, eta: Floats) -> Floats:
        """τ, of the shape of ``eta``; -inf where the weight is below every double."""
        raise NotImplementedError

    def derivative(self, eta: Floats) -> Floats:
        """τ'."""
        raise NotImplementedError

    def second_derivative(self, eta: Floats) -> Floats:
        """τ''."""
        raise NotImplementedError

    def third_derivative(self, eta: Floats) -> Floats:
        """The third derivative of τ; optional. Only the Hessian of GradientLoss needs it."""
        raise NotImplementedError

    def magnitude(self, eta: Floats, log_prior: Floats | None = None) -> tuple[Floats, float]:
        """exp(-(t - u)/2), (n,), and u: the reciprocal root of the weights, relative to exp(u).

        0 where the weight is infinite. A weight that is too small beside the largest for the range
        of doubles has the magnitude inf.
        """
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            log_weight = self.log_weight(eta)
            if log_prior is not None:
                log_weight = log_weight + log_prior
            unit = float(log_weight.max(initial=-np.inf))
            if not math.isfinite(unit):
                unit = float(log_weight.max(initial=-np.inf, where=np.isfinite(log_weight)))
                unit = unit if math.isfinite(unit) else 0.0
            magnitude: Floats = np.exp(0.5 * (unit - log_weight))
        return magnitude, unit

    def undefined(self, eta: Floats, row: int) -> str:
        """The message of the error that a log weight is NaN, in a row of the whole vector η."""
        return (f"x must keep the log weights of {self.name} defined, got NaN at the linear "
                f"predictor {eta[row]:g} in row {row}")

    def times_slope(self, values: Floats | float, eta: Floats) -> Floats:
        """-τ'/2 times values; 0 where the weight is infinite or below every double."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            slope = -0.5 * self.derivative(eta)
        if not all_finite(slope.ravel()):
            slope = np.where(np.isfinite(slope), slope, 0.0)
        product: Floats = values * slope
        return product

    def remainder(self, eta: Floats) -> Floats | None:
        """e = τ'' - c (τ'/2)²; None if it is zero everywhere."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            second = self.second_derivative(eta)
        finite: Floats = np.where(np.isfinite(second), second, 0.0)
        return finite


class Constant(Weighting):
    """A constant weight: the scores do not depend on x."""

    kind: Kind = "constant"
    even = True

    def __init__(self, name: str, log_constant: float = 0.0) -> None:
        self.name, self.log_constant = name, log_constant

    def log_weight(self, eta: Floats) -> Floats:
        return np.full_like(eta, self.log_constant)

    def derivative(self, eta: Floats) -> Floats:
        return np.zeros_like(eta)

    def second_derivative(self, eta: Floats) -> Floats:
        return np.zeros_like(eta)

    def remainder(self, eta: Floats) -> Floats | None:
        return None


class Power(Weighting):
    """w = constant |η|^(-q): τ' = -q/η, τ'' = q/η², c = 4/q.

    For q > 0 the weight is infinite at η = 0. The row's score is then 1 and its derivatives are 0;
    the other rows have the scores and the derivatives of the quotient by it. q = 2 is the weighting
    of the papers, in which rows are divided by the slack.
    """

    kind: Kind = "power"
    even = True

    def __init__(self, q: float = 2.0, name: str | None = None, log_constant: float = 0.0) -> None:
        self.q, self.log_constant = float(q), log_constant
        self.ratio = 4.0 / self.q
        # 1 - σ is of the order |η|^q there, or σ of the order |η|^-q
        self.smooth = math.ceil(abs(self.q)) - 1 if self.q < 2.0 else self.smooth
        self.name = name or f"weights |A x - b|^-{q:g}"

    def log_weight(self, eta: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            log_weight: Floats = self.log_constant - self.q * np.log(np.abs(eta))
        return log_weight

    def derivative(self, eta: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return -self.q / eta

    def second_derivative(self, eta: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return self.q / eta / eta

    def times_slope(self, values: Floats | float, eta: Floats) -> Floats:
        return self.quotient(values, eta if eta.all() else np.where(eta == 0, np.inf, eta))

    def quotient(self, values: Floats | float, eta: Floats) -> Floats:
        """``times_slope`` for η that are not 0; inf stands for 0."""
        quotient: Floats = values / eta
        return quotient if self.q == 2.0 else 0.5 * self.q * quotient

    def magnitude(self, eta: Floats, log_prior: Floats | None = None) -> tuple[Floats, float]:
        if self.q != 2.0:
            return super().magnitude(eta, log_prior)
        magnitude: Floats = np.abs(eta)
        if log_prior is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                magnitude *= np.exp(-0.5 * log_prior)
            magnitude[log_prior == -np.inf] = np.inf       # a weight of zero at any η
        return magnitude, self.log_constant

    def remainder(self, eta: Floats) -> Floats | None:
        return None


class Exponential(Weighting):
    """w = constant exp(a η): τ' = a, τ'' = 0."""

    kind: Kind = "exponential"

    def __init__(self, rate: float, name: str | None = None, log_constant: float = 0.0) -> None:
        self.rate, self.log_constant = float(rate), log_constant
        self.name = name or f"weights exp({rate:g} (A x - b))"

    def log_weight(self, eta: Floats) -> Floats:
        return self.log_constant + self.rate * eta

    def derivative(self, eta: Floats) -> Floats:
        return np.full_like(eta, self.rate)

    def second_derivative(self, eta: Floats) -> Floats:
        return np.zeros_like(eta)

    def remainder(self, eta: Floats) -> Floats | None:
        return None


INVERSE_SQUARE = Power()
