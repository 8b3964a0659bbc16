"""How far scores that are rounded to decimals confine x.

Rounding to K decimals changes a score by at most h = 10⁻ᴷ/2. So x lies, for certain, in the set F
of all x whose scores round to those published (:mod:`levinv.inverse.stages.intervals`). In the
coordinates y of the steps of :mod:`levinv.auditing.sensitivity`, with the residual r = (sigma(x) -
c)/h at the true x and its changes G = J steps/√3, F is to first order

    {y : |r + G y| <= 1},   GᵀG = I/3,   so that |y| <= 2 √(3 n), since |G y| <= 2 in each row.

Errors of rounding are bounded, and the Cramér-Rao bound does not hold for them. What holds is this.
With the Hessian H of the barrier -sum log(1 - (r + G y)²) at its minimum y*, the ellipsoid

    E = {y : (y - y*)ᵀ H (y - y*) <= 1}

is inside F (Dikin). The scores of every x of E round to those published, and nobody who has no more
than these can tell one from another. Along a coefficient with dx = qᵀ y, E reaches √(qᵀ H⁻¹ q) to
either side of its centre: an estimate may be off by as much, whatever the method. The standard
deviation of x over all of F, which is the least root mean square error, is 0.8 to 2.1 times as
large, 1.25 on average, measured for random and categorical G with 20 to 2000 rows in 1 to 30
dimensions.

A row whose walls are far away hardly matters. E is computed with those rows alone whose walls are
nearest to y = 0, and of every other row with the least curvature that it can have: its sum is
2 (I/3 - GᵀG), G of the near rows, and bounds E where they do not. If E leaves the walls of a row,
that row is added. So at the end E is inside F for all rows.

The smallest and the largest value of a coefficient over F are linear programs, solved by cutting
planes. They share their rows. Their coordinates u are those in which E is the unit ball.
"""
from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import scipy.optimize

from levinv._noise import half_unit, rounding_noise
from levinv._tolerances import EPS, LP_ROUNDING
from levinv._typing import Floats, Integers
from levinv.inverse.stages.polytope import analytic_centre, nearest


