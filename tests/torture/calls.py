"""What is called with a problem, and how it is judged: each call returns a verdict or raises
Failure.
"""
import dataclasses
import warnings

import mpmath
import numpy as np
import scipy.linalg

import levinv
import oracles

from . import inputs, truth
from .judge import (
    EPS,
    Failure,
    bound,
    close,
    condition_of_rows,
    finite,
    inversion,
    refusal,
    require,
    scores,
    slack_error,
)

ZERO = mpmath.mpf(10) ** -200      # stands for a zero slack, beside the smallest other one
LEAST = 1e-100                     # what that leaves


def one(seed, index, call=None, kinds=None):
    """Case ``index``: its kinds, its call, its verdict ("failed" too) and why."""
    rng = np.random.default_rng([seed, index])
    name = _drawn(rng) if call is None else call
    p = None
    try:
        if name == "garbage":
            return ("garbage",), name, garbage(rng), ""
        p = (inputs.huge(rng) if name == "huge n" else
             inputs.problem(rng, name in ("leverage_scores", "LeverageMap", "ScoreLoss"), kinds))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            verdict, note = _guarded(CALLS[name][0], p, rng), ""
        for warning in caught:
            if warning.category is not scipy.linalg.LinAlgWarning:
                raise Failure(f"{warning.category.__name__}: {warning.message}")
            verdict = "reported"
    except Failure as failure:
        verdict, note = "failed", str(failure)
    except Exception as error:                       # nothing else may come out of the library
        verdict, note = "failed", f"{type(error).__name__}: {error}"
    return p.kinds if p is not None else ("?",), name, verdict, note


def case_call(seed, index):
    """Which call case ``index`` is of."""
    return _drawn(np.random.default_rng([seed, index]))


def _drawn(rng):
    weights = np.array([weight for _, weight in CALLS.values()], dtype=float)
    return str(rng.choice(list(CALLS), p=weights / weights.sum()))


def _guarded(call, p, rng):
    """The call; input written to is a failure."""
    before = [p.A.copy(), p.b.copy(), p.x.copy(), p.scores.copy()]
    for array in (p.A, p.b, p.x, p.scores):
        array.flags.writeable = False
    verdict = call(p, rng)
    for array, copy in zip((p.A, p.b, p.x, p.scores), before, strict=True):
        require(array.tobytes() == copy.tobytes(), "an input was written to")
    return verdict


def twice(p, rng, function):
    """function(), and the same again now and then: results must not differ."""
    out = function()
    if rng.random() < 0.15:
        again = function()
        keys = ("x", "scores", "success", "unique") if hasattr(out, "message") else (slice(None),)
        for key in keys:
            require(np.array_equal(out[key], again[key]), "another result in the second call")
    return out


# --- forward --------------------------------------------------------------------------------------

def leverage_scores(p, rng):
    method = str(rng.choice(["auto", "auto", "cholesky", "qr"]))
    how = rng.choice(["slack", "slack", "weights", "rows", "stack"])
    slack, given = np.ones(p.n), {}
    A = p.A
    if how in ("slack", "stack"):
        slack = p.wanted
        given = {"slack": slack}
    elif how == "weights":
        weights = 2.0 ** rng.integers(-60, 60, p.n)
        weights[rng.random(p.n) < 0.1] = 0.0
        given = {"weights": weights}
        A = np.where(weights[:, None] > 0, A, 0.0)
        with mpmath.workdps(50):
            slack = np.array([1 / mpmath.sqrt(mpmath.mpf(w or 1)) for w in weights], dtype=object)
    try:
        exact = truth.Exact(A, slack)
    except truth.UndefinedError:
        exact = None
    q = inputs.Problem(A, p.x, slack, rng)
    # zeros in rows that are dependent to rounding have no limit either
    doubtful = exact is None or (len(exact.zero) and not np.isfinite(bound(q, exact)))
    try:
        if how == "stack" and not p.sparse:
            matrix = np.array([p.matrix, p.matrix])
            found = twice(p, rng, lambda: levinv.leverage_scores(matrix, method=method, **given))
            require(np.array_equal(found[0], found[1]), "equal matrices of a stack differ")
            found = found[0]
        else:
            found = twice(p, rng, lambda: levinv.leverage_scores(p.matrix, method=method, **given))
    except (ValueError, TypeError) as error:
        sizes = [float(mpmath.log10(abs(s))) for s in slack if s]
        return refusal(error, doubtful or (len(sizes) and max(sizes) - min(sizes) > 299)
                       or ("row of norm" in str(error) and p.extreme))
    if exact is None:
        raise Failure("dependent rows of zero slack were accepted")
    if method == "cholesky":                         # a warning says where it is not right
        finite("scores", found, (p.n,))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            levinv.leverage_scores(p.matrix, method=method, **given)
        if caught:
            return "reported"
    scores("scores", found, q, exact)
    return "right"


