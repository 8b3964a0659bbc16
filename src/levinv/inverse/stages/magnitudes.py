"""Stage 1: row weights with given leverage scores, a convex problem.

With t = log w, f(t) = log det(Aᵀ diag(eᵗ) A) is convex, its gradient is sigma and its Hessian the
graph Laplacian L = diag(sigma) - Q, Q = P∘P. So the t whose scores are c minimises f(t) - cᵀt:
radial isotropic position with marginals c (Barthe 1998; Artstein-Avidan, Kaplan and Sharir, arXiv
2005.04918; Dadush and Ramachandran, arXiv 2402.04799). It exists iff c lies in the relative
interior of the base polytope: c(S) <= rank(S) for every set S of rows, with equality exactly for
unions of components, and it is unique up to a constant on each component.

Damped Newton from t = -2 log|a_i| + log(c_i/(1 - c_i)), columns orthonormal. Far from the solution
a few sweeps t <- t + log(c/sigma) come first: Tyler's fixed-point iteration, which always decreases
f - cᵀt. The Newton system L δ = c - sigma is solved after symmetric scaling by the degrees sigma_i
(1 - sigma_i) = sum_{j≠i} P_ij²: directly for a small number of rows, by conjugate gradients above,
a product with L costing one Gram matrix and one quadratic form per row. Where weights leave parts
of A almost disconnected, L is almost singular and the step is damped (L + λ D), so that one part's
shift does not hold up the others. A step is shortened until the slope along it, which the gradient
gives without cancellation, is no steeper uphill than it was downhill; as f is convex that bounds
its growth and, with the slope still negative, makes it fall.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from levinv._parallel import aside
from levinv._tolerances import EPS
from levinv._typing import Booleans, Floats, Integers
from levinv._validate import listed
from levinv.forward.projection import Projection, project, rough_projection
from levinv.inverse.stages.components import Labels
from levinv.storage import Rows

DIRECT_ROWS = 128             # up to max(this, DIRECT_PER_RANK k) rows the Laplacian is factored:
DIRECT_PER_RANK = 8           # measured crossover with conjugate gradients
                              # (benchmarks/benchmarks/inversion.py)
LARGEST_DIRECT = 4000
LONGEST_STEP = 4.0            # in any t_i: beyond, the quadratic model says nothing
SHORTEST_STEP = 1e-8          # as a part of the longest
DAMPING = 1e-10, 1.0          # range, in units of the degrees; below it none
DAMPING_SEEN = 1e-2           # least that a few conjugate gradients notice; a trial costs a solve
FAR = 2.0                     # relative error above which sweeps precede Newton
MAX_SWEEPS = 20
LEAST_SCORE = 1e-250          # in a sweep: smaller ones are rounding
LATE = 1e-5                   # relative error below which only full steps are taken
ROUGH = 1e-3                  # accuracy wanted from which the last digits of 1 - sigma do not count
AT_ROUNDING = 1e-9            # relative error from which a step that does not halve it is the last
MAX_STALLED = 5
MAX_CG = 200
CERTIFY_EVERY = 10            # iterations between looks for a proof that there is no solution
LEVEL_SETS = 32
BALANCED_RANK = 10.0          # singular value that is zero, in units of d ε
TINY, ENLARGED = 1e-290, 2.0 ** 900      # columns of smaller entries are multiplied by this
TIGHT = 1e-13                 # c(S) closer to rank(S) than this is equal to it


@dataclass(frozen=True)
class Scaling:
    """Slack magnitudes exp(-t/2), each component's scale free, and how they were found."""

    log_weight: Floats           # (n,) t, mean 0 on each component unless asked otherwise
    projection: Projection       # at these magnitudes
    error: float                 # max |sigma - c| / min(c, 1 - c)
    iterations: int
    evaluations: int
    products: int                # products with the Laplacian
    obstacle: Obstacle | None    # that proves that there is no solution

    @property
    def magnitude(self) -> Floats:
        """exp(-t/2), (n,)."""
        magnitude: Floats = np.exp(-0.5 * self.log_weight)
        return magnitude


@dataclass(frozen=True)
class Obstacle:
    """A set S of rows with c(S) >= rank(S) that is no union of components."""

    index: Integers
    total: float                 # c(S)
    rank: int

    def __str__(self) -> str:
        return (f"{len(self.index)} rows ({listed(self.index)}) have scores that sum to "
                f"{self.total:.10g}, but rank {self.rank}")


