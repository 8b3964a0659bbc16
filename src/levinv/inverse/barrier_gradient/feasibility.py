"""The cell {x : signs∘(A x - b) > 0}: a point inside it, and when it holds a preimage of g.

*Start.* max t subject to signs_i (a_iᵀx - b_i) >= t |a_i|, t <= 1 in units of the largest
|b_i|/|a_i|: the centre of the largest ball in the cell, or of one large enough. A thin cell is lost
in the rounding of the linear program's solver: the program is then solved again about the point
found, in smaller units. Where some |b_i|/|a_i| are far smaller than the largest, they are the units
next, and rows whose slack is larger by far take no part.

*Empty.* By Farkas' lemma the cell is empty iff there is y >= 0, not 0, with

    yᵀ diag(signs) A = 0    and    yᵀ (signs∘b) >= 0.

The linear program's multipliers are such a y but for the solver's tolerance. Corrected by least
squares they have to satisfy the equation to rounding, relative to the sum of the terms' absolute
values, and the inequality beyond it (or both in exact arithmetic on A and b): nothing else
counts as a proof, as a cell may be thinner than rounding of b.

*Preimages.* V(x) - gᵀx is strictly convex on the cell and inf on its boundary. Along a direction y
of the recession cone {y : signs∘(A y) >= 0}, V decreases without bound but slower than linearly,
since all slacks grow. Hence V - gᵀx has a minimiser, and g a preimage, iff

    gᵀy < 0 for every y != 0 of the recession cone.

(If so, V - gᵀx grows along every y of the cone, therefore it is coercive; if gᵀy >= 0, it decreases
forever along y from everywhere.) On a bounded cell the cone is {0} and every g has its preimage. A
y that breaks the condition is a certificate that g has none; a linear program over the cone, cut to
sum_i signs_i a_iᵀy / |a_i| = 1, finds it.
"""
from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse

from levinv._parallel import aside
from levinv._typing import Floats
from levinv.forward.basis import EPS
from levinv.storage import Rows

LP_ROUNDING = 1e-6           # ten times the solver's tolerance
REFINEMENTS = 3
FAR = 1e4                    # between |b_i|/|a_i| that are units of their own,
TAKES_NO_PART = 1e12         # and slack, in these units, of rows that do not bound x; none is
                             # taken for more negative
PROVED = 1e3                 # rounding of a proof, in ε
TINY = np.finfo(float).tiny
ROUNDING = 1e-9              # to which the signs of A y are told, relative to |y|


def interior_point(stored: Rows, b: Floats,
                   signs: Floats) -> tuple[Floats | None, float, bool]:
    """A point well inside the cell, None if none was found; its least scaled slack; whether the
    cell is proved empty.

    Zero rows of A must be left out by the caller.
    """
    rows, columns, norms = _scaled(stored, signs)
    empty, highest = False, -np.inf
    with np.errstate(over="ignore"):                # inf: in rows that bound nothing
        sizes = np.abs(b) / norms
    for unit in _units(sizes):
        x, least, multipliers = np.zeros(stored.shape[1]), -np.inf, None
        for _ in range(REFINEMENTS):
            with np.errstate(over="ignore"):
                slack = signs * (stored.matvec(x) - b) / norms
                near = slack / TAKES_NO_PART < unit
                scaled = np.maximum(slack[near] / unit, -TAKES_NO_PART)
            found = _largest_least_slack(rows if near.all() else rows[near], scaled)
            if found.x is None:
                break
            multipliers = np.zeros(len(b))
            multipliers[near] = -found.ineqlin.marginals
            x = x + unit * found.x[:-1] / columns
            with np.errstate(over="ignore"):
                least = float(np.min(signs * (stored.matvec(x) - b) / norms))
            if least > 0 or found.x[-1] < -LP_ROUNDING:
                break
            unit *= 10.0 * LP_ROUNDING
        if least > 0:
            return x, least, False
        highest = max(highest, least)
        if multipliers is not None:
            with np.errstate(over="ignore"):
                y = _corrected(rows, multipliers)
                empty = (_proves_empty(rows, signs * b / norms, y)
                         or _proves_exactly(stored, b, signs * y / norms, signs))
        if empty:
            break
    return None, highest, empty


def _units(sizes: Floats) -> list[float]:
    """The largest size and those that are far below the next larger, in falling order."""
    sizes = np.sort(sizes[(sizes > 0) & np.isfinite(sizes)])[::-1]
    if not len(sizes):
        return [1.0]
    far_below = np.append(True, sizes[1:] < sizes[:-1] / FAR)
    units: list[float] = sizes[far_below].tolist()
    return units


