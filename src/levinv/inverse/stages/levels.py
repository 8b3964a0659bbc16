"""Stages 2 and 3 for weightings that are not powers: find x and the level of one component.

Stage 1 gives the log weights t of a component up to one constant, its *level* k. With M = A T_C,
the offset o and the prior weights taken from t, x = T_C y and k satisfy

    τ(M y - o) = t + k.

*Exponential* weightings, τ = a η + β: linear least squares in (y, k).
*Monotone* ones: η(k) = τ⁻¹(t + k), and η(k) + o must lie in range(M): a search in the one number k.
*Peaked* ones: each row has two branches η₋ < mode < η₊. Write η = h(k) + ε∘m(k), with the half
distance m of the branches, their middle h, and signs ε. For a given k,

    M y - (o + h(k)) = ε∘m(k)

is real phase retrieval with a known offset, in the range of [M, o + h(k)]
(:mod:`levinv.inverse.stages.signs`). Levels k <= τ(mode) - max t are tried on a logarithmic grid of
the *gap* τ(mode) - max t - k, the likeliest first: of n predictors the one closest to the mode is
about 1/n of the typical distance from it. A level that is nearly right gives mostly the right
signs. With the signs of a start, the level is improved by a search in k alone.

In all cases (y, k) is then refined by Levenberg-Marquardt on τ(M y - o) - t - k, which is smooth in
both, also where a row is at the mode and its sign is not known.

A few rows determine (y, k): in a long component a subset is used, since stage 4 uses all rows.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from levinv import _tolerances
from levinv._kernels.reflections import reflect
from levinv._tolerances import (
    EPS,
    LEAST_DAMPING,
    SIGN_TOLERANCE,
    SIGNIFICANT,
    UNIT_ROUNDOFF,
)
from levinv._typing import Floats
from levinv.inverse.stages.isotropic import isotropic, range_basis, spectral_start
from levinv.inverse.values import Presolved
from levinv.weighting.composed import grid
from levinv.weighting.monotone import Monotone
from levinv.weighting.peaked import Peaked
from levinv.weighting.protocol import Exponential, Weighting


@dataclass(frozen=True, eq=False)
class Component:
    """The equations τ(M y - o) = t + k of one component, or of some of its rows."""

    matrix: Floats                 # (n, r) M
    offset: Floats                 # (n,) o
    log_weight: Floats             # (n,) t without the prior weights
    deviation: Floats | None       # (n,) standard deviations of t; None: exact; inf: not used
    weighting: Weighting
    sides: Floats | None           # (n,) signs of η - mode, if they are known

    @property
    def weight(self) -> Floats:
        """1/deviation, (n,), relative to its largest."""
        if self.deviation is None:
            return np.ones(len(self.offset))
        weight: Floats = 1.0 / np.maximum(self.deviation, EPS)
        weight /= weight.max()
        return weight


@dataclass(frozen=True, eq=False)
class LevelCandidate:
    """A solution of the equations of one component, or the closest found."""

    y: Floats                      # (r,)
    level: float                   # k
    misfit: float                  # root mean square of τ(M y - o) - t - k, in standard deviations
                                   # if they are known
    fits: bool
    starts: int                    # made so far
    residual: Floats               # (n,) weighted


def level_equations(presolved: Presolved, log_weight: Floats, deviation: Floats | None, c: int,
                    rng: np.random.Generator) -> Component:
    """The equations of component c, or of a subset of its rows that determines the solution.

    The row of largest weight is among them: it bounds the level. With noise, rows whose t is known
    best are chosen.
    """
    problem, reduced = presolved.problem, presolved.reduced
    model, member = problem.model, reduced.members(c)
    if model.log_prior is not None:
        log_weight = log_weight - model.log_prior
    if deviation is not None:
        member = member[np.isfinite(deviation[member])]
    else:                                      # rounding of smaller scores hides t
        accurate = problem.scores[member] > (UNIT_ROUNDOFF / SIGN_TOLERANCE) ** 2
        if np.count_nonzero(accurate) > reduced.bases[c].shape[1] + 1:
            member = member[accurate]
    size = 2 * _tolerances.SUBSET_PER_UNKNOWN * (reduced.bases[c].shape[1] + 1)
    if len(member) > size:
        pool = member
        if deviation is not None:
            pool = member[np.argsort(deviation[member], kind="stable")][:2 * size]
        heaviest = member[np.argmax(log_weight[member])]
        member = np.union1d(rng.choice(pool, size, replace=False), [heaviest])
    return Component(
        problem.rows.block(member) @ reduced.bases[c], presolved.response[member],
        log_weight[member], None if deviation is None else deviation[member], model.weighting,
        None if problem.known_signs is None else problem.known_signs[member])


def level_candidates(part: Component, rng: np.random.Generator, restarts: int,
                     on_start: Callable[[int, float], None]) -> Iterator[LevelCandidate]:
    """Yield solutions as they are found and, at the end, the closest of the others.

    With noise, all solutions of a first round of starts are found, and the closest are yielded.
    """
    weighting = part.weighting
    if isinstance(weighting, Exponential):
        yield _linear(part, weighting)
        return
    starts = (_monotone_starts(part) if isinstance(weighting, Monotone) or part.sides is not None
              else _peaked_starts(part, rng, restarts))
    found: list[LevelCandidate] = []
    for number, (y, level) in enumerate(starts, 1):
        candidate = refined(part, y, level, number)
        new = not any(_same(part, candidate, other) for other in found)
        if new:
            found.append(candidate)
        on_start(number, min(other.misfit for other in found))
        if part.deviation is None:
            if new and candidate.fits:
                yield candidate
        elif number >= _tolerances.NOISY_STARTS and any(other.fits for other in found):
            break
    found.sort(key=lambda candidate: candidate.misfit)
    if part.deviation is None:
        found = [candidate for candidate in found if not candidate.fits]
    elif found and found[0].fits:              # noise does not explain a much larger misfit
        found = [candidate for candidate in found
                 if candidate.misfit <= SIGNIFICANT * found[0].misfit]
    yield from found[:_tolerances.CLOSEST]


def _same(part: Component, one: LevelCandidate, other: LevelCandidate) -> bool:
    """Whether two solutions agree in y. Noise may leave y open: then the log weights are compared.
    """
    if part.deviation is None:
        return bool(np.allclose(one.y, other.y, rtol=math.sqrt(EPS), atol=0.0))
    apart = np.linalg.norm(one.residual - other.residual)
    return bool(apart <= math.sqrt(SIGN_TOLERANCE) * _fitting_norm(part))


def _linear(part: Component, weighting: Exponential) -> LevelCandidate:
    """The least-squares solution of a (M y - o) + β = t + k."""
    eta = (part.log_weight - weighting.log_constant) / weighting.rate
    weight = part.weight
    columns = np.column_stack([part.matrix, np.full(len(eta), -1.0 / weighting.rate)])
    solution = np.linalg.lstsq(columns * weight[:, None], weight * (eta + part.offset),
                               rcond=None)[0]
    return refined(part, np.asarray(solution[:-1], dtype=np.float64), float(solution[-1]))


def residual(part: Component, y: Floats, level: float) -> Floats:
    """τ(M y - o) - t - k, weighted, (n,); inf outside the domain of τ."""
    eta = part.matrix @ y - part.offset
    low, high = part.weighting.domain
    if not (eta.min() > low and eta.max() < high):
        return np.full(len(eta), np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        return part.weight * (part.weighting.log_weight(eta) - part.log_weight - level)


def refined(part: Component, y: Floats, level: float, number: int = 1) -> LevelCandidate:
    """Levenberg-Marquardt on the residual, in (y, k)."""
    weight = part.weight
    found = residual(part, y, level)
    norm, damping = float(np.linalg.norm(found)), LEAST_DAMPING
    limit = _fitting_norm(part)
    for _ in range(_tolerances.LEVEL_STEPS):
        if not math.isfinite(norm) or norm <= EPS * math.sqrt(len(found)):
            break
        eta = part.matrix @ y - part.offset
        slope = weight * part.weighting.derivative(eta)
        jacobian = np.column_stack([slope[:, None] * part.matrix, -weight])
        scale = np.linalg.norm(jacobian, axis=0)
        scale[scale == 0] = 1.0
        u, values, vt = np.linalg.svd(jacobian / scale, full_matrices=False)
        image = u.T @ found
        before = norm
        while damping < 1.0 / LEAST_DAMPING:
            step = (vt.T @ (values / (values ** 2 + damping * values[0] ** 2) * image)) / scale
            moved = residual(part, y - step[:-1], level - step[-1])
            moved_norm = float(np.linalg.norm(moved))
            if moved_norm < norm:
                y, level, found, norm = y - step[:-1], level - float(step[-1]), moved, moved_norm
                damping *= 0.1
                break
            damping = 10.0 * max(damping, LEAST_DAMPING)
        else:
            break
        damping = damping if damping > math.sqrt(EPS) * LEAST_DAMPING else 0.0
        if norm <= 0.1 * limit and norm > 0.5 * before:
            break
    misfit = norm / math.sqrt(len(found)) if math.isfinite(norm) else math.inf
    return LevelCandidate(y, level, misfit, bool(norm <= limit), number, found)


def _fitting_norm(part: Component) -> float:
    """Largest norm of the residual of a solution."""
    if part.deviation is None:
        return SIGN_TOLERANCE * math.sqrt(len(part.offset))
    explained = np.linalg.norm(np.minimum(part.deviation, 1.0) * part.weight)
    return float(SIGNIFICANT * explained)


def _levels_with(part: Component, eta: Floats, levels: Floats) -> Iterator[tuple[Floats, float]]:
    """Starts (y, k) at the local minima, over the levels, of the distance of η(k) + o from
    range(M), in units of √n + |η|; the least first. M y would be no unit: it may be zero. Rows of
    ``eta`` (levels, n) where there is no η are not finite.
    """
    basis, weight = range_basis(part.matrix), part.weight
    with np.errstate(invalid="ignore"):
        wanted = eta + part.offset
        rest = wanted - (wanted @ basis) @ basis.T
        unit = math.sqrt(eta.shape[1]) + np.linalg.norm(eta, axis=1)
        distance = np.linalg.norm(rest, axis=1) / unit
    distance[~np.isfinite(distance)] = np.inf
    padded = np.concatenate([[np.inf], distance, [np.inf]])
    minima = np.flatnonzero((distance <= padded[:-2]) & (distance <= padded[2:])
                            & np.isfinite(distance))
    for i in minima[np.argsort(distance[minima], kind="stable")][:_tolerances.CLOSEST]:
        solution = np.linalg.lstsq(part.matrix * weight[:, None], weight * wanted[i],
                                   rcond=None)[0]
        yield np.asarray(solution, dtype=np.float64), float(levels[i])


def _monotone_starts(part: Component) -> Iterator[tuple[Floats, float]]:
    """Starts for a τ that is monotone, or whose sides of the mode are known."""
    weighting = part.weighting
    highest = part.log_weight.max()
    if isinstance(weighting, Peaked):
        assert part.sides is not None
        gaps = np.geomspace(_tolerances.LEAST_GAP, _tolerances.GREATEST_GAP, _tolerances.LEVELS * 4)
        lower, upper = weighting.branches(highest - part.log_weight + gaps[:, None])
        yield from _levels_with(part, np.where(part.sides > 0, upper, lower),
                                weighting.peak - highest - gaps)
        return
    assert isinstance(weighting, Monotone)
    # the predictor of the row of largest weight, over the domain
    with np.errstate(all="ignore"):
        levels = np.unique(weighting.log_weight(grid(weighting.domain)[::8]) - highest)
        levels = levels[np.isfinite(levels)]
        eta = weighting.inverse(part.log_weight + levels[:, None])
        off = np.abs(weighting.log_weight(eta) - part.log_weight - levels[:, None]).max(axis=1)
    eta[~(off <= SIGN_TOLERANCE * (1.0 + np.abs(levels)))] = np.nan
    yield from _levels_with(part, eta, levels)


def _peaked_starts(part: Component, rng: np.random.Generator,
                   restarts: int) -> Iterator[tuple[Floats, float]]:
    """Starts from Douglas-Rachford at one level after another, several times over."""
    weighting = part.weighting
    assert isinstance(weighting, Peaked)
    highest = part.log_weight.max()
    fall = highest - part.log_weight
    n = len(fall)
    gaps = np.geomspace(_tolerances.LEAST_GAP, _tolerances.GREATEST_GAP, _tolerances.LEVELS)
    likeliest = float(np.median(fall)) / n ** 2 + _tolerances.LEAST_GAP
    order = np.argsort(np.abs(np.log(gaps / likeliest)), kind="stable")
    # all rows on one side of the mode, as of rare events
    for sides in ((1.0,) if weighting.even else (-1.0, 1.0)):
        yield from _monotone_starts(replace(part, sides=np.full(n, sides)))
    searches: dict[tuple[int, bool], _Reflections] = {}
    for restart in range(max(restarts // 10, 1)):
        for i in order:
            near = not weighting.even and restart % 2 == 0
            if (i, near) not in searches:
                searches[i, near] = _Reflections(part, weighting, fall + gaps[i], near)
            search = searches[i, near]
            signs = search.run(restart // 2 if not weighting.even else restart, rng)
            around = gaps[i] * np.geomspace(0.05, 20.0, 2 * _tolerances.LEVELS)
            lower, upper = weighting.branches(fall + around[:, None])
            chosen = np.where(signs > 0, upper, lower)
            levels = weighting.peak - highest - around
            if search.mirrored:
                chosen = np.concatenate([chosen, np.where(signs > 0, lower, upper)])
                levels = np.concatenate([levels, levels])
            for start in _levels_with(part, chosen, levels):
                yield start
                break


class _Reflections:
    """Douglas-Rachford in the range of [M, o + h] at one level.

    If ``near``, rows with one branch much farther from the mode than the other are put on the
    other. (The log weight of cloglog falls like η on one side and like exp(η) on the other.)
    """

    def __init__(self, part: Component, weighting: Peaked, gap: Floats, near: bool) -> None:
        lower, upper = weighting.branches(gap)
        if near:
            below, above = weighting.mode - lower, upper - weighting.mode
            lower, upper = (np.where(below > _tolerances.FAR_BRANCH * above, upper, lower),
                            np.where(above > _tolerances.FAR_BRANCH * below, lower, upper))
        self.known = np.where(upper == lower, np.where(upper > weighting.mode, 1.0, -1.0), 0.0)
        middle = part.offset + 0.5 * (upper + lower)
        matrix = part.matrix
        # without an offset beside range(M), the signs are determined up to a common one
        basis = range_basis(matrix)
        outside = middle - basis @ (basis.T @ middle)
        self.mirrored = np.linalg.norm(outside) > math.sqrt(EPS) * np.linalg.norm(middle)
        if self.mirrored:
            matrix = np.column_stack([matrix, outside / np.linalg.norm(outside)])
        else:
            self.mirrored = not weighting.even
        weight, self.basis = isotropic(matrix)
        self.target = weight * 0.5 * (upper - lower)
        self.target *= math.sqrt(len(gap)) / max(float(np.linalg.norm(self.target)), EPS)
        self.target = np.maximum(self.target, EPS)

    def run(self, restart: int, rng: np.random.Generator) -> Floats:
        """The signs at the end of one start: the first is spectral, the others are random."""
        n = len(self.target)
        point = (spectral_start(self.basis, self.target) if restart == 0
                 else self.target * rng.choice([-1.0, 1.0], n))
        signs = np.ones(n)
        reflect(self.basis, self.target, point, signs, np.inf, math.sqrt(SIGN_TOLERANCE),
                _tolerances.LEVEL_REFLECTIONS, _tolerances.PATIENCE // 2)
        return np.where(self.known == 0, signs, self.known)


def enumerated(part: Component) -> Iterator[LevelCandidate]:
    """Solutions of the equations of few rows. For a peaked weighting with unknown sides, every sign
    vector is tried at every level of a grid. An exponential weighting has no others.
    """
    weighting = part.weighting
    if isinstance(weighting, Exponential):
        return
    if isinstance(weighting, Monotone) or part.sides is not None:
        starts = list(_monotone_starts(part))
    else:
        assert isinstance(weighting, Peaked)
        starts = _enumerated_starts(part, weighting)
    for y, level in starts:
        found = refined(part, y, level)
        if found.fits:
            yield found


def _enumerated_starts(part: Component, weighting: Peaked) -> list[tuple[Floats, float]]:
    """Starts of least distance over all sign vectors and levels."""
    n = len(part.offset)
    highest = part.log_weight.max()
    gaps = np.geomspace(_tolerances.LEAST_GAP, _tolerances.GREATEST_GAP, 2 * _tolerances.LEVELS)
    basis = range_basis(part.matrix)
    complement = np.eye(n) - basis @ basis.T
    bits = (np.arange(2 ** n)[:, None] >> np.arange(n)) & 1
    signs = 1.0 - 2.0 * bits
    distances = np.empty((len(signs), len(gaps)))
    halves = []
    for j, gap in enumerate(gaps):
        lower, upper = weighting.branches(highest - part.log_weight + gap)
        half, middle = 0.5 * (upper - lower), 0.5 * (upper + lower)
        rest = signs @ (half[:, None] * complement) + complement @ (middle + part.offset)
        eta = signs * half + middle
        distances[:, j] = (np.linalg.norm(rest, axis=1)
                           / (math.sqrt(n) + np.linalg.norm(eta, axis=1)))
        halves.append((half, middle + part.offset))
    padded = np.pad(distances, ((0, 0), (1, 1)), constant_values=np.inf)
    minima = (distances <= padded[:, :-2]) & (distances <= padded[:, 2:])
    which, where = np.nonzero(minima & (distances < _tolerances.LEVEL_DISTANCE))
    order = np.argsort(distances[which, where], kind="stable")[:_tolerances.ENUMERATED_STARTS]
    starts = []
    for i, j in zip(which[order], where[order], strict=True):
        half, middle = halves[j]
        wanted = signs[i] * half + middle
        solution = np.linalg.lstsq(part.matrix, wanted, rcond=None)[0]
        starts.append((np.asarray(solution, dtype=np.float64),
                       float(weighting.peak - highest - gaps[j])))
    return starts
