"""The loss in the form that the local methods use, and the outcomes of these methods.

A local method minimises L(x) = ½|sigma(x) - c|² + ½|diag(rho) A x|² from a starting point. It works
in x scaled by the norms of the columns of A, so that their units do not matter. Where the scores
are not defined or overflow, L is inf. A step to such a point is shortened, like every step that
does not lower L.
"""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from levinv._tolerances import EPS
from levinv._typing import Floats
from levinv.forward.score_loss import ScoreLoss

# Receives the iteration, y and the misfit after every step.
Report: TypeAlias = Callable[[int, Floats, float], None]
Reason: TypeAlias = Literal["matched", "stationary", "iterations", "stuck"]


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
