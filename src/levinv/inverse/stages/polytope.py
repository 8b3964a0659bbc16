"""The polytope |r + G y| <= 1, with r the ``residual`` and G its ``changes``.

The step that minimises the largest |r + G y| is a linear program. Only the rows that bound it
matter: it is solved for some rows, and those that it violates most are added.

The analytic centre is the maximum of sum_i log(1 - (r + G y)_i²), found by Newton's method. The
barrier is self-concordant: a step of 1/(1 + λ), λ the Newton decrement, stays inside (Nesterov and
Nemirovskii, "Interior-Point Polynomial Algorithms in Convex Programming", SIAM 1994). Of many rows,
those with the nearest walls give a start close to the centre.
"""
from __future__ import annotations

import math

import numpy as np
import scipy.optimize

from levinv._tolerances import EPS
from levinv._typing import Floats, Integers


def barrier(residual: Floats) -> float:
    """-sum log(1 - r²); inf outside."""
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
    n, k = changes.shape
    step, decrement = _newton_step(changes, residual)
    if decrement <= 0.01:
        return step, decrement
    if n > 64 * (k + 1) and decrement > 0.25:
        start = _centre_of_near_rows(changes, residual)
    else:
        start = step / (1.0 + decrement if decrement > 0.25 else 1.0)
    return _centre_from(start, changes, residual), decrement


def _centre_of_near_rows(changes: Floats, residual: Floats) -> Floats:
    """The centre for the rows whose walls are nearest, and for those that it would leave: close to
    that for all rows.
    """
    k = changes.shape[1]
    rows = nearest(residual, np.sqrt(np.einsum("ij,ij->i", changes, changes)), k)
    while True:
        y = _centre_from(np.zeros(k), changes[rows], residual[rows])
        reach = np.abs(residual + changes @ y)
        outside = np.flatnonzero(reach >= 1.0)
        if not len(outside):
            return y
        rows = np.append(rows, outside[np.argsort(-reach[outside])[:len(rows)]])


def nearest(residual: Floats, lengths: Floats, k: int) -> Integers:
    """The rows whose walls are nearest to y = 0, as many as describe F near its centre to a few per
    cent; ``lengths`` are those of the rows of ``changes``, and k is the number of its columns.
    """
    wanted = min(len(residual), 16 * (k + 1))
    with np.errstate(divide="ignore"):
        away = (1.0 - np.abs(residual)) / lengths
    return np.argpartition(away, wanted - 1)[:wanted]


def _centre_from(y: Floats, changes: Floats, residual: Floats) -> Floats:
    """The analytic centre by Newton's method from a point y inside."""
    before = np.inf
    while True:
        step, decrement = _newton_step(changes, residual + changes @ y)
        if decrement < 0.25 and decrement >= before:
            return y
        y = y + step / (1.0 + decrement if decrement > 0.25 else 1.0)
        if decrement <= 1e-3:                     # the next one is about the square of it
            return y
        before = decrement


def _newton_step(changes: Floats, image: Floats) -> tuple[Floats, float]:
    """Newton's step and its decrement where the residuals are ``image``."""
    above, below = 1.0 / (1.0 - image), 1.0 / (1.0 + image)
    gradient = changes.T @ (above - below)
    scaled = changes * np.hypot(above, below)[:, None]
    step = -np.asarray(np.linalg.lstsq(scaled.T @ scaled, gradient)[0], dtype=np.float64)
    return step, math.sqrt(max(-float(gradient @ step), 0.0))
