"""The constants of the analysis: Sections 4 to 8 and Appendices D to G.

R, β, l and M are those of the paper. The functions do not check their arguments.
"""
import math


def row_norm_bound(beta: float, R: float) -> float:
    """‖a(x)_i‖ <= βR: Lemma D.1(4). True: R/β, for slacks of at least β."""
    return beta * R


def curvature_bound(beta: float) -> float:
    """-44β I ⪯ G(x) ⪯ 44β I: Lemma D.4. True: 44β⁻², and less; levinv.theory.curvature_bound."""
    return 44 * beta


def convexifying_ridge(beta: float, strong_convexity: float,
                       smallest_singular_value: float) -> float:
    """The least w with w² >= -44β + l/σ_min(A)²: Definition 4.5, Lemma D.5.

    True: 44β⁻² for -44β, and less; levinv.theory.convexifying_ridge.
    """
    return math.sqrt(max(0.0, -44 * beta + strong_convexity / smallest_singular_value ** 2))


def leverage_lipschitz(beta: float, R: float) -> float:
    """‖σ(x) - σ(x̂)‖ <= 3β⁻⁷R³‖x - x̂‖: Lemma E.1(6). True: levinv.theory.leverage_lipschitz,
    max‖aᵢ‖/β.
    """
    return 3 * beta ** -7 * R ** 3


def hessian_lipschitz(beta: float, R: float) -> float:
    """‖H(x) - H(x̂)‖ <= 812β⁻⁹R⁵‖x - x̂‖: Lemmas 6.3, E.3.

    True: levinv.theory.hessian_lipschitz, at most 23β⁻³R³ for c in [0, 1]ⁿ.
    """
    return 812 * beta ** -9 * R ** 5


def contraction_factor(distance: float, strong_convexity: float, lipschitz: float,
                       relative_error: float) -> float:
    """r_{t+1} <= 2 (ε₀ + Mr/(l - Mr)) r_t: Lemma 8.5, for a Hessian with relative error ε₀.

    For the exact Hessian: levinv.theory.contraction_factor, a quarter of this at ε₀ = 0.
    """
    shift = lipschitz * distance
    return 2 * (relative_error + shift / (strong_convexity - shift))


def newton_iterations(distance: float, accuracy: float) -> float:
    """log(r₀/ε): Theorem G.2. At Lemma 8.6's rate of 0.4 it falls short;
    levinv.theory.newton_iterations.
    """
    return math.log(distance / accuracy)


def averaged_descent_gap(strong_convexity: float, lipschitz: float, iterations: int) -> float:
    """2l²/(α(T+1)): Lemma 7.4's bound, right for :func:`weighted_average`.

    levinv.theory.averaged_descent_iterations has the number of steps that it asks for.
    """
    return 2 * lipschitz ** 2 / (strong_convexity * (iterations + 1))
