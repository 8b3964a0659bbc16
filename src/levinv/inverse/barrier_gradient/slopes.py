"""The gradients of the penalty of exponential weights, and a proof that g is not among them.

With weights v_i exp(a η_i), η = A x - b, the formula of Cauchy and Binet gives

    V(x) = ½ log sum_S det(A_S)² exp(sum of log weights over S),   S: the bases among the rows of A,

½ times the logarithm of a sum of exponentials of functions of x with the slopes a sum_{i in S} a_i.
∇V takes the values in the relative interior of the convex hull of c_S = ½ a sum_{i in S} a_i, and
no others. Hence g has a preimage iff

    gᵀy < h(y) = max_S c_Sᵀy

for every y but those with h(y) = -h(-y), along which V is linear; there gᵀy must be equal to h(y).
These y make A y constant on every component of A's rows (ker L), and form the ``null_space``.
Greedy choice finds the basis of largest weight, and so h(y) (Edmonds, 1971).

*Certificate.* Let g₀ be some gradient, and δ = g - g₀, which is orthogonal to the null space. Then
g is a gradient iff h(y) - g₀ᵀy > 1 for every y with δᵀy = 1. Cutting planes find the least value: a
linear program with the bases known so far proposes y, the greedy choice adds the basis of y. A y
with h(y) - g₀ᵀy <= 1, i.e. h(y) <= gᵀy, is the proof. If the program's value, a lower bound of the
least value, exceeds 1, there is none.
"""
from __future__ import annotations

import numpy as np
import scipy.optimize

from levinv._parallel import aside
from levinv._tolerances import ALLOWED_ROUNDINGS, CUTS, EPS, LP_ROUNDING, ZERO_ENTRY
from levinv._typing import Booleans, Floats
from levinv.forward.basis import column_space, reciprocal_norms
from levinv.inverse.stages.reduction import orthonormal_columns, reduce
from levinv.storage.blocked import Rows


def null_space(rows: Rows, active: Booleans) -> Floats:
    """Orthonormal basis (d, m) of the y with A y constant on every component of the active rows."""
    part = rows if active.all() else rows.part(active)
    reduced = reduce(part)
    found = [reduced.free]                 # of the coloops: each is a component of its own
    for c, basis in enumerate(reduced.bases):
        ones = (reduced.label == c) * reduced.unit
        image = basis.T @ part.rmatvec(reduced.unit * ones)
        rest = ones - reduced.unit * part.matvec(basis @ image)
        if np.linalg.norm(rest) <= ALLOWED_ROUNDINGS * EPS * np.linalg.norm(ones):
            found.append((basis @ image)[:, None])
    return orthonormal_columns(np.hstack(found))


def certificate(rows: Rows, rate: float, g0: Floats, g: Floats, free: Floats) -> Floats | None:
    """A y, (d,), with gᵀy >= h(y) that is not in the null space ``free``; or None."""
    unit = reciprocal_norms(rows.row_norms())
    columns = transform = column_space(rows).transform
    if free.shape[1]:                      # coordinates in which the null space is left out
        image = transform.T @ rows.rmatvec((unit * unit)[:, None] * rows.matvec(free))
        rotation = np.linalg.qr(image / np.linalg.norm(image, axis=0), mode="complete")[0]
        transform = transform @ rotation[:, free.shape[1]:]
    step, centre = transform.T @ (g - g0), transform.T @ g0
    k, size = len(step), float(np.linalg.norm(transform.T @ (g - g0)))
    if k == 0 or size == 0 or not np.isfinite(size):
        return None
    bound = 1.0 / LP_ROUNDING / size
    cuts: list[Floats] = []
    y = step / size ** 2                   # the first proposal: stepᵀy = 1
    for _ in range(CUTS):
        cut = transform.T @ (0.5 * rate * rows.rmatvec(
            _heaviest_basis(rows, unit, columns, rate * rows.matvec(transform @ y))))
        value, rounding = float((cut - centre) @ y), EPS * k * float(
            (np.abs(cut) + np.abs(centre) + np.abs(step)) @ np.abs(y))
        if value <= 1.0 + rounding:
            direction = transform @ y
            return np.asarray(direction / np.linalg.norm(direction), dtype=np.float64)
        cuts.append((cut - centre) / size)
        found = _program(np.array(cuts), step / size, bound * size)
        if found is None or found[1] > 1.0 + LP_ROUNDING:
            return None
        y = found[0] / size
        y = y / float(step @ y)
    return None


def _program(cuts: Floats, step: Floats, bound: float) -> tuple[Floats, float] | None:
    """The y of least max(cuts y) with stepᵀy = 1 and |y| <= bound, and this value."""
    k = len(step)
    found = aside(lambda: scipy.optimize.linprog(
        np.append(np.zeros(k), 1.0), A_ub=np.hstack([cuts, -np.ones((len(cuts), 1))]),
        b_ub=np.zeros(len(cuts)), A_eq=np.append(step, 0.0)[None, :], b_eq=[1.0],
        bounds=[(-bound, bound)] * k + [(0.0, None)], method="highs"))
    if found.x is None or not float(step @ found.x[:-1]) > 0:
        return None
    return np.asarray(found.x[:-1], dtype=np.float64), float(found.x[-1])


def _heaviest_basis(rows: Rows, unit: Floats, columns: Floats, weight: Floats) -> Floats:
    """The indicator, (n,), of a basis among the rows with the largest sum of weights.

    Rows are taken in the order of their weights; one that depends on those taken is left out.
    ``columns`` combine the columns of A to a basis that is orthonormal over the rows at unit norm.
    """
    d = rows.shape[1]
    order = np.argsort(-weight, kind="stable")
    chosen = np.zeros(len(weight))
    basis = np.zeros((d, 0))
    for first in range(0, len(order), 4 * d):
        index = order[first:first + 4 * d]
        block = (rows.block(index) * unit[index, None]) @ columns
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        for i, row in zip(index, block, strict=True):
            rest = row
            for _ in range(2):             # twice is enough
                rest = rest - basis @ (basis.T @ rest)
            length = float(np.linalg.norm(rest))
            if length > ZERO_ENTRY:
                basis = np.column_stack([basis, rest / length])
                chosen[i] = 1.0
                if basis.shape[1] == d:
                    return chosen
    return chosen
