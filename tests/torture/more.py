"""Weightings, rounded scores, batches, ridges, many columns, tables: judged like the calls in
forward and inversions. The draws stand beside the calls.
"""
import mpmath
import numpy as np
import pandas as pd

import levinv
import oracles
from levinv.weighting import power

from . import truth
from .forward import ordinary
from .judge import (
    EPS,
    Failure,
    bound,
    close,
    condition_of_rows,
    finite,
    refusal,
    require,
    scores,
    twice,
)
from .kinds import design
from .problem import Problem

SMALLEST = 1e-12
LARGEST = 16.0             # sizes of the linear predictors of a regression
RANGE = 600.0              # of log weights, beyond which the library may refuse
NOISE_LEVELS = 4.0         # beyond 3 √d, within which rounded scores hide x


LOG_WEIGHTS = {            # of Fisher scoring: log(mean'² / variance) at a linear predictor
    "binomial": lambda eta: -eta - 2 * mpmath.log1p(mpmath.exp(-eta)),
    "binomial probit": lambda eta: (2 * mpmath.log(mpmath.npdf(eta)) - mpmath.log(mpmath.ncdf(eta))
                                    - mpmath.log(mpmath.ncdf(-eta))),
    "binomial cloglog": lambda eta: (2 * eta - mpmath.exp(eta)
                                     - mpmath.log(-mpmath.expm1(-mpmath.exp(eta)))),
    "binomial cauchit": lambda eta: (-2 * mpmath.log(mpmath.pi * (1 + eta ** 2))
                                     - mpmath.log(mpmath.mpf(1) / 4
                                                  - (mpmath.atan(eta) / mpmath.pi) ** 2)),
    "poisson": lambda eta: eta,
}
POWERS = {"power 0.5": 0.5, "power 1": 1.0, "power 3": 3.0}


def log_weight(weighting, eta):
    """log w at a linear predictor; -q log |eta| of a power q."""
    if weighting in POWERS:
        return -POWERS[weighting] * mpmath.log(abs(eta))
    return LOG_WEIGHTS[weighting](eta)


def derivative(weighting, eta, order):
    """Of log w."""
    if weighting in POWERS and order:
        return (-1) ** order * POWERS[weighting] / eta ** order
    return mpmath.diff(lambda z: log_weight(weighting, z), eta, order)


def _given(weighting):
    """What levinv is told."""
    return power(POWERS[weighting]) if weighting in POWERS else (
        tuple(weighting.split()) if " " in weighting else weighting)


def draw_weighted(p, rng):
    names = [*LOG_WEIGHTS, *POWERS]
    weighting = names[int(rng.integers(len(names)))]
    prior = 2.0 ** rng.integers(-3, 4, p.n) if rng.random() < 0.3 else None
    return {"weighting": weighting, "prior": prior, "v": rng.standard_normal(p.d),
            "y": rng.standard_normal(p.n)}


def _scaled(p, weighting):
    """x, b and the exact A x - b, made smaller by a power of two for a regression."""
    factor = 1.0
    if weighting not in POWERS:
        largest = max((abs(s) for s in p.slack), default=mpmath.mpf(0))
        if largest > LARGEST:
            factor = 2.0 ** -int(mpmath.ceil(mpmath.log(largest / LARGEST, 2)))
    return factor * p.x, factor * p.b, np.array([s * mpmath.mpf(factor) for s in p.slack])


def _rounding(p, x, b, first, tau):
    """What rounding of A x - b and of log weights changes weights by, relatively."""
    with np.errstate(all="ignore"):
        moved = (p.d + 2) * EPS * (np.abs(p.A) @ np.abs(x) + np.abs(b))
        return float(np.nan_to_num(np.abs(first) * moved + 8 * EPS * (1 + np.abs(tau)),
                                   nan=np.inf).max(initial=0.0))


