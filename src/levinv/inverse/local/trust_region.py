"""Trust region on the loss with its exact Hessian: the method for starts of moderate quality.

Each step minimises the quadratic model m(p) = ∇Lᵀp + ½ pᵀHp over |p| <= radius, exactly (Moré and
Sorensen, "Computing a trust region step", SIAM J. Sci. Stat. Comput. 4, 1983). With H = V diag(λ)
Vᵀ the solution is p(μ) = -V (λ + μ)⁻¹ Vᵀ∇L for the μ >= max(0, -λ_min) at which |p| = radius, or
the Newton step if that is shorter and H positive definite. Indefinite Hessians need no
modification: the step follows negative curvature to the boundary. The radius grows where the model
predicts the decrease well and shrinks where it does not.

SciPy's ``minimize(method="trust-exact")`` with the stopping rules below succeeds less often (87
against 89 of 100 starts of ``tests/acceptance.py local``) and takes longer.
"""
import numpy as np
import scipy.optimize

from levinv._tolerances import ARMIJO, EPS, INITIAL_RADIUS, POOR_MODEL, TINY
from levinv._typing import Floats
from levinv.inverse.local.loss import Outcome, Report, ScaledLoss


def minimise(loss: ScaledLoss, y: Floats, tol: float, maxiter: int, report: Report,
             initial_radius: float | None = None) -> Outcome:
    """Minimise the loss from y; call ``report(iteration, y, misfit)`` after every step."""
    value = loss.fun(y)
    radius = INITIAL_RADIUS * _length(y) if initial_radius is None else initial_radius
    largest = float(np.sqrt(np.finfo(float).max))         # its square does not overflow
    radius = min(radius, largest)
    iteration = 0
    model: tuple[Floats, Floats, Floats] | None = None    # eigenvalues, V and Vᵀ gradient
    while iteration < maxiter:
        if model is None:
            eigenvalues, vectors = np.linalg.eigh(loss.hess(y))
            model = eigenvalues, vectors, vectors.T @ loss.grad(y)
        eigenvalues, vectors, gradient = model
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            step = constrained_minimiser(eigenvalues, gradient, radius)
            predicted = -float(gradient @ step + 0.5 * eigenvalues @ step ** 2)
        if not predicted > loss.rounding(value):
            return loss.outcome(y, tol, "stationary", iteration)
        trial = y + vectors @ step
        trial_value = loss.fun(trial)
        ratio, length = (value - trial_value) / predicted, float(np.linalg.norm(step))
        if ratio < POOR_MODEL:
            radius = POOR_MODEL * length
        elif ratio > 1.0 - POOR_MODEL and length > 0.5 * radius:
            radius = min(2.0 * radius, largest)
        if ratio > ARMIJO:
            y, value, model = trial, trial_value, None
            iteration += 1
            report(iteration, y, loss.misfit(y))
        elif radius < EPS * _length(y):
            return loss.outcome(y, tol, "stuck", iteration)
    return loss.outcome(y, tol, "iterations", iteration)


def _length(y: Floats) -> float:
    return max(_norm(y), 1.0)


def _norm(y: Floats) -> float:
    return float(np.hypot.reduce(y))                      # squares may overflow or underflow


def constrained_minimiser(eigenvalues: Floats, gradient: Floats, radius: float) -> Floats:
    """The q that minimises gradientᵀq + ½ Σ λ q² over |q| <= radius; eigenvalues increasing."""
    size = max(abs(float(eigenvalues[0])), abs(float(eigenvalues[-1])), _norm(gradient) / radius)
    if size == 0 or not np.isfinite(size):
        return np.zeros_like(gradient)
    lowest = float(eigenvalues[0]) / size
    shifted = eigenvalues / size - min(lowest, 0.0)
    slope = gradient / size / radius                      # q is measured in units of the radius
    shifted[slope == 0] += 1.0                            # there q is 0, not 0/0
    with np.errstate(divide="ignore", over="ignore"):
        q: Floats = -slope / shifted
        left = 1.0 - _norm(q) ** 2
        if left < 0:
            # 1/|q| is almost linear in the shift; at the upper end |q| <= ½.
            shift = scipy.optimize.brentq(
                lambda shift: 1.0 / _norm(slope / (shifted + shift)) - 1.0,
                0.0, 2.0 * _norm(slope), xtol=TINY, rtol=4.0 * EPS, disp=False)
            q = -slope / (shifted + shift)
        elif lowest < 0:
            # The hard case: the gradient is orthogonal to the lowest eigenvector. The step follows
            # that eigenvector to the boundary.
            q[0] = np.copysign(np.sqrt(left), q[0])
    return radius * q
