"""The cell {x : signs∘(A x - b) > 0}: a point inside it, and whether it holds a preimage of g.

*Start.* The program max t subject to signs_i (a_iᵀx - b_i) >= t |a_i|, t <= 1, in units of the
largest |b_i|/|a_i|, finds the centre of the largest ball in the cell, or of a ball that is large
enough. The solver's tolerance may exceed the width of a thin cell. The program is then solved again
about the point found, in smaller units. If some |b_i|/|a_i| are much smaller than the largest, the
program is solved again in those units, without the rows whose slack is much larger.

*Empty.* By Farkas' lemma the cell is empty iff there is y >= 0, not 0, with

    yᵀ diag(signs) A = 0    and    yᵀ (signs∘b) >= 0.

The linear program's multipliers are such a y up to the solver's tolerance. They are corrected by
least squares. They prove emptiness in two cases: they satisfy the equation to its rounding error
bound and the inequality by more than its rounding error bound; or they satisfy both in exact
arithmetic. A weaker test proves nothing, because a cell may be thinner than rounding of b.

*Preimages.* V(x) - gᵀx is strictly convex on the cell and inf on its boundary. Along a direction y
of the recession cone {y : signs∘(A y) >= 0}, V decreases without bound but slower than linearly,
since all slacks grow. Hence V - gᵀx has a minimiser, and g has a preimage, iff

    gᵀy < 0 for every y != 0 of the recession cone.

(If so, V - gᵀx grows along every y of the cone and is therefore coercive. If gᵀy >= 0, V - gᵀx
decreases along y without end.) If the cell is bounded, the cone is {0} and every g has a preimage.
A y that violates the condition is a certificate that g has no preimage. It is found by a linear
program over the part of the cone with sum_i signs_i a_iᵀy / |a_i| = n.
"""
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import scipy.sparse

from levinv._parallel import aside
from levinv._tolerances import EPS, LP_ROUNDING, TINY, ZERO_ENTRY
from levinv._typing import Floats
from levinv.storage.blocked import Rows


class Interior(NamedTuple):
    """What the search for a point inside the cell found."""

    x: Floats | None              # a point well inside, or None
    least_slack: float            # the largest value of t reached, in rows of unit norm
    empty: bool                   # whether the cell is proved empty


class ScaledRows(NamedTuple):
    """diag(signs/norms) A diag(1/columns): rows of unit norm, entries of at most 1."""

    rows: scipy.sparse.csr_array
    columns: Floats
    norms: Floats


def interior_point(stored: Rows, b: Floats, signs: Floats) -> Interior:
    """Look for a point inside the cell; zero rows of A must be left out by the caller."""
    scaled = _scaled(stored, signs)
    highest = -np.inf
    with np.errstate(over="ignore"):                # a row with inf bounds nothing
        sizes = np.abs(b) / scaled.norms
    for unit in _units(sizes):
        x, least, multipliers = _largest_ball(stored, b, signs, scaled, unit)
        if least > 0:
            return Interior(x, least, False)
        highest = max(highest, least)
        if multipliers is not None:
            with np.errstate(over="ignore"):
                y = _corrected(scaled.rows, multipliers)
                if (_proves_empty(scaled.rows, signs * b / scaled.norms, y)
                        or _proves_exactly(stored, b, signs * y / scaled.norms, signs)):
                    return Interior(None, highest, True)
    return Interior(None, highest, False)


def _units(sizes: Floats) -> list[float]:
    """The largest size, and each size far below the next larger one: it needs its own program."""
    sizes = np.sort(sizes[(sizes > 0) & np.isfinite(sizes)])[::-1]
    if not len(sizes):
        return [1.0]
    far_below = np.append(True, sizes[1:] < np.sqrt(LP_ROUNDING) * sizes[:-1])
    return list(map(float, sizes[far_below]))


