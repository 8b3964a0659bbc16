"""x without signs, and whether it is unique."""
import time

import numpy as np

import levinv
import limits
import oracles
from designs import DESIGNS


def signs(args):
    """>= 98 % recovered to 1e-5 where the sign rule says determined."""
    total = recovered = 0
    for name, design in DESIGNS.items():
        for d in (3, 5, 10, 20, 40):
            for ratio in (2.5, 3, 5, 10):
                count = determined = right = claimed = 0
                start = time.perf_counter()
                slowest = 0.0
                for seed in range(args.repeats):
                    rng = np.random.default_rng([seed, d, int(10 * ratio)])
                    n = int(np.ceil(ratio * d))
                    A, b, x = design(n, d, rng), rng.standard_normal(n), rng.standard_normal(d)
                    c = levinv.leverage_scores(A, slack=A @ x - b)
                    one = time.perf_counter()
                    result = levinv.invert_scores(A, b, c, rng=seed)
                    slowest = max(slowest, time.perf_counter() - one)
                    count += 1
                    if result.evidence["signs_determined"] and not result.null_space.shape[1]:
                        determined += 1
                        close = limits.relative_error(result.x, x) < 1e-5
                        right += close
                        spread = np.linalg.norm(result.standard_errors) / np.linalg.norm(x)
                        claimed += (result.unique and not close
                                    and limits.relative_error(result.x, x) > 10 * spread)
                total += determined
                recovered += right
                if args.verbose or right < determined or claimed:
                    print(f"{name:10} d={d:2} n/d={ratio:<4} determined {determined}/{count} "
                          f"recovered {right} beyond its standard errors {claimed} mean "
                          f"{(time.perf_counter() - start) / count:.3f} s "
                          f"slowest {slowest:.2f} s", flush=True)
    print(f"recovered {recovered} of {total} determined ({100 * recovered / total:.2f} %)")
    return recovered >= 0.98 * total


def unique(args):
    """`unique` against enumeration of all sign vectors, n <= 12: never True where it should not be;
    where x is none of "almost every" (integers throughout) False too often in 2 % at most.
    """
    held = True
    for integer in (False, True):
        count = generous = cautious = 0
        rng = np.random.default_rng(int(integer))
        while count < args.cases:
            A, b, x = sparse_integer_problem(rng, integer)
            slack = A @ x - b
            if (np.linalg.matrix_rank(A) < A.shape[1]
                    or np.any(np.abs(slack[A.any(axis=1)]) < 1e-3)):
                continue
            count += 1
            c = levinv.leverage_scores(A, slack=np.where(A.any(axis=1), slack, 1.0))
            result = levinv.invert_scores(A, b, c, rng=0)
            truth = oracles.unique_by_enumeration(A, b, x)
            generous += result.unique and not truth
            cautious += truth and not result.unique
            if result.unique != truth and args.verbose:
                print(f"case {count}: unique {result.unique}, enumeration {truth}, "
                      f"{result.message}", flush=True)
        print(f"{'integers throughout' if integer else 'b and x real'}: {count} cases, unique "
              f"wrongly True in {generous}, wrongly False in {cautious}", flush=True)
        held &= generous == 0 and cautious <= (0.02 * count if integer else 0)
    return held


def sparse_integer_problem(rng, integer):
    """A sparse integer design of at most 12 rows, a sparse response and x; ``integer``: these of
    small integers, too.
    """
    d = int(rng.integers(1, 5))
    n = int(rng.integers(max(d + 1, 2), 13))
    A = rng.integers(-3, 4, (n, d)) * (rng.random((n, d)) < rng.uniform(0.3, 1))
    keep = rng.random(n) < rng.uniform(0.2, 1)
    if integer:
        return (A.astype(float), rng.integers(-3, 4, n) * keep.astype(float),
                rng.integers(-3, 4, d).astype(float))
    return A.astype(float), rng.standard_normal(n) * keep, rng.standard_normal(d)
