"""A point x, what is known there, and the Jacobian of the whitened residual W (sigma(x) - c), W =
diag(1/noise).

In the basis in which the scaled rows are orthonormal, dx = T z, A T z divided by s is ε∘(U z), so
the Jacobian J_z = 2 (Q - diag(sigma)) diag(ε) U has singular values of at most 1 whatever the data
(every eigenvalue of the Laplacian is at most max 2 sigma (1 - sigma) <= 1/2).

All of W J costs about 2 n k³ flops, as much as k/2 evaluations of the scores and more. In a matrix
of many rows a sample S of them stands for the rest: row i is in S with probability p_i, and

    J_zᵀ W² J_z  ~  sum over i in S of j_i j_iᵀ / p_i,
    j_i = 2 W_i sum over l in S of P_il² (ε_l u_l - ε_i u_i) / p_l,

the Laplacian of the graph in which only sampled rows have edges. As P_il² sums to σ_i over l,
Jensen's inequality gives |j_i|² <= 8 (W_i σ_i)² ((Q σ)_i/σ_i + σ_i): rows are drawn in proportion
to this bound and to σ_l, which bounds what row l adds to others. The result is as good as a
preconditioner and as standard errors have to be, no better. Eigenvalues of the quotient by the true
matrix, measured for 16 k² of 20 000 to 100 000 rows, k = 20 and 40: 0.79 to 1.24 for Gaussian and
one-hot designs with uniform, normal and exponential slacks; in Cauchy designs single ones up to
1.8.
"""
from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np

from levinv._typing import Booleans, Floats, Integers
from levinv.forward.basis import EPS
from levinv.forward.projection import DependentZeroSlackError, Projection, project
from levinv.inverse.stages.components import SEED
from levinv.inverse.stages.presolve import Reduced
from levinv.storage import Rows
from levinv.storage.blocked import triangle_of, unpacked

Result = TypeVar("Result")
Projector: TypeAlias = Callable[[Rows, Floats, Floats | None, Booleans | None], Projection]

WIDEST = 1e-290               # quotient of two slacks that is as good as zero,
BESIDE_ORDINARY = 1e-150      # which is looked for where a slack is so small
SAMPLED = 16                  # rows in a sample, in units of k²,
LEAST_SAMPLE = 2048           # and at least
KEPT = 1 << 20                # entries of a Jacobian that is kept
MANY = 2                      # from so many times the rows of a sample on, one is taken


@dataclass(frozen=True)
class Point:
    """x and what is known there."""

    x: Floats                      # (d,)
    slack: Floats                  # (n,)
    projection: Projection
    target: Floats                 # (n,) c
    left_out: Booleans | None      # (n,) boolean: rows that take no part
    size: float                    # norm of the whitened residual
    largest: float                 # largest entry of the residual

    @property
    def residual(self) -> Floats:
        """sigma - c on the active rows, 0 elsewhere, (n,): computed when it is asked for."""
        return _residual(self.projection, self.target, self.left_out)


def _residual(projection: Projection, target: Floats, left_out: Booleans | None) -> Floats:
    residual = projection.residual(target)
    if left_out is not None:
        residual[left_out] = 0.0
    return residual


@dataclass(frozen=True)
class Linearisation:
    """Singular value decomposition of the whitened Jacobian, in coordinates of unit effect."""

    left: Floats                   # (r,) coefficients of the whitened residual
    values: Floats                 # (r,) singular values in z, decreasing, above rounding
    steps: Floats                  # (d, r) dx that change the whitened residual by unit vectors
    flat: Floats                   # (d, f) dx of further values that are zero to rounding
    dropped: float = np.nan        # the largest singular value not among ``values``, if any
    sampled: bool = False
    point: Point | None = None            # where it was made, and
    rotation: Floats | None = None        # (r, k) right singular vectors in z there,
    jacobian: list[Floats] | None = None  # blocks of rows of W J_z, of further columns, too: where
                                          # that takes little memory


def evaluate(reduced: Reduced, b: Floats, x: Floats, target: Floats, weight: Floats,
             projector: Projector = project) -> Point | None:
    """The Point at x, or None where the scores or the residual are not defined."""
    if not np.isfinite(x).all():
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        slack = reduced.rows.matvec(x)
        slack -= b
    if not np.isfinite(slack).all():
        return None
    magnitude = np.abs(slack)
    if magnitude.min() < BESIDE_ORDINARY:                      # zero beside the others, perhaps
        magnitude[magnitude < WIDEST * magnitude[reduced.active].max(initial=0.0)] = 0.0
    try:
        with np.errstate(over="raise"):
            projection = projector(reduced.rows, magnitude, reduced.columns, reduced.left_out)
    except (DependentZeroSlackError, FloatingPointError):
        return None
    residual = _residual(projection, target, reduced.left_out)
    largest = max(float(residual.max()), -float(residual.min()))
    with np.errstate(over="ignore"):
        residual *= weight
        size = float(np.linalg.norm(residual))
    if not math.isfinite(size):
        return None
    return Point(x, slack, projection, target, reduced.left_out, size, largest)


