"""Many threads, forks, other processes and interrupts: the bits of one thread that is let alone,
and nothing left behind.
"""
import concurrent.futures
import contextlib
import copy
import functools
import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import threadpoolctl
from numpy.testing import assert_equal

import levinv
from levinv import _parallel
from levinv._kernels import dense

THREADS = 8


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before = blas_threads()
    yield
    at_rest(before)


def blas_threads():
    """Of each BLAS: NumPy's and SciPy's wheels bring one each."""
    return [library.num_threads for library in _parallel._blas()]


def at_rest(blas):
    """Nobody at work, no limit held; helpers may be about to leave."""
    deadline = time.monotonic() + 20
    while _parallel._helpers.working and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not _parallel._helpers.working
    assert not _parallel._limit.users and not _parallel._limit.before
    assert _parallel._outer.get() is None
    assert blas_threads() == blas


def together(calls, rounds):
    """What each call returns, made so many times by each of several threads, in orders of their
    own.
    """
    start = threading.Barrier(THREADS)

    def work(seed):
        order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(calls)), rounds))
        start.wait()
        return [(i, calls[i]()) for i in order]

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return [found for part in pool.map(work, range(THREADS)) for found in part]


def evaluations(A, b, scores, points):
    """All methods of all objects at all points, the objects shared."""
    at, loss = levinv.LeverageMap(A, b), levinv.ScoreLoss(A, b, scores, ridge=0.1)
    barrier, gradient = levinv.VolumetricBarrier(A, b), levinv.GradientLoss(A, b, points[0])
    methods = [at.scores, at.jacobian, lambda x: at.vjp(x, b), lambda x: at.jvp(x, points[0]),
               loss.fun, loss.grad, loss.hess, lambda x: loss.hessp(x, points[0]),
               barrier.fun, barrier.grad, barrier.hess, gradient.fun, gradient.grad, gradient.hess]
    return [functools.partial(method, x) for x in points for method in methods]


@pytest.mark.parametrize("n, d, rounds", [(200, 4, 3), (12_000, 10, 1)])
def test_objects_shared_by_threads(rng, n, d, rounds):
    A, b, points = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal((3, d))
    scores = rng.random(n)
    expected = [call() for call in evaluations(A, b, scores, points)]
    for i, found in together(evaluations(A, b, scores, points), rounds):
        assert_equal(found, expected[i])


def test_functions_in_many_threads(rng):
    A, b, x = rng.standard_normal((60, 4)), rng.standard_normal(60), rng.standard_normal(4)
    large, stack = rng.standard_normal((30_000, 20)), rng.standard_normal((200, 40, 4))
    scores = levinv.leverage_scores(A, slack=A @ x - b)
    gradient = levinv.VolumetricBarrier(A, b).grad(x)
    calls = [
        lambda: levinv.leverage_scores(A),
        lambda: levinv.leverage_scores(large),
        lambda: levinv.leverage_scores(large, workers=2),
        lambda: levinv.leverage_scores(stack, workers=3),
        lambda: levinv.invert_scores(A, b, scores, rng=0).x,
        lambda: levinv.invert_many(A, [b] * 9, [scores] * 9, rng=0, workers=2).x,
        lambda: levinv.invert_gradient(A, b, gradient, signs=np.sign(A @ x - b)).x,
        lambda: levinv.forster_weights(A),
    ]
    expected = [call() for call in calls]
    for i, found in together(calls, 1):
        assert_equal(found, expected[i])


def test_copies_of_objects(rng):
    A, b, x = rng.standard_normal((60, 4)), rng.standard_normal(60), rng.standard_normal(4)
    loss = levinv.ScoreLoss(A, b, rng.random(60))
    expected = loss.hess(x)
    for other in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss), copy.copy(loss)):
        assert_equal(other.hess(x), expected)


# processes

