"""Dask arrays in every public function against the same A in memory."""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import dask
import dask.array as da
import distributed
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import levinv.storage.dask_rows
from levinv import (
    GradientLoss,
    LeverageMap,
    ScoreLoss,
    VolumetricBarrier,
    forster_weights,
    invert_gradient,
    invert_many,
    invert_scores,
    leverage_scores,
)
from levinv._validate import matrix
from levinv.storage import DenseRows, of
from levinv.storage.dask_rows import DaskRows

CHUNKS = (37, 0, 50, 1, 32)          # of 120 rows: uneven, empty, of one row


@pytest.fixture(autouse=True)
def threads():
    with dask.config.set(scheduler="threads"):
        yield


def blocks(A, columns=-1):
    return da.from_array(A, chunks=(CHUNKS if len(A) == 120 else -(-len(A) // 4), columns))


@pytest.fixture
def A(rng):
    A = rng.normal(size=(120, 5))
    A[[3, 119]] = 0.0
    return A


def instance(rng, A):
    """Responses, scores, x and the signs of its cell."""
    x, b = rng.normal(size=A.shape[1]), rng.normal(size=len(A))
    slack = A @ x - b
    return b, leverage_scores(A, slack=slack), x, np.where(slack < 0, -1.0, 1.0)


def primitives(rng):
    n, d, k, m = 120, 5, 4, 3
    scale, transform = rng.uniform(0.5, 2.0, n), rng.normal(size=(d, k))
    form, forms = (rng.normal(size=(k, k, *more)) for more in [(), (m,)])
    form, forms = form + form.T, forms + forms.swapaxes(0, 1)
    vectors = [rng.normal(size=n) for _ in range(4)]
    deep = rng.normal(size=(k, k, d))
    upper = np.triu_indices(k)
    return {
        "matvec": [(rng.normal(size=d),), (transform,)],
        "abs_matvec": [(rng.normal(size=d),)],
        "rmatvec": [(rng.normal(size=n),), (rng.normal(size=(n, m)),)],
        "row_norms": [()], "column_norms": [()], "column_max": [()], "nonzero": [()],
        "scaled": [(scale,)],
        "block": [(np.array([119, 3, 37, 37, 88]),), (slice(30, 90),), (scale > 1.0,),
                  (np.array([], dtype=int),)],
        "gram": [(), (scale,), (scale, transform), (scale, transform, vectors[0])],
        "quad": [(), (scale, transform), (scale, transform, form)],
        "moments": [(scale, transform, rng.normal(size=(n, m)))],
        "contract": [(scale, transform, forms)],
        "third_moments": [(scale, transform, vectors[0])],
        "tall_hessian": [(scale, transform, vectors[0], np.ascontiguousarray(deep[upper]),
                          *vectors[1:])],
    }


@pytest.mark.parametrize("name", primitives(np.random.default_rng(0)))
def test_primitives(rng, A, name):
    stored, expected = of(matrix(blocks(A), "A", sparse=True)), DenseRows(A)
    assert isinstance(stored, DaskRows)
    for arguments in primitives(rng)[name]:
        got = getattr(stored, name)(*arguments)
        assert type(got) is np.ndarray and got.flags.writeable
        assert_allclose(got, getattr(expected, name)(*arguments), rtol=1e-12, atol=1e-12)


def test_triangle(rng, A):
    scale = 10.0 ** rng.uniform(-6, 6, 120)
    R = of(matrix(blocks(A), "A", sparse=True)).triangle(scale, np.eye(5))
    assert_array_equal(R, np.triu(R))
    expected = np.linalg.qr((A * scale[:, None])[np.argsort(-scale)], mode="r")
    assert_allclose(np.abs(R), np.abs(expected), rtol=1e-9)


def _counted(rows, vector, start):
    return rows.rmatvec(vector) + start, [len(vector)]


def _joined(one, other):
    return one[0] + other[0], one[1] + other[1]


def test_fold(rng, A):
    rows, vector = of(matrix(blocks(A), "A", sparse=True)), rng.normal(size=120)
    for vectors in ([vector], [rows.keep(vector)]):
        total, lengths = rows.fold(_counted, _joined, vectors, 1.0)
        assert_allclose(total, A.T @ vector + 4.0, atol=1e-13)
        assert lengths == [37, 50, 1, 32]                            # in order
    assert rows.keep(None) is None


def test_sums_over_many_blocks(rng, A):
    chunked, Y = da.from_array(A, chunks=(1, -1)), rng.normal(size=(120, 2))
    rows = of(chunked)                           # three levels of the tree
    assert_allclose(rows.rmatvec(Y), A.T @ Y, atol=1e-13)
    assert_allclose(rows.column_norms(), np.linalg.norm(A, axis=0), rtol=1e-13)
    assert_array_equal(rows.column_max(), np.abs(A).max(axis=0))
    assert_array_equal(rows.gram(), of(chunked).gram())
    assert_allclose(rows.triangle().T @ rows.triangle(), A.T @ A, atol=1e-11)


def test_parts(A, monkeypatch):
    rows, index = of(matrix(blocks(A), "A", sparse=True)), np.arange(1, 120, 2)
    assert type(rows.part(index)) is DenseRows
    monkeypatch.setattr(levinv.storage.dask_rows, "PASS_ENTRIES", 100)
    assert type(rows.part(index)) is DaskRows
    for chosen in (index, slice(30, 90), np.arange(120) % 2 > 0):
        assert_allclose(rows.part(chosen).matvec(np.ones(5)), A[chosen].sum(axis=1), atol=1e-14)


def test_results_of_the_shape_of_A(rng, A, monkeypatch):
    b, _, x, _ = instance(rng, A)
    scores_at = LeverageMap(blocks(A), b)
    assert_allclose(scores_at.jacobian(x), LeverageMap(A, b).jacobian(x), atol=1e-9)
    monkeypatch.setattr(levinv.storage.dask_rows, "COPY_ENTRIES", 599)
    with pytest.raises(ValueError, match=r"A must have at most 599 entries .* \(120, 5\)"):
        scores_at.jacobian(x)


def test_gradient_inversion_makes_no_copy_of_a_long_matrix(rng, monkeypatch):
    A = rng.normal(size=(400, 3))
    b, _, x, _ = instance(rng, A)
    monkeypatch.setattr(levinv.storage.dask_rows, "COPY_ENTRIES", 1199)
    monkeypatch.setattr(levinv.storage.dask_rows, "PASS_ENTRIES", 100)
    barrier = VolumetricBarrier(blocks(A), b)
    assert_allclose(barrier.hess(x), VolumetricBarrier(A, b).hess(x), rtol=1e-9)
    g = barrier.grad(x)
    result = invert_gradient(blocks(A), b, g, x0=x + 1e-7)
    assert result.success and np.isfinite(result.standard_errors).all()
    assert_allclose(result.x, x, rtol=0, atol=1e-8)
    with pytest.raises(ValueError, match="a linear program over its rows .give x0"):
        invert_gradient(blocks(A), b, g, signs=1)
    with pytest.raises(ValueError, match="an array of the shape of A"):
        GradientLoss(blocks(A), b, g).hess(x)


def test_each_primitive_computes_the_blocks_once(A):
    seen = []

    def load(block, block_info=None):
        seen.append(block_info[0]["chunk-location"])
        return block

    chunked = da.from_array(A, chunks=(40, -1)).map_blocks(load, dtype=float, meta=np.empty((0, 0)))
    rows = of(chunked)
    assert seen == []
    rows.gram()
    assert sorted(seen) == [(0, 0), (1, 0), (2, 0)]
    rows.block(np.array([41, 45]))
    assert seen[3:] == [(1, 0)]


@pytest.mark.parametrize("method", ["auto", "qr", "cholesky"])
@pytest.mark.parametrize("kind", [None, "slack", "weights", "zero slack"])
def test_scores(rng, A, method, kind):
    given = {}
    if kind is not None:
        values = rng.uniform(0.2, 3.0, len(A))
        if kind == "zero slack":
            values[5] = 0.0
        given = {kind.split()[-1]: values}
    got = leverage_scores(blocks(A, columns=2), method=method, **given)
    assert type(got) is np.ndarray
    assert_allclose(got, leverage_scores(A, method=method, **given), rtol=0, atol=1e-12)


@pytest.mark.parametrize("harm", ["ill-conditioned", "dependent", "subnormal", "badly scaled",
                                  "wide"])
def test_scores_of_difficult_rows(rng, A, harm):
    if harm == "ill-conditioned":
        A[:, 1] = A[:, 0] + 1e-7 * A[:, 1]
    elif harm == "dependent":
        A[:, 1] = A[:, 0] - A[:, 2]
    elif harm == "subnormal":
        A[:, 2] *= 1e-310
    elif harm == "badly scaled":
        A *= 10.0 ** rng.uniform(-5, 5, (120, 1))
    else:
        A = rng.normal(size=(5, 9))
    assert_allclose(leverage_scores(blocks(A)), leverage_scores(A), rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
def test_other_numbers(rng, dtype):
    A = rng.integers(0, 2, size=(120, 4)).astype(dtype)
    assert_allclose(leverage_scores(blocks(A)), leverage_scores(A), atol=1e-12)


def test_objects(rng, A):
    b, c, x, signs = instance(rng, A)
    v, y, g = rng.normal(size=5), rng.normal(size=120), rng.normal(size=5)
    ours, plain = LeverageMap(blocks(A), b), LeverageMap(A, b)
    for name, arguments in [("slack", (x,)), ("scores", (x,)), ("jvp", (x, v)), ("vjp", (x, y))]:
        assert_allclose(getattr(ours, name)(*arguments), getattr(plain, name)(*arguments),
                        rtol=1e-9, atol=1e-9)
    for make in (lambda A: ScoreLoss(A, b, 0.9 * c, ridge=0.1), lambda A: GradientLoss(A, b, g),
                 lambda A: VolumetricBarrier(A, b)):
        ours, plain = make(blocks(A)), make(A)
        for name, arguments in [("fun", ()), ("grad", ()), ("hess", ()), ("hessp", (v,))]:
            assert_allclose(getattr(ours, name)(x, *arguments),
                            getattr(plain, name)(x, *arguments), rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("n", [120, 1200])
def test_invert_scores(rng, n, known):
    A = rng.normal(size=(n, 4))
    b, c, x, signs = instance(rng, A)
    result = invert_scores(blocks(A), b, c, signs=signs if known else None, rng=0)
    assert result.success and result.unique
    assert_allclose(result.x, x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["newton", "trust-region", "gradient-descent"])
def test_invert_scores_locally(rng, A, method):
    b, c, x, signs = instance(rng, A)
    given = {"signs": signs, "method": method, "x0": x + 1e-4, "maxiter": 30, "tol": 1e-5}
    assert_allclose(invert_scores(blocks(A), b, c, **given).x,
                    invert_scores(A, b, c, **given).x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("start", ["signs", "x0"])
def test_invert_gradient(rng, A, start):
    b, c, x, signs = instance(rng, A)
    b = np.where(A.any(axis=1), b, 1.0)
    slack = A @ x - b
    g = VolumetricBarrier(A, b).grad(x)
    given = {"signs": np.where(slack < 0, -1.0, 1.0)} if start == "signs" else {"x0": x + 1e-6}
    result = invert_gradient(blocks(A), b, g, **given)
    assert result.success
    assert_allclose(result.x, x, rtol=0, atol=1e-8)


def test_forster_weights(rng, A):
    assert_allclose(forster_weights(blocks(A)), forster_weights(A), rtol=1e-9)


@pytest.mark.parametrize("call", [
    leverage_scores, forster_weights, lambda A: LeverageMap(A, np.ones(120)),
    lambda A: invert_scores(A, np.ones(120), np.full(120, 5 / 120)),
    lambda A: invert_gradient(A, np.ones(120), np.ones(5), signs=1)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(A, call, value):
    A[88, 3] = value
    with pytest.raises(ValueError, match=r"A must be finite, got NaN or inf at index \(88, 3\)"):
        call(blocks(A))


def test_refused(rng, A):
    D = blocks(A)
    with pytest.raises(ValueError, match="A must have chunks of known sizes"):
        leverage_scores(D[da.from_array(A[:, 0] > 0, chunks=(CHUNKS,))])
    with pytest.raises(ValueError, match=r"A must be a two-dimensional array, got shape \(1, 120,"):
        leverage_scores(D[None])
    with pytest.raises(TypeError, match="A must hold real numbers, got dtype complex128"):
        leverage_scores(D * 1j)
    with pytest.raises(TypeError, match="of NumPy arrays, got a dask Delayed"):
        leverage_scores(dask.delayed(A))
    with pytest.raises(ValueError, match="A must not be empty"):
        leverage_scores(D[:0])
    with pytest.raises(ValueError, match="at least as many rows as columns"):
        forster_weights(D[:3])
    with pytest.raises(ValueError, match="A must have its largest entry between"):
        forster_weights(D * 1e200)
    with pytest.raises(TypeError, match="A must be an array in memory, got a dask Array"):
        invert_many(D, np.ones((1, 120)), np.ones((1, 120)))


def test_masked_chunks_are_refused(A):
    with pytest.raises(TypeError, match="of NumPy arrays, got a dask Array of MaskedArray"):
        leverage_scores(da.ma.masked_greater(blocks(A), 1.0))


def test_dask_is_not_imported_for_others():
    code = ("import sys, numpy, levinv; levinv.leverage_scores(numpy.eye(3)); "
            "sys.exit('dask' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_processes(rng, A):
    slack, D = rng.uniform(0.5, 2.0, 120), blocks(A)
    on_threads = leverage_scores(D, slack=slack)
    with dask.config.set(scheduler="processes", num_workers=2):
        assert_array_equal(leverage_scores(D, slack=slack), on_threads)


@pytest.fixture
def cluster():
    with (distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0",
                                   silence_logs="CRITICAL") as cluster,
          distributed.Client(cluster, set_as_default=False) as client):
        yield client


def within(seconds, call):
    """What the call returns or raises; a test that hangs fails instead."""
    outcome = concurrent.futures.Future()

    def run():
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(timeout=seconds)


def test_example(tmp_path):
    page = pathlib.Path(__file__).parents[1] / "docs" / "cluster.md"
    script = tmp_path / "example.py"
    script.write_text(re.search("```python\n(.*?)```", page.read_text(), re.DOTALL)[1])
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    assert float(done.stdout.split()[-1]) < 1e-9


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="no restarts")
def test_a_worker_killed_between_two_steps(rng, cluster):
    A = rng.normal(size=(1200, 4))
    b, c, x, _ = instance(rng, A)
    steps, victims = [], []

    def kill(intermediate_result):
        steps.append(intermediate_result)
        if len(steps) == 2:
            victims.extend(cluster.run(os.getpid).items())
            os.kill(victims[0][1], signal.SIGKILL)

    def invert():
        with cluster.as_current(), dask.config.set(scheduler=cluster):
            D = blocks(A).persist()
            distributed.wait(D)                  # half of it is lost
            return invert_scores(D, b, c, rng=0, callback=kill)

    result = within(60, invert)
    assert len(steps) > 2
    assert victims[0][0] not in cluster.scheduler_info()["workers"]
    assert result.success and result.unique
    assert_allclose(result.x, x, rtol=0, atol=1e-9)


def die_once(block, counter, last):
    """Ends one process, its own, when blocks have been loaded ``last`` times."""
    with open(counter, "ab") as file:
        file.write(b".")
    if os.path.getsize(counter) >= last:
        with contextlib.suppress(FileExistsError), open(f"{counter}.killed", "xb"):
            os.kill(os.getpid(), signal.SIGKILL)
    return block


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="no restarts")
def test_a_worker_killed_in_its_task(rng, cluster, tmp_path):
    A = rng.normal(size=(1200, 4))
    b, c, x, signs = instance(rng, A)
    counter = tmp_path / "loaded"

    def invert():
        with cluster.as_current(), dask.config.set(scheduler=cluster):
            D = blocks(A).map_blocks(die_once, counter, 30, dtype=float, meta=np.empty((0, 0)))
            return invert_scores(D, b, c, signs=signs)

    result = within(60, invert)
    assert os.path.getsize(counter) > 40
    assert result.success
    assert_allclose(result.x, x, rtol=0, atol=1e-9)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process cannot send itself SIGINT")
@pytest.mark.parametrize("scheduler", ["threads", "cluster"])
@pytest.mark.usefixtures("collector_at_rest")
def test_interrupt(rng, A, scheduler, request):
    """Ctrl-C in the middle of a graph; what was interrupted can be asked again."""
    slow = blocks(A).map_blocks(lambda block: (time.sleep(0.1), block)[1], meta=np.empty((0, 0)))
    b, _, x, _ = instance(rng, A)
    client = request.getfixturevalue("cluster") if scheduler == "cluster" else "threads"
    with dask.config.set(scheduler=client):
        scores_at = LeverageMap(slow, b)
        timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        began = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            while True:
                scores_at.scores(x)
        assert time.perf_counter() - began < 2.0
        timer.join()
        assert_allclose(scores_at.scores(x), LeverageMap(A, b).scores(x), atol=1e-12)
