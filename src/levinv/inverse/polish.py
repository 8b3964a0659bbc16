"""Stage 4: Levenberg-Marquardt on the whitened residual (sigma(x) - c) / noise.

With noise this is the maximum-likelihood estimate and the stages before are its initialiser; with
exact scores it brings x to the *information limit*, the Cramér-Rao bound of rounding c to double.

Steps are taken in the basis in which the scaled rows are orthonormal, dx = T z: A T z divided by s
is ε∘(U z), so the Jacobian J_z = 2 (Q - diag(sigma)) diag(ε) U has singular values of at most 1
whatever the data (every eigenvalue of the Laplacian is at most max 2 sigma (1 - sigma) <= 1/2).
Directions that leave every score unchanged are known in number from stage 3; as many of the
smallest singular values are left out.
"""
from dataclasses import dataclass

import numpy as np

from levinv.forward.orthonormal import EPS
from levinv.forward.projection import DependentZeroSlackError, project

LARGEST_DAMPING = 1e8
FLAT = 1e-10                  # predicted relative decrease of the squared residual that ends the
                              # iteration
ROUNDING = 1e-11              # max |sigma - c| from which a step that does not help is put down to
                              # rounding
QR_ROWS = 8192


@dataclass(frozen=True)
class Point:
    """x and what is known there."""

    x: np.ndarray                  # (d,)
    slack: np.ndarray              # (n,)
    projection: object
    residual: np.ndarray           # (n,) sigma - c on the active rows, 0 elsewhere
    size: float                    # norm of the whitened residual


@dataclass(frozen=True)
class Linearisation:
    """Singular value decomposition of the whitened Jacobian in z."""

    left: np.ndarray               # (r,) coefficients of the whitened residual
    values: np.ndarray             # (r,) singular values, decreasing, above rounding
    directions: np.ndarray         # (d, r) dx for each unit right singular vector
    flat: np.ndarray               # (d, f) dx of further values that are zero to rounding


@dataclass(frozen=True)
class Polished:
    """The minimiser, the linearisation there and the work it took."""

    point: Point
    linearisation: Linearisation
    iterations: int
    evaluations: int


def polish(reduced, b, x, target, noise, freedom, *, maxiter=50, report=None):
    """Minimise the whitened residual from x.

    Parameters
    ----------
    reduced : Reduced
    b : (n,) array
    x : (d,) array
    target, noise : (n,) arrays
        Scores and their standard deviations, positive on the active rows.
    freedom : int
        Directions to leave out: those of the null space within span(reduced.start).
    maxiter : int
    report : callable, optional
        Called with (iteration, x, max |sigma - c|).

    Returns
    -------
    Polished or None
        None if the scores are not defined at x (dependent rows with zero slack).
    """
    weight = np.where(reduced.active, 1.0 / noise, 0.0)
    point = evaluate(reduced, b, x, target, weight)
    if point is None:
        return None
    model = linearise(reduced, point, weight, freedom)
    evaluations, iteration, damping = 1, 0, 0.0
    while iteration < maxiter and float(model.left @ model.left) > FLAT * point.size ** 2:
        step = model.directions @ (model.values * model.left
                                   / (model.values ** 2 + damping * model.values[0] ** 2))
        trial = evaluate(reduced, b, point.x - step, target, weight)
        evaluations += 1
        if trial is None or trial.size >= point.size:
            if np.max(np.abs(point.residual)) < ROUNDING or damping > LARGEST_DAMPING:
                break
            damping = max(10.0 * damping, 1e-6)
            continue
        point = trial
        model = linearise(reduced, point, weight, freedom)
        damping = 0.0 if damping < 1e-5 else damping / 10.0
        iteration += 1
        if report is not None:
            report(iteration, point.x, float(np.max(np.abs(point.residual))))
    return Polished(point, model, iteration, evaluations)


def evaluate(reduced, b, x, target, weight):
    """The Point at x, or None where the scores or the residual are not defined."""
    if not np.isfinite(x).all():
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        slack = reduced.rows.matvec(x) - b
    if not np.isfinite(slack).all():
        return None
    try:
        projection = project(reduced.rows, np.abs(slack), reduced.start, ~reduced.active)
    except DependentZeroSlackError:
        return None
    residual = np.where(reduced.active, projection.residual(target), 0.0)
    with np.errstate(over="ignore"):
        size = float(np.linalg.norm(residual * weight))
    return Point(x, slack, projection, residual, size) if np.isfinite(size) else None


def linearise(reduced, point, weight, freedom):
    """The whitened Jacobian's singular value decomposition, less the ``freedom`` smallest
    values.
    """
    projection = point.projection
    k = projection.rank
    signed = projection.basis()
    signed[point.slack < 0] *= -1.0
    jacobian = projection.laplacian(signed)
    del signed
    jacobian *= 2.0 * weight[:, None]
    whitened = point.residual * weight
    if len(weight) > 4 * k:
        jacobian, whitened = _triangle(jacobian, whitened)
    u, values, vt = np.linalg.svd(jacobian, full_matrices=False)
    wanted = max(k - freedom, 0)
    kept = int(np.count_nonzero(values[:wanted] > k * EPS * values[:1]))
    directions = projection.unit * (projection.transform @ vt[:wanted].T)
    return Linearisation(u[:, :kept].T @ whitened, values[:kept], directions[:, :kept],
                         directions[:, kept:])


def _triangle(jacobian, whitened):
    """R of [J r] by blocks of rows: all that least squares needs of a long J."""
    k = jacobian.shape[1]
    r = np.zeros((0, k + 1))
    for first in range(0, len(whitened), QR_ROWS):
        chunk = slice(first, first + QR_ROWS)
        block = np.column_stack([jacobian[chunk], whitened[chunk]])
        r = np.linalg.qr(np.vstack([r, block]), mode="r")
    return r[:k, :k], r[:k, k]
