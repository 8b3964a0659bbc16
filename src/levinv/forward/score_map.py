"""The composed map x -> η = A x - b -> t = τ(η) + log v -> σ(t), which the public classes share.

See levinv.forward.leverage_map for its derivatives.

Weights exp(t) may range over any number of orders. Two limits apply; beyond them an error says so.

* *Range*: magnitudes exp(-t/2), relative to the largest weight, are normal doubles down to weights
  of exp(-WEIGHT_RANGE). Rows below that are left out if the others span the same column space and
  if they have, by the others' projection, a score below the range of doubles.
* *Rounding*: the rows scale_i a_i T of the basis have rounding errors up to ε scale_i |a_i| |T|. If
  the heaviest rows are many and do not span the column space, these errors are weighted more than
  the lighter rows that decide the rest of it. Their sum must stay below WEIGHTED_ROUNDING, unless
  A itself is as ill-conditioned. (Few heavy rows are eliminated, and do no harm.)
"""
from __future__ import annotations

import contextlib
import math
from typing import NamedTuple

import numpy as np

from levinv import _validate, storage
from levinv._kernels import points
from levinv._kernels.dense import all_finite
from levinv._kernels.points import finish_slack
from levinv._parallel import sharing
from levinv._tolerances import (
    BLAS_LIMIT,
    EPS,
    SQUARABLE,
    TINY,
    WEIGHT_RANGE,
    WEIGHTED_ROUNDING,
)
from levinv._typing import Booleans, Floats, MatrixLike, VectorLike
from levinv.forward.basis import column_space, uncombined
from levinv.forward.log_weights import LogWeights
from levinv.forward.projection import (
    Projection,
    compiled_projection,
    project,
    projection_at,
)
from levinv.forward.quotient import DependentZeroSlackError
from levinv.weighting.arguments import right_hand_side
from levinv.weighting.names import WeightingLike, as_weighting
from levinv.weighting.protocol import INVERSE_SQUARE, Weighting

GREATEST_MAGNITUDE = math.exp(0.5 * WEIGHT_RANGE)


class Point(NamedTuple):
    """The log weights and the projection at some x."""

    weights: LogWeights
    projection: Projection

    @property
    def slack(self) -> Floats:
        """A x - b, (n,), read-only."""
        return self.weights.eta