def _largest_least_slack(rows: scipy.sparse.csr_array,
                         slack: Floats) -> scipy.optimize.OptimizeResult:
    n, d = rows.shape
    return _linear_program(
        np.append(np.zeros(d), -1.0), A_ub=scipy.sparse.hstack([-rows, np.ones((n, 1))]),
        b_ub=slack, bounds=[(None, None)] * d + [(None, 1.0)])


def _corrected(rows: scipy.sparse.csr_array, multipliers: Floats) -> Floats:
    """Multipliers y of sum 1 with yᵀ rows = 0 by least squares, 0 where they are negligible."""
    y = np.zeros(len(multipliers))
    support = multipliers > LP_ROUNDING * multipliers.max()
    if not support.any():
        return y
    part = rows[support].toarray()
    part = part[:, part.any(axis=0)]
    part /= np.abs(part).max(axis=0)
    system = np.vstack([part.T, np.ones(len(part))])
    wanted = np.append(np.zeros(part.shape[1]), 1.0)
    found = multipliers[support] / multipliers[support].sum()
    for _ in range(2):
        found = found + np.linalg.lstsq(system, wanted - system @ found, rcond=None)[0]
    y[support] = found
    return y


def _proves_empty(rows: scipy.sparse.csr_array, b: Floats, y: Floats) -> bool:
    """Whether multipliers prove beyond rounding that rows x > b has no solution."""
    used = y != 0
    part, b, y = rows[used], b[used], y[used]
    left, terms = np.abs(part.T @ y), abs(part).T @ y
    return bool(len(y) and y.min() >= 0 and np.all(left <= PROVED * EPS * terms)
                and b @ y > PROVED * EPS * (np.abs(b) @ y))


def _proves_exactly(stored: Rows, b: Floats, y: Floats, signs: Floats) -> bool:
    """Whether multipliers prove it without rounding, as those of two opposite rows may."""
    used = np.flatnonzero(y)
    if not len(used) or np.any(y[used] * signs[used] < 0) or not np.isfinite(y).all():
        return False
    exact = [Fraction(value) for value in y[used].tolist()]

    def combined(values: Floats) -> Fraction:
        return sum((factor * Fraction(value)
                    for factor, value in zip(exact, values.tolist(), strict=True)), Fraction())

    return combined(b[used]) >= 0 and not any(map(combined, stored.block(used).T))


def certificate(stored: Rows, signs: Floats, g: Floats) -> Floats | None:
    """A direction y of the recession cone with gᵀy >= 0, (d,): g has no preimage; or None."""
    n = stored.shape[0]
    rows, columns, _ = _scaled(stored, signs)
    slope = g / columns
    slope = slope / (np.max(np.abs(slope)) or 1.0)
    found = _linear_program(
        -slope, A_ub=-rows, b_ub=np.zeros(n), A_eq=rows.mean(axis=0)[None, :], b_eq=[1.0],
        bounds=(None, None))
    if found.x is None:                    # the cone is {0}
        return None
    y = found.x
    in_cone = np.min(rows @ y) >= -ROUNDING * np.linalg.norm(y)
    # The rounding error bound of slope, y and their product. A negative gᵀy beyond it is no
    # certificate, however small: g = Bᵀsigma holds terms of rows with far larger slacks.
    rounding = (len(g) + 2) * EPS * (np.abs(slope) @ np.abs(y))
    if not (in_cone and slope @ y >= -rounding):
        return None
    y = y / columns
    direction: Floats = y / np.linalg.norm(y)
    return direction


def _linear_program(*args: Any, **kwargs: Any) -> scipy.optimize.OptimizeResult:
    return aside(lambda: scipy.optimize.linprog(*args, **kwargs, method="highs"))


def _scaled(stored: Rows, signs: Floats) -> tuple[scipy.sparse.csr_array, Floats, Floats]:
    """R = diag(signs/norms) A diag(1/columns) in CSR, rows of unit norm and entries of at most 1;
    columns; norms.
    """
    columns = stored.column_max()
    exponents = np.frexp(stored.row_norms())[1]          # apart: quotients may underflow
    scaled = (scipy.sparse.diags_array(np.ldexp(1.0, -exponents)) @ stored.as_sparse()
              @ scipy.sparse.diags_array(1.0 / columns))
    largest = abs(scaled).max(axis=1).toarray().ravel()          # squares may underflow
    unit = scipy.sparse.diags_array(1.0 / largest) @ scaled
    norms = largest * np.sqrt(unit.power(2).sum(axis=1))
    return (scipy.sparse.diags_array(signs / norms) @ scaled, columns,
            np.maximum(np.ldexp(norms, exponents), TINY))


def boundary(p: Floats) -> float:
    """The largest step before a slack s (1 + step p) vanishes; inf if none does."""
    fastest = float(np.min(p, initial=0.0))
    return -1.0 / fastest if fastest < 0 else np.inf
