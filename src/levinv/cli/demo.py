"""levinv demo: a real regression recovered from its leverage scores.

The residuals of a linear model are a slack s = A x - b. The leverage scores of diag(1/s) A look
like a harmless diagnostic: one number between 0 and 1 for each patient. The demo computes the
scores, rounds them, and gives nothing but A, b and the scores to invert_scores. The model is fitted
to half of the patients, because anybody can compute a fit to all patients from A and b alone.
"""
import argparse
import json
import textwrap
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from levinv._json import plain
from levinv._noise import rounding_noise
from levinv._typing import Floats
from levinv.cli.status import ExitStatus
from levinv.data import load_diabetes
from levinv.forward.leverage_map import LeverageMap
from levinv.inverse.invert_scores import invert_scores

WIDTH = 100
DECIMALS = (None, 6, 4, 3)      # None: exact, in double precision


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run the sub-command."""
    A, b, names = load_diabetes()
    x = half_fit(A, b, arguments.seed)
    refit_error = relative_size(A, np.linalg.lstsq(A, b, rcond=None)[0] - x, x)
    scores = LeverageMap(A, b).scores(x)
    recoveries = [recover(A, b, scores, x, decimals, arguments.seed) for decimals in DECIMALS]
    if arguments.json:
        print(json.dumps(plain({"command": "demo", "data": "diabetes", "rows": len(b),
                                "coefficients": names,
                                "true": x, "refit_error": refit_error, "recoveries": recoveries}),
                         allow_nan=False))
    else:
        introduction = INTRODUCTION.format(n=len(b), measurements=len(names) - 1, refit=refit_error)
        print(textwrap.fill(introduction, WIDTH), end="\n\n")
        print(table(names, x, recoveries))
        print(EXPLANATION)
    matched = all(recovery["success"] for recovery in recoveries)
    return ExitStatus.SUCCESS if matched else ExitStatus.NO_SOLUTION


def half_fit(A: Floats, b: Floats, seed: int) -> Floats:
    """Coefficients of the least-squares fit to a random half of the rows."""
    half = np.random.default_rng(seed).permutation(len(b))[:len(b) // 2]
    return np.asarray(np.linalg.lstsq(A[half], b[half], rcond=None)[0], dtype=np.float64)


def relative_size(A: Floats, change: Floats, x: Floats) -> float:
    """|D change| / |D x|; the root mean squares D of columns make coefficients comparable."""
    share = np.sqrt(np.mean(A ** 2, axis=0))
    return float(np.linalg.norm(share * change) / np.linalg.norm(share * x))


def recover(A: Floats, b: Floats, scores: Floats, true: Floats, decimals: int | None,
            seed: int) -> dict[str, Any]:
    """Round the scores, invert them and compare with the true x."""
    noise = None if decimals is None else rounding_noise(decimals)
    published = scores if decimals is None else scores.round(decimals)
    start = time.perf_counter()
    result = invert_scores(A, b, published, noise=noise, rng=seed)
    seconds = time.perf_counter() - start
    return {"decimals": decimals, "x": result.x,
            "relative_error": relative_size(A, result.x - true, true),
            "expected_error": relative_size(A, result.standard_errors, true), "seconds": seconds,
            "success": result.success, "unique": result.unique, "message": result.message}


INTRODUCTION = """\
A linear model of how diabetes progresses is fitted to a random half of {n} patients, with
{measurements} measurements each. Its coefficients x are secret: a fit to all patients misses them
by {refit:.0%}. "Anonymous diagnostics" are published: one leverage score for each patient, that of
the row of measurements divided by the model's error for this patient. From the data and these {n}
scores alone levinv finds x. Publishing such scores publishes the model."""

EXPLANATION = """\
error     relative error of x; each coefficient counts by its share in the prediction (times the
          root mean square of its column)
expected  the smallest error that an unbiased method can reach from the rounded scores, by the
          Cramér-Rao bound. Exact scores are also rounded: to double precision.
seconds   time for the inversion"""


def table(names: Sequence[str], true: Floats, recoveries: Sequence[dict[str, Any]]) -> str:
    """Coefficients, true and recovered, and the errors below them."""
    heads = ["exact" if r["decimals"] is None else f"{r['decimals']} decimals" for r in recoveries]
    lines = [_line("", "", ["x from scores:"]),
             _line("coefficient", "true", heads),
             *(_line(name, f"{true[j]:.7g}", [f"{r['x'][j]:.7g}" for r in recoveries])
               for j, name in enumerate(names)),
             "",
             _line("error", "", [f"{r['relative_error']:.1e}" for r in recoveries]),
             _line("expected", "", [f"{r['expected_error']:.1e}" for r in recoveries]),
             _line("seconds", "", [f"{r['seconds']:.2f}" for r in recoveries])]
    for head, recovery in zip(heads, recoveries, strict=True):
        if not recovery["success"]:
            lines.append(textwrap.fill(f"{head}: no solution found. {recovery['message']}", WIDTH))
    return "\n".join([*lines, ""])


def _line(name: str, true: str, recovered: Sequence[str]) -> str:
    return "".join([f"{name:12}{true:>14}", *(f"{entry:>16}" for entry in recovered)])
