"""levinv demo: real regressions recovered from their hat values and leverage scores.

First, a logistic regression. Statistics packages print its hat values. The demo fits it, rounds the
hat values to four decimals, and gives nothing but the design matrix and the hat values to
invert_scores: no response. They determine the coefficients up to one common sign.

Second, a linear model. Its residuals are a slack s = A x - b. The leverage scores of diag(1/s) A
look like a harmless diagnostic: one number between 0 and 1 for each patient. The demo computes the
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
from levinv.data import load_anes96, load_diabetes
from levinv.forward.leverage_map import LeverageMap
from levinv.inverse.invert_scores import invert_scores
from levinv.models.fit import Regression, fit
from levinv.models.likelihood import likelihood

WIDTH = 100
DECIMALS = (None, 6, 4, 3)      # None: exact, in double precision


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run the sub-command."""
    logistic = logistic_regression(arguments.seed)
    A, b, names = load_diabetes()
    x = half_fit(A, b, arguments.seed)
    refit_error = relative_size(A, np.linalg.lstsq(A, b, rcond=None)[0] - x, x)
    scores = LeverageMap(A, b).scores(x)
    recoveries = [recover(A, b, scores, x, decimals, arguments.seed) for decimals in DECIMALS]
    if arguments.json:
        print(json.dumps(plain({"command": "demo", "data": "diabetes", "rows": len(b),
                                "coefficients": names,
                                "true": x, "refit_error": refit_error, "recoveries": recoveries,
                                "logistic": logistic}), allow_nan=False))
    else:
        print(logistic_table(logistic))
        introduction = INTRODUCTION.format(n=len(b), measurements=len(names) - 1, refit=refit_error)
        print(textwrap.fill(introduction, WIDTH), end="\n\n")
        print(table(names, x, recoveries))
        print(EXPLANATION)
    matched = all(recovery["success"] for recovery in [*recoveries, *logistic["recoveries"]])
    return ExitStatus.SUCCESS if matched else ExitStatus.NO_SOLUTION


def logistic_regression(seed: int) -> dict[str, Any]:
    """Fit a logistic regression, and find its coefficients from its hat values alone."""
    A, y, names = load_anes96()
    fitted = fit(Regression(likelihood("binomial"), A, names, y)).params
    hat_values = LeverageMap(A, weighting="binomial").scores(fitted)
    recoveries = []
    for decimals in (None, 4):
        published = hat_values if decimals is None else hat_values.round(decimals)
        start = time.perf_counter()
        result = invert_scores(A, None, published, weighting="binomial", decimals=decimals,
                               rng=seed)
        seconds = time.perf_counter() - start
        # the one fact that settles the sign: Republicans vote for Dole more often
        party = names.index("party")
        x = max([result.x, *result.alternatives], key=lambda found: float(found[party]))
        recoveries.append({
            "decimals": decimals, "x": x, "standard_errors": result.standard_errors,
            "alternatives": len(result.alternatives), "seconds": seconds,
            "relative_error": relative_size(A, x - fitted, fitted),
            "expected_error": relative_size(A, result.standard_errors, fitted),
            "success": result.success, "unique": result.unique, "message": result.message})
    return {"data": "anes96", "rows": len(y), "coefficients": names, "fitted": fitted,
            "hat_values": hat_values.round(4), "recoveries": recoveries}


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


LOGISTIC = """\
1. A logistic regression. {n} people said whether they would vote for Dole or for Clinton in 1996. \
The model has {measurements} answers of each. With every fit, statistics packages print one hat \
value for each row. Rounded to four decimals, the first are {shown}. From the design matrix and \
these {n} numbers levinv finds the coefficients, without a single vote: up to one common sign, \
which one fact settles (Republicans vote for Dole more often)."""

INTRODUCTION = """\
2. A linear model of how diabetes progresses is fitted to a random half of {n} patients, with
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


def logistic_table(logistic: dict[str, Any]) -> str:
    """What is published, and the coefficients, fitted and recovered."""
    exact, rounded = logistic["recoveries"]
    names, fitted = logistic["coefficients"], logistic["fitted"]
    shown = ", ".join(f"{value:.4f}" for value in logistic["hat_values"][:8])
    introduction = LOGISTIC.format(n=logistic["rows"], measurements=len(names) - 1, shown=shown)
    lines = [textwrap.fill(introduction, WIDTH), "",
             _line("", "", ["x from hat values:"]),
             _line("coefficient", "fitted", ["exact", "4 decimals", "standard error"]),
             *(_line(name, f"{fitted[j]:.7g}",
                     [f"{exact['x'][j]:.7g}", f"{rounded['x'][j]:.5g}",
                      f"{rounded['standard_errors'][j]:.1e}"]) for j, name in enumerate(names)),
             "",
             _line("error", "", [f"{exact['relative_error']:.1e}",
                                 f"{rounded['relative_error']:.1e}"]),
             _line("seconds", "", [f"{exact['seconds']:.2f}", f"{rounded['seconds']:.2f}"])]
    for head, recovery in (("exact", exact), ("4 decimals", rounded)):
        if not recovery["success"]:
            lines.append(textwrap.fill(f"{head}: no solution found. {recovery['message']}", WIDTH))
    return "\n".join([*lines, ""])


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
    return "".join([f"{name:12}{true:>14}", *(f"{entry:>16}" for entry in recovered)]).rstrip()
