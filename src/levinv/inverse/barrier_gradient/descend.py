"""The loop of all methods of gradient inversion: propose a step, search along it, report it.

A method is a function that looks at a State and returns a Proposal: the reason to end there, or a
line search. After PATIENCE steps, or earlier if the method suspects it, the loop asks a linear
program whether g has a preimage in the cell at all (levinv.inverse.barrier_gradient.feasibility).
"""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from levinv._tolerances import PATIENCE, QUADRATIC
from levinv._typing import Floats
from levinv.inverse.barrier_gradient.feasibility import certificate
from levinv.inverse.barrier_gradient.problem import Problem, State, Trace
from levinv.inverse.progress import Stopped

Reason: TypeAlias = Literal["converged", "no preimage", "stalled", "maxiter", "stopped", "overflow"]


class Direction(NamedTuple):
    """The step z, about -H⁻¹r, and the work that it took."""

    z: Floats
    cg_iterations: int | None = None
    rows: int | None = None


Solver: TypeAlias = Callable[[State], Direction]


@dataclass(frozen=True)
class Step:
    """One entry of ``evidence["steps"]``, which leaves out the fields that are None."""

    decrement: float
    length: float
    cg_iterations: int | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Proposal:
    """What a method proposes at a State."""

    decrement: float
    ended: Reason | None = None                    # None: continue with ``search``
    search: Callable[[], tuple[State, float] | None] = lambda: None    # the next state, step length
    suspicious: bool = False                       # whether g may have no preimage
    closer: State | None = None                    # a better point of the same decrement
    cg_iterations: int | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Descent:
    """The last point of a minimisation, the reason why it ended, and its steps."""

    state: State
    decrement: float
    reason: Reason
    steps: tuple[Step, ...]
    certificate: Floats | None = None              # of "no preimage"


def descend(problem: Problem, start: State, propose: Callable[[State], Proposal], trace: Trace,
            name: str, bounded_below: bool = False) -> Descent:
    """Descend from ``start``. ``bounded_below``: a minimiser exists. ``name``: for the report."""
    state, steps = start, list[Step]()
    asked = bounded_below
    while True:
        proposal = propose(state)
        decrement = proposal.decrement

        def ended(reason: Reason, certificate: Floats | None = None) -> Descent:
            return Descent(state, decrement, reason, tuple(steps), certificate)   # noqa: B023

        if proposal.ended is not None:
            state = proposal.closer or state
            return ended(proposal.ended)
        if _stalled(steps, decrement):
            return ended("stalled")
        if len(steps) == problem.maxiter:
            return ended("maxiter")
        if not asked and (len(steps) >= PATIENCE or proposal.suspicious):
            asked = True
            active = problem.active
            found = certificate(problem.map.rows.part(active), problem.signs[active], problem.g)
            if found is not None:
                return ended("no preimage", found)
        following = proposal.search()
        if following is None:
            return ended("stalled")
        state, length = following
        steps.append(Step(decrement, length, proposal.cg_iterations, proposal.rows))
        try:
            trace.progress(name, decrement, state.x)
        except Stopped:
            return ended("stopped")


def _stalled(steps: list[Step], decrement: float) -> bool:
    """Whether full steps no longer halve the decrement, so that only rounding is left."""
    if len(steps) <= PATIENCE:
        return False
    before = min(step.decrement for step in steps[:-PATIENCE])
    latest = min(decrement, *(step.decrement for step in steps[-PATIENCE:]))
    return before < QUADRATIC and latest > 0.5 * before
