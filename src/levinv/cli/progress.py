"""Progress of long work, on stderr: a tqdm bar, or a plain line now and then without tqdm."""
import sys
import time

DELAY = 1.0              # seconds; shorter work shows nothing
PLAIN_INTERVAL = 5.0     # seconds between plain lines


class Progress:
    """A callback for :func:`levinv.invert_scores` that shows its stage, iterations and error.

    How many iterations there will be is not known, so there is a counter and a clock instead of a
    percentage.

    Parameters
    ----------
    shown : bool
        False makes every method a no-op.
    """

    def __init__(self, shown=True):
        self._display = _display() if shown else None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._display is not None:
            self._display.close()

    def __call__(self, intermediate_result):
        if self._display is not None:
            stage = getattr(intermediate_result, "stage", None)
            error = getattr(intermediate_result, "error", getattr(intermediate_result, "fun", None))
            self._display.step("inverting" if stage is None else str(stage),
                               "" if error is None else f"error {float(error):.1e}")


def _display():
    try:
        import tqdm
    except ImportError:
        return _Lines()
    return _Bar(tqdm.tqdm)


class _Bar:
    def __init__(self, tqdm):
        self._bar = tqdm(desc="inverting", delay=DELAY, leave=False, file=sys.stderr,
                         dynamic_ncols=True,
                         bar_format="{desc}: {n_fmt} iterations, {elapsed}{postfix}")

    def step(self, stage, error):
        self._bar.set_description_str(stage, refresh=False)
        self._bar.set_postfix_str(error, refresh=False)
        self._bar.update()

    def close(self):
        self._bar.close()


class _Lines:
    def __init__(self):
        self._start = time.monotonic()
        self._next = self._start + DELAY
        self._count = 0

    def step(self, stage, error):
        self._count += 1
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PLAIN_INTERVAL
            print(f"levinv: {stage}, {self._count} iterations, {now - self._start:.0f} s"
                  + (f", {error}" if error else ""), file=sys.stderr, flush=True)

    def close(self):
        pass
