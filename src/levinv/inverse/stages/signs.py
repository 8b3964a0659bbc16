"""Stage 2: signs of the slack, real phase retrieval on each component.

With m the magnitudes of stage 1, |A x - b| = κ m on a component, so z = (x, -1)/κ satisfies |[A b]
z| = m: a vector u in the subspace V = range([A b]) with given magnitudes. The Douglas-Rachford
iteration between the two,

    u <- u + m∘sign(2 Π u - u) - Π u,        Π the projection onto V,

from a spectral start and then from random ones, ends when m∘sign(Π u) lies in V. Two things decide
how soon. Rows are weighted first so that those of [A b] are close to isotropic (all leverage scores
of the weighted [A b] equal): heavy-tailed and structured designs then behave like Gaussian ones.
And restarts beat patience: runs that succeed do so early. In a long matrix a subset of rows finds z
and all signs are read off [A b] z.

With inexact magnitudes (relative deviation α_i) a nearly right sign vector is wrong in rows of tiny
but accurate slack, which hardly count in V. They count in the likelihood: with rows divided by α_i
m_i, so that g_i = ε_i/α_i, and K = I - Π there, the misfit is gᵀ K g, and flipping a row, or two,
changes it by a closed formula. Flips that lower it are made, the best first.

*When are the signs determined?* Two solutions ±z, ±z' split the rows into S, where z + z' vanishes,
and its complement, where z - z' does. Such z fill ker M_S + ker M_{S^c}, M = [A b], of dimension
2p - r(S) - r(S^c), which is below p unless r(S) + r(S^c) = p, that is unless S separates the
matroid of M. So for almost every x the signs are determined iff [A_C b_C] is connected on every
component C; components decide (:mod:`levinv.inverse.stages.components`).
"""
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from levinv._kernels.reflections import reflect
from levinv._typing import Floats, Integers, RowIndex

ENUMERATED = 14                # up to as many rows all sign vectors are tried
SUBSET = 8                     # rows in use, as a multiple of the unknowns
ISOTROPY_STEPS = 5
RUN = 10000                    # iterations before a restart
CALL = 500                     # iterations in one kernel call
CHECK_EVERY = 20
EXPLAINED = 1.5                # misfit of a start that inexact magnitudes may leave, in standard
                               # deviations
LIKELY = 3.0                   # misfit after flips, in standard deviations: those of magnitudes are
                               # rough
MAX_FLIPS = 40                 # a start that needs more is none
CANDIDATES = 5                 # that do not fit, but are the closest of all starts


class Matrix(Protocol):
    """A matrix of which a few rows are looked at, and products: [A b] on a component."""

    shape: tuple[int, int]

    def block(self, index: RowIndex) -> Floats:
        """Some of the rows."""

    def matvec(self, v: Floats) -> Floats:
        """The matrix times v."""


@dataclass(frozen=True)
class Signs:
    """One component's signs, up to a common factor -1."""

    signs: Floats
    misfit: float              # relative distance of m∘signs from range([A b])
    restarts: int              # starts made so far, or vectors enumerated
    fits: bool = False         # whether the misfit is within the tolerance


