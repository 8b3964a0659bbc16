"""A caller's code as a type checker sees it; run by test_typing.py, so that the types are true."""
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

from levinv import GradientLoss, LeverageMap, ScoreLoss, VolumetricBarrier, leverage_scores
from levinv.data import load_diabetes

Floats = npt.NDArray[np.float64]

A = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
B = [-1.0, -1.0, -3.0]
X = np.zeros(2)


def leverage() -> list[Any]:
    return [
        assert_type(leverage_scores(A), Floats),
        assert_type(leverage_scores([[1, 0], [0, 1], [1, 1]], slack=[1, 2, 3], method="qr"), Floats),
        assert_type(leverage_scores(A, weights=(1, 2, 3), rcond=1e-12, workers=2), Floats),
    ]


def maps() -> list[Any]:
    scores_at = LeverageMap(A, B)
    assert_type(scores_at.shape, tuple[int, int])
    return [
        assert_type(scores_at.slack(X), Floats),
        assert_type(scores_at.scores([0, 0]), Floats),
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


def arrays() -> list[Any]:
    """All that is said to be an array of float64 numbers."""
    return [*leverage(), *maps(), *losses(), *data()]
