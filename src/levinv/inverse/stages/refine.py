"""Stage 4: least squares on the whitened residual W (sigma(x) - c), W = diag(1/deviation).

For noisy scores the minimiser is the maximum-likelihood estimate, and the earlier stages give its
starting point. For exact scores the minimiser reaches the *information limit*: the Cramér-Rao bound
for rounding c to double.

Few rows: Levenberg-Marquardt, in the coordinates of :mod:`levinv.inverse.stages.whitened_jacobian`.
The presolve gives the dimension of the null space, and as many of the smallest singular values are
left out.

Many rows: the Jacobian costs tens of evaluations, the gradient g = JᵀW²(sigma - c) one. So the
Gauss-Newton matrix G is computed once, from a sample if there are very many rows. Steps -G⁻¹ g with
exact gradients converge to the same minimiser, linearly, at a rate given by the error of G. Each
step corrects G (BFGS; Broyden, Fletcher, Goldfarb and Shanno, 1970): in coordinates with G = I, a
step p and a change y of the gradient, G becomes I - p pᵀ/pᵀp + y yᵀ/yᵀp. A step lowers the residual
ten- to twentyfold. If steps stop helping while the residual is above its rounding error,
Levenberg-Marquardt takes over.
"""
import math
from dataclasses import replace

import numpy as np

from levinv import _tolerances
from levinv._tolerances import EPS, MAX_USELESS_STEPS
from levinv._typing import Booleans, Floats
from levinv.inverse.result import Progress
from levinv.inverse.stages.loss import Loss, StreamingLoss, Trial
from levinv.inverse.stages.whitened_jacobian import linearise, linearise_all
from levinv.inverse.values import Linearisation, Point, Presolved, Refined


def is_long(n: int, rank: int) -> bool:
    """Whether steps reuse one Jacobian."""
    return rank > 0 and n > max(_tolerances.DIRECT_ROWS, _tolerances.DIRECT_PER_RANK * rank)


def refine(presolved: Presolved, x: Floats, progress: Progress, maxiter: int | None = None, *,
           left_out: Booleans | None = None, brief: bool = False) -> Refined | None:
    """Stage 4 from x, without the rows ``left_out``; None if the scores are not defined at x."""
    problem, weight = presolved.problem, presolved.weight()
    if left_out is not None:
        weight[left_out] = 0.0

    maxiter = progress.maxiter if maxiter is None else maxiter
    loss = Loss(presolved.reduced, problem.b, problem.scores, weight, presolved.null_dimension,
                50 if maxiter is None else maxiter, lambda _, x, far: progress("polish", far, x))
    found = minimise(loss, x, brief)
    if found is not None:
        progress.nfev += found.evaluations
    return found


def minimise(loss: Loss, x: Floats, brief: bool = False) -> Refined | None:
    """Minimise the whitened residual from x; None if the scores are not defined there.

    For many rows a ``brief`` run ends when steps stop helping, without Levenberg-Marquardt.
    """
    if is_long(len(loss.b), loss.reduced.start.shape[1]):
        found = _quasi_newton(loss, x, MAX_USELESS_STEPS[brief])
        if found is None or not found.stuck or brief:
            return found
        start = found.point, found.iterations, found.evaluations
    else:
        point = loss.at(x)
        if point is None:
            return None
        start = point, 0, 1
    with np.errstate(over="ignore", invalid="ignore"):      # steps that overflow are refused
        return _levenberg_marquardt(loss, *start)


def _levenberg_marquardt(loss: Loss, point: Point, iteration: int, evaluations: int) -> Refined:
    """Steps that each use an exact Jacobian."""
    model, damping = linearise_all(point, loss.weight, loss.null_dimension), 0.0
    least = _tolerances.PREDICTED_DECREASE
    while iteration < loss.maxiter and _predicted(model) > least * point.norm ** 2:
        values = model.values
        step = model.steps @ (values * (values * model.left
                                        / (values ** 2 + damping * values[0] ** 2)))
        trial = loss.at(point.x - step)
        evaluations += 1
        if trial is None or trial.norm >= point.norm:
            # with 1/√ε a step is too short to change half of the digits
            if point.norm <= loss.rounding(point) or damping > 1.0 / math.sqrt(EPS):
                break
            damping = max(10.0 * damping, _tolerances.LEAST_DAMPING)
            continue
        point = trial
        model = linearise_all(point, loss.weight, loss.null_dimension)
        damping = 0.0 if damping < 10.0 * _tolerances.LEAST_DAMPING else damping / 10.0
        iteration += 1
        loss.on_step(iteration, point.x, point.max_residual)
    return Refined(point, model, iteration, evaluations)


