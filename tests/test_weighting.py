"""The two maps, x -> log weights -> scores: their composition holds for any weighting with constant
curvature, and w = 1/s² is one of these.
"""
import numpy as np
import pytest
from levinv.weighting.inverse_square import INVERSE_SQUARE
from numpy.testing import assert_allclose, assert_array_equal

from levinv import LeverageMap, leverage_scores
from levinv.forward.barrier import BarrierPoint
from levinv.forward.gradient_loss import GradientLossPoint
from levinv.forward.leverage_map import ScoreMap
from levinv.forward.score_hessian import ScoreHessian


class Power:
    """w = |s|^(-q): τ = -q log|s|, τ' = -q/s, τ'' = q/s²."""

    def __init__(self, q):
        self.q = q

    def magnitude(self, slack):
        return np.abs(slack) ** (self.q / 2)

    def times_slope(self, values, slack):
        return 0.5 * self.q * values / slack

    def curvature(self, slack):
        return 4.0 / self.q


class Exponential:
    """w = exp(s)."""

    def magnitude(self, slack):
        return np.exp(-slack / 2)

    def times_slope(self, values, slack):
        return -0.5 * values * np.ones_like(slack)

    def curvature(self, slack):
        return 0.0


WEIGHTINGS = [Power(1.0), Power(1.5), Power(4.0), Exponential()]


def derivative(function, x, h=1e-4):
    """By central differences of fourth order, last axis: along which coordinate of x."""
    def difference(e):
        return (8.0 * (function(x + h * e) - function(x - h * e))
                - function(x + 2 * h * e) + function(x - 2 * h * e)) / (12.0 * h)
    return np.stack([difference(e) for e in np.eye(len(x))], axis=-1)


@pytest.fixture(params=[(9, 3), (60, 3)], ids=["short", "tall"])
def problem(request, rng):
    n, d = request.param
    A, x, s = rng.normal(size=(n, d)), rng.normal(size=d), rng.uniform(0.5, 2.0, n)
    return A, A @ x - s, x


def scores(A, b, x, weighting):
    return leverage_scores(A, slack=weighting.magnitude(A @ x - b))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_jacobian(problem, weighting):
    A, b, x = problem
    inner = ScoreMap(A, b, weighting)
    point = inner.at(x)
    assert_allclose(point.projection.scores, scores(A, b, x, weighting), rtol=1e-12)
    expected = derivative(lambda x: scores(A, b, x, weighting), x)
    assert_allclose(inner.jacobian(point), expected, atol=1e-9)
    y = np.linspace(-1.0, 1.0, len(b))
    assert_allclose(inner.pull(point, y), expected.T @ y, atol=1e-8)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_hessian_of_the_score_loss(problem, weighting):
    A, b, x = problem
    target = np.linspace(0.0, 1.0, len(b))
    inner = ScoreMap(A, b, weighting)

    def gradient(x):
        point = inner.at(x)
        return inner.pull(point, point.projection.scores - target)

    slack, projection = inner.at(x)
    found = ScoreHessian(inner.rows, projection, slack, projection.scores - target, weighting)
    expected = derivative(gradient, x)
    for hessian in (found.hessian(), found._short(), found._tall(),
                    np.stack([found.product(e) for e in np.eye(len(x))], axis=-1)):
        assert_allclose(hessian, expected, rtol=1e-7, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_barrier(problem, weighting):
    A, b, x = problem
    inner = ScoreMap(A, b, weighting)

    def at(x):
        return BarrierPoint(inner.rows, *inner.at(x), weighting)

    def value(x):
        scaled = A / weighting.magnitude(A @ x - b)[:, None]
        return 0.5 * np.linalg.slogdet(scaled.T @ scaled)[1]

    assert_allclose(at(x).value(), value(x), rtol=1e-12)
    assert_allclose(at(x).gradient(), derivative(value, x), rtol=1e-8, atol=1e-9)
    expected = derivative(lambda x: at(x).gradient(), x)
    assert_allclose(at(x).hessian(), expected, rtol=1e-7, atol=1e-8)
    assert_allclose(at(x).product(x), expected @ x, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_hessian_of_the_gradient_loss(problem, weighting):
    A, b, x = problem
    inner, target = ScoreMap(A, b, weighting), np.linspace(-1.0, 1.0, len(x))

    def at(x):
        return GradientLossPoint(BarrierPoint(inner.rows, *inner.at(x), weighting), target)

    expected = derivative(lambda x: at(x).gradient(), x)
    scale = np.abs(expected).max()
    assert_allclose(at(x).hessian(), expected, rtol=1e-7, atol=1e-8 * scale)
    assert_allclose(at(x).product(x), expected @ x, rtol=1e-7, atol=1e-7 * scale)


def test_the_inverse_square_is_a_power(problem):
    A, b, x = problem
    slack = A @ x - b
    assert_array_equal(INVERSE_SQUARE.magnitude(slack), np.abs(slack))
    assert_array_equal(INVERSE_SQUARE.times_slope(b, slack), b / slack)
    assert INVERSE_SQUARE.curvature(slack) == Power(2.0).curvature(slack)
    assert_allclose(LeverageMap(A, b).jacobian(x), ScoreMap(A, b, Power(2.0)).jacobian(
        ScoreMap(A, b, Power(2.0)).at(x)), rtol=1e-10, atol=1e-13)


def test_the_inverse_square_at_a_zero_slack():
    slack = np.array([2.0, 0.0, -4.0])
    assert_array_equal(INVERSE_SQUARE.times_slope(1.0, slack), [0.5, 0.0, -0.25])
    assert_array_equal(INVERSE_SQUARE.magnitude(slack), [2.0, 0.0, 4.0])
