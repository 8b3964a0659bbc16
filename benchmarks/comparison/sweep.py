"""Leverage scores with a slack over shapes, storage orders and threads: one table.

levinv and each recipe start from A and the slack. A process for each number of threads, because JAX
takes its number when it starts.
"""
import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import time
from types import SimpleNamespace

import numpy as np
import threadpoolctl

from benchmarks import problems, recipes
from levinv import leverage_scores

from . import machine, report, timing
from .peers import jax_call, jax_inverse

SHAPES = [(50, 3), (100, 5), (1000, 5), (200, 20), (2000, 20), (20000, 20), (200000, 20),
          (2000, 50), (20000, 50), (5000, 100), (20000, 200), (3000, 300), (10000, 500),
          (8000, 1000), (6000, 2000)]
ORDERS = {"rows": np.ascontiguousarray, "columns": np.asfortranarray}
SLOW_SECONDS, SLOW_RATIO = 2.0, 5.0       # from which a call is timed once
AGREEMENT = 1e-8        # largest difference of two scores; the designs are well conditioned


@dataclasses.dataclass(frozen=True)
class Line:
    n: int
    d: int
    order: str
    threads: int
    seconds: dict[str, float]
    rate: float                         # of dgemm, flops per second

    @property
    def fastest(self):
        return min((name for name in self.seconds if name != "levinv"), key=self.seconds.get)

    @property
    def ahead(self):
        return self.seconds[self.fastest] / self.seconds["levinv"]

    @property
    def promised(self):
        return 2.0 if self.d <= 100 else 1.5 if self.d <= 300 else 1.0

    @property
    def floor(self):
        """levinv's time over that of the flops at the rate of dgemm, the factor's included."""
        n, d = self.n, self.d
        return self.seconds["levinv"] * self.rate / (2.0 * n * d ** 2 + d ** 3)

    @property
    def holds(self):
        return self.ahead >= self.promised


def polytopewalk_call(A, slack):
    from polytopewalk.dense import VaidyaWalk
    walk, columns = VaidyaWalk(), np.asfortranarray(A)      # its own order
    x, share = np.zeros(A.shape[1]), A.shape[1] / len(A)
    return lambda: walk.generateWeight(x, columns, slack) - share


def calls(A, slack, threads):
    """The calls by name; a library that is not installed is left out."""
    made = {"levinv": lambda: leverage_scores(A, slack=slack, workers=threads),
            "SciPy Cholesky": lambda: recipes.scipy_cholesky(A / slack[:, None]),
            "SciPy syrk": lambda: recipes.scipy_syrk(A / slack[:, None]),
            "NumPy inverse": lambda: recipes.numpy_inverse(A / slack[:, None]),
            "NumPy QR": lambda: recipes.numpy_qr(A / slack[:, None])}
    others = {"polytopewalk": lambda: polytopewalk_call(A, slack),
              "JAX inverse": lambda: jax_call(
                  SimpleNamespace(threads=threads),
                  lambda A, slack: jax_inverse(A / slack[:, None]), A, slack)}
    for name, make in others.items():
        with contextlib.suppress(ImportError):
            made[name] = make()
    return made


def measure(threads, budget, fewest, shapes=SHAPES):
    """The lines of all shapes and orders."""
    lines = []
    with machine.pinned(threads):
        for n, d in shapes:
            for order, arranged in ORDERS.items():
                A, slack = arranged(problems.design(n, d)), problems.slack(n)
                made = calls(A, slack, threads)
                made["dgemm"] = timing.square_product()
                with threadpoolctl.threadpool_limits(threads):
                    machine.check_threads(threads)
                    scores = made["levinv"]()
                    alone = slow_ones(made, scores)
                    made = {name: call for name, call in made.items() if name not in alone}
                    if threads > 1:
                        alone |= timing.medians({"dgemm": made.pop("dgemm")}, 1, 0.5, 3)
                    took = timing.medians(made, threads, budget, fewest) | alone
                rate = timing.DGEMM_FLOPS / took.pop("dgemm")
                lines.append(Line(n, d, order, threads, took, rate))
                print(" ".join(row(lines[-1])), flush=True)
    return lines


def slow_ones(made, scores):
    """The times of calls that are not worth a second one; every call is checked."""
    times = {}
    for name, call in made.items():
        start = time.perf_counter()
        found = call()
        times[name] = time.perf_counter() - start
        if name != "dgemm" and np.abs(found - scores).max() > AGREEMENT:
            raise RuntimeError(f"{name} must agree with levinv")
    return {name: seconds for name, seconds in times.items()
            if seconds > SLOW_SECONDS and seconds > SLOW_RATIO * times["levinv"]}


def measure_all(threads, budget, fewest, shapes=SHAPES):
    """For each number of threads in a process of its own."""
    lines = []
    for number in threads:
        with concurrent.futures.ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn")) as pool:
            lines += pool.submit(measure, number, budget, fewest, shapes).result()
    return lines


def row(line):
    return [f"{line.n} x {line.d}", line.order, str(line.threads),
            *(report.seconds(line.seconds[name]) if name in line.seconds else "–"
              for name in NAMES), f"{line.ahead:.2f}", f"{line.promised:g}",
            "yes" if line.holds else "NO", f"{line.floor:.2f}"]


NAMES = ["levinv", "SciPy Cholesky", "SciPy syrk", "NumPy inverse", "NumPy QR", "polytopewalk",
         "JAX inverse"]


def table(lines):
    head = ["n x d", "order", "threads", *NAMES, "fastest other / levinv", "promised", "holds",
            "levinv / floor"]
    below = sum(not line.holds for line in lines)
    return ("## Leverage scores with a slack: the sweep\n\n"
            "From A, stored by rows or by columns, and the slack. The floor is 2 n d² + d³ flops "
            f"at the rate of `dgemm`. {below} of {len(lines)} lines miss their promise.\n\n"
            + report.table(head, [row(line) for line in lines], 2))
