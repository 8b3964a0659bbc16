"""Stage 1: find log weights that give the rows of A given leverage scores, a convex problem.

The log weights are t, the row weights eᵗ. f(t) = log det(Aᵀ diag(eᵗ) A) is convex, its gradient is
sigma(t), and its Hessian is the graph Laplacian L = diag(sigma) - Q, Q = P∘P
(:mod:`levinv.inverse.stages.laplacian`). So the t whose scores are c minimises f(t) - cᵀt: this is
radial isotropic position with marginals c (Barthe 1998; Artstein-Avidan, Kaplan and Sharir, arXiv
2005.04918; Dadush and Ramachandran, arXiv 2402.04799). It exists iff c lies in the relative
interior of the base polytope (:mod:`levinv.inverse.stages.infeasible`), and it is unique up to one
constant k_C on each component C of A's rows.

Up to here the weights are arbitrary. The slack s = A x - b enters through
t_i + k_C = log w(s_i). For the weighting w(s) = 1/s² that gives |s_i| = e^(-k_C/2) e^(-t_i/2):
magnitudes up to one factor on each component (:attr:`Magnitudes.magnitude`).

Some digits may be enough. Then sweeps t <- t + logit c - logit sigma come first, each of which
minimises f - cᵀt along every coordinate, with Anderson acceleration
(:mod:`levinv.inverse.stages.accelerated`), while one of a few steps halves the error.

The method is damped Newton from t = -2 log|a_i| + log(c_i/(1 - c_i)), columns orthonormal. If the
relative error of the scores exceeds 1, sweeps t <- t + log(c/sigma) come first, while each halves
the error. This is Tyler's fixed-point iteration, which always decreases f - cᵀt. A Newton step
solves L δ = c - sigma. If δ leaves the region where the quadratic model is valid, L is damped. The
step is shortened until the slope at its end is negative, or at most half as steep as the negative
slope at its start; the gradient gives the slope without cancellation. As f is convex, this bounds
its growth, and f falls if the slope at the end is still negative.
"""
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from levinv import _tolerances
from levinv._tolerances import (
    DIRECT_PER_RANK,
    DIRECT_ROWS,
    EPS,
    FEW_ROUNDINGS,
    PASS_ENTRIES,
    PATIENCE,
    QUADRATIC,
    SIGNIFICANT,
    TINY,
)
from levinv._typing import Booleans, Floats, Labels
from levinv.forward.projection import Projection, project, rough_projection
from levinv.inverse.result import Progress
from levinv.inverse.stages.accelerated import Accelerator
from levinv.inverse.stages.infeasible import find_infeasible_set
from levinv.inverse.stages.laplacian import (
    DirectSolver,
    IterativeSolver,
    component_mean,
    log_weight_deviation,
)
from levinv.inverse.values import Magnitudes, MagnitudeWork, Presolved
from levinv.storage.blocked import Rows


@dataclass(frozen=True)
class _Iterate:
    """The log weights t, and the quantities computed at t."""

    t: Floats
    projection: Projection
    residual: Floats             # sigma - c, (n,), 0 outside the active rows
    error: float                 # max |sigma - c| / min(c, 1 - c)


