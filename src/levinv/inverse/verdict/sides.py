"""Other x with the same scores that have other sides of the slack, at the level of x.

Their sides are ±1 vectors of a subspace, which :mod:`levinv.inverse.stages.sides` enumerates on
each component. With ε∘s in its range, r the part of b outside range(A_C), and rows at unit norm,

    ε∘s = κ' (A_C y' - b_C),    κ' = ⟨r, ε∘s⟩ / ⟨r, s⟩.

Every x' is refined and has to pass the acceptance test. A component with b in range(A_C) has no κ'.

*At infinity.* On a component the slack A x - b tends to a multiple of A y if x = offset + T y
grows. So scores of slacks proportional to A y, which do not depend on b, are those of every large
multiple of y, to rounding. This is so where κ' is zero to rounding. The hat values of an ordinary
regression with an intercept are such scores as well: those of equal slacks.
"""
import math

import numpy as np

from levinv._tolerances import EPS, ROUNDING_FACTOR, SIGN_TOLERANCE
from levinv._typing import Floats
from levinv.inverse.result import Progress, Stopped
from levinv.inverse.stages.presolve import Augmented, coordinates, response_in_range
from levinv.inverse.stages.refine import refine
from levinv.inverse.stages.sides import opposite_halves, side_vectors
from levinv.inverse.values import (
    Others,
    Presolved,
    Range,
    Refined,
    SideSearch,
    same_solution,
)
from levinv.inverse.verdict.acceptance import is_solution
from levinv.weighting.peaked import Peaked


def other_sides(presolved: Presolved, best: Refined, progress: Progress,
                alone: bool = False) -> Others:
    """The other x with the scores of ``best``, exact ones, each different on one component.

    ``alone`` says that the enumeration is done and found no other. Empty if signs are known or
    weights have no two sides.
    """
    problem, reduced = presolved.problem, presolved.reduced
    found: list[Floats] = []
    searches: list[SideSearch] = []
    stopped = False
    if alone:
        inside = presolved.range.inside if problem.model.is_power else presolved.mirrored
        searches = [SideSearch(basis.shape[1] + (not within), True, 1, 0)
                    for basis, within in zip(reduced.bases, inside, strict=True)]
    elif (problem.exact and problem.known_signs is None
          and (problem.model.is_power or isinstance(problem.model.weighting, Peaked))):
        half, outside = _halves(presolved, best)
        try:
            for c in range(reduced.count):
                searches.append(_searched(presolved, best, half, outside, c, found, progress))
        except Stopped:
            stopped = True
    return Others(np.array(found).reshape(-1, len(best.point.x)), tuple(searches),
                  any(search.at_infinity for search in searches), stopped)


def _searched(presolved: Presolved, best: Refined, half: Floats, outside: Range, c: int,
              found: list[Floats], progress: Progress) -> SideSearch:
    """Add the other x that differ on component c to ``found``."""
    matrix, member = Augmented(presolved.reduced, outside, c), presolved.reduced.members(c)
    accuracy = SIGN_TOLERANCE
    if not outside.inside[c]:
        accuracy = max(accuracy, 1.0 / float(outside.ratio[c]))
    vectors = side_vectors(matrix, half[member], accuracy)
    before, endless, x = len(found), 0, best.point.x
    for signs in vectors.signs:
        if np.all(signs == signs[0]):
            continue
        image = np.zeros(len(half))
        image[member] = signs * half[member]
        images = _images(presolved, image, half, outside, c, accuracy)
        if not images:
            endless += matched_far_away(presolved, x, image, c, progress)
        for moved in images:
            start = x + presolved.reduced.bases[c] @ coordinates(presolved.reduced, moved - half, c)
            other = _accepted(presolved, start, (x, *found), progress)
            if other is not None:
                found.append(other)
    # that of x is one of them, if the arithmetic is accurate enough
    return SideSearch(matrix.shape[1], vectors.complete and len(vectors.signs) > 0,
                      len(vectors.signs), len(found) - before, endless)


def _images(presolved: Presolved, image: Floats, half: Floats, outside: Range, c: int,
            accuracy: float) -> list[Floats]:
    """The possible ``half`` at x' with ``image``, ε∘half on component c, or a multiple of it: none
    if x' is at infinity.
    """
    member, unit = presolved.reduced.members(c), presolved.reduced.unit
    if not presolved.problem.model.is_power:
        return [image, -image]
    if outside.inside[c]:
        return [image if image[member] @ np.sign(half[member]) >= 0 else -image]
    assert outside.residual is not None
    terms = unit[member] * outside.residual[member] * (unit[member] * half[member])
    scale = float(np.sum(terms * np.where(image[member] * half[member] < 0, -1.0, 1.0)))
    if abs(scale) <= accuracy * float(np.sum(np.abs(terms))):
        return []
    return [image * (float(np.sum(terms)) / scale)]


def _accepted(presolved: Presolved, start: Floats, known: tuple[Floats, ...],
              progress: Progress) -> Floats | None:
    """The solution close to ``start``, if there is one that is not among the known ones."""
    if not np.isfinite(start).all() or any(same_solution(start, other) for other in known):
        return None
    fit = refine(presolved, start, progress)
    if not is_solution(presolved, fit):
        return None
    assert fit is not None
    return None if any(same_solution(fit.point.x, other) for other in known) else fit.point.x


def _halves(presolved: Presolved, best: Refined) -> tuple[Floats, Range]:
    """Half the distance of each predictor from the one at the other side, (n,), and whether it is
    in the range of A on each component.
    """
    model, slack = presolved.problem.model, best.point.slack
    half = opposite_halves(model.weighting, slack)
    if model.is_power:
        return half, presolved.range
    half = np.where(presolved.reduced.active, half, 0.0)
    return half, response_in_range(presolved.reduced, half, half)


def reaches_infinity(presolved: Presolved, best: Refined, progress: Progress) -> bool:
    """Whether the scores stay matched while x goes to infinity on a component. The size of x is
    then not determined: it is tried only if the standard errors are a per cent of x or more.
    """
    reduced, x, model = presolved.reduced, best.point.x, best.linearisation
    errors = np.hypot.reduce(model.steps.ravel()) * max(1.0, presolved.rms(best.point))
    known = not model.flat.size and (ROUNDING_FACTOR * errors
                                     < np.hypot.reduce(x - reduced.offset))
    if known or not presolved.problem.model.is_power:
        return False
    image = best.point.slack + presolved.response
    for c in np.flatnonzero(~presolved.range.inside).tolist():
        if (image[reduced.members(c)].any()
            and matched_far_away(presolved, x, image, c, progress, math.sqrt(EPS))):
            return True
    return False


def matched_far_away(presolved: Presolved, x: Floats, image: Floats, c: int, progress: Progress,
                     shown: float = math.sqrt(EPS) / ROUNDING_FACTOR) -> bool:
    """Whether the scores are matched where the slack of component c is a large multiple of
    ``image`` (n,), in the range of A, but for the response: so far that this shows in a part
    ``shown`` of the slack.
    """
    reduced = presolved.reduced
    member = reduced.members(c)
    factor = float(np.abs(presolved.response[member]).max() / np.abs(image[member]).max())
    move = reduced.bases[c] @ coordinates(reduced, image, c)
    far = refine(presolved, x + max(factor, 1.0) / shown * move, Progress(None, progress.rng),
                 maxiter=0)
    return is_solution(presolved, far)
