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
from levinv.inverse.driver import report_at
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
from levinv.inverse.result import InversionResult, Stopped
from levinv.inverse.stages.refine import polish
from levinv.inverse.task import Task, prepare

Method: TypeAlias = Literal["trust-region", "newton", "gradient-descent"]

METHODS: dict[Method, LocalMethod] = {
    "trust-region": trust_region, "newton": newton, "gradient-descent": gradient_descent,
}


def solve(task: Task, method: Method, A: MatrixLike, ridge: float | Floats,
          options: dict[str, Any]) -> InversionResult:
    """Minimise the loss from ``task.x0`` and report where that ended.

    With a ridge, success is a stationary point of the regularised loss; without, scores matched to
    ``tol``.
    """
    module = METHODS[method]
    prepare(task)
    loss = ScoreLoss(A, task.b, task.scores, ridge=ridge)
    scaled = ScaledLoss(loss)
    limit = module.MAXITER if task.maxiter is None else task.maxiter
    assert task.x0 is not None               # invert_scores has asked for it
    x, iterations, reason = task.x0, 0, None

    def report(iteration: int, y: Floats, misfit: float) -> None:
        nonlocal x, iterations
        x, iterations = y / scaled.units, iteration
        task.progress(method, misfit, x)

    try:
        outcome = module.minimise(scaled, x * scaled.units, task.tol, limit, report, **options)
        if method == "trust-region" and outcome.reason == STATIONARY and not np.any(ridge):
            outcome = _second_start(task, task.x0, scaled, outcome, limit, report, options)
        x, reason, iterations = outcome.x / scaled.units, outcome.reason, outcome.iterations
    except Stopped:                          # at the last x that was reported
        pass
    task.nfev += scaled.nfev
    task.evidence[method] = {"iterations": iterations, "evaluations": scaled.nfev,
                             "ended": reason or "stopped"}
    regularised = bool(np.any(ridge))
    if reason in (STATIONARY, ITERATIONS, STUCK) and not (regularised and reason != ITERATIONS):
        task.remarks.append(REASONS[reason].format(limit=limit))
    converged = reason == MATCHED or (regularised and reason in (STATIONARY, STUCK))
    return report_at(task, x, stopped=reason is None, fun=loss.fun(x),
                     converged=regularised and converged)


def _second_start(task: Task, x0: Floats, scaled: ScaledLoss, outcome: Outcome, limit: int,
                  report: Report, options: dict[str, Any]) -> Outcome:
    freedom = int(np.count_nonzero(task.range.inside))
    weight = np.where(task.reduced.active, 1.0 / np.sqrt(np.maximum(task.scores, 1e-12)), 0.0)
    start = polish(task.reduced, task.b, x0, task.scores, weight, freedom)
    if start is None:
        return outcome
    task.nfev += start.evaluations
    again = trust_region.minimise(scaled, start.point.x * scaled.units, task.tol, limit, report,
                                  **options)
    if scaled.fun(again.x) < scaled.fun(outcome.x):
        outcome = again
    return replace(outcome, iterations=outcome.iterations + start.iterations)
