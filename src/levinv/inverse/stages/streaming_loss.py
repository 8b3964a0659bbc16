"""The loss of stage 4 and its gradient on a long matrix, in three passes over the rows.

With slack s = A x - b, U = diag(u/|s|) A T orthonormal, sigma_i = |u_i|², residual r = sigma - c
and weights W the passes compute

    1.  M = sum_i (u/s_i)² a_i a_iᵀ                       and from it T
    2.  |W r|², max |r|, K = sum_i W_i² r_i u_i u_iᵀ
    3.  half the gradient of |W r|²,  Jᵀ W² r = 2 sum_i a_i (u_iᵀ K u_i - sigma_i W_i² r_i) / s_i.

Each pass computes slack and scores of a block of rows again from x. This costs half as much
arithmetic again as storing them, but no vector of length n is written, read or, if the rows are not
in memory, sent. If one pass cannot find the basis accurately, :mod:`levinv.inverse.stages.point` is
used instead.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np

from levinv._tolerances import EPS
from levinv._typing import Booleans, Floats
from levinv.forward.basis import one_pass_basis
from levinv.forward.projection import project, rough_projection
from levinv.inverse.stages.point import Projector, evaluate, gradient
from levinv.inverse.values import Point, Reduced
from levinv.storage.blocked import Rows

Result = TypeVar("Result")
# K, and |W r|² and max |r|; None if some row is heavy
Misfit: TypeAlias = tuple[Floats, Floats] | None


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

    def __init__(self, reduced: Reduced, b: Floats, target: Floats, weight: Floats) -> None:
        self._rows, self._start = reduced.rows, reduced.columns
        self._reduced, self._b, self._target = reduced, b, target
        self._weight = weight
        self._vectors = [self._rows.keep(vector) for vector in
                         (b, target, weight, reduced.left_out)]
        # Used until a pass fails. For rows in memory three passes take a quarter longer than an
        # evaluation with its gradient.
        self._stream = not self._rows.in_memory
        self._unit = 1.0         # a slack of ordinary size

    def start(self, x: Floats) -> Trial | None:
        """The first trial, with its point; None if the scores are not defined at x."""
        point = self._evaluate(x, rough_projection)
        if point is None:
            return None
        self._unit = point.projection.smallest_slack
        return _trial(point, None)

    def at(self, x: Floats, largest_norm: float) -> Trial | None:
        """The trial at x, or None. It has a gradient if its norm is at most ``largest_norm``."""
        trial = self._passes(x, largest_norm) if self._stream else None
        if trial is None:
            point = self._evaluate(x, rough_projection)
            if point is None:
                return None
            self._stream = False
            wanted = point.norm <= largest_norm
            trial = _trial(point, gradient(point, self._weight) if wanted else None)
        return trial

    def with_point(self, trial: Trial) -> Trial:
        """The trial with its point, which is None if the scores are not defined."""
        if trial.point is not None and trial.point.projection.complete:
            return trial
        return replace(trial, point=self._evaluate(trial.x, project))

    def _evaluate(self, x: Floats, projector: Projector) -> Point | None:
        return evaluate(self._reduced, self._b, x, self._target, self._weight, projector)

    def _passes(self, x: Floats, largest_norm: float) -> Trial | None:
        """The trial at x, or None if a pass fails."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = one_pass_basis(self._fold(_gram, np.add, x), self._start)
            if found is None:
                return None
            transform, use_A = found.transform, self._start is None
            misfit: Misfit = self._fold(_misfit, _both, x, transform, use_A)
            if misfit is None:
                return None
            form, (square, largest) = misfit
            norm = float(np.sqrt(square))
            if not np.isfinite(norm):
                return None
            if norm > largest_norm:
                return Trial(x, norm, float(largest), None)
            if use_A:
                form = transform @ (transform.T @ form @ transform) @ transform.T
            slope = 2.0 * self._fold(_gradient, np.add, x, transform, use_A, form)
            return Trial(x, norm, float(largest), slope) if np.isfinite(slope).all() else None

    def _fold(self, function: Callable[..., Result], combine: Callable[[Result, Result], Result],
              x: Floats, *shared: Any) -> Result:
        return self._rows.fold(function, combine, self._vectors, x, self._unit, self._start,
                               *shared)


def _trial(point: Point, slope: Floats | None) -> Trial:
    return Trial(point.x, point.norm, point.max_residual, slope, point)


def _scaled(rows: Rows, b: Floats, left_out: Booleans | None, x: Floats,
            unit: float) -> tuple[Floats, Floats]:
    slack = rows.matvec(x)
    slack -= b
    scale = unit / np.abs(slack)
    if left_out is not None:
        scale[left_out] = 0.0
    return slack, scale


def _gram(rows: Rows, b: Floats, target: Floats, weight: Floats,
          left_out: Booleans | None, x: Floats, unit: float, start: Floats | None) -> Floats:
    return rows.gram(_scaled(rows, b, left_out, x, unit)[1], start)


def _residual(rows: Rows, b: Floats, target: Floats, left_out: Booleans | None, x: Floats,
              unit: float, transform: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Slack, scale, scores and residual."""
    slack, scale = _scaled(rows, b, left_out, x, unit)
    scores = rows.quad(scale, transform)
    residual = scores - target
    if left_out is not None:
        residual[left_out] = 0.0
    return slack, scale, scores, residual


def _misfit(rows: Rows, b: Floats, target: Floats, weight: Floats,
            left_out: Booleans | None, x: Floats, unit: float, start: Floats | None,
            transform: Floats, use_A: bool) -> Misfit:
    _, scale, scores, residual = _residual(rows, b, target, left_out, x, unit, transform)
    # the derivatives of other scores keep half of the digits
    if not scores.max() <= 1.0 - math.sqrt(EPS):
        return None
    largest = np.abs(residual).max()
    residual *= weight
    square = residual @ residual
    residual *= weight
    return rows.gram(scale, None if use_A else transform, residual), np.array([square, largest])


def _both(one: Misfit, other: Misfit) -> Misfit:
    if one is None or other is None:
        return None
    (gram, (square, largest)), (more, (further, larger)) = one, other
    return gram + more, np.array([square + further, max(largest, larger)])


def _gradient(rows: Rows, b: Floats, target: Floats, weight: Floats,
              left_out: Booleans | None, x: Floats, unit: float, start: Floats | None,
              transform: Floats, use_A: bool, form: Floats) -> Floats:
    slack, scale, scores, residual = _residual(rows, b, target, left_out, x, unit, transform)
    residual *= weight
    residual *= weight
    image = rows.quad(scale, None if use_A else transform, form)
    image -= scores * residual
    image /= slack
    if left_out is not None:
        image[left_out] = 0.0
    return rows.rmatvec(image)