def match_scores(rows: Rows, start: Floats, target: Floats, active: Booleans, label: Labels, *,
                 plain: bool = False, log_weight: Floats | None = None,
                 log_size: Floats | None = None, accuracy: float = 0.0,
                 enough: Callable[[Floats], bool] | None = None, maxiter: int = 100,
                 report: Callable[[int, float], None] | None = None) -> Scaling:
    """Find magnitudes whose scores are ``target`` on the active rows.

    Parameters
    ----------
    rows : the rows of A
    start : (d, k) array; A start has orthonormal columns over the active rows
    target : (n,) array, strictly between 0 and 1 on the active rows, summing to its rank on each
        component
    active : (n,) boolean array
    label : (n,) component of each active row
    plain : bool
        Whether A's own columns will do as well as those of A start.
    log_weight : (n,) array, optional
        t to start from.
    log_size : (n,) array, optional
        t + log_size instead of t is given the mean 0 on each component.
    accuracy : float
        The ``error`` at which the iteration ends; 0: where rounding ends it.
    enough : callable, optional
        ``enough(residual)`` ends the iteration early: with noise, once the residual is explained.
    maxiter : int
    report : callable, optional
        Called with (iteration, max |sigma - c|) after every step.

    Returns
    -------
    Scaling
        The best found; its ``error`` tells how good, its ``obstacle`` why not better.
    """
    if log_weight is None:
        log_weight = np.zeros(rows.shape[0])
        log_weight[active] = (np.log(target[active] / (1.0 - target[active]))
                              - np.log(rows.quad(None, start)[active]))
    left_out = None if active.all() else ~active
    projector = rough_projection if accuracy >= ROUGH else project
    evaluations = 0

    def evaluate(t: Floats) -> _State:
        nonlocal evaluations
        evaluations += 1
        size = t if log_size is None else t + log_size
        t = np.clip(t - component_mean(size, active, label), -600.0, 600.0)
        projection = projector(rows, np.exp(-0.5 * t), None if plain else start, left_out)
        residual = np.where(active, projection.residual(target), 0.0)
        share = np.where(active, np.minimum(target, 1.0 - target), 1.0)
        np.divide(np.abs(residual), share, out=share)
        return _State(t, projection, residual, float(share.max()))

    state = evaluate(log_weight)
    del log_weight
    products = iteration = stalled = 0
    damping, obstacle = 0.0, None
    while (iteration < maxiter and state.error > accuracy
           and not (enough is not None and enough(state.residual))):
        late = state.error < LATE and not stalled
        if state.error > FAR and iteration < MAX_SWEEPS:
            ratio = (np.where(active, target, 1.0)
                     / np.maximum(np.where(active, state.projection.scores, 1.0), LEAST_SCORE))
            trial: _State | None = evaluate(state.t + np.log(ratio))
        else:
            step, damping, used = _newton_step(state, active, label, damping)
            products += used
            slope = float(state.residual @ step)
            full = late and np.abs(step).max() <= 1.0
            trial = _along(evaluate, state.t, step, slope, full) if slope < 0.0 else None
        if trial is None:
            break
        iteration += 1
        stagnant = state.error < LATE and trial.error >= 0.5 * state.error
        if not stagnant or trial.error < state.error:
            state = trial
        if report is not None:
            report(iteration, float(np.max(np.abs(state.residual))))
        stalled = stalled + 1 if stagnant else 0
        if stagnant and (state.error < AT_ROUNDING or stalled >= MAX_STALLED):
            break
        if enough is None and iteration % CERTIFY_EVERY == 0 and state.error > LATE:
            obstacle = find_obstacle(rows, start, target, active, label, state.t, -LATE)
            if obstacle is not None:
                break
    return Scaling(state.t, state.projection, state.error, iteration,
                   evaluations, products, obstacle)


@dataclass(frozen=True)
class _State:
    t: Floats
    projection: Projection
    residual: Floats
    error: float


def _along(evaluate: Callable[[Floats], _State], t: Floats, step: Floats, slope: float,
           full: bool) -> _State | None:
    """The state after a step that is short enough, or None if there is none."""
    length = longest = 1.0 if full else min(1.0, LONGEST_STEP / np.abs(step).max())
    while length > SHORTEST_STEP * longest:
        trial = evaluate(t + length * step)
        trial_slope = float(trial.residual @ step)
        if full or trial_slope <= 0.9 * abs(slope):
            return trial
        length *= min(0.5, max(0.1, slope / (slope - trial_slope)))
    return None


