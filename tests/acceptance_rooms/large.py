"""Many rows: time and memory."""
import concurrent.futures
import multiprocessing
import time

import numpy as np

import levinv
import limits


def large(args):
    """200 000 rows, d = 20 and 40, exponential slacks, random signs: x to 1e-7; signs known: at
    most 60 times the time of the scores and 3 copies of A; at most 15 times the time of 20 000
    rows.
    """
    held = True
    for d, known in ((20, True), (40, True), (20, False)):
        times = []
        for n in (20_000, 200_000):
            with concurrent.futures.ProcessPoolExecutor(      # a process each, for the peak memory
                    1, multiprocessing.get_context("spawn")) as pool:
                error, seconds, unit, copies, evidence = pool.submit(one_large, n, d,
                                                                     known).result()
            times.append(seconds)
            ratio = seconds / unit
            held &= error <= 1e-7 and (n < 200_000 or not known or (ratio <= 60 and copies <= 3))
            print(f"{n} x {d}, signs {'known' if known else 'unknown'}: error {error:.1e}, "
                  f"{seconds:.2f} s or {ratio:.1f} times the scores, peak memory {copies:.1f} "
                  f"copies of A; stage 1 {evidence['scaling']['iterations']} steps, "
                  f"{evidence['scaling']['products']} products, stage 4 "
                  f"{evidence['polish']['evaluations']} evaluations", flush=True)
        print(f"   10 times the rows, {times[1] / times[0]:.1f} times the time")
        held &= times[1] <= 15 * times[0]
    return held


def one_large(n, d, known):
    """Of inversions: error, median seconds, those of the scores between them, peak memory in copies
    of A, A itself included, and the evidence.
    """
    import resource  # of POSIX

    # all loaded
    levinv.invert_scores([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 1.0], [0.5, 0.5, 1.0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng = np.random.default_rng(3)
    A, x = rng.standard_normal((n, d)), rng.standard_normal(d)
    slack = rng.exponential(size=n) * rng.choice([-1.0, 1.0], n)
    b = A @ x - slack
    seconds, unit = [], []
    for _ in range(3):
        for _ in range(7):
            start = time.perf_counter()
            c = levinv.leverage_scores(A, slack=slack)
            unit.append(time.perf_counter() - start)
        start = time.perf_counter()
        result = levinv.invert_scores(A, b, c, signs=np.sign(slack) if known else None, rng=0)
        seconds.append(time.perf_counter() - start)
    copies = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / A.nbytes
    return (limits.relative_error(result.x, x), np.median(seconds), np.median(unit), copies,
            result.evidence)
