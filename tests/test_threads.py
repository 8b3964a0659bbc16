"""Objects shared between threads, and the limit on BLAS threads."""
import concurrent.futures
import multiprocessing
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import scipy.optimize
import threadpoolctl
from numpy.testing import assert_allclose, assert_array_equal

from levinv import LeverageMap, _parallel, invert_gradient, leverage_scores
from levinv._parallel import CORES, aside, share, sharing


def blas_in_use():
    pools = threadpoolctl.threadpool_info()
    return sorted(pool["num_threads"] for pool in pools if pool["user_api"] == "blas")


def test_one_map_shared_by_many_threads(rng):
    A, b = rng.normal(size=(400, 5)), rng.normal(size=400)
    points, v, y = rng.normal(size=(6, 5)), rng.normal(size=5), rng.normal(size=400)
    shared = LeverageMap(A, b)

    def results(leverage, x):
        return leverage.scores(x), leverage.jvp(x, v), leverage.vjp(x, y), leverage.jacobian(x)

    expected = [results(LeverageMap(A, b), x) for x in points]
    start = threading.Barrier(8)

    def work(seed):
        order = np.random.default_rng(seed).integers(len(points), size=30)
        start.wait()
        return [(point, results(shared, points[point])) for point in order]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = [pair for pairs in pool.map(work, range(8)) for pair in pairs]
    assert len(found) == 240
    for point, values in found:
        for value, right in zip(values, expected[point], strict=True):
            assert_allclose(value, right, rtol=0, atol=1e-12 * np.abs(right).max())


@pytest.mark.parametrize("workers", [None, 1, 2, np.int64(3)])
def test_workers_do_not_change_the_scores(rng, workers):
    A, slack = rng.normal(size=(30000, 40)), rng.uniform(1.0, 2.0, size=30000)
    before = blas_in_use()
    expected = leverage_scores(A, slack=slack, workers=1)
    assert_array_equal(leverage_scores(A, slack=slack, workers=workers), expected)
    assert blas_in_use() == before


def test_workers_share_a_stack(rng):
    A = rng.normal(size=(300, 100, 15))
    assert_array_equal(leverage_scores(A, workers=3), leverage_scores(A, workers=1))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_item_is_worked_on_once(workers):
    done = []
    share(done.append, range(100), workers)
    assert sorted(done) == list(range(100))


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_ends_the_work_and_is_raised(workers):
    started = []

    def work(item):
        started.append(item)
        if item == 3:
            raise KeyError("item 3")
        time.sleep(0.001)

    with pytest.raises(KeyError, match="item 3"):
        share(work, range(1000), workers)
    assert len(started) < 20


@pytest.mark.skipif(CORES < 2, reason="there is no core for a helper")
def test_an_error_of_a_helper_is_raised():
    here = threading.get_ident()

    def work(item):
        if threading.get_ident() != here:
            raise KeyError("in a helper")
        time.sleep(0.01)

    with pytest.raises(KeyError, match="in a helper"):
        share(work, range(100), 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_threads_work_after_a_fork(rng):
    A = rng.normal(size=(30000, 40))
    expected = leverage_scores(A, workers=2)              # the pool is there
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)    # of forks where there are threads
        child = context.Process(target=lambda: sender.send(leverage_scores(A, workers=2)))
        child.start()
    assert receiver.poll(60)
    assert_array_equal(receiver.recv(), expected)
    child.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_others_limit_blas_does_not_keep_the_limit(several_blas_threads):
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()

    def in_child():
        with sharing(1):
            pass
        sender.send(blas_in_use())

    inside, done = threading.Event(), threading.Event()

    def other():
        with sharing(1), _parallel._limit.lock:
            inside.set()
            done.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = context.Process(target=in_child, daemon=True)
            child.start()
        assert receiver.poll(20)
        assert set(receiver.recv()) == {2}
    finally:
        done.set()
        thread.join()
        child.kill()
        child.join()


@pytest.mark.skipif(CORES < 2 or not hasattr(signal, "pthread_kill"), reason="no helper, no signal")
@pytest.mark.usefixtures("collector_at_rest")
def test_no_helper_is_left_after_an_interrupt_of_the_wait():
    caller, helping = threading.get_ident(), threading.Event()

    def work(item):
        if threading.get_ident() == caller:
            assert helping.wait(20)
        else:
            helping.set()
            time.sleep(0.1)                    # the caller is waiting by now
            signal.pthread_kill(caller, signal.SIGINT)
            time.sleep(0.2)

    with pytest.raises(KeyboardInterrupt):
        share(work, range(2), 2)
    deadline = time.monotonic() + 20
    while _parallel._helpers.working and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _parallel._helpers.working