def _point(p):
    """Derivatives at x, zero slacks approached; the bound κ ε; what rounding of the slack adds; the
    largest entry of each column of B. None where rounding decides what x is.
    """
    if p.exact is None:
        return None
    rounding, allowed = slack_error(p), bound(p, p.exact)
    if rounding > 1e-2 or not np.isfinite(allowed):
        return None
    nonzero = [abs(s) for s, row in zip(p.slack, p.A, strict=True) if s and row.any()]
    with mpmath.workdps(50):
        small = min(nonzero, default=mpmath.mpf(1)) * ZERO
        slack = np.array([s or (small if row.any() else mpmath.mpf(1))
                          for s, row in zip(p.slack, p.A, strict=True)], dtype=object)
    point = truth.Derivatives(p.A, slack)
    with mpmath.workdps(50):
        used = [i for i in range(p.n) if p.slack[i]]
        largest = [float(max((abs(point.B[i, j]) for i in used), default=0)) for j in range(p.d)]
    return point, allowed, 10 * rounding, np.array(largest)


def _ordinary(values):
    """Whether a double holds them, and products of two, without over- or underflow."""
    values = np.abs(values[values != 0])
    return not values.size or (values.max() < 1e140 and values.min() > 1e-140)


def leverage_map(p, rng):
    try:
        at = levinv.LeverageMap(p.matrix, p.b)
        found = twice(p, rng, lambda: at.scores(p.x))
    except ValueError as error:
        denormal = any(0 < abs(s) < 1e-307 for s in p.slack)       # zero to the library
        return refusal(error, p.exact is None or p.extreme or slack_error(p) > 1e-2 or denormal
                       or not np.isfinite(bound(p, p.exact)))
    finite("scores", found, (p.n,))
    point = _point(p)
    v, y = rng.standard_normal(p.d), rng.standard_normal(p.n)
    try:
        jacobian, jvp, vjp = at.jacobian(p.x), at.jvp(p.x, v), at.vjp(p.x, y)
    except ValueError as error:
        return refusal(error, p.extreme or point is None or not _ordinary(point[3]))
    finite("jacobian", jacobian, (p.n, p.d))
    finite("jvp", jvp, (p.n,))
    finite("vjp", vjp, (p.d,))
    if point is None:
        return "right"
    point, allowed, rounding, largest = point
    scores("scores", found, p, p.exact, rounding)
    with mpmath.workdps(point.exact.dps):
        true = point.jacobian()
        along, across = true @ oracles.exact(v), oracles.exact(y) @ true
    if _ordinary(largest):
        each = (allowed + rounding) * largest
        least = LEAST if any(s == 0 for s in p.slack) else 1e-300
        close("jacobian", jacobian, true, each + least)
        close("jvp", jvp, along, float(each @ np.abs(v)) + least)
        close("vjp", vjp, across, each * np.abs(y).sum() + least)
    return "right"


