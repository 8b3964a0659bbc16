"""What is called with a problem: a case from its seed, and its verdict."""
import warnings

import numpy as np
import scipy.linalg

import levinv

from . import forward, inputs, inversions, truth
from .judge import EPS, Failure, finite, require


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


CALLS = {                                  # the call, and how often it is drawn
    "leverage_scores": (forward.leverage_scores, 20),
    "LeverageMap": (forward.leverage_map, 10),
    "ScoreLoss": (forward.score_loss, 8),
    "VolumetricBarrier": (forward.barrier, 5),
    "GradientLoss": (forward.gradient_loss, 4),
    "forster_weights": (inversions.forster_weights, 9),
    "invert_scores": (inversions.invert_scores, 32),
    "local methods": (inversions.local_methods, 4),
    "invert_many": (inversions.invert_many, 5),
    "invert_gradient": (inversions.invert_gradient, 6),
    "garbage": (None, 3),
    "huge n": (huge, 0.4),
}
