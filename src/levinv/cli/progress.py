"""Progress of long work on stderr: a tqdm bar or, without tqdm, a line every few seconds."""
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

PROGRESS_DELAY = 1.0           # seconds; shorter work shows no progress
PROGRESS_INTERVAL = 5.0        # seconds between two lines


class Progress:
    """A callback for :func:`levinv.invert_scores` that shows its stage, iterations and error.

    The total number of iterations is not known in advance. So a counter and a clock are shown
    instead of a percentage. Nothing is shown if ``shown`` is False.
    """

    def __init__(self, shown: bool = True) -> None:
        self._display = _display() if shown else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._display is not None:
            self._display.close()

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        if self._display is not None:
            stage = getattr(intermediate_result, "stage", None)
            error = getattr(intermediate_result, "error", getattr(intermediate_result, "fun", None))
            self._display.step("inverting" if stage is None else str(stage),
                               "" if error is None else f"error {float(error):.1e}")


def _display() -> _Bar | _Lines:
    try:
        import tqdm
    except ImportError:
        return _Lines()
    return _Bar(tqdm.tqdm)


class _Bar:
    def __init__(self, tqdm: Callable[..., Any]) -> None:
        self._bar = tqdm(desc="inverting", delay=PROGRESS_DELAY, leave=False, file=sys.stderr,
                         dynamic_ncols=True,
                         bar_format="{desc}: {n_fmt} iterations, {elapsed}{postfix}")

    def step(self, stage: str, error: str) -> None:
        self._bar.set_description_str(stage, refresh=False)
        self._bar.set_postfix_str(error, refresh=False)
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


class _Lines:
    def __init__(self) -> None:
        self._start = time.monotonic()
        self._next = self._start + PROGRESS_DELAY
        self._count = 0

    def step(self, stage: str, error: str) -> None:
        self._count += 1
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_INTERVAL
            print(f"levinv: {stage}, {self._count} iterations, {now - self._start:.0f} s"
                  + (f", {error}" if error else ""), file=sys.stderr, flush=True)

    def close(self) -> None:
        pass
