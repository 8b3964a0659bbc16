"""A ridge of any size, and tables: judged like the calls in forward and inversions. The draws stand
beside the calls.
"""
import mpmath
import numpy as np
import pandas as pd

import levinv

from . import truth
from .judge import EPS, bound, close, finite, refusal, require
from .problem import Problem


def draw_ridge(p, rng):
    ridge = 10.0 ** rng.uniform(-20, 20, p.d if rng.random() < 0.5 else 1)
    return {"ridge": ridge if len(ridge) > 1 or p.d == 1 else float(ridge[0])}


def ridge(p, ridge):
    """A penalty is as many rows of A as there are columns."""
    with mpmath.workdps(60):
        roots = np.array([mpmath.sqrt(mpmath.mpf(v)) for v in np.broadcast_to(ridge, p.d)])
    whole = np.vstack([p.A, np.diag(roots.astype(float))])
    ones = np.ones(p.n + p.d)
    exact = truth.Exact(whole, ones)
    try:
        found = levinv.leverage_scores(p.matrix, ridge=ridge)
    except ValueError as error:
        return refusal(error, p.extreme)
    finite("scores", found, (p.n,))
    q = Problem(whole, p.x, ones)
    allowed = min(bound(q, exact), 1.0)
    close("scores", found, exact.scores[:p.n], allowed + 4 * EPS)
    return "right"


def draw_table(p, rng):
    return {"how": str(rng.choice(["masked", "nullable", "categories"])),
            "gaps": bool(rng.random() < 0.5), "row": int(rng.integers(p.n)),
            "column": int(rng.integers(p.d))}


def table(p, how, gaps, row, column):
    """Masked arrays and frames with nullable types: the same scores, or a refusal of gaps."""
    try:
        plain = levinv.leverage_scores(p.A, slack=p.wanted)
    except ValueError as error:
        return refusal(error, True)
    if how == "masked":
        mask = np.zeros(p.A.shape, dtype=bool)
        mask[row, column] = gaps
        given = np.ma.masked_array(p.A, mask)
    elif how == "nullable":
        given = pd.DataFrame(p.A).astype("Float64")
        if gaps:
            given.iloc[row, column] = pd.NA
    else:
        given = pd.DataFrame(p.A)
        if gaps:
            given[column] = pd.Categorical([f"level {i}" for i in range(p.n)])
    try:
        found = levinv.leverage_scores(given, slack=p.wanted)
    except (ValueError, TypeError) as error:
        return refusal(error, gaps)
    require(not gaps, f"{how}: a gap was taken for a number")
    room = 2 * bound(Problem(p.A, p.x, p.wanted), truth.Exact(p.A, p.wanted))
    require(np.abs(np.asarray(found) - plain).max() <= room, f"{how}: other scores than an array's")
    return "right"