def find_magnitudes(rows: Rows, transform: Floats, target: Floats, active: Booleans, label: Labels,
                    *, own_columns: bool = False, log_weight: Floats | None = None,
                    log_squared_norm: Floats | None = None, accuracy: float = 0.0,
                    enough: Callable[[Floats], bool] | None = None, sweeps: bool = False,
                    maxiter: int = 100,
                    on_step: Callable[[int, float], None] | None = None) -> Magnitudes:
    """Find log weights whose scores are ``target`` on the active rows. Returns the best found, with
    their ``error``; ``infeasible`` holds a proof, if there is one, that no better ones exist.

    The target c lies strictly between 0 and 1 on the active rows and sums to the rank on each
    component ``label``. A ``transform`` (d, k) has orthonormal columns over the active rows; with
    ``own_columns`` projections may use the columns of A instead. ``log_weight`` is the first t. The
    mean of t on each component is 0; with ``log_squared_norm``, log |a_i|², the mean of
    t + log_squared_norm is 0. The iteration ends at an error of ``accuracy`` (0: as rounding
    permits) or if ``enough(residual)``, which accelerated ``sweeps`` may reach. Each Newton step
    calls ``on_step(iteration, max |sigma - c|)``.
    """
    if log_weight is None:
        log_weight = np.zeros(rows.shape[0])
        log_weight[active] = (np.log(target[active] / (1.0 - target[active]))
                              - np.log(rows.quad(None, transform)[active]))
    left_out = None if active.all() else ~active
    columns = None if own_columns else transform
    projector = rough_projection if accuracy >= QUADRATIC else project
    evaluations = 0

    def evaluate(t: Floats) -> _Iterate:
        nonlocal evaluations
        evaluations += 1
        centred = t if log_squared_norm is None else t + log_squared_norm
        bound = -math.log(TINY)                            # weights stay normal numbers
        t = np.clip(t - component_mean(centred, active, label), -bound, bound)
        projection = projector(rows, np.exp(-0.5 * t), columns, left_out)
        residual = np.where(active, projection.residual(target), 0.0)
        relative = np.where(active, np.minimum(target, 1.0 - target), 1.0)
        np.divide(np.abs(residual), relative, out=relative)
        return _Iterate(t, projection, residual, float(relative.max()))

    best = evaluate(log_weight)
    del log_weight
    products = iteration = 0
    if sweeps and enough is not None:
        best = _swept(evaluate, best, target, active, enough)
    damping, infeasible, sweeping, stalled = 0.0, None, True, False
    while (iteration < maxiter and best.error > accuracy
           and not (enough is not None and enough(best.residual))):
        if sweeping and best.error > 1.0:
            ratio = target / np.maximum(best.projection.scores, TINY)
            swept = evaluate(best.t + np.log(np.where(active, ratio, 1.0)))
            sweeping = swept.error <= 0.5 * best.error
            trial: _Iterate | None = swept
        else:
            solver = _solver(best, active, label)
            step, damping = _newton_step(solver, best.residual, damping)
            products += solver.products
            del solver                                     # frees n-vectors that trials do not need
            trial = _line_search(evaluate, best, step, best.error < QUADRATIC and not stalled)
        if trial is None:
            break
        iteration += 1
        stagnant = best.error < QUADRATIC and trial.error >= 0.5 * best.error
        if not stagnant or trial.error < best.error:
            best = trial
        if on_step is not None:
            on_step(iteration, float(np.max(np.abs(best.residual))))
        # a Newton step squares the error: below sqrt(ε) only rounding prevents halving
        if stagnant and (stalled or best.error < math.sqrt(EPS)):
            break
        stalled = stagnant
        if enough is None and iteration % _tolerances.PATIENCE == 0 and best.error > QUADRATIC:
            infeasible = find_infeasible_set(rows, transform, target, active, label, best.t,
                                             -QUADRATIC, best.projection.scores)
            if infeasible is not None:
                break
    return Magnitudes(best.t, best.projection, best.error, iteration, evaluations, products,
                      infeasible)


def _swept(evaluate: Callable[[Floats], _Iterate], best: _Iterate, target: Floats,
           active: Booleans, enough: Callable[[Floats], bool]) -> _Iterate:
    """The best iterate of accelerated sweeps, which end where several in turn have not halved its
    error.
    """
    accelerator, last, failures = Accelerator(len(target)), best, 0
    odds = np.log(target) - np.log1p(-target)
    while failures < PATIENCE // 4 and not enough(best.residual):
        scores = np.clip(last.projection.scores, TINY, 1.0 - EPS)
        sweep = np.where(active, odds - np.log(scores) + np.log1p(-scores), 0.0)
        sweep[active] -= sweep[active].mean()
        last = evaluate(accelerator.next(last.t, sweep))
        failures = 0 if last.error <= 0.5 * best.error else failures + 1
        best = last if last.error < best.error else best
    return best


def _solver(iterate: _Iterate, active: Booleans, label: Labels) -> DirectSolver | IterativeSolver:
    """The solver of Newton systems that is faster at this iterate."""
    n = np.count_nonzero(active)
    direct = max(DIRECT_ROWS, DIRECT_PER_RANK * iterate.projection.rank)
    if n <= direct and n * n <= _tolerances.COPY_ENTRIES:
        return DirectSolver(iterate.projection, active, label)
    return IterativeSolver(iterate.projection, active, label, min(0.1, iterate.error))


def _newton_step(solver: DirectSolver | IterativeSolver, residual: Floats,
                 damping: float) -> tuple[Floats, float]:
    """A δ with (L + λ D) δ = -residual whose length is about the permitted one or less; and λ.

    λ starts at a tenth of the last ``damping`` and is at most 1. With λ = 1 the step is similar to
    that of Jacobi's method.
    """
    first, factor = solver.dampings
    damping = damping / 10.0 if damping > math.sqrt(EPS) else 0.0
    while True:
        step = solver.solve(-residual, damping)
        if max(step.max(), -step.min()) <= 2.0 * _tolerances.LONGEST_STEP or damping >= 1.0:
            step[~np.isfinite(step)] = 0.0
            return step, damping
        damping = min(max(factor * damping, first), 1.0)


def _line_search(evaluate: Callable[[Floats], _Iterate], iterate: _Iterate, step: Floats,
                 late: bool) -> _Iterate | None:
    """The iterate after a step that is short enough, or None; the full step if it is ``late``."""
    slope = float(iterate.residual @ step)
    if slope >= 0.0:
        return None
    largest = np.abs(step).max()
    full = late and largest <= 1.0
    length = longest = 1.0 if full else min(1.0, _tolerances.LONGEST_STEP / largest)
    while length > math.sqrt(EPS) * longest:
        trial = evaluate(iterate.t + length * step)
        trial_slope = float(trial.residual @ step)
        if full or trial_slope <= -0.5 * slope:
            return trial
        length *= min(0.5, max(0.1, slope / (slope - trial_slope)))
    return None