def sign_candidates(matrix: Matrix, magnitude: Floats, rng: np.random.Generator, *,
                    accuracy: Floats | None = None, tolerance: float = 1e-6, restarts: int = 60,
                    report: Callable[[int, float], None] | None = None,
                    starts: list[Signs] | None = None) -> Iterator[Signs]:
    """Signs with which ``magnitude`` lies in the range of ``matrix``, the likeliest first.

    Parameters
    ----------
    matrix : Matrix, (n, p)
        [A b] on the component, in any basis of independent columns.
    magnitude : (n,) array, positive
    rng : numpy.random.Generator
    accuracy : (n,) array, optional
        Relative standard deviations of the magnitudes; rows with inf take no part.
    tolerance : float
        Relative distance at which exact magnitudes accept signs; with ``accuracy`` what the
        deviations explain is added.
    restarts : int
        Number of starting points tried.
    report : callable, optional
        Called with (restart, best misfit so far).
    starts : list, optional
        Receives the outcome of every start.

    Yields
    ------
    Signs
        Each that fits, as it is found; after the last start the best of those that do not.
    """
    n, p = matrix.shape
    if accuracy is None and n <= ENUMERATED:
        yield from enumerate_signs(matrix, magnitude, tolerance)
        return
    usable = np.arange(n) if accuracy is None else np.flatnonzero(np.isfinite(accuracy))
    size = SUBSET * p
    rejected: list[Signs] = []
    search = None
    for restart in range(restarts):
        if search is None:
            search = _Search(matrix, magnitude, _choose(usable, size, accuracy, rng), accuracy,
                             tolerance)
        found = search.run(restart, rng)
        rejected.append(found)
        if starts is not None:
            starts.append(found)
        if report is not None:
            report(restart + 1, min(r.misfit for r in rejected))
        if found.fits:
            yield rejected.pop()
        elif accuracy is None and search.solved and len(search.chosen) < len(usable):
            # solved on the subset, which misses what ties the rest to it
            size, search = 4 * size, None
    rejected.sort(key=lambda candidate: candidate.misfit)
    for candidate in rejected[:CANDIDATES]:
        yield dataclasses.replace(candidate, restarts=restarts)


def enumerate_signs(matrix: Matrix, magnitude: Floats, tolerance: float) -> list[Signs]:
    """All sign vectors, the first entry +1, with which the magnitudes fit; if none does, the
    closest ones.
    """
    n = len(magnitude)
    weight, basis = _isotropic(matrix.block(np.arange(n)))
    target = weight * magnitude / np.linalg.norm(weight * magnitude)
    bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n - 1)) & 1
    signs = np.column_stack([np.ones(len(bits)), 1.0 - 2.0 * bits])
    signed = signs * target
    misfits = np.linalg.norm(signed - (signed @ basis) @ basis.T, axis=1)
    order = np.argsort(misfits, kind="stable")
    kept = order[:max(int(np.count_nonzero(misfits <= tolerance)), CANDIDATES)]
    return [Signs(signs[i], float(misfits[i]), len(bits), bool(misfits[i] <= tolerance))
            for i in kept]


