"""What ``print`` and a notebook show of the results of inversions."""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from levinv._screen import WIDTH, Screen
from levinv._tolerances import EPS
from levinv._typing import Booleans, Floats, Integers

SHOWN = 10          # coefficients or problems on the screen
ENDS = 2            # first and last coefficients of each of many problems
NAMED = 6           # problems without a solution
NEEDED = {"x", "success", "message", "unique", "alternatives", "null_space", "standard_errors",
          "nit", "evidence"}


def inversion(result: Mapping[str, Any]) -> Screen:
    """One result."""
    x, errors = result["x"], result["standard_errors"]
    rows = [(f"x[{j}]", f"{x[j]:.9g}",
             f"{errors[j]:.2g}" if math.isfinite(errors[j]) else "not determined")
            for j in range(min(len(x), SHOWN))]
    success, unique, fit = result["success"], result["unique"], fit_test(result["evidence"])
    facts = [("message", result["message"]), ("success", "yes" if success else "no")]
    if success:
        facts.append(("unique", "yes" if unique else f"no: {ambiguity(result)}"))
    return Screen(
        "No solution found" if not success else "Solved, x is unique" if unique else
        "Solved, x is not unique",
        [*facts, *([("fit", fit)] if fit else []), ("iterations", f"{result['nit']}")],
        ("", "x" if success else "closest found", "standard error"), rows,
        _left_out(len(x), "coefficients, in result.x"),
        "See result.evidence for what was checked and decided, result.keys() for all attributes.")


def ambiguity(result: Mapping[str, Any]) -> str:
    """Why x is not the only solution."""
    directions, others = result["null_space"].shape[1], result["alternatives"]
    evidence = result["evidence"]
    if directions:
        return (f"x can move along {directions} direction{'s' if directions > 1 else ''} "
                "without changing any score")
    if len(others):
        if len(others) == 1 and np.allclose(others[0], -result["x"], rtol=math.sqrt(EPS),
                                            atol=0.0):
            return "-x has these scores as well"
        return f"{len(others)} other x ha{'ve' if len(others) > 1 else 's'} these scores as well"
    if "signs_determined" not in evidence:
        return "other solutions were not searched for"
    if evidence["signs_determined"]:
        return "the scores are too inaccurate to tell"
    return "slacks of other signs or sizes may have these scores as well"


def fit_test(evidence: Mapping[str, Any]) -> str:
    """The test that the fit passed or failed, in words; empty if there was none."""
    if "fit" not in evidence:
        return ""
    fit = evidence["fit"]
    if fit["test"] == "tolerance":
        return f"largest error {fit['largest_error']:.1e}, tolerance {fit['tolerance']:.1e}"
    return (f"chi-squared {fit['chi_squared']:.4g} on {fit['degrees_of_freedom']} degrees of "
            f"freedom, at most {fit['limit']:.4g} (level {fit['level']:g})")


def many(x: Floats, success: Booleans, unique: Booleans, nit: Integers) -> Screen:
    """The results of many problems."""
    failed = np.flatnonzero(~success)
    named = ", ".join(map(str, failed[:NAMED].tolist())) + (", ..." if len(failed) > NAMED else "")
    matched = f"{np.count_nonzero(success)} of {len(x)}"
    rows = [(f"{k}", f"{success[k]}", f"{unique[k]}", f"{nit[k]}",
             np.array2string(x[k], precision=5, threshold=2 * ENDS, edgeitems=ENDS,
                             max_line_width=WIDTH))
            for k in range(min(len(x), SHOWN))]
    return Screen(
        f"Inversions of {len(x)} problem{'s' * (len(x) != 1)} with {x.shape[1]} coefficients each",
        [("success", matched + (f"; not in problem{'s' * (len(failed) > 1)} {named}"
                                if len(failed) else "")),
         ("unique", f"{np.count_nonzero(unique)} of {len(x)}")],
        ("problem", "success", "unique", "iterations", "x"), rows,
        _left_out(len(x), "problems, in result.x, result.success, result.unique"),
        "To see the evidence for one problem, solve it alone with invert_scores: result.evidence.")


def _left_out(count: int, of: str) -> str:
    return f"... and {count - SHOWN} more {of}" if count > SHOWN else ""
