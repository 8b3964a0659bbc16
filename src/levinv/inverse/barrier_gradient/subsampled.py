"""Newton's method with a sub-sampled Hessian: the approximate Newton method of 2408.11267.

Only the paper's abstract is public. It describes Newton steps with a Hessian from rows sampled by
leverage; the algorithm below was derived here. In the coordinates of
levinv.inverse.barrier_gradient.problem the Hessian is

    H = G + 2 E,   G = sum_i sigma_i u_i u_iᵀ,   E = ½ sum_{i,l} P_il² (u_i - u_l)(u_i - u_l)ᵀ

(u_i: row i of diag(signs) U), since 3 diag(sigma) - 2 Q = diag(sigma) + 2 (diag(sigma) - Q), where
diag(sigma) - Q is a graph Laplacian. Row i is kept with probability pi_i >= min(1, k q_i),
independently of the others, and has the weight ω_i = 1/pi_i. The approximation

    H~ = sum_i ω_i sigma_i u_i u_iᵀ + sum_{i≠l} ω_i ω_l P_il² (u_i - u_l)(u_i - u_l)ᵀ

over the rows kept is unbiased and positive semidefinite by construction; a sample of Q itself would
not give both. It takes O(m² d) flops for m ~ k rows; H takes O(n d³).

*Why these probabilities.* q = (tau + sigma)/(2d), where tau are the leverage scores of diag(√sigma)
B, the square root of G: tau_i = sigma_i u_iᵀG⁻¹u_i. Both tau and sigma sum to d. Entries of Q are
at most sigma_i sigma_l. The terms of H~ are therefore bounded relative to G:

* a term of the first sum is sigma_i u_i u_iᵀ / pi_i ⪯ (tau_i/pi_i) G ⪯ (2d/k) G;
* the terms of the second that contain row i, averaged over the other row, are 2 sum_l P_il² (u_i -
  u_l)(u_i - u_l)ᵀ / pi_i ⪯ 4 (sigma_i u_i u_iᵀ + sum_l P_il² u_l u_lᵀ)/pi_i ⪯ 4 ((tau_i +
  sigma_i)/pi_i) G ⪯ (8d/k) G.

All are positive semidefinite with means of at most a constant times G. By the matrix Bernstein
inequality the error of both sums is O(√(d log d / k)) G (Tropp, 2012); the interaction of pairs
adds a term of the order d/k. As G ⪯ H, the same holds relative to H, and each step reduces the
error by that factor. With sampling by sigma alone tau_i/sigma_i would have no bound; with sampling
by tau alone sigma_i/tau_i would have no bound.

With k >= n every row is kept and this is Newton's method.
"""
import numpy as np
import scipy.linalg

from levinv._tolerances import SAMPLES
from levinv._typing import Floats, Integers
from levinv.forward.projection import Projection
from levinv.inverse.barrier_gradient.descend import Solver
from levinv.inverse.barrier_gradient.problem import State


def default_size(d: int) -> int:
    """Rows to sample: for an error √(d log d / k) of about ⅓."""
    return int(np.ceil(SAMPLES * d * np.log(d + 2.0)))


def sampling_direction(size: int, rng: np.random.Generator) -> Solver:
    """Directions from about ``size`` sampled rows, a new sample each time."""
    def direction(state: State) -> tuple[Floats, dict[str, int]]:
        hessian, rows = subsampled_hessian(state, size, rng)
        return state.solve(hessian, -state.gradient), {"rows": rows}

    return direction


def probabilities(state: State, size: int) -> Floats:
    """pi, (n,), of sum ``size``."""
    projection = state.projection
    inverse = scipy.linalg.solve_triangular(state.factor, np.eye(projection.rank), lower=True)
    lengths = projection.quad(inverse.T @ inverse)
    lengths[projection.heavy] = np.sum((projection.heavy_basis @ inverse.T) ** 2, axis=1)
    share = projection.scores * (lengths + 1.0) / (2.0 * projection.rank)
    if size >= len(share):
        return np.ones(len(share))
    chance = size * share
    certain = chance >= 1.0
    while certain.any():           # the others share what the certain rows leave of ``size``
        chance = share * ((size - np.count_nonzero(certain)) / (share[~certain].sum() or 1.0))
        more = (chance >= 1.0) & ~certain
        chance[certain] = 1.0
        if not more.any():
            break
        certain |= more
    return chance


def subsampled_hessian(state: State, size: int, rng: np.random.Generator) -> tuple[Floats, int]:
    """H~, (k, k), from about ``size`` rows, and the number of rows kept."""
    projection = state.projection
    chance = probabilities(state, size)
    kept = np.flatnonzero(rng.random(len(chance)) < chance)
    u = _sampled_basis(projection, kept)
    weight = 1.0 / chance[kept]
    squares = (u @ u.T) ** 2
    np.fill_diagonal(squares, 0.0)
    squares *= np.outer(weight, weight)
    signed = state.signs[kept, None] * u
    # Σ_{i≠l} c_il (u_i - u_l)(u_i - u_l)ᵀ = 2 Uᵀ (diag(c 1) - c) U
    total = weight * projection.scores[kept] + 2.0 * squares.sum(axis=1)
    out = signed.T @ (total[:, None] * signed - 2.0 * (squares @ signed))
    if len(kept) < projection.rank or np.linalg.matrix_rank(signed) < projection.rank:
        out += state.factor @ state.factor.T       # too few rows for full rank: add G
    return 0.5 * (out + out.T), len(kept)


def _sampled_basis(projection: Projection, kept: Integers) -> Floats:
    """Rows ``kept`` of U."""
    u: Floats = projection.scale[kept, None] * (projection.rows.block(kept) @ projection.transform)
    place = np.flatnonzero(np.isin(kept, projection.heavy))
    if len(place):
        u[place] = projection.heavy_basis[np.searchsorted(projection.heavy, kept[place])]
    return u


def spectral_error(approximation: Floats, hessian: Floats) -> float:
    """‖H^-½ (H~ - H) H^-½‖, the factor by which a step multiplies the error; inf where H, far from
    a solution, is singular to rounding.
    """
    try:
        values = scipy.linalg.eigh(approximation - hessian, hessian, eigvals_only=True)
    except np.linalg.LinAlgError:
        return np.inf
    return float(np.max(np.abs(values)))
