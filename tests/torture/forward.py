"""Scores and derivatives: each call is judged and returns a verdict or raises Failure."""
import warnings

import mpmath
import numpy as np

import levinv
import oracles

from . import truth
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
    slack_error,
    twice,
)
from .problem import Problem

ZERO = mpmath.mpf(10) ** -200      # stands for a zero slack, beside the smallest other one
LEAST = 1e-100                     # what that leaves


def leverage_scores(p, method, how, weights, again):
    slack, given = np.ones(p.n), {}
    A = p.A
    if how in ("slack", "stack"):
        slack = p.wanted
        given = {"slack": slack}
    elif how == "weights":
        given = {"weights": weights}
        A = np.where(weights[:, None] > 0, A, 0.0)
        with mpmath.workdps(50):
            slack = np.array([1 / mpmath.sqrt(mpmath.mpf(w or 1)) for w in weights], dtype=object)
    try:
        exact = truth.Exact(A, slack)
    except truth.UndefinedError:
        exact = None
    q = Problem(A, p.x, slack)
    # zeros in rows that are dependent to rounding have no limit either
    doubtful = exact is None or (len(exact.zero) and not np.isfinite(bound(q, exact)))
    try:
        if how == "stack" and not p.sparse:
            matrix = np.array([p.matrix, p.matrix])
            found = twice(again, lambda: levinv.leverage_scores(matrix, method=method, **given))
            require(np.array_equal(found[0], found[1]), "equal matrices of a stack differ")
            found = found[0]
        else:
            found = twice(again, lambda: levinv.leverage_scores(p.matrix, method=method, **given))
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


def ordinary(values):
    """Whether a double holds them, and products of two, without over- or underflow."""
    values = np.abs(values[values != 0])
    return not values.size or (values.max() < 1e140 and values.min() > 1e-140)


def leverage_map(p, v, y, again):
    try:
        at = levinv.LeverageMap(p.matrix, p.b)
        found = twice(again, lambda: at.scores(p.x))
    except ValueError as error:
        denormal = any(0 < abs(s) < 1e-307 for s in p.slack)       # zero to the library
        return refusal(error, p.exact is None or p.extreme or slack_error(p) > 1e-2 or denormal
                       or not np.isfinite(bound(p, p.exact)))
    finite("scores", found, (p.n,))
    point = _point(p)
    try:
        jacobian, jvp, vjp = at.jacobian(p.x), at.jvp(p.x, v), at.vjp(p.x, y)
    except ValueError as error:
        return refusal(error, p.extreme or point is None or not ordinary(point[3]))
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
    if ordinary(largest):
        each = (allowed + rounding) * largest
        least = LEAST if any(s == 0 for s in p.slack) else 1e-300
        close("jacobian", jacobian, true, each + least)
        close("jvp", jvp, along, float(each @ np.abs(v)) + least)
        close("vjp", vjp, across, each * np.abs(y).sum() + least)
    return "right"


def score_loss(p, target, v, again):
    try:
        loss = levinv.ScoreLoss(p.matrix, p.b, target)
        value, grad = loss.fun_and_grad(p.x)
        hess = twice(again, lambda: loss.hess(p.x))
        product = loss.hessp(p.x, v)
        try:
            terms = loss.hess_terms(p.x)
        except ValueError as error:
            large = _point(p)
            refusal(error, large is None or not ordinary(large[3]))
            terms = hess[None]
    except ValueError as error:
        doubtful = p.exact is None or p.extreme or any(0 < abs(s) < 1e-307 for s in p.slack)
        if not doubtful:
            point = _point(p)
            doubtful = point is None or not ordinary(point[3])
        return refusal(error, doubtful)
    point = _point(p)
    if point is not None and not ordinary(point[3]):
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


def barrier(p, v, again):
    try:
        function = levinv.VolumetricBarrier(p.matrix, p.b)
    except ValueError as error:
        return refusal(error, p.extreme or truth.Exact(p.A, np.ones(p.n)).rank < p.d
                       or condition_of_rows(p.A) * EPS * max(p.n, p.d) > 1e-2)
    touching = any(s == 0 and row.any() for s, row in zip(p.slack, p.A, strict=True))
    try:
        value = function.fun(p.x)
        grad = twice(again, lambda: function.grad(p.x))
        hess, product = function.hess(p.x), function.hessp(p.x, v)
    except ValueError as error:
        point = _point(p)
        return refusal(error, touching or p.extreme or point is None or not ordinary(point[3]))
    for name, array in (("fun", value), ("grad", grad), ("hess", hess), ("hessp", product)):
        finite(name, array)
    point = _point(p)
    if point is None or not ordinary(point[3]) or touching:
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


def gradient_loss(p, g, v):
    try:
        loss = levinv.GradientLoss(p.matrix, p.b, g)
        value, grad = loss.fun(p.x), loss.grad(p.x)
        hess, product = loss.hess(p.x), loss.hessp(p.x, v)
    except ValueError as error:
        point = None if p.exact is None else _point(p)
        touching = any(s == 0 and row.any() for s, row in zip(p.slack, p.A, strict=True))
        return refusal(error, touching or p.extreme or point is None or not ordinary(point[3])
                       or p.exact.rank < p.d)
    for name, array in (("fun", value), ("grad", grad), ("hess", hess), ("hessp", product)):
        finite(name, array)
    point = _point(p)
    if point is None or not ordinary(point[3]) or not ordinary(g):
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
