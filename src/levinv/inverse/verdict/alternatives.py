"""Other x that have the same scores, beside those of other sides at the level of x, which are
enumerated (:mod:`levinv.inverse.verdict.sides`). Scores of powers have no further ones.

Weights symmetric about their mode have a mirror image on a component with b + mode in range(A):
with A x₀ = b + mode, 2 x₀ - x has the predictor 2 mode - η. (For logit without an offset it is -x.)
Solutions at other levels are searched for on a grid of levels, on a component of few rows with all
sides of the mode.
"""
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from levinv._tolerances import ENUMERATED
from levinv._typing import Floats
from levinv.inverse.result import Progress, Stopped
from levinv.inverse.stages.levels import Component, enumerated
from levinv.inverse.stages.presolve import coordinates, different_rows
from levinv.inverse.stages.refine import refine
from levinv.inverse.values import Others, Presolved, Refined, same_solution
from levinv.inverse.verdict.acceptance import is_solution_to_rounding
from levinv.weighting.monotone import Monotone


def alternatives(presolved: Presolved, best: Refined, rivals: tuple[Floats, ...],
                 progress: Progress, sides: Others) -> Others:
    """The other solutions that are found, those of other ``sides`` first.

    Each solution differs from the best on one component. Those of the ``rivals`` that are not
    among them follow. Rivals are different from each other and from the best, however close: only
    a slack of almost zero may change its sign.
    """
    found, stopped = list(sides.x), sides.stopped
    if not presolved.problem.model.is_power:
        try:
            for other in _others(presolved, best, progress):
                if not any(same_solution(other, known) for known in found):
                    found.append(other)
        except Stopped:
            stopped = True
    found += [rival for rival in rivals
              if not any(same_solution(rival, known) for known in found)]
    return replace(sides, x=np.array(found).reshape(-1, len(best.point.x)), stopped=stopped)


def agreeing(presolved: Presolved, best: Refined, others: Floats,
             progress: Progress) -> tuple[Refined, Floats]:
    """The solutions whose coefficients have the known signs: the first, and the others, (m, d).

    Changes on different components are combined. Others for which the combinations are too many
    stay, whatever their signs. If no solution has these signs, all are kept.
    """
    x, signs = best.point.x, presolved.problem.coefficient_signs
    assert signs is not None
    solutions, left = [(x, frozenset[int]())], []
    for other in others:
        if len(solutions) > 1 << ENUMERATED:
            left.append(other)
            continue
        c = _component_of(presolved, other - x)
        solutions += [(solution + (other - x), changed | {c}) for solution, changed in solutions
                      if c not in changed]
    agreed = [solution for solution, _ in solutions if np.all(solution * signs >= 0)]
    if not agreed:
        return best, others
    if agreed[0] is not x:
        moved = refine(presolved, agreed[0], Progress(None, progress.rng, progress.maxiter))
        if moved is None or not is_solution_to_rounding(presolved, moved):
            return best, others
        best = moved
    return best, np.array([*agreed[1:], *left]).reshape(-1, len(x))


def _component_of(presolved: Presolved, change: Floats) -> int:
    """The component on which x changes most, of rows at unit norm: the others change by what noise
    or rounding leaves open.
    """
    reduced = presolved.reduced
    moved = np.abs(reduced.unit * reduced.rows.matvec(change))
    return int(reduced.label[np.argmax(np.where(reduced.active, moved, -1.0))])


def mirror_images(presolved: Presolved, best: Refined) -> list[Floats]:
    """The mirror images of the best x, one on each component that has them, which
    :func:`alternatives` lists.
    """
    if presolved.problem.known_signs is not None or presolved.problem.model.is_power:
        return []
    return [_mirrored(presolved, best.point.x, best.point.slack, c)
            for c in range(presolved.reduced.count) if presolved.mirrored[c]]


def _others(presolved: Presolved, best: Refined, progress: Progress) -> Iterator[Floats]:
    """Yield solutions other than the best x."""
    reduced, problem = presolved.reduced, presolved.problem
    x, slack = best.point.x, best.point.slack
    found: list[Floats] = []
    different = different_rows(problem, reduced)
    for c in range(reduced.count):
        basis = reduced.bases[c]
        mirror = presolved.mirrored[c] and problem.known_signs is None
        if mirror:
            found.append(_mirrored(presolved, x, slack, c))
            yield found[-1]
        rows = different[c]
        if (not problem.exact or presolved.range.inside[c]
                or (len(rows) > ENUMERATED and not isinstance(problem.model.weighting, Monotone)
                and problem.known_signs is None)):
            continue
        rows = rows[:_rows_enumerated(presolved, c)]
        part = Component(problem.rows.block(rows) @ basis, presolved.response[rows],
                         problem.model.weighting.log_weight(slack[rows]), None,
                         problem.model.weighting,
                         None if problem.known_signs is None else problem.known_signs[rows])
        here = coordinates(reduced, slack + presolved.response, c)
        for candidate in enumerated(part):
            start = x + basis @ (candidate.y - here)
            if any(same_solution(start, other) for other in (x, *found)):
                continue
            other = refine(presolved, start, progress, progress.maxiter)
            if (other is not None and is_solution_to_rounding(presolved, other)
                    and not any(same_solution(other.point.x, known) for known in (x, *found))):
                found.append(other.point.x)
                yield found[-1]


def _rows_enumerated(presolved: Presolved, c: int) -> int:
    """Number of rows used: all if sides are enumerated, otherwise enough to determine the level."""
    return max(ENUMERATED, 4 * (int(presolved.reduced.bases[c].shape[1]) + 1))


def _mirrored(presolved: Presolved, x: Floats, slack: Floats, c: int) -> Floats:
    """x with the predictors of component c of the other sign."""
    reduced, centred = presolved.reduced, slack - presolved.problem.model.mode
    return x - 2.0 * (reduced.bases[c] @ coordinates(reduced, centred, c))
