"""Weightings by the names of statistics: families and links as R and statsmodels call them.

With a variance μ^p (gaussian 0, Poisson 1, gamma 2, inverse gaussian 3, Tweedie p) the power link
η = μ^ρ gives w = ρ⁻² |η|^(-q), q = 2 - (2 - p)/ρ, and the log link gives w = exp((2 - p) η). So
gamma regression with its canonical link 1/μ has the papers' w = 1/η². Weights are constant for
q = 0: gaussian with the identity link, Poisson with the square root, gamma with the log link.

Source: McCullagh and Nelder, Generalized Linear Models (1989), sections 2.2 to 2.5.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from levinv._scalars import choice, finite_number, positive_number
from levinv.weighting.composed import (
    BINOMIAL,
    CLOGLOG,
    LOG,
    classified,
    composed,
    negative_binomial,
    negative_binomial_link,
    power_link,
)
from levinv.weighting.monotone import NegativeBinomial
from levinv.weighting.peaked import Cauchit, Cloglog, Logit, Probit
from levinv.weighting.protocol import (
    INVERSE_SQUARE,
    Constant,
    Exponential,
    Power,
    Weighting,
)

WeightingLike: TypeAlias = str | tuple[str, str] | Weighting | Any | None


def _variances() -> dict[str, float]:
    """p in V = μ^p."""
    return {"gaussian": 0.0, "poisson": 1.0, "gamma": 2.0, "inverse-gaussian": 3.0}


def _link_powers() -> dict[str, float]:
    """ρ in η = μ^ρ."""
    return {"identity": 1.0, "sqrt": 0.5, "inverse": -1.0, "inverse-squared": -2.0}


VARIANCES, LINK_POWERS = _variances(), _link_powers()
BINOMIAL_LINKS: dict[str, Callable[[], Weighting]] = {
    "logit": Logit, "probit": Probit, "cauchit": Cauchit, "cloglog": Cloglog,
    "loglog": lambda: Cloglog(mirrored=True)}
CANONICAL = {"binomial": "logit", "poisson": "log", "gamma": "inverse", "gaussian": "identity",
             "inverse-gaussian": "inverse-squared", "negative-binomial": "log", "tweedie": "log"}
FAMILIES = tuple(CANONICAL)
LINKS = (*BINOMIAL_LINKS, "log", "logc", *LINK_POWERS, "canonical", "power")
SYNONYMS = {"normal": "gaussian", "inversegaussian": "inverse-gaussian", "bernoulli": "binomial",
            "negativebinomial": "negative-binomial", "nbinom": "canonical", "cauchy": "cauchit",
            "inverse-power": "inverse", "inversepower": "inverse", "reciprocal": "inverse",
            "inversesquared": "inverse-squared", "1/mu^2": "inverse-squared",
            "1/mu": "inverse", "complementary-log-log": "cloglog"}


def glm(family: str, link: str | None = None, *, alpha: float | None = None,
        power: float | None = None, link_power: float | None = None) -> Weighting:
    """The weighting of a generalised linear model: the weights of Fisher scoring.

    Parameters
    ----------
    family : str
        "binomial", "poisson", "gamma", "gaussian", "inverse-gaussian", "negative-binomial" or
        "tweedie".
    link : str, optional
        "logit", "probit", "cauchit", "cloglog", "loglog", "log", "logc", "identity", "inverse",
        "inverse-squared", "sqrt", "power" (with ``link_power``) or, for the negative binomial,
        "canonical". Default: the canonical link; for the negative binomial and Tweedie families the
        log link.
    alpha : float, optional
        Dispersion of the negative binomial family, V = μ + alpha μ² (default 1).
    power : float, optional
        The exponent of the Tweedie family, V = μ^power, which requires it.
    link_power : float, optional
        The exponent of the power link, η = μ^link_power, which requires it.

    Returns
    -------
    weighting : Weighting
        For the argument ``weighting`` of levinv's functions.

    Raises
    ------
    ValueError
        The family or the link is unknown, the family does not have the link, or a parameter
        belongs to another family.
    TypeError
        A name is not a string, or a parameter is not a number.

    Notes
    -----
    Weights are those of expected information, as in R. The offset of a regression is -b.

    References
    ----------
    .. [1] McCullagh and Nelder, Generalized Linear Models, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import LeverageMap
    >>> from levinv.weighting import glm
    >>> A = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    >>> LeverageMap(A, weighting=glm("binomial", "probit")).scores([-1.0, 0.5]).round(4)
    array([0.6369, 0.3431, 0.3226, 0.6974])
    """
    family, link, rho = model(family, link, link_power)
    for name, value, owner in (("alpha", alpha, family == "negative-binomial"),
                               ("power", power, family == "tweedie")):
        if value is not None and not owner:
            raise ValueError(f"{name} must not be given for family {family!r} with link {link!r}")
    label = _label(family, link)
    if family == "binomial":
        return _binomial(link, rho, label)
    if family == "negative-binomial":
        return _negative_binomial(1.0 if alpha is None else positive_number(alpha, "alpha"), link,
                                  rho, label)
    variance = VARIANCES.get(family)
    if variance is None:
        variance = finite_number(_required(power, "power"), "power")
    if link == "log":
        rate = 2.0 - variance
        return Exponential(rate, label) if rate else Constant(label)
    if rho is None:
        if link in BINOMIAL_LINKS or link in ("canonical", "logc"):
            raise ValueError(f"link {link!r} is not a link of the family {family!r}: its means are "
                             "not probabilities")
        raise ValueError(f"link {link!r} is not a link of the family {family!r}")
    q = 2.0 - (2.0 - variance) / rho
    constant = -2.0 * math.log(abs(rho))
    return Power(q, label, constant) if q else Constant(label, constant)


def model(family: str, link: str | None,
          link_power: float | None) -> tuple[str, str, float | None]:
    """Names of the family and the link, and the exponent of a power link or None.

    Raises as :func:`glm`.
    """
    family = choice(_plain(family, "family"), "family", FAMILIES)
    link = CANONICAL[family] if link is None else choice(_plain(link, "link"), "link", LINKS)
    if link_power is not None and link != "power":
        raise ValueError(f"link_power must not be given for family {family!r} with link {link!r}")
    rho = (LINK_POWERS.get(link) if link != "power"
           else finite_number(_required(link_power, "link_power"), "link_power"))
    return (family, link, rho) if rho != 0.0 else (family, "log", None)


def _plain(name: Any, argument: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be a string, got {type(name).__name__}")
    plain = name.lower().replace("_", "-").replace(".", "-").replace(" ", "-")
    return SYNONYMS.get(plain, plain)


def _required(value: float | None, name: str) -> float:
    if value is None:
        raise ValueError(f"{name} must be given: it has no default")
    return value


def _label(family: str, link: str) -> str:
    if (family, link) == ("binomial", "logit"):
        return "a logistic regression"
    words = family.replace("-", " ").replace("poisson", "Poisson").replace("tweedie", "Tweedie")
    article = "an" if words.startswith("i") else "a"
    return f"{article} {words} regression with the {link} link"


def _binomial(link: str, rho: float | None, label: str) -> Weighting:
    if link in BINOMIAL_LINKS:
        return BINOMIAL_LINKS[link]()
    if link == "canonical":
        return Logit()
    return composed(BINOMIAL, LOG if rho is None else power_link(rho), label)


def _negative_binomial(alpha: float, link: str, rho: float | None, label: str) -> Weighting:
    if link == "log":
        return NegativeBinomial(alpha)
    if link in ("canonical", "cloglog"):
        inverse = negative_binomial_link(alpha) if link == "canonical" else CLOGLOG
        return composed(negative_binomial(alpha), inverse, label)
    if rho is None:
        raise ValueError(f"link {link!r} is not a link of the family 'negative-binomial'")
    return composed(negative_binomial(alpha), power_link(rho), label)


def power(q: float) -> Weighting:
    """The weighting |A x - b|^(-q). The papers have q = 2.

    Parameters
    ----------
    q : float
        Not zero.

    Returns
    -------
    weighting : Weighting

    Raises
    ------
    ValueError, TypeError
        q is zero, NaN or inf, or is not a number.

    Examples
    --------
    >>> from levinv.weighting import power
    >>> power(2.0)
    <levinv weighting: weights |A x - b|^-2>
    """
    q = finite_number(q, "q")
    if q == 0.0:
        raise ValueError("q must not be 0: the scores would not depend on x")
    return INVERSE_SQUARE if q == 2.0 else Power(q)


def as_weighting(value: WeightingLike) -> Weighting:
    """The weighting that an argument ``weighting`` stands for; None: that of the papers, 1/s².

    Raises ValueError for unknown names and TypeError for other objects.
    """
    if value is None:
        return INVERSE_SQUARE
    if isinstance(value, Weighting):
        return value
    if isinstance(value, str):
        return glm(value)
    if isinstance(value, tuple) and len(value) == 2:
        return glm(*value)
    if hasattr(value, "variance") and hasattr(value, "link"):
        return from_statsmodels(value)
    if all(callable(getattr(value, name, None))
           for name in ("log_weight", "derivative", "second_derivative")):
        domain = getattr(value, "domain", (-math.inf, math.inf))
        return classified(value, getattr(value, "name", type(value).__name__), domain)
    raise TypeError("weighting must be a family's name, a pair (family, link), a statsmodels "
                    "family or an object with log_weight, derivative and second_derivative, got "
                    f"{type(value).__name__}")


def from_statsmodels(family: Any) -> Weighting:
    """The weighting of a statsmodels family object with its link."""
    kind, link = type(family).__name__, family.link
    parameters: dict[str, float] = {}
    if kind == "NegativeBinomial":
        parameters["alpha"] = float(family.alpha)
    if kind == "Tweedie":
        parameters["power"] = float(family.var_power)
    name = type(link).__name__
    if name in ("Power", "InversePower", "Sqrt", "InverseSquared", "Identity"):
        exponent = float(link.power)
        return glm(kind, "power", link_power=exponent, **parameters)
    names = {"Logit": "logit", "Probit": "probit", "Cauchy": "cauchit", "CLogLog": "cloglog",
             "LogLog": "loglog", "Log": "log", "LogC": "logc", "NegativeBinomial": "canonical"}
    if name == "CDFLink":
        name = "Probit"
    if name == kind == "NegativeBinomial" and link.alpha != family.alpha:   # not canonical
        return composed(negative_binomial(float(family.alpha)),
                        negative_binomial_link(float(link.alpha)),
                        "a negative binomial regression with a link of another alpha")
    if name not in names:
        raise ValueError(f"weighting: the link {name} is not known; give an object with "
                         "log_weight, derivative and second_derivative")
    return glm(kind, names[name], **parameters)
