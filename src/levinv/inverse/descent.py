"""What the local methods share: the loss as they see it, and how they end.

A local method minimises L(x) = ½|sigma(x) - c|² + ½|diag(rho) A x|² from a start. It works in x
scaled by the norms of the columns of A, so that their units do not matter, and sees L = inf where
the scores are not defined or overflow; a step there is shortened like any other that does not
descend.
"""
from dataclasses import dataclass

import numpy as np

from levinv.forward.orthonormal import EPS

MATCHED, STATIONARY, ITERATIONS, STUCK = "matched", "stationary", "iterations", "stuck"

REASONS = {
    STATIONARY: "a stationary point of the loss where the scores are not matched",
    ITERATIONS: "maxiter = {limit} iterations reached",
    STUCK: "no step decreases the loss further",
}


@dataclass(frozen=True)
class Outcome:
    """Where a local method ended and why."""

    x: np.ndarray
    reason: str
    iterations: int


class ScaledLoss:
    """A ScoreLoss in y = x * units, with L = inf outside its domain; counts evaluations."""

    def __init__(self, loss):
        self.loss = loss
        norms = loss.column_norms()
        self.units = np.where(norms > 0, norms, 1.0)
        self.nfev = 0

    def fun(self, y):
        """L, or inf."""
        self.nfev += 1
        try:
            value = self.loss.fun(y / self.units)
        except ValueError:
            return np.inf
        return value if np.isfinite(value) else np.inf

    def grad(self, y):
        """Gradient in y."""
        return self.loss.grad(y / self.units) / self.units

    def hess(self, y):
        """Hessian in y."""
        return self.loss.hess(y / self.units) / np.outer(self.units, self.units)

    def rounding(self, value):
        """What rounding leaves undecided of a value of L: of the value, and of residuals that are
        zero.
        """
        return EPS * value + 4.0 * self.loss.shape[1] * EPS ** 2

    def misfit(self, y):
        """max |sigma - c|."""
        n = self.loss.shape[0]
        return float(np.max(np.abs(self.loss.residuals(y / self.units)[:n])))
