"""Descent by line search: Algorithms 1 and 2 of 2404.13785 made usable.

*Damped Newton*, Algorithm 2. Near a minimiser at which H is positive definite, the paper's step x
<- x - H⁻¹ ∇L is taken with length 1, and the iteration converges quadratically (Lemmas 8.5 and 8.6:
r_{t+1} <= 0.4 r_t from a good start). Elsewhere the exact H, whose second-order terms contain the
residual, may be indefinite, or the step may be too long. Then the step is the modified Newton step,
shortened by Armijo's rule.

*Gradient descent*, Algorithm 1:

    x <- x - γ_k ∇L(x).

*backtracking* (default): γ starts from the Barzilai-Borwein step |Δx|² / ΔxᵀΔ∇L and is shortened by
Armijo's rule, so that L decreases in every step. *fixed*: γ is the paper's constant η. *strongly
convex*: γ_k = 2 / (α (k + 1)) of Lemma 7.4 for an α-strongly convex L; the result is the weighted
average sum_k 2k / (T (T + 1)) x_k (the paper prints the factor 1 / (T (T + 1)) twice).

Gradient inversion (:mod:`levinv.inverse.barrier_gradient`) shares the following.

*Modified Newton step.* With the Hessian H = V diag(λ) Vᵀ, possibly indefinite,

    step = -V diag(1 / max(|λ|, δ)) Vᵀ gradient,      δ = √ε max|λ|.

It is a descent direction, and equals Newton's step if H is positive definite. It leaves saddle
points along negative curvature. Curvature below δ is mostly rounding error.

*Armijo's rule.* The step length is halved until the function falls by at least ARMIJO times the
decrease that its slope predicts.

Reference: Nocedal and Wright, Numerical Optimization (2006), sections 3.1 and 3.4.
"""
from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from levinv._tolerances import ARMIJO, EPS
from levinv._typing import Floats
from levinv.inverse.local.loss import Outcome, Report, ScaledLoss

Step: TypeAlias = float | Literal["backtracking", "strongly convex"]
Point = TypeVar("Point")


def newton(loss: ScaledLoss, y: Floats, tol: float, maxiter: int, report: Report) -> Outcome:
    """Minimise the loss from y; call ``report(iteration, y, misfit)`` after every step."""
    value = loss.fun(y)
    for iteration in range(maxiter):
        grad = loss.grad(y)
        step = modified_newton_step(loss.hess(y), grad)
        slope = 0.0 if step is None else float(grad @ step)
        rounding = loss.rounding(value)
        if step is None or -0.5 * slope <= rounding:
            return loss.outcome(y, tol, "stationary", iteration)
        found = armijo(along(loss.fun, y, step), value, slope, 1.0, rounding)
        if found is None:
            return loss.outcome(y, tol, "stuck", iteration)
        _, value, y = found
        report(iteration + 1, y, loss.misfit(y))
    return loss.outcome(y, tol, "iterations", maxiter)


def gradient_descent(loss: ScaledLoss, y: Floats, tol: float, maxiter: int, report: Report,
                     step: Step = "backtracking",
                     strong_convexity: float | None = None) -> Outcome:
    """Minimise the loss from y; call ``report(iteration, y, misfit)`` after every step.

    ``step`` is "backtracking", a fixed step η, or "strongly convex", which needs α =
    ``strong_convexity``; the last two are steps in x itself, without scaling.
    """
    if step == "backtracking":
        return _backtracking(loss, y, tol, maxiter, report)
    average = np.zeros_like(y)
    for iteration in range(1, maxiter + 1):
        if isinstance(step, str):
            assert strong_convexity is not None
            length = 2.0 / (strong_convexity * (iteration + 1))
        else:
            length = step
        trial = y - length * loss.grad(y) * loss.units ** 2
        if not np.isfinite(loss.fun(trial)):
            return Outcome(y, "stuck", iteration - 1)
        y, misfit = trial, loss.misfit(trial)
        average += 2.0 * iteration * y
        report(iteration, y, misfit)
        if misfit <= tol:
            return Outcome(y, "matched", iteration)
    if step == "strongly convex":
        y = average / (maxiter * (maxiter + 1))
        if not np.isfinite(loss.fun(y)):
            return Outcome(y, "iterations", maxiter)
    return loss.outcome(y, tol, "iterations", maxiter)


def _backtracking(loss: ScaledLoss, y: Floats, tol: float, maxiter: int,
                  report: Report) -> Outcome:
    value, grad, misfit = loss.fun(y), loss.grad(y), loss.misfit(y)
    length = 1.0 / max(float(np.linalg.norm(grad)), 1.0)
    for iteration in range(maxiter):
        slope, rounding = float(grad @ grad), loss.rounding(value)
        if misfit <= tol or length * slope <= rounding:
            return loss.outcome(y, tol, "stationary", iteration)
        found = armijo(along(loss.fun, y, -grad), value, -slope, length, rounding)
        if found is None:
            return loss.outcome(y, tol, "stuck", iteration)
        length, value, moved = found
        change, before = moved - y, grad
        y, grad, misfit = moved, loss.grad(moved), loss.misfit(moved)
        report(iteration + 1, y, misfit)
        bend = float(change @ (grad - before))
        length = float(change @ change) / bend if bend > 0 else 2.0 * length
    return loss.outcome(y, tol, "iterations", maxiter)


def modified_newton_step(hessian: Floats, gradient: Floats) -> Floats | None:
    """The step, (d,); None if the Hessian is zero."""
    eigenvalues, vectors = np.linalg.eigh(hessian)
    curvature = np.abs(eigenvalues)
    least = np.sqrt(EPS) * curvature.max()
    if least == 0:
        return None
    step: Floats = -vectors @ ((vectors.T @ gradient) / np.maximum(curvature, least))
    return step


def along(fun: Callable[[Floats], float], y: Floats,
          direction: Floats) -> Callable[[float], tuple[float, Floats]]:
    """The ``trial`` for :func:`armijo` on the line y + length * direction."""
    def trial(length: float) -> tuple[float, Floats]:
        point = y + length * direction
        return fun(point), point

    return trial


def armijo(trial: Callable[[float], tuple[float, Point]], value: float, slope: float,
           length: float, rounding: float) -> tuple[float, float, Point] | None:
    """The length, the value and the point of a step that lowers the function enough; or None.

    ``trial(length)`` returns the function's value (inf if not defined) and the point at this
    length. ``slope`` is the derivative at length 0. The search ends when the predicted decrease is
    at most ``rounding``, the rounding error of the value.
    """
    while rounding < -length * slope < np.inf:
        lower, point = trial(length)
        if lower <= value + ARMIJO * length * slope:
            return length, lower, point
        length *= 0.5
    return None
