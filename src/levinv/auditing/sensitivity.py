"""How scores move with x, and so how well x can be told from scores with noise.

Scores c = sigma(x) + e, e independent with standard deviations ν_i, W = diag(1/ν). To first order
the covariance of the best unbiased estimate of x is (Jᵀ W² J)⁺, the Cramér-Rao bound; a standard
error is the root of its diagonal. J is decomposed in coordinates z of unit effect, dx = T z, in
which the slacks change by the relative amounts U z with orthonormal U, so that nothing depends on
the units of A's columns:

    W J T = Y diag(v) Zᵀ,   steps = T Z diag(1/v):   W J steps = Y, columns of norm 1.

Then the standard errors are the norms of the rows of ``steps``, and the norms of the rows of
W J steps, squared, are the diagonal of W J (Jᵀ W² J)⁺ Jᵀ W: how much each row's score tells of x.
The decomposition is that of the triangle of W J T, put together from blocks of rows, so that no
other array of J's size is made.

The directions in which no score changes are known in number; as many of the smallest v are left
out. A direction that changes a zero slack is left out, too: a score of 1 says that the slack is
zero, to all the digits that it has.

The prediction is linear, and *departure* measures how far that is from the truth where it matters:
errors δ of the size predicted are drawn, and |W (sigma(x + δ) - sigma(x) - J δ)| / |W J δ| is
taken.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levinv._typing import Floats
from levinv.forward.leverage_map import LeverageMap
from levinv.forward.projection import Projection
from levinv.storage.blocked import triangle_of

EPS = np.finfo(float).eps
ROWS_AT_ONCE = 4096
UNDETERMINED = 1e-8       # entry of a direction of norm 1 from which a coefficient takes part in it
DRAWS, SEED = 8, 7
NOTICEABLE = 1e-7        # size of changes of the scores beside which their rounding is nothing


@dataclass(frozen=True)
class Sensitivity:
    """The decomposition of the whitened Jacobian."""

    values: Floats            # (r,) singular values, decreasing
    steps: Floats             # (d, r)
    flat: Floats              # (d, f) directions whose values are zero to rounding
    influence: Floats         # (n,)

    def standard_errors(self, null_space: Floats) -> Floats:
        """(d,): inf where a coefficient takes part in a direction that no score shows."""
        errors: Floats = np.linalg.norm(self.steps, axis=1)
        for free in (null_space, self.flat):
            errors[np.linalg.norm(free, axis=1) > UNDETERMINED * np.linalg.norm(free)] = np.inf
        return errors


def sensitivity(jacobian: Floats, deviation: Floats, projection: Projection,
                free: int) -> Sensitivity:
    """Decompose.

    Parameters
    ----------
    jacobian : (n, d) array
    deviation : (n,) array
        ν, above 0.
    projection : Projection
        At x: its ``steps`` are the coordinates.
    free : int
        Dimension of the null space within the row space of A.
    """
    n = len(jacobian)
    coordinates = projection.smallest_slack * projection.steps
    coordinates = coordinates[:, np.any(coordinates != 0, axis=0)]
    k = coordinates.shape[1]
    blocks = [slice(first, first + ROWS_AT_ONCE) for first in range(0, n, ROWS_AT_ONCE)]
    triangle: Floats = np.zeros((0, k))
    for block in blocks:
        part = jacobian[block] @ coordinates
        part /= deviation[block, None]
        triangle = triangle_of(np.vstack([triangle, part]))
    _, values, directions = np.linalg.svd(triangle)
    wanted = max(k - free, 0)
    values = np.append(values, np.zeros(k - len(values)))[:wanted]
    directions = coordinates @ directions[:wanted].T
    kept = int(np.count_nonzero(values > k * EPS * values[:1]))
    steps = directions[:, :kept] / values[:kept]
    influence = np.concatenate([np.sum((jacobian[block] @ steps) ** 2, axis=1)
                                / deviation[block] ** 2 for block in blocks])
    return Sensitivity(values[:kept], steps, directions[:, kept:], influence)


def departure(scores_at: LeverageMap, x: Floats, steps: Floats, deviation: Floats) -> float:
    """Median departure from the linear prediction, over errors drawn at random as predicted.

    Where these are so small that rounding of the scores would be seen instead, larger ones are
    taken: the departure grows in proportion.

    Parameters
    ----------
    scores_at : LeverageMap
    x : (d,) array
    steps : (d, r) array
    deviation : (n,) array
    """
    if not steps.shape[1]:
        return 0.0
    larger = max(1.0, NOTICEABLE / deviation.max())
    drawn = larger * np.random.default_rng(SEED).standard_normal((DRAWS, steps.shape[1])) @ steps.T
    scores = scores_at.scores(x)
    try:
        linear = [scores_at.jvp(x, step) / deviation for step in drawn]
        departures = [
            np.linalg.norm((scores_at.scores(x + step) - scores) / deviation - predicted)
            / np.linalg.norm(predicted) for step, predicted in zip(drawn, linear, strict=True)]
    except ValueError:                 # errors so large that A (x + δ) overflows
        return np.inf
    return float(np.median(departures) / larger)
