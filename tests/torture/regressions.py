"""Regression models: scores at several x, the loss and its derivatives, inversion with what is
known of signs, inexact scores. The draws stand beside the calls.
"""
import dataclasses
import itertools

import mpmath
import numpy as np
import scipy.special

import levinv
import oracles

from . import truth
from .families import MODELS, at, fitted_to, loss_derivatives
from .judge import (
    EPS,
    clearly_inside,
    close,
    condition_of_rows,
    finite,
    refusal,
    require,
    scores,
    twice,
)

TOL = 1e-8
BACK = [name for name, model in MODELS.items() if not model.responses and name != "gamma log"]
ROUNDED = "power 2.0", "binomial", "probit", "cloglog", "poisson", "negative-binomial"
SEARCHED = ROUNDED[:4]      # with a pole or a peak: other x are searched for systematically
PEAKED = "binomial", "probit", "cauchit"         # mode 0
COMBINED = 10               # alternatives of which all combinations are tried


def _responses(p, model, rng):
    if model.responses == "zero or one":
        return rng.integers(0, 2, p.n).astype(float)
    return rng.exponential(size=p.n) + 1e-3 if model.responses else None


def _arguments(p, rng, names):
    name = names[int(rng.integers(len(names)))]
    return {"model": name, "largest": float(rng.choice([1.0, 4.0, 16.0])),
            "prior": 2.0 ** rng.integers(-3, 4, p.n) if rng.random() < 0.3 else None,
            "y": _responses(p, MODELS[name], rng)}


def draw_model_loss(p, rng):
    return _arguments(p, rng, list(MODELS)) | {
        "target": rng.random(p.n), "v": rng.standard_normal(p.d), "w": rng.standard_normal(p.n)}


def _extreme(p):
    return p.extreme or slopes_overflow(p)


def slopes_overflow(p):
    """Rows so small beside their slack that derivatives of their log weights under- or overflow."""
    with mpmath.workdps(30):
        ratios = [float(mpmath.log10(np.abs(row).max() / abs(s)))
                  for row, s in zip(p.A, p.slack, strict=True) if s and row.any()]
    return max(map(abs, ratios), default=0.0) > 140


def model_loss(p, model, largest, prior, y, target, v, w):
    """A batch of x, the Jacobian's products, the loss, its gradient and its Hessian."""
    family = MODELS[model]
    p = fitted_to(p, family, largest)
    point = at(p, family, p.x, p.b, prior, y)
    given = {"weighting": family.given(y), "prior_weights": prior}
    doubtful = point is None or not point.clear or _extreme(p)
    try:
        forward = levinv.LeverageMap(p.matrix, p.b, **given)
        batch = forward.scores(np.array([p.x, p.x]))
        one, along, across = forward.scores(p.x), forward.jvp(p.x, v), forward.vjp(p.x, w)
        loss = levinv.ScoreLoss(p.matrix, p.b, target, **given)
        value, grad = loss.fun_and_grad(p.x)
    except ValueError as error:
        return refusal(error, doubtful)
    try:
        hess, product = loss.hess(p.x), loss.hessp(p.x, v)
    except ValueError as error:
        refusal(error, doubtful or bool(family.responses))
        hess = product = None
    for name, array in (("batch", batch), ("jvp", along), ("vjp", across), ("fun", value),
                        ("grad", grad)) + ((("hess", hess), ("hessp", product))
                                           if hess is not None else ()):
        finite(name, array)
    if doubtful:
        return "right"
    for found in (one, *batch):
        scores("scores", found, p, point.exact, point.rounding)
    with mpmath.workdps(point.exact.dps):
        close("jvp", along, point.jacobian @ oracles.exact(v),
              float(point.each @ np.abs(v)))
        close("vjp", across, oracles.exact(w) @ point.jacobian,
              point.each * np.abs(w).sum())
    with mpmath.workdps(60):
        misfit = point.exact.scores - oracles.exact(target)
        # each of n terms ½ r² is wrong by at most |r| <= 1 times the error of a score
        close("fun", value, (misfit * misfit).sum() / 2,
              4 * p.n * (point.allowed + point.rounding))
    true, curved, *left = loss_derivatives(p, family, p.x, p.b, prior, y, target)
    first, second = (bound + own for bound, own in zip(point.of_loss(1.0), left, strict=True))
    close("grad", grad, true, first)
    if hess is not None:
        close("hess", hess, curved, second)
        with mpmath.workdps(60):
            close("hessp", product, curved @ oracles.exact(v), second @ np.abs(v))
    return "right"


def draw_model_inversion(p, rng):
    out = _arguments(p, rng, BACK)
    return out | {"known": str(rng.choice(["nothing", "nothing", "signs", "coefficients"]))}


def _known(p, model, eta, known):
    """Signs of A x - b, where the mode or pole is at 0, or of x. Both are those of the truth."""
    if known == "coefficients" and not MODELS[model].pole:
        return {"coefficient_signs": np.sign(p.x)}
    if known == "signs" and (model in PEAKED or MODELS[model].pole):
        return {"signs": np.array([-1.0 if s < 0 else 1.0 for s in eta])}
    return {}


