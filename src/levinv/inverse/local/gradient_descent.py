"""Gradient descent on the loss: Algorithm 1 of 2404.13785 made usable.

    x <- x - γ_k ∇L(x).

*backtracking* (default): γ starts from the Barzilai-Borwein step |Δx|² / ΔxᵀΔ∇L and is halved until
L falls enough (Armijo), so that L decreases in every step. *fixed*: the paper's η, as it is.
*strongly convex*: Lemma 7.4's γ_k = 2 / (α (k + 1)) for an α-strongly convex L, returning the
weighted average sum_k 2k / (T (T + 1)) x_k (the paper prints the factor 1 / (T (T + 1)) twice).
"""
from __future__ import annotations

from typing import Literal, TypeAlias

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

Step: TypeAlias = float | Literal["backtracking", "strongly convex"]

MAXITER = 3000
OPTIONS: tuple[str, ...] = ("step", "strong_convexity")
SUFFICIENT = 1e-4             # Armijo's constant


def minimise(loss: ScaledLoss, y: Floats, tol: float, maxiter: int, report: Report,
             step: Step = "backtracking", strong_convexity: float | None = None) -> Outcome:
    """Minimise a ScaledLoss from y; ``report(iteration, y, misfit)`` after every step.

    ``step`` is "backtracking", a fixed step η, or "strongly convex", which needs α =
    ``strong_convexity``; the last two are steps in x itself, without scaling.
    """
    if step == "backtracking":
        return _backtracking(loss, y, tol, maxiter, report)
    average = np.zeros_like(y)
    misfit = loss.misfit(y)
    for iteration in range(maxiter):
        if isinstance(step, str):
            assert strong_convexity is not None
            length = 2.0 / (strong_convexity * (iteration + 2))
        else:
            length = step
        trial = y - length * loss.grad(y) * loss.units ** 2
        if not np.isfinite(loss.fun(trial)):
            return Outcome(y, STUCK, iteration)
        y, misfit = trial, loss.misfit(trial)
        average += 2.0 * (iteration + 1) * y
        report(iteration + 1, y, misfit)
        if misfit <= tol:
            return Outcome(y, MATCHED, iteration + 1)
    if step == "strongly convex":
        y = average / (maxiter * (maxiter + 1))
        misfit = loss.misfit(y) if np.isfinite(loss.fun(y)) else np.inf
    return Outcome(y, MATCHED if misfit <= tol else ITERATIONS, maxiter)


def _backtracking(loss: ScaledLoss, y: Floats, tol: float, maxiter: int,
                  report: Report) -> Outcome:
    value, grad, misfit = loss.fun(y), loss.grad(y), loss.misfit(y)
    length = 1.0 / max(float(np.linalg.norm(grad)), 1.0)
    for iteration in range(maxiter):
        slope = float(grad @ grad)
        if misfit <= tol or length * slope <= loss.rounding(value):
            return Outcome(y, MATCHED if misfit <= tol else STATIONARY, iteration)
        while length * slope > loss.rounding(value):
            trial = loss.fun(y - length * grad)
            if trial <= value - SUFFICIENT * length * slope:
                break
            length *= 0.5
        else:
            return Outcome(y, MATCHED if misfit <= tol else STUCK, iteration)
        moved = y - length * grad
        change, before = moved - y, grad
        y, value, grad = moved, trial, loss.grad(moved)
        misfit = loss.misfit(y)
        report(iteration + 1, y, misfit)
        along = float(change @ (grad - before))
        length = float(change @ change) / along if along > 0 else 2.0 * length
    return Outcome(y, MATCHED if misfit <= tol else ITERATIONS, maxiter)