class ScoreMap:
    """The composed map. It checks its arguments."""

    def __init__(self, A: MatrixLike, b: VectorLike | None = None,
                 weighting: WeightingLike = None, prior_weights: VectorLike | None = None,
                 offset: VectorLike | None = None):
        self.axes = _validate.axes(A, b=b, offset=offset, prior_weights=prior_weights)
        A = _validate.matrix(A, "A", sparse=True)
        n = A.shape[0]
        self.b = right_hand_side(b, offset, weighting, n, self.axes.rows)
        self.weighting = _for_rows(as_weighting(weighting), n).in_order(self.axes.rows)
        prior = None if prior_weights is None else _prior(prior_weights, n, self.axes.rows)
        self.rows = storage.of(A)
        used = None if prior is None or prior.all() else prior > 0
        with self.threads() as self.rows.workers:
            sizes = _validate.ordinary_columns(self.rows.column_max(), "A")
            transform = column_space(self.rows, used).transform
        self.rank = transform.shape[1]
        self._transform = transform
        # Forms in A's own columns have products of four entries, which must not over- or underflow.
        own_columns = (self.rank == A.shape[1] and sizes.min() > math.sqrt(SQUARABLE)
                       and sizes.max() < 1.0 / math.sqrt(SQUARABLE))
        self.in_own_columns = own_columns
        self._columns = None if own_columns else uncombined(self.rows, transform)
        left_out = ~self.rows.nonzero()
        if used is not None:
            left_out |= ~used
        self.left_out = left_out if left_out.any() else None
        # The weighting of the papers takes its own way, without logarithms.
        self.direct = self.weighting is INVERSE_SQUARE and prior is None
        self.log_prior = None if self.direct else _log_prior(prior, self.left_out)
        self._last: tuple[bytes, Point] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d) of A."""
        return self.rows.shape

    def threads(self) -> contextlib.AbstractContextManager[int]:
        """A context in which BLAS stays on the caller's thread (see levinv._parallel)."""
        if self.rows.flops < BLAS_LIMIT:
            return contextlib.nullcontext(1)
        return sharing(None, self.rows.flops)

    def slack(self, x: VectorLike) -> Floats:
        """A x - b, (n,). Raises ValueError if x is not a finite (d,) or if the slack overflows."""
        return self._slack(self.coefficients(x))

    def coefficients(self, x: VectorLike, name: str = "x") -> Floats:
        """A number for each column of A, (d,), in the order of the columns."""
        return _validate.vector(x, name, self.shape[1], "column of A", self.axes.columns)

    def _slack(self, x: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            slack = self.rows.matvec(x)
        # reciprocals of denormal numbers would overflow
        if not finish_slack(slack, self.b):
            raise ValueError("x must not be so large that A x - b overflows")
        return slack

    def point(self, slack: Floats) -> Point:
        """The point of a slack vector, which becomes read-only."""
        slack.flags.writeable = False
        if self.direct:
            weights = LogWeights(self.weighting, slack, 0.0)
            return Point(weights, self._project(np.abs(slack), self.left_out))
        self._check_domain(slack)
        magnitude, unit = self.weighting.magnitude(slack, self.log_prior)
        largest = magnitude.max()
        if largest <= GREATEST_MAGNITUDE:
            projection = self._project(magnitude, None)
            if projection.smallest_slack < WEIGHTED_ROUNDING * largest:
                self._check_rounding(projection)
            return Point(LogWeights(self.weighting, slack, unit, self.log_prior), projection)
        idle = ~(magnitude <= GREATEST_MAGNITUDE)
        weights = LogWeights(self.weighting, slack, unit, self.log_prior, idle)
        faint = idle if self.left_out is None else idle & ~self.left_out
        if not faint.any():
            projection = self._project(magnitude, idle)
            self._check_rounding(projection)
            return Point(weights, projection)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            log_weight = self.weighting.log_weight(slack)
            if self.log_prior is not None:
                log_weight = log_weight + self.log_prior
        undefined = faint & np.isnan(log_weight)
        if undefined.any():
            raise ValueError(self.weighting.undefined(slack, int(np.argmax(undefined))))
        log_weight -= unit
        kept = column_space(self.rows, ~idle).transform if not idle.all() else np.zeros((0, 0))
        if kept.shape[1] < self.rank:
            raise _spread(int(np.argmax(faint)), log_weight)
        projection = self._project(magnitude, idle)
        self._check_rounding(projection)
        self._check_faint(projection, faint, log_weight)
        return Point(weights, projection)

    def _check_faint(self, projection: Projection, faint: Booleans, log_weight: Floats) -> None:
        """Raise ValueError if a row that was left out has a score that doubles hold."""
        size = float(np.abs(projection.steps).max(initial=0.0)) or 1.0
        with np.errstate(divide="ignore", invalid="ignore"):      # in other rows than these
            log_score = np.log(self.rows.quad(None, projection.steps / size)) + log_weight
        log_score += 2.0 * (math.log(size) + math.log(projection.smallest_slack))
        seen = faint & (log_score > math.log(TINY))
        if seen.any():
            raise _spread(int(np.argmax(seen)), log_weight)

    def _check_rounding(self, projection: Projection) -> None:
        """Raise ValueError if the rounding errors of the projection decide the scores."""
        scale = projection.scale
        spread = float(scale.min(where=scale > 0, initial=1.0))
        if spread < WEIGHTED_ROUNDING:
            terms = scale * self.rows.abs_matvec(np.abs(projection.transform).sum(axis=1))
            if EPS * terms.max() > WEIGHTED_ROUNDING:
                norms = self.rows.row_norms()
                own = self.rows.abs_matvec(np.abs(self._transform).sum(axis=1))
                own /= np.where(norms > 0, norms, 1.0)
                if WEIGHTED_ROUNDING * terms.max() > own.max():
                    raise ValueError(
                        "x must not spread the weights so far that rounding decides the scores: "
                        f"they differ by a factor of exp({-2.0 * math.log(spread):.0f}), and the "
                        "largest belong to linearly dependent rows")

    def _check_domain(self, eta: Floats) -> None:
        low, high = self.weighting.domain
        if math.isinf(low) and math.isinf(high):
            return
        outside = ~((eta > low) & (eta < high))
        if self.left_out is not None:
            outside &= ~self.left_out
        if outside.any():
            row = int(np.argmax(outside))
            raise ValueError(f"x must keep the linear predictor in ({low:g}, {high:g}) for "
                             f"{self.weighting.name}, got {eta[row]:g} in row {row}")

    def _project(self, magnitude: Floats, left_out: Booleans | None) -> Projection:
        try:
            projection = compiled_projection(self.rows, magnitude, self._columns, left_out)
            if projection is None:
                with self.threads(), np.errstate(over="raise"):
                    projection = project(self.rows, magnitude, self._columns, left_out)
        except FloatingPointError:
            if not self.direct:
                raise ValueError("x must not make the weights of rows so different that their "
                                 "quotients overflow") from None
            raise ValueError("x must not make slacks so large beside the entries of A that their "
                             "quotients overflow") from None
        except DependentZeroSlackError:
            raise ValueError("x must not make the slack of linearly dependent rows zero: "
                             "the scores have no limit there") from None
        projection.scores.flags.writeable = False
        return projection

    def at(self, x: VectorLike) -> Point:
        """The point at x. The last one is remembered."""
        x = (_validate.vector(x, "x", self.rows.shape[1], "column of A")
             if type(x) is np.ndarray else self.coefficients(x))
        key, last = x.tobytes(), self._last
        if last is None or last[0] != key:
            last = self._last = key, self._point_at(x)
        return last[1]

    def _point_at(self, x: Floats) -> Point:
        if not self.direct or self.rows.small is None or not self.in_own_columns or (
                self.left_out is not None):
            return self.point(self._slack(x))
        slack = np.empty(self.rows.shape[0])
        finite, projection = projection_at(self.rows, x, self.b, slack)
        if not finite:
            self._slack(x)                                 # raises
        if projection is None:
            return self.point(slack)
        slack.flags.writeable = projection.scores.flags.writeable = False
        return Point(LogWeights(self.weighting, slack, 0.0), projection)

    def require(self, order: int, point: Point) -> None:
        """Raise ValueError if the scores have no derivatives of an order at a zero slack."""
        if order <= self.weighting.smooth:
            return
        zero = point.slack == 0
        if self.left_out is not None:
            zero &= ~self.left_out
        if zero.any():
            raise ValueError(f"x must not make A x - b zero, as in row {int(np.argmax(zero))}: "
                             f"the weights of {self.weighting.name} have no derivatives of order "
                             f"{order} there")

    def jacobian(self, point: Point) -> Floats:
        """J = -2 L F, (n, d)."""
        self.require(1, point)
        with self.threads(), np.errstate(over="ignore", invalid="ignore"):
            scaled = self.rows.scaled(point.weights.times_slope(1.0))
            return finite_derivative(2.0 * point.projection.laplacian(scaled), "A")

    def push(self, point: Point, v: Floats) -> Floats:
        """J v = -2 L F v, (n,)."""
        projection = point.projection
        if self.direct and projection.compiled and self.rows.small is not None:
            out = np.empty(self.rows.shape[0])
            finite = points.push(self.rows.small, point.slack, projection.scale,
                                 projection.transform, projection.in_own_columns,
                                 projection.scores, v, out)
            return out if finite else finite_derivative(out, "v")
        self.require(1, point)
        with self.threads(), np.errstate(over="ignore", invalid="ignore"):
            p = point.weights.times_slope(self.rows.matvec(v))
            return finite_derivative(2.0 * point.projection.laplacian(p), "v")

    def pull(self, point: Point, y: Floats) -> Floats:
        """Jᵀ y = -2 Fᵀ L y, (d,)."""
        self.require(1, point)
        with self.threads(), np.errstate(over="ignore", invalid="ignore"):
            scaled = point.weights.times_slope(point.projection.laplacian(y))
            return finite_derivative(2.0 * self.rows.rmatvec(scaled), "y")


def finite_derivative(derivative: Floats, name: str) -> Floats:
    """``derivative``, or a ValueError if it overflows because of an argument ``name``."""
    if not all_finite(derivative.ravel()):
        raise ValueError(f"{name} must not be so large that the derivative overflows")
    return derivative


def _for_rows(weighting: Weighting, n: int) -> Weighting:
    """The weighting, or a ValueError if it belongs to other rows."""
    if weighting.length not in (None, n):
        raise ValueError(f"weighting must have one response per row of A, got {weighting.length} "
                         f"responses for {n} rows")
    return weighting


def _prior(values: VectorLike, n: int, axis: _validate.Axis) -> Floats | None:
    """Prior weights, (n,); None if all are 1."""
    prior = _validate.nonnegative(values, "prior_weights", n, "row of A", axis)
    if not prior.any():
        raise ValueError("prior_weights must not all be 0")
    return None if np.all(prior == 1.0) else prior


def _log_prior(prior: Floats | None, left_out: Booleans | None) -> Floats | None:
    """Logarithms of the prior weights, (n,), -inf in rows left out; None if all are 0."""
    if left_out is None:
        return None if prior is None else np.log(prior)
    with np.errstate(divide="ignore"):
        return np.where(left_out, -np.inf, 0.0 if prior is None else np.log(prior))


def _spread(row: int, log_weight: Floats) -> ValueError:
    return ValueError(f"x must not spread the weights beyond the range of doubles: that of row "
                      f"{row} is exp({log_weight[row]:.0f}) times the largest, and the scores "
                      "depend on it")
