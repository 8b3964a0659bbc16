"""What is no input: it has to be refused by name."""
import numpy as np

import levinv

from .judge import Failure, require


def garbage(rng):
    """One argument of one function is spoilt: the refusal has to name it."""
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
