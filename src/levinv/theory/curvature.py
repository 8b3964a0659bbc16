"""The constants of the analysis in 2404.13785, corrected, and short proofs of tighter ones.

Let s = A x - b, B = diag(1/s) A, P the projection onto range(B), P' = I - P, sigma = diag(P), r =
sigma - c, R = diag(r) and W = P∘P' = diag(sigma) - P∘P. The Hessian of L_c(x) = ½|sigma(x) - c|² is

    ∇²L_c = Bᵀ N B = Aᵀ G A,   G = diag(1/s) N diag(1/s),   N = 4 W² + T,                        (1)
    T = 8 P∘(P R P) - 6 diag((P∘P) r) - 4 (R (P∘P) + (P∘P) R) + 6 diag(r∘sigma)
      = 6 diag(W r) - 4 P∘X,   X = P R P' + P' R P,                                              (2)

where the last line holds because P = P P turns 2 P R P - R P - P R into -X. N is the paper's sum of
D_1 ... D_6 over all rows.

Facts used below. W is a graph Laplacian with weights P_ij², diagonal sigma_i (1 - sigma_i) <= ¼ and
row sums 0, so 0 ⪯ W ⪯ ½ I. W r and X, hence T, do not change when a constant is added to r: only
its spread max r - min r =: 2h counts, and r may be taken within [-h, h]: |tr(R Z)| <= h |Z|_*, the
nuclear norm.

*Bound on N.* Take |v| = 1 and D = diag(v). Then vᵀ(P∘X)v = 2 tr(R PDPDP'), and the diagonal of P D²
P' is W(v∘v), so vᵀ diag(W r) v = tr(R P D (P + P') D P'), and (2) becomes

    vᵀTv = tr(R (6 PDP'DP' - 2 PDPDP')) <= h |PDP'|_F (6 |P'DP'|_F + 2 |PDP|_F).

With w = |PDP'|_F² = vᵀWv the squares of the last two norms add up to |D|_F² - 2w = 1 - 2w, so by
Cauchy

    |vᵀTv| <= h (40 w (1 - 2w))^½ <= √5 h,
    vᵀNv <= 2w + h (40 w (1 - 2w))^½ <= ½ (1 + (1 + 20 h²)^½),

where the last step uses 4 W² ⪯ 2 W:

    -√5 h I ⪯ T ⪯ N ⪯ ½ (1 + (1 + 20 h²)^½) I.                                                   (3)

*Bound on the derivative of N.* Along x + t u put p = B u, |p_i| <= π, and D = diag(v) as before.
E = dP = -(P diag(p) P' + P' diag(p) P), so |E| <= |P' diag(p) P| <= π. dsigma = -2 W p, so
|dr_i| <= π. dW = E∘(P' - P), and P' - P is orthogonal, so |dW| <= π (Schur) and |d 4W²| <= 8 · ½ ·
π. As (3) holds for every r, the part of d(vᵀTv) that contains dr is at most √5 π. The rest is
tr(R Z), Z = d(6 PDP'DP' - 2 PDPDP'):

    Z = 6 (E DP'DP' - PD E DP' - PDP'D E) - 2 (E DPDP' + PD E DP' - PDPD E).

With a = |DP'|_F² = |P'DP'|_F² + w, so that |DP|_F² = 1 - a = |PDP|_F² + w, the six terms sum up to

    |Z|_* <= π (6 (√2 a + (a (1 - a))^½) + 2 (√2 (1 - a) + (a (1 - a))^½)) <= (4√2 + 2√6) π,
    |dN| <= (4 + √5 + (4√2 + 2√6) h) π.                                                          (4)

A bound on the spread 2h that needs no x: scores lie in [0, 1], so 2h <= 1 + max c - min c, which is
2 for c in [0, 1]ⁿ. Near a solution x* it is smaller: at most 2 π |x - x*|, by |dr_i| <= π.
"""
from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from levinv import _validate
from levinv._typing import VectorLike


