"""The weights of observed information, which depend on the responses y.

With the log-likelihood ℓ of a row, κ = μ'/V and ℓ' = (y - μ) κ,

    w = -ℓ'' = μ' κ - (y - μ) κ',      w' = μ'' κ + 2 μ' κ' - (y - μ) κ'',
    κ' = μ''/V - μ'² V'/V²,
    κ'' = μ'''/V - 3 μ' μ'' V'/V² - μ'³ V''/V² + 2 μ'³ V'²/V³.

The first term of w is the expected information. The rest vanishes with the canonical link. Far from
y both are large beside w = (μ κ)' - y κ', whose terms have closed forms for V = μ^p:

    μ = e^η:  w = (2 - p) μ^(2-p) + y (p - 1) μ^(1-p),
    μ = η^e:  w = e (m + 1 + e) η^(m+e) - y e (m + 1) η^m,   m = e - 2 - e p,
    V = μ + α μ², μ = e^η:  w = μ (1 + α y) / (1 + α μ)².

For binomial families ℓ = y log μ + (1 - y) log(1 - μ), so that no difference cancels in

    w = y α + (1 - y) β,    α = -(log μ)'',  β = -(log(1 - μ))''.

Source: McCullagh and Nelder, Generalized Linear Models (1989), section 2.5.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import scipy.special

from levinv._tolerances import TAIL_START
from levinv._typing import Floats, VectorLike
from levinv._validate import Axis, labels_of, real_array, refuse
from levinv.weighting.composed import (
    CLOGLOG,
    LOG,
    Family,
    Link,
    negative_binomial,
    negative_binomial_link,
    power_link,
)
from levinv.weighting.names import CANONICAL, VARIANCES, glm, model
from levinv.weighting.peaked import cloglog_parts, normal_tail
from levinv.weighting.protocol import Kind, Weighting

WithDerivative: TypeAlias = tuple[Floats, Floats]
Parts: TypeAlias = Callable[[Floats], tuple[WithDerivative, WithDerivative]]


class Observed(Weighting):
    """Weights of observed information for given responses."""

    kind: Kind = "other"

    def __init__(self, name: str, y: Floats, domain: tuple[float, float],
                 weights: Callable[[Floats, Floats], WithDerivative], labels: Any = None) -> None:
        self.name, self.y, self.length, self.domain = name, y, len(y), domain
        self._weights, self._labels = weights, labels

    def in_order(self, rows: Axis) -> Weighting:
        if self._labels is None or rows.labels is None:
            return self
        y = rows.ordered(self.y, self._labels, "y")
        return Observed(self.name, y, self.domain, self._weights)

    def _weight(self, eta: Floats) -> WithDerivative:
        with np.errstate(all="ignore"):
            return self._weights(eta, self.y)

    def log_weight(self, eta: Floats) -> Floats:
        """τ; NaN where the weight is negative, or 0 with a derivative."""
        weight, slope = self._weight(eta)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_weight: Floats = np.log(np.where((weight == 0) & (slope != 0), np.nan, weight))
        return log_weight

    def derivative(self, eta: Floats) -> Floats:
        weight, slope = self._weight(eta)
        with np.errstate(divide="ignore", invalid="ignore"):
            derivative: Floats = np.where(weight == 0, 0.0, slope / weight)
        return derivative

    def second_derivative(self, eta: Floats) -> Floats:
        raise ValueError(f"the weighting of {self.name} has no second derivatives: use the "
                         "expected information, the same weighting without y")

    def undefined(self, eta: Floats, row: int) -> str:
        weight = self._weight(eta)[0][row]
        return (f"x must keep the weights of observed information positive, got {weight:.3g} in "
                f"row {row}: the expected information, the weighting without y, has no negative "
                "weights")


def observed(family: str, link: str | None, y: VectorLike, *, alpha: float | None = None,
             power: float | None = None, link_power: float | None = None) -> Weighting:
    """The weighting of a regression with observed in place of expected information.

    Parameters
    ----------
    family, link, alpha, power, link_power
        As in :func:`glm`. With the canonical link the two kinds of information are equal.
    y : (n,) array_like
        The responses, in the order of the rows of A or with their labels. For a binomial family
        they are proportions; numbers of trials are prior weights.

    Returns
    -------
    weighting : Weighting
        For scores and their first derivatives, as statsmodels has them by default
        (``get_hat_matrix_diag(observed=True)``).

    Raises
    ------
    ValueError
        As in :func:`glm`; y with NaN, inf or values that the family does not have.
    TypeError
        As in :func:`glm`; complex, object or string y.

    Notes
    -----
    The weights may be negative. A function that meets a negative weight raises ValueError with its
    row. Second derivatives raise ValueError.

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import LeverageMap
    >>> from levinv.weighting import observed
    >>> A = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    >>> y = [0.0, 1.0, 0.0, 1.0]
    >>> LeverageMap(A, weighting=observed("binomial", "probit", y)).scores([-1.0, 0.5]).round(4)
    array([0.5603, 0.4289, 0.3324, 0.6784])
    """
    expected = glm(family, link, alpha=alpha, power=power, link_power=link_power)
    family, link, rho = model(family, link, link_power)
    labels, y = labels_of(y), real_array(y, "y", 1).copy()
    if family != "gaussian":
        wrong = y < 0 if family != "binomial" else (y < 0) | (y > 1)
        refuse(wrong, y, "y", "in [0, 1]" if family == "binomial" else "at least 0")
    canonical = link == ("canonical" if family == "negative-binomial" else CANONICAL[family])
    if canonical and family != "tweedie":
        return Observed(expected.name, y, expected.domain, _expected(expected), labels)
    if family == "binomial":
        return Observed(expected.name, y, expected.domain, _binomial(link, rho), labels)
    if family == "negative-binomial":
        dispersion = 1.0 if alpha is None else float(alpha)
        weights = _negative_binomial(dispersion, link, rho)
    else:
        weights = _of_powers(VARIANCES.get(family, power or 0.0), rho)
    return Observed(expected.name, y, expected.domain, weights, labels)


def _expected(expected: Weighting) -> Callable[[Floats, Floats], WithDerivative]:
    def weights(eta: Floats, y: Floats) -> WithDerivative:
        weight = np.exp(expected.log_weight(eta))
        return weight, weight * expected.derivative(eta)

    return weights


def _of_powers(p: float, rho: float | None) -> Callable[[Floats, Floats], WithDerivative]:
    """V = μ^p, with the link log or η = μ^rho."""
    if rho is None:
        def of_log(eta: Floats, y: Floats) -> WithDerivative:
            first = (2.0 - p) * np.exp((2.0 - p) * eta)
            second = np.where(y > 0, y * (p - 1.0) * np.exp((1.0 - p) * eta), 0.0)
            return first + second, (2.0 - p) * first + (1.0 - p) * second

        return of_log
    e = 1.0 / rho
    m = e - 2.0 - e * p

    def of_power(eta: Floats, y: Floats) -> WithDerivative:
        first = e * (m + 1.0 + e) * eta ** (m + e)
        second = np.where(y > 0, -y * e * (m + 1.0) * eta ** m, 0.0)
        return first + second, ((m + e) * first + m * second) / eta

    return of_power


def _negative_binomial(alpha: float, link: str,
                       rho: float | None) -> Callable[[Floats, Floats], WithDerivative]:
    if link == "log":
        def of_log(eta: Floats, y: Floats) -> WithDerivative:
            share = scipy.special.expit(-eta - math.log(alpha))            # 1/(1 + α μ)
            weight = (1.0 + alpha * y) * np.exp(eta) * share ** 2
            return weight, weight * (2.0 * share - 1.0)

        return of_log
    links = {"cloglog": CLOGLOG, "canonical": negative_binomial_link(alpha)}
    return _general(negative_binomial(alpha), links[link] if rho is None else power_link(rho))


def _general(family: Family, link: Link) -> Callable[[Floats, Floats], WithDerivative]:
    def weights(eta: Floats, y: Floats) -> WithDerivative:
        mean, m1, m2, m3 = link.mean(eta)
        v, v1, v2 = family.variance(mean)
        rest = y - mean
        kappa = m1 / v
        kappa1 = m2 / v - kappa ** 2 * v1
        kappa2 = (m3 / v - 3.0 * kappa * m2 / v * v1 - kappa ** 2 * m1 * v2
                  + 2.0 * kappa ** 3 * v1 ** 2)
        return m1 * kappa - rest * kappa1, m2 * kappa + 2.0 * m1 * kappa1 - rest * kappa2

    return weights


def _binomial(link: str, rho: float | None) -> Callable[[Floats, Floats], WithDerivative]:
    tables: dict[str, Parts] = {"probit": _mirrored(_probit), "cauchit": _mirrored(_cauchit),
                                "cloglog": _cloglog, "loglog": _loglog, "logc": _logc}
    parts = tables.get(link) or _from_mean(LOG if rho is None else power_link(rho))

    def weights(eta: Floats, y: Floats) -> WithDerivative:
        (above, above1), (below, below1) = parts(eta)
        return (np.where(y > 0, y * above, 0.0) + np.where(y < 1, (1.0 - y) * below, 0.0),
                np.where(y > 0, y * above1, 0.0) + np.where(y < 1, (1.0 - y) * below1, 0.0))

    return weights


def _mirrored(below: Callable[[Floats], WithDerivative]) -> Parts:
    """α and β of a symmetric link, with their derivatives: α(η) = β(-η)."""
    def parts(eta: Floats) -> tuple[WithDerivative, WithDerivative]:
        above, slope = below(-eta)
        return (above, -slope), below(eta)

    return parts


def _probit(eta: Floats) -> WithDerivative:
    """β = h (h - η) and β', with h = φ(η)/Φ(-η)."""
    hazard = math.sqrt(2.0 / math.pi) / scipy.special.erfcx(eta / math.sqrt(2.0))
    far, excess = eta >= TAIL_START, hazard - eta
    r1, r2, r3 = normal_tail(eta)
    return (np.where(far, 1.0 - r1 * (r2 - r1), hazard * excess),
            np.where(far, hazard * r1 ** 2 * r2 * (r3 - r2),
                     hazard * (excess * (hazard + excess) - 1.0)))


