"""Score inversion from a starting point: runs a local method, reports as the global method does.

The loss weighs all residuals alike. At stationary points other than the solution a few rows of
large score outvote the rest. Where the trust region ends at such a point, it is started once more,
from the point that Levenberg-Marquardt reaches from x0 on the variance-stabilised residuals
(sigma - c)/√c. The lower loss counts.
"""
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np

from levinv._tolerances import EPS, MAXITER
from levinv._typing import Floats, MatrixLike
from levinv.forward.score_loss import ScoreLoss
from levinv.inverse.driver import report_at
from levinv.inverse.local import gradient_descent, newton, trust_region
from levinv.inverse.local.loss import Outcome, Reason, ScaledLoss
from levinv.inverse.result import InversionResult, Stopped
from levinv.inverse.stages.refine import polish
from levinv.inverse.task import Task, prepare

Method: TypeAlias = Literal["trust-region", "newton", "gradient-descent"]

METHODS: dict[Method, Callable[..., Outcome]] = {
    "trust-region": trust_region.minimise, "newton": newton.minimise,
    "gradient-descent": gradient_descent.minimise,
}
OPTIONS: dict[Method, tuple[str, ...]] = {
    "trust-region": ("initial_radius",), "newton": (),
    "gradient-descent": ("step", "strong_convexity"),
}
REMARKS = {
    Reason.STATIONARY: "a stationary point of the loss where the scores are not matched",
    Reason.ITERATIONS: "maxiter = {limit} iterations reached",
    Reason.STUCK: "no step decreases the loss further",
}


def solve(task: Task, method: Method, A: MatrixLike, ridge: float | Floats,
          options: dict[str, Any]) -> InversionResult:
    """Minimise the loss from ``task.x0`` and report where that ended.

    With a ridge, success is a stationary point of the regularised loss; without, scores matched to
    ``tol``.
    """
    prepare(task)
    loss = ScoreLoss(A, task.b, task.scores, ridge=ridge)
    scaled = ScaledLoss(loss)
    limit = MAXITER[method] if task.maxiter is None else task.maxiter
    regularised = bool(np.any(ridge))
    assert task.x0 is not None               # invert_scores has asked for it
    latest, iterations = task.x0, 0

    def report(iteration: int, y: Floats, misfit: float) -> None:
        nonlocal latest, iterations
        latest, iterations = y / scaled.units, iteration
        task.progress(method, misfit, latest)

    def minimise(start: Floats) -> Outcome:
        return METHODS[method](scaled, start * scaled.units, task.tol, limit, report, **options)

    ended = None                             # stopped by the callback
    try:
        outcome = minimise(task.x0)
        if method == "trust-region" and outcome.reason == Reason.STATIONARY and not regularised:
            outcome = _second_start(task, scaled, minimise, outcome)
        latest, iterations = outcome.y / scaled.units, outcome.iterations
        ended = outcome.reason
    except Stopped:
        pass
    task.nfev += scaled.nfev
    task.evidence[method] = {"iterations": iterations, "evaluations": scaled.nfev,
                             "ended": "stopped" if ended is None else ended.value}
    at_rest = ended in (Reason.MATCHED, Reason.STATIONARY, Reason.STUCK)
    if ended in REMARKS and not (regularised and at_rest):
        task.remarks.append(REMARKS[ended].format(limit=limit))
    return report_at(task, latest, stopped=ended is None, fun=loss.fun(latest),
                     converged=regularised and at_rest)


def _second_start(task: Task, scaled: ScaledLoss, minimise: Callable[[Floats], Outcome],
                  outcome: Outcome) -> Outcome:
    """The better of ``outcome`` and what the method finds from the variance-stabilised fit."""
    assert task.x0 is not None
    weight = np.where(task.reduced.active, 1.0 / np.sqrt(np.maximum(task.scores, EPS)), 0.0)
    stabilised = polish(task.reduced, task.b, task.x0, task.scores, weight,
                        int(np.count_nonzero(task.range.inside)))
    if stabilised is None:
        return outcome
    task.nfev += stabilised.evaluations
    again = minimise(stabilised.point.x)
    better = again if scaled.fun(again.y) < scaled.fun(outcome.y) else outcome
    return replace(better, iterations=better.iterations + stabilised.iterations)
