"""What is promised of Dask arrays on worker processes, measured: a command of acceptance.py."""
import time

import numpy as np

import levinv

ROWS, COLUMNS, BLOCKS = 2_000_000, 20, 4
ERROR, SLOWER = 1e-9, 3.0


def cluster(args):
    """2 000 000 x 20 in four blocks on two worker processes, signs known: x to 1e-9, and three
    times the time that two workers take in memory.
    """
    import dask
    import dask.array as da
    import distributed

    blocks = [_rows(block) for block in range(BLOCKS)]
    rng = np.random.default_rng(4)
    A, x = np.vstack(blocks), 0.1 * rng.standard_normal(COLUMNS)
    slack = rng.uniform(0.5, 2.0, ROWS)
    b = A @ x - slack
    scores = levinv.leverage_scores(A, slack=slack)
    in_memory, there = [], []
    with (distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                                   memory_limit=0) as workers,
          distributed.Client(workers),
          dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"})):
        part = dask.delayed(_rows)
        stored = da.concatenate([da.from_delayed(part(block), blocks[block].shape, float)
                                 for block in range(BLOCKS)]).persist()
        distributed.wait(stored)
        for repeat in range(min(args.repeats, 3) + 1):
            for seconds, matrix, given in ((in_memory, A, {"workers": 2}), (there, stored, {})):
                start = time.perf_counter()
                result = levinv.invert_scores(matrix, b, scores, signs=1, **given)
                if repeat:                                            # all loaded
                    seconds.append(time.perf_counter() - start)
        error = float(np.abs(result.x - x).max())
        scores_error = float(np.max(np.abs(levinv.leverage_scores(stored, slack=slack) - scores)))
    times = np.median(there) / np.median(in_memory)
    print(f"{ROWS} x {COLUMNS} in {BLOCKS} blocks: {np.median(there):.2f} s, {times:.2f} times the "
          f"{np.median(in_memory):.2f} s in memory ({SLOWER:g} allowed); error of x {error:.1e}, "
          f"of scores {scores_error:.1e} ({ERROR:.0e} allowed)")
    return bool(result.success and max(error, scores_error) <= ERROR and times <= SLOWER)


def _rows(block):
    return np.random.default_rng([5, block]).standard_normal((ROWS // BLOCKS, COLUMNS))