def interior_target(presolved: Presolved) -> tuple[Floats, Callable[[Floats], bool] | None]:
    """Scores inside (0, 1) that sum to the rank on each component; and, for noisy scores, a test
    whether noise explains a residual.
    """
    reduced, problem = presolved.reduced, presolved.problem
    scores, noise = problem.scores, problem.noise
    if noise is None:
        target = np.where(scores > 0, np.minimum(scores, 1.0 - EPS), EPS)
    else:
        margin = np.minimum(0.5 * noise, 0.25)
        target = np.clip(scores, margin, 1.0 - margin)
    for c in range(reduced.count):
        member = reduced.members(c)
        target[member] = shift_to_sum(target[member], reduced.bases[c].shape[1])
    if noise is None:
        return target, None
    weight = np.where(reduced.active, 1.0 / noise, 0.0)
    return target, lambda residual: bool(np.linalg.norm(residual * weight)
                                         <= np.sqrt(reduced.active.sum()))


def magnitude_deviation(presolved: Presolved, magnitudes: Magnitudes,
                        target: Floats) -> Floats | None:
    """Relative standard deviation of each magnitude, (n,); None for exact scores. For weightings
    that are not powers, the standard deviation of t.

    It is inf in rows that stages 2 and 3 do not use: the magnitude is unknown where the score is
    below a few noise levels. They are used if too few rows would be left. With the other rows
    fixed, m^q is proportional to (1 - c)/c, so an error δ of the score changes m by a factor
    1 ± δ / (q c (1 - c)), q = 2 for 1/s². In short problems all errors are propagated to every
    magnitude.
    """
    reduced, problem = presolved.reduced, presolved.problem
    scores, noise = problem.scores, problem.noise
    if noise is None:
        return None
    power = problem.model.exponent
    c = np.clip(scores, EPS, 1.0 - EPS)
    deviation = np.where(scores < SIGNIFICANT * noise, np.inf,
                         np.minimum(noise / (power * c * (1.0 - c)), 1.0))
    if np.count_nonzero(reduced.active) ** 2 <= PASS_ENTRIES:
        spread = log_weight_deviation(magnitudes.projection, reduced.active, reduced.label,
                                      noise) / power
        deviation = np.where(np.isfinite(deviation),
                             np.minimum(np.maximum(deviation, spread), 1.0), np.inf)
    if np.isfinite(deviation[reduced.active]).sum() <= 2 * reduced.start.shape[1] + 2:
        deviation = np.where(reduced.active, np.minimum(noise / (power * target), 1.0), np.inf)
    return deviation


def run_magnitudes(presolved: Presolved, target: Floats, progress: Progress, *,
                   enough: Callable[[Floats], bool] | None = None,
                   log_weight: Floats | None = None, accuracy: float = 0.0,
                   before: MagnitudeWork | None = None) -> tuple[Magnitudes, MagnitudeWork]:
    """The magnitudes with the scores ``target``, and the work, including that done ``before``.

    ``log_weight``, ``accuracy`` and ``enough`` are those of :func:`find_magnitudes`.
    """
    reduced, before = presolved.reduced, before or MagnitudeWork()
    found = find_magnitudes(
        presolved.problem.rows, reduced.start, target, reduced.active, reduced.label,
        own_columns=reduced.use_A, log_weight=log_weight, accuracy=accuracy, enough=enough,
        maxiter=(progress.maxiter or 100) - before.iterations,
        on_step=lambda iteration, error: progress("scaling", error))
    progress.nfev += found.evaluations
    found = replace(found, model=presolved.problem.model)
    return found, MagnitudeWork(before.iterations + found.iterations,
                                before.products + found.products, found.error)


def shift_to_sum(scores: Floats, total: float) -> Floats:
    """Add one number to the logits of all scores so that they sum to ``total``.

    The results lie inside (0, 1). The scores are returned unchanged if their sum is right to
    rounding, or if their number is not above ``total``.
    """
    if abs(scores.sum() - total) <= FEW_ROUNDINGS * total or total >= len(scores):
        return scores
    odds, shift = scores / (1.0 - scores), 0.0
    for _ in range(60):                 # steps of 1 go from any score to any other: log(1/ε) is 36
        shifted = odds * np.exp(shift)
        moved = shifted / (1.0 + shifted)
        excess = moved.sum() - total
        slope = (moved * (1.0 - moved)).sum()
        if abs(excess) <= 8.0 * EPS * total or slope == 0:      # stricter than the test above
            break
        shift -= float(np.clip(excess / slope, -1.0, 1.0))
    inside: Floats = np.clip(moved, TINY, 1.0 - EPS)
    return inside
