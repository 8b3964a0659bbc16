"""The linear predictor η of a given log weight τ, for weightings without a formula for it.

On one side of its mode, or everywhere if it has none, τ is strictly monotone. The fall
g(u) = |τ(start + u) - τ(start)|, u >= 0 in the direction of the branch, is tabulated once on a
logarithmic grid of u. A wanted fall is looked up, interpolated in logarithms, and improved by
Newton's method, whose steps are kept inside the interval of the table. Next to a mode, where
τ(mode) - τ cancels, g(u) = ½ |τ''(mode)| u² is used instead.
"""
from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from levinv._tolerances import BRANCH_NODES, BRANCH_REACH, BRANCH_STEPS, EPS
from levinv._typing import Floats

Function = Callable[[Floats], Floats]


class Branch:
    """The inverse of τ on one side of ``start``, where τ is strictly monotone."""

    def __init__(self, log_weight: Function, derivative: Function, start: float, direction: float,
                 curvature: float, end: float = math.inf) -> None:
        """``curvature`` is |τ''(start)| if start is a mode, else 0; ``end`` bounds η."""
        self.log_weight, self.derivative = log_weight, derivative
        self.start, self.direction, self.curvature = start, direction, curvature
        self.reach = abs(end - start)
        self.level = float(log_weight(np.array([start]))[0])

    @functools.cached_property
    def table(self) -> tuple[Floats, Floats]:
        """Logarithms of u and of g(u), both increasing."""
        far = BRANCH_REACH if math.isinf(self.reach) else math.log(self.reach * (1.0 - EPS))
        log_u = np.linspace(0.5 * math.log(EPS), far, BRANCH_NODES)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            fall = self.fall(np.exp(log_u))
            log_fall = np.log(fall)
        good = np.isfinite(log_fall)
        good &= np.concatenate([[True], log_fall[1:] > np.maximum.accumulate(log_fall)[:-1]])
        return log_u[good], log_fall[good]

    def fall(self, u: Floats) -> Floats:
        """g(u)."""
        fall: Floats = np.abs(self.level - self.log_weight(self.start + self.direction * u))
        if self.curvature:
            near = 0.5 * self.curvature * u ** 2
            fall = np.where(near > math.sqrt(EPS), fall, near)
        return fall

    def distance(self, fall: Floats) -> Floats:
        """u >= 0 with g(u) = ``fall`` >= 0; the end of the table if there is none."""
        log_u, log_fall = self.table
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            u = np.exp(np.interp(np.log(fall), log_fall, log_u))
            if self.curvature:
                small = np.sqrt(2.0 * fall / self.curvature)
                near = fall < math.sqrt(EPS)
                u = np.where(near, small, u)
            else:
                near = fall <= 0
                u = np.where(near, 0.0, u)
            for _ in range(BRANCH_STEPS):
                slope = np.abs(self.derivative(self.start + self.direction * u))
                step = (self.fall(u) - fall) / slope
                moved = np.clip(u - step, 0.5 * u, 2.0 * u)
                u = np.where(near | ~np.isfinite(step), u, moved)
        return u

    def __call__(self, fall: Floats) -> Floats:
        """η on this branch where τ differs from τ(start) by ``fall``."""
        return self.start + self.direction * self.distance(fall)