def score_loss(p, rng):
    target = p.scores if rng.random() < 0.5 else rng.standard_normal(p.n)
    try:
        loss = levinv.ScoreLoss(p.matrix, p.b, target)
        value, grad = loss.fun_and_grad(p.x)
        hess = twice(p, rng, lambda: loss.hess(p.x))
        v = rng.standard_normal(p.d)
        product = loss.hessp(p.x, v)
        try:
            terms = loss.hess_terms(p.x)
        except ValueError as error:
            large = _point(p)
            refusal(error, large is None or not _ordinary(large[3]))
            terms = hess[None]
    except ValueError as error:
        doubtful = p.exact is None or p.extreme or any(0 < abs(s) < 1e-307 for s in p.slack)
        if not doubtful:
            point = _point(p)
            doubtful = point is None or not _ordinary(point[3])
        return refusal(error, doubtful)
    point = _point(p)
    if point is not None and not _ordinary(point[3]):
        return "right"
    for name, array in (("grad", grad), ("hess", hess), ("hessp", product), ("terms", terms)):
        finite(name, array)
    require(value == loss.fun(p.x) and np.isfinite(value), "fun")
    require(np.array_equal(grad, loss.grad(p.x)), "grad and fun_and_grad differ")
    if point is None:
        return "right"
    point, allowed, rounding, largest = point
    size = 1.0 + np.abs(target).max()
    each = (allowed + rounding) * size * largest * p.n + LEAST
    close("grad", grad, point.loss_gradient(target), each)
    true = point.loss_hessian(target)
    both = 10 * size * p.n * (allowed + rounding) * np.outer(largest, largest) + LEAST
    # beside zero slacks the second derivatives of their rows stay: accurate to the largest entry,
    # in the columns' units
    units = np.abs(p.A).max(axis=0).astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        units = np.outer(units, units) + LEAST
        both += np.nan_to_num((allowed + rounding) * np.max(np.abs(true).astype(float) / units)
                              * units, nan=0.0)
        # H holds (sigma - c) ∇²sigma, and where rows of zero slack are almost dependent ∇²sigma is
        # far larger than any B: it magnifies what the scores may err by
        both += 4 * allowed * size * _curvature(p, point)
    close("hess", hess, true, both)
    close("sum of hess_terms", terms.sum(axis=0), true, both)
    with mpmath.workdps(50):
        with np.errstate(over="ignore"):
            allowed = both @ np.abs(v)
        close("hessp", product, true @ oracles.exact(v), allowed)
    return "right"


def _curvature(p, point):
    """Sum over rows of zero slack of (1 - sigma_i) |b_i| |b_i|ᵀ, half of what sum_l |∇²sigma_l| has
    there.
    """
    total = np.zeros((p.d, p.d))
    with mpmath.workdps(point.exact.dps):
        for i in (i for i, s in enumerate(p.slack) if not s and p.A[i].any()):
            rest = point.Q[:, i].sum() - point.Q[i, i]                  # 1 - sigma_i, no less exact
            scaled = np.abs(point.B[i]) * mpmath.sqrt(rest)
            total += np.outer(scaled, scaled).astype(float)
    return total


def barrier(p, rng):
    try:
        function = levinv.VolumetricBarrier(p.matrix, p.b)
    except ValueError as error:
        return refusal(error, p.extreme or truth.Exact(p.A, np.ones(p.n)).rank < p.d
                       or condition_of_rows(p.A) * EPS * max(p.n, p.d) > 1e-2)
    touching = any(s == 0 and row.any() for s, row in zip(p.slack, p.A, strict=True))
    v = rng.standard_normal(p.d)
    try:
        value = function.fun(p.x)
        grad = twice(p, rng, lambda: function.grad(p.x))
        hess, product = function.hess(p.x), function.hessp(p.x, v)
    except ValueError as error:
        point = _point(p)
        return refusal(error, touching or p.extreme or point is None or not _ordinary(point[3]))
    for name, array in (("fun", value), ("grad", grad), ("hess", hess), ("hessp", product)):
        finite(name, array)
    point = _point(p)
    if point is None or not _ordinary(point[3]) or touching:
        return "right"
    point, allowed, rounding, largest = point
    each = (allowed + rounding) * largest * p.n + 1e-300
    close("barrier.grad", grad, point.barrier_gradient(), each)
    true = point.barrier_hessian()
    both = 10 * (allowed + rounding) * p.n * np.outer(largest, largest) + 1e-300
    close("barrier.hess", hess, true, both)
    with mpmath.workdps(point.exact.dps):
        close("barrier.hessp", product, true @ oracles.exact(v), both @ np.abs(v))
        M = point.B.T @ point.B
        units = np.array([mpmath.sqrt(M[j, j]) for j in range(p.d)], dtype=object)
        log_det = mpmath.log(mpmath.det(mpmath.matrix((M / units / units[:, None]).tolist())))
        true = log_det / 2 + sum(mpmath.log(u) for u in units)
    close("barrier.fun", value, true,
          10 * p.d * (allowed + rounding) + 10 * EPS * float(sum(abs(mpmath.log(u))
                                                                for u in units)))
    return "right"