@contextlib.contextmanager
def at_work(call):
    """While this lasts another thread makes the call over and over."""
    stop, running = threading.Event(), threading.Event()

    def work():
        while not stop.is_set():
            call()
            running.set()

    thread = threading.Thread(target=work)
    thread.start()
    running.wait()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forks_while_helpers_work(rng):
    A, small = rng.standard_normal((30_000, 20)), rng.standard_normal((50, 3))
    expected, of_small = levinv.leverage_scores(A, workers=2), levinv.leverage_scores(small)
    call = functools.partial(levinv.leverage_scores, A, workers=2)
    blas = blas_threads()
    with at_work(call), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)    # of forks where there are threads
        for _ in range(15):
            child = os.fork()
            if not child:
                signal.alarm(20)                                   # ends a child that hangs
                right = (blas_threads() == blas and np.array_equal(call(), expected)
                         and np.array_equal(levinv.leverage_scores(small), of_small))
                os._exit(0 if right else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_other_processes(rng, method):
    A = rng.standard_normal((30_000, 20))
    loss = levinv.ScoreLoss(A[:100], A[:100, 0], np.full(100, 0.1))
    expected = levinv.leverage_scores(A, workers=2), loss.hess(A[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context(method).Pool(1) as pool:
            found = (pool.apply_async(levinv.leverage_scores, (A,), {"workers": 2}).get(60),
                     pool.apply_async(loss.hess, (A[0],)).get(60))
    assert_equal(found, expected)


# what goes wrong

def test_every_blas_is_limited_and_restored(rng):
    names = {pool["filepath"] for pool in threadpoolctl.threadpool_info()
             if pool["user_api"] == "blas"}
    assert len(names) == len(blas_threads())
    A, slack = rng.standard_normal((30_000, 20)), np.ones(30_000)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with _parallel.sharing(2):
            assert set(blas_threads()) == {1}
        assert blas_threads() == before
        for failure in range(1, 8):
            dense.fail_allocation(failure)
            try:
                levinv.leverage_scores(A, slack=slack, workers=2)
            except MemoryError:
                pass
            dense.fail_allocation(0)
            assert blas_threads() == before
        slack[0] = slack[1] = 0.0
        A[1] = A[0]
        with pytest.raises(ValueError, match="slack"):
            levinv.leverage_scores(A, slack=slack, workers=2)
        assert blas_threads() == before


@pytest.mark.parametrize("place", [_parallel._limit, _parallel._helpers])
def test_an_interrupt_while_a_call_ends_is_raised_when_it_has_ended(monkeypatch, place):
    leave, errors = place.leave, [KeyboardInterrupt, KeyboardInterrupt]
    here = threading.get_ident()                 # no interrupt strikes a helper

    def strike(user):
        if errors and threading.get_ident() == here:
            raise errors.pop()
        leave(user)

    monkeypatch.setattr(place, "leave", strike)
    with pytest.raises(KeyboardInterrupt), _parallel.sharing(2):
        _parallel.share(id, range(4), 2)
    assert not errors


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
@pytest.mark.usefixtures("collector_at_rest")
def test_interrupts_at_any_moment(rng):
    A = rng.standard_normal((4000, 12))
    expected, before = levinv.leverage_scores(A, workers=1), blas_threads()

    def nothing():
        with _parallel.sharing(2) as workers:
            _parallel.share(id, range(4), workers)

    def scores():
        assert_equal(levinv.leverage_scores(A, workers=2), expected)

    usual = signal.signal(signal.SIGALRM, signal.default_int_handler)
    moments = np.random.default_rng(0).uniform(1e-5, 4e-4, 400)
    try:
        for i, moment in enumerate(moments):
            try:
                signal.setitimer(signal.ITIMER_REAL, moment, 1.0)     # and again, if lost
                while True:
                    (scores if i % 4 == 0 else nothing)()
            except KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
            at_rest(before)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, usual)
    scores()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
@pytest.mark.usefixtures("collector_at_rest")
def test_an_interrupt_while_helpers_work_is_heard_at_once(rng):
    A = rng.standard_normal((200_000, 100))
    levinv.leverage_scores(A[:100])
    before, heard = blas_threads(), []
    usual = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for moment in (0.01, 0.03, 0.05):
            start = time.perf_counter()
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, moment, 1.0)     # and again, if lost
                while True:
                    levinv.leverage_scores(A, workers=2)
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            heard.append(time.perf_counter() - start - moment)
            at_rest(before)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, usual)
    assert max(heard) < 0.2
