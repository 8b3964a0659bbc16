"""The composed map at many points X (k, d): slacks, scores, and what losses and barriers need.

The points that the compiled route does not serve (zero slacks, heavy rows, ill-conditioned weights,
rows in another storage than an array) are left to the caller, who computes them one by one.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from levinv import _tolerances, _validate
from levinv._kernels.points import finish_slack
from levinv._parallel import share, sharing
from levinv._tolerances import SAFE_SIZE
from levinv._typing import Booleans, Floats, Integers, VectorLike
from levinv.forward.many_weights import ManyWeights, evaluate, parts, serves
from levinv.forward.projection import heavy_below
from levinv.storage import DenseRows, Rows
from levinv.weighting.protocol import Weighting


class Composed(Protocol):
    """What is used here of the composed map, :class:`levinv.forward.score_map.ScoreMap`."""

    rows: Rows
    b: Floats | None
    axes: _validate.Axes
    weighting: Weighting
    log_prior: Floats | None
    left_out: Booleans | None
    rank: int
    direct: bool
    in_own_columns: bool


@dataclass(frozen=True)
class ManyPoints:
    """The compiled results at k points. Immutable."""

    map: Composed
    x: Floats                    # (k, d)
    slack: Floats                # (k, n)
    unit: Floats                 # (k,) the weights are relative to exp(unit)
    found: ManyWeights
    served: Booleans             # (k,)

    @property
    def left(self) -> Integers:
        """The points that the caller has to compute."""
        return np.flatnonzero(~self.served)

    def pull(self, y: Floats) -> Floats:
        """Fᵀ y for each row of y (k, n), (k, d), 0 at points that are left; F = diag(-τ'/2) A."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = self.map.weighting.times_slope(y, self.slack)
        scaled[~self.served] = 0.0
        return times(self.map, scaled, transposed=True)


def is_batch(x: VectorLike) -> bool:
    """Whether an argument holds many points."""
    return (x.ndim if type(x) is np.ndarray else _validate.dimensions(x)) == 2


def coefficients(points: Composed, x: VectorLike) -> Floats:
    """Many points as a float64 array (k, d), in the order of the columns."""
    array = _validate.real_array(x, "x", 2)
    d = points.rows.shape[1]
    if array.shape[1] != d:
        raise ValueError(f"x must have shape ({d},) or (k, {d}), one entry per column of A, got "
                         f"{array.shape}")
    return np.ascontiguousarray(points.axes.columns.aligned(array, x, "x", axis=1))


def times(points: Composed, values: Floats, transposed: bool = False) -> Floats:
    """values Aᵀ (k, n) or, ``transposed``, values A (k, d)."""
    A = array_of(points)
    if A is None:
        product = points.rows.rmatvec if transposed else points.rows.matvec
        return np.ascontiguousarray(product(values.T).T)
    factor = A if transposed else A.T
    out = np.empty((len(values), factor.shape[1]))
    with sharing(None, 2 * len(values) * A.size) as workers:
        share(lambda part: np.matmul(values[part], factor, out=out[part]),
              parts(len(values), A), workers)
    return out


def array_of(points: Composed) -> Floats | None:
    """A if it is an array for the compiled route."""
    rows = points.rows
    if isinstance(rows, DenseRows) and isinstance(rows.A, np.ndarray) and serves(rows.A):
        return rows.A
    return None


def slacks(points: Composed, x: Floats) -> Floats:
    """A x - b for each x, (k, n)."""
    with np.errstate(over="ignore", invalid="ignore"):
        slack = times(points, x)
        if points.b is not None:
            slack -= points.b
    if not finish_slack(slack.ravel(), None):
        row = int(np.argmin(np.isfinite(slack).all(axis=1)))
        raise ValueError(f"x must not be so large that A x - b overflows (x[{row}])")
    return slack


def evaluate_points(points: Composed, x: Floats, *, order: int = 0, determinants: bool = False,
                    target: Floats | None = None, out: Floats | None = None) -> ManyPoints:
    """What the compiled route finds, for derivatives up to an order; with ``target`` (n,) products
    with the Laplacian.
    """
    slack = slacks(points, x)
    k, unit = len(x), np.zeros(len(x))
    A = array_of(points)
    if A is None or not points.in_own_columns:
        nothing = np.zeros(slack.shape) if out is None else out
        return ManyPoints(points, x, slack, unit, ManyWeights(np.full(k, np.inf), nothing),
                          np.zeros(k, dtype=bool))
    values = slack
    if not points.direct:
        values, unit = _weights(points, slack)
    elif points.left_out is not None:
        values = np.where(points.left_out, 1.0, slack)       # zero rows
    found = evaluate(A, values, points.direct, out=out, determinants=determinants,
                     target=target)
    served = found.served
    if target is not None:
        served &= found.condition <= _tolerances.OWN_FORMS_CONDITION * np.sqrt(points.rank)
    with np.errstate(invalid="ignore"):
        served &= found.scores.max(axis=1) <= 1.0 - heavy_below(points.rank)
    if order > points.weighting.smooth:
        served &= slack.all(axis=1)
    return ManyPoints(points, x, slack, unit, found, served)


def _weights(points: Composed, slack: Floats) -> tuple[Floats, Floats]:
    """Weights (k, n) relative to exp(unit), and the units (k,). NaN where a weight is beyond the
    range, or a linear predictor outside the domain.
    """
    magnitude, unit = np.empty(slack.shape), np.empty(len(slack))
    for i, eta in enumerate(slack):
        magnitude[i], unit[i] = points.weighting.magnitude(eta, points.log_prior)
    low, high = points.weighting.domain
    outside = ~((slack > low) & (slack < high) & (magnitude <= SAFE_SIZE))
    with np.errstate(all="ignore"):
        weights = magnitude ** -2.0
    weights[outside] = np.nan
    if points.left_out is not None:
        weights[:, points.left_out] = 0.0
    return weights, unit
