"""Score inversion from a starting point: run a local method, report as the global method does.

All methods use exact derivatives of the loss for the weighting of the problem, so that none is
specific to the papers' 1/s².

The loss gives all residuals equal weight. At stationary points other than the solution, a few rows
of large score dominate it. If the trust region ends at such a point, it is started once more, from
the point that Levenberg-Marquardt reaches from x0 on the variance-stabilised residuals
(sigma - c)/√c. The result with the lower loss is returned.
"""
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np

from levinv._tolerances import EPS, MAXITER
from levinv._typing import Floats, MatrixLike
from levinv.forward.score_loss import ScoreLoss
from levinv.inverse.local.methods import (
    Outcome,
    ScaledLoss,
    gradient_descent,
    newton,
    trust_region,
)
from levinv.inverse.result import InversionResult, Progress, Stopped
from levinv.inverse.stages.loss import Loss
from levinv.inverse.stages.presolve import presolve
from levinv.inverse.stages.refine import minimise as fit
from levinv.inverse.stages.refine import refine
from levinv.inverse.values import Found, Presolved, Problem
from levinv.inverse.verdict.acceptance import is_solution
from levinv.inverse.verdict.report import report
from levinv.inverse.verdict.sides import other_sides

Method: TypeAlias = Literal["trust-region", "newton", "gradient-descent"]

METHODS: dict[Method, Callable[..., Outcome]] = {
    "trust-region": trust_region, "newton": newton, "gradient-descent": gradient_descent,
}
OPTIONS: dict[Method, tuple[str, ...]] = {
    "trust-region": ("initial_radius",), "newton": (),
    "gradient-descent": ("step", "strong_convexity"),
}
REMARKS = {
    "stationary": "a stationary point of the loss where the scores are not matched",
    "iterations": "maxiter = {limit} iterations reached",
    "stuck": "no step decreases the loss further",
}


def solve(problem: Problem, progress: Progress, method: Method, A: MatrixLike,
          ridge: float | Floats, options: dict[str, Any]) -> InversionResult:
    """Minimise the loss from ``problem.x0`` and report the outcome.

    With a ridge, success means a stationary point of the regularised loss. Without a ridge, it
    means that the scores are matched to ``tol``.
    """
    model = problem.model
    _check_domain(problem)
    presolved = presolve(problem)
    loss = ScoreLoss(A, problem.b, problem.scores, ridge=ridge, weighting=model.weighting,
                     prior_weights=None if model.log_prior is None else np.exp(model.log_prior))
    scaled = ScaledLoss(loss)
    limit = MAXITER[method] if progress.maxiter is None else progress.maxiter
    regularised = bool(np.any(ridge))
    assert problem.x0 is not None            # invert_scores has checked it
    latest, iterations = problem.x0, 0

    def on_step(iteration: int, y: Floats, misfit: float) -> None:
        nonlocal latest, iterations
        latest, iterations = y / scaled.units, iteration
        progress(method, misfit, latest)

    def minimise(start: Floats) -> Outcome:
        return METHODS[method](scaled, start * scaled.units, problem.tol, limit, on_step,
                               **options)

    ended = None                             # None: stopped by the callback
    try:
        outcome = minimise(problem.x0)
        if method == "trust-region" and outcome.reason == "stationary" and not regularised:
            outcome = _second_start(presolved, progress, scaled, minimise, outcome)
        latest, iterations = outcome.y / scaled.units, outcome.iterations
        ended = outcome.reason
    except Stopped:
        pass
    progress.nfev += scaled.nfev
    at_rest = ended in ("matched", "stationary", "stuck")
    remarks = ((REMARKS[ended].format(limit=limit),)
               if ended in REMARKS and not (regularised and at_rest) else ())
    found = Found(refine(presolved, latest, progress, maxiter=0), remarks=remarks,
                  stopped=ended is None)
    others = None
    if not found.stopped and found.best is not None and is_solution(presolved, found.best):
        others = other_sides(presolved, found.best, progress)
        found = replace(found, stopped=others.stopped)
    result = report(presolved, found, progress, others=others, converged=regularised and at_rest,
                    further_evidence={method: {
                        "iterations": iterations, "evaluations": scaled.nfev,
                        "ended": "stopped" if ended is None else ended}})
    result.fun = loss.fun(latest)
    return result


def _check_domain(problem: Problem) -> None:
    """Raise ValueError if a linear predictor at x0 is outside the domain of the link."""
    weighting = problem.model.weighting
    low, high = weighting.domain
    if np.isinf(low) and np.isinf(high):
        return
    assert problem.x0 is not None
    eta = problem.slack(problem.x0)
    outside = ~((eta > low) & (eta < high)) & problem.rows.nonzero()
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(f"x0 must keep the linear predictor in ({low:g}, {high:g}) for "
                         f"{weighting.name}, got {eta[row]:g} in row {row}")


def _second_start(presolved: Presolved, progress: Progress, scaled: ScaledLoss,
                  minimise: Callable[[Floats], Outcome], outcome: Outcome) -> Outcome:
    """The better of ``outcome`` and the outcome from the variance-stabilised fit."""
    problem, reduced = presolved.problem, presolved.reduced
    assert problem.x0 is not None
    weight = np.where(reduced.active, 1.0 / np.sqrt(np.maximum(problem.scores, EPS)), 0.0)
    stabilised = fit(Loss(reduced, problem.b, problem.scores, weight, presolved.null_dimension),
                     problem.x0)
    if stabilised is None:
        return outcome
    progress.nfev += stabilised.evaluations
    again = minimise(stabilised.point.x)
    better = again if scaled.fun(again.y) < scaled.fun(outcome.y) else outcome
    return replace(better, iterations=better.iterations + stabilised.iterations)
