"""What the methods of gradient inversion work on."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from levinv._typing import Booleans, Floats
from levinv.forward.barrier import FullRankMap
from levinv.inverse.barrier_gradient import feasibility as cell
from levinv.inverse.progress import Progress, Stopped

Method: TypeAlias = Literal["newton", "approximate-newton", "least-squares"]


@dataclass
class Task:
    """One inversion: the checked input and what is counted."""

    map: FullRankMap
    b: Floats
    g: Floats
    signs: Floats                 # (n,), +1 or -1
    active: Booleans              # (n,) rows of A that are not zero
    method: Method
    ridge: Floats                 # (n,)
    tol: float
    maxiter: int
    progress: Progress
    nfev: int = 0
    evidence: dict[str, Any] = field(default_factory=dict)

    def report(self, decrement: float, x: Floats) -> bool:
        """Count a step and tell the callback; False if it asks to stop."""
        try:
            self.progress(self.method, decrement, x)
        except Stopped:
            return False
        return True

    def certificate(self) -> Floats | None:
        """A direction that shows that g has no preimage in the cell, or None."""
        return cell.certificate(self.map.rows.part(self.active), self.signs[self.active], self.g)
