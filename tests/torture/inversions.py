"""Weights and inversions: each call is judged and returns a verdict or raises Failure."""
import dataclasses

import mpmath
import numpy as np

import levinv
import oracles

from . import truth
from .judge import (
    EPS,
    bound,
    condition_of_rows,
    finite,
    inversion,
    refusal,
    require,
    slack_error,
    twice,
)
from .problem import Problem


def forster_weights(p, target, again):
    tol = 1e-10
    try:
        weights = twice(again, lambda: levinv.forster_weights(p.matrix, target, tol=tol))
    except ValueError as error:
        require(str(error), "a message")
        inside = (target is not None and not p.changed and not p.extreme
                  and np.all(np.abs(p.scores[p.A.any(axis=1)] - 0.5) < 0.5 - 1e-9) and _moderate(p))
        if not isinstance(error, levinv.NoSolutionError):
            return refusal(error, p.extreme or not inside)
        require(not inside, f"refused a target that has weights: {error}")
        return "refused"
    finite("weights", weights, (p.n,))
    require((weights > 0).all(), "weights above 0")
    with mpmath.workdps(60):
        slack = np.array([1 / mpmath.sqrt(mpmath.mpf(w)) for w in weights], dtype=object)
    exact = truth.Exact(p.A, slack)
    allowed = bound(p, exact)
    if target is None:
        rows = p.A.any(axis=1)
        target = np.where(rows, exact.rank / max(np.count_nonzero(rows), 1), 0.0)
    if np.isfinite(allowed):
        with mpmath.workdps(50):
            worst = float(max(np.abs(exact.scores - oracles.exact(target))))
        require(worst <= 1.01 * tol + allowed, f"weights whose scores are off by {worst:.3g}")
    return "right"


def _moderate(p):
    """Slacks within ten orders in rows of unit norm, scores and A's rank beyond doubt."""
    if p.exact is None or condition_of_rows(p.A) > 1e6:
        return False
    norms = np.linalg.norm(p.A, axis=1)
    sizes = [float(abs(s) / n) for s, n in zip(p.slack, norms, strict=True) if n]
    return min(sizes) > 0 and max(sizes) / min(sizes) < 1e8


def invert_scores(p, method, target, signs, of_x, noise, x0, maxiter, restarts, again):
    """``of_x``: whether ``signs`` are those of x, so that there is a solution."""
    given = {name: value for name, value in (
        ("signs", signs), ("noise", noise), ("x0", x0), ("maxiter", maxiter)) if value is not None}
    tol = 1e-8
    q = dataclasses.replace(p, scores=target)
    options = None if restarts is None else {"restarts": restarts}
    try:
        result = twice(again, lambda: levinv.invert_scores(
            p.matrix, p.b, target, rng=0, options=options, tol=tol,
            method=method, **given))
    except (ValueError, TypeError) as error:
        return refusal(error, p.extreme or p.n < p.d
                       or (x0 is not None and (not np.isfinite(x0).all() or method != "global")))
    if method != "global":
        require("x" in result, "x")
    return inversion(q, result, signs if of_x else False, noise, tol)


def invert_many(p, targets, signs, noise, shared):
    """``shared``: whether A is given once for all problems."""
    k = len(targets)
    A = p.A if shared else np.array([p.A] * k)
    try:
        found = levinv.invert_many(A, np.array([p.b] * k), targets, signs=signs, noise=noise, rng=1)
    except (ValueError, TypeError) as error:
        return refusal(error, p.extreme or p.n < p.d)
    for name, shape in (("x", (k, p.d)), ("fun", (k,))):
        array = getattr(found, name)
        require(not np.isnan(array).any() and array.shape == shape, name)
    finite("x", found.x)
    verdict = "right"
    for i in range(k):
        if not found.success[i]:
            require(not found.unique[i], "unique without success")
            verdict = "reported"
            continue
        slack = truth.slack(p.A, p.b, found.x[i])
        alone = levinv.invert_scores(p.A, p.b, targets[i], signs=signs, noise=noise, rng=1)
        q = Problem(p.A, p.x, p.wanted, b=p.b, slack=p.slack, exact=p.exact, scores=targets[i],
                    changed=p.changed or i == 1)
        # what else a result says is the general route's
        alone.update(x=found.x[i], success=True, status=0, unique=bool(found.unique[i]),
                     slack=np.where(alone.slack == 0, 0.0, slack.astype(float)),
                     standard_errors=1e6 * alone.standard_errors,      # it promises tol alone
                     message=alone.message if alone.success else "The scores are matched.")
        said = inversion(q, alone, signs, noise, 1e-8, known_x=alone.success)
        verdict = said if verdict == "right" else verdict
    return verdict


def invert_gradient(p, g, of_x, method, signs, x0, again):
    """``of_x``: whether g is the gradient at x, so that there is a solution."""
    n, d = p.n, p.d
    given = {"signs": signs} if x0 is None else {"x0": x0}
    try:
        result = twice(again, lambda: levinv.invert_gradient(p.matrix, p.b, g, method=method,
                                                              rng=0, **given))
    except (ValueError, TypeError) as error:
        # rows dependent on those of zero slack may count in ``exact.rank``: they are 0 to rounding
        deficient = (p.exact is None or truth.rank(p.A) < d
                     or condition_of_rows(p.A) * EPS * max(n, d) > 1e-2)
        return refusal(error, p.extreme or deficient or (x0 is not None and slack_error(p) > 1e-2))
    finite("x", result.x, (d,))
    require(not np.isnan(result.fun) and not np.isnan(result.condition), "fun, condition")
    require(not np.isnan(result.standard_errors).any(), "standard_errors")
    require(result.success or not result.unique, "unique without success")
    if not result.success:
        if of_x and x0 is None and _moderate(p):
            require(result.status not in (1, 2), f"has a solution, but: {result.message}")
        return "reported"
    slack = truth.slack(p.A, p.b, result.x)
    active = p.A.any(axis=1)
    wrong = [i for i in range(n) if active[i] and not slack[i] * signs[i] > 0]
    floor = max(1e-10, result.evidence.get("floor", 0.0))
    require(not wrong, f"success outside the cell, row {wrong[:1]}")
    at = truth.Derivatives(p.A, [s if a else mpmath.mpf(1)
                                 for s, a in zip(slack, active, strict=True)])
    with mpmath.workdps(at.exact.dps):
        r = at.barrier_gradient() - oracles.exact(g)
        H = at.barrier_hessian()
        units = np.array([mpmath.sqrt(H[j, j]) for j in range(d)], dtype=object)
        scaled = truth.inverse(H / units / units[:, None])
        decrement = float(mpmath.sqrt((r / units) @ scaled @ (r / units)))
    require(decrement <= 10 * floor, f"success, decrement {decrement:.3g}, promised {floor:.3g}")
    return "right"
