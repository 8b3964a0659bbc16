"""Threads: rows are shared out among a few of our own, BLAS stays on the thread that calls it.

BLAS's own threads gain little on blocks of rows and, spinning, lose a factor of twenty and more on
a busy machine (20000 x 200 with two threads, one core taken: 1750 ms against 75 ms). Chunks of rows
taken from one queue gain nearly the number of cores and lose nothing where one core is busy.

How many: ``workers``, or by default as many as BLAS may use (``OPENBLAS_NUM_THREADS``,
threadpoolctl) where a call is long enough for that to pay. Callers who thread themselves are not
given more threads than there are cores: those at work are counted.

Chunks do not depend on the number of workers, and sums over chunks are taken in their order:
results are the same to the last bit for any number of workers.

What must be undone at the end of a call is undone even if Ctrl-C strikes meanwhile: it is begun
anew until it is through, and may be, therefore, any number of times.

threadpoolctl's limit is global to the process: overlapping limits from two threads would restore
each other's value. They are counted, therefore: the first in sets the limit, the last out restores
it.
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
from typing import Any, Generic, TypeVar

import threadpoolctl

from levinv._scalars import positive_int

T = TypeVar("T")

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SMALL = 1 << 21               # flops below which BLAS stays on the caller's thread by itself;
                              # setting a limit takes 15 µs
LONG = 1 << 31                # flops of a factorisation beyond which it goes to a thread of its
                              # own, a tenth of a second and more
HEARD = 0.02                  # seconds after which Ctrl-C is heard meanwhile
WORTH_SHARING = 3 << 24       # flops below which a second thread does not pay: two cores gain 1.2
                              # on 10000 x 40, 1.6 on 20000 x 50, 1.85 on 20000 x 200, and lose 0.9
                              # on 20000 x 20


@functools.cache
def _controller() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()     # takes milliseconds: built once


class _Limit:
    """Callers inside are a set: leaving it is harmless wherever an interrupt struck, and the
    numbers of threads before are kept until all of them are restored.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users: set[object] = set()
        # libraries and their numbers of threads
        self.before: list[tuple[Any, int | None]] = []

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
    """From version 3.8 on threadpoolctl obeys the thread that first set a limit and ignores all
    others, silently, until that one has let go; the last out is rarely the first in.
    """
    let_go = getattr(library, "clear_controlling_thread", None)
    if let_go is not None:
        let_go(force=True)
    if threads is not None:
        library.set_num_threads(threads)
    if let_go is not None:
        let_go(force=True)


_limit = _Limit()
_outer: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "workers of the call that this one is a part of", default=None)


def count(workers: int | None, flops: float) -> int:
    """The number of threads that rows are to be shared among; to be asked before BLAS is limited.

    Raises
    ------
    ValueError, TypeError
        If workers is neither None nor an int of at least 1.
    """
    if workers is not None:
        return positive_int(workers, "workers")
    outer = _outer.get()
    if outer is not None:
        return outer
    if flops < WORTH_SHARING:
        return 1
    return max((library.num_threads or 1 for library in _blas()), default=1)


@contextlib.contextmanager
def sharing(workers: int | None = None, flops: float = SMALL) -> Iterator[int]:
    """While it lasts BLAS keeps to the caller's thread; the value is that of :func:`count`."""
    workers = count(workers, flops)
    if flops < SMALL:
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
    """Threads that wait for jobs, as many as there are cores but one; started at the first job.

    A job is handed over in a few microseconds, where an executor of the standard library takes
    tens: as long as the work itself on 20000 x 50.
    """

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.started = 0
        self.working: set[object] = set()     # threads inside share, callers and helpers

    def enter(self, thread: object) -> int:
        """Count a thread in; the number of cores that are left."""
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
    """Threads do not survive a fork, nor do their locks open or their limits end."""
    global _helpers                      # noqa: PLW0603
    _helpers = _Helpers()
    _limit.lock = threading.Lock()
    if _outer.get() is None:                     # only others were inside
        _limit.users.clear()
        _limit.leave(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def share(work: Callable[[T], object], items: Sequence[T], workers: int) -> None:
    """Call ``work`` with each of the items, on up to ``workers`` threads of which the caller's is
    one, as far as there are cores for them.

    Helpers that are busy elsewhere are not waited for, and leave when another call needs their
    core. An exception, Ctrl-C among them, ends the work after the items under way.
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
                waiting.clear()       # not empty where an interrupt came before the work
                helpers.leave(caller)
                break
            except KeyboardInterrupt as another:
                interrupt = another
        errors = [job.finish() for job in jobs]
    for error in [interrupt, *errors]:
        if error is not None:
            raise error


class _Job:
    """A call for a helper, unless it is finished before one comes to it."""

    def __init__(self, call: Callable[[], None]):
        self.call = call
        self.taken = threading.Lock()
        self.outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def __call__(self) -> None:
        if self.taken.acquire(blocking=False):
            try:
                self.call()
            except BaseException as error:           # raised where the work was asked for
                self.outcome.put(error)
            else:
                self.outcome.put(None)

    def finish(self) -> BaseException | None:
        """Wait for it if it was begun; its error, or None."""
        return None if self.taken.acquire(blocking=False) else self.outcome.get()


def aside(call: Callable[[], T], flops: float = math.inf) -> T:
    """The value of ``call()``, on a thread of its own if it takes long: for libraries that let no
    signal through.

    Ctrl-C is heard at once; what was called then goes on unseen to its end.
    """
    if flops < LONG:
        return call()
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:               # raised where the work was asked for
            outcome.put((None, error))

    threading.Thread(target=contextvars.copy_context().run, args=(work,), name="levinv-aside",
                     daemon=True).start()
    value: T
    while True:
        try:
            value, error = outcome.get(timeout=HEARD)    # a signal may come to the other thread
            break
        except queue.Empty:
            continue
    if error is not None:
        raise error
    return value


class OrderedSum(Generic[T]):
    """The sum of what arrives in any order, taken in the order of the positions; or what else
    ``combine`` makes of two.
    """

    def __init__(self, *start: T, combine: Callable[[T, T], T] = operator.iadd):
        self.parts = list(start)
        self.combine = combine
        self.waiting: dict[int, T] = {}
        self.position = 0
        self.lock = threading.Lock()

    def add(self, position: int, array: T) -> None:
        """One more summand; each position 0, 1, ... once."""
        with self.lock:
            self.waiting[position] = array
            while self.position in self.waiting:
                self.parts.append(self.waiting.pop(self.position))
                self.parts = [functools.reduce(self.combine, self.parts)]
                self.position += 1

    @property
    def total(self) -> T:
        """What has been put together."""
        return self.parts[0]