def find_obstacle(rows: Rows, start: Floats, target: Floats, active: Booleans, label: Labels,
                  t: Floats, margin: float) -> Obstacle | None:
    """A set of rows whose scores sum to more than its rank less ``margin``, or None.

    Outside the base polytope t diverges, and its upper level sets tend to the violated sets: those
    at the widest gaps of t are tried.
    """
    index = np.flatnonzero(active)
    order = index[np.argsort(-t[index], kind="stable")]
    gaps = t[order[:-1]] - t[order[1:]]
    lengths = np.sqrt(rows.quad(None, start))
    worst = None
    for cut in np.argsort(-gaps, kind="stable")[:LEVEL_SETS]:
        chosen = order[:cut + 1]
        total = float(target[chosen].sum())
        if (worst is not None and total - len(chosen) <= worst.total - worst.rank
            and len(chosen) < start.shape[1]):
            continue
        scale = np.zeros(len(t))
        scale[chosen] = 1.0 / lengths[chosen]
        if len(chosen) <= 4 * start.shape[1]:
            rank = np.linalg.matrix_rank((rows.block(chosen) @ start) * scale[chosen, None])
        else:
            rank = np.linalg.matrix_rank(rows.gram(scale, start), hermitian=True)
        # a set of full rank lacks only the scores of the others, however small
        whole = np.isin(label[index], np.unique(label[chosen])).sum() == len(chosen)

        def beyond(rank: int, total: float = total, whole: bool = whole) -> bool:
            return (total > rank + abs(margin) if whole or rank == start.shape[1]
                    else total > rank - margin)

        if beyond(rank):
            rank = max(rank, _rank_beside(rows, chosen, np.flatnonzero(~active)))
        if beyond(rank) and (worst is None or total - rank > worst.total - worst.rank):
            worst = Obstacle(np.sort(chosen), total, int(rank))
    return worst


def _rank_beside(rows: Rows, chosen: Integers, others: Integers) -> int:
    """Rank of the chosen rows in the quotient by the others, rows and columns brought to one size:
    entries change by rounding of each, so that columns far smaller than others count, too.
    """
    return (_balanced_rank(rows, np.append(chosen, others))
            - (_balanced_rank(rows, others) if len(others) else 0))


def _balanced_rank(rows: Rows, index: Integers) -> int:
    part = rows.part(index)
    part = part.with_columns_times(np.where(part.column_max() < TINY, ENLARGED, 1.0))
    columns = part.column_max()
    transform = np.diag(1.0 / np.where(columns > 0, columns, 1.0))
    lengths = np.sqrt(part.quad(None, transform))
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    triangle = part.triangle(scale, transform)
    return int(np.linalg.matrix_rank(triangle, rtol=BALANCED_RANK * max(triangle.shape) * EPS))


def component_mean(t: Floats, active: Booleans, label: Labels) -> Floats | float:
    """The mean of t over each row's component, as an (n,) array or a number."""
    if not label.any():                              # all rows, one component
        return float(t.mean())
    out = np.zeros(len(t))
    groups = label[active]
    sums = np.bincount(groups, weights=t[active])
    out[active] = (sums / np.maximum(np.bincount(groups), 1))[groups]
    return out


def _newton_step(state: _State, active: Booleans, label: Labels,
                 damping: float) -> tuple[Floats, float, int]:
    """δ with (L + damping D) δ = -residual, not much longer than allowed; the damping; products
    spent.
    """
    projection = state.projection
    used = 0
    damping = damping / 10.0 if damping > DAMPING[0] else 0.0
    matrix = None
    most = min(LARGEST_DIRECT, max(DIRECT_ROWS, DIRECT_PER_RANK * projection.rank))
    if np.count_nonzero(active) <= most:
        index = np.flatnonzero(_degrees(state, active))
        matrix, root = _scaled_laplacian(projection, index, label)
    while True:
        if matrix is None:
            step, more = _conjugate_gradients(state, active, label, damping)
            used += more
        else:
            step = np.zeros(len(active))
            try:
                step[index] = _direct(matrix, root, state.residual[index], damping)
            except np.linalg.LinAlgError:    # singular to rounding: parts of A almost disconnected
                step[:] = np.inf
        if max(step.max(), -step.min()) <= 2.0 * LONGEST_STEP or damping >= DAMPING[1]:
            step[~np.isfinite(step)] = 0.0
            return step, damping, used
        if matrix is None:
            damping = min(max(100.0 * damping, DAMPING_SEEN), DAMPING[1])
        else:
            damping = max(10.0 * damping, DAMPING[0])


