"""A step of stage 4 on a long matrix: how good x is, and the gradient there, in three passes.

With slack s = A x - b, U = diag(u/|s|) A T orthonormal, sigma_i = |u_i|², residual r = sigma - c
and weights W

    1.  M = sum_i (u/s_i)² a_i a_iᵀ                       and from it T
    2.  |W r|², max |r|, K = sum_i W_i² r_i u_i u_iᵀ
    3.  half the gradient of |W r|²,  Jᵀ W² r = 2 sum_i a_i (u_iᵀ K u_i - sigma_i W_i² r_i) / s_i.

Each pass computes what it needs of a block of rows anew, from x: that takes half as much arithmetic
again as keeping vectors of n would, but no such vector is written, read or, where the rows are
elsewhere, sent. What needs more care than one pass over the rows gives is left to
:mod:`levinv.inverse.stages.whitened_jacobian`.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np

from levinv._tolerances import ROUGH_COMPLEMENT
from levinv._typing import Booleans, Floats
from levinv.forward.basis import one_pass_basis
from levinv.forward.projection import project, rough_projection
from levinv.inverse.stages.presolve import Reduced
from levinv.inverse.stages.whitened_jacobian import Point, Projector, evaluate, gradient
from levinv.storage import Rows

Result = TypeVar("Result")
# the form K, and the squared norm and the largest entry of the residual; None if rows are heavy
Misfit: TypeAlias = tuple[Floats, Floats] | None


@dataclass(frozen=True)
class Trial:
    """What is known of x."""

    x: Floats                    # (d,)
    size: float                  # norm of the whitened residual
    largest: float               # largest |sigma - c|
    gradient: Floats | None      # (d,) Jᵀ W² (sigma - c)
    point: Point | None = None   # all that is known, with vectors of n


class Trials:
    """Trials of one problem."""

    def __init__(self, reduced: Reduced, b: Floats, target: Floats, weight: Floats) -> None:
        self._rows, self._start = reduced.rows, reduced.columns
        self._reduced, self._b, self._target = reduced, b, target
        self._weight = weight
        self._vectors = [self._rows.keep(vector) for vector in
                         (b, target, weight, reduced.left_out)]
        # whether three passes have been enough; in memory they take a quarter longer than the
        # evaluations of which a gradient is a part
        self._plain = not self._rows.in_memory
        self._unit = 1.0         # a slack of ordinary size

    def start(self, x: Floats) -> Trial | None:
        """The Trial of a first x, with its point; None where the scores are not defined."""
        point = self._evaluate(x, rough_projection)
        if point is None:
            return None
        self._unit = point.projection.smallest_slack
        return _trial(point, None)

    def at(self, x: Floats, largest_size: float) -> Trial | None:
        """The Trial of x, or None; with its gradient if its size is at most ``largest_size``."""
        trial = self._passes(x, largest_size) if self._plain else None
        if trial is None:
            point = self._evaluate(x, rough_projection)
            if point is None:
                return None
            self._plain = False
            wanted = point.size <= largest_size
            trial = _trial(point, gradient(point, self._weight) if wanted else None)
        return trial

    def whole(self, trial: Trial) -> Trial:
        """The same with its point, which is None where the scores are not defined."""
        if trial.point is not None and trial.point.projection.complete:
            return trial
        return replace(trial, point=self._evaluate(trial.x, project))

    def _evaluate(self, x: Floats, projector: Projector) -> Point | None:
        return evaluate(self._reduced, self._b, x, self._target, self._weight, projector)

    def _passes(self, x: Floats, largest_size: float) -> Trial | None:
        """The Trial of x, or None where it takes more than three plain passes."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = one_pass_basis(self._fold(_gram, np.add, x), self._start)
            if found is None:
                return None
            transform, plain = found.transform, self._start is None
            misfit: Misfit = self._fold(_misfit, _both, x, transform, plain)
            if misfit is None:
                return None
            form, (square, largest) = misfit
            size = float(np.sqrt(square))
            if not np.isfinite(size):
                return None
            if size > largest_size:
                return Trial(x, size, float(largest), None)
            if plain:
                form = transform @ (transform.T @ form @ transform) @ transform.T
            slope = 2.0 * self._fold(_gradient, np.add, x, transform, plain, form)
            return Trial(x, size, float(largest), slope) if np.isfinite(slope).all() else None

    def _fold(self, function: Callable[..., Result], combine: Callable[[Result, Result], Result],
              x: Floats, *shared: Any) -> Result:
        return self._rows.fold(function, combine, self._vectors, x, self._unit, self._start,
                               *shared)


def _trial(point: Point, slope: Floats | None) -> Trial:
    return Trial(point.x, point.size, point.largest, slope, point)


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


def _weighted(rows: Rows, b: Floats, target: Floats, weight: Floats,
              left_out: Booleans | None, x: Floats, unit: float,
              transform: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    slack, scale = _scaled(rows, b, left_out, x, unit)
    scores = rows.quad(scale, transform)
    residual = scores - target
    if left_out is not None:
        residual[left_out] = 0.0
    return slack, scale, scores, residual


def _misfit(rows: Rows, b: Floats, target: Floats, weight: Floats,
            left_out: Booleans | None, x: Floats, unit: float, start: Floats | None,
            transform: Floats, plain: bool) -> Misfit:
    _, scale, scores, residual = _weighted(rows, b, target, weight, left_out, x, unit, transform)
    if not scores.max() <= 1.0 - ROUGH_COMPLEMENT:
        return None
    largest = np.abs(residual).max()
    residual *= weight
    square = residual @ residual
    residual *= weight
    return rows.gram(scale, None if plain else transform, residual), np.array([square, largest])


def _both(one: Misfit, other: Misfit) -> Misfit:
    if one is None or other is None:
        return None
    (gram, (square, largest)), (more, (further, larger)) = one, other
    return gram + more, np.array([square + further, max(largest, larger)])


def _gradient(rows: Rows, b: Floats, target: Floats, weight: Floats,
              left_out: Booleans | None, x: Floats, unit: float, start: Floats | None,
              transform: Floats, plain: bool, form: Floats) -> Floats:
    slack, scale, scores, residual = _weighted(rows, b, target, weight, left_out, x, unit,
                                               transform)
    residual *= weight
    residual *= weight
    image = rows.quad(scale, None if plain else transform, form)
    image -= scores * residual
    image /= slack
    if left_out is not None:
        image[left_out] = 0.0
    return rows.rmatvec(image)
