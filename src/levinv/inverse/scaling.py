"""Stage 1: row weights with given leverage scores, a convex problem.

With t = log w, f(t) = log det(Aᵀ diag(eᵗ) A) is convex, its gradient is sigma and its Hessian the graph
Laplacian L = diag(sigma) - Q, Q = P∘P. So the t whose scores are c minimises f(t) - cᵀt: radial isotropic
position with marginals c (Barthe 1998; Artstein-Avidan, Kaplan and Sharir, arXiv 2005.04918; Dadush and
Ramachandran, arXiv 2402.04799). It exists iff c lies in the relative interior of the base polytope:
c(S) <= rank(S) for every set S of rows, with equality exactly for unions of components, and it is unique up to a constant on each
component.

Damped Newton from t = -2 log|a_i| + log(c_i/(1 - c_i)), columns orthonormal. The system L δ = c - sigma is
solved after symmetric scaling by the degrees sigma_i (1 - sigma_i) = sum_{j≠i} P_ij²: directly for a
small number of rows, by conjugate gradients above, a product with L costing one Gram matrix and one
quadratic form per row. A step is shortened until the slope along it, which the gradient gives without
cancellation, is no steeper uphill than it was downhill; as f is convex that bounds its growth and, with the slope still
negative, makes it fall.
"""
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from levinv.forward.projection import project

DIRECT_ROWS = 600             # measured crossover of the direct solver and conjugate gradients
LONGEST_STEP = 4.0            # in any t_i: beyond, the quadratic model says nothing
LATE = 1e-5                   # relative error below which only full steps are taken
MAX_CG = 200


@dataclass(frozen=True)
class Scaling:
    """Slack magnitudes exp(-t/2), each component's scale free, and how they were found."""

    magnitude: np.ndarray        # (n,)
    projection: object           # at these magnitudes
    error: float                 # max |sigma - c| / min(c, 1 - c)
    iterations: int
    products: int                # products with the Laplacian
    converged: bool


def match_scores(rows, start, target, active, label, *, start_log_weight=None, enough=None, maxiter=100, report=None):
    """Find magnitudes whose scores are ``target`` on the active rows.

    Parameters
    ----------
    rows : the rows of A
    start : (d, k) array; A start has orthonormal columns over the active rows
    target : (n,) array, strictly between 0 and 1 on the active rows, summing to its rank on each component
    active : (n,) boolean array
    label : (n,) component of each active row
    start_log_weight : (n,) array, optional
        Where to start from instead.
    enough : callable, optional
        ``enough(residual)`` ends the iteration early: with noise, once the residual is explained.
    maxiter : int
    report : callable, optional
        Called with (iteration, error) after every step.

    Returns
    -------
    Scaling
    """
    n = rows.shape[0]
    left_out = ~active
    share = np.minimum(target, 1.0 - target)
    share[left_out] = 1.0
    if start_log_weight is None:
        t = np.zeros(n)
        t[active] = (np.log(target[active] / (1.0 - target[active]))
                     - np.log(rows.quad(None, start)[active]))
    else:
        t = start_log_weight.copy()

    def evaluate(t):
        centred = t - _component_mean(t, active, label)
        magnitude = np.where(active, np.exp(np.clip(-0.5 * centred, -340.0, 340.0)), 1.0)
        projection = project(rows, magnitude, start, left_out)
        residual = projection.residual(target)
        residual[left_out] = 0.0
        return magnitude, projection, residual, float(np.max(np.abs(residual) / share))

    magnitude, projection, residual, error = evaluate(t)
    products = iteration = 0
    stalled = 0
    while iteration < maxiter and stalled < 1 and not (enough is not None and enough(residual)):
        step, used = _newton_step(projection, residual, active, label, min(0.1, error))
        products += used
        slope = float(residual @ step)
        if not (np.isfinite(slope) and slope < 0.0):
            break
        longest = np.abs(step).max()
        length = 1.0 if error < LATE else min(1.0, LONGEST_STEP / longest)
        while True:
            trial = evaluate(t + length * step)
            trial_slope = float(trial[2] @ step)
            if error < LATE or abs(trial_slope) <= 0.9 * abs(slope) or trial_slope < 0.0 or length < 1e-8:
                break
            length *= min(0.5, max(0.1, slope / (slope - trial_slope)))
        iteration += 1
        if error < LATE and trial[3] >= 0.5 * error:
            stalled += 1
            if trial[3] >= error:
                continue
        t = t + length * step
        magnitude, projection, residual, error = trial
        if report is not None:
            report(iteration, error)
    return Scaling(magnitude, projection, error, iteration, products, error < LATE), t


def _component_mean(t, active, label):
    """The mean of t over each row's component, as an (n,) array."""
    out = np.zeros(len(t))
    groups = label[active]
    sums = np.bincount(groups, weights=t[active])
    out[active] = (sums / np.maximum(np.bincount(groups), 1))[groups]
    return out


def _newton_step(projection, residual, active, label, tolerance):
    """δ with L δ = -residual, and the number of products spent."""
    degree = projection.scores * projection.complement()
    degree[~active] = 0.0
    index = np.flatnonzero(degree > 0)
    step = np.zeros(len(degree))
    if len(index) <= DIRECT_ROWS:
        step[index] = _direct(projection, residual, degree, index, label)
        return step, 0
    step, used = _conjugate_gradients(projection, -residual, degree, label, tolerance)
    return step, used


def _direct(projection, residual, degree, index, label):
    """Cholesky of D^(-1/2) L D^(-1/2) + the projection on its null space."""
    u = projection.basis()[index]
    off = u @ u.T
    place = {row: position for position, row in enumerate(index)}
    inside = [j for j, row in enumerate(projection.heavy) if row in place]
    heavy = np.array([place[projection.heavy[j]] for j in inside], dtype=int)
    off[np.ix_(heavy, heavy)] = projection.heavy_defect[np.ix_(inside, inside)]
    off *= off
    np.fill_diagonal(off, 0.0)
    degree = off.sum(axis=1)                       # the diagonal of a Laplacian: never sigma - sigma²
    degree[degree == 0] = 1.0
    root = np.sqrt(degree)
    off /= -root[:, None] * root
    np.fill_diagonal(off, 1.0)
    for c in np.unique(label[index]):
        member = label[index] == c
        null = np.where(member, root, 0.0)
        null /= np.linalg.norm(null)
        off += null[:, None] * null
    factor = scipy.linalg.cho_factor(off, lower=True, overwrite_a=True, check_finite=False)
    return scipy.linalg.cho_solve(factor, -residual[index] / root, check_finite=False) / root


def _conjugate_gradients(projection, right, degree, label, tolerance):
    """CG on D^(-1/2) L D^(-1/2), kept orthogonal to its null space."""
    root = np.sqrt(degree)
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    groups = np.where(degree > 0, label, label.max(initial=0) + 1)
    null_norm = np.bincount(groups, weights=degree)

    def centred(v):
        along = np.bincount(groups, weights=root * v)
        return v - root * np.divide(along, null_norm, out=np.zeros_like(along), where=null_norm > 0)[groups]

    residual = centred(inverse * right)
    x = np.zeros_like(residual)
    direction = residual.copy()
    size = first = float(residual @ residual)
    used = 0
    while used < MAX_CG and size > tolerance ** 2 * first and size > 0:
        image = -inverse * projection.laplacian(inverse * direction)
        used += 1
        curvature = float(direction @ image)
        if curvature <= 0:
            break
        length = size / curvature
        x += length * direction
        residual = centred(residual - length * image)
        size, previous = float(residual @ residual), size
        direction = residual + (size / previous) * direction
    return inverse * centred(x), used
