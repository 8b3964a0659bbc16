"""Weights and inversions: each call is judged and returns a verdict or raises Failure."""
import dataclasses

import mpmath
import numpy as np

import levinv
import oracles

from . import inputs, truth
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


def forster_weights(p, rng):
    target = None if rng.random() < 0.3 else np.clip(p.scores, 0, 1)
    tol = 1e-10
    try:
        weights = twice(p, rng, lambda: levinv.forster_weights(p.matrix, target, tol=tol))
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


def invert_scores(p, rng, method="global"):
    given, known, noise, tol = {}, None, None, 1e-8
    if rng.random() < 0.4:
        known = np.array([-1.0 if s < 0 else 1.0 for s in p.slack])
        if rng.random() < 0.1:
            known = known * rng.choice([-1.0, 1.0], p.n)
            given["signs"], known = known, False       # signs that no solution may have
        else:
            given["signs"] = known
    target = p.scores
    if rng.random() < 0.25 and method == "global":
        noise = 10.0 ** rng.uniform(-14, -2)
        if rng.random() < 0.3:
            noise = noise * 10.0 ** rng.uniform(-1, 1, p.n)
        target = np.clip(target + noise * rng.standard_normal(p.n), 0, 1)
        given["noise"] = noise
    if rng.random() < 0.15 or method != "global":
        away = rng.choice([0.0, 1e-9, 1e-3, 1.0, 1e6, 1e200])
        x0 = p.x * (1 + away * rng.standard_normal(p.d)) + away * rng.standard_normal(p.d) * 1e-3
        given["x0"] = x0
    if rng.random() < 0.05:
        given["maxiter"] = int(rng.integers(1, 5))
    q = dataclasses.replace(p, scores=target)
    options = {"restarts": int(rng.integers(1, 20))} if method == "global" else None
    try:
        result = twice(p, rng, lambda: levinv.invert_scores(
            p.matrix, p.b, target, rng=0, options=options, tol=tol,
            method=method, **given))
    except (ValueError, TypeError) as error:
        return refusal(error, p.extreme or p.n < p.d
                       or ("x0" in given and (not np.isfinite(given["x0"]).all()
                                              or method != "global")))
    if method != "global":
        require("x" in result, "x")
    return inversion(q, result, given.get("signs") if known is not False else False, noise, tol)


def local_methods(p, rng):
    return invert_scores(p, rng, str(rng.choice(["trust-region", "newton", "gradient-descent"])))


def invert_many(p, rng):
    known = rng.random() < 0.4
    signs = np.array([-1.0 if s < 0 else 1.0 for s in p.slack]) if known else None
    noise = 10.0 ** rng.uniform(-12, -3) if rng.random() < 0.2 else None
    k = int(rng.integers(1, 4))
    targets = np.array([p.scores] * k)
    if k > 1 and rng.random() < 0.3:
        targets[1] = np.clip(rng.permutation(targets[1]), 0, 1)
    if noise:
        targets = np.clip(targets + noise * rng.standard_normal(targets.shape), 0, 1)
    A = p.A if rng.random() < 0.5 else np.array([p.A] * k)
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
        q = inputs.Problem(p.A, p.x, p.wanted, rng, b=p.b, slack=p.slack, exact=p.exact,
                           scores=targets[i], changed=p.changed or i == 1)
        # what else a result says is the general route's
        alone.update(x=found.x[i], success=True, status=0, unique=bool(found.unique[i]),
                     slack=np.where(alone.slack == 0, 0.0, slack.astype(float)),
                     standard_errors=1e6 * alone.standard_errors,      # it promises tol alone
                     message=alone.message if alone.success else "The scores are matched.")
        said = inversion(q, alone, signs, noise, 1e-8, known_x=alone.success)
        verdict = said if verdict == "right" else verdict
    return verdict


def invert_gradient(p, rng):
    n, d = p.n, p.d
    if any(s == 0 and row.any() for s, row in zip(p.slack, p.A, strict=True)) or p.exact is None:
        signs, g, exact = np.ones(n), rng.standard_normal(d), None
    else:
        signs = np.array([-1.0 if s < 0 else 1.0 for s in p.slack])
        exact = truth.Derivatives(p.A, [s or mpmath.mpf(1) for s in p.slack])
        g = exact.barrier_gradient().astype(float)
        if not np.isfinite(g).all():
            g, exact = rng.standard_normal(d), None
        elif rng.random() < 0.1:
            g, exact = g * rng.choice([-1.0, 1e3, 0.0]), None
    method = str(rng.choice(["newton", "newton", "approximate-newton", "least-squares"]))
    given = {"x0": p.x} if exact is not None and rng.random() < 0.3 else {"signs": signs}
    try:
        result = twice(p, rng, lambda: levinv.invert_gradient(p.matrix, p.b, g, method=method,
                                                              rng=0, **given))
    except (ValueError, TypeError) as error:
        deficient = (p.exact is None or p.exact.rank < d
                     or condition_of_rows(p.A) * EPS * max(n, d) > 1e-2)
        return refusal(error, p.extreme or deficient or ("x0" in given and slack_error(p) > 1e-2))
    finite("x", result.x, (d,))
    require(not np.isnan(result.fun) and not np.isnan(result.condition), "fun, condition")
    require(not np.isnan(result.standard_errors).any(), "standard_errors")
    require(result.success or not result.unique, "unique without success")
    if not result.success:
        if exact is not None and "x0" not in given and _moderate(p):
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
