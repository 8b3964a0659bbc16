"""Approximate leverage scores of sparse rows with too many columns for dense d x d matrices.

**The estimate.** P = B (BᵀB)⁺ Bᵀ is the projection onto the column space of the scaled rows B, and
σ_i = P_ii. Let s have independent random signs, z = P s and r = s - z. With
ρ_i = sum_{j≠i} P_ij s_j, of mean 0, independent of s_i, and mean square v_i = σ_i (1 - σ_i),

    z_i = σ_i s_i + ρ_i        E z_i² = σ_i        Var z_i² = 2 (σ_i² - Σ_j P_ij⁴) <= 2 σ_i²
    r_i = (1 - σ_i) s_i - ρ_i  E r_i² = 1 - σ_i    Var r_i² <= 2 (1 - σ_i)²

so that for k such vectors the mean a of z_i², and 1 - e, where e is the mean of r_i², both estimate
σ_i. Any weighted mean (1 - w) a + w (1 - e) is unbiased. With t = 1 - 2w it is the mean of
t z² + (1 - t) s z, where s ρ and ρ² are uncorrelated: its variance is
(v_i (1 - t (1 - 2σ_i))² + t² Var ρ_i²) / k, and Var ρ_i² <= 2 v_i². This bound is least at
w = σ_i² / (σ_i² + (1 - σ_i)²), where

    standard error <= √(2/k) σ_i (1 - σ_i) / √(σ_i² + (1 - σ_i)²) <= √(2/k) min(σ_i, 1 - σ_i).

Therefore k = 2/rtol². w is computed from a and e instead of σ_i and 1 - σ_i. The error of w is
multiplied by 1 - a - e, which has mean 0; the product is of the order of 1/k. For small scores w
is 0. Their estimates are distributed no more widely than σ_i χ²_k/k, and
P(|a/σ_i - 1| >= ε) <= 2 exp(-k (ε²/4 - ε³/6)), which holds for signs as well (Achlioptas,
"Database-friendly random projections", 2003). The largest of n errors is about rtol √(2 log n).

**The solver.** Conjugate gradients on min |s - B y|, with columns of B at unit norm, for a block of
signs at once. The iteration keeps r and computes Bᵀr from it anew, so that the condition number
enters only once. The error of z is P r, and |P r| <= η bounds the error of z_i by η √σ_i, which is
relative for rows of any size. With a preconditioner N and ν the least nonzero eigenvalue of N⁻¹BᵀB,

    |P r|² <= rᵀB N⁻¹ Bᵀr / ν.

N is the identity or, if the iteration is slow, a factor of BᵀB + μ, where μ is above the rounding
errors of the factor. The entries of a factor are counted first; it is computed only if they are few
enough. (Sparse rows without a pattern have an almost dense factor, but they are usually well
conditioned.) Both choices share the iteration. Dependent columns do not disturb it, since Bᵀr is
orthogonal to the null space of B. An inexact factor costs a few iterations, not accuracy.

**What is certain.** A small residual does not show directions that B makes very small. The
iteration therefore first runs on known answers: B y for a random y. The component of y in every
direction is random, of variance 1. If the iteration finds y to 0.01 in norm, all directions are
resolved, and the least eigenvalue of the iteration's own tridiagonal matrix is ν. If a part of y is
left, the unscaled rows must map it to zero, up to rounding; then the columns are dependent, and P
does not need this part. If they do not, or if no y is found, the matrix is refused.
"""
import math
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse
from scipy.sparse.linalg import spilu, splu

from levinv import _tolerances
from levinv._kernels import csr
from levinv._parallel import sharing, summed
from levinv._tolerances import EPS, FACTOR_WORK, FEW_ITERATIONS, MANY_ITERATIONS, SIGN_COLUMNS
from levinv._typing import Booleans, Floats, Integers

# Limits of the products in a Gram matrix and the entries of its factor.
PAIRS = FILL = _tolerances.FACTOR_ENTRIES
# Number of known answers. Their components in a direction are normal numbers. The probability that
# all are below PROBE_ERROR is less than √ε.
PROBES = math.ceil(math.log(math.sqrt(EPS), _tolerances.PROBE_ERROR))

# The rows before they were scaled, with columns at unit norm, and a factor for each of the columns.
Unscaled: TypeAlias = tuple[scipy.sparse.csr_array, Floats]


