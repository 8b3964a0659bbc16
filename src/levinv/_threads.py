"""Threads: rows are shared out among a few of our own, BLAS stays on the thread that calls it.

BLAS's own threads gain little on blocks of rows and, spinning, lose a factor of twenty and more on a
busy machine (20000 x 200 with two threads, one core taken: 1750 ms against 75 ms). Chunks of rows
taken from one queue gain nearly the number of cores and lose nothing where one core is busy.

How many: ``workers``, or by default as many as BLAS may use (``OPENBLAS_NUM_THREADS``, threadpoolctl)
where a call is long enough for that to pay: handing chunks to another thread takes about 75 µs. While
a call lasts BLAS is limited to one thread; a second call meanwhile sees that and stays on its own
thread, so that callers who thread themselves are not given more threads than they have cores.

Chunks do not depend on the number of workers, and sums over chunks are taken in their order: results
are the same to the last bit for any number of workers.

threadpoolctl's limit is global to the process: overlapping limits from two threads would restore
each other's value. They are counted, therefore: the first in sets the limit, the last out restores
it.
"""
import collections
import concurrent.futures
import contextlib
import contextvars
import functools
import os
import threading

import threadpoolctl

from levinv import _validate

SMALL = 1 << 21         # flops below which BLAS stays on the caller's thread by itself; setting a
                        # limit takes 15 µs
WORTH_SHARING = 1 << 25               # flops below which a second thread does not pay


@functools.cache
def _controller():
    return threadpoolctl.ThreadpoolController()     # takes milliseconds: built once


class _Limit:
    def __init__(self):
        self.lock = threading.Lock()
        self.users = 0
        self.active = None

    def enter(self):
        with self.lock:
            if self.users == 0:
                self.active = _controller().limit(limits=1, user_api="blas")
                self.active.__enter__()
            self.users += 1

    def leave(self):
        with self.lock:
            self.users -= 1
            if self.users == 0:
                self.active.__exit__(None, None, None)
                self.active = None


_limit = _Limit()
_outer = contextvars.ContextVar("workers of the call that this one is a part of", default=None)


@contextlib.contextmanager
def sharing(workers=None, flops=SMALL):
    """While it lasts BLAS keeps to the caller's thread; the value is the number of threads that
    rows are to be shared among.

    Raises
    ------
    ValueError, TypeError
        If workers is neither None nor an int of at least 1.
    """
    if workers is not None:
        workers = _validate.positive_int(workers, "workers")
    elif _outer.get() is not None:
        workers = _outer.get()
    elif flops < WORTH_SHARING:
        workers = 1
    else:
        workers = max((library.num_threads or 1 for library in _controller().lib_controllers
                       if library.user_api == "blas"), default=1)
    if flops < SMALL:
        yield workers
        return
    _limit.enter()
    token = _outer.set(workers)
    try:
        yield workers
    finally:
        _outer.reset(token)
        _limit.leave()


@functools.cache
def _pool():
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="levinv")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)     # threads do not survive a fork


def share(work, items, workers):
    """Call ``work`` with each of the items, on up to ``workers`` threads of which the caller's is
    one.

    Helpers of the pool that are busy elsewhere are not waited for. An exception, Ctrl-C among
    them, ends the work after the items under way.
    """
    if workers == 1 or len(items) == 1:
        for item in items:
            work(item)
        return
    queue = collections.deque(items)

    def drain():
        try:
            while True:
                try:
                    item = queue.popleft()
                except IndexError:
                    return
                work(item)
        except BaseException:
            queue.clear()
            raise

    helpers = [_pool().submit(drain) for _ in range(min(workers, len(items)) - 1)]
    try:
        drain()
    finally:
        started = [helper for helper in helpers if not helper.cancel()]
        concurrent.futures.wait(started)
    for helper in started:
        helper.result()


class OrderedSum:
    """The sum of arrays that arrive in any order, taken in the order of their positions."""

    def __init__(self, total):
        self.total = total
        self.waiting = {}
        self.position = 0
        self.lock = threading.Lock()

    def add(self, position, array):
        """One more summand; each position 0, 1, ... once."""
        with self.lock:
            self.waiting[position] = array
            while self.position in self.waiting:
                self.total += self.waiting.pop(self.position)
                self.position += 1
