"""Rounded scores: the centre of the set of all x whose scores lie in the intervals of the rounding.

A score that was rounded to K decimals differs from c_i by at most h = 10⁻ᴷ/2. So x lies in

    F = {x : |sigma_i(x) - c_i| <= h for all i},

for certain. The errors are nearly uniform on [-h, h], with standard deviation h/√3. Every x of F is
equally likely, and the width of F falls like 1/n, not like the 1/√n of least squares: with many
scores of similar size it is much smaller than the Cramér-Rao bound of normal errors, which does not
apply to errors of bounded support. It also holds where rounding errors are not independent, as for
scores below h.

The estimate is the analytic centre of F, the maximum of sum_i log(h² - (sigma_i - c_i)²), a point
near the mean of F. With the residual r = (sigma - c)/h and its changes G y by a step of coordinates
y, the programs are solved for |r + G y| <= 1, and again at the new x with its own G:

1.  While r is outside, the step that minimises the largest |r + G y| (a linear program).
2.  From a point of F the step to the analytic centre of the linear problem.

Both are in :mod:`levinv.inverse.stages.polytope`. Many rows reuse one G while steps succeed.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from levinv._noise import half_unit
from levinv._tolerances import EPS, POOR_MODEL
from levinv._typing import Floats
from levinv.inverse.result import Progress
from levinv.inverse.stages.loss import Loss, gradient
from levinv.inverse.stages.polytope import analytic_centre, barrier, least_largest
from levinv.inverse.stages.refine import is_long, refine
from levinv.inverse.stages.whitened_jacobian import effects
from levinv.inverse.values import Point, Presolved, Refined


@dataclass(frozen=True, eq=False)
class _Near:
    """The rows of F near a point: its residual r, and the changes G found there or at a point
    before.
    """

    found: Refined             # the point; the linearisation that G belongs to
    changes: Floats            # (n, r) G of the active rows
    residual: Floats           # (n,) of the active rows
    fresh: bool                # whether G is that of the point


def centre(presolved: Presolved, found: Refined, progress: Progress) -> Refined | None:
    """The centre of F near a point; None if no x of F is found near it."""
    near, before = _moved_inside(presolved, _near(presolved, found), progress), np.inf
    while near is not None:
        y, decrement = analytic_centre(near.changes, near.residual)
        # the ellipsoid of decrements below 1 is inside F: a hundredth of it changes nothing
        if decrement <= 0.01:
            break
        moved = None if decrement >= before else _lower(presolved, near, y, progress)
        if moved is None and near.fresh:
            break
        before = min(decrement, before)
        near = _next(presolved, moved or near, progress, again=moved is None)
    return None if near is None else _refined(presolved, near)


def _lower(presolved: Presolved, near: _Near, y: Floats, progress: Progress) -> _Near | None:
    """The point y away, or a part of y, where the barrier is lower; None if there is none."""
    before, length = barrier(near.residual), 1.0
    while length >= math.sqrt(EPS):
        moved = _at(presolved, near, length * y, progress)
        if moved is not None and barrier(moved.residual) < before:
            return moved
        length = length / 2.0 if near.fresh else 0.0
    return None


def _moved_inside(presolved: Presolved, near: _Near | None, progress: Progress) -> _Near | None:
    """A point of F, by steps that each lower what the largest residual exceeds 1 by; None if they
    end outside.
    """
    while near is not None:
        largest = np.abs(near.residual).max(initial=0.0)
        if largest < 1.0:
            return near
        y = least_largest(near.changes, near.residual)
        moved = None if y is None else _at(presolved, near, y, progress)
        if moved is not None and (largest - np.abs(moved.residual).max()
                                  <= POOR_MODEL * (largest - 1.0)):
            moved = None
        if moved is None and near.fresh:
            return None
        near = _next(presolved, moved or near, progress, again=moved is None)
    return None


def _near(presolved: Presolved, found: Refined) -> _Near:
    weight = presolved.weight()
    changes = effects(found.point, weight, found.linearisation)
    if not weight.all():
        changes = changes[weight > 0]
    changes /= half_unit(1.0)
    return _Near(found, changes, _residual(found.point, weight), fresh=True)


def _residual(point: Point, weight: Floats) -> Floats:
    """r of the active rows."""
    whitened: Floats = (point.residual * weight)[weight > 0]
    return whitened / half_unit(1.0)


def _at(presolved: Presolved, near: _Near, y: Floats, progress: Progress) -> _Near | None:
    """The point a step of coordinates y away; None if the scores are not defined there or if a
    slack passes a pole, beyond which another part of F begins.
    """
    problem, weight, model = presolved.problem, presolved.weight(), near.found.linearisation
    loss = Loss(presolved.reduced, problem.b, problem.scores, weight)
    point = loss.at(near.found.point.x + model.steps @ y)
    progress.nfev += 1
    if point is None or (point.model.has_pole and np.any(
            (point.slack * near.found.point.slack < 0) & presolved.reduced.active)):
        return None
    return _Near(replace(near.found, point=point), near.changes, _residual(point, weight),
                 fresh=False)


def _refined(presolved: Presolved, near: _Near) -> Refined:
    """The point with a linearisation that says from where it is."""
    found, model = near.found, near.found.linearisation
    if near.fresh:
        return found
    left = model.steps.T @ gradient(found.point, presolved.weight())
    return replace(found, linearisation=replace(model, left=left, rotation=None, blocks=None))


def _next(presolved: Presolved, near: _Near, progress: Progress, again: bool) -> _Near | None:
    """With G of the point itself, unless many rows reuse that of another, as in
    :mod:`levinv.inverse.stages.refine`, until a step fails (``again``).
    """
    if not again and is_long(*near.changes.shape):
        return near
    found = refine(presolved, near.found.point.x, progress, maxiter=0)
    return None if found is None else _near(presolved, found)
