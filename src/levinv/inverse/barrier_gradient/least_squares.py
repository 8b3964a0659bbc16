"""Minimising the objective of 2408.11267 (levinv.forward.gradient_loss) inside one sign cell.

    L(x) = ½ |r|² + ½ |diag(rho) A x|²,   r = ∇V(x) - g,   H = ∇²V(x).

Both terms are sums of squares. With the QR factorisation [H; K] = W R, KᵀK = Aᵀ diag(rho²) A, the
Gauss-Newton metric is RᵀR, and in y = R dx

    gradient  Wᵀ [r; K x],      Hessian  I + R⁻ᵀ C R⁻¹,

where C is the third derivative of V contracted with r; C = 0 if r = 0. The step is the modified
Newton step with the exact Hessian (levinv.inverse.local.methods). It is shortened to stay in
the cell (L is inf on its boundary), and by Armijo's rule. Without a ridge every stationary point
solves r = 0, since H is positive definite; with a ridge, L may have several stationary points.

Reference: Nocedal and Wright, Numerical Optimization (2006), chapter 10 (Gauss-Newton).
"""
from collections.abc import Callable

import numpy as np
import scipy.linalg

from levinv._tolerances import EPS, INSIDE
from levinv._typing import Floats
from levinv.forward.gradient_loss import GradientLossPoint
from levinv.inverse.barrier_gradient.descend import Proposal
from levinv.inverse.barrier_gradient.problem import Problem, State, evaluate
from levinv.inverse.local.methods import armijo, modified_newton_step
from levinv.inverse.result import Progress


def proposing(problem: Problem, progress: Progress) -> Callable[[State], Proposal]:
    """The method for levinv.inverse.barrier_gradient.descend.

    Its decrement is the Newton decrement. With a ridge it is the length of the gradient in the
    Gauss-Newton metric, relative to |(r, K x)|.
    """
    ridge_root = problem.map.rows.triangle(problem.ridge) if problem.regularised else None

    def propose(state: State) -> Proposal:
        point = GradientLossPoint(state.point, problem.g)
        residual, jacobian, hessian = point.residual, state.point.hessian(), point.hessian()
        if not (np.isfinite(hessian).all() and np.isfinite(residual @ residual)):
            return Proposal(np.inf, "overflow")
        if ridge_root is not None:
            residual = np.append(residual, ridge_root @ state.x)
            jacobian = np.vstack([jacobian, ridge_root])
            hessian = hessian + ridge_root.T @ ridge_root
        elif problem.null_space.size:      # ∇V is constant along it; the metric is made invertible
            null = np.abs(jacobian).max() * problem.null_space.T
            residual = np.append(residual, np.zeros(len(null)))
            jacobian = np.vstack([jacobian, null])
            hessian = hessian + null.T @ null
        w, r = np.linalg.qr(jacobian)
        gradient = w.T @ residual
        if ridge_root is None:
            decrement, enough = state.decrement(), max(problem.tol, state.floor())
        else:
            size = float(np.linalg.norm(residual)) or 1.0
            decrement, enough = float(np.linalg.norm(gradient)) / size, problem.tol
        if decrement <= enough:
            return Proposal(decrement, "converged")
        step = _step(r, hessian, gradient)
        if step is None:
            return Proposal(decrement, "stalled")
        return Proposal(decrement, None, lambda: _search(
            state, 0.5 * float(residual @ residual), step, float(gradient @ (r @ step)), progress))

    return propose


def _step(r: Floats, hessian: Floats, gradient: Floats) -> Floats | None:
    """dx, or None if the metric is singular to rounding."""
    try:
        half = scipy.linalg.solve_triangular(r, hessian, trans="T", check_finite=False)
        metric = scipy.linalg.solve_triangular(r, half.T, trans="T", check_finite=False)
        y = modified_newton_step(0.5 * (metric + metric.T), gradient)
    except np.linalg.LinAlgError:
        return None
    if y is None:
        return None
    step: Floats = scipy.linalg.solve_triangular(r, y, check_finite=False)
    return step


def _search(state: State, loss: float, step: Floats, slope: float,
            progress: Progress) -> tuple[State, float] | None:
    """The state and the length of the first step, by halving, that lowers the loss enough."""
    def trial(length: float) -> tuple[float, State | None]:
        following = evaluate(state.problem, state.x + length * step, progress)
        return (np.inf if following is None else loss_at(following)), following

    length = min(1.0, INSIDE * state.problem.reach(state, step))
    found = armijo(trial, loss, slope, length, EPS * loss)
    return None if found is None or found[2] is None else (found[2], found[0])


def loss_at(state: State) -> float:
    """L."""
    problem = state.problem
    residual = state.point.gradient() - problem.g
    shrunk = problem.ridge * problem.map.rows.matvec(state.x)
    return 0.5 * float(residual @ residual) + 0.5 * float(shrunk @ shrunk)
