"""Stage 2: signs of the slack, real phase retrieval on each component.

With m the magnitudes of stage 1, |A x - b| = κ m on a component, κ > 0 its level. So z = (x, -1)/κ
satisfies |[A b] z| = m: u = [A b] z is a vector of V = range([A b]) with given magnitudes. The
level is part of the unknown z because the moduli of the slack are a multiple of m. (A weighting may
have s = y(k) + ε∘m(k) at level k instead. Then the subspace is affine, and :func:`sign_candidates`
runs for several k.)

The Douglas-Rachford iteration between the subspace and the vectors of magnitudes m is

    u <- u + m∘sign(2 Π u - u) - Π u,        Π the projection onto V,

runs from a spectral start first and then from random ones. It ends when m∘sign(Π u) lies in V. Two
measures shorten it. First, the rows of [A b] are weighted to be close to isotropic: all leverage
scores of the weighted [A b] are equal. Heavy-tailed and structured designs then behave like
Gaussian ones. Second, starts that succeed do so early, so each start gets few iterations before the
next. In a long matrix a subset of the rows determines z, and z determines all signs.

With inexact magnitudes (relative deviation α_i) a sign vector that is nearly right is wrong in rows
of tiny but accurate slack. These rows have little weight in V, but not in the likelihood. Divide
rows by α_i m_i, so that g_i = ε_i/α_i, and let K = I - Π for these rows: the misfit is gᵀ K g. A
closed formula gives its change if one or two signs are flipped. Flips that lower the misfit are
made, the best first.

*When are the signs determined?* Let M = [A b], of rank q. Two solutions ±z, ±z' split the rows into
S, where M (z + z') = 0, and its complement, where M (z - z') = 0. Such z lie in
ker M_S + ker M_{S^c}. This has dimension 2q - r(S) - r(S^c) < q, unless r(S) + r(S^c) = q, that is,
unless S separates the matroid of M. So for almost every x the signs are determined iff [A_C b_C] is
connected on every component C with b_C not in range(A_C)
(:mod:`levinv.inverse.stages.reduction`). On the others [A_C b_C] has the rank q - 1 and the
connected matroid of A_C; x moves along a line there, and 2 x₀ - x, with A_C x₀ = b_C, has all signs
reversed. At the x found, :mod:`levinv.inverse.stages.sides` decides.

*Outliers among the scores.* A wrong score spoils the magnitude of its own row, and changes those of
other rows by some per cent. Let R = diag(1/m) [A b]. The other rows satisfy |R z| = 1 to this
accuracy. *Least trimmed squares*: only the smallest errors log |R z| are summed. There are many
starts. Each is the solution of a few random rows, with signs from a start of stage 2; most of these
are right. Concentration steps

    signs <- sign(R z),  H <- the rows of least |log |R z||,  z <- argmin sum over H (R z - signs)²

lower the trimmed sum of squared errors. The starts that end lowest are returned.

Reference: Rousseeuw and Van Driessen, "Computing LTS regression for large data sets" (2006).
"""
import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

from levinv import _tolerances
from levinv._kernels.reflections import reflect
from levinv._tolerances import EPS, TINY
from levinv._typing import Floats, Integers
from levinv.inverse.stages.isotropic import isotropic, range_basis, spectral_start
from levinv.inverse.stages.presolve import Augmented
from levinv.inverse.stages.sides import side_vectors
from levinv.inverse.values import SignCandidate


def sign_candidates(matrix: Augmented, magnitude: Floats, rng: np.random.Generator, *,
                    accuracy: Floats | None = None, tolerance: float = 1e-6, restarts: int = 60,
                    on_restart: Callable[[int, float], None] | None = None,
                    outcomes: list[SignCandidate] | None = None) -> Iterator[SignCandidate]:
    """Find signs with which ``magnitude`` (n,) lies in the range of ``matrix``, which is [A b] on
    the component in any basis. Yields each sign vector that fits as soon as it is found and, after
    the last start, the closest of the others.

    ``accuracy`` (n,) holds relative standard deviations of the magnitudes; inf leaves a row out.
    A sign vector fits if its relative distance from the range is at most ``tolerance`` plus the
    distance that the deviations explain. Exact magnitudes are tried with all signs first, if the
    rank allows it (:mod:`levinv.inverse.stages.sides`). After that, and after each of the
    ``restarts`` starts, ``on_restart(number of starts, smallest misfit so far)`` is called. The
    outcomes of starts are appended to ``outcomes``.
    """
    n, p = matrix.shape
    if accuracy is None:
        every = side_vectors(matrix, magnitude, tolerance)
        if len(every.signs) and on_restart is not None:
            on_restart(0, float(every.misfit.min()))
        for signs, misfit in zip(every.signs, every.misfit, strict=True):
            yield SignCandidate(signs, float(misfit), fits=True,
                                fitting=len(every.signs) if every.complete else None)
        if every.complete and len(every.signs):
            return
    usable = np.arange(n) if accuracy is None else np.flatnonzero(np.isfinite(accuracy))
    size = _tolerances.SUBSET_PER_UNKNOWN * p
    rejected: list[SignCandidate] = []
    search = None
    for restart in range(restarts):
        if search is None:
            search = _SubsetSearch(matrix, magnitude, _choose(usable, size, accuracy, rng),
                                   accuracy, tolerance)
        found = search.run(restart, rng)
        rejected.append(found)
        if outcomes is not None:
            outcomes.append(found)
        if on_restart is not None:
            on_restart(restart + 1, min(candidate.misfit for candidate in rejected))
        if found.fits:
            yield rejected.pop()
        elif accuracy is None and search.solved and len(search.chosen) < len(usable):
            # several z fit the subset: it needs more rows
            size, search = 4 * size, None
    rejected.sort(key=lambda candidate: candidate.misfit)
    for candidate in rejected[:_tolerances.CLOSEST]:
        yield dataclasses.replace(candidate, restarts=restarts)


