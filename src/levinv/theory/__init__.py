"""The constants of the analysis in 2404.13785: corrected, with proofs and the printed values.

``curvature`` has the constants of a region. This module has those of Sections 7 and 8: how close a
starting point must be, and the numbers of steps. Each function has its proof in its docstring. x*
is a minimiser of L with ∇L(x*) = 0. From data to a guarantee, on a ball about x in which no slack
comes below β::

    β = slack_bound(A, b, x, radius)                  the region
    curvature_bound(β)                                how indefinite the Hessian can be there
    ρ = convexifying_ridge(A, β, l)                   the ridge that makes L l-strongly convex there
    Λ = smoothness(A, β, ridge=ρ)                     L's largest curvature
    M = hessian_lipschitz(A, β)                       how fast the Hessian changes
    is_good_start(r, l, M), contraction_factor(r, l, M), newton_iterations(r, ε, l, M)
    descent_iterations(r, ε, l, Λ), averaged_descent_iterations(ε, l, loss_lipschitz(A, β, ...))

The bounds are worst cases: real problems behave far better. :mod:`levinv.papers` has the printed
statements; docs/errata.md compares the two, with a test for each.
"""
from __future__ import annotations

import math

from levinv import _validate
from levinv.theory.curvature import (
    convexifying_ridge,
    curvature_bound,
    hessian_lipschitz,
    leverage_lipschitz,
    loss_lipschitz,
    slack_bound,
    smoothness,
)

__all__ = [
    "averaged_descent_iterations", "contraction_factor", "convexifying_ridge", "curvature_bound",
    "descent_iterations", "hessian_lipschitz", "is_good_start", "leverage_lipschitz",
    "loss_lipschitz", "newton_iterations", "slack_bound", "smoothness",
]


def is_good_start(distance: float, strong_convexity: float, lipschitz: float) -> bool:
    """Whether x₀ is a good initialisation point: r₀M <= 0.1·l (Definition 8.2, as printed).

    Parameters
    ----------
    distance : float
        r₀ = ‖x₀ - x*‖ >= 0, or a bound on it.
    strong_convexity : float
        l > 0 with ∇²L(x*) ⪰ l·I.
    lipschitz : float
        M >= 0, the Hessian's Lipschitz constant (:func:`hessian_lipschitz`) on the ball of radius
        r₀ about x*.

    Raises
    ------
    ValueError, TypeError
        A number out of range.

    Notes
    -----
    Sufficient, not necessary: Newton's method contracts from every r₀M < ⅔·l
    (:func:`contraction_factor`).

    Examples
    --------
    >>> from levinv import theory
    >>> theory.is_good_start(0.01, strong_convexity=1.0, lipschitz=5.0)
    True
    """
    distance, strong_convexity, lipschitz = _newton_constants(distance, strong_convexity, lipschitz)
    return lipschitz * distance <= 0.1 * strong_convexity


def contraction_factor(distance: float, strong_convexity: float, lipschitz: float) -> float:
    """A q with r_{t+1} <= q·r_t for the exact Newton step from a point at distance r_t of x*.

    Parameters
    ----------
    distance : float
        r_t >= 0, or a bound on it.
    strong_convexity, lipschitz : float
        l and M as for :func:`is_good_start`.

    Returns
    -------
    float
        q = Mr / (2 (l - Mr)): at most 1/18 from a good start, below 1 from Mr < ⅔·l.

    Raises
    ------
    ValueError, TypeError
        A number out of range; Mr >= l, where the Hessian at x_t may be singular.

    Notes
    -----
    With e = x_t - x*, g(x*) = 0 and g(x_t) = ∫₀¹ H(x* + τe) e dτ, ::

        x_{t+1} - x* = H(x_t)⁻¹ ∫₀¹ (H(x_t) - H(x* + τe)) e dτ,
        r_{t+1} <= ‖H(x_t)⁻¹‖ M r²/2,   H(x_t) ⪰ (l - Mr) I.

    q grows with r, so it holds for all later steps as well: Lemma 8.6, r_{t+1} <= 0.4·r_t, is true
    by a wide margin.

    Lemma 8.5 prints 2 (ε₀ + Mr/(l - Mr)) for Hessians known to a relative ε₀ in (0, 0.1). From a
    good start that is 0.4222 at ε₀ = 0.1: Lemma 8.6's 0.4 follows for ε₀ <= 4/45 only. Algorithm 2
    uses the exact Hessian, ε₀ = 0, which the lemma excludes.

    Examples
    --------
    >>> from levinv import theory
    >>> round(theory.contraction_factor(0.1, strong_convexity=1.0, lipschitz=1.0), 4)
    0.0556
    """
    distance, strong_convexity, lipschitz = _newton_constants(distance, strong_convexity, lipschitz)
    shift = lipschitz * distance
    if shift >= strong_convexity:
        raise ValueError("distance must be below strong_convexity / lipschitz = "
                         f"{strong_convexity / lipschitz}, got {distance}: the Hessian may be "
                         "singular there")
    return 0.5 * shift / (strong_convexity - shift)