def slack_bound(A: ArrayLike, b: VectorLike, x: VectorLike, radius: float = 0.0) -> float:
    """A β that the magnitudes of all slacks keep on the ball of this radius about x.

    Parameters
    ----------
    A : (n, d) array_like
        Rows of zeros have score 0 everywhere and are left out.
    b, x : (n,) and (d,) array_like
        x is the centre of the ball.
    radius : float

    Returns
    -------
    float
        The largest such β, up to rounding; 0 if the ball reaches a zero slack.

    Raises
    ------
    ValueError
        Wrong shapes, NaN or inf, a negative radius, or an A of zeros.

    Notes
    -----
    The slack moves by aᵢᵀ(x' - x), at most radius·‖aᵢ‖, which is attained:
    ``β = min |sᵢ| - radius·‖aᵢ‖``.

    2404.13785 assumes β in (0, 0.1) with ‖S(x)‖ >= β (Lemmas D.2, D.4, E.1), or σ_min(A(x)) >= β
    (Lemma D.1). The norm of S is the *largest* slack; what the proofs need is that the *smallest*
    one is at least β, ‖S(x)⁻¹‖ <= 1/β, and that is what all functions here take as `slack`. It need
    not be below 0.1. No β serves all of Rᵈ, since every nonzero row of A has zero slack somewhere:
    every constant here holds on convex sets that keep ``|s| >= β``.

    Examples
    --------
    >>> from levinv import theory
    >>> theory.slack_bound([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]], [1.0, 1.0, 4.0], [0.0, 0.0],
    ...                    radius=0.1)
    0.8
    """
    axes = _validate.axes(A)
    A = _validate.matrix(A, "A")
    b = _validate.vector(b, "b", A.shape[0], "row of A", axes.rows)
    x = _validate.vector(x, "x", A.shape[1], "column of A", axes.columns)
    radius = _validate.positive_number(radius, "radius", zero=True)
    rows = np.linalg.norm(A, axis=1)
    if not rows.any():
        raise ValueError("A must have a nonzero row, got only zeros")
    return max(0.0, float((np.abs(A @ x - b) - radius * rows)[rows > 0].min()))


def curvature_bound(slack: float, *, spread: float = 2.0) -> tuple[float, float]:
    """How far the curvature of the loss goes: (below, above) with -below·I ⪯ G(x) ⪯ above·I.

    Parameters
    ----------
    slack : float
        β > 0 with ``|s_i(x)| >= β`` for all i (:func:`slack_bound`).
    spread : float
        Bound on max r - min r for r = σ(x) - c. It is at most 1 + max c - min c, so that the
        default holds for c in [0, 1]ⁿ.

    Returns
    -------
    tuple of float
        √5 h / β² and ½ (1 + √(1 + 20 h²)) / β² with h = spread/2: for c in [0, 1]ⁿ, 2.24/β² and
        2.80/β².

    Raises
    ------
    ValueError, TypeError
        `slack` not a positive, `spread` not a nonnegative number.

    Notes
    -----
    G is that of Fact D.3, ∇²L_c = AᵀGA. Lemma D.4 prints -44β I ⪯ G ⪯ 44β I, from Lemma D.2's 4 +
    8 + 8 + 10 + 8 + 6 = 44 for the six terms and Lemma D.1(4)'s ‖aᵢ(x)‖ <= βR. The latter is upside
    down: a slack of at least β gives ‖aᵢ(x)‖ <= R/β, so that 44β⁻² is what the argument yields, for
    c in [0, 1]ⁿ. (The lemma puts no bound on c, which its Hessian lost; in truth G grows with the
    spread of σ - c.) The proof adds up the six terms of one row only.

    Tighter, for all rows together: ‖G‖ <= ‖N‖/β², and (3) at the top of
    ``levinv/theory/curvature.py`` bounds N. Numerical maximisation over B and c never found ‖N‖
    above 1.36.

    Examples
    --------
    >>> from levinv import theory
    >>> below, above = theory.curvature_bound(0.5)
    >>> round(below, 3), round(above, 3)
    (8.944, 11.165)
    >>> theory.curvature_bound(0.5, spread=0.0)     # at a solution: Gauss-Newton, which is convex
    (0.0, 4.0)
    """
    slack = _validate.positive_number(slack, "slack")
    spread = _validate.positive_number(spread, "spread", zero=True)
    below = 0.5 * math.sqrt(5.0) * spread                     # (3) bounds N by these two
    above = 0.5 * (1.0 + math.sqrt(1.0 + 5.0 * spread * spread))
    return below / slack / slack, above / slack / slack


