"""The local methods of score inversion, and the loss that they minimise.

A local method minimises L(x) = ½|sigma(x) - c|² + ½|diag(rho) A x|² from a starting point. It works
in x scaled by the norms of the columns of A, so that their units do not matter. Where the scores
are not defined or overflow, L is inf. A step to such a point is shortened, like every step that
does not lower L. Each method minimises from y and calls ``report(iteration, y, misfit)`` after
every step.

*Trust region with the exact Hessian*, for starts of moderate quality. Each step minimises the
quadratic model m(p) = ∇Lᵀp + ½ pᵀHp over |p| <= radius, exactly (Moré and Sorensen, "Computing a
trust region step", SIAM J. Sci. Stat. Comput. 4, 1983). With H = V diag(λ) Vᵀ the solution is
p(μ) = -V (λ + μ)⁻¹ Vᵀ∇L for the μ >= max(0, -λ_min) at which |p| = radius, or the Newton step if
that is shorter and H positive definite. Indefinite Hessians need no modification: the step follows
negative curvature to the boundary. The radius grows where the model predicts the decrease well and
shrinks where it does not.

SciPy's ``minimize(method="trust-exact")`` with the stopping rules below succeeds less often (87
against 89 of 100 starts of ``tests/acceptance.py local``) and takes longer.

*Damped Newton*, Algorithm 2 of 2404.13785 made usable. Near a minimiser at which H is positive
definite, the paper's step x <- x - H⁻¹ ∇L is taken with length 1, and the iteration converges
quadratically (Lemmas 8.5 and 8.6: r_{t+1} <= 0.4 r_t from a good start). Elsewhere the exact H,
whose second-order terms contain the residual, may be indefinite, or the step may be too long. Then
the step is the modified Newton step, shortened by Armijo's rule.

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
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import scipy.optimize

from levinv._tolerances import ARMIJO, EPS, INITIAL_RADIUS, POOR_MODEL, TINY
from levinv._typing import Floats
from levinv.forward.score_loss import ScoreLoss

# Receives the iteration, y and the misfit after every step.
Report: TypeAlias = Callable[[int, Floats, float], None]
Reason: TypeAlias = Literal["matched", "stationary", "iterations", "stuck"]
Step: TypeAlias = float | Literal["backtracking", "strongly convex"]
Point = TypeVar("Point")


@dataclass(frozen=True)
class Outcome:
    """The point at which a local method ended, and the reason."""

    y: Floats
    reason: Reason
    iterations: int


class ScaledLoss:
    """A ScoreLoss in y = x * units, with L = inf outside its domain; counts evaluations."""

    def __init__(self, loss: ScoreLoss) -> None:
        self.loss = loss
        norms = loss._column_norms()
        self.units = np.where(norms > 0, norms, 1.0)
        self.nfev = 0

    def fun(self, y: Floats) -> float:
        """L, or inf."""
        self.nfev += 1
        try:
            value = self.loss.fun(y / self.units)
        except ValueError:
            return np.inf
        return value if np.isfinite(value) else np.inf

    def grad(self, y: Floats) -> Floats:
        """Gradient in y."""
        grad: Floats = self.loss.grad(y / self.units) / self.units
        return grad

    def hess(self, y: Floats) -> Floats:
        """Hessian in y."""
        hess: Floats = self.loss.hess(y / self.units) / np.outer(self.units, self.units)
        return hess

    def rounding(self, value: float) -> float:
        """Rounding error of a value of L: of the sum, and of scores: their squares sum to <= d."""
        return EPS * value + 4.0 * self.loss.shape[1] * EPS ** 2

    def misfit(self, y: Floats) -> float:
        """max |sigma - c|."""
        n = self.loss.shape[0]
        return float(np.max(np.abs(self.loss.residuals(y / self.units)[:n])))

    def outcome(self, y: Floats, tol: float, otherwise: Reason, iterations: int) -> Outcome:
        """The outcome at y: matched if the misfit is at most ``tol``, else the given reason."""
        return Outcome(y, "matched" if self.misfit(y) <= tol else otherwise, iterations)


def trust_region(loss: ScaledLoss, y: Floats, tol: float, maxiter: int, report: Report,
                 initial_radius: float | None = None) -> Outcome:
    """Steps that minimise the quadratic model in a ball."""
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


def newton(loss: ScaledLoss, y: Floats, tol: float, maxiter: int, report: Report) -> Outcome:
    """Newton steps, modified and damped."""
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
    """Steps along the gradient.

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
