"""How many threads BLAS may use, while a call lasts.

threadpoolctl's limit is global to the process: overlapping limits from two threads would restore each
other's value. They are counted, therefore: the first in sets the limit, the last out restores it.
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


@contextlib.contextmanager
def blas_threads(workers):
    """Limit BLAS to ``workers`` threads; None leaves it alone. Among overlapping calls the first decides.

    Raises
    ------
    ValueError, TypeError
        If workers is neither None nor an int of at least 1.
    """
    if workers is None:
        yield
        return
    _limit.enter(_validate.positive_int(workers, "workers"))
    try:
        yield
    finally:
        _limit.leave()
