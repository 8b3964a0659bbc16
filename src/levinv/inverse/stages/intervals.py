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

1.  While r is outside, the step that minimises the largest |r + G y| is a linear program. Only the
    rows that bound it matter: it is solved for some rows, and those that it violates most are
    added.
2.  From a point of F Newton's method finds the centre of the linear problem. The barrier is
    self-concordant: a step of 1/(1 + λ), λ the Newton decrement, stays inside (Nesterov and
    Nemirovskii, "Interior-Point Polynomial Algorithms in Convex Programming", SIAM 1994).
"""
from __future__ import annotations

import math

import numpy as np
import scipy.optimize

from levinv._noise import half_unit
from levinv._tolerances import EPS, POOR_MODEL
from levinv._typing import Floats
from levinv.inverse.result import Progress
from levinv.inverse.stages.refine import refine
from levinv.inverse.stages.whitened_jacobian import effects
from levinv.inverse.values import Presolved, Refined


def centre(presolved: Presolved, found: Refined, progress: Progress) -> Refined | None:
    """The centre of F near a point; None if no x of F is found near it."""
    inside = _moved_inside(presolved, found, progress)
    if inside is None:
        return None
    found, before = inside, np.inf
    while True:
        changes, residual = _linear(presolved, found)
        y, decrement = analytic_centre(changes, residual)
        # the ellipsoid of decrements below 1 is inside F: a small part of it changes nothing
        if decrement <= EPS ** 0.25 or decrement >= before:
            return found
        before = decrement
        barrier, length = _barrier(residual), 1.0
        while True:
            moved = _at(presolved, found, length * y, progress)
            if moved is not None and _barrier(_linear(presolved, moved)[1]) < barrier:
                break
            length /= 2.0
            if length < math.sqrt(EPS):
                return found
        found = moved


def _moved_inside(presolved: Presolved, found: Refined, progress: Progress) -> Refined | None:
    """A point of F, by steps that each lower what the largest residual exceeds 1 by; None if they
    end outside.
    """
    while True:
        changes, residual = _linear(presolved, found)
        largest = np.abs(residual).max(initial=0.0)
        if largest < 1.0:
            return found
        y = least_largest(changes, residual)
        if y is None:
            return None
        moved = _at(presolved, found, y, progress)
        if moved is None:
            return None
        decrease = largest - np.abs(_linear(presolved, moved)[1]).max()
        if decrease <= POOR_MODEL * (largest - 1.0):
            return None
        found = moved


def _linear(presolved: Presolved, found: Refined) -> tuple[Floats, Floats]:
    """The changes G of the residual and the residual r, of the active rows."""
    weight = presolved.weight()
    active, unit = weight > 0, half_unit(1.0)
    return (effects(found.point, weight, found.linearisation)[active] / unit,
            (found.point.residual * weight)[active] / unit)


def _at(presolved: Presolved, found: Refined, y: Floats, progress: Progress) -> Refined | None:
    """The point a step of coordinates y away; None if the scores are not defined there or if a
    slack passes a pole, beyond which another part of F begins.
    """
    moved = refine(presolved, found.point.x + found.linearisation.steps @ y, progress, maxiter=0)
    if moved is not None and moved.point.model.has_pole:
        passed = moved.point.slack * found.point.slack < 0
        return None if np.any(passed & presolved.reduced.active) else moved
    return moved


def _barrier(residual: Floats) -> float:
    room = 1.0 - residual ** 2
    return -float(np.log(room).sum()) if room.min(initial=1.0) > 0 else np.inf


def least_largest(changes: Floats, residual: Floats) -> Floats | None:
    """y that minimises the largest |residual + changes y|; None if the program is not solved."""
    n, k = changes.shape
    wanted = min(n, 4 * (k + 1))
    rows = np.argpartition(-np.abs(residual), wanted - 1)[:wanted]
    while True:
        part, level = changes[rows], -np.ones((len(rows), 1))
        solved = scipy.optimize.linprog(
            np.append(np.zeros(k), 1.0), A_ub=np.block([[part, level], [-part, level]]),
            b_ub=np.concatenate([-residual[rows], residual[rows]]),
            bounds=[(None, None)] * k + [(0.0, None)], method="highs")
        if solved.x is None:
            return None
        y: Floats = solved.x[:k]
        largest = float(solved.x[k])
        error = np.abs(residual + changes @ y)
        error[rows] = 0.0
        violated = np.flatnonzero(error > largest * (1.0 + math.sqrt(EPS)))
        if not len(violated):
            return y
        worst = violated[np.argsort(-error[violated])[:wanted]]
        rows = np.append(rows, worst)


def analytic_centre(changes: Floats, residual: Floats) -> tuple[Floats, float]:
    """The analytic centre of |residual + changes y| <= 1, from y = 0 inside, and the Newton
    decrement at y = 0.
    """
    y, image, first, before = np.zeros(changes.shape[1]), residual, np.inf, np.inf
    while True:
        above, below = 1.0 / (1.0 - image), 1.0 / (1.0 + image)
        gradient = changes.T @ (above - below)
        hessian = (changes * (above ** 2 + below ** 2)[:, None]).T @ changes
        step = -np.linalg.lstsq(hessian, gradient)[0]
        decrement = math.sqrt(max(-float(gradient @ step), 0.0))
        first = decrement if first == np.inf else first
        if decrement <= math.sqrt(EPS) or (decrement < 0.25 and decrement >= before):
            return y, first
        y = y + step / (1.0 + decrement if decrement > 0.25 else 1.0)
        image, before = residual + changes @ y, decrement
