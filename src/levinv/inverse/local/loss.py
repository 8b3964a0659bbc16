"""What the local methods share: the loss as they see it, and how they end.

A local method minimises L(x) = ½|sigma(x) - c|² + ½|diag(rho) A x|² from a start. It works in x
scaled by the norms of the columns of A, so that their units do not matter, and sees L = inf where
the scores are not defined or overflow; a step there is shortened like any other that does not
descend.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from levinv._tolerances import EPS
from levinv._typing import Floats
from levinv.forward.score_loss import ScoreLoss

Reason: TypeAlias = Literal["matched", "stationary", "iterations", "stuck"]
Report: TypeAlias = Callable[[int, Floats, float], None]      # told iteration, y and misfit

MATCHED: Reason = "matched"
STATIONARY: Reason = "stationary"
ITERATIONS: Reason = "iterations"
STUCK: Reason = "stuck"

REASONS: dict[Reason, str] = {
    STATIONARY: "a stationary point of the loss where the scores are not matched",
    ITERATIONS: "maxiter = {limit} iterations reached",
    STUCK: "no step decreases the loss further",
}


@dataclass(frozen=True)
class Outcome:
    """Where a local method ended and why."""

    x: Floats
    reason: Reason
    iterations: int


class LocalMethod(Protocol):
    """A module with a local method."""

    MAXITER: int
    OPTIONS: tuple[str, ...]

    @property
    def minimise(self) -> Callable[..., Outcome]:
        """``minimise(loss, y, tol, maxiter, report, **options)``: a ScaledLoss from y;
        ``report(iteration, y, misfit)`` after every step.
        """


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
        """What rounding leaves undecided of a value of L: of the value, and of residuals that are
        zero.
        """
        return EPS * value + 4.0 * self.loss.shape[1] * EPS ** 2

    def misfit(self, y: Floats) -> float:
        """max |sigma - c|."""
        n = self.loss.shape[0]
        return float(np.max(np.abs(self.loss.residuals(y / self.units)[:n])))
