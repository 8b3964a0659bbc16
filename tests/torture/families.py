"""Regression models and their truth: log weights by the definitions of statistics, with as many
digits as the problem needs, and derivatives of the scores by differences of them.

A weight is μ'²/V, from the mean μ, its derivative and the variance V at a linear predictor η; that
of observed information is minus the second derivative of the log-likelihood. Nothing is shared with
the library: derivatives of the loss are differences of the loss with steps of 1e-50.
"""
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import mpmath
import numpy as np

import oracles
from levinv.weighting import glm, observed, power

from . import truth
from .judge import EPS, bound

STEP, DIGITS = 50, 260      # decimal digits of a step, and of what is differenced
RANGE = 600.0               # of log weights, beyond which a ratio of weights leaves the doubles
ROUNDINGS = 32.0            # of values of log weights and their derivatives, in ε


@dataclass(frozen=True)
class Model:
    """``given(y)`` is the library's weighting, ``log_weight(eta, y)`` the truth."""

    given: Callable
    log_weight: Callable
    domain: tuple = (-np.inf, np.inf)
    pole: bool = False              # |η|^(-q): no log weight at 0, a derivative of the size of 1/η
    responses: str = ""             # what y is, for observed information


def _one(eta):
    return mpmath.mpf(1)


def _square_over(mean, complement, slope):
    """Binomial: 2 log μ' - log μ - log(1 - μ), each without cancellation."""
    return lambda eta, _: (2 * mpmath.log(slope(eta)) - mpmath.log(mean(eta))
                           - mpmath.log(complement(eta)))


def _variance(mean, slope, variance):
    return lambda eta, _: 2 * mpmath.log(abs(slope(eta))) - mpmath.log(variance(mean(eta)))


def _observed_probit(eta, y):
    """-(log Φ)'' at ±η: with the inverse Mills ratio λ, λ (λ + z)."""
    z = eta if y else -eta
    ratio = mpmath.npdf(z) / mpmath.ncdf(z)
    return mpmath.log(ratio) + mpmath.log(ratio + z)


def _power(q):
    return Model(lambda y: power(q), lambda eta, _: -q * mpmath.log(abs(eta)), pole=True)


ALPHA, TWEEDIE = 0.5, 1.5
MODELS = {f"power {q}": _power(q) for q in (0.5, 1.0, 2.0, 3.0, -1.0)}
MODELS |= {
    "binomial": Model(lambda y: "binomial", _square_over(
        lambda e: 1 / (1 + mpmath.exp(-e)), lambda e: 1 / (1 + mpmath.exp(e)),
        lambda e: 1 / (2 + mpmath.exp(e) + mpmath.exp(-e)))),
    "probit": Model(lambda y: ("binomial", "probit"), _square_over(
        mpmath.ncdf, lambda e: mpmath.ncdf(-e), mpmath.npdf)),
    "cauchit": Model(lambda y: ("binomial", "cauchit"), _square_over(
        lambda e: mpmath.acot(-e) / mpmath.pi if e < 0 else 1 - mpmath.acot(e) / mpmath.pi
        if e else mpmath.mpf("0.5"),
        lambda e: mpmath.acot(e) / mpmath.pi if e > 0 else 1 - mpmath.acot(-e) / mpmath.pi
        if e else mpmath.mpf("0.5"),
        lambda e: 1 / (mpmath.pi * (1 + e * e)))),
    "cloglog": Model(lambda y: ("binomial", "cloglog"), _square_over(
        lambda e: -mpmath.expm1(-mpmath.exp(e)), lambda e: mpmath.exp(-mpmath.exp(e)),
        lambda e: mpmath.exp(e - mpmath.exp(e)))),
    "loglog": Model(lambda y: glm("binomial", "loglog"), _square_over(
        lambda e: mpmath.exp(-mpmath.exp(-e)), lambda e: -mpmath.expm1(-mpmath.exp(-e)),
        lambda e: mpmath.exp(-e - mpmath.exp(-e)))),
    "binomial log": Model(lambda y: ("binomial", "log"), _square_over(
        mpmath.exp, lambda e: -mpmath.expm1(e), mpmath.exp), domain=(-np.inf, 0.0)),
    "binomial logc": Model(lambda y: ("binomial", "logc"), _square_over(
        lambda e: -mpmath.expm1(e), mpmath.exp, mpmath.exp), domain=(-np.inf, 0.0)),
    "poisson": Model(lambda y: "poisson", _variance(mpmath.exp, mpmath.exp, lambda m: m)),
    "poisson identity": Model(lambda y: ("poisson", "identity"),
                              _variance(abs, _one, lambda m: m), pole=True),
    "gamma identity": Model(lambda y: ("gamma", "identity"),
                            _variance(abs, _one, lambda m: m * m), pole=True),
    "gamma log": Model(lambda y: ("gamma", "log"),
                       _variance(mpmath.exp, mpmath.exp, lambda m: m * m)),
    "gaussian log": Model(lambda y: ("gaussian", "log"), _variance(mpmath.exp, mpmath.exp, _one)),
    "gaussian inverse": Model(lambda y: ("gaussian", "inverse"), _variance(
        lambda e: 1 / e, lambda e: 1 / e ** 2, _one), pole=True),
    "inverse-gaussian": Model(lambda y: "inverse-gaussian", _variance(
        lambda e: 1 / mpmath.sqrt(abs(e)), lambda e: 1 / (2 * mpmath.sqrt(abs(e)) * abs(e)),
        lambda m: m ** 3), pole=True),
    "inverse-gaussian log": Model(lambda y: ("inverse-gaussian", "log"), _variance(
        mpmath.exp, mpmath.exp, lambda m: m ** 3)),
    "negative-binomial": Model(lambda y: glm("negative-binomial", alpha=ALPHA), _variance(
        mpmath.exp, mpmath.exp, lambda m: m + ALPHA * m * m)),
    "negative-binomial canonical": Model(
        lambda y: glm("negative-binomial", "canonical", alpha=ALPHA),
        lambda e, _: e - mpmath.log(mpmath.mpf(ALPHA)) - 2 * mpmath.log(-mpmath.expm1(e)),
        domain=(-np.inf, 0.0)),
    "tweedie": Model(lambda y: glm("tweedie", power=TWEEDIE), _variance(
        mpmath.exp, mpmath.exp, lambda m: m ** mpmath.mpf(TWEEDIE))),
    "observed probit": Model(
        lambda y: observed("binomial", "probit", y),
        _observed_probit, responses="zero or one"),
    "observed gamma": Model(
        lambda y: observed("gamma", "log", y),
        lambda e, y: mpmath.log(y) - e, responses="positive"),      # of -y exp(-η) - η
}


