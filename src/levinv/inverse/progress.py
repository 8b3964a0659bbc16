"""The caller's callback, and the counts of work that a result reports."""
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Protocol, TypeAlias

from scipy.optimize import OptimizeResult

from levinv._typing import Floats


class ResultCallback(Protocol):
    """A callback with a parameter named ``intermediate_result``, as in SciPy."""

    def __call__(self, intermediate_result: OptimizeResult) -> object:
        """After an iteration: ``nit``, ``stage``, ``error`` and ``x`` (or None)."""


Callback: TypeAlias = ResultCallback | Callable[[Floats], object]


class Stopped(Exception):
    """The callback raised StopIteration."""


class Progress:
    """Calls the callback in SciPy's two ways and counts the work of one call.

    This is the only object that an inversion changes: iterations ``nit``, evaluations of the scores
    ``nfev`` and ``latest``, the x of the last iteration that had one.
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
        """Count one more iteration of ``stage``, with its error max|sigma - c| or similar.

        Raises
        ------
        Stopped
            If the callback raises StopIteration.
        """
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
