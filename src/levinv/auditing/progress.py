"""What an audit tells a callback of its parts: two inversions, standard errors, later attacks."""
from __future__ import annotations

from dataclasses import dataclass

from scipy.optimize import OptimizeResult

from levinv.inverse.result import ResultCallback


@dataclass(frozen=True)
class Told:
    """Calls the callback of an audit, if there is one."""

    callback: ResultCallback | None

    def __call__(self, part: str, of_inversion: OptimizeResult | None = None) -> None:
        """Tell that a part begins, or of an iteration of its inversion."""
        if self.callback is None:
            return
        told = of_inversion or OptimizeResult(x=None, nit=0, stage="", error=None)
        stage = f"{part}: {told.stage}" if told.stage else part
        try:
            self.callback(intermediate_result=OptimizeResult(told, stage=stage))
        except StopIteration as error:
            # an inversion would take it as its own end, and the audit would judge half an attack
            raise RuntimeError("callback must not stop an audit by StopIteration") from error

    def of(self, part: str) -> ResultCallback | None:
        """A callback for the inversion of a part, which begins."""
        if self.callback is None:
            return None
        self(part)

        def tell(intermediate_result: OptimizeResult) -> None:
            self(part, intermediate_result)

        return tell
