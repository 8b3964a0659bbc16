"""Every x of a component that noisy scores allow: all local minima of the misfit.

On a component with M = A T_C, y its coordinates, and weight 1/deviation W, the misfit is

    χ²(y) = |W (σ(y) - c)|²,   σ the scores of diag(exp(t/2)) M,  t = τ(M y - o) + log v.

With noise several sign vectors may have a minimum that the noise explains. Sign vectors belong to
the cells of the hyperplanes M_i y = o_i (for a peak: o_i + mode). A component of rank r and m rows
has at most 1 + m + ... + C(m, r) cells, and every bounded cell has a vertex, where r hyperplanes
meet. At a vertex v with rows S, the columns of M_S⁻¹ move along one hyperplane off another: 2^r
points v + M_S⁻¹ ε δ lie in the cells around it, δ so small that no other row changes its sign. If
there are few such points, χ² is computed at all of them (*enumeration*). A Levenberg-Marquardt
iteration starts at the best point of each cell, in the BRANCH_STARTS cells where χ² is smallest.

For weights with a pole or a peak there is a second way, whose work does not grow with the number of
cells: another solution has nearly the weights of the one known (with a peak, if it has its level,
too). All sign vectors whose χ² by a linear model is within reach of the limit are found row by row,
as in sphere decoding (``_kernels/small/changes``). Where they are too many, those with one and with
two signs changed of least χ² are tried.

For weightings that are no powers, the starts are the known solution and its reflections at the
hyperplanes of one and of two rows: x moves so that these slacks change their signs and the others
change as little as possible in relation to their size
(:func:`levinv.inverse.search.try_sign_flips`). In any case the x of other sides are starts, too,
where the known slack fits (:mod:`levinv.inverse.stages.sides`) to its accuracy, SIGNIFICANT
standard deviations.
"""
from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from levinv._tolerances import (
    BRANCH_ENTRIES,
    BRANCH_PARTS,
    BRANCH_STARTS,
    ENUMERATED,
    FAR_FROM_LIMIT,
    LEAST_DAMPING,
    PASS_ENTRIES,
    PATIENCE,
    PREDICTED_DECREASE,
    SIGNIFICANT,
    TINY,
    ZERO_ENTRY,
)
from levinv._typing import Floats, Integers
from levinv.inverse.compiled import cells
from levinv.inverse.stages.levels import Component, enumerated
from levinv.inverse.stages.noisy_component import NoisyComponent, inverses
from levinv.inverse.stages.sides import Whole, opposite_halves, side_vectors
from levinv.weighting.peaked import Peaked
from levinv.weighting.protocol import Power


@dataclass(frozen=True, eq=False)
class Branches:
    """The local minima of one component, the smallest first."""

    y: Floats                     # (k, r)
    misfit: Floats                # (k,) χ²
    starts: int
    enumerated: bool              # whether points of every cell were compared


def can_enumerate(rows: int, rank: int) -> bool:
    """Whether points in all cells are few enough."""
    entries: int = math.comb(rows, rank) * 2 ** rank * rows
    return entries <= BRANCH_ENTRIES


def branches(part: NoisyComponent, known: Floats | None, limit: float) -> Branches:
    """The local minima with χ² at most ``limit``, and the smallest in any case.

    ``known`` (r,) is a solution, if there is one. Only beside it a component of too many cells is
    searched; :func:`with_minimum` adds it.
    """
    m, rank = part.matrix.shape
    starts, enumerated = np.zeros((0, rank)), can_enumerate(m, rank)
    if enumerated:
        starts = _in_all_cells(part)
    elif known is not None and m * m <= PASS_ENTRIES and not isinstance(part.weighting, Power):
        starts = _reflections(part, known)
    y, misfit = descended(part, starts, limit, in_cell=part.has_pole,
                          hopeless=np.inf if enumerated else limit / FAR_FROM_LIMIT)
    order = np.argsort(misfit, kind="stable")
    found: list[int] = []
    for i in order[:max(int(np.count_nonzero(misfit <= limit)), 1)]:
        if np.isfinite(misfit[i]) and _new(part, y[i], misfit[i], y[found], misfit[found]):
            found.append(int(i))
    return Branches(y[found], misfit[found], len(y), enumerated)


