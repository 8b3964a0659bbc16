"""Scores of the best approximation of rank k: squared row norms of left singular vectors.

With B = Σ s_l u_l v_lᵀ, s_1 >= s_2 >= ..., the best approximation of rank k has the column space of
u_1, ..., u_k. They are B v_l / s_l, so that T = (v_1/s_1, ..., v_k/s_k) gives σ_i = |b_i T|².
The units of the columns matter here, unlike in other scores.

* *Gram matrix*: v_l and s_l² are its eigenvectors and eigenvalues. Rounding mixes v_k and v_{k+1}
  by ε s_1² / (s_k² - s_{k+1}²).
* *QR*: B is factored first, block by block, and v_l and s_l are those of its triangle. Rounding
  mixes by ε s_1 / (s_k - s_{k+1}).
* *Wide*: the singular vectors of B itself, if it has fewer rows than columns and may be copied.

If s_k = s_{k+1}, any k vectors of a larger space are as good: there is no score of rank k.
"""
import numpy as np
import scipy.linalg

from levinv._parallel import aside
from levinv._tolerances import EPS, ONE_PASS_CONDITION, SAFE_SIZE, TIED_SINGULAR_VALUES
from levinv._typing import Floats
from levinv.forward import basis
from levinv.storage import Rows


def best_rank_scores(rows: Rows, scale: Floats | None, rank: int,
                     method: str) -> tuple[Floats, str]:
    """Scores (n,) of the best approximation of this rank, and the doubt (see :class:`Basis`)."""
    n, d = rows.shape
    if rank > min(n, d):
        raise ValueError(f"rank must be at most {min(n, d)} for A of shape {(n, d)}, got {rank}")
    largest = rows.column_max().max()
    if largest > 0 and not SAFE_SIZE ** -1 < largest < SAFE_SIZE:     # squares may leave the range
        rows = rows.with_columns_times(np.full(d, basis.column_units(largest)))    # ratios stay
    doubt = ""
    if n < d and n * d <= rows.copy_limit and method != "cholesky":
        matrix = rows.scaled(np.ones(n) if scale is None else scale)
        u, values, _ = aside(lambda: scipy.linalg.svd(matrix, full_matrices=False,
                                                      check_finite=False), 8 * n * n * d)
        _check_gap(values, rank, max(n, d))
        scores: Floats = np.einsum("ij,ij->i", u[:, :rank], u[:, :rank])
        return np.minimum(scores, 1.0), ""
    values, right = np.zeros(0), np.zeros((0, 0))
    if method != "qr":
        values, right = _by_gram(rows.gram(scale))
        below = values[rank] if rank < d else 0.0
        mixing = values[0] ** 2 / max(values[rank - 1] ** 2 - below ** 2, EPS ** 2 * values[0] ** 2)
        if mixing > ONE_PASS_CONDITION ** 2:
            doubt = f"singular values {rank} and {rank + 1} are too close, or too small"
    if method == "qr" or (doubt and method == "auto"):
        values, right = _by_triangle(rows.triangle(scale))
        doubt = ""
    _check_gap(values, rank, max(n, d))
    scores = rows.quad(scale, np.ascontiguousarray(right[:, :rank] / values[:rank]))
    return np.minimum(scores, 1.0, out=scores), doubt


def _by_gram(gram: Floats) -> tuple[Floats, Floats]:
    """Singular values, largest first, and right singular vectors from a Gram matrix."""
    squares, vectors = aside(lambda: scipy.linalg.eigh(gram, check_finite=False),
                             10 * len(gram) ** 3)
    return np.sqrt(np.maximum(squares[::-1], 0.0)), vectors[:, ::-1]


def _by_triangle(triangle: Floats) -> tuple[Floats, Floats]:
    """The same from the triangle of a QR factorisation."""
    _, values, right = aside(lambda: scipy.linalg.svd(triangle, full_matrices=False,
                                                      check_finite=False),
                             20 * triangle.size * triangle.shape[1])
    return values, right.T


def _check_gap(values: Floats, rank: int, longer: int) -> None:
    """Refuse a rank beyond that of B, and one at which singular values are tied."""
    below = values[rank] if rank < len(values) else 0.0
    if values[rank - 1] <= longer * EPS * values[0]:
        full = int(np.count_nonzero(values > longer * EPS * values[0]))
        raise ValueError(f"rank must be at most the rank of the scaled rows, {full}, got {rank}")
    if values[rank - 1] - below <= TIED_SINGULAR_VALUES * values[0]:
        raise ValueError(f"rank must not separate equal singular values, between which the best "
                         f"approximation is not unique, got {rank}: singular values {rank} and "
                         f"{rank + 1} are {values[rank - 1]:.6g} and {below:.6g} (largest: "
                         f"{values[0]:.6g})")
