"""A caller's code as a type checker sees it; run by test_typing.py, so that the types are true."""
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult

from levinv import (
    AuditReport,
    GradientLoss,
    InversionResult,
    LeverageMap,
    ManyResult,
    ScoreLoss,
    VolumetricBarrier,
    audit,
    forster_weights,
    invert_gradient,
    invert_many,
    invert_scores,
    leverage_scores,
    papers,
    theory,
)
from levinv.data import load_diabetes

Floats = npt.NDArray[np.float64]

A = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
B = [-1.0, -1.0, -3.0]
X = np.zeros(2)


def leverage() -> list[Any]:
    return [
        assert_type(leverage_scores(A), Floats),
        assert_type(leverage_scores([[1, 0], [0, 1], [1, 1]], slack=[1, 2, 3], method="qr"),
                    Floats),
        assert_type(leverage_scores(A, weights=(1, 2, 3), rcond=1e-12, workers=2), Floats),
    ]


def maps() -> list[Any]:
    scores_at = LeverageMap(A, B)
    assert_type(scores_at.shape, tuple[int, int])
    return [
        assert_type(scores_at.slack(X), Floats),
        assert_type(scores_at.scores([0, 0]), Floats),
        assert_type(scores_at.scores(np.zeros((3, 2)), out=np.empty((3, 3))), Floats),
        assert_type(scores_at.jvp(X, [1.0, 0.0]), Floats),
        assert_type(scores_at.vjp(X, [1.0, 0.0, 0.0]), Floats),
        assert_type(scores_at.jacobian(X), Floats),
    ]


def losses() -> list[Any]:
    score_loss = ScoreLoss(A, B, [0.5, 0.5, 0.5], ridge=0.1)
    value, gradient = assert_type(score_loss.fun_and_grad(X), tuple[float, Floats])
    gradient_loss = GradientLoss(A, B, [0.1, 0.2], ridge=[0.1, 0.1, 0.1])
    barrier = VolumetricBarrier(A, B)
    numbers = [
        value,
        assert_type(score_loss.fun(X), float),
        assert_type(score_loss.fun([0.0, 1.0]), float),
        assert_type(gradient_loss.fun(X), float),
        assert_type(barrier.fun(X), float),
    ]
    assert all(isinstance(number, float) for number in numbers)
    return [
        gradient,
        assert_type(score_loss.hess(X), Floats),
        assert_type(score_loss.hess_terms(X, row=1), Floats),
        assert_type(score_loss.hessp(X, [1.0, 0.0]), Floats),
        assert_type(score_loss.residuals(X), Floats),
        assert_type(score_loss.residuals_jac(X), Floats),
        assert_type(gradient_loss.grad(X), Floats),
        assert_type(gradient_loss.hess(X), Floats),
        assert_type(barrier.grad(X), Floats),
        assert_type(barrier.hessp(X, X), Floats),
    ]


def data() -> list[Any]:
    rows, response, names = assert_type(load_diabetes(), tuple[Floats, Floats, list[str]])
    assert all(isinstance(name, str) for name in names)
    return [rows, response]


def told_all(intermediate_result: OptimizeResult) -> None:
    assert intermediate_result.nit > 0


def told_x(x: Floats) -> None:
    assert x.shape == (2,)


def inversions() -> list[Any]:
    scores = leverage_scores(A, slack=A @ X - B)
    found = assert_type(invert_scores(A, B, scores, signs=1, rng=0, callback=told_all),
                        InversionResult)
    again = invert_scores(A, B, scores, signs=[1, 1, 1], x0=[0.1, 0], method="trust-region",
                          options={"initial_radius": 0.1}, callback=told_x)
    assert_type(found.success and again.success, bool)
    cell = assert_type(invert_gradient(A, B, VolumetricBarrier(A, B).grad(X), signs=1),
                       InversionResult)
    many = assert_type(invert_many(A, [B, B], [scores, scores], noise=1e-4, rng=0), ManyResult)
    assert_type(many.success, npt.NDArray[np.bool_])
    return [
        assert_type(found.x, Floats),
        assert_type(found.null_space, Floats),
        assert_type(again.standard_errors, Floats),
        assert_type(cell.slack, Floats),
        assert_type(many.x, Floats),
        assert_type(forster_weights(A), Floats),
    ]


def audits() -> list[Any]:
    report = assert_type(audit(A, B, X, decimals=3, names=["first", "second"]), AuditReport)
    assert isinstance(assert_type(report.verdict, str), str)
    numbers = [
        assert_type(report.recovered_error, float),
        assert_type(report.safe_noise(0.1), float),
        assert_type(report.decimals_attacked[3]["predicted_error"], float),
    ]
    assert all(isinstance(number, float) for number in numbers)
    assert assert_type(report.safe_decimals(0.1), float | None) != -1
    return [
        assert_type(report.standard_errors, Floats),
        assert_type(report.relative_errors, Floats),
        assert_type(report.recovered_x, Floats),
        assert_type(report.attack.x, Floats),
    ]


def analysis() -> list[Any]:
    below, above = assert_type(theory.curvature_bound(0.5), tuple[float, float])
    bound = assert_type(theory.slack_bound(A, B, X, radius=0.1), float)
    assert_type(theory.newton_iterations(0.1, 1e-12, 1.0, 1.0), int)
    assert all(isinstance(number, float) for number in (below, above, bound))
    return [
        assert_type(papers.hessian(A, B, X, part=2), Floats),
        assert_type(papers.hessian_terms(A, B, X), Floats),
        assert_type(papers.first_order_method(A, B, [0.5, 0.5, 1.0], X, 0.1, 2), Floats),
    ]


def arrays() -> list[Any]:
    """All that is said to be an array of float64 numbers."""
    return [*leverage(), *maps(), *losses(), *data(), *inversions(), *audits(), *analysis()]
