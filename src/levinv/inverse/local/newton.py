"""Damped Newton on the loss: Algorithm 2 of 2404.13785 made usable.

The paper's step x <- x - H⁻¹ ∇L is kept where it can be: near a minimiser at which H is positive
definite it is taken whole and converges quadratically (Lemmas 8.5 and 8.6: r_{t+1} <= 0.4 r_t from
a good start). Elsewhere H, exact and with the residual in its second-order terms, may be indefinite
or the step too long. Then, with H = V diag(λ) Vᵀ,

    step = -V diag(1 / max(|λ|, δ)) Vᵀ ∇L,      δ = 1e-8 max|λ|,

which is a descent direction and leaves saddle points along negative curvature; it is halved until
it lowers L (Armijo's rule).
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

MAXITER = 100
OPTIONS: tuple[str, ...] = ()
SMALLEST_CURVATURE = 1e-8
SUFFICIENT = 1e-4             # Armijo's constant
SHORTEST = 1e-12


def minimise(loss: ScaledLoss, y: Floats, tol: float, maxiter: int, report: Report) -> Outcome:
    """Minimise a ScaledLoss from y; ``report(iteration, y, misfit)`` after every step."""
    value, misfit = loss.fun(y), loss.misfit(y)
    for iteration in range(maxiter):
        grad = loss.grad(y)
        eigenvalues, vectors = np.linalg.eigh(loss.hess(y))
        curvature = np.abs(eigenvalues)
        largest = curvature.max()
        if largest == 0:
            return Outcome(y, MATCHED if misfit <= tol else STATIONARY, iteration)
        step = -vectors @ ((vectors.T @ grad) / np.maximum(curvature, SMALLEST_CURVATURE * largest))
        slope = float(grad @ step)
        if -0.5 * slope <= loss.rounding(value):
            return Outcome(y, MATCHED if misfit <= tol else STATIONARY, iteration)
        length = 1.0
        while length > SHORTEST:
            trial = loss.fun(y + length * step)
            if trial <= value + SUFFICIENT * length * slope:
                break
            length *= 0.5
        else:
            return Outcome(y, MATCHED if misfit <= tol else STUCK, iteration)
        y, value = y + length * step, trial
        misfit = loss.misfit(y)
        report(iteration + 1, y, misfit)
    return Outcome(y, MATCHED if misfit <= tol else ITERATIONS, maxiter)
