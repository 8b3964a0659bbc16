"""Damped Newton on the loss: Algorithm 2 of 2404.13785 made usable.

Near a minimiser at which H is positive definite, the paper's step x <- x - H⁻¹ ∇L is taken with
length 1, and the iteration converges quadratically (Lemmas 8.5 and 8.6: r_{t+1} <= 0.4 r_t from a
good start). Elsewhere the exact H, whose second-order terms contain the residual, may be
indefinite, or the step may be too long. Then the step is the modified Newton step, shortened by
Armijo's rule (levinv.inverse.descent).
"""
from levinv._typing import Floats
from levinv.inverse.descent import along, armijo, modified_newton_step
from levinv.inverse.local.loss import Outcome, Reason, Report, ScaledLoss


def minimise(loss: ScaledLoss, y: Floats, tol: float, maxiter: int, report: Report) -> Outcome:
    """Minimise the loss from y; call ``report(iteration, y, misfit)`` after every step."""
    value = loss.fun(y)
    for iteration in range(maxiter):
        grad = loss.grad(y)
        step = modified_newton_step(loss.hess(y), grad)
        slope = 0.0 if step is None else float(grad @ step)
        rounding = loss.rounding(value)
        if step is None or -0.5 * slope <= rounding:
            return loss.outcome(y, tol, Reason.STATIONARY, iteration)
        found = armijo(along(loss.fun, y, step), value, slope, 1.0, rounding)
        if found is None:
            return loss.outcome(y, tol, Reason.STUCK, iteration)
        _, value, y = found
        report(iteration + 1, y, loss.misfit(y))
    return loss.outcome(y, tol, Reason.ITERATIONS, maxiter)