def convexifying_ridge(A: ArrayLike, slack: float, strong_convexity: float = 0.0, *,
                       spread: float = 2.0) -> float:
    """The ridge ρ that makes L = ½‖σ(x) - c‖² + ½‖ρAx‖² l-strongly convex where the slacks are at
    least β.

    Parameters
    ----------
    A : (n, d) array_like
        Of full column rank, unless `strong_convexity` is 0.
    slack, spread : float
        As for :func:`curvature_bound`.
    strong_convexity : float
        l >= 0.

    Returns
    -------
    float
        ρ; a vector of ridges, all at least ρ in magnitude, serves as well.

    Raises
    ------
    ValueError, TypeError
        Invalid A or numbers; A numerically rank-deficient and l > 0.

    Notes
    -----
    With -below·I ⪯ G from :func:`curvature_bound` and ρ² = below + l/σ_min(A)², ::

        ∇²L = Aᵀ(G + ρ²I)A ⪰ (l/σ_min(A)²) AᵀA ⪰ l·I.

    The bound on G, in 1/slack², is needed; the bound on N would have the wrong unit.

    Definition 4.5 and Lemma D.5 print w² >= -44β + l/σ_min(A)². The sign is wrong, because the
    ridge has to balance curvature *below* zero, and so is β (Lemma D.4); the paper's argument gives
    44β⁻² + l/σ_min(A)², this function's constant is √5 for 44. For l <= 44βσ_min² the printed
    condition asks for no ridge at all, and L need not be convex without.

    It holds on every convex set on which ``|s| >= β``, not on Rᵈ as Lemma D.5 concludes. And the
    minimiser of L is not that of L_c: a solution of σ(x) = c has ∇L = ρ²AᵀAx.

    Examples
    --------
    >>> from levinv import theory
    >>> round(theory.convexifying_ridge([[2.0], [0.0]], slack=2.0, strong_convexity=4.0), 4)
    1.2486
    """
    A = _validate.matrix(A, "A")
    strong_convexity = _validate.positive_number(strong_convexity, "strong_convexity", zero=True)
    below = curvature_bound(slack, spread=spread)[0]
    if strong_convexity == 0:
        return math.sqrt(below)
    if np.linalg.matrix_rank(A) < A.shape[1]:
        raise ValueError("A must have full column rank for strong convexity, got one that is "
                         "rank-deficient: no ridge makes the loss curved along its null space")
    least = float(np.linalg.norm(A, -2))
    return math.sqrt(below + strong_convexity / least / least)


def smoothness(A: ArrayLike, slack: float, *, ridge: float = 0.0, spread: float = 2.0) -> float:
    """A Λ with ∇²L ⪯ Λ·I where the slacks are at least β: the gradient's Lipschitz constant.

    Parameters
    ----------
    A : (n, d) array_like
    slack, spread : float
        As for :func:`curvature_bound`.
    ridge : float
        ρ of L = ½‖σ(x) - c‖² + ½‖ρAx‖²; of a vector, the largest magnitude.

    Returns
    -------
    float
        ‖A‖² (above + ρ²).

    Raises
    ------
    ValueError, TypeError
        Invalid A or numbers.

    Notes
    -----
    ‖∇²L‖ = ‖Aᵀ(G + ρ²I)A‖ and ‖G‖ <= above, :func:`curvature_bound`. The paper has no name for
    it; a fixed step in Algorithm 1 needs it (:func:`descent_iterations`).

    Examples
    --------
    >>> from levinv import theory
    >>> round(theory.smoothness([[3.0], [4.0]], slack=1.0), 3)
    69.782
    """
    A = _validate.matrix(A, "A")
    ridge = _validate.positive_number(ridge, "ridge", zero=True)
    above = curvature_bound(slack, spread=spread)[1]
    size = float(np.linalg.norm(A, 2))
    return size * size * (above + ridge * ridge)


def loss_lipschitz(A: ArrayLike, slack: float, *, ridge: float = 0.0, norm: float = 0.0,
                   spread: float = 2.0) -> float:
    """A bound on ‖∇L‖ where the slacks are at least β: the Lipschitz constant of L itself.

    Raises as :func:`smoothness`.

    Parameters
    ----------
    A : (n, d) array_like
    slack, ridge, spread : float
        As for :func:`smoothness`.
    norm : float
        Bound on ‖x‖; counts only with a ridge.

    Returns
    -------
    float
        (4/√27) spread √d ‖A‖/β + ρ²‖A‖² norm.

    Notes
    -----
    ∇L_c = -2BᵀWr with ``|Wr|ᵢ <= spread·σᵢ(1 - σᵢ)``, and ∑ σᵢ²(1 - σᵢ)² <= (4/27) ∑ σᵢ <= 4d/27,
    since t(1 - t)² <= 4/27 on [0, 1].

    Lemma 7.4 needs this constant; the proof of Theorem G.1 puts the *Hessian's* (Lemma E.3) in its
    place. With a ridge it is finite on bounded sets only: no function is both Lipschitz and
    strongly convex on Rᵈ.

    Examples
    --------
    >>> from levinv import theory
    >>> round(theory.loss_lipschitz([[3.0], [4.0]], slack=1.0), 3)
    7.698
    """
    A = _validate.matrix(A, "A")
    slack = _validate.positive_number(slack, "slack")
    spread = _validate.positive_number(spread, "spread", zero=True)
    ridge = _validate.positive_number(ridge, "ridge", zero=True)
    norm = _validate.positive_number(norm, "norm", zero=True)
    size = float(np.linalg.norm(A, 2))
    return (4.0 / math.sqrt(27.0) * spread * math.sqrt(A.shape[1]) * size / slack
            + ridge * size * ridge * size * norm)


