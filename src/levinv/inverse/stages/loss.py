"""The loss of stage 4 and its gradient: the whitened residual W (sigma(x) - c) at a point x.

W = diag(1/deviation). With slack s = A x - b, residual r = sigma - c and L = Q - diag(sigma) of
:mod:`levinv.forward.projection`, half the gradient of |W r|² is

    Jᵀ W² r = 2 Aᵀ diag(-τ'/2) L W² r,   -τ'/2 = 1/s for the weights 1/s².

For these, three passes over the rows of a long matrix compute it. With U = diag(u/|s|) A T
orthonormal and sigma_i = |u_i|² these are

    1.  M = sum_i (u/s_i)² a_i a_iᵀ                       and from it T
    2.  |W r|², max |r|, K = sum_i W_i² r_i u_i u_iᵀ
    3.  Jᵀ W² r = 2 sum_i a_i (u_iᵀ K u_i - sigma_i W_i² r_i) / s_i.

Each pass computes slack and scores of a block of rows again from x. This costs half as much
arithmetic again as storing them, but no vector of length n is written, read or, if the rows are not
in memory, sent. If one pass cannot find the basis accurately, a whole :class:`Point` is computed.
"""
from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np

from levinv._tolerances import EPS, ONE_PASS_CONDITION, TINY
from levinv._typing import Booleans, Floats
from levinv.forward.basis import one_pass_basis
from levinv.forward.projection import (
    Projection,
    project,
    rough_projection,
)
from levinv.forward.quotient import DependentZeroSlackError
from levinv.inverse.values import Point, Reduced, masked_residual
from levinv.storage.blocked import Rows

Result = TypeVar("Result")
Projector: TypeAlias = Callable[[Rows, Floats, Floats | None, Booleans | None], Projection]
# K, and |W r|² and max |r|; None if some row is heavy
Misfit: TypeAlias = tuple[Floats, Floats] | None


@dataclass(frozen=True, eq=False)
class Loss:
    """The whitened residual to be minimised, and the limits of the minimisation."""

    reduced: Reduced
    b: Floats
    target: Floats               # (n,) the scores c
    weight: Floats               # (n,) 1/deviation; 0 leaves a row out
    null_dimension: int = 0      # of the null space within span(reduced.start)
    maxiter: int = 50
    on_step: Callable[[int, Floats, float], None] = lambda iteration, x, max_residual: None

    def at(self, x: Floats, projector: Projector = project) -> Point | None:
        """The point at x, or None if its scores or its whitened residual are not defined."""
        if not np.isfinite(x).all():
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            slack = self.reduced.rows.matvec(x)
            slack -= self.b
        model, left_out = self.reduced.model, self.reduced.left_out
        if not model.accepts(slack):
            return None
        magnitude = model.magnitude(slack)
        # slacks below TINY/ε times the largest (none above √TINY) count as 0: quotients lose digits
        if magnitude.min() < math.sqrt(TINY):
            largest = magnitude[self.reduced.active].max(initial=0.0)
            magnitude[magnitude < TINY / EPS * largest] = 0.0
        try:
            with np.errstate(over="raise"):
                projection = projector(self.reduced.rows, magnitude, self.reduced.columns, left_out)
        except (DependentZeroSlackError, FloatingPointError, np.linalg.LinAlgError):
            return None
        residual = masked_residual(projection, self.target, left_out)
        max_residual = max(float(residual.max()), -float(residual.min()))
        with np.errstate(over="ignore"):
            residual *= self.weight
            norm = float(np.linalg.norm(residual))
        if not math.isfinite(norm):
            return None
        return Point(x, slack, projection, model, self.target, left_out, norm, max_residual)

    def rounding(self, point: Point) -> float:
        """Bound of the whitened residual that is due to rounding.

        A x - b has an error of ε (|A| |x| + |b|), a relative change δ_i of the slack. It changes
        σ_i by at most 2 σ_i (δ_i + sum σ_l δ_l). Arithmetic on the scaled rows adds about ε κ² to
        δ_i if one pass finds their basis.
        """
        uncertain = EPS * (self.reduced.rows.abs_matvec(np.abs(point.x)) + np.abs(self.b))
        relative = point.model.relative(uncertain, point.slack)
        scores = np.where(self.reduced.active, point.projection.scores, 0.0)
        relative += float(scores @ relative) + EPS * ONE_PASS_CONDITION ** 2
        return 2.0 * float(np.linalg.norm(self.weight * scores * relative))


def gradient(point: Point, weight: Floats) -> Floats:
    """Half the gradient of |W (sigma - c)|², (d,)."""
    weighted = point.residual
    weighted *= weight
    weighted *= weight
    image = point.projection.laplacian(weighted)
    # the Laplacian vanishes like s² at a zero slack: the row contributes nothing
    image = point.model.weighting.times_slope(image, point.slack)
    return 2.0 * point.projection.rows.rmatvec(image)


@dataclass(frozen=True, eq=False)
class Trial:
    """The loss at x."""

    x: Floats                    # (d,)
    norm: float                  # of the whitened residual
    max_residual: float          # largest |sigma - c|
    gradient: Floats | None      # (d,) Jᵀ W² (sigma - c)
    point: Point | None = None   # if all of it was computed