def with_changed_signs(part: NoisyComponent, found: Branches, limit: float) -> Branches:
    """The branches and those that a linear model at the smallest finds, for weights with a pole or
    a peak.

    The model holds at a solution: if a smaller minimum is found, it is made again there.
    """
    if (not isinstance(part.weighting, Power | Peaked) or part.compiled is None
            or not len(found.y) or len(part.offset) ** 2 > PASS_ENTRIES):
        return found
    enumerated, before = found.enumerated, np.inf
    while found.misfit[0] < before:
        before = found.misfit[0]
        found = _changed_at_smallest(part, replace(found, enumerated=enumerated), limit)
    return found


def _changed_at_smallest(part: NoisyComponent, found: Branches, limit: float) -> Branches:
    assert part.compiled is not None
    half, rate = part.halves(found.y[0])
    if not (np.isfinite(half).all() and half.all() and np.isfinite(rate).all()):
        return found
    starts, tried = cells.sign_changes(*part.compiled, found.y[0], half, rate, limit)
    complete = tried == 2
    if not tried and not found.enumerated:
        starts = _reflections(part, found.y[0])
    y, misfit = descended(part, starts, limit, in_cell=part.has_pole,
                          hopeless=np.inf if complete else limit / FAR_FROM_LIMIT)
    complete = complete and isinstance(part.weighting, Power)
    joined = replace(found, starts=found.starts + len(y), enumerated=found.enumerated or complete)
    for i in np.flatnonzero(misfit <= limit):
        joined = with_minimum(part, joined, y[i])
    return joined


def with_minimum(part: NoisyComponent, found: Branches, y: Floats) -> Branches:
    """The branches and another minimum, if it is not among them."""
    here = part.misfits(y[None])                                   # inf at a zero slack
    if not _new(part, y, here[0], found.y, found.misfit):
        return found
    misfit = np.append(found.misfit, here)
    order = np.argsort(misfit, kind="stable")
    return replace(found, y=np.vstack([found.y, y])[order], misfit=misfit[order])


def with_other_sides(part: NoisyComponent, found: Branches, y: Floats, limit: float) -> Branches:
    """The branches and the minima within the limit at other sides, where the slack fits that at y.
    """
    starts = _other_sides(part, y)
    points, misfit = descended(part, starts, limit, in_cell=part.has_pole,
                               hopeless=limit / FAR_FROM_LIMIT)
    for point in points[misfit <= limit]:
        found = with_minimum(part, found, point)
    return replace(found, starts=found.starts + len(starts))


def with_other_levels(part: NoisyComponent, found: Branches, y: Floats, limit: float) -> Branches:
    """The branches and the minima within the limit at other levels, where few rows leave them open:
    of no more scores than unknowns, not counting the sum of the scores, as of exact ones
    (:mod:`levinv.inverse.verdict.alternatives`).
    """
    m, rank = part.matrix.shape
    if isinstance(part.weighting, Power) or m > min(rank + 1, ENUMERATED):
        return found
    eta = part.matrix @ y - part.offset
    equations = Component(part.matrix, part.offset, part.weighting.log_weight(eta), None,
                          part.weighting, None)
    starts = np.array([candidate.y for candidate in enumerated(equations)]).reshape(-1, rank)
    points, misfit = descended(part, starts, limit, in_cell=False)
    for point in points[misfit <= limit]:
        found = with_minimum(part, found, point)
    return replace(found, starts=found.starts + len(starts))


def _new(part: NoisyComponent, y: Floats, misfit: float, found: Floats, misfits: Floats) -> bool:
    """Whether a minimum is not among those found: in their cells, with visibly the same χ², which
    is no larger halfway.
    """
    side = part.matrix @ y > part.offset + part.mode
    sides = found @ part.matrix.T > part.offset + part.mode
    alike = (sides == side).all(axis=1) & (np.abs(misfits - misfit) <= FAR_FROM_LIMIT)
    halfway = 0.5 * (found[alike] + y)
    return not np.any(part.misfits(halfway) <= misfits[alike] + 2.0 * FAR_FROM_LIMIT)


