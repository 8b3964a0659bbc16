"""The loop of all methods of gradient inversion: propose a step, search along it, report it.

A method is a function that looks at a State and returns a Proposal: the reason to end there, or a
line search. After PATIENCE steps, or earlier if the method suspects it, the loop asks a linear
program whether g has a preimage at all (``Problem.certificate``).
"""
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from levinv._tolerances import PATIENCE, QUADRATIC
from levinv._typing import Floats
from levinv.inverse.barrier_gradient.problem import Problem, State
from levinv.inverse.result import Progress, Stopped

Reason: TypeAlias = Literal["converged", "no preimage", "stalled", "maxiter", "stopped", "overflow"]


# Returns the step z, about -H⁻¹r, and the work that it took: ``cg_iterations`` or ``rows``.
Solver: TypeAlias = Callable[[State], tuple[Floats, dict[str, int]]]


@dataclass(frozen=True)
class Proposal:
    """What a method proposes at a State."""

    decrement: float
    ended: Reason | None = None                    # None: continue with ``search``
    search: Callable[[], tuple[State, float] | None] = lambda: None    # the next state, step length
    suspicious: bool = False                       # whether g may have no preimage
    closer: State | None = None                    # a better point of the same decrement
    work: dict[str, int] = field(default_factory=dict)    # that of its solver


@dataclass(frozen=True)
class Descent:
    """The last point of a minimisation, the reason why it ended, and its steps."""

    state: State
    decrement: float
    reason: Reason
    steps: tuple[dict[str, Any], ...]              # decrement, length and work: for the evidence
    certificate: Floats | None = None              # of "no preimage"


def descend(problem: Problem, start: State, propose: Callable[[State], Proposal],
            progress: Progress, name: str, bounded_below: bool = False) -> Descent:
    """Descend from ``start``. ``bounded_below``: a minimiser exists. ``name``: for the report."""
    state, steps = start, list[dict[str, Any]]()
    asked = bounded_below
    while True:
        proposal = propose(state)
        decrement = proposal.decrement

        def ended(reason: Reason, certificate: Floats | None = None) -> Descent:
            return Descent(state, decrement, reason, tuple(steps), certificate)   # noqa: B023

        if proposal.ended is not None:
            state = proposal.closer or state
            return ended(proposal.ended)
        if _stalled([step["decrement"] for step in steps], decrement):
            return ended("stalled")
        if len(steps) == problem.maxiter:
            return ended("maxiter")
        if not asked and (len(steps) >= PATIENCE or proposal.suspicious):
            asked = True
            found = problem.certificate(start)
            if found is not None:
                return ended("no preimage", found)
        following = proposal.search()
        if following is None:
            return ended("stalled")
        state, length = following
        steps.append({"decrement": decrement, "length": length, **proposal.work})
        try:
            progress(name, decrement, state.x)
        except Stopped:
            return ended("stopped")


def _stalled(before: list[float], decrement: float) -> bool:
    """Whether full steps no longer halve the decrement, so that only rounding is left."""
    if len(before) <= PATIENCE:
        return False
    least = min(before[:-PATIENCE])
    return least < QUADRATIC and min(decrement, *before[-PATIENCE:]) > 0.5 * least
