"""Progress of long work on stderr: a tqdm bar or, without tqdm, a line every few seconds."""
from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

PROGRESS_DELAY = 1.0           # seconds; shorter work shows no progress
PROGRESS_INTERVAL = 5.0        # seconds between two lines


class Progress:
    """A callback for :func:`levinv.invert_scores` and :func:`levinv.audit`: it shows the stage,
    the number of iterations and the error.

    The total number of iterations is not known in advance. So a counter and a clock are shown
    instead of a percentage. Nothing is shown if ``shown`` is False.
    """

    def __init__(self, shown: bool = True) -> None:
        self._shown, self._count, self._start = shown, 0, time.monotonic()
        self._next = self._start + PROGRESS_DELAY
        self._bar: Any = None

    def __enter__(self) -> Self:
        self._bar = None                   # it may be entered again, after something is printed
        with contextlib.suppress(ImportError):
            if self._shown:
                import tqdm
                self._bar = tqdm.tqdm(desc="inverting", delay=PROGRESS_DELAY, leave=False,
                                      file=sys.stderr, dynamic_ncols=True,
                                      miniters=1,      # after fast stages, slow ones show as well
                                      bar_format="{desc}: {n_fmt} iterations, {elapsed}{postfix}")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        if not self._shown:
            return
        stage = str(getattr(intermediate_result, "stage", "inverting"))
        error = getattr(intermediate_result, "error", getattr(intermediate_result, "fun", None))
        said = "" if error is None else f"error {float(error):.1e}"
        self._count += 1
        now = time.monotonic()
        if self._bar is not None:
            self._bar.set_description_str(stage, refresh=False)
            self._bar.set_postfix_str(said, refresh=False)
            self._bar.update()
        elif now >= self._next:
            self._next = now + PROGRESS_INTERVAL
            print(f"levinv: {stage}, {self._count} iterations, {now - self._start:.0f} s"
                  + (f", {said}" if said else ""), file=sys.stderr, flush=True)