def _choose(usable: Integers, size: int, accuracy: Floats | None,
            rng: np.random.Generator) -> Integers:
    if len(usable) <= size:
        return usable
    if accuracy is not None:                       # the most accurate half, and others for spread
        order = usable[np.argsort(accuracy[usable], kind="stable")]
        best, rest = order[:size // 2], order[size // 2:]
        return np.concatenate([best, rng.choice(rest, size - len(best), replace=False)])
    return rng.choice(usable, size, replace=False)


class _Search:
    """Douglas-Rachford on chosen rows, which are weighted once for all starts."""

    def __init__(self, matrix: Matrix, magnitude: Floats, chosen: Integers,
                 accuracy: Floats | None, tolerance: float) -> None:
        self.matrix, self.magnitude, self.chosen = matrix, magnitude, chosen
        self.weight, self.basis = _isotropic(matrix.block(chosen))
        self.target = self.weight * magnitude[chosen]
        self.target *= np.sqrt(len(chosen)) / np.linalg.norm(self.target)
        self.tolerance = tolerance
        self.accuracy: Floats | None = None
        if accuracy is not None:
            explained = float(np.linalg.norm(self.target * accuracy[chosen])
                              / np.linalg.norm(self.target))
            self.tolerance = min(tolerance + EXPLAINED * explained, 0.5)
            self.accuracy = np.maximum(accuracy[chosen], 1e-12)
        self.solved = False

    def run(self, restart: int, rng: np.random.Generator) -> Signs:
        """One start."""
        if restart == 0:
            point = _spectral_start(self.basis, self.target)
        else:
            point = self.target * rng.choice([-1.0, 1.0], len(self.chosen))
        signs, best, done = np.ones(len(self.chosen)), np.inf, 0
        while done < RUN and best > self.tolerance:
            best, used = reflect(self.basis, self.target, point, signs, best, self.tolerance, CALL,
                                 CHECK_EVERY)
            done += used
        self.solved = best <= self.tolerance
        return self._read(signs, best, restart + 1)

    def _read(self, signs: Floats, misfit: float, restarts: int) -> Signs:
        """All rows' signs from those of the chosen rows, and how well they fit."""
        part, magnitude = self.matrix.block(self.chosen), self.magnitude[self.chosen]
        weight = self.weight
        if self.accuracy is not None:
            weight = 1.0 / (magnitude * self.accuracy)
            signs, whitened = _flip(part * weight[:, None], signs / self.accuracy)
            # the deviations are first-order estimates: three times what they explain is close
            misfit = whitened * self.tolerance / LIKELY
        coefficients = np.linalg.lstsq(part * weight[:, None], weight * magnitude * signs,
                                       rcond=None)[0]
        image = self.matrix.matvec(np.asarray(coefficients, dtype=np.float64))
        if len(self.chosen) < len(self.magnitude) and self.accuracy is None:
            relative = (np.abs(image) - self.magnitude) / (np.abs(image) + self.magnitude)
            misfit = max(misfit, float(np.sqrt(np.mean(relative ** 2))))
        return Signs(np.where(image >= 0, 1.0, -1.0), float(misfit), restarts,
                     bool(misfit <= self.tolerance))


def _flip(matrix: Floats, g: Floats) -> tuple[Floats, float]:
    """Flip entries of g, one or two at a time, while that brings it closer to the range of
    ``matrix``.

    Returns the signs and the root mean square distance.
    """
    u, values, _ = np.linalg.svd(matrix, full_matrices=False)
    u = u[:, values > 1e-13 * values[0]]
    complement = -(u @ u.T)
    complement[np.diag_indices_from(complement)] += 1.0
    g = g.copy()
    residual = complement @ g
    for _ in range(MAX_FLIPS):
        gain = 4.0 * g * (residual - g * np.diag(complement))
        pair = gain[:, None] + gain - 8.0 * np.outer(g, g) * complement
        np.fill_diagonal(pair, gain)
        best = np.unravel_index(np.argmax(pair), pair.shape)
        if pair[best] <= 1e-9 * float(residual @ residual):
            break
        for i in set(best):
            residual -= 2.0 * g[i] * complement[:, i]
            g[i] = -g[i]
    freedom = max(len(g) - u.shape[1], 1)
    return np.where(g < 0, -1.0, 1.0), float(np.linalg.norm(residual) / np.sqrt(freedom))


def _isotropic(matrix: Floats) -> tuple[Floats, Floats]:
    """Weights that bring the leverage scores of the weighted rows close to equal, and an
    orthonormal basis.
    """
    weight = np.ones(len(matrix))
    for step in range(ISOTROPY_STEPS + 1):
        u, values, _ = np.linalg.svd(matrix * weight[:, None], full_matrices=False)
        basis = np.ascontiguousarray(u[:, values > 1e-13 * values[0]])
        if step < ISOTROPY_STEPS:
            scores = np.einsum("ij,ij->i", basis, basis)
            weight = weight / np.sqrt(np.maximum(scores, 1e-8))
    return weight, basis


def _spectral_start(basis: Floats, target: Floats) -> Floats:
    """The direction in which rows are long where magnitudes are: top eigenvector of sum
    (m_i/|v_i|²)² v_i v_iᵀ.
    """
    lengths = np.maximum(np.linalg.norm(basis, axis=1), 1e-300)
    rows = basis / lengths[:, None]
    with np.errstate(divide="ignore"):                 # squares of the quotients may overflow
        ratio = np.log(target) - np.log(lengths)
    weight = np.exp(2.0 * (ratio - ratio.max()))
    _, vectors = np.linalg.eigh((rows * weight[:, None]).T @ rows)
    return target * np.where(basis @ vectors[:, -1] >= 0, 1.0, -1.0)
