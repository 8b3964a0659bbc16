"""What came back, against the truth.

right      within the promised bound of the exact value; for inversions: what the result says of
           itself holds
refused    ValueError or TypeError whose message names an argument, where a refusal is in place
reported   success is False, or a LinAlgWarning was given

Everything else is a Failure.
"""
import re

import mpmath
import numpy as np
import scipy.special

import oracles

from . import truth

EPS = np.finfo(float).eps
RANK_IN_DOUBT = 1e-2       # of max(n, d) ε κ, from which the numerical rank may be another one
ARGUMENTS = re.compile(r"\b(A|b|x|x0|v|y|p|g|row|scores|slack|weights|signs|noise|ridge|tol|"
                       r"maxiter|method|options|rcond|rng|workers|callback|check_finite)\b")


class Failure(AssertionError):
    """The library was wrong and did not say so, or broke."""


def require(condition, text):
    if not condition:
        raise Failure(text)


def finite(name, array, shape=None):
    array = np.asarray(array)
    require(np.isfinite(array).all(), f"{name} holds NaN or inf")
    require(shape is None or array.shape == shape, f"{name} has shape {array.shape}, not {shape}")


def close(name, found, true, allowed):
    """|found - true| <= allowed, entrywise."""
    found = np.asarray(found)
    finite(name, found, np.shape(true))
    if np.all(np.asarray(allowed) >= 1e300):
        return
    with mpmath.workdps(50):
        error = np.asarray(np.abs(oracles.exact(found) - true)).astype(float)
    worst = np.max(error / np.maximum(allowed, 1e-320), initial=0.0)
    require(worst <= 1.0, f"{name}: error {error.max():.3g} is {worst:.3g} times the bound")


def condition_of_rows(A):
    """Of A with rows at unit norm."""
    with mpmath.workdps(truth.digits(A)):
        exact = oracles.exact(A)
        norms = np.array([mpmath.sqrt((row * row).sum()) for row in exact], dtype=object)
    return truth.Exact(A, np.where(norms == 0, mpmath.mpf(1), norms)).condition


def bound(p, exact):
    """100 ε κ, inf where the rank is in doubt."""
    whole = condition_of_rows(p.A)
    if max(p.A.shape) * EPS * max(exact.condition, whole) > RANK_IN_DOUBT:
        return np.inf
    # a zero slack takes away columns that are as well known as A's condition allows
    return 100 * EPS * (max(exact.condition, whole) if len(exact.zero) else exact.condition)


def slack_error(p):
    """Largest relative error of A x - b in double."""
    with np.errstate(all="ignore"):
        computed = p.A @ p.x - p.b
        size = (p.d + 2) * EPS * (np.abs(p.A) @ np.abs(p.x) + np.abs(p.b))
    worst = 0.0
    for i in np.flatnonzero(p.A.any(axis=1)):
        true = p.slack[i]
        if computed[i] != true:
            worst = max(worst, float(mpmath.mpf(size[i]) / abs(true)) if true else np.inf)
    return worst


def scores(name, found, p, exact, rounding=0.0):
    """Leverage scores: in [0, 1], the sum, the values."""
    finite(name, found, (p.n,))
    require(found.min() >= 0.0 and found.max() <= 1.0, f"{name} outside [0, 1]")
    allowed = bound(p, exact)
    if not np.isfinite(allowed):
        allowed = 1.0
        total = found.sum()
        require(total <= min(p.n, p.d) * (1 + 100 * EPS * exact.condition),
                f"{name} sum to {total}")
    close(name, found, exact.scores, min(allowed + 4 * rounding, 1.0))


def twice(again, function):
    """function(), and the same ``again``: results must not differ."""
    out = function()
    if again:
        again = function()
        keys = ("x", "scores", "success", "unique") if hasattr(out, "message") else (slice(None),)
        for key in keys:
            require(np.array_equal(out[key], again[key]), "another result in the second call")
    return out


def refusal(error, legitimate):
    """The verdict on a ValueError or a TypeError."""
    require(ARGUMENTS.search(str(error)), f"message names no argument: {error}")
    require(legitimate, f"refused without a reason: {error}")
    return "refused"


