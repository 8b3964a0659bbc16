"""How many threads BLAS may use, while a call lasts: one, unless more are asked for.

Blocks of rows are too small for BLAS's own threads: they gain little on an idle machine and,
spinning, lose a factor of twenty and more on a busy one (20000 x 200 with two threads, one core
taken: 1750 ms against 75 ms).

threadpoolctl's limit is global to the process: overlapping limits from two threads would restore
each other's value. They are counted, therefore: the first in sets the limit, the last out restores
it.
"""
import contextlib
import functools
import threading

import threadpoolctl

from levinv import _validate


@functools.cache
def _controller():
    return threadpoolctl.ThreadpoolController()     # takes milliseconds: built once


class _Limit:
    def __init__(self):
        self.lock = threading.Lock()
        self.users = 0
        self.active = None

    def enter(self, threads):
        with self.lock:
            if self.users == 0:
                self.active = _controller().limit(limits=threads, user_api="blas")
                self.active.__enter__()
            self.users += 1

    def leave(self):
        with self.lock:
            self.users -= 1
            if self.users == 0:
                self.active.__exit__(None, None, None)
                self.active = None


_limit = _Limit()


SMALL = 1 << 21         # flops below which BLAS stays on the caller's thread by itself; setting a
                        # limit takes 15 µs


@contextlib.contextmanager
def blas_threads(workers=None, flops=SMALL):
    """Limit BLAS to ``workers`` threads, default one. Among overlapping calls the first decides.

    Raises
    ------
    ValueError, TypeError
        If workers is neither None nor an int of at least 1.
    """
    if workers is None and flops < SMALL:
        yield
        return
    _limit.enter(1 if workers is None else _validate.positive_int(workers, "workers"))
    try:
        yield
    finally:
        _limit.leave()
