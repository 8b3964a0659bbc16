"""The caller's callback, and the counts of iterations and evaluations in a result."""
import inspect
from collections.abc import Callable
from typing import Protocol, TypeAlias

from scipy.optimize import OptimizeResult

from levinv._typing import Floats


class ResultCallback(Protocol):
    """A callback with a parameter named ``intermediate_result``, as in SciPy."""

    def __call__(self, intermediate_result: OptimizeResult) -> object:
        """Called after an iteration with ``nit``, ``stage``, ``error`` and ``x`` (or None)."""


Callback: TypeAlias = ResultCallback | Callable[[Floats], object]


class Stopped(Exception):
    """The callback raised StopIteration."""


class Progress:
    """Counts the work of one inversion and calls the callback in one of SciPy's two forms.

    Stages share this mutable object and the random generator, and no other: ``nit`` iterations,
    ``nfev`` evaluations of the scores, and ``latest``, the last x that was reported.
    """

    def __init__(self, callback: Callback | None) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, got {type(callback).__name__}")
        self.callback: Callable[..., object] | None = callback
        self.nit = 0
        self.nfev = 0
        self.latest: Floats | None = None
        try:
            self.wants_result = (callback is not None and "intermediate_result"
                                 in inspect.signature(callback).parameters)
        except (TypeError, ValueError):              # built-ins without a signature
            self.wants_result = False

    def __call__(self, stage: str, error: float, x: Floats | None = None) -> None:
        """Count an iteration of ``stage``; raises Stopped if the callback raises StopIteration."""
        self.nit += 1
        if x is not None:
            self.latest = x
        if self.callback is None:
            return
        try:
            if self.wants_result:
                self.callback(intermediate_result=OptimizeResult(
                    x=None if x is None else x.copy(), nit=self.nit, stage=stage, error=error))
            elif x is not None:
                self.callback(x.copy())
        except StopIteration:
            raise Stopped from None
