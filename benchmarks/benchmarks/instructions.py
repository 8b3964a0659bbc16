"""Instructions per call of the kernels that users call most, counted by Valgrind: no noise.

Valgrind runs this file as a program on one thread, with the instructions of AVX2 at most, and
writes its count whenever the program calls ``getppid``. Without Valgrind the track is left out.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

CALLS = 10
NAMES = ["scores, 100 x 5", "scores, 2000 x 20", "jvp, 100 x 5", "Hessian of the loss, 500 x 10",
         "invert_many, ten of 60 x 8"]


def kernels():
    """Functions without arguments, those of NAMES."""
    import numpy as np

    import levinv

    def problem(n, d):
        rng = np.random.default_rng(0)
        A, b, x = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
        return A, b, x, A @ x - b

    small, b_small, x_small, slack_small = problem(100, 5)
    large, _, _, slack_large = problem(2000, 20)
    middle, b_middle, x_middle, _ = problem(500, 10)
    forward = levinv.LeverageMap(small, b_small)
    loss = levinv.ScoreLoss(middle, b_middle, np.full(500, 0.02))
    A, b, _, slack = problem(60, 8)
    stack = [np.stack([part] * 10) for part in (A, b, levinv.leverage_scores(A, slack=slack))]
    return [
        lambda: levinv.leverage_scores(small, slack=slack_small),
        lambda: levinv.leverage_scores(large, slack=slack_large),
        lambda: forward.jvp(x_small, x_small),
        lambda: loss.hess(x_middle),
        lambda: levinv.invert_many(*stack, rng=0),
    ]


def program():
    """Call every kernel CALLS times, between two calls of ``getppid``."""
    for function in kernels():
        function()
        os.getppid()
        for _ in range(CALLS):
            function()
        os.getppid()


class Kernels:
    """Run once, by ``setup_cache``, for all kernels."""

    params = NAMES
    param_names = ["kernel"]
    unit = "instructions"
    timeout = 600

    def setup_cache(self):
        from . import environment  # this file is also run as a program

        valgrind = shutil.which("valgrind")
        if valgrind is None:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "count")
            environ = environment.without_limits() | {"OPENBLAS_NUM_THREADS": "1",
                                                      "PYTHONHASHSEED": "0"}
            subprocess.run(
                [valgrind, "--tool=callgrind", "--dump-before=getppid",
                 f"--callgrind-out-file={out}", sys.executable, __file__],
                check=True, capture_output=True, env=environ)
            # one file for each call of getppid, the first with what came before
            counts = [int(re.search(r"^totals: (\d+)", pathlib.Path(f"{out}.{k}").read_text(),
                                    re.MULTILINE).group(1))
                      for k in range(1, 2 * len(NAMES) + 1)]
        return {name: count / CALLS for name, count in zip(NAMES, counts[1::2], strict=True)}

    def setup(self, counts, kernel):
        if kernel not in counts:
            raise NotImplementedError("without Valgrind")

    def track_instructions(self, counts, kernel):
        return counts[kernel]


if __name__ == "__main__":
    program()