class StreamingLoss:
    """The loss of one problem, at one trial x after another."""

    def __init__(self, loss: Loss) -> None:
        self._loss, self._rows, self._start = loss, loss.reduced.rows, loss.reduced.columns
        self._vectors = [self._rows.keep(vector) for vector in
                         (loss.b, loss.target, loss.weight, loss.reduced.left_out)]
        # Used until a pass fails. For rows in memory three passes take a quarter longer than an
        # evaluation with its gradient.
        self._stream = not self._rows.in_memory and loss.reduced.model.is_inverse_square
        self._unit = 1.0         # a slack of ordinary size

    def start(self, x: Floats) -> Trial | None:
        """The first trial, with its point; None if the scores are not defined at x."""
        point = self._loss.at(x, rough_projection)
        if point is None:
            return None
        self._unit = point.projection.smallest_slack
        return _trial(point, None)

    def at(self, x: Floats, largest_norm: float) -> Trial | None:
        """The trial at x, or None. It has a gradient if its norm is at most ``largest_norm``."""
        trial = self._passes(x, largest_norm) if self._stream else None
        if trial is None:
            point = self._loss.at(x, rough_projection)
            if point is None:
                return None
            self._stream = False
            wanted = point.norm <= largest_norm
            trial = _trial(point, gradient(point, self._loss.weight) if wanted else None)
        return trial

    def with_point(self, trial: Trial) -> Trial:
        """The trial with its point, which is None if the scores are not defined."""
        if trial.point is not None and trial.point.projection.complete:
            return trial
        return replace(trial, point=self._loss.at(trial.x, project))

    def _passes(self, x: Floats, largest_norm: float) -> Trial | None:
        """The trial at x, or None if a pass fails."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = one_pass_basis(self._fold(_gram, np.add, x, self._start), self._start)
            if found is None:
                return None
            transform = found.transform
            own = None if self._start is None else transform       # None: the columns of A
            misfit: Misfit = self._fold(_misfit, _both, x, transform, own)
            if misfit is None:
                return None
            form, (square, largest) = misfit
            norm = float(np.sqrt(square))
            if not np.isfinite(norm):
                return None
            if norm > largest_norm:
                return Trial(x, norm, float(largest), None)
            if own is None:
                form = transform @ (transform.T @ form @ transform) @ transform.T
            slope = 2.0 * self._fold(_gradient, np.add, x, transform, own, form)
            return Trial(x, norm, float(largest), slope) if np.isfinite(slope).all() else None

    def _fold(self, function: Callable[..., Result], combine: Callable[[Result, Result], Result],
              x: Floats, *shared: Any) -> Result:
        return self._rows.fold(functools.partial(_of_block, function), combine, self._vectors, x,
                               self._unit, *shared)


def _trial(point: Point, slope: Floats | None) -> Trial:
    return Trial(point.x, point.norm, point.max_residual, slope, point)


def _of_block(function: Callable[..., Result], rows: Rows, b: Floats, target: Floats,
              weight: Floats, left_out: Booleans | None, x: Floats, unit: float,
              *shared: Any) -> Result:
    """``function`` of a block of rows, with their slack and scale."""
    slack = rows.matvec(x)
    slack -= b
    scale = unit / np.abs(slack)
    if left_out is not None:
        scale[left_out] = 0.0
    return function(rows, target, weight, left_out, slack, scale, *shared)


def _gram(rows: Rows, target: Floats, weight: Floats, left_out: Booleans | None, slack: Floats,
          scale: Floats, start: Floats | None) -> Floats:
    return rows.gram(scale, start)


def _residual(rows: Rows, target: Floats, left_out: Booleans | None, scale: Floats,
              transform: Floats) -> tuple[Floats, Floats]:
    """Scores and residual."""
    scores = rows.quad(scale, transform)
    residual = scores - target
    if left_out is not None:
        residual[left_out] = 0.0
    return scores, residual


def _misfit(rows: Rows, target: Floats, weight: Floats, left_out: Booleans | None, slack: Floats,
            scale: Floats, transform: Floats, own: Floats | None) -> Misfit:
    scores, residual = _residual(rows, target, left_out, scale, transform)
    # the derivatives of other scores keep half of the digits
    if not scores.max() <= 1.0 - math.sqrt(EPS):
        return None
    largest = np.abs(residual).max()
    residual *= weight
    square = residual @ residual
    residual *= weight
    return rows.gram(scale, own, residual), np.array([square, largest])


def _both(one: Misfit, other: Misfit) -> Misfit:
    if one is None or other is None:
        return None
    (gram, (square, largest)), (more, (further, larger)) = one, other
    return gram + more, np.array([square + further, max(largest, larger)])


def _gradient(rows: Rows, target: Floats, weight: Floats, left_out: Booleans | None,
              slack: Floats, scale: Floats, transform: Floats, own: Floats | None,
              form: Floats) -> Floats:
    scores, residual = _residual(rows, target, left_out, scale, transform)
    residual *= weight
    residual *= weight
    image = rows.quad(scale, own, form)
    image -= scores * residual
    image /= slack
    if left_out is not None:
        image[left_out] = 0.0
    return rows.rmatvec(image)
