"""Stage 4: least squares on the whitened residual (sigma(x) - c) / noise.

With noise this is the maximum-likelihood estimate and the stages before are its initialiser; with
exact scores it brings x to the *information limit*, the Cramér-Rao bound of rounding c to double.

Few rows: Levenberg-Marquardt, in the basis of :mod:`levinv.inverse.stages.whitened_jacobian`. Directions that
leave every score unchanged are known in number from stage 3; as many of the smallest singular
values are left out.

Many rows: the Jacobian would cost as much as tens of evaluations, the gradient g = JᵀW²(sigma - c)
costs one. The Gauss-Newton matrix comes from a sample of the rows, once, and steps -G⁻¹ g with
exact gradients converge to the same minimiser, at the rate at which G errs. What each step shows of
the matrix corrects it (BFGS; Broyden, Fletcher, Goldfarb and Shanno, 1970): in coordinates in which
G = I, with a step p and the change y of the gradient, G becomes I - p pᵀ/pᵀp + y yᵀ/yᵀp. Each step
lowers the residual ten- to twentyfold. Where that gets stuck above rounding, Levenberg-Marquardt
takes over.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from levinv._typing import Floats
from levinv.forward.basis import EPS, ONE_PASS_CONDITION
from levinv.inverse.stages.presolve import Reduced
from levinv.inverse.stages.streaming_loss import Trials
from levinv.inverse.stages.whitened_jacobian import (
    Linearisation,
    Point,
    evaluate,
    linearise,
    linearise_all,
)

Report: TypeAlias = Callable[[int, Floats, float], None]     # told iteration, x, max |sigma - c|

LARGEST_DAMPING = 1e8
FLAT = 1e-10                  # predicted relative decrease of the squared residual that ends the
                              # iteration
ROUNDING = 1e-11              # max |sigma - c| from which a step that does not help is put down to
                              # rounding
MANY, MANY_PER_RANK = 128, 8  # rows from which the Jacobian is formed once only: half the time at
                              # 300 x 10 to 900 x 20 (benchmarks/benchmarks/inversion.py)
STALL = 0.25                  # part of the predicted decrease left over by a step of no use
UNRELATED = 10.0              # times k/n: part of the squared residual in the range of J that is
                              # put down to rounding
MAX_STUCK = 8, 2              # useless steps above rounding that are too many, and where that is
                              # soon tried again from elsewhere


def many_rows(n: int, rank: int) -> bool:
    """Whether steps without a new Jacobian are taken."""
    return rank > 0 and n > max(MANY, MANY_PER_RANK * rank)


@dataclass(frozen=True)
class Polished:
    """The minimiser, the linearisation there and the work it took."""

    point: Point
    linearisation: Linearisation
    iterations: int
    evaluations: int
    stuck: bool = False          # above rounding


def polish(reduced: Reduced, b: Floats, x: Floats, target: Floats, weight: Floats, freedom: int, *,
           maxiter: int = 50, brief: bool = False, report: Report | None = None) -> Polished | None:
    """Minimise the whitened residual from x.

    Parameters
    ----------
    reduced : Reduced
    b : (n,) array
    x : (d,) array
    target, weight : (n,) arrays
        Scores and the inverses of their standard deviations, 0 in rows that take no part.
    freedom : int
        Directions to leave out: those of the null space within span(reduced.start).
    maxiter : int
    brief : bool
        Many rows: where the steps that cost little get stuck, leave it there.
    report : callable, optional
        Called with (iteration, x, max |sigma - c|).

    Returns
    -------
    Polished or None
        None if the scores are not defined at x (dependent rows with zero slack).
    """
    many = many_rows(len(b), reduced.start.shape[1])

    def at(x: Floats) -> Point | None:
        return evaluate(reduced, b, x, target, weight)

    def told(iteration: int, x: Floats, largest: float) -> None:
        if report is not None:
            report(iteration, x, largest)

    if many:
        found = _quasi_newton(reduced, b, Trials(reduced, b, target, weight), x, weight, freedom,
                              maxiter, MAX_STUCK[brief], told)
        if found is None or not found.stuck or brief:
            return found
        point, iteration, evaluations = found.point, found.iterations, found.evaluations
    else:
        start = at(x)
        if start is None:
            return None
        point, iteration, evaluations = start, 0, 1
    with np.errstate(over="ignore", invalid="ignore"):   # of steps: no scores are defined there
        return _levenberg_marquardt(at, point, iteration, evaluations, weight, freedom, maxiter,
                                    told)


def _levenberg_marquardt(at: Callable[[Floats], Point | None], point: Point, iteration: int,
                         evaluations: int, weight: Floats, freedom: int, maxiter: int,
                         told: Report) -> Polished:
    model = linearise_all(point, weight, freedom)
    damping = 0.0
    while iteration < maxiter and float(model.left @ model.left) > FLAT * point.size ** 2:
        values = model.values
        with np.errstate(over="ignore", invalid="ignore"):          # such steps are refused
            step = model.steps @ (values * (values * model.left
                                            / (values ** 2 + damping * values[0] ** 2)))
        trial = at(point.x - step)
        evaluations += 1
        if trial is None or trial.size >= point.size:
            if point.largest < ROUNDING or damping > LARGEST_DAMPING:
                break
            damping = max(10.0 * damping, 1e-6)
            continue
        point = trial
        model = linearise_all(point, weight, freedom)
        damping = 0.0 if damping < 1e-5 else damping / 10.0
        iteration += 1
        told(iteration, point.x, point.largest)
    return Polished(point, model, iteration, evaluations)


def _quasi_newton(reduced: Reduced, b: Floats, trials: Trials, x: Floats, weight: Floats,
                  freedom: int, maxiter: int, patience: int, told: Report) -> Polished | None:
    """Polished; None where the scores are not defined."""
    best = trials.start(x)
    if best is None or best.point is None:
        return None
    model = linearise(reduced, best.point, weight, freedom)
    best = replace(best, point=None)
    iteration, evaluations, stuck, stalled, length = 0, 1, 0, False, 1.0
    while (iteration < maxiter and stuck <= patience
           and float(model.left @ model.left) > FLAT * best.size ** 2):
        step = length * model.left
        with np.errstate(over="ignore", invalid="ignore"):          # such steps are refused
            move = model.steps @ step
        if np.all(np.abs(move) <= EPS * np.abs(best.x)):
            break
        trial = trials.at(best.x - move, 2.0 * best.size)
        evaluations += 1
        better = trial if trial is not None and trial.size < best.size else None
        useless = better is None
        if trial is None or trial.gradient is None:
            change = None
            length *= 0.25
        else:
            left = model.steps.T @ trial.gradient
            change = model.left - left
        if better is not None:
            useless = float(left @ left) > STALL * float(model.left @ model.left)
            best, model, length = better, replace(model, left=left), 1.0
            iteration += 1
            told(iteration, best.x, best.largest)
        if useless:
            part = float(model.left @ model.left) / best.size ** 2
            above_rounding = True
            if part <= 1.0:
                best = trials.whole(best)
                if best.point is None:
                    return None
                above_rounding = best.size > _rounding(reduced, b, best.point, weight)
            if above_rounding:
                stuck += 1
            elif better is None or stalled or part < UNRELATED * len(step) / len(weight):
                break
            else:                              # nothing to learn from rounding
                stalled, change = True, None
        else:
            stalled = False
        if change is not None:
            model = _corrected(model, step, change)
    else:
        if iteration and stuck <= patience:    # noise: the corrections hold second derivatives too
            best = trials.whole(best)
            if best.point is None:
                return None
            model = linearise(reduced, best.point, weight, freedom)
    point = trials.whole(best).point
    return (None if point is None
            else Polished(point, model, iteration, evaluations, stuck > patience))


def _corrected(model: Linearisation, step: Floats, change: Floats) -> Linearisation:
    """The linearisation in coordinates in which the corrected Gauss-Newton matrix is the
    identity.
    """
    curvature = float(step @ change)
    if curvature <= 1e-3 * np.linalg.norm(step) * np.linalg.norm(change):
        return model                                 # not convex along the step: tells nothing
    matrix = np.eye(len(step)) - np.outer(step, step / (step @ step))
    matrix += np.outer(change, change / curvature)
    values, vectors = np.linalg.eigh(matrix)
    vectors /= np.sqrt(values)
    return replace(model, left=vectors.T @ model.left, steps=model.steps @ vectors,
                   point=None)                       # neither Jacobian nor coordinates are these


def _rounding(reduced: Reduced, b: Floats, point: Point, weight: Floats) -> float:
    """Bound of the whitened residual that rounding leaves.

    A x - b is known to ε (|A| |x| + |b|), a relative change δ_i of the slack, and changes of the
    slack move σ_i by at most 2 σ_i (δ_i + sum σ_l δ_l); arithmetic on the scaled rows adds about
    ε κ² where one pass finds their basis.
    """
    uncertain = EPS * (reduced.rows.abs_matvec(np.abs(point.x)) + np.abs(b))
    relative = np.divide(uncertain, np.abs(point.slack), out=np.ones_like(uncertain),
                         where=point.slack != 0)
    scores = np.where(reduced.active, point.projection.scores, 0.0)
    relative += float(scores @ relative) + EPS * ONE_PASS_CONDITION ** 2
    return 2.0 * float(np.linalg.norm(weight * scores * relative))