def sketched_scores(A: scipy.sparse.csr_array, scale: Floats | None, rtol: float,
                    rng: np.random.Generator, workers: int | None) -> Floats:
    """Approximate scores (n,) of the rows of diag(scale) A, where the scale (n,) is in [0, 1] and A
    has no explicit zeros. Raises ValueError if the solver is not reliable for this matrix.
    """
    k = int(np.ceil(2.0 / rtol ** 2))
    n = A.shape[0]
    with sharing(workers, 2 * k * FEW_ITERATIONS * A.nnz) as workers:
        B, unscaled = _unit_columns(A, scale)
        if not B.matrix.data.any():
            return np.zeros(n)
        solver = _solver(B, unscaled, rng)
        # four arrays of a block are alive in a thread
        width = min(max(_tolerances.COPY_ENTRIES // (4 * max(B.matrix.shape)), 1), SIGN_COLUMNS)
        width -= width % 8 if width > 8 else 0       # whole cache lines
        seeds = rng.integers(2 ** 64, size=-(-k // width), dtype=np.uint64)

        def squares(block: int) -> Floats:
            count = min(width, k - block * width)
            coins = np.random.default_rng(seeds[block]).integers(2, size=(n, count))
            r = coins.astype(float) * 2.0 - 1.0
            z = solver.project(r, _tolerances.PROBE_ERROR * rtol)
            return np.stack([_dots(z.T, z.T), _dots(r.T, r.T)])

        total = summed(squares, range(len(seeds)), workers, np.zeros((2, n)))
    inside, outside = total / k
    weight = inside ** 2 / (inside ** 2 + outside ** 2)      # z_i + r_i = ±1, not 0 / 0
    scores: Floats = np.clip(inside + weight * (1.0 - inside - outside), 0.0, 1.0)
    return scores


class _Rows:
    """A CSR matrix and its transpose."""

    def __init__(self, matrix: scipy.sparse.csr_array):
        self.matrix, self.transpose = matrix, scipy.sparse.csr_array(matrix.T)


def _product(matrix: scipy.sparse.csr_array, columns: Floats) -> Floats:
    out = np.empty((matrix.shape[0], columns.shape[1]))
    csr.product(matrix.data, matrix.indices, matrix.indptr, None, False, columns, out)
    return out


def _dots(x: Floats, y: Floats) -> Floats:
    dots: Floats = np.einsum("ij,ij->j", x, y)
    return dots


def _unit_columns(A: scipy.sparse.csr_array, scale: Floats | None) -> tuple[_Rows, Unscaled]:
    """diag(scale) A with columns at unit norm, and the unscaled rows of positive scale.

    The latter have columns at unit norm as well. Their factors, the least of which is 1, convert
    coordinates of the former to those of the latter. Columns of zeros remain zero.
    """
    d = A.shape[1]
    counts = np.diff(A.indptr)
    kept = np.ones(A.shape[0], dtype=bool) if scale is None else scale > 0
    entries = np.repeat(kept, counts)
    data, _ = _normalised(np.where(entries, A.data, 0.0), A.indices, d)
    unscaled = scipy.sparse.csr_array((data, A.indices, A.indptr), shape=A.shape)
    if scale is None:
        return _Rows(unscaled), (unscaled, np.ones(d))
    scaled, norms = _normalised(data * np.repeat(scale, counts), A.indices, d)
    B = scipy.sparse.csr_array((scaled, A.indices, A.indptr), shape=A.shape)
    largest = norms.max(initial=0.0)
    return _Rows(B), (unscaled, largest / np.where(norms > 0, norms, np.inf))


def _normalised(data: Floats, indices: npt.NDArray[Any], d: int) -> tuple[Floats, Floats]:
    """Entries divided by the norms of their columns, and these norms."""
    largest = np.zeros(d)
    csr.column_max(data, indices, largest)
    data = data / np.where(largest > 0, largest, 1.0)[indices]
    norms = np.sqrt(np.bincount(indices, data ** 2, d))
    return data / np.where(norms > 0, norms, 1.0)[indices], largest * norms


class _Solver:
    """Projections onto the range of B; ``solve``: N⁻¹, of norm ``norm``; None: the identity."""

    least: float                      # least nonzero eigenvalue of N⁻¹BᵀB; ``probe`` sets it
    iterations: int                   # iterations of ``probe``
    dependent: bool                   # whether columns are dependent; :func:`_solver` sets it

    def __init__(self, B: _Rows, solve: Callable[[Floats], Floats] | None = None,
                 norm: float = 1.0):
        self.B = B
        self.solve = solve
        self.norm = norm

    def _descend(self, r: Floats, moved: Floats, along_rows: bool,
                 done: Callable[[Floats], Booleans], limit: int,
                 steps: list[tuple[Floats, Floats]] | None = None) -> bool:
        """Reduce r to its part orthogonal to the columns of B, r - B y, in place.

        With ``along_rows`` the array ``moved`` has the shape of r, and B y is added to it;
        otherwise it has the shape of y, which is subtracted from it. ``done(γ)`` says which columns
        are finished, γ = rᵀB N⁻¹ Bᵀr. ``steps`` receives pairs of step lengths and ratios. Returns
        whether all columns were finished within ``limit`` iterations.
        """
        g = _product(self.B.transpose, r)
        p = g if self.solve is None else self.solve(g)
        gamma = _dots(g, p)
        for _ in range(limit + 1):
            finished = done(gamma)
            if finished.all():
                return True
            if not (gamma >= 0).all():     # NaN, or a factor that is not positive definite
                return False
            q = _product(self.B.matrix, p)
            length = _dots(q, q)
            alpha = np.divide(gamma, length, out=np.zeros_like(gamma),
                              where=~finished & (length > 0))
            if along_rows:
                moved += alpha * q
            else:
                moved -= alpha * p
            r -= np.multiply(q, alpha, out=q)
            g = _product(self.B.transpose, r)
            h = g if self.solve is None else self.solve(g)
            following = _dots(g, h)
            beta = np.divide(following, gamma, out=np.zeros_like(gamma), where=gamma > 0)
            p = h + beta * p
            gamma = following
            if steps is not None:
                steps.append((alpha, beta))
        return False

    def probe(self, known: Floats, limit: int) -> Floats | None:
        """Solve for known answers (d, m). Returns their remaining errors, or None on failure."""
        left = known.copy()
        steps: list[tuple[Floats, Floats]] = []
        r = _product(self.B.matrix, left)
        floor = (_tolerances.FEW_ROUNDINGS * _tolerances.LEAST_SINGULAR_VALUE) ** 2 * self.norm

        def done(gamma: Floats) -> Booleans:
            return (_dots(left, left) <= _tolerances.PROBE_ERROR ** 2) | (np.abs(gamma) <= floor)

        if not self._descend(r, left, False, done, limit, steps):
            return None
        self.least = min((_least_eigenvalue(alpha, beta) for alpha, beta in
                          np.array(steps).reshape(-1, 2, known.shape[1]).transpose(2, 1, 0)),
                         default=1.0)
        self.iterations = len(steps)
        return left if self.least > 0 else None

    def project(self, r: Floats, tolerance: float) -> Floats:
        """P r for the columns of r, which is overwritten by r - P r."""
        z = np.zeros_like(r)
        enough = tolerance ** 2 * self.least / 4     # ``least`` is an upper estimate
        if not self._descend(r, z, True, lambda gamma: np.abs(gamma) <= enough,
                             2 * self.iterations + FEW_ITERATIONS):
            raise ValueError(_REFUSED + f"the iteration did not converge within "
                             f"{2 * self.iterations + FEW_ITERATIONS} steps")
        return z


def _least_eigenvalue(alpha: Floats, beta: Floats) -> float:
    """The least eigenvalue of an iteration's tridiagonal matrix; 0 if below its rounding error."""
    stopped = np.flatnonzero(alpha == 0)
    m = stopped[0] if len(stopped) else len(alpha)
    if m == 0:
        return 1.0
    diagonal = 1.0 / alpha[:m]
    diagonal[1:] += beta[:m - 1] / alpha[:m - 1]
    beside = np.sqrt(beta[:m - 1]) / alpha[:m - 1]
    least, largest = (scipy.linalg.eigvalsh_tridiagonal(
        diagonal, beside, select="i", select_range=(i, i))[0] for i in (0, m - 1))
    return least if least > m * EPS * largest else 0.0


_REFUSED = "A has no reliable scores by method='sketch': "


def _solver(B: _Rows, unscaled: Unscaled, rng: np.random.Generator) -> _Solver:
    """A solver that has found known answers."""
    known = rng.standard_normal((B.matrix.shape[1], PROBES))
    known[~_product(abs(B.transpose), np.ones((B.matrix.shape[0], 1))).any(axis=1)] = 0.0
    solver = _Solver(B)
    left, why = solver.probe(known, FEW_ITERATIONS), ""
    if left is None:
        factored, why = _factored(B)
        if factored is not None:
            solver, left = factored, factored.probe(known, FEW_ITERATIONS)
            why = "they are too ill-conditioned for a factor of the Gram matrix, too"
    if left is None:
        solver = _Solver(B)
        left = solver.probe(known, MANY_ITERATIONS)
    if left is None:
        raise ValueError(_REFUSED + f"its scaled columns are so ill-conditioned that "
                         f"{MANY_ITERATIONS} iterations do not find a known answer again, and "
                         f"{why}")
    squared = _tolerances.LEAST_SINGULAR_VALUE ** 2
    if solver.solve is not None:      # with N = BᵀB + μ, a singular value ς becomes ς² / (ς² + μ)
        squared *= solver.norm / (1.0 + squared * solver.norm)
    if solver.least < squared:
        raise ValueError(_REFUSED + f"its columns, of unit norm, have a singular value that is "
                         f"not 0, but below {_tolerances.LEAST_SINGULAR_VALUE:.0e}")
    solver.dependent = bool((_dots(left, left) > _tolerances.PROBE_ERROR ** 2).any())
    _check_dependent(left, unscaled, rng)
    return solver


def _check_dependent(left: Floats, unscaled: Unscaled, rng: np.random.Generator) -> None:
    """Refuse the matrix unless A, the unscaled rows, maps the errors of known answers to zero.

    Their component in each direction is random, of variance 1. The factors to the coordinates of A
    are at least 1. A unit direction that is orthogonal to the null space of A in the coordinates of
    B therefore has at least the distance 1 from it in those of A. Its image is at least the least
    nonzero singular value of A times its component.
    """
    A, factors = unscaled
    left = left[:, _dots(left, left) > _tolerances.PROBE_ERROR ** 2]
    if not left.shape[1]:
        return
    image = _product(A, np.ascontiguousarray(factors[:, None] * left))
    size = np.sqrt(_dots(image, image).mean())
    zero = max(max(A.shape) * EPS, _tolerances.FEW_ROUNDINGS) / 4
    if size <= zero:
        return
    # These are rounding errors times the factors, or a nonzero image: the probes of A decide.
    if (size <= _tolerances.PROBE_ERROR * _tolerances.LEAST_SINGULAR_VALUE and (factors > 1.0).any()
            and _solver(_Rows(A), (A, np.ones(A.shape[1])), rng).dependent):
        return
    raise ValueError(
        _REFUSED + f"its columns, of unit norm, are dependent to within {size:.1e}, or become so "
        f"when rows are scaled by slack or weights; only dependence to within {zero:.1e}, in A "
        f"itself, can be told")


def _factored(B: _Rows) -> tuple[_Solver | None, str]:
    """A solver with the factor of BᵀB + μ, or None and the reason."""
    counts = np.diff(B.matrix.indptr).astype(np.int64)
    if (counts ** 2).sum() > PAIRS:
        return None, (f"its Gram matrix, a sum of {(counts ** 2).sum()} products, is not sparse "
                      f"enough to be factored")
    gram = scipy.sparse.csc_array(B.transpose @ B.matrix)
    shift = _tolerances.FEW_ROUNDINGS * np.abs(gram).sum(axis=0).max()
    shifted = scipy.sparse.csc_array(gram + shift * scipy.sparse.eye_array(gram.shape[0]))
    order, reason = _order(shifted)
    if order is None:
        return None, reason
    try:
        factor = splu(_permuted(shifted, order), permc_spec="NATURAL", diag_pivot_thresh=0.0,
                      options={"SymmetricMode": True})
    except RuntimeError as error:
        return None, f"the factor of the Gram matrix fails: {error}"

    def solve(g: Floats) -> Floats:
        out = np.empty_like(g)
        out[order] = factor.solve(g[order])
        return out

    return _Solver(B, solve, 1.0 / shift), ""


def _order(matrix: scipy.sparse.csc_array) -> tuple[Integers | None, str]:
    """The order of elimination with fewer operations, or None and the reason.

    Minimum degree is better for factors with few entries, but very slow if there are many. COLAMD
    is therefore tried first. SciPy computes these orders within factorisations only; the
    factorisation here drops all entries off the diagonal.
    """
    d = matrix.shape[0]
    dominant = matrix.copy()
    dominant.data[:] = 1.0 / (d + 1)
    dominant = scipy.sparse.csc_array(dominant + scipy.sparse.eye_array(d))
    found = []
    for name in ("COLAMD", "MMD_AT_PLUS_A"):
        order = np.argsort(spilu(dominant, drop_tol=1.0, fill_factor=1.0, permc_spec=name,
                                 diag_pivot_thresh=0.0, options={"SymmetricMode": True}).perm_c)
        trial = _permuted(matrix, order)
        counts = np.empty(d, dtype=np.int64)
        entries = csr.fill(trial.indices, trial.indptr, FILL, np.empty_like(counts),
                           np.empty_like(counts), counts)
        if entries > FILL:
            return None, f"the factor of the Gram matrix would have more than {FILL} entries"
        operations = float((counts.astype(float) ** 2).sum())
        if operations > FACTOR_WORK:
            return None, f"the factor of the Gram matrix would take {operations:.0e} operations"
        found.append((operations, order))
    return min(found, key=operator.itemgetter(0))[1], ""


def _permuted(matrix: scipy.sparse.csc_array, order: Integers) -> scipy.sparse.csc_array:
    return scipy.sparse.csc_array(matrix[order][:, order])
