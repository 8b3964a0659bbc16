"""Minimising the objective of 2408.11267 (levinv.forward.gradient_loss) inside one sign cell.

    L(x) = ½ |r|² + ½ |diag(rho) A x|²,   r = ∇V(x) - g,   H = ∇²V(x).

Both terms are sums of squares. With the QR factorisation [H; K] = W R, KᵀK = Aᵀ diag(rho²) A, the
Gauss-Newton metric is RᵀR and in y = R dx

    gradient  Wᵀ [r; K x],      Hessian  I + R⁻ᵀ C R⁻¹,

C the third derivative of V contracted with r, which vanishes with r. The step is Newton's with the
exact Hessian, the moduli of its eigenvalues taken (from CURVED upwards): always a descent
direction, Newton's own where L is convex. It is shortened to stay in the cell, on whose boundary L
is inf, and until L decreases (Armijo). Without a ridge every stationary point solves r = 0, since H
is positive definite; with one, L may have several.

Reference: Nocedal and Wright, Numerical Optimization (2006), section 3.4 (modified Newton), chapter
10 (Gauss-Newton).
"""
from __future__ import annotations

import numpy as np
import scipy.linalg

from levinv._typing import Floats
from levinv.forward.gradient_loss import GradientLossPoint
from levinv.inverse.barrier_gradient.feasibility import boundary
from levinv.inverse.barrier_gradient.newton import INSIDE, SUSPECT_STEPS, Descent, State, evaluate
from levinv.inverse.barrier_gradient.problem import Task

ARMIJO = 1e-4
CURVED = 1e-3                 # least modulus of an eigenvalue, in the Gauss-Newton metric
HALVINGS = 60


def minimise_loss(task: Task, state: State) -> Descent:
    """Descend on the loss from ``state``."""
    found = Descent(state, np.inf, "maxiter")
    ridge_root = task.map.rows.triangle(task.ridge) if task.ridge.any() else None
    for iteration in range(task.maxiter + 1):
        state = found.state
        point = GradientLossPoint(state.point, task.g)
        residual, jacobian, hessian = point.residual, state.point.hessian(), point.hessian()
        if not (np.isfinite(hessian).all() and np.isfinite(residual @ residual)):
            found.reason = "overflow"
            return found
        if ridge_root is not None:
            residual = np.append(residual, ridge_root @ state.x)
            jacobian = np.vstack([jacobian, ridge_root])
            hessian = hessian + ridge_root.T @ ridge_root
        w, r = np.linalg.qr(jacobian)
        gradient = w.T @ residual
        if _converged(task, found, state, gradient, residual):
            found.reason = "converged"
            return found
        if iteration == SUSPECT_STEPS and ridge_root is None:
            found.direction = task.certificate()
            if found.direction is not None:
                found.reason = "no preimage"
                return found
        if iteration == task.maxiter:
            return found
        try:
            step = _step(r, hessian, gradient)
        except np.linalg.LinAlgError:            # the Hessian is singular to rounding
            found.reason = "stalled"
            return found
        following, length = _search(task, state, residual, step, float(gradient @ (r @ step)))
        if following is None:
            found.reason = "stalled"
            return found
        found.state = following
        found.steps.append({"decrement": found.decrement, "length": length})
        if not task.report(found.decrement, following.x):
            found.reason = "stopped"
            return found
    return found


def _converged(task: Task, found: Descent, state: State, gradient: Floats,
               residual: Floats) -> bool:
    """By the Newton decrement; with a ridge by the gradient in the Gauss-Newton metric, relative to
    |(r, K x)|.
    """
    if task.ridge.any():
        size = float(np.linalg.norm(residual))
        found.decrement = float(np.linalg.norm(gradient)) / size if size else 0.0
        return found.decrement <= task.tol
    found.decrement = exact_decrement(state)
    return found.decrement <= max(task.tol, state.floor(task.map.rows, task.b, task.g))


def exact_decrement(state: State) -> float:
    """(rᵀH⁻¹r)^½ of V(x) - gᵀx."""
    solved = state.solve(state.hessian(), state.gradient)
    return float(np.sqrt(max(float(state.gradient @ solved), 0.0)))


def _step(r: Floats, hessian: Floats, gradient: Floats) -> Floats:
    half = scipy.linalg.solve_triangular(r, hessian, trans="T", check_finite=False)
    metric = scipy.linalg.solve_triangular(r, half.T, trans="T", check_finite=False)
    values, vectors = scipy.linalg.eigh(0.5 * (metric + metric.T), check_finite=False)
    y = -vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), CURVED))
    step: Floats = scipy.linalg.solve_triangular(r, y, check_finite=False)
    return step


def _search(task: Task, state: State, residual: Floats, step: Floats,
            slope: float) -> tuple[State | None, float]:
    """The first state, halving, at which the loss has fallen enough; (None, 0) if none."""
    loss = 0.5 * float(residual @ residual)
    length = min(1.0, INSIDE * boundary(state.point.push(step)))
    for _ in range(HALVINGS):
        trial = evaluate(task, state.x + length * step)
        if trial is not None and loss_at(task, trial) <= loss + ARMIJO * length * slope:
            return trial, length
        length *= 0.5
    return None, 0.0


def loss_at(task: Task, state: State) -> float:
    """L."""
    residual = state.point.gradient() - task.g
    shrunk = task.ridge * task.map.rows.matvec(state.x)
    return 0.5 * float(residual @ residual) + 0.5 * float(shrunk @ shrunk)