def gradient(point: Point, weight: Floats) -> Floats:
    """Half the gradient of |W (sigma(x) - c)|²: Jᵀ W² (sigma - c), (d,)."""
    weighted = point.residual
    weighted *= weight
    weighted *= weight
    image = point.projection.laplacian(weighted)
    # at a zero slack the Laplacian vanishes like s², the row drops out
    image /= point.slack if point.slack.all() else np.where(point.slack == 0, np.inf, point.slack)
    return 2.0 * point.projection.rows.rmatvec(image)


def linearise(reduced: Reduced, point: Point, weight: Floats, freedom: int) -> Linearisation:
    """The whitened Jacobian's singular value decomposition, less the ``freedom`` smallest values;
    from a sample of the rows where there are many.
    """
    if len(weight) > MANY * _sample_size(point.projection.rank):
        triangle = _sampled_triangle(point, weight)
        model = _decompose(point, triangle, np.zeros(len(triangle)), freedom)
        if not model.flat.shape[1]:
            return replace(model, left=model.steps.T @ gradient(point, weight), sampled=True,
                           point=None)
    return linearise_all(point, weight, freedom)


def _sample_size(rank: int) -> int:
    return max(SAMPLED * rank ** 2, LEAST_SAMPLE)


def linearise_all(point: Point, weight: Floats, freedom: int) -> Linearisation:
    """The same from all rows."""
    k = point.projection.rank
    if len(weight) <= max(4 * k, k * k // 4):
        signed = point.projection.basis()
        signed[point.slack < 0] *= -1.0
        with np.errstate(over="ignore", invalid="ignore"):
            jacobian = point.projection.laplacian(signed)
            jacobian *= 2.0 * weight[:, None]
        return _decompose(point, jacobian, point.residual * weight, freedom, [jacobian])
    long, kept = _LongJacobian(point, weight), None
    if len(weight) * k <= KEPT:
        kept = long.fold(_as_list, operator.add)
        triangle = _triangle(kept, k + 1)
    else:
        triangle = long.fold(triangle_of, _stacked)      # all that least squares needs of a long J
    return _decompose(point, triangle[:k, :k], triangle[:k, k], freedom, kept)


def reweighted(reduced: Reduced, point: Point, weight: Floats, model: Linearisation,
               factor: Floats, freedom: int) -> Linearisation:
    """The linearisation with the weights ``weight`` times ``factor``, (n,), from that with
    ``weight``; without the residual.
    """
    if model.jacobian is None or model.point is not point:
        return linearise(reduced, point, weight * factor, freedom)
    first = np.cumsum([len(block) for block in model.jacobian[:-1]], dtype=int)
    parts = zip(model.jacobian, np.split(factor, first), strict=True)
    k = point.projection.rank
    triangle = _triangle((block[:, :k] * part[:, None] for block, part in parts), k)
    return _decompose(point, triangle, np.zeros(len(triangle)), freedom)


def propagated(point: Point, model: Linearisation, deviations: Floats) -> Floats:
    """Standard errors of x, (d,), if the whitened residuals err by ``deviations``, (n,), each on
    its own; where no Jacobian is kept, as if by their root mean square.
    """
    if model.jacobian is None or model.rotation is None or model.point is not point:
        counted = max(int(np.count_nonzero(deviations)), 1)
        mean: Floats = np.hypot.reduce(model.steps, axis=1)
        mean *= np.linalg.norm(deviations) / np.sqrt(counted)
        return mean
    effect = np.concatenate([block[:, :len(model.rotation.T)] @ (model.rotation.T / model.values)
                             for block in model.jacobian])
    triangle = triangle_of(effect * deviations[:, None])
    errors: Floats = np.hypot.reduce(model.steps @ triangle.T, axis=1)
    return errors


class _LongJacobian:
    """The rows of W [J_z, sigma - c]: J_z as :meth:`Projection.laplacian` gives it for a long
    matrix, a block of rows at a time.
    """

    def __init__(self, point: Point, weight: Floats) -> None:
        projection = point.projection
        transform, scale, heavy = projection.transform, projection.scale, projection.heavy
        sign = np.where(point.slack < 0, -1.0, 1.0)
        signed_scale = sign * scale                                          # 0 in heavy rows
        moments = projection.rows.third_moments(scale, transform, signed_scale)
        forms = unpacked(np.ascontiguousarray(moments @ transform), projection.rank)
        place = heavy_rows = None
        if len(heavy):
            basis, signed = projection.heavy_basis, sign[heavy, None] * projection.heavy_basis
            image = np.einsum("ia,abm,ib->im", basis, forms, basis, optimize=True)
            image += projection.heavy_laplacian() @ signed
            forms += np.einsum("ia,im,ib->abm", basis, signed, basis, optimize=True)
            heavy_rows = np.column_stack([2.0 * image, point.residual[heavy]])
            heavy_rows *= weight[heavy, None]
            place = np.full(len(weight), -1)
            place[heavy] = np.arange(len(heavy))
        self._rows = projection.rows
        self._vectors = [scale, signed_scale, projection.scores, weight, point.residual, place]
        self._shared = transform, forms, heavy_rows

    def fold(self, function: Callable[..., Result], combine: Callable[[Result, Result], Result],
             *shared: Any) -> Result:
        """``function(block, *shared)`` of all blocks, put together by ``combine``."""
        return self._rows.fold(functools.partial(_of_block, function), combine, self._vectors,
                               self._shared, *shared)


def _of_block(function: Callable[..., Result], rows: Rows, scale: Floats, signed_scale: Floats,
              scores: Floats, weight: Floats, residual: Floats, place: Integers | None,
              jacobian: tuple[Floats, Floats, Floats | None], *shared: Any) -> Result:
    transform, forms, heavy_rows = jacobian
    block = rows.matvec(transform)
    block *= -(scores * signed_scale)[:, None]
    block += rows.contract(scale, transform, forms)
    block *= 2.0 * weight[:, None]
    block = np.column_stack([block, weight * residual])
    if place is not None and heavy_rows is not None:
        heavy = place >= 0
        block[heavy] = heavy_rows[place[heavy]]
    return function(block, *shared)


def _as_list(block: Floats) -> list[Floats]:
    return [block]


def _as_lengths(block: Floats, steps: Floats) -> list[Floats]:
    image = block[:, :len(steps)] @ steps
    return [np.einsum("ij,ij->i", image, image)]


def _stacked(one: Floats, other: Floats) -> Floats:
    return triangle_of(np.vstack([one, other]))


def _triangle(blocks: Iterable[Floats], columns: int) -> Floats:
    return functools.reduce(_stacked, blocks, np.zeros((0, columns)))


def _decompose(point: Point, jacobian: Floats, whitened: Floats, freedom: int,
               blocks: list[Floats] | None = None) -> Linearisation:
    k = point.projection.rank
    if not np.isfinite(jacobian).all():       # slacks so far apart that the basis is lost: no step
        return Linearisation(np.zeros(0), np.zeros(0), np.zeros((len(point.x), 0)),
                             point.projection.transform)
    u, values, vt = np.linalg.svd(jacobian, full_matrices=False)
    wanted = max(k - freedom, 0)
    kept = int(np.count_nonzero(values[:wanted] > negligible(k) * values[:1]))
    with np.errstate(over="ignore"):                  # at points close to the largest float
        directions = point.projection.smallest_slack * (point.projection.transform @ vt[:wanted].T)
        steps = directions[:, :kept] / values[:kept]
        while not np.isfinite(steps[:, :kept]).all():
            kept -= 1
    return Linearisation(u[:, :kept].T @ whitened, values[:kept],
                         np.ascontiguousarray(steps[:, :kept]), directions[:, kept:],
                         float(values[kept]) if kept < len(values) else np.nan,
                         point=point, rotation=vt[:kept], jacobian=blocks)


def negligible(rank: int) -> float:
    """Singular values of the Jacobian, relative to the largest, that are zero to rounding."""
    return rank * EPS


def leverages(point: Point, weight: Floats, model: Linearisation, left_out: Booleans) -> Floats:
    """Leverage of each row in the whitened Jacobian, |row of W J|² in the metric of ``model``,
    (n,): the part of its residual's variance that fitting x takes away, and in rows ``left_out`` of
    the model the variance of what it predicts; 0 where the model is a sample's, whose rows'
    leverages are tiny.
    """
    if model.sampled:
        return np.zeros(len(weight))
    if model.rotation is not None and model.point is point:
        steps = model.rotation.T / model.values
    else:
        slack = np.abs(point.slack)
        steps = point.projection.rows.matvec(model.steps).T / np.where(slack == 0, np.inf, slack)
        steps = point.projection.coordinates(steps.T)
    if model.jacobian is None or model.point is not point or left_out.any():
        return np.concatenate(_LongJacobian(point, weight).fold(_as_lengths, operator.add, steps))
    return np.concatenate([_as_lengths(block, steps)[0] for block in model.jacobian])


def _sampled_triangle(point: Point, weight: Floats) -> Floats:
    """R of the sampled W J_z."""
    projection = point.projection
    n, k = len(weight), projection.rank
    scores = projection.scores
    bound = projection.laplacian(scores) + 2.0 * scores ** 2
    bound *= weight ** 2 * scores
    size = _sample_size(k)
    chance = np.minimum(size * (0.4 * bound / bound.sum() + 0.4 * scores / k + 0.2 / n), 1.0)
    chance[weight == 0] = 0.0
    chance[projection.heavy] = 1.0
    index = np.flatnonzero(np.random.default_rng(SEED).random(n) < chance)
    chance = chance[index]
    part = replace(projection, rows=projection.rows.part(index),
                   scale=projection.scale[index], scores=scores[index],
                   heavy=np.searchsorted(index, projection.heavy))
    signed = part.basis()
    signed[point.slack[index] < 0] *= -1.0
    jacobian = part.laplacian(signed / chance[:, None])
    jacobian -= part.laplacian(1.0 / chance)[:, None] * signed
    jacobian *= (2.0 * weight[index] / np.sqrt(chance))[:, None]
    return triangle_of(jacobian)