def _predicted(model: Linearisation) -> float:
    """The decrease of the squared residual that the linear model predicts."""
    return float(model.left @ model.left)


def _quasi_newton(loss: Loss, x: Floats, patience: int) -> Refined | None:
    """Steps with a corrected Gauss-Newton matrix; None if the scores are not defined.

    A step is useless if it does not lower the residual, or leaves more than a part ``POOR_MODEL``
    of the predicted decrease. While the residual is above its rounding error, ``patience`` useless
    steps are allowed; at its rounding error, one.
    """
    trials = StreamingLoss(loss)
    best = trials.start(x)
    if best is None or best.point is None:
        return None
    model = linearise(best.point, loss.weight, loss.null_dimension)
    best = replace(best, point=None)
    iteration, evaluations, useless_steps, at_rounding, length = 0, 1, 0, False, 1.0
    while (iteration < loss.maxiter and useless_steps <= patience
           and _predicted(model) > _tolerances.PREDICTED_DECREASE * best.norm ** 2):
        step = length * model.left
        with np.errstate(over="ignore", invalid="ignore"):      # steps that overflow are refused
            move = model.steps @ step
        if np.all(np.abs(move) <= EPS * np.abs(best.x)):
            break
        trial = trials.at(best.x - move, 2.0 * best.norm)
        evaluations += 1
        better = trial is not None and trial.norm < best.norm
        if trial is None or trial.gradient is None:
            change = None
            length *= _tolerances.POOR_MODEL
        else:
            left = model.steps.T @ trial.gradient
            change = model.left - left
        useful = better and float(left @ left) <= _tolerances.POOR_MODEL * _predicted(model)
        if better:
            assert trial is not None
            best, model, length = trial, _moved(model, left), 1.0
            iteration += 1
            loss.on_step(iteration, best.x, best.max_residual)
        if useful:
            at_rounding = False
        else:
            above = _above_rounding(loss, trials, best, model)
            if above is None:
                return None
            best, is_above, explained = above
            if is_above:
                useless_steps += 1
            elif not better or at_rounding or explained:
                break
            else:                              # rounding hides the curvature
                at_rounding, change = True, None
        if change is not None:
            model = _corrected(model, step, change)
    else:
        if iteration and useless_steps <= patience:  # corrections include second derivatives
            best = trials.with_point(best)
            if best.point is None:
                return None
            model = linearise(best.point, loss.weight, loss.null_dimension)
    point = trials.with_point(best).point
    return (None if point is None
            else Refined(point, model, iteration, evaluations, useless_steps > patience))


def _above_rounding(loss: Loss, trials: StreamingLoss, best: Trial,
                    model: Linearisation) -> tuple[Trial, bool, bool] | None:
    """The trial, whether its residual is above its rounding error, and whether rounding explains
    the part of the residual in the range of the Jacobian; None if the scores are not defined.

    Rounding errors are independent of the Jacobian: the part k/n of their squared norm is in its
    range. Ten times that is beyond chance and the errors of a sampled Jacobian.
    """
    part = _predicted(model) / best.norm ** 2
    above = True
    if part <= 1.0:
        best = trials.with_point(best)
        if best.point is None:
            return None
        above = best.norm > loss.rounding(best.point)
    return best, above, part < 10.0 * len(model.left) / len(loss.weight)


def _moved(model: Linearisation, left: Floats) -> Linearisation:
    """The linearisation with ``left`` at another point, where its Jacobian does not hold."""
    return replace(model, left=left, rotation=None, blocks=None)


def _corrected(model: Linearisation, step: Floats, change: Floats) -> Linearisation:
    """The linearisation in coordinates in which the corrected Gauss-Newton matrix is I."""
    curvature = float(step @ change)
    if not 1e-3 * np.linalg.norm(step) * np.linalg.norm(change) < curvature < np.inf:
        return model                     # the loss is not convex along the step, or hardly
    matrix = np.eye(len(step)) - np.outer(step, step / (step @ step))
    matrix += np.outer(change, change / curvature)
    values, vectors = np.linalg.eigh(matrix)
    vectors /= np.sqrt(values)
    return replace(_moved(model, vectors.T @ model.left), steps=model.steps @ vectors)
