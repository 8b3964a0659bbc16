"""Score inversion from a starting point: runs a local method and reports as the global one does.

The loss weighs all residuals alike, and at another stationary point of it a few rows of large score
outvote the rest. Where the trust region ends at one, it is started once more, from the point that
Levenberg-Marquardt reaches from x0 on the variance-stabilised residuals (sigma - c)/√c; the lower
loss counts.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np

from levinv._typing import Floats, MatrixLike
from levinv.forward.score_loss import ScoreLoss
from levinv.inverse.found import Found
from levinv.inverse.local import gradient_descent, newton, trust_region
from levinv.inverse.local.loss import (
    ITERATIONS,
    MATCHED,
    REASONS,
    STATIONARY,
    STUCK,
    LocalMethod,
    Outcome,
    Report,
    ScaledLoss,
)
from levinv.inverse.progress import Progress, Stopped
from levinv.inverse.result import InversionResult
from levinv.inverse.stages.presolve import presolve
from levinv.inverse.stages.refine import minimise, refine
from levinv.inverse.values import Limits, Presolved, Problem
from levinv.inverse.verdict.report import report as assemble

Method: TypeAlias = Literal["trust-region", "newton", "gradient-descent"]

METHODS: dict[Method, LocalMethod] = {
    "trust-region": trust_region, "newton": newton, "gradient-descent": gradient_descent,
}


def solve(problem: Problem, limits: Limits, progress: Progress, method: Method, A: MatrixLike,
          ridge: float | Floats, options: dict[str, Any]) -> InversionResult:
    """Minimise the loss from ``task.x0`` and report where that ended.

    With a ridge, success is a stationary point of the regularised loss; without, scores matched to
    ``tol``.
    """
    module = METHODS[method]
    presolved = presolve(problem)
    loss = ScoreLoss(A, problem.b, problem.scores, ridge=ridge)
    scaled = ScaledLoss(loss)
    limit = module.MAXITER if limits.maxiter is None else limits.maxiter
    assert problem.x0 is not None               # invert_scores has asked for it
    x, iterations, reason = problem.x0, 0, None

    def report(iteration: int, y: Floats, misfit: float) -> None:
        nonlocal x, iterations
        x, iterations = y / scaled.units, iteration
        progress(method, misfit, x)

    try:
        outcome = module.minimise(scaled, x * scaled.units, problem.tol, limit, report, **options)
        if method == "trust-region" and outcome.reason == STATIONARY and not np.any(ridge):
            outcome = _second_start(presolved, progress, scaled, outcome, limit, report, options)
        x, reason, iterations = outcome.x / scaled.units, outcome.reason, outcome.iterations
    except Stopped:                          # at the last x that was reported
        pass
    progress.nfev += scaled.nfev
    regularised = bool(np.any(ridge))
    remarks: tuple[str, ...] = ()
    if reason in (STATIONARY, ITERATIONS, STUCK) and not (regularised and reason != ITERATIONS):
        remarks = (REASONS[reason].format(limit=limit),)
    converged = reason == MATCHED or (regularised and reason in (STATIONARY, STUCK))
    refined = refine(presolved, x, progress, maxiter=0)
    result = assemble(
        presolved, Found(refined, remarks=remarks, stopped=reason is None), progress,
        converged=regularised and converged,
        further_evidence={method: {"iterations": iterations, "evaluations": scaled.nfev,
                                   "ended": reason or "stopped"}})
    result.fun = loss.fun(x)
    return result


def _second_start(presolved: Presolved, progress: Progress, scaled: ScaledLoss, outcome: Outcome, limit: int,
                  report: Report, options: dict[str, Any]) -> Outcome:
    problem, reduced = presolved.problem, presolved.reduced
    assert problem.x0 is not None
    weight = np.where(reduced.active, 1.0 / np.sqrt(np.maximum(problem.scores, 1e-12)), 0.0)
    start = minimise(reduced, problem.b, problem.x0, problem.scores, weight,
                     presolved.null_dimension)
    if start is None:
        return outcome
    progress.nfev += start.evaluations
    again = trust_region.minimise(scaled, start.point.x * scaled.units, problem.tol, limit, report,
                                  **options)
    if scaled.fun(again.x) < scaled.fun(outcome.x):
        outcome = again
    return replace(outcome, iterations=outcome.iterations + start.iterations)