@dataclass
class Point:
    """A model at a linear predictor: log weights, the exact scores, what rounding does to them."""

    A: np.ndarray
    exact: truth.Exact
    first: np.ndarray           # sizes of derivatives of log weights, floats
    second: np.ndarray
    allowed: float              # 100 ε κ of the weighted rows
    rounding: float             # relative change of weights by rounding of η and of log w
    slopes: np.ndarray          # change of -τ'/2, and of τ''/2, by the same
    bends: np.ndarray
    jacobian: np.ndarray

    @property
    def clear(self):
        """Whether rounding leaves digits."""
        return self.rounding < 1e-2 and np.isfinite(self.allowed)

    @property
    def each(self):
        """Bounds of the Jacobian's columns: -2 L F, each factor to its rounding, |L| <= 1."""
        A = np.abs(self.A)
        F = 0.5 * np.abs(self.first)[:, None] * A
        rows = 4 * (self.allowed + self.rounding) * F + 2 * self.slopes[:, None] * A
        return np.sqrt(len(A)) * rows.max(axis=0) + 1e-300

    def of_loss(self, size):
        """Bounds of the gradient, (d,), and of the Hessian, (d, d), of ½|σ - target|², with
        |σ - target| <= ``size``: sums over rows of products of F, τ'' and factors of size one.
        """
        n = len(self.A)
        A, relative = np.abs(self.A), 4 * (self.allowed + self.rounding)
        F = (0.5 * np.abs(self.first)[:, None] * A).max(axis=0) + 1e-300
        dF = (self.slopes[:, None] * A).max(axis=0)
        grad = size * n * (relative * F + 4 * dF) + 1e-300
        bent = 0.5 * relative * np.abs(self.second) + self.bends
        hess = 10 * size * n * (relative * np.outer(F, F) + 2 * np.outer(F, dF)
                                + 2 * np.outer(dF, F))
        return grad, hess + 2 * size * A.T @ (bent[:, None] * A) + 1e-300


def series(model, eta, prior, y):
    """log w of every row and its first three derivatives at η, (4, n), with the working digits;
    NaN where a weight is not defined.
    """
    out = np.full((4, len(eta)), mpmath.mpf(0), dtype=object)
    for i, value in enumerate(eta):
        given = None if y is None else mpmath.mpf(float(y[i]))
        unit = max(abs(value), mpmath.mpf(1))           # taylor takes differences at steps below 1
        terms = mpmath.taylor(lambda z, given=given, unit=unit: model.log_weight(unit * z, given),
                              value / unit, 3)
        out[:, i] = [mpmath.factorial(k) * term / unit ** k for k, term in enumerate(terms)]
        if prior is not None:
            out[0, i] += mpmath.log(mpmath.mpf(float(prior[i])))
    return out


def predictor(p, model, x, b):
    """Exact A x - b, a row of zeros at a place of the domain; None outside of it."""
    active, eta = p.A.any(axis=1), truth.slack(p.A, b, x)
    low, high = model.domain
    if not all(low < s < high and (s != 0 or not model.pole) for s in eta[active]):
        return None
    eta[~active] = mpmath.mpf(1) if high > 1 else mpmath.mpf(-1)
    return eta