def test_work_aside():
    assert aside(lambda: 3) == 3
    assert aside(threading.current_thread) is not threading.current_thread()
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        aside(lambda: np.ones(1) / 0.0)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal")
@pytest.mark.usefixtures("collector_at_rest")
def test_an_interrupt_of_work_aside_is_heard_at_once():
    caller, ended = threading.get_ident(), threading.Event()

    def work():
        time.sleep(0.1)                        # the caller is waiting by now
        signal.pthread_kill(caller, signal.SIGINT)
        ended.wait(20)

    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            aside(work)
        assert time.monotonic() - start < 10
    finally:
        ended.set()


def test_linear_programs_run_aside(monkeypatch):
    threads, solve = [], scipy.optimize.linprog

    def watched(*args, **kwargs):
        threads.append(threading.current_thread())
        return solve(*args, **kwargs)

    monkeypatch.setattr(scipy.optimize, "linprog", watched)
    A = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert invert_gradient(A, -np.ones(4), np.zeros(2), signs=1).success
    assert threads
    assert threading.current_thread() not in threads


def test_a_call_within_a_call_takes_its_workers(several_blas_threads):
    with sharing(None, 1 << 30) as workers:
        assert workers == 2
        with sharing(None, 1 << 30) as inner:
            assert inner == 2
    with sharing(1, 1 << 30), sharing(None, 1 << 30) as inner:
        assert inner == 1


def test_helpers_leave_where_callers_need_the_cores():
    callers, helped = [], []
    all_here = threading.Barrier(CORES)

    def call(_):
        here = threading.get_ident()
        callers.append(here)
        first = [True]

        def work(item):
            if threading.get_ident() == here and first:
                first.clear()
                all_here.wait()
            elif threading.get_ident() not in callers:
                helped.append(item)
            time.sleep(0.001)

        share(work, range(50), 8)

    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        list(pool.map(call, range(CORES)))
    assert len(helped) < 25 * CORES            # of 50 for each, while the others were on their way


def test_limit_holds_while_it_lasts():
    before = blas_in_use()
    with sharing(1):
        assert set(blas_in_use()) == {1}
    assert blas_in_use() == before
    with sharing(None):
        assert set(blas_in_use()) == {1}
    with sharing(None, flops=1000):               # too small to be worth a limit
        assert blas_in_use() == before
    assert blas_in_use() == before


@pytest.fixture(autouse=True)
def limits_need_not_nest():
    yield
    _parallel._outer.set(None)


@pytest.fixture
def several_blas_threads():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if set(blas_in_use()) != {2}:
            pytest.skip("this BLAS has one thread only")
        yield


def test_overlapping_limits_restore_the_number_of_threads(several_blas_threads):
    first, second = sharing(1), sharing(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)             # the first in is not the last out
    assert set(blas_in_use()) == {1}
    second.__exit__(None, None, None)
    assert set(blas_in_use()) == {2}


def test_the_last_out_may_be_another_thread_than_the_first_in(several_blas_threads):
    with concurrent.futures.ThreadPoolExecutor(1) as first, \
            concurrent.futures.ThreadPoolExecutor(1) as last:
        limits = {pool: sharing(1) for pool in (first, last)}
        for pool in (first, last):
            pool.submit(limits[pool].__enter__).result()
        assert set(blas_in_use()) == {1}
        for pool in (first, last):
            pool.submit(limits[pool].__exit__, None, None, None).result()
        assert set(blas_in_use()) == {2}


def test_a_limit_from_outside_can_still_be_lifted_by_its_thread():
    before = blas_in_use()
    with (threadpoolctl.threadpool_limits(2, user_api="blas"),
          concurrent.futures.ThreadPoolExecutor(1) as pool):
        limit = sharing(1)
        pool.submit(limit.__enter__).result()
        assert set(blas_in_use()) == {1}
        pool.submit(limit.__exit__, None, None, None).result()
    assert blas_in_use() == before


def test_limit_is_restored_after_an_error(several_blas_threads):
    with pytest.raises(ValueError, match="slack"):
        leverage_scores(np.eye(2), slack=[1.0, 2.0, 3.0], workers=1)
    assert set(blas_in_use()) == {2}


def test_limits_in_many_threads(several_blas_threads, rng):
    A = rng.normal(size=(200, 4))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: leverage_scores(A, workers=1), range(200)))
    assert set(blas_in_use()) == {2}
