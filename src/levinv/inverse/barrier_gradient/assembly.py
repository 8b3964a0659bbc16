"""The result of gradient inversion: success, standard errors, message and evidence."""
from typing import Any

import numpy as np

from levinv._json import plain
from levinv._tolerances import EPS, EXACT_FLOPS, QUADRATIC, ZERO_ENTRY
from levinv._typing import Floats
from levinv.forward.gradient_loss import GradientLossPoint
from levinv.inverse.barrier_gradient.descend import Descent
from levinv.inverse.barrier_gradient.feasibility import Interior
from levinv.inverse.barrier_gradient.least_squares import loss_at
from levinv.inverse.barrier_gradient.problem import Problem, State
from levinv.inverse.barrier_gradient.subsampled import spectral_error
from levinv.inverse.result import InversionResult, Progress, without_scores

MESSAGES = {
    0: "The gradient is matched",
    1: "No x in the cell has this gradient",
    2: "The cell is empty",
    3: "The gradient is not matched at the best x found",
    4: "Stopped by the callback",
}


def _evidence(interior: Interior | None, certificate: Floats | None = None,
              **records: Any) -> dict[str, Any]:
    """The records that are not None, as plain numbers and lists; the certificate is an array."""
    records = {"start": interior and interior.least_slack, **records}
    known: dict[str, Any] = plain({key: value for key, value in records.items()
                                   if value is not None})
    return known if certificate is None else {**known, "certificate": certificate}


def without_start(problem: Problem, progress: Progress, interior: Interior | None, status: int,
                  reason: str) -> InversionResult:
    """The result if no starting point was found in the cell."""
    return without_scores(np.zeros(problem.map.shape[1]), -problem.b, status,
                          f"{MESSAGES[status]}: {reason}.", progress, _evidence(interior))


def assemble(descent: Descent, progress: Progress, interior: Interior | None,
             sampled: tuple[Floats, int] | None, sample_size: int) -> InversionResult:
    """The result at the last point."""
    state, problem = descent.state, descent.state.problem
    n, d = problem.map.shape
    exact = problem.always_exact or n * float(d) ** 3 <= EXACT_FLOPS
    hessian = state.hessian() if exact else state.factor @ state.factor.T
    floor, decrement = state.floor(), descent.decrement
    if problem.regularised:
        success = descent.reason == "converged"
    else:
        decrement = state.decrement() if exact else decrement
        enough = max(problem.tol, floor)
        success = (descent.reason != "stopped" and decrement <= enough
                   and floor <= max(problem.tol, QUADRATIC) and state.agrees(enough))
    status = 0 if success else {"stopped": 4, "no preimage": 1}.get(descent.reason, 3)
    sample = {} if sampled is None else {
        "sample_size": sample_size, "rows": sampled[1],
        "spectral_error": spectral_error(sampled[0], hessian) if exact else None}
    standard_errors, condition = np.full(d, np.inf), np.inf
    if success:
        standard_errors, condition = _sensitivity(state, hessian)
    slack = state.point.slack.copy()
    return InversionResult(
        x=state.x, fun=loss_at(state), scores=state.projection.scores.copy(), slack=slack,
        signs=np.sign(slack), success=success, status=status,
        message=_message(descent, status, decrement, floor), nit=progress.nit,
        nfev=progress.nfev,
        unique=(success and problem.convex and not problem.regularised
                and not problem.null_space.shape[1]),
        null_space=problem.null_space, alternatives=np.zeros((0, d)),
        standard_errors=standard_errors, condition=condition,
        evidence=_evidence(interior, descent.certificate, steps=descent.steps, decrement=decrement,
                           floor=floor, **sample))


def _sensitivity(state: State, hessian: Floats) -> tuple[Floats, float]:
    """Standard errors of x for rounding of g, and the condition number.

    Without a ridge dx = unit² S H⁻¹ Sᵀ dg, where H is the Hessian in the coordinates z. With a
    ridge x is a stationary point of the loss, and dx = (∇²L)⁻¹ ∇²V dg.
    """
    problem, steps = state.problem, state.projection.smallest_slack * state.projection.steps
    if problem.regularised:
        loss = GradientLossPoint(state.point, problem.g).hessian()
        loss += problem.map.rows.gram(None, None, problem.ridge ** 2)
        weighted = np.linalg.lstsq(loss, state.point.hessian() * problem.g, rcond=None)[0]
    else:
        weighted = steps @ state.solve(hessian, steps.T * problem.g)
        if problem.null_space.shape[1]:
            weighted -= problem.null_space @ (problem.null_space.T @ weighted)
    largest = np.max(np.abs(state.x))            # 2-norms of very large numbers would overflow
    condition = np.inf
    if largest > 0:
        condition = float(np.linalg.norm(weighted / largest, 2) / np.linalg.norm(state.x / largest))
    errors: Floats = 0.5 * EPS * np.linalg.norm(weighted, axis=1)
    undetermined = np.abs(problem.null_space).max(axis=1, initial=0.0) > ZERO_ENTRY
    errors[undetermined & (not problem.regularised)] = np.inf
    return errors, condition


def _message(descent: Descent, status: int, decrement: float, floor: float) -> str:
    problem = descent.state.problem
    if status == 0 and problem.regularised:
        return "A stationary point of the regularised objective."
    reasons = []
    if status == 0 and decrement > problem.tol:
        reasons.append(f"to the rounding of g and A x - b, Newton decrement {decrement:.2g}")
    if status == 0 and not problem.convex:
        reasons.append("a local solution, since the penalty is not known to be convex: another x "
                       "may have the same gradient")
    if status == 0 and problem.null_space.shape[1]:
        reasons.append("the gradient does not depend on the part of x in null_space")
    if status == 1:
        return _no_preimage(problem)
    if status == 3:
        why = {"maxiter": f"stopped at maxiter = {problem.maxiter} steps",
               "stalled": "no step improved it",
               "converged": "rounding leaves components of it unmatched",
               "overflow": "the target is too large to compute with"}
        reasons.append(f"{why.get(descent.reason, descent.reason)}, "
                       f"Newton decrement {decrement:.2g}")
        if floor > QUADRATIC:
            reasons.append(f"rounding of g and A x - b alone makes one of about {floor:.2g}")
    return MESSAGES[status] + (": " + "; ".join(reasons) if reasons else "") + "."


def _no_preimage(problem: Problem) -> str:
    if problem.bounded_by_signs:
        return (f"{MESSAGES[1]}: the cell is unbounded in a direction y with gᵀy >= 0 "
                "(evidence['certificate']).")
    return ("No x has this gradient: along y = evidence['certificate'] gᵀy is not below the "
            "largest slope of the penalty.")


def without_constant_part(state: State, progress: Progress, direction: Floats) -> InversionResult:
    """The result if g has another component along a direction than every gradient."""
    problem = state.problem
    given, every = problem.g @ direction, state.point.gradient() @ direction
    return without_scores(
        state.x, state.point.slack.copy(), 1,
        "No x has this gradient: along y = evidence['certificate'], in which the penalty is "
        f"linear, every gradient has the component {every:.10g}, and g has {given:.10g}.",
        progress, {"certificate": direction})
