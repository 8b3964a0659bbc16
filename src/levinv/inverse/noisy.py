"""Noisy scores with unknown signs: every x that they allow, one component after another.

The scores of a component depend on its coordinates alone, so χ² is a sum over the components. Each
has several local minima (:mod:`levinv.inverse.stages.branches`). x is made of the smallest. An x
with another minimum on one component is an alternative if it passes the acceptance test, and the
component a test of its own, at a level divided by the number of components.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from levinv._noise import half_unit
from levinv._tolerances import EPS, FAR_FROM_LIMIT, ROUNDING_FACTOR
from levinv._typing import Floats
from levinv.inverse.barrier_gradient.feasibility import interior_point
from levinv.inverse.result import Progress
from levinv.inverse.stages.branches import (
    Branches,
    branches,
    can_enumerate,
    descended,
    reflected,
    with_changed_signs,
    with_minimum,
    with_other_levels,
    with_other_sides,
)
from levinv.inverse.stages.noisy_component import NoisyComponent
from levinv.inverse.stages.presolve import coordinates
from levinv.inverse.values import Presolved, Refined
from levinv.inverse.verdict.acceptance import chi_squared_limit
from levinv.storage.dense import DenseRows

Minima = dict[int, Branches]                   # of components whose level is not free


def enumerated_minima(presolved: Presolved, progress: Progress) -> Minima:
    """The minima of every component of which all cells can be tried."""
    reduced, minima = presolved.reduced, {}
    for c in np.flatnonzero(~presolved.range.inside).tolist():
        if can_enumerate(len(reduced.members(c)), reduced.bases[c].shape[1]):
            found = branches(_component(presolved, c), None, _own_limit(presolved, c))
            progress("signs", float(found.misfit.min(initial=np.inf)))
            if len(found.y):
                minima[c] = found
    return minima


def best_of(presolved: Presolved, minima: Minima) -> Floats | None:
    """x at the smallest minima; None if a component has none."""
    reduced, x = presolved.reduced, presolved.reduced.offset
    if len(minima) < reduced.count:
        return None
    for c, found in minima.items():
        x = x + reduced.bases[c] @ found.y[0]
    return x


def all_minima(presolved: Presolved, best: Refined, minima: Minima, progress: Progress,
               certain: bool = False) -> tuple[Floats, Minima]:
    """With the minima at ``best`` and, where not all cells were tried, beside it; and x moved to
    the smallest on each component. ``certain``: those that errors of at most half a unit allow.
    """
    reduced, x, found = presolved.reduced, best.point.x, dict(minima)
    image = best.point.slack + presolved.response
    for c in np.flatnonzero(~presolved.range.inside).tolist():
        part, y = _component(presolved, c), coordinates(reduced, image, c)
        limit = _own_limit(presolved, c, certain)
        if c not in found:
            found[c] = branches(part, y, limit)
        found[c] = with_changed_signs(part, with_minimum(part, found[c], y), limit)
        found[c] = with_other_sides(part, found[c], y, limit)
        found[c] = with_other_levels(part, found[c], y, limit)
        progress("signs", float(found[c].misfit[0]))
        x = x + reduced.bases[c] @ (found[c].y[0] - y)
    return x, found


def with_known_signs(presolved: Presolved, best: Refined) -> Floats | None:
    """x moved into the cell of the known signs, to the least misfit there; None if no point of the
    cell is found.
    """
    reduced, problem, x = presolved.reduced, presolved.problem, best.point.x
    assert problem.known_signs is not None
    wrong = problem.known_signs * (best.point.slack - problem.model.mode) <= 0
    image = best.point.slack + presolved.response
    for c in np.unique(reduced.label[wrong & reduced.active]).tolist():
        member, part = reduced.members(c), _component(presolved, c)
        signs, y = problem.known_signs[member], coordinates(reduced, image, c)
        starts = reflected(part, y, [np.flatnonzero(wrong[member])])
        inside = interior_point(DenseRows(part.matrix), part.offset + part.mode, signs).x
        if inside is not None:
            starts = np.vstack([starts, inside])
        starts = starts[np.all((starts @ part.matrix.T - part.offset - part.mode) * signs > 0,
                               axis=1)]
        if not len(starts):
            return None
        ends, misfit = descended(part, starts, _own_limit(presolved, c), in_cell=True)
        x = x + reduced.bases[c] @ (ends[np.argmin(misfit)] - y)
    return x


def rivals(presolved: Presolved, best: Refined, minima: Minima,
           certain: bool = False) -> tuple[Floats, ...]:
    """x with another minimum on one component, if noise explains them; ``certain`` as above."""
    coloops = presolved.reduced.coloops
    left = (1.0 - presolved.problem.scores[coloops]) / presolved.problem.deviation()[coloops]
    room = _limit(presolved, certain) - best.point.norm ** 2 - float(left @ left)
    own = {c: _own_limit(presolved, c, certain) for c in minima}
    # of minima that fit alike any may be the best: different_minima leaves it out
    image = best.point.slack + presolved.response
    here = {c: coordinates(presolved.reduced, image, c) for c in minima}
    return tuple(best.point.x + presolved.reduced.bases[c] @ (y - here[c])
                 for c, found in minima.items()
                 for y, misfit in zip(found.y, found.misfit, strict=True)
                 if misfit - found.misfit[0] <= room and misfit <= own[c])


def different_minima(presolved: Presolved, best: Refined, points: Sequence[Floats],
                     listed: Sequence[Floats] = ()) -> tuple[Floats, ...]:
    """The x that are not the best fit, ``listed`` or one before, reached from another start.

    A descent ends where χ² is larger than at its minimum by FAR_FROM_LIMIT at most. So two ends in
    one cell that differ by less than twice the root of that, in standard errors, are one minimum.
    Ends in different cells are one only where they show no difference: a slack of almost zero has
    a minimum at each sign. A relative difference would not do: standard errors may be smaller.
    """
    errors = np.hypot.reduce(best.linearisation.steps, axis=1)
    known = np.array([best.point.x, *listed, *points])
    sides = np.array([presolved.problem.model.side(presolved.problem.slack(x)) for x in known])
    first = 1 + len(listed)
    kept = list(range(first))
    for i, x in enumerate(known[first:], first):
        same_cell = np.all(sides[kept] == sides[i], axis=1)
        allowed = np.where(same_cell, 2.0 * math.sqrt(FAR_FROM_LIMIT), 1.0 / ROUNDING_FACTOR)
        move = np.abs(x - known[kept])
        rounding = math.sqrt(EPS) * np.abs(x)
        if not np.any(np.all(move <= allowed[:, None] * errors + rounding, axis=1)):
            kept.append(i)
    return tuple(known[kept[first:]])


def with_parts_of(presolved: Presolved, other: Floats, start: Floats, moved: Floats) -> Floats:
    """``other`` with the parts of ``moved`` on the components where it is the same as ``start``: it
    then differs from ``moved`` where it differed from ``start``.
    """
    reduced, x = presolved.reduced, moved
    images = [presolved.problem.rows.matvec(point) for point in (other, start, moved)]
    for c, basis in enumerate(reduced.bases):
        its_own, before, after = (coordinates(reduced, image, c) for image in images)
        if not np.allclose(its_own, before, rtol=EPS ** 0.25, atol=0.0):
            x = x + basis @ (its_own - after)
    return x


def _component(presolved: Presolved, c: int) -> NoisyComponent:
    problem, reduced = presolved.problem, presolved.reduced
    member, log_prior = reduced.members(c), problem.model.log_prior
    return NoisyComponent(
        reduced.rows.block(member) @ reduced.bases[c], presolved.response[member],
        problem.scores[member], presolved.weight()[member], problem.model.weighting,
        None if log_prior is None else log_prior[member])


def _own_limit(presolved: Presolved, c: int, certain: bool = False) -> float:
    """The largest χ² of a component that noise explains, or rounding for ``certain``."""
    reduced = presolved.reduced
    if certain:
        return half_unit(1.0) ** 2 * len(reduced.members(c))
    degrees = len(reduced.members(c)) - reduced.bases[c].shape[1]
    return chi_squared_limit(degrees, reduced.count)


def _limit(presolved: Presolved, certain: bool) -> float:
    """The largest χ² of a solution: that of :func:`levinv.inverse.verdict.acceptance.is_solution`.
    """
    reduced = presolved.reduced
    ranks = sum(basis.shape[1] for basis in reduced.bases) - presolved.null_dimension
    rows = int(np.count_nonzero(reduced.active)) + len(reduced.coloops)
    if certain:
        return half_unit(1.0) ** 2 * rows
    return chi_squared_limit(rows - ranks)
