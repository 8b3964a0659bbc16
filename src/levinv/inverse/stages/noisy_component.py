"""A component of noisy scores: χ² and its linear model (:mod:`levinv.inverse.stages.branches`)."""
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from levinv._tolerances import PASS_ENTRIES, SIGN_TOLERANCE
from levinv._typing import Floats
from levinv.inverse.compiled import cells, compiled_weighting
from levinv.inverse.stages.sides import opposite_halves
from levinv.weighting.peaked import Peaked
from levinv.weighting.protocol import Power, Weighting

# matrix, offset, scores, weight, log_prior, and the weighting's number and parameters
Compiled: TypeAlias = tuple[Floats, Floats, Floats, Floats, Floats | None, int, Floats]


@dataclass(frozen=True, eq=False)
class NoisyComponent:
    """The scores of a component and their deviations."""

    matrix: Floats                # (m, r) M
    offset: Floats                # (m,) o
    scores: Floats                # (m,) c
    weight: Floats                # (m,) 1/deviation
    weighting: Weighting
    log_prior: Floats | None      # (m,)

    def evaluate(self, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """At many y (k, r): χ² (k,), the scaled rows B (k, m, r), G⁻¹ (k, r, r) and η (k, m).

        χ² is inf where the scores are not defined in double precision.
        """
        eta = y @ self.matrix.T - self.offset
        with np.errstate(all="ignore"):
            log_weight = self.weighting.log_weight(eta)
            if self.log_prior is not None:
                log_weight = log_weight + self.log_prior
            log_weight = log_weight - log_weight.max(axis=1, keepdims=True)
            scaled = np.exp(0.5 * log_weight)[:, :, None] * self.matrix
            gram = scaled.swapaxes(1, 2) @ scaled
            defined = np.isfinite(gram).all(axis=(1, 2))
            gram[~defined] = np.eye(gram.shape[1])
            inverse = inverses(gram)
            scores = np.einsum("kmr,krs,kms->km", scaled, inverse, scaled, optimize=True)
            misfit = np.sum((self.weight * (scores - self.scores)) ** 2, axis=1)
            # rounding: the scores sum to the rank
            defined &= np.abs(scores.sum(axis=1) - gram.shape[1]) < SIGN_TOLERANCE
        misfit[~(defined & np.isfinite(misfit))] = np.inf
        return misfit, scaled, inverse, eta

    @functools.cached_property
    def compiled(self) -> Compiled | None:
        """What the kernel is told of the component; None if it does not know the weighting."""
        weighting = compiled_weighting(self.weighting)
        if weighting is None:
            return None
        matrix, offset, scores, weight = (np.ascontiguousarray(array) for array in
                                          (self.matrix, self.offset, self.scores, self.weight))
        log_prior = None if self.log_prior is None else np.ascontiguousarray(self.log_prior)
        return matrix, offset, scores, weight, log_prior, *weighting[:2]

    @property
    def mode(self) -> float:
        """The η at which sides change."""
        return float(self.weighting.mode) if isinstance(self.weighting, Peaked) else 0.0

    @property
    def has_pole(self) -> bool:
        """Whether weights are infinite between the cells."""
        return isinstance(self.weighting, Power) and self.weighting.q > 0

    def halves(self, y: Floats) -> tuple[Floats, Floats]:
        """What small/changes.pxd knows of the sides at y: s and q, (m,). inf or nan where none is.
        """
        eta = self.matrix @ y - self.offset
        half = opposite_halves(self.weighting, eta)
        if isinstance(self.weighting, Power):
            return half, np.full(len(eta), abs(self.weighting.q))
        with np.errstate(all="ignore"):
            return half, np.abs(self.weighting.derivative(eta) * half)

    def misfits(self, y: Floats) -> Floats:
        """χ² at many y (k, r), some at a time."""
        if self.compiled is not None:
            return cells.misfits(*self.compiled, np.ascontiguousarray(y))
        step = max(1, PASS_ENTRIES // self.matrix.size)
        return np.concatenate([self.evaluate(y[first:first + step])[0]
                               for first in range(0, len(y), step)] or [np.zeros(0)])

    def normal_equations(self, y: Floats) -> tuple[Floats, Floats, Floats]:
        """JᵀJ (k, r, r) and Jᵀρ (k, r), ρ the whitened residual and J its Jacobian; η (k, m). nan
        where the scores are not defined, as at a zero slack.
        """
        m, rank = self.matrix.shape
        step = max(1, PASS_ENTRIES // (m * rank ** 2))
        normal, gradient = np.empty((len(y), rank, rank)), np.empty((len(y), rank))
        eta = np.empty((len(y), m))
        for first in range(0, len(y), step):
            part = slice(first, first + step)
            _, scaled, inverse, eta[part] = self.evaluate(y[part])
            defined = np.isfinite(inverse).all(axis=(1, 2))
            inverse[~defined] = 0.0
            factors = self.weighting.times_slope(1.0, eta[part])[:, :, None] * self.matrix
            # Q F from the products u_a u_b of the entries of rows of an orthonormal basis
            values, vectors = np.linalg.eigh(inverse)
            basis = scaled @ (vectors * np.sqrt(np.maximum(values, 0.0))[:, None])
            scores = np.sum(basis ** 2, axis=2)
            products = (basis[:, :, :, None] * basis[:, :, None]).reshape(*basis.shape[:2], -1)
            jacobian = products @ (products.swapaxes(1, 2) @ factors)
            jacobian -= scores[:, :, None] * factors
            jacobian *= 2.0 * self.weight[:, None]
            normal[part] = jacobian.swapaxes(1, 2) @ jacobian
            gradient[part] = np.einsum("kmr,km->kr", jacobian,
                                       self.weight * (scores - self.scores))
            normal[part][~defined] = gradient[part][~defined] = np.nan
        return normal, gradient, eta


def inverses(gram: Floats) -> Floats:
    """Inverses of positive matrices (k, r, r) after scaling to unit diagonals; nan if singular."""
    if gram.shape[1] == 1:
        return 1.0 / gram
    unit = 1.0 / np.sqrt(np.einsum("kii->ki", gram))
    unit[~np.isfinite(unit)] = 1.0
    scaled = gram * unit[:, :, None] * unit[:, None, :]
    inverse: Floats
    try:
        inverse = np.linalg.inv(scaled)
    except np.linalg.LinAlgError:
        inverse = np.full_like(scaled, np.nan)
        for i, one in enumerate(scaled):
            try:
                inverse[i] = np.linalg.inv(one)
            except np.linalg.LinAlgError:
                continue
    inverse *= unit[:, :, None] * unit[:, None, :]
    return inverse
