"""Objects shared between threads, and the limit on BLAS threads."""
import concurrent.futures
import threading

import numpy as np
import pytest
import threadpoolctl
from numpy.testing import assert_allclose

from levinv import LeverageMap, leverage_scores
from levinv._threads import sharing


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
    A, slack = rng.normal(size=(3000, 20)), rng.uniform(1.0, 2.0, size=3000)
    before = blas_in_use()
    expected = leverage_scores(A, slack=slack)
    assert_allclose(leverage_scores(A, slack=slack, workers=workers), expected, rtol=1e-12)
    assert blas_in_use() == before


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


@pytest.fixture
def several_sharing():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if set(blas_in_use()) != {2}:
            pytest.skip("this BLAS has one thread only")
        yield


def test_overlapping_limits_restore_the_number_of_threads(several_sharing):
    first, second = sharing(1), sharing(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)             # the first in is not the last out
    assert set(blas_in_use()) == {1}
    second.__exit__(None, None, None)
    assert set(blas_in_use()) == {2}


def test_limit_is_restored_after_an_error(several_sharing):
    with pytest.raises(ValueError, match="slack"):
        leverage_scores(np.eye(2), slack=[1.0, 2.0, 3.0], workers=1)
    assert set(blas_in_use()) == {2}


def test_limits_in_many_threads(several_sharing, rng):
    A = rng.normal(size=(200, 4))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: leverage_scores(A, workers=1), range(200)))
    assert set(blas_in_use()) == {2}
