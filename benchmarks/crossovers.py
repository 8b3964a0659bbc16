"""Tiles against BLAS: from how many columns on is each primitive faster by the other?

    python benchmarks/crossovers.py                       one table, a minute
    python benchmarks/crossovers.py --columns 100 500     these numbers of columns
    python benchmarks/crossovers.py --instruction-set 1   tiles limited to AVX2 (0: SSE2)

A column of the table is the rate of a primitive, relative to that of dgemm in the same run: flops
are n d² for a Gram matrix and for a quadratic form, 2 d³ / 3 for a Cholesky factor and its inverse.
BLAS is dsyrk, and dtrmm on 512 rows at a time; LAPACK is dpotrf and dtrtri. "levinv" in the last
pair is the factor by blocks, whose inner products are dgemm's.

One thread. Times are minima of processor time, so that other processes do not count. They still
take from a shared cache, in which the d x d matrices lie once they have left the second one: tiles
that lead in a quiet minute fall behind in a busy one. That is why WIDE_FORM and WIDE_GRAM of
levinv.storage.many_columns follow from the size of the second cache, and not from this table alone.
"""
import argparse
import time

import numpy as np
import threadpoolctl
from scipy.linalg import blas, lapack

from comparison import machine
from comparison.timing import DGEMM_FLOPS, square_product
from levinv._kernels import dense, factor, wide

COLUMNS = (20, 50, 100, 200, 300, 400, 500, 700, 1000, 1500, 2000)
ROWS = 512                    # of a block for dtrmm
FEWEST = 2048                 # rows of a problem
WORK = 1e9                    # flops of a problem with few columns


def makers(d, rng):
    """Calls by primitive and by name, and the flops of each primitive."""
    n = max(FEWEST, int(WORK / d ** 2) // ROWS * ROWS)
    A, transform = rng.standard_normal((n, d)), np.triu(rng.standard_normal((d, d)))
    by_columns = np.asfortranarray(transform)
    out, sums, turned = np.empty(n), np.zeros((d, d)), np.zeros((d, d), order="F")
    gram = A.T @ A + n * np.eye(d)

    def product():
        for first in range(0, n, ROWS):
            image = blas.dtrmm(1.0, by_columns, A.T[:, first:first + ROWS], trans_a=1)
            out[first:first + ROWS] = np.einsum("ij,ij->j", image, image)

    return {
        "gram": (n * d ** 2, {
            "tiles": lambda: dense.gram(A, None, None, None, sums),
            "BLAS": lambda: blas.dsyrk(1.0, A.T, 1.0, turned, overwrite_c=1)}),
        "quad": (n * d ** 2, {
            "tiles": lambda: dense.quad(A, None, dense.Form(d, transform, None), out),
            "BLAS": product,
            "levinv's BLAS": lambda: wide.quad(A, None, None, transform, True, None, out)}),
        "factor and inverse": (2 * d ** 3 / 3, {
            "levinv": lambda: factor.triangular_inverse_factor(gram.copy()),
            "LAPACK": lambda: lapack.dtrtri(lapack.dpotrf(gram, lower=1)[0], lower=1)}),
    }


def seconds(calls, budget, most):
    """The least processor time of each call; the calls alternate."""
    found, start, rounds = dict.fromkeys(calls, np.inf), time.perf_counter(), 0
    while rounds < 3 or (rounds < most and time.perf_counter() - start < budget):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            found[name] = min(found[name], time.process_time() - begin)
        rounds += 1
    return found


def crossing(columns, rates, first, second):
    """The largest number of columns up to which ``first`` was always faster."""
    faster = [rate[first] >= rate[second] for rate in rates]
    return columns[faster.index(False) - 1] if not all(faster) else columns[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, nargs="+", default=COLUMNS)
    parser.add_argument("--instruction-set", type=int, choices=(0, 1, 2), default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each primitive")
    arguments = parser.parse_args()
    dense.limit_tiles(arguments.instruction_set)
    columns, found = sorted(arguments.columns), {}
    with machine.pinned(1), threadpoolctl.threadpool_limits(1):
        for library in threadpoolctl.threadpool_info():
            print(library["internal_api"], library["version"], library.get("architecture"))
        rate = DGEMM_FLOPS / seconds({"dgemm": square_product()}, 2.0, 20)["dgemm"]
        print(f"dgemm: {rate / 1e9:.0f} Gflop/s\n")
        for d in columns:
            line = f"{d:5d}"
            for name, (flops, calls) in makers(d, np.random.default_rng(0)).items():
                took = seconds(calls, arguments.seconds, 200)
                rates = {call: flops / (took[call] * rate) for call in calls}
                found.setdefault(name, []).append(rates)
                line += f" | {name}: " + ", ".join(f"{call} {value:.2f}"
                                                   for call, value in rates.items())
            print(line, flush=True)
    print()
    for name, rates in found.items():
        first, second, *_ = rates[0]
        print(f"{name}: {first} faster than {second} up to "
              f"{crossing(columns, rates, first, second)} columns")


if __name__ == "__main__":
    main()
