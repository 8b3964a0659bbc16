"""Threads: blocks of rows are shared among our own threads; BLAS uses the thread that calls it.

BLAS's own threads gain little on blocks of rows. They spin while they wait, so that they are twenty
times slower on a busy machine (20000 x 200 with two threads, one core taken: 1750 ms against
75 ms). Threads that take chunks of rows from one queue gain nearly the number of cores, and lose
nothing where one core is busy.

The number of threads is ``workers``. By default it is the number that BLAS may use
(``OPENBLAS_NUM_THREADS``, threadpoolctl) if a call is long enough, else 1. All threads at work are
counted, so that callers with threads of their own do not get more threads than there are cores.

Chunks do not depend on the number of workers, and sums over chunks are added in their order.
Results are therefore the same to the last bit for any number of workers.

Cleanup survives Ctrl-C: it is repeated until it completes, so it has to be idempotent.

The limit that threadpoolctl sets is global to the process, and overlapping limits of two threads
would restore each other's value. Users of the limit are therefore counted: the first one sets it,
the last one restores it.
"""
import collections
import contextlib
import contextvars
import functools
import math
import operator
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import threadpoolctl

from levinv._scalars import positive_int
from levinv._tolerances import BLAS_LIMIT, HEARD, LONG, WORTH_SHARING

T = TypeVar("T")
V = TypeVar("V")

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _controller() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()     # takes milliseconds: built once


class _Limit:
    """BLAS uses one thread while there are users. They form a set: to leave twice is harmless."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users: set[object] = set()
        self.before: list[tuple[Any, int | None]] = []     # libraries and threads to restore

    def enter(self, user: object) -> None:
        with self.lock:
            self.users.add(user)
            if len(self.users) == 1:
                self.before = self.before or [(library, library.num_threads)
                                              for library in _blas()]
                for library, _ in self.before:
                    _set_threads(library, 1)

    def leave(self, user: object) -> None:
        with self.lock:
            self.users.discard(user)
            if not self.users:
                for library, threads in self.before:
                    _set_threads(library, threads)
                self.before = []


def _blas() -> list[Any]:
    return [library for library in _controller().lib_controllers if library.user_api == "blas"]


def _set_threads(library: Any, threads: int | None) -> None:
    """Set a number of threads, from any thread.

    threadpoolctl 3.8 and later obeys only the thread that first set a limit, until this thread
    releases it. The last user is rarely the first one.
    """
    release = getattr(library, "clear_controlling_thread", lambda force: None)
    release(force=True)
    if threads is not None:
        library.set_num_threads(threads)
    release(force=True)


_limit = _Limit()
_outer: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "workers of the enclosing call", default=None)


def count(workers: int | None, flops: float) -> int:
    """The number of threads that share the rows; call it before BLAS is limited."""
    if workers is not None:
        return positive_int(workers, "workers")
    outer = _outer.get()
    if outer is not None:
        return outer
    if flops < WORTH_SHARING:
        return 1
    return max((library.num_threads or 1 for library in _blas()), default=1)


@contextlib.contextmanager
def sharing(workers: int | None = None, flops: float = BLAS_LIMIT) -> Iterator[int]:
    """A context in which BLAS uses the caller's thread only. Its value is that of :func:`count`."""
    workers = count(workers, flops)
    if flops < BLAS_LIMIT:
        yield workers
        return
    user, outer, interrupt = object(), _outer.get(), None
    try:
        _outer.set(workers)
        _limit.enter(user)
        yield workers
    finally:
        while True:
            try:
                _outer.set(outer)
                _limit.leave(user)
                break
            except KeyboardInterrupt as another:
                interrupt = another
        if interrupt is not None:
            raise interrupt


class _Helpers:
    """Threads that wait for jobs, at most one less than there are cores; started when needed.

    Handing over a job takes a few microseconds. An executor of the standard library takes tens,
    as long as the work itself on 20000 x 50.
    """

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.started = 0
        self.working: set[object] = set()     # threads inside share: callers and helpers

    def enter(self, thread: object) -> int:
        """Count a thread; the number of cores that are left."""
        with self.lock:
            self.working.add(thread)
            return CORES - len(self.working)

    def leave(self, thread: object) -> None:
        with self.lock:
            self.working.discard(thread)

    def hand_over(self, jobs: Sequence[Callable[[], None]]) -> None:
        with self.lock:
            while self.started < len(jobs):
                threading.Thread(target=self._work, name=f"levinv-{self.started + 1}",
                                 daemon=True).start()
                self.started += 1
        for job in jobs:
            self.jobs.put(job)

    def _work(self) -> None:
        while True:
            self.jobs.get()()


