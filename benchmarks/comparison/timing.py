"""Interleaved timing: A B C, B C A, C A B, ...

All calls go through the same seconds of the machine, so that what slows it down slows all of them;
each starts a round in its turn, so that no call is always the one to find its matrix out of cache.
Threads of BLAS spin for a while after a product: with more than one there is a pause before each
sample, lest they take a core from the next call, and dgemm is timed by itself.
"""
import gc
import time

import numpy as np

SAMPLE_SECONDS = 2e-2       # calls shorter than this are repeated within a sample
PAUSE_SECONDS = 0.05
DGEMM_SIDE = 1500
DGEMM_FLOPS = 2 * DGEMM_SIDE ** 3


def square_product():
    """The call whose rate is the machine's: dgemm."""
    square = np.random.default_rng(0).standard_normal((DGEMM_SIDE, DGEMM_SIDE))
    out = np.empty_like(square)
    return lambda: np.matmul(square, square, out=out)


def medians(calls, threads, budget, fewest, most=101):
    """Median seconds of each of a dict of calls that have been called before.

    As many rounds as fit into ``budget`` seconds, at least ``fewest``.
    """
    repeats = {name: enough(call) for name, call in calls.items()}
    names, samples = list(calls), {name: [] for name in calls}
    start = time.perf_counter()
    for done in range(most):
        if done >= fewest and time.perf_counter() - start > budget:
            break
        turn = done % len(names)
        for name in names[turn:] + names[:turn]:
            if threads > 1:
                time.sleep(PAUSE_SECONDS)
            samples[name].append(sample(calls[name], repeats[name]))
    return {name: float(np.median(taken)) for name, taken in samples.items()}


def enough(call):
    """How many calls last as long as a sample: 1, 2, 4, ..."""
    repeats = 1
    while repeats * sample(call, repeats) < SAMPLE_SECONDS:
        repeats *= 2
    return repeats


def sample(call, repeats):
    """Mean seconds of ``repeats`` calls. Short ones find their data in cache: one goes before."""
    if repeats > 1:
        call()
    collects = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        return (time.perf_counter() - start) / repeats
    finally:
        if collects:
            gc.enable()