def _scaled_laplacian(projection: Projection, index: Integers,
                      label: Labels) -> tuple[Floats, Floats]:
    """D^(-1/2) L D^(-1/2) + the projection on its null space, with D the degrees; and D^(1/2)."""
    u = projection.basis()[index]
    matrix = u @ u.T
    place = {row: position for position, row in enumerate(index)}
    inside = [j for j, row in enumerate(projection.heavy) if row in place]
    heavy = np.array([place[projection.heavy[j]] for j in inside], dtype=int)
    matrix[np.ix_(heavy, heavy)] = projection.heavy_defect[np.ix_(inside, inside)]
    matrix *= matrix
    np.fill_diagonal(matrix, 0.0)
    degree = matrix.sum(axis=1)    # the diagonal of a Laplacian: never sigma - sigma²
    degree[degree == 0] = 1.0
    root = np.sqrt(degree)
    matrix /= -root[:, None] * root
    np.fill_diagonal(matrix, 1.0)
    for c in np.unique(label[index]):
        null = np.where(label[index] == c, root, 0.0)
        null /= np.linalg.norm(null)
        matrix += null[:, None] * null
    return matrix, root


def _direct(matrix: Floats, root: Floats, residual: Floats, damping: float) -> Floats:
    """The damped step from a Cholesky factor."""
    shifted = matrix.copy()
    shifted[np.diag_indices_from(shifted)] += damping
    factor = aside(lambda: scipy.linalg.cho_factor(shifted, lower=True, overwrite_a=True,
                                                   check_finite=False), len(shifted) ** 3)
    step: Floats = scipy.linalg.cho_solve(factor, -residual / root, check_finite=False) / root
    return step


def _degrees(state: _State, active: Booleans) -> Floats:
    """sigma_i (1 - sigma_i), 0 in rows that take no part."""
    degree = state.projection.complement()
    degree *= state.projection.scores
    degree[~active] = 0.0
    return degree


def _conjugate_gradients(state: _State, active: Booleans, label: Labels,
                         damping: float) -> tuple[Floats, int]:
    """The damped step by CG on D^(-1/2) L D^(-1/2), kept orthogonal to its null space; and the
    products spent.
    """
    degree = _degrees(state, active)
    only = 0 == label.max(initial=0) and degree.all()          # one component, every row in it
    groups = None if only else np.where(degree > 0, label, label.max(initial=0) + 1)
    null_norm = float(degree.sum()) if groups is None else np.bincount(groups, weights=degree)
    root = np.sqrt(degree, out=degree)
    taking_part = True if groups is None else root > 0
    scratch = np.empty_like(root)

    def centre(v: Floats) -> None:
        """v less its part in the null space, in place."""
        if groups is None:
            v -= np.multiply(root, float(root @ v) / null_norm, out=scratch)
            return
        along = np.bincount(groups, weights=np.multiply(root, v, out=scratch))
        along = np.divide(along, null_norm, out=np.zeros_like(along), where=null_norm > 0)
        v -= np.multiply(root, along[groups], out=scratch)

    def whitened(v: Floats) -> Floats:
        """D^(-1/2) v in place, 0 in rows that take no part."""
        np.divide(v, root, out=v, where=taking_part)
        if groups is not None:
            v[~taking_part] = 0.0
        return v

    residual = whitened(-state.residual)
    centre(residual)
    x = np.zeros_like(residual)
    direction = residual.copy()
    size = first = float(residual @ residual)
    tolerance = min(0.1, state.error)
    used = 0
    while used < MAX_CG and size > tolerance ** 2 * first and size > 0:
        np.copyto(scratch, direction)
        image = state.projection.laplacian(whitened(scratch))
        np.negative(image, out=image)
        whitened(image)
        if damping:
            image += np.multiply(direction, damping, out=scratch)
        used += 1
        curvature = float(direction @ image)
        if curvature <= 0:
            break
        length = size / curvature
        x += np.multiply(direction, length, out=scratch)
        image *= length
        residual -= image
        centre(residual)
        size, previous = float(residual @ residual), size
        direction *= size / previous
        direction += residual
        del image
    centre(x)
    return whitened(x), used


def log_weight_deviation(projection: Projection, active: Booleans, label: Labels,
                         noise: Floats) -> Floats:
    """Standard deviations of t for independent errors of the scores: δt = L⁺ δc, by an n x n
    inverse.

    (n,), 0 outside the active rows.
    """
    degree = projection.scores * projection.complement()
    index = np.flatnonzero(active & (degree > 0))
    matrix, root = _scaled_laplacian(projection, index, label)
    inverse = np.linalg.pinv(matrix, hermitian=True)
    for c in np.unique(label[index]):
        null = np.where(label[index] == c, root, 0.0)
        null /= np.linalg.norm(null)
        inverse -= null[:, None] * null
    spread = np.zeros(len(degree))
    spread[index] = np.linalg.norm(inverse * (noise[index] / root), axis=1) / root
    return spread