def at(p, model, x, b, prior, y):
    """The Point at x; None where a weight is not defined or too small beside the largest."""
    eta = predictor(p, model, x, b)
    if eta is None:
        return None
    with mpmath.workdps(60):
        parts = series(model, eta, prior, y)
        real = all(isinstance(t, mpmath.mpf) and mpmath.isfinite(t) for t in parts.ravel())
        if not real or max(parts[0]) - min(parts[0]) > RANGE:
            return None
        magnitudes = np.array([mpmath.exp((max(parts[0]) - t) / 2) for t in parts[0]],
                              dtype=object)
    exact = truth.Exact(p.A, magnitudes)
    tau, first, second, third = parts.astype(float)
    with np.errstate(all="ignore"):
        moved = (p.d + 2) * EPS * (np.abs(p.A) @ np.abs(x) + np.abs(b)) * p.A.any(axis=1)
        # with a pole derivatives are powers of 1/η; others are sums of terms of size one at least
        least = 0.0 if model.pole else 1.0 + np.abs(eta.astype(float))
        first, second, third = np.abs(first), np.abs(second), np.abs(third)
        slopes = 0.5 * second * moved + ROUNDINGS * EPS * (first + least)
        bends = 0.5 * third * moved + ROUNDINGS * EPS * (second + least * (first + 1))
        rounding = np.nan_to_num(np.max(first * moved + ROUNDINGS * EPS * (1 + np.abs(tau))),
                                 nan=np.inf)
    with mpmath.workdps(exact.dps):
        F = parts[1][:, None] / 2 * oracles.exact(p.A)
        P = exact.projection()
        jacobian = 2 * (exact.scores[:, None] * F - (P * P) @ F)
    return Point(p.A, exact, first, second, bound(p, exact), float(rounding), slopes, bends,
                 jacobian)


def loss_derivatives(p, model, x, b, prior, y, target):
    """Gradient and Hessian of ½|σ(x) - target|², by differences of the loss itself, and what these
    may be off by.

    Steps are 1e-50 of the distance to the next pole. They change log weights by their second-order
    series: what is left out is of third order in the step, and changes second derivatives by 1e-50
    of one over the square of this distance. Zeros come out as small as that, not as zeros.
    """
    d, eta = p.d, predictor(p, model, x, b)
    with mpmath.workdps(DIGITS):
        parts, target, A = series(model, eta, prior, y), oracles.exact(target), oracles.exact(p.A)
        columns = truth.echelon(A)[2]
        sizes = np.array([max(np.abs(A[:, j])) or mpmath.mpf(1) for j in range(d)])
        room = min(*np.abs(eta), mpmath.mpf(1)) if model.pole else mpmath.mpf(1)
        room /= 1 + max(np.abs(parts[1])) * room
        h = mpmath.mpf(10) ** -STEP * room / sizes

        def loss(shift):
            moved = A @ shift
            tau = parts[0] + moved * (parts[1] + moved * parts[2] / 2)
            r = _scores(A[:, columns], tau) - target
            return (r * r).sum() / 2

        unit = np.array([[h[j] if j == k else mpmath.mpf(0) for k in range(d)] for j in range(d)])
        plus, minus = [loss(u) for u in unit], [loss(-u) for u in unit]
        here = loss(0 * h)
        grad = np.array([(plus[j] - minus[j]) / (2 * h[j]) for j in range(d)])
        hess = np.empty((d, d), dtype=object)
        for j in range(d):
            hess[j, j] = (plus[j] - 2 * here + minus[j]) / h[j] ** 2
            for k in range(j):
                both = loss(unit[j] + unit[k]) + loss(-unit[j] - unit[k])
                hess[j, k] = hess[k, j] = (both - plus[j] - minus[j] - plus[k] - minus[k]
                                           + 2 * here) / (2 * h[j] * h[k])
        off = (sizes / room).astype(float)
        left = 10.0 ** (5 - STEP) * off, 10.0 ** (5 - STEP) * np.outer(off, off)
    return grad, hess, *left


def _scores(A, tau):
    """Scores of independent columns with the working digits."""
    top = max(tau)
    B = A * np.array([mpmath.exp((t - top) / 2) for t in tau])[:, None]
    B = B / np.array([mpmath.sqrt(v) for v in (B * B).sum(axis=0)])
    return ((B @ truth.inverse(B.T @ B)) * B).sum(axis=1)


def fitted_to(p, model, largest):
    """The problem with η of at most ``largest``, inside the domain.

    Factors are powers of two, and a row is turned as a whole, so that A x - b is the same to the
    last bit but for its sign and the factor.
    """
    size, factor = max((abs(s) for s in p.slack), default=mpmath.mpf(0)), 1.0
    if size > largest and not model.pole:
        factor = float(mpmath.mpf(2) ** -int(mpmath.ceil(mpmath.log(size / largest, 2))))
    turn = np.ones(p.n)
    if np.isfinite(model.domain[1]):
        turn = np.array([-1.0 if s > 0 else 1.0 for s in p.slack])
    return dataclasses.replace(p, A=turn[:, None] * p.A, x=factor * p.x, b=factor * turn * p.b)