def inversion(p, result, known_signs, noise, tol, known_x=True):
    """A verdict on an InversionResult of score inversion."""
    n, d = p.n, p.d
    finite("x", result.x, (d,))
    finite("scores", result.scores, (n,))
    finite("slack", result.slack, (n,))
    finite("null_space", result.null_space)
    require(result.null_space.shape[0] == d, "null_space has a wrong shape")
    k = result.null_space.shape[1]
    if k:
        gram = result.null_space.T @ result.null_space
        require(np.abs(gram - np.eye(k)).max() < 1e-8, "null_space is not orthonormal")
    errors = result.standard_errors
    require(errors.shape == (d,) and not np.isnan(errors).any() and (errors >= 0).all(),
            f"standard_errors {errors}")
    require(not np.isnan(result.condition) and result.condition >= 0, "condition is NaN")
    require(not np.isnan(result.fun) and (np.isfinite(result.fun) or not result.success), "fun")
    require(np.isin(result.signs, (-1, 0, 1)).all(), "signs")
    require(type(result.success) is bool and type(result.unique) is bool, "success, unique: types")
    require(result.success == (result.status == 0) and result.message, "status and success")
    require(result.success or not result.unique, "unique without success")
    solvable = p.exact is not None and not p.changed and known_signs is not False
    if not result.success:
        if result.status == 1 and solvable and noise is None:
            require(not clearly_inside(p), f"said to have no solution, but has: {result.message}")
        return "reported"
    slack = truth.slack(p.A, p.b, result.x)
    verdict = "right"
    with np.errstate(all="ignore"):
        rounding = 2 * (d + 2) * EPS * (np.abs(p.A) @ np.abs(result.x) + np.abs(p.b)) + 1e-300
        close("slack", result.slack, slack, np.where(result.slack == 0, np.inf, rounding))
    fit = residual(p, result, slack)
    if noise is None:
        worst = np.abs(fit).max(initial=0.0)
        promised = tol * 1.01 + 100 * EPS
        if worst > promised:                           # to which scores are computed
            promised += 100 * EPS * condition_of_rows(p.A)
        require(worst <= 101 * promised, f"success, but max|sigma - c| = {worst:.3g}")
        if worst > promised:
            require(" only" in result.message, f"success, but max|sigma - c| = {worst:.3g}")
            verdict = "reported"
    elif np.min(noise) > 100 * EPS * condition_of_rows(p.A):      # scores can be told as finely
        counted = p.A.any(axis=1)
        whitened = (fit / np.clip(noise, 16 * EPS, 1.0))[counted]
        freedom = max(np.count_nonzero(counted), 1)
        require(whitened @ whitened <= 1.01 * max(scipy.special.chdtri(freedom, 1e-3),
                                                  1.21 * freedom),
                f"success, but chi-squared {whitened @ whitened:.3g} of {freedom}")
    if isinstance(known_signs, np.ndarray):
        spread = np.abs(p.A) @ np.where(np.isfinite(errors), errors, np.abs(result.x))
        wrong = (np.sign(result.slack) * known_signs < 0) & p.A.any(axis=1)
        wrong &= np.abs(result.slack) > 10 * spread + 1e-6 * np.abs(p.b).max()
        require(not wrong.any(), "success with other signs than known")
    if k and noise is None:
        unseen(p, result, slack)
    if result.unique and solvable and noise is None and known_x:
        unique(p, result)
    return verdict


def residual(p, result, slack):
    """sigma(x) - c, exactly; rows taken for zero slack by the library have it."""
    taken = (result.slack == 0) & (p.scores >= 1 - 4 * EPS)
    slack = np.where(taken, mpmath.mpf(0), slack)
    try:
        exact = truth.Exact(p.A, slack)
    except truth.UndefinedError:
        raise Failure("success where the scores are not defined") from None
    with mpmath.workdps(50):
        return (exact.scores - oracles.exact(np.clip(p.scores, 0, 1))).astype(float)


def clearly_inside(p):
    """Whether the target lies so far inside the base polytope that arithmetic cannot doubt it:
    every proper flat, for few rows, by enumeration.
    """
    rows = np.flatnonzero(p.A.any(axis=1))
    if len(rows) > 12 or max(p.A.shape) * EPS * condition_of_rows(p.A) > 1e-6:
        return False
    with mpmath.workdps(truth.digits(p.A)):
        A = oracles.exact(p.A)
        full = truth.rank(A[rows])
        for mask in range(1, 2 ** len(rows) - 1):
            part = rows[(mask >> np.arange(len(rows))) & 1 == 1]
            room = truth.rank(A[part]) - p.scores[part].sum()
            if room < 1e-9:
                rest = np.setdiff1d(rows, part)
                if truth.rank(A[part]) + truth.rank(A[rest]) > full:
                    return False
    return True


def unseen(p, result, slack):
    """Along the null space no score changes."""
    if any(s == 0 for s in slack) or max(p.A.shape) * EPS * condition_of_rows(p.A) > 1e-6:
        return
    exact = truth.Derivatives(p.A, slack)
    for v in result.null_space.T:
        with mpmath.workdps(exact.exact.dps):
            moved = exact.B @ oracles.exact(v)
            change = 2 * (exact.Q @ moved - exact.exact.scores * moved)
            # entries of v are known to rounding of its norm, 1
            allowed = 1e-6 * max(np.abs(moved)) + 1e3 * EPS * max(np.abs(exact.B).sum(axis=1))
            change, allowed = float(max(np.abs(change))), float(allowed)
        require(change <= allowed, f"null_space: moves the scores by {change:.3g}")


def unique(p, result):
    """Unique: then x is the x of the construction, to its standard errors, and the Jacobian there
    has full rank.
    """
    error = np.abs(result.x - p.x)
    allowed = 100 * result.standard_errors + 100 * EPS * np.abs(p.x)
    if np.any(error > allowed):
        worst = int(np.argmax(error / np.maximum(allowed, 1e-320)))
        raise Failure(f"unique, but x[{worst}] = {result.x[worst]:.6g}, not {p.x[worst]:.6g}: "
                      f"standard error {result.standard_errors[worst]:.3g}")
    if not any(s == 0 for s in p.slack):
        exact = truth.Derivatives(p.A, p.slack)
        with mpmath.workdps(exact.exact.dps):
            require(truth.rank(exact.jacobian()) == p.d,
                    "unique, but the Jacobian has not full rank")