def _at(p, eta, weighting, prior):
    """log w and its first two derivatives, (n,) mpmath numbers, and the exact scores; None where a
    weight is infinite, the weights differ by more than RANGE or derivatives near 0 need more
    digits.
    """
    active = p.A.any(axis=1)
    least = 0 if weighting in POWERS else SMALLEST
    with mpmath.workdps(60):
        if any(abs(s) <= least for s, used in zip(eta, active, strict=True) if used):
            return None
        tau, first, second = (
            np.array([derivative(weighting, s, k) if used else mpmath.mpf(0)
                      for s, used in zip(eta, active, strict=True)]) for k in range(3))
        if prior is not None:
            tau = tau + np.array([mpmath.log(mpmath.mpf(v)) for v in prior])
        if max(tau) - min(tau) > RANGE:
            return None
        magnitude = np.array([mpmath.exp(-t / 2) for t in tau])
    return tau, first, second, truth.Exact(p.A, magnitude)


def weighted(p, weighting, prior, v, y):
    x, b, eta = _scaled(p, weighting)
    at = _at(p, eta, weighting, prior)
    try:
        forward = levinv.LeverageMap(p.matrix, b, weighting=_given(weighting), prior_weights=prior)
        found = forward.scores(x)
        parts = forward.jacobian(x), forward.jvp(x, v), forward.vjp(x, y)
    except ValueError as error:
        return refusal(error, at is None or p.extreme
                       or not np.isfinite(bound(p, at[-1]))
                       or _rounding(p, x, b, at[1].astype(float), at[0].astype(float)) > 1e-2)
    finite("scores", found, (p.n,))
    for name, array in zip(("jacobian", "jvp", "vjp"), parts, strict=True):
        finite(name, array)
    if at is None:
        return "right"
    tau, first, second, exact = at
    rounding, allowed = _rounding(p, x, b, first.astype(float), tau.astype(float)), bound(p, exact)
    if rounding > 1e-2 or not np.isfinite(allowed):
        return "right"
    scores("scores", found, p, exact, rounding)
    with mpmath.workdps(exact.dps):
        F = (first / 2)[:, None] * oracles.exact(p.A)
        if not ordinary(F.astype(float)):
            return "right"
        P = exact.projection()
        true = 2 * (exact.scores[:, None] * F - (P * P) @ F)
        along, across = true @ oracles.exact(v), oracles.exact(y) @ true
        moved = (p.d + 2) * EPS * (np.abs(p.A) @ np.abs(x) + np.abs(b))
        bent = np.abs(second.astype(float) * moved)[:, None] * np.abs(p.A)
        each = (4 * (allowed + rounding) * np.abs(F).astype(float) + 2 * bent).max(axis=0) + 1e-300
    close("jacobian", parts[0], true, each * np.sqrt(p.n))
    close("jvp", parts[1], along, float(each @ np.abs(v)) * np.sqrt(p.n))
    close("vjp", parts[2], across, each * np.abs(y).sum() * np.sqrt(p.n))
    return "right"


def draw_weighted_inversion(p, rng):
    return {name: value for name, value in draw_weighted(p, rng).items()
            if name in ("weighting", "prior")}


def weighted_inversion(p, weighting, prior):
    x, b, eta = _scaled(p, weighting)
    at = _at(p, eta, weighting, prior)
    target = p.scores if at is None else np.clip(at[-1].rounded, 0.0, 1.0)
    try:
        result = levinv.invert_scores(p.matrix, b, target, weighting=_given(weighting),
                                      prior_weights=prior, rng=0)
    except ValueError as error:
        return refusal(error, at is None or p.extreme or p.n < p.d)
    finite("x", result.x, (p.d,))
    require(result.success or not result.unique, "unique without success")
    require(not np.isnan(result.standard_errors).any(), "standard_errors")
    if not result.success:
        return "reported"
    there = _at(p, truth.slack(p.A, b, result.x), weighting, prior)
    if there is None:
        return "right"
    tau, first, _, exact = there
    allowed = bound(p, exact)
    rounding = _rounding(p, result.x, b, first.astype(float), tau.astype(float))
    if np.isfinite(allowed) and rounding < 1e-2:
        with mpmath.workdps(50):
            worst = float(max(np.abs(exact.scores - oracles.exact(target))))
        require(worst <= 1e-8 + allowed + 4 * rounding or " only" in result.message,
                f"success, but max|sigma - c| = {worst:.3g}")
    if result.unique and at is not None:
        error = np.abs(result.x - x)
        room = 100 * result.standard_errors + 100 * EPS * np.abs(x)
        require(np.all(error <= room), f"unique, but x is off by {np.max(error - room):.3g}")
    return "right"