def model_inversion(p, model, largest, prior, y, known):
    family = MODELS[model]
    p = fitted_to(p, family, largest)
    point = at(p, family, p.x, p.b, prior, y)
    target = np.clip(p.scores if point is None else point.exact.rounded, 0.0, 1.0)
    given = _known(p, model, truth.slack(p.A, p.b, p.x), known)
    try:
        result = levinv.invert_scores(p.matrix, p.b, target, weighting=family.given(y),
                                      prior_weights=prior, rng=0, **given)
    except ValueError as error:
        return refusal(error, point is None or p.extreme or p.n < p.d)
    finite("x", result.x, (p.d,))
    finite("alternatives", result.alternatives)
    require(result.success or not result.unique, "unique without success")
    require(not np.isnan(result.standard_errors).any(), "standard_errors")
    if not result.success:
        if point is not None and point.clear and result.status == 1:
            q = dataclasses.replace(p, scores=target)
            require(not clearly_inside(q), f"said to have no solution, but has: {result.message}")
        return "reported"
    for x in (result.x, *result.alternatives):
        there = at(p, family, x, p.b, prior, y)
        if there is None or not there.clear:
            continue
        with mpmath.workdps(50):
            worst = float(max(np.abs(there.exact.scores - oracles.exact(target))))
        allowed = 1.01 * TOL + there.allowed + 4 * there.rounding
        require(worst <= allowed or " only" in result.message,
                f"success, but max|sigma - c| = {worst:.3g}, allowed {allowed:.3g}")
    if "coefficient_signs" in given:
        slip = np.abs(result.x) > 100 * result.standard_errors
        require(not np.any(slip & (result.x * given["coefficient_signs"] < 0)),
                "success with other coefficient signs than known")
    if result.unique and point is not None and point.clear:
        error = np.abs(result.x - p.x)
        room = 100 * result.standard_errors + 100 * EPS * np.abs(p.x)
        require(np.all(error <= room), f"unique, but x is off by {np.max(error - room):.3g}")
        require(_rank(point.jacobian) == p.d, "unique, but the Jacobian has not full rank")
    return "right"


def _rank(jacobian):
    """Exact, but for the 60 digits of the derivatives."""
    with mpmath.workdps(80):
        return truth.rank(jacobian)


def draw_inexact(p, rng):
    out = _arguments(p, rng, ROUNDED)
    decimals = int(rng.integers(2, 8))
    how = str(rng.choice(["decimals", "decimals", "noise", "noises"]))
    noise = 10.0 ** rng.uniform(-8, -2)
    if how == "noises":
        noise = noise * 10.0 ** rng.uniform(-1, 1, p.n)
    return out | {"decimals": decimals if how == "decimals" else None,
                  "noise": None if how == "decimals" else noise, "error": rng.standard_normal(p.n)}


def inexact(p, model, largest, prior, y, decimals, noise, error):
    """The truth is among x, the alternatives and their combinations, at most 3 √d + 4 noise levels
    away, in the Jacobian's metric, as docs/noise.md says; ``unique`` is not True with another x.
    Where the standard errors of x cover the truth, or are infinite, x says so itself: solutions
    closer than these are reported as one. Weights without a pole or a peak promise ``unique``
    alone: their other x are searched for from x only. So do those with a peak where there are no
    more scores than unknowns, but for their sum: x at many levels have them.

    Only where noise alone hides something: A of full rank and well conditioned, scores that noise
    does not push out of [0, 1], errors that pass the chi-squared test themselves.
    """
    family = MODELS[model]
    p = fitted_to(p, family, largest)
    point = at(p, family, p.x, p.b, prior, y)
    if (point is None or not point.clear or p.extreme or p.n < p.d or condition_of_rows(p.A) > 1e5
            or point.exact.rank < p.d or point.rounding > 1e-9):
        return "refused"
    exact = point.exact.rounded
    if decimals is not None:
        target, given = exact.round(decimals), {"decimals": decimals}
        levels = np.full(p.n, 10.0 ** -decimals / np.sqrt(12.0))
    else:
        target, given = np.clip(exact + noise * error, 0.0, 1.0), {"noise": noise}
        levels = np.broadcast_to(noise, p.n)
    result = twice(False, lambda: levinv.invert_scores(
        p.matrix, p.b, target, weighting=family.given(y), prior_weights=prior, rng=0, **given))
    finite("x", result.x, (p.d,))
    finite("alternatives", result.alternatives)
    require(result.success or not result.unique, "unique without success")
    if not result.success:
        return "reported"
    counted = p.A.any(axis=1)
    fit = ((exact - target) / levels)[counted]
    if fit @ fit > scipy.special.chdtri(max(counted.sum(), 1), 1e-3):
        return "right"                         # the truth itself does not pass
    known = list(combinations(result))
    nearest = min(distance(point, x - p.x, levels) for x in known)
    allowed = 3.0 * np.sqrt(p.d) + 4.0
    covered = any(np.all(np.abs(x - p.x) <= result.standard_errors) for x in known)
    if nearest <= allowed or covered:
        return "right"
    require(not result.unique, f"unique, but x is {nearest:.3g} noise levels away, allowed "
            f"{allowed:.3g}")
    few = not MODELS[model].pole and counted.sum() <= p.d + 1
    promised = model in SEARCHED and not few and np.isfinite(result.standard_errors).all()
    require(not promised, f"the truth is not reported: {len(result.alternatives)} alternatives, "
            f"the nearest is {nearest:.3g} noise levels away")
    return "reported"


def distance(point, step, levels):
    """The size of J step in noise levels."""
    with mpmath.workdps(60):
        moved = (point.jacobian @ oracles.exact(step)) / oracles.exact(levels)
        return float(mpmath.sqrt((moved * moved).sum()))


def combinations(result):
    """x, and x with the changes of any alternatives made together."""
    changes = result.alternatives[:COMBINED] - result.x
    for chosen in itertools.product((0.0, 1.0), repeat=len(changes)):
        yield result.x + np.array(chosen) @ changes if len(changes) else result.x
    yield from result.alternatives[COMBINED:]


CALLS = {
    "model loss": (draw_model_loss, model_loss, 6),
    "model inversion": (draw_model_inversion, model_inversion, 6),
    "inexact scores": (draw_inexact, inexact, 6),
}
