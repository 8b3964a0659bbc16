"""Newton's method for F(x) = V(x) - gᵀx on one sign cell (levinv.inverse.barrier_gradient.problem).

*Direction.* H z = -r is solved with a Cholesky factor if the dimension is small, otherwise by
conjugate gradients preconditioned with G. The condition number is at most 3, so each iteration cuts
the error by a factor (√3 + 1)/(√3 - 1) = 3.7. It takes one Gram matrix and one quadratic form.

*Step.* A line search on the slope φ'(t) = -sum_i sigma_i(t) p_i/(1 + t p_i) - gᵀdx looks for
|φ'(t)| <= ¼|φ'(0)|. It tries t = 1 first. If that point is outside the cell or its slope is too
large, it uses a model of the slope in which each score depends on its own slack alone:

    sigma_i(t) = sigma_i / (sigma_i + (1 - sigma_i)(1 + t p_i)²),

The model is exact for one row, and at the boundary, where the score is 1. It increases with t, so
it has at most one root.
"""
import math
from collections.abc import Callable

import numpy as np
import scipy.optimize

from levinv._conjugate_gradients import conjugate_gradients
from levinv._tolerances import DIRECT_DIMENSION, EPS, INSIDE, PATIENCE, POOR_MODEL, QUADRATIC
from levinv._typing import Floats
from levinv.inverse.barrier_gradient.descend import Proposal, Solver
from levinv.inverse.barrier_gradient.problem import State, boundary, evaluate
from levinv.inverse.result import Progress


def proposing(solver: Solver, progress: Progress) -> Callable[[State], Proposal]:
    """The method with directions from ``solver``, for levinv.inverse.barrier_gradient.descend."""
    def propose(state: State) -> Proposal:
        z, work = solver(state)
        squared = -float(state.gradient @ z)
        # The line search squares it again: a larger one would overflow there.
        if not squared < np.sqrt(np.finfo(float).max):
            return Proposal(np.inf, "overflow")
        decrement, floor = math.sqrt(max(squared, 0.0)), state.floor()
        if decrement <= max(state.problem.tol, min(floor, QUADRATIC)):
            closer = None
            if decrement > floor:                # the step is known already and can only help
                closer = evaluate(state.problem, state.x + state.step(z), progress)
            better = closer is not None and closer.bound() < state.bound()
            return Proposal(decrement, "converged", closer=closer if better else None)
        p = state.relative(z)
        return Proposal(decrement, None, lambda: line_search(state, z, p, decrement, progress),
                        suspicious=float(state.target @ z) >= 0 and boundary(p) == np.inf,
                        work=work)

    return propose


def newton_direction(state: State) -> tuple[Floats, dict[str, int]]:
    """-H⁻¹ r, accurate enough for quadratic convergence."""
    if state.projection.rank <= DIRECT_DIMENSION:
        return state.solve(state.hessian(), -state.gradient), {}
    tolerance = float(np.clip(state.bound(), math.sqrt(EPS), 0.5 * POOR_MODEL))
    # After so many iterations the residual has fallen enough in exact arithmetic.
    limit = math.ceil(math.log(2.0 * math.sqrt(3.0) / tolerance) / math.log(2.0 + math.sqrt(3.0)))
    found = conjugate_gradients(state.product, -state.gradient, tolerance=tolerance, maxiter=limit,
                                precondition=state.precondition)
    return found.x, {"cg_iterations": found.products}


class _SlopeModel:
    """φ' as a function of t in the model: each score depends on its own slack alone."""

    def __init__(self, state: State, p: Floats, rise: float) -> None:
        self.scores, self.complement = state.projection.scores, state.projection.complement()
        self.p, self.rise = p, rise                  # rise: gᵀdx

    def __call__(self, t: float) -> float:
        grown = 1.0 + t * self.p
        with np.errstate(over="ignore"):
            falling = grown * (self.scores + self.complement * grown * grown)
            return -float(np.sum(self.scores * self.p / falling)) - self.rise

    def root(self, low: float, high: float) -> float:
        """The root in (low, high); or else the part INSIDE of the way to the nearer end."""
        if high == np.inf:
            # Without a root the search ends when a slack is too large for double precision.
            high, furthest = max(1.0, 2.0 * low), 1.0 / (EPS * max(float(self.p.max()), EPS))
            while self(high) < 0:
                if high > furthest:
                    return high
                high *= 4.0
        margin = math.sqrt(EPS) * (high - low)
        if self(high - margin) <= 0:
            return low + INSIDE * (high - low)
        if self(low + margin) >= 0:
            return high - INSIDE * (high - low)
        root: float = scipy.optimize.brentq(self, low + margin, high - margin, xtol=margin,
                                           rtol=EPS ** 0.25)
        return root


def line_search(state: State, z: Floats, p: Floats, decrement: float,
                progress: Progress) -> tuple[State, float] | None:
    """The next state and the step length, or None."""
    dx = state.step(z)
    if decrement < QUADRATIC:
        following = evaluate(state.problem, state.x + dx, progress)
        if following is not None:
            return following, 1.0
    model = _SlopeModel(state, p, float(state.target @ z))
    slope = -float(model.scores @ p) - model.rise
    if slope >= 0:
        return None
    low, high = 0.0, boundary(p)
    length = 1.0 if high > 1.0 / INSIDE else model.root(low, high)
    best = None
    for _ in range(PATIENCE):
        trial = evaluate(state.problem, state.x + length * dx, progress)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            at = p / (1.0 + length * p)
            new_slope = -float(trial.projection.scores @ at) - model.rise if trial else np.nan
        if trial is None or not np.isfinite(new_slope):          # on the boundary to rounding
            high = length
            length = 0.5 * (low + high)
            continue
        if abs(new_slope) <= POOR_MODEL * abs(slope):
            return trial, length
        if new_slope < 0:
            low, best = length, trial
        else:
            high = length
        guess = length + _SlopeModel(trial, at, model.rise).root(low - length, high - length)
        margin = (1.0 - INSIDE) * (high - low) if high < np.inf else 0.0
        length = min(max(guess, low + margin), high - margin)
    return None if best is None else (best, low)
