"""What is promised of leverage_scores(method="sketch"), measured: a command of acceptance.py."""
import concurrent.futures
import multiprocessing
import time

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import lsmr, splu

import levinv

CASES = {"random": (300_000, 100_000), "grid": (303_420, 152_100)}
ROWS = 40                 # of which scores are computed one by one
RTOL = 0.1
MOST_MEMORY = 2 ** 30     # besides A


def sketch(args):
    """300 000 rows, 100 000 columns and more: 40 of the scores against LSMR or a factor,
    errors as stated; at most 1 GiB.
    """
    held = True
    for name, case in CASES.items():
        with concurrent.futures.ProcessPoolExecutor(          # a process each, for the peak memory
                1, multiprocessing.get_context("spawn")) as pool:
            wall, cpu, memory, total, errors = pool.submit(one_sketch, name).result()
        rms, largest = np.sqrt(np.mean(errors ** 2)), np.abs(errors).max()
        held &= bool(rms <= 1.4 and largest <= 4.5 and memory <= MOST_MEMORY)
        print(f"{name:6} {case} {wall:.0f} s ({cpu:.0f} s of processors), "
              f"{memory / 2 ** 20:.0f} MiB besides A, sum {total:.0f}; errors in units of the "
              f"standard error: rms {rms:.2f}, largest {largest:.2f}", flush=True)
    return held


def one_sketch(name):
    """Seconds, those of processors, memory, the sum of the scores, and standardised errors."""
    import resource  # of POSIX

    A = random() if name == "random" else grid()
    assert A.shape == CASES[name]
    levinv.leverage_scores(A[:9, :3], method="sketch")        # all loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter(), time.process_time()
    found = levinv.leverage_scores(A, method="sketch", rtol=RTOL, rng=0)
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    memory = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    index = np.random.default_rng(1).choice(A.shape[0], ROWS, replace=False)
    scores = by_rows(A, index) if name == "random" else by_factor(A, index)
    stated = RTOL * scores * (1 - scores) / np.hypot(scores, 1 - scores)
    return wall, cpu, memory, found.sum(), (found[index] - scores) / stated


def by_rows(A, index):
    """A's projections of the unit vectors, at their places, by LSMR."""
    units = np.eye(1, A.shape[0])[0]
    return np.array([(A @ lsmr(A, np.roll(units, i), atol=1e-10, btol=1e-10)[0])[i] for i in index])


def by_factor(A, index):
    """Of the differences along the edges of a graph: a node left out, by the Gram matrix."""
    A = A[:, :-1]
    rows = A[index].toarray().T
    return (rows * splu(scipy.sparse.csc_array(A.T @ A)).solve(rows)).sum(axis=0)


def random():
    """Three entries a row, anywhere."""
    n, d = CASES["random"]
    rng = np.random.default_rng(0)
    A = scipy.sparse.coo_array((rng.standard_normal(3 * n), (np.arange(n).repeat(3),
                                                             rng.integers(d, size=3 * n))),
                               shape=(n, d)).tocsr()
    norms = np.sqrt((A * A).sum(axis=0))
    return scipy.sparse.csr_array(A / np.where(norms > 0, norms, 1.0))    # for LSMR


def grid(side=390):
    """Differences along the edges of a square grid."""
    node = np.arange(side * side).reshape(side, side)
    ends = np.vstack([np.column_stack([node[:, :-1].ravel(), node[:, 1:].ravel()]),
                      np.column_stack([node[:-1].ravel(), node[1:].ravel()])])
    n = len(ends)
    return scipy.sparse.csr_array((np.tile([1.0, -1.0], n), ends.ravel(),
                                   np.arange(0, 2 * n + 1, 2)), shape=CASES["grid"])