def _cauchit(eta: Floats) -> WithDerivative:
    """β = g (g - 2ηD) and β', with D = 1/(1 + η²) and g = D/(π (1 - μ))."""
    density = 1.0 / (1.0 + eta ** 2)
    g = density / np.arctan2(1.0, eta)
    rest = g - 2.0 * eta * density
    below = g * rest
    return below, below * rest + g * (below - 2.0 * density + 4.0 * (eta * density) ** 2)


def _cloglog(eta: Floats) -> tuple[WithDerivative, WithDerivative]:
    u, e, rest = cloglog_parts(eta)
    above = -e * rest
    return (above, np.where(e > 0, e * (u - above) - e * rest ** 2, 0.0)), (u, u)


def _loglog(eta: Floats) -> tuple[WithDerivative, WithDerivative]:
    (above, above1), (below, below1) = _cloglog(-eta)
    return (below, -below1), (above, -above1)


def _from_mean(link: Link) -> Parts:
    def parts(eta: Floats) -> tuple[WithDerivative, WithDerivative]:
        mean, *derivatives = link.mean(eta)
        rest = -np.expm1(eta) if link is LOG else 1.0 - mean
        return (_log_curvature(mean, *derivatives),
                _log_curvature(rest, *(-value for value in derivatives)))

    return parts


def _logc(eta: Floats) -> tuple[WithDerivative, WithDerivative]:
    above, below = _from_mean(LOG)(eta)
    return below, above


def _log_curvature(mean: Floats, m1: Floats, m2: Floats, m3: Floats) -> WithDerivative:
    """-(log μ)'' and its derivative."""
    a1, a2, a3 = m1 / mean, m2 / mean, m3 / mean
    return a1 ** 2 - a2, 3.0 * a1 * a2 - a3 - 2.0 * a1 ** 3
