"""The caller's callback, the limits of an inversion, and the counts of its work in the result."""
import inspect
from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
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
    """Limits and counts the work of one inversion; calls the callback in one of SciPy's two forms.

    Stages share this mutable object and no other: the random generator ``rng``, ``nit`` iterations,
    ``nfev`` evaluations of the scores, and ``latest``, the last x that was reported. ``maxiter``
    limits stage 1 and stage 4, ``restarts`` the starts of the sign search on each component.
    """

    def __init__(self, callback: Callback | None, rng: np.random.Generator,
                 maxiter: int | None = None, restarts: int = 1) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, got {type(callback).__name__}")
        self.callback: Callable[..., object] | None = callback
        self.rng, self.maxiter, self.restarts = rng, maxiter, restarts
        self.nit = self.nfev = 0
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