def newton_iterations(distance: float, accuracy: float, strong_convexity: float,
                      lipschitz: float) -> int:
    """How many exact Newton steps bring a start at distance r₀ to within ε of x*.

    Parameters
    ----------
    distance, strong_convexity, lipschitz : float
        r₀, l and M as for :func:`is_good_start`.
    accuracy : float
        ε > 0.

    Returns
    -------
    int
        The least T for which r ← r·q(r), T times from r₀, is at most ε; q as in
        :func:`contraction_factor`.

    Raises
    ------
    ValueError, TypeError
        A number out of range; r₀M >= ⅔·l, where a step may lead away from x*.

    Notes
    -----
    r·q(r) increases with r, so a bound on r₀ bounds all later distances. It is quadratic in r:
    T = O(log log(r₀/ε)).

    Theorem G.2 prints log(r₀/ε). At Lemma 8.6's rate of 0.4 that needs base 5/2: the natural
    logarithm falls short, 0.4^ln(r₀/ε) = (ε/r₀)^0.916. From a good start it is enough, because the
    true rate is 1/18.

    Examples
    --------
    >>> from levinv import theory
    >>> theory.newton_iterations(0.1, 1e-12, strong_convexity=1.0, lipschitz=1.0)
    4
    """
    distance, strong_convexity, lipschitz = _newton_constants(distance, strong_convexity, lipschitz)
    accuracy = _validate.positive_number(accuracy, "accuracy")
    if (lipschitz * distance >= strong_convexity
            or contraction_factor(distance, strong_convexity, lipschitz) >= 1.0):
        reach = 2.0 / 3.0 * strong_convexity / lipschitz
        raise ValueError(f"distance must be below 2/3 strong_convexity / lipschitz = {reach}, "
                         f"got {distance}: no step need come closer")
    iterations = 0
    while distance > accuracy:
        distance *= contraction_factor(distance, strong_convexity, lipschitz)
        iterations += 1
    return iterations


def descent_iterations(distance: float, accuracy: float, strong_convexity: float,
                       smoothness: float) -> int:
    """How many gradient steps of fixed size η = 1/Λ bring a start at distance r₀ to within ε of x*.

    Parameters
    ----------
    distance, accuracy : float
        r₀ and ε as for :func:`newton_iterations`.
    strong_convexity, smoothness : float
        0 < l <= Λ with l·I ⪯ ∇²L ⪯ Λ·I on the ball of radius r₀ about x*
        (:func:`convexifying_ridge`, :func:`smoothness`).

    Returns
    -------
    int
        ⌈ log(r₀/ε) / -log(1 - l/Λ) ⌉, at least 0.

    Raises
    ------
    ValueError, TypeError
        A number out of range, l > Λ.

    Notes
    -----
    ∇L(x_t) = H (x_t - x*) with H the mean Hessian between the two, so ::

        ‖x_{t+1} - x*‖ = ‖(I - ηH)(x_t - x*)‖ <= (1 - l/Λ) r_t,

    which also keeps x_t in the ball.

    This is Algorithm 1 with a fixed step. Theorem G.1 counts O(poly(nd, exp(R²))/ε) steps for it
    instead, by Lemma 7.4, which is about another step and another point
    (:func:`averaged_descent_iterations`) and needs no second derivative.

    Examples
    --------
    >>> from levinv import theory
    >>> theory.descent_iterations(1.0, 1e-3, strong_convexity=1.0, smoothness=2.0)
    10
    """
    distance = _validate.positive_number(distance, "distance", zero=True)
    accuracy = _validate.positive_number(accuracy, "accuracy")
    strong_convexity = _validate.positive_number(strong_convexity, "strong_convexity")
    smoothness = _validate.positive_number(smoothness, "smoothness")
    if strong_convexity > smoothness:
        raise ValueError(f"strong_convexity must be at most smoothness = {smoothness}, "
                         f"got {strong_convexity}")
    if distance <= accuracy:
        return 0
    if strong_convexity == smoothness:
        return 1
    return math.ceil((math.log(distance) - math.log(accuracy))
                     / -math.log1p(-strong_convexity / smoothness))


def averaged_descent_iterations(accuracy: float, strong_convexity: float,
                                loss_lipschitz: float) -> int:
    """How many steps γ_k = 2/(α(k+1)) bring the loss at the weighted average to within ε of its
    minimum. Raises as :func:`is_good_start`.

    Parameters
    ----------
    accuracy : float
        ε > 0, in the loss.
    strong_convexity : float
        α > 0 with ∇²L ⪰ α·I.
    loss_lipschitz : float
        l > 0 with ‖∇L‖ <= l on the set that the steps are projected to (:func:`loss_lipschitz`).

    Returns
    -------
    int
        The least T >= 1 with 2l²/(α(T+1)) <= ε.

    Notes
    -----
    Lemma 7.4. The average is ∑ 2k/(T(T+1)) x_k, whose weights sum to 1; the paper prints a second
    1/(T(T+1)) in front of it, which sends it to the origin. Proof of the bound, with r_k = ‖x_k -
    x*‖: r_{k+1} <= ‖x_k - γ_k∇L(x_k) - x*‖ and strong convexity give ::

        L(x_k) - L* <= γ_k l²/2 + (1/(2γ_k) - α/2) r_k² - r_{k+1}²/(2γ_k);

    times k, the last two terms telescope, (α/4) k ((k-1) r_k² - (k+1) r_{k+1}²), and the first is
    at most l²/α: the sum over k is at most T l²/α, and T(T+1)/2 is the sum of the weights k.

    Examples
    --------
    >>> from levinv import theory
    >>> theory.averaged_descent_iterations(0.01, strong_convexity=1.0, loss_lipschitz=2.0)
    799
    """
    accuracy = _validate.positive_number(accuracy, "accuracy")
    strong_convexity = _validate.positive_number(strong_convexity, "strong_convexity")
    loss_lipschitz = _validate.positive_number(loss_lipschitz, "loss_lipschitz")
    return max(1, math.ceil(2.0 * loss_lipschitz ** 2 / strong_convexity / accuracy) - 1)


def _newton_constants(distance: float, strong_convexity: float,
                      lipschitz: float) -> tuple[float, float, float]:
    return (_validate.positive_number(distance, "distance", zero=True),
            _validate.positive_number(strong_convexity, "strong_convexity"),
            _validate.positive_number(lipschitz, "lipschitz", zero=True))
