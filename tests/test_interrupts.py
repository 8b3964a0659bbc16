"""Long calls tell how far they are, and Ctrl-C is heard in the middle of their passes."""
import signal
import threading
import time

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose

from levinv import (
    ScoreLoss,
    VolumetricBarrier,
    _parallel,
    forster_weights,
    invert_gradient,
    invert_many,
    invert_scores,
    leverage_scores,
)

BLOCK = 0.02       # seconds of processor time; a call that does not hear takes several more


def two_passes(A):
    slack = np.random.default_rng(0).exponential(size=A.shape[0]) ** 3
    return lambda: leverage_scores(A, slack=slack, workers=1)


def dense():
    return two_passes(np.random.default_rng(0).standard_normal((30_000, 250)))


def factored():
    A = np.random.default_rng(0).standard_normal((20_000, 300))
    return lambda: leverage_scores(A, method="qr", workers=1)


def mapped(tmp_path):
    np.save(tmp_path / "A.npy", np.random.default_rng(0).standard_normal((30_000, 250)))
    return two_passes(np.load(tmp_path / "A.npy", mmap_mode="r"))


def streamed(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "A.h5", "w") as file:
        file["A"] = np.random.default_rng(0).standard_normal((30_000, 250))
    return two_passes(h5py.File(tmp_path / "A.h5")["A"])


def sparse():
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 150, (100_000, 10))
    return two_passes(scipy.sparse.csr_array(
        (rng.standard_normal(columns.size), columns.ravel(),
         np.arange(0, columns.size + 1, 10)), shape=(100_000, 150)))


def points(n=30_000):
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((n, 40)), rng.standard_normal(40)
    slack = rng.exponential(size=n) + 0.1
    return A, x, A @ x - slack, leverage_scores(A, slack=slack)


def hessian():
    A, x, b, c = points(60_000)
    loss = ScoreLoss(A, b, 0.9 * c)
    return lambda: loss.hess(x + 1e-9 * loss.fun(x))


def scores_known():
    A, _, b, c = points()
    return lambda: invert_scores(A, b, c, signs=1, workers=1).x


def scores_unknown():
    A, x, b, c = points()
    b = A @ x - (A @ x - b) * np.random.default_rng(1).choice([-1, 1], len(b))
    return lambda: invert_scores(A, b, c, rng=0, workers=1).x


def gradient():
    A, x, b, _ = points()
    g = VolumetricBarrier(A, b).grad(x)
    return lambda: invert_gradient(A, b, g, x0=x + 0.01, workers=1).x


def weights():
    A = np.random.default_rng(0).standard_cauchy((20_000, 40))
    return lambda: forster_weights(A, workers=1)


def many():
    rng = np.random.default_rng(0)
    A, x, b = (rng.standard_normal(shape) for shape in ((500, 60, 8), (500, 8), (500, 60)))
    c = leverage_scores(A, slack=np.einsum("kij,kj->ki", A, x) - b)
    A, b, c = np.tile(A, (12, 1, 1)), np.tile(b, (12, 1)), np.tile(c, (12, 1))
    return lambda: invert_many(A, b, c, rng=0, workers=1).x


@pytest.mark.skipif(not hasattr(signal, "ITIMER_PROF"), reason="a timer of POSIX")
@pytest.mark.parametrize("prepare", [
    dense, factored, mapped, streamed, sparse, hessian, scores_known, scores_unknown, gradient,
    weights, many])
@pytest.mark.usefixtures("collector_at_rest")
def test_heard_within_a_block(prepare, tmp_path):
    call = prepare(tmp_path) if prepare.__code__.co_argcount else prepare()
    start = time.process_time()
    expected = call()
    took = time.process_time() - start
    before = signal.signal(signal.SIGPROF, signal.default_int_handler)
    try:
        for part in (0.1, 0.35):
            while any(thread.name == "levinv-aside" for thread in threading.enumerate()):
                time.sleep(0.01)                             # what goes on unseen
            wait = part * took
            start = time.process_time()
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_PROF, wait)
                call()
            assert time.process_time() - start - wait < BLOCK + 0.25 * took
            assert not _parallel._limit.users
            assert not _parallel._helpers.working
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert_allclose(call(), expected, rtol=1e-12)


@pytest.mark.parametrize("given, stages", [
    ({"signs": 1}, {"scaling", "polish"}),
    ({"rng": 0}, {"scaling", "signs", "polish"}),
    ({"x0": 1.01, "method": "trust-region"}, {"trust-region"}),
    ({"x0": 1.01, "method": "newton"}, {"newton"}),
    ({"x0": 1.01, "method": "gradient-descent", "maxiter": 20}, {"gradient-descent"}),
])
def test_every_iteration_is_told(rng, given, stages):
    A, x = rng.standard_normal((60, 4)), np.ones(4)
    b = A @ x - rng.uniform(1.0, 2.0, 60)
    given = {key: value * x if key == "x0" else value for key, value in given.items()}
    told = []
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), **given,
                           callback=lambda intermediate_result: told.append(intermediate_result))
    assert {each.stage for each in told} == stages
    assert [each.nit for each in told] == list(range(1, result.nit + 1))
    assert all(np.isfinite(each.error) for each in told)


@pytest.mark.parametrize("method", ["newton", "approximate-newton", "least-squares"])
def test_every_step_of_a_gradient_is_told(rng, method):
    A, x = rng.standard_normal((60, 4)), np.zeros(4)
    b = A @ x - rng.uniform(1.0, 2.0, 60)
    told = []
    result = invert_gradient(A, b, VolumetricBarrier(A, b).grad(x + 0.05), signs=1, method=method,
                             callback=lambda intermediate_result: told.append(intermediate_result))
    assert result.nit > 0
    assert [each.nit for each in told] == list(range(1, result.nit + 1))


def test_going_on_after_an_interruption(rng):
    """The example of docs/stored.md."""
    A, x = rng.standard_normal((20_000, 10)), rng.standard_normal(10)
    slack = rng.exponential(size=20_000)
    b = A @ x - slack
    scores = leverage_scores(A, slack=slack)
    whole = invert_scores(A, b, scores, signs=1)
    latest, steps = None, 0

    def keep(intermediate_result):
        nonlocal latest, steps
        if intermediate_result.x is not None:
            latest, steps = intermediate_result.x, steps + 1
        if steps == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        invert_scores(A, b, scores, signs=1, callback=keep)
    resumed = invert_scores(A, b, scores, signs=1, x0=latest)
    assert resumed.success
    assert resumed.nit < whole.nit - 4
    assert "scaling" not in resumed.evidence
    assert_allclose(resumed.x, x, rtol=1e-10)