def gradient_loss(p, rng):
    g = rng.standard_normal(p.d)
    try:
        loss = levinv.GradientLoss(p.matrix, p.b, g)
        value, grad = loss.fun(p.x), loss.grad(p.x)
        hess, v = loss.hess(p.x), rng.standard_normal(p.d)
        product = loss.hessp(p.x, v)
    except ValueError as error:
        point = None if p.exact is None else _point(p)
        touching = any(s == 0 and row.any() for s, row in zip(p.slack, p.A, strict=True))
        return refusal(error, touching or p.extreme or point is None or not _ordinary(point[3])
                       or p.exact.rank < p.d)
    for name, array in (("fun", value), ("grad", grad), ("hess", hess), ("hessp", product)):
        finite(name, array)
    point = _point(p)
    if point is None or not _ordinary(point[3]) or not _ordinary(g):
        return "right"
    point, allowed, rounding, largest = point
    with mpmath.workdps(point.exact.dps):
        residual = point.barrier_gradient() - oracles.exact(g)
        true = (residual * residual).sum() / 2
        slope = point.barrier_hessian() @ residual
        size = float(mpmath.sqrt((residual * residual).sum()))
    each = (allowed + rounding) * largest * p.n
    weight = np.linalg.norm(each)
    close("GradientLoss.fun", value, true,
          2 * weight * size + weight ** 2 + 4 * p.d * EPS * size ** 2 + 1e-300)
    both = 10 * (allowed + rounding) * p.n * largest * np.linalg.norm(largest)
    close("GradientLoss.grad", grad, slope,
          both * (size + weight) + 3 * largest * largest.sum() * p.n * weight + 1e-300)
    return "right"


# --- inverse --------------------------------------------------------------------------------------

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


# --- many rows, and what is no input at all -------------------------------------------------------

def huge(p, rng):
    slack = p.slack.astype(float)
    what = rng.choice(["scores", "map", "invert", "weights", "loss"])
    if what == "scores":
        found = levinv.leverage_scores(p.A, slack=slack, method=str(rng.choice(["auto", "qr"])))
        true = truth.long_scores(p.A, slack).astype(float)
        require(np.abs(found - true).max() <= 1e-11, "scores")
    elif what == "map":
        found = levinv.LeverageMap(p.A, p.b).scores(p.x)
        require(np.abs(found - p.scores).max() <= 1e-9, "scores")
    elif what == "loss":
        loss = levinv.ScoreLoss(p.A, p.b, p.scores)
        require(loss.fun(p.x) < 1e-12, "loss at the solution")
        finite("hess", loss.hess(p.x), (p.d, p.d))
    elif what == "weights":
        try:
            weights = levinv.forster_weights(p.A, p.scores)
        except levinv.NoSolutionError as error:
            raise Failure(str(error)) from None
        found = levinv.leverage_scores(p.A, weights=weights)
        require(np.abs(found - p.scores).max() <= 1e-9, "weights")
    else:
        signs = np.where(slack < 0, -1.0, 1.0) if rng.random() < 0.6 else None
        result = levinv.invert_scores(p.A, p.b, p.scores, signs=signs, rng=0)
        if not result.success:
            return "reported"
        found = truth.long_scores(p.A, p.A.astype(np.longdouble) @ result.x - p.b)
        require(np.abs(found - p.scores).max() <= 1.1e-8, "scores at x")
        if result.unique:
            error = np.abs(result.x - p.x)
            require((error <= 100 * result.standard_errors + 100 * EPS * np.abs(p.x)).all(),
                    f"unique, but x off by {error.max()}")
    return "right"