def _in_all_cells(part: NoisyComponent) -> Floats:
    """The best of the points beside the vertices in each cell, in the BRANCH_STARTS best cells, (k,
    r), the best first.
    """
    if part.compiled is not None:
        return cells.best_points(*part.compiled, np.array(BRANCH_PARTS), BRANCH_STARTS)[0]
    m, rank = part.matrix.shape
    offset = part.offset + part.mode
    rows = np.array(list(itertools.combinations(range(m), rank)))
    square = part.matrix[rows]                                   # (vertices, r, r)
    lengths = np.linalg.norm(square, axis=2)
    regular = np.abs(np.linalg.det(square)) > ZERO_ENTRY * lengths.prod(axis=1)
    rows, square = rows[regular], square[regular]
    inverse = np.linalg.inv(square)
    vertices = np.einsum("krs,ks->kr", inverse, offset[rows])
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=rank)))
    moves = np.einsum("krs,ts->ktr", inverse, signs)             # (vertices, 2^r, r)
    slack = (vertices @ part.matrix.T - offset)[:, None]
    slack[np.arange(len(rows))[:, None], 0, rows] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = -slack / (moves @ part.matrix.T)                 # to each hyperplane
    ahead = np.where(reach > 0, reach, np.inf).min(axis=2)
    farthest = np.where(np.isfinite(reach), np.abs(reach), 0.0).max(axis=2)
    ahead = np.where(np.isfinite(ahead), ahead, 2.0 * farthest)
    points = np.concatenate([(vertices[:, None] + step * ahead[:, :, None] * moves)
                             .reshape(-1, rank) for step in BRANCH_PARTS])
    misfit = part.misfits(points)
    order = np.argsort(misfit, kind="stable")
    above = points[order] @ part.matrix.T > offset
    first = list({row.tobytes(): i for i, row in reversed(list(enumerate(above)))}.values())
    best: Floats = points[order[np.sort(first)[:BRANCH_STARTS]]]
    return best


def reflected(part: NoisyComponent, y: Floats, sets: Sequence[Integers]) -> Floats:
    """y reflected at the hyperplanes of each set S of rows where that is defined, (k, r).

    In the metric G of the scaled rows, the shortest move that takes the slacks s_S to -s_S is
    -2 G⁻¹ M_Sᵀ (M_S G⁻¹ M_Sᵀ)⁻¹ s_S.
    """
    _, _, inverse, eta = part.evaluate(y[None])
    slack, moves = eta[0] - part.mode, []
    with np.errstate(over="ignore", invalid="ignore"):
        toward = inverse[0] @ part.matrix.T
        for rows in sets:
            form = part.matrix[rows] @ toward[:, rows]
            if np.isfinite(form).all():        # at a zero slack G is not defined
                moves.append(toward[:, rows]
                             @ np.linalg.lstsq(form, -2.0 * slack[rows], rcond=None)[0])
    points: Floats = y + np.array(moves).reshape(-1, len(y))
    return points


