"""Trust region on the loss with its exact Hessian, for starts that are neither good nor hopeless.

Each step minimises the quadratic model m(p) = ∇Lᵀp + ½ pᵀHp over |p| <= radius, exactly (Moré and
Sorensen, 1983): with H = V diag(λ) Vᵀ the solution is p(μ) = -V (∇L_V / (λ + μ)) for the μ >=
max(0, -λ_min) at which |p| = radius, or the Newton step if that is shorter and H positive definite.
Indefinite Hessians need no modification: negative curvature is followed to the boundary. The radius
grows where the model predicts the decrease well and shrinks where it does not.
"""
from __future__ import annotations

import numpy as np

from levinv._typing import Floats
from levinv.inverse.local.loss import (
    ITERATIONS,
    MATCHED,
    STATIONARY,
    STUCK,
    Outcome,
    Report,
    ScaledLoss,
)

MAXITER = 500
OPTIONS: tuple[str, ...] = ("initial_radius",)
ACCEPT, SHRINK, GROW = 1e-4, 0.25, 0.75     # ratio of actual to predicted decrease
SMALLEST_RADIUS = 1e-14
LARGEST_RADIUS = 1e150                      # its square does not overflow


def minimise(loss: ScaledLoss, y: Floats, tol: float, maxiter: int, report: Report,
             initial_radius: float | None = None) -> Outcome:
    """Minimise a ScaledLoss from y; ``report(iteration, y, misfit)`` after every step."""
    value, misfit = loss.fun(y), loss.misfit(y)
    radius = 0.01 * max(_norm(y), 1.0) if initial_radius is None else initial_radius
    radius = min(radius, LARGEST_RADIUS)
    iteration = 0
    model: tuple[Floats, Floats, Floats] | None = None           # of the loss at y
    while iteration < maxiter:
        if model is None:
            grad = loss.grad(y)
            eigenvalues, vectors = np.linalg.eigh(loss.hess(y))
            model = eigenvalues, vectors, vectors.T @ grad
        eigenvalues, vectors, rotated = model
        # where the loss is flat to rounding
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            coefficients = constrained_minimiser(eigenvalues, rotated, radius)
            predicted = -float(rotated @ coefficients + 0.5 * eigenvalues @ coefficients ** 2)
        if not predicted > loss.rounding(value):
            return Outcome(y, MATCHED if misfit <= tol else STATIONARY, iteration)
        trial = y + vectors @ coefficients
        trial_value = loss.fun(trial)
        ratio = (value - trial_value) / predicted if predicted > 0 else -np.inf
        length = float(np.linalg.norm(coefficients))
        if ratio < SHRINK:
            radius = 0.25 * length
        elif ratio > GROW and length > 0.99 * radius:
            radius = min(2.0 * radius, LARGEST_RADIUS)
        if ratio > ACCEPT:
            y, value, model = trial, trial_value, None
            misfit = loss.misfit(y)
            iteration += 1
            report(iteration, y, misfit)
        elif radius < SMALLEST_RADIUS * max(_norm(y), 1.0):
            return Outcome(y, MATCHED if misfit <= tol else STUCK, iteration)
    return Outcome(y, MATCHED if misfit <= tol else ITERATIONS, iteration)


def _norm(y: Floats) -> float:
    return float(np.hypot.reduce(y))           # squares may overflow


def constrained_minimiser(eigenvalues: Floats, rotated: Floats, radius: float) -> Floats:
    """Coefficients q of the minimiser of rotatedᵀq + ½ Σ λ q² over |q| <= radius; eigenvalues
    increasing.
    """
    if not rotated.any() and eigenvalues[0] >= 0:
        return np.zeros_like(rotated)
    lowest = eigenvalues[0]
    if lowest > 0:
        newton: Floats = -rotated / eigenvalues
        if np.linalg.norm(newton) <= radius:
            return newton
    low = max(0.0, -lowest)
    scale = np.abs(eigenvalues).max() + np.linalg.norm(rotated) / radius
    shift = low + 1e-14 * scale
    inside: Floats = -rotated / (eigenvalues + shift)
    if np.linalg.norm(inside) < radius:
        # the hard case: no gradient along the lowest eigenvector, which is followed to the boundary
        left = radius ** 2 - float(inside @ inside)
        inside[0] += np.copysign(np.sqrt(max(left, 0.0)), inside[0])
        return inside
    high = low + np.linalg.norm(rotated) / radius + 1e-14 * scale
    shift = high
    for _ in range(100):
        q: Floats = -rotated / (eigenvalues + shift)
        length = np.linalg.norm(q)
        if abs(length - radius) <= 1e-10 * radius:
            break
        low, high = (shift, high) if length > radius else (low, shift)
        # Newton on 1/|q| - 1/radius, which is almost linear in the shift; bisection where it leaves
        # the bracket
        unit = q / length
        change = (length / radius - 1.0) / float(unit @ (unit / (eigenvalues + shift)))
        shift = shift + change if low < shift + change < high else 0.5 * (low + high)
    return q