def _squarable(values: Floats) -> Floats:
    """Positive values divided by a power of 2, which makes the largest about 1: squares of the
    magnitudes overflow if prior weights differ by many orders. Digits do not change.
    """
    return np.ldexp(values, -int(np.frexp(values.max())[1]))


def _choose(usable: Integers, size: int, accuracy: Floats | None,
            rng: np.random.Generator) -> Integers:
    """Choose ``size`` usable rows; with ``accuracy``, half of these are the most accurate rows."""
    if len(usable) <= size:
        return usable
    if accuracy is None:
        return rng.choice(usable, size, replace=False)
    order = usable[np.argsort(accuracy[usable], kind="stable")]
    best, rest = order[:size // 2], order[size // 2:]
    return np.concatenate([best, rng.choice(rest, size - len(best), replace=False)])


class _SubsetSearch:
    """Douglas-Rachford on chosen rows, which are weighted once for all starts."""

    def __init__(self, matrix: Augmented, magnitude: Floats, chosen: Integers,
                 accuracy: Floats | None, tolerance: float) -> None:
        self.chosen = chosen
        self.solved = False                         # whether the last start solved the subset
        self._matrix, self._magnitude = matrix, magnitude
        self._weight, self._basis = isotropic(matrix.block(chosen))
        self._target = _squarable(self._weight * magnitude[chosen])
        self._target *= np.sqrt(len(chosen)) / np.linalg.norm(self._target)
        self._tolerance = tolerance
        self._accuracy: Floats | None = None
        if accuracy is not None:
            explained = float(np.linalg.norm(self._target * accuracy[chosen])
                              / np.linalg.norm(self._target))
            self._tolerance = min(tolerance + _tolerances.SIGNIFICANT * explained, 0.5)
            self._accuracy = np.maximum(accuracy[chosen], EPS)

    def run(self, restart: int, rng: np.random.Generator) -> SignCandidate:
        """Make one start: the first is spectral, the others are random."""
        if restart == 0:
            point = spectral_start(self._basis, self._target)
        else:
            point = self._target * rng.choice([-1.0, 1.0], len(self.chosen))
        signs, misfit, done = np.ones(len(self.chosen)), np.inf, 0
        # Ctrl-C works between calls; an iteration takes 4 flops for each entry of the basis
        most, period = _tolerances.MANY_ITERATIONS, _tolerances.PATIENCE
        checks = max(_tolerances.LONG // (4 * self._basis.size * period), 1)
        while done < most and misfit > self._tolerance:
            misfit, used = reflect(self._basis, self._target, point, signs, misfit,
                                   self._tolerance, min(checks * period, most - done), period)
            done += used
        self.solved = misfit <= self._tolerance
        return self._extended(signs, misfit, restart + 1)

    def _extended(self, signs: Floats, misfit: float, restarts: int) -> SignCandidate:
        """The signs of all rows from those of the chosen rows, and how well they fit."""
        part, magnitude = self._matrix.block(self.chosen), self._magnitude[self.chosen]
        weight = self._weight
        if self._accuracy is not None:
            weight = 1.0 / (magnitude * self._accuracy)
            signs, deviations = _flip(part * weight[:, None], signs / self._accuracy)
            misfit = deviations * self._tolerance / _tolerances.SIGNIFICANT
        coefficients = np.linalg.lstsq(part * weight[:, None], weight * magnitude * signs,
                                       rcond=None)[0]
        image = self._matrix.matvec(np.asarray(coefficients, dtype=np.float64))
        if len(self.chosen) < len(self._magnitude) and self._accuracy is None:
            relative = (np.abs(image) - self._magnitude) / (np.abs(image) + self._magnitude)
            misfit = max(misfit, float(np.sqrt(np.mean(relative ** 2))))
        return SignCandidate(np.where(image >= 0, 1.0, -1.0), float(misfit), restarts,
                             bool(misfit <= self._tolerance))


def _flip(matrix: Floats, g: Floats) -> tuple[Floats, float]:
    """Flip entries of g, one or two at a time, while that brings g closer to the range of
    ``matrix``. Returns the signs and the RMS distance (in standard deviations if g is whitened).
    """
    u = range_basis(matrix)
    complement = -(u @ u.T)
    complement[np.diag_indices_from(complement)] += 1.0
    g = g.copy()
    residual = complement @ g
    for _ in range(u.shape[1]):        # a start that needs more flips than unknowns is given up
        gain = 4.0 * g * (residual - g * np.diag(complement))
        pair = gain[:, None] + gain - 8.0 * np.outer(g, g) * complement
        np.fill_diagonal(pair, gain)
        best = np.unravel_index(np.argmax(pair), pair.shape)
        if pair[best] <= math.sqrt(EPS) * float(residual @ residual):
            break
        for i in set(best):
            residual -= 2.0 * g[i] * complement[:, i]
            g[i] = -g[i]
    degrees_of_freedom = max(len(g) - u.shape[1], 1)
    return (np.where(g < 0, -1.0, 1.0),
            float(np.linalg.norm(residual) / np.sqrt(degrees_of_freedom)))


def may_be_spoiled(n: int, p: int) -> bool:
    """Whether one wrong score may spoil the magnitudes of an (n, p) component."""
    return n * p * p <= _tolerances.PASS_ENTRIES


def trimmed_signs(matrix: Augmented, magnitude: Floats, known: Floats | None, guesses: list[Floats],
                  most: int, rng: np.random.Generator) -> list[SignCandidate]:
    """Different sign vectors, the likeliest first, each with the ``most`` rows that it leaves out.

    ``matrix`` (n, p) is [A b] on the component. ``known`` (n,) holds the signs if they are known.
    ``guesses`` are sign vectors (n,), of which most entries may be right.
    """
    n, p = matrix.shape
    if not may_be_spoiled(n, p) or n - most <= p:
        return []
    rows = np.linalg.qr(matrix.block(np.arange(n)) / magnitude[:, None])[0]
    products = (rows[:, :, None] * rows[:, None, :]).reshape(n, p * p)

    def concentrated(signs: Floats, kept: Integers) -> tuple[Floats, Integers, Floats]:
        """One step: new signs, rows kept and trimmed sums for each start."""
        weight = np.zeros(signs.shape)
        np.put_along_axis(weight, kept, 1.0, axis=1)
        gram = (weight @ products).reshape(-1, p, p)
        # a ridge of rounding size: the rows kept may be dependent, or all zero
        ridge = p * EPS * np.trace(gram, axis1=1, axis2=2) + TINY
        gram += ridge[:, None, None] * np.eye(p)
        z = np.linalg.solve(gram, ((weight * signs) @ rows)[:, :, None])[:, :, 0]
        image = z @ rows.T
        if known is None:
            signs = np.where(image < 0, -1.0, 1.0)
        error = np.abs(np.log(np.maximum(image * signs, TINY)))
        kept = np.argsort(error, axis=1)[:, :n - most]
        return signs, kept, np.sum(np.take_along_axis(error, kept, axis=1) ** 2, axis=1)

    signs = np.array([known] if known is not None else guesses)
    signs = signs[rng.integers(len(signs), size=_tolerances.TRIMMED_STARTS)]
    kept = np.argsort(rng.random((_tolerances.TRIMMED_STARTS, n)), axis=1)[:, :p + 1]
    for _ in range(_tolerances.FEW_ROUNDS):
        signs, kept, trimmed = concentrated(signs, kept)
    best = np.argsort(trimmed)[:_tolerances.CLOSEST]
    signs, kept, trimmed = signs[best], kept[best], trimmed[best]
    while True:
        moved = concentrated(signs, kept)
        lower = moved[2] < trimmed
        if not lower.any():
            break
        signs[lower], kept[lower], trimmed[lower] = (part[lower] for part in moved)
    found: dict[bytes, SignCandidate] = {}
    for i in np.argsort(trimmed):
        left_out = np.ones(n, dtype=bool)
        left_out[kept[i]] = False
        misfit = float(np.sqrt(trimmed[i] / (n - most)))
        found.setdefault((signs[i] * signs[i, 0]).tobytes(),
                         SignCandidate(signs[i], misfit, left_out=left_out))
    return list(found.values())