def _reflections(part: NoisyComponent, y: Floats) -> Floats:
    """The best reflections of y at one and at two hyperplanes, (k, r): single rows with the
    shortest moves, and pairs of those with the shortest of all.
    """
    _, _, inverse, eta = part.evaluate(y[None])
    with np.errstate(divide="ignore", invalid="ignore"):
        length = (eta[0] - part.mode) ** 2 / np.einsum("mr,rs,ms->m", part.matrix, inverse[0],
                                                       part.matrix)
    nearest = np.argsort(length, kind="stable")[:BRANCH_STARTS]
    pairs = itertools.combinations(nearest[:PATIENCE // 2], 2)
    if not np.isfinite(inverse).all():
        return np.zeros((0, len(y)))
    points = reflected(part, y, [*nearest[:, None], *map(np.array, pairs)])
    best: Floats = points[np.argsort(part.misfits(points), kind="stable")[:PATIENCE]]
    return best


def _other_sides(part: NoisyComponent, y: Floats) -> Floats:
    """The points of other sides that may have the scores of y, (k, r), at the same level."""
    rank, power = part.matrix.shape[1], isinstance(part.weighting, Power)
    if not power and not isinstance(part.weighting, Peaked):
        return np.zeros((0, rank))
    normal, _, eta = part.normal_equations(y[None])
    half = opposite_halves(part.weighting, eta[0])
    with np.errstate(all="ignore"):
        spread = np.sqrt(np.einsum("mr,rs,ms->m", part.matrix, inverses(normal)[0], part.matrix))
        accuracy = SIGNIFICANT * spread / np.abs(half)
    if not np.isfinite(accuracy).all():
        return np.zeros((0, rank))
    whole = np.column_stack([part.matrix, half])
    signs = side_vectors(Whole(whole), half, accuracy).signs
    turned = np.vstack([signs, -signs])
    turned = turned[turned.min(axis=1) < 0]    # others than those of y
    scale = np.ones(len(turned))
    if power:                                  # ε∘half = M v + κ' half; with a peak κ' is 1
        scale = np.linalg.lstsq(whole / half[:, None], turned.T, rcond=None)[0][-1]
    moves = np.linalg.lstsq(part.matrix / half[:, None], turned.T - scale, rcond=None)[0]
    points = y + (moves[:, scale > 0] / scale[scale > 0]).T
    best: Floats = points[np.argsort(part.misfits(points), kind="stable")[:PATIENCE]]
    return best


def descended(part: NoisyComponent, y: Floats, limit: float, *, in_cell: bool,
              hopeless: float = np.inf) -> tuple[Floats, Floats]:
    """Levenberg-Marquardt from each start, (k, r); the end points and their χ², (k,). ``in_cell``:
    no step leaves the start's cell. Starts are given up where the linear model leaves a χ² above
    ``hopeless``.

    It ends at a small predicted decrease of χ², sooner far above the limit. It also ends at a small
    decrease within the limit: a slack may tend to zero there while no score changes visibly.
    """
    y = y.copy()
    if part.compiled is not None:
        misfit = np.empty(len(y))
        cells.descend(*part.compiled, y, misfit, limit, hopeless, in_cell)
        return y, misfit
    misfit = part.misfits(y)
    damping = np.full(len(y), LEAST_DAMPING)
    working = np.flatnonzero(np.isfinite(misfit))
    identity, cut = np.eye(y.shape[1]), np.zeros(1, dtype=bool)
    for _ in range(2 * PATIENCE):
        if not len(working):
            break
        normal, gradient, eta = part.normal_equations(y[working])
        centred = eta - part.mode
        with np.errstate(all="ignore"):
            if in_cell:                    # the metric of relative changes of the slacks
                relative = part.matrix / centred[:, :, None]
                metric = relative.swapaxes(1, 2) @ relative
            else:
                metric = np.maximum(np.einsum("kii->ki", normal), TINY)[:, :, None] * identity
            size = np.einsum("krs,ksr->k", inverses(metric), normal)
            damped = normal + (damping[working] * size)[:, None, None] * metric
            move = -np.einsum("krs,ks->kr", inverses(damped), gradient)
            predicted = -np.einsum("kr,kr->k", gradient, move)
            if in_cell:
                change = move @ part.matrix.T
                room = np.where(change * centred < 0, np.abs(centred / change), np.inf).min(axis=1)
                cut = 0.9 * room < 1.0
                move *= np.minimum(1.0, 0.9 * room)[:, None]
            moved = y[working] + move
        after = part.misfits(moved)
        before = misfit[working]
        better = after < before
        far = before > limit / FAR_FROM_LIMIT
        settled = predicted <= before * np.where(far, FAR_FROM_LIMIT, PREDICTED_DECREASE)
        settled |= (after <= limit) & (before - after <= FAR_FROM_LIMIT)
        settled &= better
        y[working[better]], misfit[working[better]] = moved[better], after[better]
        damping[working] = np.where(better & ~cut, 0.1 * damping[working],
                                    np.maximum(10.0 * damping[working], LEAST_DAMPING))
        settled |= before - predicted > hopeless
        working = working[~(settled | (damping[working] > 1.0 / LEAST_DAMPING))]
    return y, misfit
