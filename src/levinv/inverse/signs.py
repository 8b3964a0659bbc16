"""Stage 2: signs of the slack, real phase retrieval on each component.

With m the magnitudes of stage 1, |A x - b| = κ m on a component, so z = (x, -1)/κ satisfies |[A b] z| = m:
a vector u in the subspace V = range([A b]) with given magnitudes. The Douglas-Rachford iteration between the two,

    u <- u + m∘sign(2 Π u - u) - Π u,        Π the projection onto V,

from a spectral start and then from random ones, ends when m∘sign(Π u) lies in V. Two things
decide how soon. Rows are weighted first so that those of [A b] are close to isotropic (all leverage
scores of the weighted [A b] equal): heavy-tailed and structured designs then behave like Gaussian ones. And
restarts beat patience: runs that succeed do so early. In a long matrix a subset of rows finds z and all signs are read off [A b] z.

*When are the signs determined?* Two solutions ±z, ±z' split the rows into S, where z + z' vanishes, and
its complement, where z - z' does. Such z fill ker M_S + ker M_{S^c}, M = [A b], of dimension 2p - r(S) - r(S^c), which is below p
unless r(S) + r(S^c) = p, that is unless S separates the matroid of M. So for almost every x the signs are
determined iff [A_C b_C] is connected on every component C; components decide (:mod:`levinv.inverse.components`).
"""
from dataclasses import dataclass

import numpy as np

from levinv._kernels.reflections import reflect

SUBSET = 8                     # rows in use, as a multiple of the unknowns
ISOTROPY_STEPS = 5
RUN = 10000                    # iterations before a restart
CALL = 500                     # iterations in one kernel call
CHECK_EVERY = 20


@dataclass(frozen=True)
class Signs:
    """One component's signs, up to a common factor -1."""

    signs: np.ndarray
    misfit: float              # relative distance of m∘signs from range([A b])
    restarts: int
    iterations: int


def find_signs(matrix, magnitude, rng, *, accuracy=None, tolerance=1e-6, restarts=60, report=None):
    """Signs with which ``magnitude`` lies in the range of ``matrix``.

    Parameters
    ----------
    matrix : (n, p) array
        [A b] on the component, in any basis of independent columns.
    magnitude : (n,) array, positive
    rng : numpy.random.Generator
    accuracy : (n,) array, optional
        Relative standard deviations of the magnitudes; rows with inf take no part.
    tolerance : float
        Relative distance at which the signs are accepted.
    restarts : int
        Number of starting points tried.
    report : callable, optional
        Called with (restart, misfit so far).

    Returns
    -------
    list of Signs
        The accepted one, or, if none was, the best of every start by misfit.
    """
    n, p = matrix.shape
    usable = np.arange(n) if accuracy is None else np.flatnonzero(np.isfinite(accuracy))
    size = SUBSET * p
    while True:
        chosen = _choose(usable, size, accuracy, rng)
        found = _search(matrix, magnitude, chosen, rng, tolerance, restarts, report)
        # a subset may miss what ties the rest together: then its signs do not fit the whole
        if found[0].misfit <= tolerance or len(chosen) == len(usable):
            return found
        size *= 4


def _choose(usable, size, accuracy, rng):
    if len(usable) <= size:
        return usable
    if accuracy is not None:                       # the most accurate half, and others for spread
        order = usable[np.argsort(accuracy[usable], kind="stable")]
        best, rest = order[:size // 2], order[size // 2:]
        return np.concatenate([best, rng.choice(rest, size - len(best), replace=False)])
    return rng.choice(usable, size, replace=False)


def _search(matrix, magnitude, chosen, rng, tolerance, restarts, report):
    part, m = matrix[chosen], magnitude[chosen]
    weight, basis = _isotropic(part)
    target = weight * m
    target *= np.sqrt(len(chosen)) / np.linalg.norm(target)
    candidates = []
    iterations = 0
    for restart in range(restarts):
        point = _spectral_start(basis, target) if restart == 0 else target * rng.choice([-1.0, 1.0], len(m))
        signs, best, done = np.ones(len(m)), np.inf, 0
        while done < RUN and best > tolerance:
            best, used = reflect(basis, target, point, signs, best, tolerance, CALL, CHECK_EVERY)
            done += used
        iterations += done
        candidate = _read_signs(matrix, magnitude, chosen, weight, signs, restart + 1, iterations)
        candidates.append(candidate)
        if report is not None:
            report(restart + 1, min(c.misfit for c in candidates))
        if best <= tolerance:
            return [candidate]
    return _distinct(sorted(candidates, key=lambda c: c.misfit))


def _isotropic(matrix):
    """Weights that bring the leverage scores of the weighted rows close to equal, and an orthonormal basis."""
    weight = np.ones(len(matrix))
    for step in range(ISOTROPY_STEPS + 1):
        u, values, _ = np.linalg.svd(matrix * weight[:, None], full_matrices=False)
        basis = np.ascontiguousarray(u[:, values > 1e-13 * values[0]])
        if step < ISOTROPY_STEPS:
            scores = np.einsum("ij,ij->i", basis, basis)
            weight = weight / np.sqrt(np.maximum(scores, 1e-8))
    return weight, basis


def _spectral_start(basis, target):
    """The direction in which rows are long where magnitudes are: top eigenvector of sum (m_i/|v_i|²)² v_i v_iᵀ."""
    lengths = np.maximum(np.linalg.norm(basis, axis=1), 1e-300)
    rows = basis / lengths[:, None]
    _, vectors = np.linalg.eigh((rows * ((target / lengths) ** 2)[:, None]).T @ rows)
    return target * np.where(basis @ vectors[:, -1] >= 0, 1.0, -1.0)


def _read_signs(matrix, magnitude, chosen, weight, signs, restarts, iterations):
    """All rows' signs from the chosen ones', and how well they fit."""
    scale = weight / np.linalg.norm(weight * magnitude[chosen])
    coefficients = np.linalg.lstsq(matrix[chosen] * scale[:, None], scale * magnitude[chosen] * signs, rcond=None)[0]
    image = matrix @ coefficients
    everywhere = np.where(image >= 0, 1.0, -1.0)
    misfit = np.linalg.norm(scale * (image[chosen] - magnitude[chosen] * signs))
    if len(chosen) < len(magnitude):
        relative = np.abs(np.abs(image) - magnitude) / (np.abs(image) + magnitude)
        misfit = max(misfit, float(np.sqrt(np.mean(relative ** 2))))
    return Signs(everywhere, float(misfit), restarts, iterations)


def _distinct(candidates):
    kept = []
    for candidate in candidates:
        if not any(np.array_equal(candidate.signs, k.signs) or np.array_equal(candidate.signs, -k.signs)
                   for k in kept):
            kept.append(candidate)
    return kept