_helpers = _Helpers()


def _start_anew() -> None:
    """Reset after a fork: threads are gone, but their locks and limits would remain."""
    global _helpers                      # noqa: PLW0603
    _helpers = _Helpers()
    _limit.lock = threading.Lock()
    if _outer.get() is None:                     # only other threads used the limit
        _limit.users.clear()
        _limit.leave(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def share(work: Callable[[T], object], items: Sequence[T], workers: int) -> None:
    """Call ``work`` with each of the items, on up to ``workers`` threads, the caller's included.

    There are no more threads than free cores. The call does not wait for helpers that are busy,
    and helpers leave it when another call needs their core. After an exception, such as Ctrl-C,
    no further item is begun.
    """
    if workers == 1 or len(items) == 1:
        for item in items:
            work(item)
        return
    waiting, helpers = collections.deque(items), _helpers

    def drain(most_working: float) -> None:
        try:
            while len(helpers.working) <= most_working:
                try:
                    item = waiting.popleft()
                except IndexError:
                    return
                work(item)
        except BaseException:
            waiting.clear()
            raise

    def help_out() -> None:
        helper = object()
        try:
            helpers.enter(helper)
            drain(CORES)
        finally:
            helpers.leave(helper)

    caller, jobs, interrupt = object(), [], None
    try:
        free = helpers.enter(caller)
        jobs += [_Job(help_out) for _ in range(min(workers - 1, len(items) - 1, free))]
        helpers.hand_over(jobs)
        drain(math.inf)
    finally:
        while True:
            try:
                waiting.clear()       # it has items if an interrupt came before the work
                helpers.leave(caller)
                break
            except KeyboardInterrupt as another:
                interrupt = another
        errors = [job.finish() for job in jobs]
    for error in [interrupt, *errors]:
        if error is not None:
            raise error


class _Job:
    """A call that another thread runs, unless :meth:`finish` comes first; its value and error."""

    def __init__(self, call: Callable[[], object]):
        self.call = call
        self.taken = threading.Lock()
        self.outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def __call__(self) -> None:
        if self.taken.acquire(blocking=False):
            try:
                self.outcome.put((self.call(), None))
            except BaseException as error:           # the caller raises it
                self.outcome.put((None, error))

    def finish(self) -> BaseException | None:
        """Wait for the call if it was begun; its error, or None."""
        return None if self.taken.acquire(blocking=False) else self.outcome.get()[1]


def aside(call: Callable[[], T], flops: float = math.inf) -> T:
    """The value of ``call()``, which runs on a thread of its own if it is long. Ctrl-C then works
    at once, although LAPACK or HiGHS is busy; the call continues in the background.
    """
    if flops < LONG:
        return call()
    job = _Job(call)
    threading.Thread(target=contextvars.copy_context().run, args=(job,), name="levinv-aside",
                     daemon=True).start()
    value: T
    while True:
        try:
            value, error = job.outcome.get(timeout=HEARD)    # the other thread may get the signal
            break
        except queue.Empty:
            continue
    if error is not None:
        raise error
    return value


def summed(value: Callable[[T], V], items: Sequence[T], workers: int, *start: V,
           combine: Callable[[V, V], V] = operator.iadd) -> V:
    """The sum (or another ``combine``) of the items' values, which :func:`share` computes, in the
    order of the items.
    """
    waiting: dict[int, V] = {}
    parts, position, lock = list(start), 0, threading.Lock()

    def work(numbered: tuple[int, T]) -> None:
        nonlocal parts, position
        number, item = numbered
        found = value(item)
        with lock:
            waiting[number] = found
            while position in waiting:
                parts = [functools.reduce(combine, [*parts, waiting.pop(position)])]
                position += 1

    share(work, list(enumerate(items)), workers)
    return parts[0]
