"""Further arguments of the scores: new rows and pairs with a ridge, up to 60 columns, batches,
sparse matrices of many columns, gaps in vectors. The draws stand beside the calls.
"""
import mpmath
import numpy as np
import pandas as pd
import scipy.sparse

import levinv
import oracles

from . import truth
from .judge import EPS, bound, close, finite, refusal, require, scores
from .kinds import design
from .problem import Problem

GAPS = "masked", "nullable", "nan", "None"


def draw_new_rows(p, rng):
    ridge = 10.0 ** rng.uniform(-8, 8, p.d) if rng.random() < 0.5 else 10.0 ** rng.uniform(-8, 8)
    m = int(rng.integers(1, 4))
    return {"ridge": ridge if rng.random() < 0.8 else None,
            "mix": rng.integers(-2, 3, (m, p.n)).astype(float), "slack": rng.random() < 0.5,
            "i": rng.integers(0, p.n, 3).astype(float),
            "j": rng.integers(0, p.n, 3).astype(float)}


def new_rows(p, ridge, mix, slack, i, j):
    """Rows r outside of A have r (BᵀB + ridge)⁺ rᵀ, pairs of rows b_i (...)⁺ b_jᵀ."""
    sizes, i, j = np.abs(p.wanted), np.int64(i), np.int64(j)
    given = {"slack": p.wanted} if slack and sizes.min() > 0 else {}
    new = mix @ p.A
    if not np.isfinite(new).all():
        return "refused"
    with mpmath.workdps(truth.digits(p.A, p.wanted, ridge if ridge is not None else [1.0])):
        B = oracles.exact(p.A)
        if given:
            B = B / oracles.exact(p.wanted)[:, None]
        roots = [mpmath.sqrt(v) for v in oracles.exact(np.broadcast_to(
            0.0 if ridge is None else ridge, p.d))]
        whole = np.vstack([B, np.diag(np.array(roots, dtype=object))])
        columns = truth.echelon(whole)[2]
        K, norms = whole[:, columns], None
        norms = np.array([mpmath.sqrt(v) for v in (K * K).sum(axis=0)], dtype=object)
        K = K / norms
        inverse = truth.inverse(K.T @ K)
        condition = float(mpmath.sqrt(sum(np.diag(inverse))))
        R, P = oracles.exact(new)[:, columns] / norms, K[:p.n]
        true = ((R @ inverse) * R).sum(axis=1)
        # new rows in the span, of which ``mix`` is exact only to rounding
        rounded = np.abs(mix) @ np.abs(p.A) * EPS * (p.n + 2)
        sway = 2 * (np.abs(R @ inverse) * (oracles.exact(rounded)[:, columns] / norms)).sum(axis=1)
        pairs = (P[i] @ inverse * P[j]).sum(axis=1)
    doubtful = max(p.A.shape) * EPS * condition > 1e-2 or p.extreme or not len(columns)
    arguments = given if ridge is None else given | {"ridge": ridge}
    try:
        found = levinv.leverage_scores(p.matrix, rows=new, **arguments)
        entries = levinv.hat_entries(p.matrix, i, j, **arguments)
    except ValueError as error:
        # without a ridge on every column a row may leave the span by rounding
        return refusal(error, doubtful or len(columns) < p.d or _far(sizes, bool(given)))
    finite("rows", found, (len(new),))
    finite("pairs", entries, (3,))
    if doubtful:
        return "right"
    allowed = 100 * EPS * condition
    close("pairs", entries, pairs, allowed)
    close("rows", found, true, (4 * allowed * np.maximum(np.abs(true), 0) + sway).astype(float)
          + 1e-300)
    return "right"


def _far(sizes, used):
    with np.errstate(all="ignore"):
        return used and np.log10(sizes.max()) - np.log10(sizes.min()) > 140


