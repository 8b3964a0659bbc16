"""Damped Newton steps for F(x) = V(x) - gᵀx with a convex penalty V.

The step is -H⁻¹r in the complement of the null space. Along it, the slope φ'(t) of F increases with
t. A plain line search looks for |φ'(t)| <= ¼|φ'(0)| by the secant; it accepts the longest step it
may take if φ' is still negative there. The model of the barrier's line search
(levinv.inverse.barrier_gradient.newton) is not used, as it is for weights 1/s² only. No step into
an unbounded direction changes a log weight by more than LOG_WEIGHT_STEP: farther away, weights
leave the range of doubles.
"""
from collections.abc import Callable

import numpy as np

from levinv._tolerances import INSIDE, LOG_WEIGHT_STEP, PATIENCE, POOR_MODEL, QUADRATIC
from levinv._typing import Floats
from levinv.inverse.barrier_gradient.descend import Proposal
from levinv.inverse.barrier_gradient.problem import State, evaluate
from levinv.inverse.result import Progress


def proposing(progress: Progress) -> Callable[[State], Proposal]:
    """The method for levinv.inverse.barrier_gradient.descend."""
    proposals = 0

    def propose(state: State) -> Proposal:
        nonlocal proposals
        proposals += 1
        problem = state.problem
        decrement, floor = state.decrement(), state.floor()
        if not np.isfinite(decrement) or decrement > np.sqrt(np.finfo(float).max):
            return Proposal(np.inf, "overflow")
        step = state.step(state.solve(state.hessian(), -state.gradient))
        if decrement <= max(problem.tol, min(floor, QUADRATIC)):
            closer = None
            if decrement > floor:
                closer = evaluate(problem, state.x + step, progress)
            better = closer is not None and closer.decrement() < decrement
            return Proposal(decrement, "converged", closer=closer if better else None)
        # a step out of an unbounded cell against g, or many steps without cells
        suspicious = decrement > QUADRATIC and problem.reach(state, step) == np.inf and (
            proposals > PATIENCE // 4
            or (problem.bounded_by_signs and float(problem.g @ step) >= 0))
        return Proposal(decrement, None, lambda: line_search(state, step, decrement, progress),
                        suspicious=suspicious)

    return propose


def line_search(state: State, step: Floats, decrement: float,
                progress: Progress) -> tuple[State, float] | None:
    """The next state and the step length, or None."""
    problem = state.problem
    if decrement < QUADRATIC:
        following = evaluate(problem, state.x + step, progress)
        if following is not None:
            return following, 1.0
    slope = _slope(state, step)
    if not slope < 0:
        return None
    change = 2.0 * float(np.max(np.abs(state.point.push(step)), initial=0.0))
    length = min(1.0, INSIDE * problem.reach(state, step))
    if problem.reach(state, step) == np.inf:
        length = min(length, LOG_WEIGHT_STEP / max(change, 1.0))
    low, high, low_slope, high_slope = 0.0, np.inf, slope, np.nan
    best = None
    for _ in range(PATIENCE):
        trial = evaluate(problem, state.x + length * step, progress)
        new = np.nan if trial is None else _slope(trial, step)
        if trial is None or not np.isfinite(new):
            high, high_slope = length, np.nan
        elif abs(new) <= POOR_MODEL * abs(slope) or (new < 0 and high == np.inf):
            return trial, length
        elif new < 0:
            low, low_slope, best = length, new, trial
        else:
            high, high_slope = length, new
        share = 0.5 if np.isnan(high_slope) else low_slope / (low_slope - high_slope)
        length = low + min(max(share, 1.0 - INSIDE), INSIDE) * (high - low)
    return None if best is None else (best, low)


def _slope(state: State, step: Floats) -> float:
    """The derivative of F along a step dx."""
    return -float(state.projection.scores @ state.point.push(step)) - float(state.problem.g @ step)