def draw_rounded(p, rng):
    return {"decimals": int(rng.integers(2, 7))}


def rounded(p, decimals):
    """Only problems in which rounding alone hides something."""
    if (p.exact is None or p.changed or p.extreme or p.n < p.d or condition_of_rows(p.A) > 1e5
            or any(not s for s in p.slack) or p.exact.rank < p.d
            or max(map(abs, p.slack)) / min(map(abs, p.slack)) > 1e9):
        return "refused"
    target = p.exact.rounded.round(decimals)
    result = levinv.invert_scores(p.matrix, p.b, target, decimals=decimals, rng=0)
    finite("x", result.x, (p.d,))
    require(result.success or not result.unique, "unique without success")
    if not result.success:
        return "reported"
    if result.unique:
        exact = truth.Derivatives(p.A, p.slack)
        with mpmath.workdps(exact.exact.dps):
            moved = exact.jacobian() @ (oracles.exact(result.x) - oracles.exact(p.x))
            far = float(mpmath.sqrt((moved * moved).sum())) * 10.0 ** decimals * np.sqrt(12.0)
        require(far <= 3.0 * np.sqrt(p.d) + NOISE_LEVELS,
                f"unique, but x is {far:.3g} noise levels away")
    return "right"


def draw_batch(p, rng):
    return {"factors": 2.0 ** rng.integers(-3, 4, int(rng.integers(1, 6))),
            "signs": rng.choice([-1.0, 1.0], p.n)}


def batch(p, factors, signs):
    """Slacks that differ by a factor and by signs have the same scores."""
    slacks = factors[:, None] * signs * p.wanted
    try:
        exact = truth.Exact(p.A, p.wanted)
    except truth.UndefinedError:
        exact = None
    q = Problem(p.A, p.x, p.wanted)
    doubtful = exact is None or (len(exact.zero) and not np.isfinite(bound(q, exact)))
    try:
        found = levinv.leverage_scores(p.A, slack=slacks)
        many = levinv.LeverageMap(p.A, p.b).scores(np.array([p.x, p.x]))
        one = levinv.LeverageMap(p.A, p.b).scores(p.x)
    except ValueError as error:
        sizes = [float(mpmath.log10(abs(mpmath.mpf(s)))) for s in p.wanted if s]
        return refusal(error, doubtful or p.exact is None or p.extreme
                       or (len(sizes) and max(sizes) - min(sizes) > 290))
    if exact is None:
        raise Failure("dependent rows of zero slack were accepted")
    finite("batch", found, (len(factors), p.n))
    for row in found:
        scores("batch", row, q, exact)
    allowed = bound(p, p.exact)
    if np.isfinite(allowed):
        require(np.abs(many - one).max() <= 2 * allowed, "LeverageMap: a batch and one x differ")
    return "right"


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


def draw_wide(p, rng):
    d = int(rng.integers(20, 31))
    A = design(rng, int(rng.integers(d // 2, 3 * d // 2)), d)
    return {"matrix": A, "slack": rng.exponential(size=len(A)) + 1e-3,
            "order": str(rng.choice(["C", "F"]))}


def wide(p, matrix, slack, order):
    """20 to 30 columns, and more columns than rows."""
    exact = truth.Exact(matrix, slack)
    found = levinv.leverage_scores(np.array(matrix, order=order), slack=slack)
    scores("scores", found, Problem(matrix, np.zeros(matrix.shape[1]), slack), exact)
    return "right"


def draw_table(p, rng):
    return {"how": str(rng.choice(["masked", "nullable", "categories"])),
            "gaps": bool(rng.random() < 0.5), "row": int(rng.integers(p.n)),
            "column": int(rng.integers(p.d))}


def table(p, how, gaps, row, column):
    """Masked arrays and frames with nullable types: the same scores, or a refusal of gaps."""
    try:
        plain = twice(False, lambda: levinv.leverage_scores(p.A, slack=p.wanted))
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