def draw_sixty_columns(p, rng):
    d = int(rng.integers(6, 61)) if rng.random() < 0.25 else int(rng.integers(6, 25))
    n = int(rng.integers(max(2, d // 3), d if d > 30 else d + d // 2))
    A = design(rng, n, d)
    if rng.random() < 0.3:
        A[:, rng.integers(d)] = A[:, rng.integers(d)]
    if rng.random() < 0.3:
        A = A * 2.0 ** rng.integers(-27, 28, d)
    slack = (rng.exponential(size=n) + 1e-3) * rng.choice([-1.0, 1.0], n)
    return {"matrix": A, "slack": slack, "factors": 2.0 ** rng.integers(-9, 10, 3),
            "order": str(rng.choice(["C", "F"])), "sparse": bool(rng.random() < 0.3),
            "method": str(rng.choice(["auto", "qr"]))}


def sixty_columns(p, matrix, slack, factors, order, sparse, method):
    """Up to 60 columns, mostly more columns than rows: one slack, a batch, and points. Members of
    the batch differ by a factor, which no score shows.
    """
    given = np.array(matrix, order=order)
    if sparse:
        given = scipy.sparse.csr_array(given)
    exact = truth.Exact(matrix, slack)
    q = Problem(matrix, np.zeros(matrix.shape[1]), slack)
    allowed = min(bound(q, exact), 1.0)
    one = levinv.leverage_scores(given, slack=slack, method=method)
    batch = levinv.leverage_scores(given, slack=factors[:, None] * slack, method=method)
    points = levinv.LeverageMap(given, -slack).scores(np.zeros((2, matrix.shape[1])))
    for found in (one, *batch, *points):
        require(found.min() >= 0.0 and found.max() <= 1.0, "scores outside [0, 1]")
        close("scores", found, exact.scores, allowed)
    return "right"


def draw_batches(p, rng):
    k = int(rng.integers(1, 6))
    slacks = np.array([p.wanted * 2.0 ** rng.integers(-9, 10, p.n) for _ in range(k)])
    return {"slacks": slacks, "how": str(rng.choice(["slack", "weights", "points"])),
            "shifts": rng.integers(-4, 5, (k, p.d)) / 8}


def batches(p, slacks, how, shifts):
    """k slacks, weights or points that have nothing to do with each other, each to its truth."""
    if how == "points":
        points = p.x + shifts
        slacks = [truth.slack(p.A, p.b, x) for x in points]
    members = []
    for slack in slacks:
        try:
            if how == "weights":
                with mpmath.workdps(60):
                    slack = [1 / mpmath.sqrt(mpmath.mpf(min(abs(s) or 1.0, 1e150))) for s in slack]
                slack = np.array(slack, dtype=object)
            members.append(truth.Exact(p.A, slack))
        except truth.UndefinedError:
            members.append(None)
    spread = _spread(slacks)
    try:
        if how == "points":
            found = levinv.LeverageMap(p.matrix, p.b).scores(points)
        elif how == "weights":
            found = levinv.leverage_scores(p.matrix, weights=np.clip(
                np.where(slacks == 0, 1.0, np.abs(slacks)), 0, 1e150))
        else:
            found = levinv.leverage_scores(p.matrix, slack=slacks)
    except ValueError as error:
        return refusal(error, p.extreme or spread > 290 or any(
            e is None or not np.isfinite(bound(p, e)) for e in members))
    finite("batch", found, (len(members), p.n))
    for row, exact, slack in zip(found, members, slacks, strict=True):
        require(exact is not None, "dependent rows of zero slack were accepted")
        rounding = 0.0
        if how == "points":
            rounding = _rounding(p, points, slack)
        if rounding < 1e-2:
            scores("batch", row, p, exact, rounding)
    return "right"


def _spread(slacks):
    sizes = [float(mpmath.log10(abs(mpmath.mpf(s)))) for s in np.ravel(slacks) if s]
    return max(sizes, default=0.0) - min(sizes, default=0.0)


def _rounding(p, points, slack):
    """Largest relative error of A x - b at any of the points, by the size of its terms."""
    with np.errstate(all="ignore"):
        size = (p.d + 2) * EPS * (np.abs(p.A) @ np.abs(points).max(axis=0) + np.abs(p.b))
    worst = 0.0
    for i in np.flatnonzero(p.A.any(axis=1)):
        if size[i]:
            worst = max(worst, float(size[i] / abs(slack[i])) if slack[i] else np.inf)
    return worst


def draw_gaps(p, rng):
    return {"what": str(rng.choice(["slack", "weights", "b", "x", "scores", "signs"])),
            "how": str(rng.choice(GAPS)), "gap": bool(rng.random() < 0.5),
            "place": int(rng.integers(min(p.n, p.d)))}


def gaps(p, what, how, gap, place):
    """A vector as a masked array, a series of a nullable dtype or a list with None: the same
    answer as of an array, or a refusal by name where there is a gap.
    """
    good = {"slack": np.where(p.wanted == 0, 1.0, p.wanted), "weights": np.abs(p.wanted),
            "b": p.b, "x": p.x, "scores": np.clip(p.scores, 0, 1), "signs": np.ones(p.n)}
    value = good[what]
    if how == "masked":
        given = np.ma.masked_array(value, np.arange(len(value)) == (place if gap else -1))
    elif how == "nullable":
        given = pd.Series(value, dtype="Float64")
        if gap:
            given[place] = pd.NA
    elif how == "nan":
        given = np.array(value)
        given[place] = np.nan if gap else given[place]
    else:
        given = [None if gap and k == place else float(v) for k, v in enumerate(value)]
    try:
        plain = _answer(p, good, what, value)
    except ValueError as error:
        return refusal(error, True)
    try:
        found = _answer(p, good, what, given)
    except (ValueError, TypeError) as error:
        require(what in str(error), f"{what} as {how}: {error}")
        return refusal(error, gap)
    require(not gap, f"{what} as {how}: a gap was taken for a number")
    require(np.array_equal(np.asarray(found), plain), f"{what} as {how}: another answer")
    return "right"


def _answer(p, good, what, value):
    if what in ("slack", "weights"):
        return levinv.leverage_scores(p.A, **{what: value})
    if what == "b":
        return levinv.LeverageMap(p.A, value).scores(p.x)
    if what == "x":
        return levinv.LeverageMap(p.A, p.b).scores(value)
    if what == "scores":
        return levinv.forster_weights(p.A, value)
    return levinv.invert_scores(p.A, p.b, good["scores"], signs=value, rng=0).x


CALLS = {
    "new rows": (draw_new_rows, new_rows, 4),
    "sixty columns": (draw_sixty_columns, sixty_columns, 1),
    "batches": (draw_batches, batches, 3),
    "gaps": (draw_gaps, gaps, 2),
}
