"""How the scores change with x, and how precisely scores with noise therefore determine x.

Let the scores be c = sigma(x) + e with independent errors e of standard deviations ν_i, and let
W = diag(1/ν). To first order the covariance of the best unbiased estimate of x is (Jᵀ W² J)⁺, the
Cramér-Rao bound, and the standard errors are the roots of its diagonal. J is decomposed in
coordinates z, dx = T z, in which the slacks change by the relative amounts U z with orthonormal
U, so that nothing depends on the units of A's columns:

    W J T = Y diag(v) Zᵀ,   steps = T Z diag(1/v):   W J steps = Y, columns of norm 1.

Then the standard errors are the norms of the rows of ``steps``, and the squared norms of the rows
of W J steps are the diagonal of W J (Jᵀ W² J)⁺ Jᵀ W: how much the score of each row reveals of x.
The singular values are those of the triangle of W J T, which is built from blocks of rows, so that
no second array of J's size is needed.

The number of directions in which no score changes is known, and that many of the smallest v are
left out. A direction that changes a zero slack is also left out: a score of 1 shows that the slack
is zero, to full precision.

The prediction is linear. *departure* measures the error of linearisation: it draws errors δ of x of
the predicted size and computes |W (sigma(x + δ) - sigma(x) - J δ)| / |W J δ|.
"""
import math
from dataclasses import dataclass

import numpy as np

from levinv._tolerances import DEPARTURE_DRAWS, EPS, ROUNDING_FACTOR, SAMPLE_SEED
from levinv._typing import Floats
from levinv.forward.leverage_map import LeverageMap
from levinv.forward.projection import Projection
from levinv.storage.blocked import triangle_of


@dataclass(frozen=True)
class Sensitivity:
    """The singular value decomposition of the whitened Jacobian."""

    values: Floats            # (r,) singular values, decreasing
    steps: Floats             # (d, r) changes of x: see above
    flat: Floats              # (d, f) directions whose singular values are zero to rounding
    influence: Floats         # (n,)

    def standard_errors(self, null_space: Floats) -> Floats:
        """(d,): inf if a coefficient changes along a direction in which no score changes."""
        errors: Floats = np.linalg.norm(self.steps, axis=1)
        for free in (null_space, self.flat):
            # For coefficients that do not change, rounding leaves entries of at most about √ε.
            errors[np.linalg.norm(free, axis=1) > np.sqrt(EPS) * np.linalg.norm(free)] = np.inf
        return errors


def sensitivity(jacobian: Floats, deviation: Floats, projection: Projection,
                free: int) -> Sensitivity:
    """Decompose the Jacobian J (n, d) divided by the deviations ν of the scores (n,), inf for one
    that is not published. T is ``steps`` of the projection at x, ``free`` the dimension of the null
    space in A's row space.
    """
    n = len(jacobian)
    coordinates = projection.smallest_slack * projection.steps
    coordinates = coordinates[:, np.any(coordinates != 0, axis=0)]
    k = coordinates.shape[1]
    # A block takes the memory of a few vectors (n,), and is long enough for an efficient QR.
    length = max(n // max(k, 1), 4 * k)
    blocks = [slice(first, first + length) for first in range(0, n, length)]
    triangle: Floats = np.zeros((0, k))
    for block in blocks:
        rows = jacobian[block] @ coordinates
        rows /= deviation[block, None]
        triangle = triangle_of(np.vstack([triangle, rows]))
    _, values, directions = np.linalg.svd(triangle)
    wanted = max(k - free, 0)
    directions = coordinates @ directions[:wanted].T
    kept = int(np.count_nonzero(values[:wanted] > k * EPS * values[:1]))
    steps = directions[:, :kept] / values[:kept]
    influence = np.concatenate([
        np.sum((jacobian[block] @ steps / deviation[block, None]) ** 2, axis=1)
        for block in blocks])
    return Sensitivity(values[:kept], steps, directions[:, kept:], influence)


def departure(scores_at: LeverageMap, x: Floats, steps: Floats, deviation: Floats,
              noise: float = 1.0) -> float:
    """Median departure from the linear prediction over random errors of the predicted size, with
    ``noise`` times the ``deviation`` for which the ``steps`` are.

    If these errors change the scores so little that rounding would dominate, larger errors are
    drawn and the result is scaled back, since the departure grows in proportion to the errors.
    """
    if not steps.shape[1]:
        return 0.0
    steps, deviation = noise * steps, noise * deviation
    # then the second-order part, the square of the change, is 100 roundings of a score
    larger = max(1.0, math.sqrt(ROUNDING_FACTOR * EPS) / deviation[np.isfinite(deviation)].max())
    shape = DEPARTURE_DRAWS, steps.shape[1]
    errors = larger * np.random.default_rng(SAMPLE_SEED).standard_normal(shape) @ steps.T
    scores = scores_at.scores(x)
    try:
        linear = [scores_at.jvp(x, error) / deviation for error in errors]
        departures = [
            np.linalg.norm((scores_at.scores(x + error) - scores) / deviation - predicted)
            / np.linalg.norm(predicted) for error, predicted in zip(errors, linear, strict=True)]
    except ValueError:                 # x + δ is so large that A (x + δ) overflows
        return np.inf
    return float(np.median(departures) / larger)
