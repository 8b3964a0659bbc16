"""What is promised of a matrix mapped from a file, measured: a command of acceptance.py, and the
process in which memory and time are measured.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

import levinv

SHAPE = 600_000, 30
ERROR, MEMORY, SLOWER = 1e-7, 150 << 20, 2.0
BLOCK = 50_000


def mapped(args):
    """600 000 x 30 mapped from a file, signs known: x to 1e-7; at most 150 MiB of memory besides
    the pages of files, interpreter, b and scores included; at most twice the time it takes in
    memory, on one thread.
    """
    rng = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        A = np.lib.format.open_memmap(directory / "A.npy", "w+", np.float64, SHAPE)
        for first in range(0, SHAPE[0], BLOCK):
            A[first:first + BLOCK] = rng.standard_normal((BLOCK, SHAPE[1]))
        x, slack = rng.standard_normal(SHAPE[1]), rng.uniform(0.5, 2.0, SHAPE[0])
        np.save(directory / "x.npy", x)
        np.save(directory / "b.npy", A @ x - slack)
        np.save(directory / "scores.npy", levinv.leverage_scores(A, slack=slack))
        del A
        found = json.loads(subprocess.run(
            [sys.executable, "-P", __file__, directory, str(args.repeats)], check=True,
            stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}).stdout)
    seconds, there = (np.median(found[name]) for name in ("mapped", "in memory"))
    print(f"{SHAPE[0]} x {SHAPE[1]}: error {found['error']:.1e} ({ERROR:.0e} allowed), memory "
          f"{found['total'] / 2 ** 20:.0f} MiB in all ({MEMORY >> 20} allowed), of which the "
          f"inversion {found['grown'] / 2 ** 20:.0f}; {seconds:.2f} s, {seconds / there:.2f} times "
          f"that in memory ({SLOWER:g} allowed)")
    return bool(found["error"] <= ERROR and found["total"] <= MEMORY
                and seconds <= SLOWER * there)


def anonymous():
    """Bytes of memory that this process holds besides the pages of files."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise OSError("/proc/self/status does not tell memory from pages of files")


def most_held(call):
    """What ``call`` returns, and the most memory held meanwhile, looked at every millisecond."""
    most, ended = anonymous(), threading.Event()

    def watch():
        nonlocal most
        while not ended.wait(1e-3):
            most = max(most, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        returned = call()
    finally:
        ended.set()
        watcher.join()
    return returned, most


def measure(directory, repeats):
    directory = pathlib.Path(directory)
    x, b, scores = (np.load(directory / f"{name}.npy") for name in ("x", "b", "scores"))

    def invert(A):
        return levinv.invert_scores(A, b, scores, signs=1, workers=1).x

    A = np.load(directory / "A.npy", mmap_mode="r")
    before = anonymous()
    found, total = most_held(lambda: invert(A))
    errors, loaded = [np.linalg.norm(found - x) / np.linalg.norm(x)], np.load(directory / "A.npy")
    seconds = {"mapped": [], "in memory": []}
    for _ in range(repeats):
        for times, matrix in zip(seconds.values(), (A, loaded), strict=True):
            start = time.perf_counter()
            found = invert(matrix)
            times.append(time.perf_counter() - start)
            errors.append(np.linalg.norm(found - x) / np.linalg.norm(x))
    return seconds | {"error": max(errors), "total": total, "grown": total - before}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
