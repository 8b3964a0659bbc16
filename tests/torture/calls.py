"""What is called with a problem: a case from its seed, and its verdict."""
import warnings
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from . import arguments, draws, forward, inputs, inversions, more, regressions
from .garbage import garbage
from .huge import huge
from .judge import Failure, require

# take fewer rows than columns
WIDE = "leverage_scores", "LeverageMap", "ScoreLoss", "model loss", "new rows", "batches", "gaps"


@dataclass
class Case:
    """A problem, the call it is put to, and the call's further arguments."""

    call: str
    problem: inputs.Problem
    arguments: dict

    def verdict(self):
        """The verdict ("failed" is one of them) and why."""
        p = self.problem
        before = [array.copy() for array in (p.A, p.b, p.x, p.scores)]
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                for array in (p.A, p.b, p.x, p.scores):
                    array.flags.writeable = False
                verdict = CALLS[self.call][1](p, **self.arguments)
                for array, copy in zip((p.A, p.b, p.x, p.scores), before, strict=True):
                    require(array.tobytes() == copy.tobytes(), "an input was written to")
            for warning in caught:
                if warning.category is not scipy.linalg.LinAlgWarning:
                    raise Failure(f"{warning.category.__name__}: {warning.message}")
                verdict = "reported"
        except Failure as failure:
            return "failed", str(failure)
        except Exception as error:                   # nothing else may come out of the library
            return "failed", f"{type(error).__name__}: {error}"
        return verdict, ""


def case(seed, index, call=None, kinds=None):
    """Case ``index`` of a seed."""
    rng = np.random.default_rng([seed, index])
    name = _drawn(rng) if call is None else call
    p = inputs.huge(rng) if name == "huge n" else inputs.problem(rng, name in WIDE, kinds)
    return Case(name, p, CALLS[name][0](p, rng))


def one(seed, index, call=None, kinds=None):
    """Case ``index``: its kinds, its call, its verdict ("failed" is one of them) and why."""
    rng = np.random.default_rng([seed, index])
    name = _drawn(rng) if call is None else call
    if name != "garbage":
        drawn = case(seed, index, call, kinds)
        return drawn.problem.kinds, name, *drawn.verdict()
    try:
        return ("garbage",), name, garbage(rng), ""
    except Exception as error:
        return ("?",), name, "failed", f"{type(error).__name__}: {error}"


def case_call(seed, index):
    """Which call case ``index`` is of."""
    return _drawn(np.random.default_rng([seed, index]))


def _drawn(rng):
    weights = np.array([weight for *_, weight in CALLS.values()], dtype=float)
    return str(rng.choice(list(CALLS), p=weights / weights.sum()))


CALLS = {                                  # draws, the call, and how often it is drawn
    "leverage_scores": (draws.leverage_scores, forward.leverage_scores, 20),
    "LeverageMap": (draws.leverage_map, forward.leverage_map, 10),
    "ScoreLoss": (draws.score_loss, forward.score_loss, 8),
    "VolumetricBarrier": (draws.barrier, forward.barrier, 5),
    "GradientLoss": (draws.gradient_loss, forward.gradient_loss, 4),
    "forster_weights": (draws.forster_weights, inversions.forster_weights, 9),
    "invert_scores": (draws.invert_scores, inversions.invert_scores, 32),
    "local methods": (draws.local_methods, inversions.invert_scores, 4),
    "invert_many": (draws.invert_many, inversions.invert_many, 5),
    "invert_gradient": (draws.invert_gradient, inversions.invert_gradient, 6),
    "ridge": (more.draw_ridge, more.ridge, 3),
    "table": (more.draw_table, more.table, 2),
    "garbage": (None, None, 3),
    "huge n": (draws.huge, huge, 0.4),
} | regressions.CALLS | arguments.CALLS
