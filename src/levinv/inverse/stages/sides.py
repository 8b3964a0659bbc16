"""All other solutions of the same level, by enumeration of the ±1 vectors of a subspace.

On a component let M = [A_C b_C], of rank q, and s = M z the slack at x, without zeros. The other z'
with |M z'| = |s| have M z' = ε∘s with a vector ε of signs. They correspond one to one to the ±1
vectors of the subspace

    V = range(diag(1/s) M),    of dimension q,

for M z' = ε∘s iff ε = diag(1/s) M z', and M has the kernel 0. A vector of V is determined by its
entries in q independent rows. So 2^(q-1) sign vectors, but for a common sign, are all that have to
be tried, however many rows there are. Scores of power weights determine |A x' - b| up to a factor
on each component. So these z' are all other solutions: the last entry κ' of z', relative to that
of z, gives x', and where it is zero, x' is at infinity.

Weights with a peak: at the level of x, row i has the predictor η_i or the one at the other side of
the mode, η_i - 2 δ_i. Then A_C (x' - x) = δ∘(ε - 1). So ε is a ±1 vector of the range of
diag(1/δ) [A_C, δ] again, but with the coefficient ±1 of δ: the factor is not free. (For even
weights δ = η - mode, and ε∘δ is the new distance from the mode.) Other levels are those of
:mod:`levinv.inverse.verdict.alternatives`.

*Computing them.* With q rows β of N = diag(1/s) M, C = N N_β⁻¹ has ε = C ε_β. Pivoted QR chooses
rows β for which the entries of C are small: if s has the relative error τ, row i of C ε_β has the
error τ Σ_j |C_ij|, plus what rounding of C adds. Rows where this is 1/2 say nothing. In place of
all 2^(q-1) vectors, halves of them are matched (small/sides.pxd). Some rows serve for the
enumeration, others for the test of what is found.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import lapack

from levinv import _tolerances
from levinv._kernels.sides import sign_vectors
from levinv._tolerances import ALLOWED_ROUNDINGS, EPS, SIGN_TOLERANCE
from levinv._typing import Floats, Integers, RowIndex
from levinv.weighting.peaked import Peaked
from levinv.weighting.protocol import Weighting


class Matrix(Protocol):
    """M: some of its rows, and its products."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, q)."""

    def block(self, index: RowIndex) -> Floats:
        """Some of the rows, as an array."""

    def matvec(self, v: Floats) -> Floats:
        """M v."""