def garbage(rng):
    """Input that is none: refused by name."""
    n, d = 6, 2
    good = {"A": rng.standard_normal((n, d)), "b": rng.standard_normal(n),
            "scores": np.full(n, d / n), "x": rng.standard_normal(d), "g": np.ones(d),
            "slack": np.ones(n), "signs": 1, "v": np.ones(d), "y": np.ones(n),
            "weights": np.ones(n), "noise": 1e-3, "x0": np.ones(d), "tol": 1e-8, "ridge": 0.0}
    functions = {
        "leverage_scores": ("A", "slack"), "leverage_scores ": ("A", "weights"),
        "forster_weights": ("A", "scores", "tol"),
        "invert_scores": ("A", "b", "scores", "signs", "noise", "x0", "tol", "ridge"),
        "invert_many": ("A", "b", "scores", "signs", "noise", "tol"),
        "invert_gradient": ("A", "b", "g", "signs", "tol", "ridge"),
        "ScoreLoss": ("A", "b", "scores", "x"),
        "LeverageMap": ("A", "b", "x", "v", "y"), "VolumetricBarrier": ("A", "b", "x"),
        "GradientLoss": ("A", "b", "g", "x")}
    function = str(rng.choice(list(functions)))
    names = functions[function]
    spoilt = str(rng.choice(names))
    values = {name: good[name] for name in names}
    if function == "invert_many":
        values.update(b=good["b"][None], scores=good["scores"][None])
    values[spoilt] = _spoilt(values[spoilt], rng)
    try:
        _call(function.strip(), values)
    except (ValueError, TypeError) as error:
        require(spoilt in str(error), f"{function}({spoilt}=...): {error}")
        return "refused"
    raise Failure(f"{function} accepted {spoilt} = {values[spoilt]!r}")


def _spoilt(value, rng):
    array = np.array(value, dtype=float)
    options = [array.astype(complex) + 1j, array.astype(object), array.astype(str), "text",
               {"a": 1}]
    if array.ndim:
        for bad in (np.nan, np.inf, -np.inf):
            copy = array.copy()
            copy.ravel()[rng.integers(copy.size)] = bad
            options.append(copy)
        options += [array[..., None], array[:0], array[..., :0], np.array(1.0), [[1.0], [1.0, 2.0]],
                    np.concatenate([array, array]) if array.ndim == 1 else array[0]]
    else:
        options += [np.nan, np.inf, -np.inf, -1.0 - rng.random(), [[1.0]], [], np.zeros((2, 2, 2))]
    return options[rng.integers(len(options))]


def _call(function, values):
    A, x = values.pop("A"), values.pop("x", None)
    if function == "leverage_scores":
        return levinv.leverage_scores(A, **values)
    if function in ("forster_weights", "invert_scores", "invert_many", "invert_gradient"):
        return getattr(levinv, function)(A, **values)
    if function == "LeverageMap":
        at = levinv.LeverageMap(A, values["b"])
        return at.scores(x), at.jvp(x, values["v"]), at.vjp(x, values["y"])
    return getattr(levinv, function)(A, **values).fun(x)


CALLS = {"leverage_scores": (leverage_scores, 20), "LeverageMap": (leverage_map, 10),
         "ScoreLoss": (score_loss, 8), "VolumetricBarrier": (barrier, 5),
         "GradientLoss": (gradient_loss, 4), "forster_weights": (forster_weights, 9),
         "invert_scores": (invert_scores, 32), "local methods": (local_methods, 4),
         "invert_many": (invert_many, 5), "invert_gradient": (invert_gradient, 6),
         "garbage": (None, 3), "huge n": (huge, 0.4)}
