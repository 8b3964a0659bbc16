"""Problems of many rows: each call is judged and returns a verdict or raises Failure."""
import numpy as np

import levinv

from . import truth
from .judge import EPS, Failure, finite, require


def huge(p, what, method, known):
    slack = p.slack.astype(float)
    if what == "scores":
        found = levinv.leverage_scores(p.A, slack=slack, method=method)
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
        signs = np.where(slack < 0, -1.0, 1.0) if known else None
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