@dataclass(frozen=True, eq=False)
class Whole:
    """A matrix in memory."""

    matrix: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """(n, q)."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def block(self, index: RowIndex) -> Floats:
        """Some of the rows."""
        return self.matrix[index]

    def matvec(self, v: Floats) -> Floats:
        """M v."""
        return self.matrix @ v


@dataclass(frozen=True, eq=False)
class SideVectors:
    """The ε with which ε∘s lies in the range of a matrix, one of each pair ±ε."""

    signs: Floats                # (k, n)
    misfit: Floats               # (k,) root mean square of the errors of |M z'|, relative
    complete: bool               # all were tried, and those that fit are here


def side_vectors(matrix: Matrix, values: Floats,
                 accuracy: float | Floats = SIGN_TOLERANCE) -> SideVectors:
    """All ε with ε∘values in the range of ``matrix`` (n, q).

    ``accuracy``, a number or (n,), is that of the values (n,), relative: ε that fit to that are
    among them. Not complete if q is above SIGN_RANK, if too many fit some of the rows, or all.
    """
    accuracy = np.broadcast_to(accuracy, values.shape)
    n, q = matrix.shape
    found = SideVectors(np.zeros((0, n)), np.zeros(0), False)
    if q > _tolerances.SIGN_RANK:
        return found
    usable = np.flatnonzero(np.isfinite(values) & (values != 0))
    size = _tolerances.SUBSET_PER_UNKNOWN * q
    while not found.complete:
        rows = usable
        if size < len(usable):
            rows = np.sort(np.random.default_rng(_tolerances.SAMPLE_SEED).choice(
                usable, size, replace=False))
        found = _enumerated(matrix, rows, values, accuracy[rows])
        if size >= len(usable):
            break
        size *= 4
    if len(rows) < n and len(found.signs):
        return _extended(matrix, rows, values, found, accuracy)
    return found


def _enumerated(matrix: Matrix, rows: Integers, values: Floats,
                accuracy: Floats) -> SideVectors:
    """The sign vectors of these rows."""
    q = matrix.shape[1]
    failed = SideVectors(np.zeros((0, len(rows))), np.zeros(0), False)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = matrix.block(rows) / values[rows, None]
    tableau = _tableau(scaled) if len(rows) >= q and np.isfinite(scaled).all() else None
    if tableau is None:
        return failed
    coefficients, pivots, rounding = tableau
    tolerance = accuracy[pivots] @ np.abs(coefficients) + accuracy + rounding
    most = 1 << (q - 1)
    found, count = sign_vectors(coefficients, tolerance, most, 2 * most,
                                _tolerances.BRANCH_STARTS)
    image = found @ coefficients
    return SideVectors(np.where(image < 0, -1.0, 1.0),
                       np.sqrt(np.mean((np.abs(image) - 1.0) ** 2, axis=1)), count == len(found))


def _extended(matrix: Matrix, rows: Integers, values: Floats, found: SideVectors,
              accuracy: Floats) -> SideVectors:
    """The sign vectors of all rows from those of some; without those that do not fit the others to
    half of the digits.
    """
    n = len(values)
    scaled = matrix.block(rows) / values[rows, None]
    solutions = np.linalg.lstsq(scaled, found.signs.T, rcond=None)[0].T
    signs, misfit = np.ones((len(solutions), n)), np.zeros(len(solutions))
    for i, z in enumerate(solutions):
        image = matrix.matvec(np.asarray(z, dtype=np.float64))
        size, wanted = np.abs(image), np.abs(values)
        usable = np.isfinite(wanted) & (wanted != 0)
        error = (size[usable] - wanted[usable]) / (size[usable] + wanted[usable])
        misfit[i] = max(found.misfit[i], float(np.sqrt(np.mean(error ** 2))))
        signs[i] = np.where(image * np.sign(values) < 0, -1.0, 1.0)
    fits = misfit <= math.sqrt(float(np.mean(accuracy)))
    return SideVectors(signs[fits], misfit[fits], found.complete)


def _tableau(scaled: Floats) -> tuple[Floats, Integers, Floats] | None:
    """Cᵀ (q, n), the rows β, and bounds of the errors of the sums of its columns by rounding, (n,);
    None if N has not the rank q.
    """
    q = scaled.shape[1]
    norms = np.linalg.norm(scaled, axis=1)
    factors, pivots, _, _, _ = lapack.dgeqp3(scaled.T)
    pivots -= 1
    diagonal = np.abs(np.diagonal(factors))
    if not np.all(diagonal > ALLOWED_ROUNDINGS * EPS * norms[pivots[:q]]):
        return None
    inverse, _ = lapack.dtrtri(factors[:, :q])
    inverse = np.triu(inverse)
    others = factors[:, q:]
    coefficients, rounding = np.zeros(scaled.T.shape), np.zeros(len(scaled))
    coefficients[np.arange(q), pivots[:q]] = 1.0
    coefficients[:, pivots[q:]] = inverse @ others
    rounding[pivots[q:]] = q * EPS * (np.abs(inverse) @ np.abs(others)).sum(axis=0)
    return coefficients, pivots[:q], rounding


def opposite_halves(weighting: Weighting, eta: Floats) -> Floats:
    """δ, half of what each predictor is above the one of the same weight on the other side of the
    mode or pole, (n,): not finite where there is none.
    """
    if weighting.even:
        return eta - (weighting.mode if isinstance(weighting, Peaked) else 0.0)
    assert isinstance(weighting, Peaked)
    with np.errstate(over="ignore", invalid="ignore"):
        lower, upper = weighting.branches(np.maximum(
            weighting.peak - weighting.log_weight(eta), 0.0))
        half: Floats = 0.5 * (upper - lower)
        return np.where(eta > weighting.mode, half, -half)