def rounded(scores: Floats, decimals: int) -> Floats:
    """The scores as published."""
    return np.clip(np.round(scores, decimals), 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Rounding:
    """How far rounding to any number of decimals confines x. The Jacobian is not kept."""

    jacobian: Callable[[], Floats]    # (n, d) at x, of the scores that are published
    x: Floats
    scores: Floats                    # (n,) at x
    steps: Floats                     # (d, r) dx for which J steps has orthonormal columns
    lengths: Floats                   # (n,) of the rows of J steps
    _axes: dict[int, Floats] = field(default_factory=dict)

    def axes(self, decimals: int, jacobian: Floats | None = None) -> Floats:
        """Columns that span E, (d, r): the changes of x from its centre are ``axes @ u`` with u of
        length at most 1. For more decimals than doubles have, those of standard errors.
        """
        if decimals not in self._axes:
            axes = rounding_noise(decimals) * self.steps
            if axes.shape[1] and decimals <= sys.float_info.dig:
                axes = axes @ ellipsoid(self._confined(decimals, jacobian)).axes
            self._axes[decimals] = axes
        return self._axes[decimals]

    def least_errors(self, standard_errors: Floats, decimals: int) -> Floats:
        """The smaller of the standard errors and of how far E reaches along each coefficient; inf
        where the standard errors are.
        """
        reach = np.linalg.norm(self.axes(decimals), axis=1)
        return np.where(np.isfinite(standard_errors), np.minimum(standard_errors, reach), np.inf)

    def intervals(self, decimals: int) -> Floats:
        """The smallest and the largest value of each coefficient over F, (d, 2), if the directions
        in which no score changes are left out.
        """
        decimals = min(decimals, sys.float_info.dig)
        steps, noise = self.steps, rounding_noise(decimals)
        if not steps.shape[1]:
            return np.stack([self.x, self.x], axis=1)
        given = self._confined(decimals, None)
        most = extent(given, ellipsoid(given), np.concatenate([-steps, steps]))
        below, above = np.split(noise * most, 2)
        return np.stack([self.x - below, self.x + above], axis=1)

    def _confined(self, decimals: int, jacobian: Floats | None) -> Confined:
        if jacobian is None:
            jacobian = self.jacobian()
        # walls through x itself, as for a score of 0.5 and no decimals: F may be flat, E must not
        inside = 1.0 - math.sqrt(EPS)
        residual = ((self.scores - rounded(self.scores, decimals))
                    / half_unit(rounding_noise(decimals)))
        return Confined(jacobian, self.steps, self.lengths, np.clip(residual, -inside, inside))


@dataclass(frozen=True, eq=False)
class Confined:
    """The set F to first order: |r + G y| <= 1."""

    jacobian: Floats          # (n, d) J
    steps: Floats             # those of Rounding
    lengths: Floats
    residual: Floats          # (n,) r, between -1 and 1

    def changes(self, rows: Integers) -> Floats:
        """G in some rows."""
        part: Floats = self.jacobian[rows] @ self.steps / math.sqrt(3.0)
        return part

    def images(self, y: Floats) -> Iterator[tuple[slice, Floats]]:
        """Blocks of rows, and G y there for the columns of y, (r, m)."""
        n, moved = len(self.residual), self.steps @ y / math.sqrt(3.0)
        # a block takes the memory of a few vectors (n,)
        length = max(n // max(y.shape[1], 1), 4 * y.shape[1], 1)
        for first in range(0, n, length):
            block = slice(first, first + length)
            yield block, self.jacobian[block] @ moved


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """E = {centre + axes u : |u| <= 1}, in coordinates y."""

    centre: Floats            # (r,)
    axes: Floats              # (r, r)
    rows: Integers            # with which it was computed


def ellipsoid(given: Confined) -> Ellipsoid:
    """E, inside F."""
    n, k = len(given.residual), given.steps.shape[1]
    rows = nearest(given.residual, given.lengths, k)
    while True:
        changes, residual = given.changes(rows), given.residual[rows]
        y = analytic_centre(changes, residual)[0]
        image = residual + changes @ y
        curvature = (1.0 - image) ** -2 + (1.0 + image) ** -2 - 2.0
        hessian = 2.0 / 3.0 * np.eye(k) + (changes * curvature[:, None]).T @ changes
        values, vectors = np.linalg.eigh(hessian)
        found = Ellipsoid(y, vectors / np.sqrt(values), rows)
        reach = np.empty(n)
        for block, moved in given.images(np.column_stack([found.axes, y])):
            reach[block] = (np.abs(given.residual[block] + moved[:, -1])
                            + np.linalg.norm(moved[:, :-1], axis=1))
        reach[rows] = 0.0
        outside = np.flatnonzero(reach > 1.0)
        if not len(outside):
            return found
        rows = np.append(rows, outside[np.argsort(-reach[outside])[:len(rows)]])


def extent(given: Confined, inner: Ellipsoid, forms: Floats) -> Floats:
    """The largest q·y over F for each row q of ``forms``, (m,); inf if a program is not solved."""
    rows, costs = inner.rows, forms @ inner.axes
    sizes = np.linalg.norm(costs, axis=1)
    left = np.flatnonzero(sizes > 0)
    ends, largest = np.zeros(costs.shape), forms @ inner.centre
    # |y - centre| is at most twice the bound of |y|
    box = 4.0 * math.sqrt(3.0 * len(given.residual)) / np.linalg.norm(inner.axes, axis=0)
    while len(left):
        changes = given.changes(rows)
        walls, base = changes @ inner.axes, given.residual[rows] + changes @ inner.centre
        for j in left:
            solved = scipy.optimize.linprog(
                -costs[j] / sizes[j], A_ub=np.vstack([walls, -walls]),
                b_ub=np.concatenate([1.0 - base, 1.0 + base]),
                bounds=np.column_stack([-box, box]), method="highs")
            if solved.x is None:
                largest[j] = np.inf
            else:
                ends[j] = solved.x
        beyond, worst = _farthest(given, inner.axes @ ends[left].T + inner.centre[:, None])
        known, rows = len(rows), np.union1d(rows, worst[beyond > 1.0 + LP_ROUNDING])
        left = left[(beyond > 1.0 + LP_ROUNDING) & np.isfinite(largest[left])]
        if len(rows) == known:
            break
    most: Floats = largest + np.einsum("ij,ij->i", costs, ends)
    return most


def _farthest(given: Confined, y: Floats) -> tuple[Floats, Integers]:
    """The largest |r + G y| for each column of y, and its row."""
    columns = np.arange(y.shape[1])
    largest, row = np.zeros(len(columns)), np.zeros(len(columns), dtype=np.intp)
    for block, moved in given.images(y):
        reach = np.abs(given.residual[block, None] + moved)
        place = np.argmax(reach, axis=0)
        here = reach[place, columns]
        row = np.where(here > largest, place + block.start, row)
        largest = np.maximum(largest, here)
    return largest, row