def _largest_ball(stored: Rows, b: Floats, signs: Floats, scaled: ScaledRows,
                  unit: float) -> tuple[Floats, float, Floats | None]:
    """The centre found, its least slack, and the last program's multipliers or None."""
    x, least, multipliers = np.zeros(stored.shape[1]), -np.inf, None
    furthest = LP_ROUNDING ** -2                 # slacks beyond, in units, do not affect the solver
    resolution = unit
    while resolution > EPS * unit:
        with np.errstate(over="ignore"):
            slack = signs * (stored.matvec(x) - b) / scaled.norms
            near = slack / furthest < resolution
            relative = np.maximum(slack[near] / resolution, -furthest)
        rows = scaled.rows if near.all() else scaled.rows[near]
        found = _linear_program(        # max t subject to rows dx + relative >= t, t <= 1
            np.append(np.zeros(len(x)), -1.0), b_ub=relative,
            A_ub=scipy.sparse.hstack([-rows, np.ones((len(relative), 1))]),
            bounds=[(None, None)] * len(x) + [(None, 1.0)])
        if found.x is None:
            break
        multipliers = np.zeros(len(b))
        multipliers[near] = -found.ineqlin.marginals
        x = x + resolution * found.x[:-1] / scaled.columns
        with np.errstate(over="ignore"):
            least = float(np.min(signs * (stored.matvec(x) - b) / scaled.norms))
        if least > 0 or found.x[-1] < -LP_ROUNDING:
            break
        resolution *= LP_ROUNDING
    return x, least, multipliers


def _corrected(rows: scipy.sparse.csr_array, multipliers: Floats) -> Floats:
    """Multipliers y of sum 1, corrected by least squares to yᵀ rows = 0; negligible ones are 0."""
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
    rounding = sum(part.shape) * EPS             # of these sums, and of solving for y
    return bool(len(y) and y.min() >= 0 and np.all(left <= rounding * terms)
                and b @ y > rounding * (np.abs(b) @ y))


def _proves_exactly(stored: Rows, b: Floats, y: Floats, signs: Floats) -> bool:
    """Whether multipliers prove emptiness in exact arithmetic: those of two opposite rows may."""
    used = np.flatnonzero(y)
    if not len(used) or np.any(y[used] * signs[used] < 0) or not np.isfinite(y).all():
        return False
    exact = [Fraction(value) for value in y[used].tolist()]

    def combined(values: Floats) -> Fraction:
        return sum((factor * Fraction(value)
                    for factor, value in zip(exact, values.tolist(), strict=True)), Fraction())

    return combined(b[used]) >= 0 and not any(map(combined, stored.block(used).T))


def certificate(stored: Rows, signs: Floats, g: Floats) -> Floats | None:
    """A y, (d,), of the recession cone with gᵀy >= 0, which proves "no preimage"; or None."""
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
    in_cone = np.min(rows @ y) >= -ZERO_ENTRY * np.linalg.norm(y)
    # The rounding error bound of slope, y and their product. If gᵀy is negative by more than this
    # bound, y is no certificate: rows with far larger slacks contribute small terms to g = Bᵀsigma.
    rounding = (len(g) + 2) * EPS * (np.abs(slope) @ np.abs(y))
    if not (in_cone and slope @ y >= -rounding):
        return None
    y = y / columns
    direction: Floats = y / np.linalg.norm(y)
    return direction


def _linear_program(*args: Any, **kwargs: Any) -> scipy.optimize.OptimizeResult:
    return aside(lambda: scipy.optimize.linprog(*args, **kwargs, method="highs"))


def _scaled(stored: Rows, signs: Floats) -> ScaledRows:
    columns = stored.column_max()
    exponents = np.frexp(stored.row_norms())[1]          # quotients may underflow
    scaled = (scipy.sparse.diags_array(np.ldexp(1.0, -exponents)) @ stored.as_sparse()
              @ scipy.sparse.diags_array(1.0 / columns))
    largest = abs(scaled).max(axis=1).toarray().ravel()          # squares may underflow
    unit = scipy.sparse.diags_array(1.0 / largest) @ scaled
    norms = largest * np.sqrt(unit.power(2).sum(axis=1))
    return ScaledRows(scipy.sparse.diags_array(signs / norms) @ scaled, columns,
                      np.maximum(np.ldexp(norms, exponents), TINY))
