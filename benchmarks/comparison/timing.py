"""Interleaved timing: A B C, B C A, C A B, and so on.

The calls alternate, so that a disturbance of the machine slows all of them. The first call of a
round finds its matrix out of cache; so each call starts a round in its turn. BLAS threads spin for
a while after a product and could take a core from the next call. So with more than one thread there
is a pause before each sample, and dgemm is timed separately.
"""
import gc
import time

import numpy as np

SAMPLE_SECONDS = 2e-2       # calls shorter than this are repeated within a sample
PAUSE_SECONDS = 0.05
DGEMM_SIDE = 1500
DGEMM_FLOPS = 2 * DGEMM_SIDE ** 3


def square_product():
    """A call of dgemm. Its rate measures the machine."""
    square = np.random.default_rng(0).standard_normal((DGEMM_SIDE, DGEMM_SIDE))
    out = np.empty_like(square)
    return lambda: np.matmul(square, square, out=out)


def medians(calls, threads, budget, fewest, most=101):
    """The median time of each call, in seconds. Each call must have been called before.

    There are as many rounds as fit into ``budget`` seconds, at least ``fewest``.
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
    """The number of calls that take as long as a sample: a power of 2."""
    repeats = 1
    while repeats * sample(call, repeats) < SAMPLE_SECONDS:
        repeats *= 2
    return repeats


def sample(call, repeats):
    """The mean time of ``repeats`` calls; before short ones, one more brings data into cache."""
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