def leverage_lipschitz(A: ArrayLike, slack: float) -> float:
    """A K with ‖P(x) - P(y)‖ <= K‖x - y‖ if all slacks are at least β, in magnitude, from x to y.

    P is the leverage score matrix, the paper's σ(x); so ``|σᵢ(x) - σᵢ(y)| <= K‖x - y‖`` for every
    score too. Raises as :func:`smoothness`.

    Parameters
    ----------
    A : (n, d) array_like
    slack : float
        β > 0 with ``|s_i| >= β`` for all i on the segment.

    Returns
    -------
    float
        max‖aᵢ‖/β.

    Notes
    -----
    ‖dP‖ <= π = max|pᵢ| <= max‖aᵢ‖/β per unit of x: see (4) at the top of
    ``levinv/theory/curvature.py``.

    Lemma E.1(6) prints 3β⁻⁷R³ with ‖A‖ <= R. Its proof loses R² in the bound of ‖G₂‖ (2β⁻⁷R² for
    2β⁻⁷R⁴), uses σ_min(A(x)) >= β, which the lemma does not assume, and part 4 differentiates the
    pseudo-inverse as if it were an inverse. It fails for small R.

    Examples
    --------
    >>> from levinv import theory
    >>> theory.leverage_lipschitz([[3.0, 4.0], [1.0, 0.0]], slack=0.5)
    10.0
    """
    A = _validate.matrix(A, "A")
    slack = _validate.positive_number(slack, "slack")
    return float(np.linalg.norm(A, axis=1).max()) / slack


def hessian_lipschitz(A: ArrayLike, slack: float, *, spread: float = 2.0) -> float:
    """An M with ‖∇²L(x) - ∇²L(y)‖ <= M‖x - y‖ if all slacks are at least β, in magnitude, from x to
    y. Raises as :func:`smoothness`.

    Parameters
    ----------
    A : (n, d) array_like
    slack, spread : float
        As for :func:`leverage_lipschitz` and :func:`curvature_bound`.

    Returns
    -------
    float
        (5 + √5 + √(1 + 20h²) + (4√2 + 2√6) h) max‖aᵢ‖ ‖A‖² / β³ with h = spread/2: for c in [0, 1]ⁿ
        at most 23 ‖A‖³/β³. A ridge does not change it.

    Notes
    -----
    Along a unit vector u, with p = Bu and y = Bv, dy = -p∘y, so that by (3) and (4) at the top of
    ``levinv/theory/curvature.py`` ::

        |d(vᵀ∇²Lv)| = |-2(p∘y)ᵀNy + yᵀ(dN)y| <= π (1 + √(1 + 20h²) + 4 + √5 + (4√2 + 2√6) h) ‖y‖²,

    with π <= max‖aᵢ‖/β and ‖y‖ <= ‖A‖‖v‖/β.

    Lemmas 6.3 and E.3 print 812β⁻⁹R⁵ with ‖A‖ <= R: a sum over one row's terms, by way of Lemma
    E.1(6) (:func:`leverage_lipschitz`). It holds where R² >= β⁶/36 and c is in [0, 1]ⁿ, and fails
    for smaller R and for large c.

    Examples
    --------
    >>> from levinv import theory
    >>> round(theory.hessian_lipschitz([[3.0], [4.0]], slack=1.0), 2)
    2237.45
    """
    A = _validate.matrix(A, "A")
    slack = _validate.positive_number(slack, "slack")
    spread = _validate.positive_number(spread, "spread", zero=True)
    change = 4.0 + math.sqrt(5.0) + (4.0 * math.sqrt(2.0) + 2.0 * math.sqrt(6.0)) * 0.5 * spread
    constant = 2.0 * curvature_bound(1.0, spread=spread)[1] + change
    size = float(np.linalg.norm(A, 2)) / slack
    return constant * float(np.linalg.norm(A, axis=1).max()) / slack * size * size
