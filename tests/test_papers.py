"""levinv.papers: the literal formulas agree with the definitions where they are right, and do what
they say.

Where they are wrong: test_errata.py.
"""
import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles
from levinv import papers


@pytest.fixture
def problem(rng):
    """A, b, x and a target c."""
    return rng.normal(size=(9, 3)), rng.normal(size=9), rng.normal(size=3), rng.uniform(size=9)


def along(A, b, x, j):
    """The leverage score matrix as a function of x_j's displacement."""
    return lambda t: oracles.projection(A / (A @ (x + t * np.eye(len(x))[j]) - b)[:, None])


def test_leverage_matrix_and_its_derivative(problem):
    A, b, x, _ = problem
    P = papers.leverage_matrix(A, b, x)
    assert_allclose(P, along(A, b, x, 0)(0.0), atol=1e-13)
    for j in range(3):
        expected = oracles.central_difference(along(A, b, x, j), 0.0, 1.0, 1e-4)
        assert_allclose(papers.leverage_derivative(A, b, x, j), expected, atol=1e-8)
        assert_allclose(np.diag(papers.leverage_derivative(A, b, x, j)),
                        oracles.jacobian(A, A @ x - b)[:, j], atol=1e-12)


def test_gradient(problem, golden):
    A, b, x, c = problem
    slack = A @ x - b
    expected = oracles.jacobian(A, slack).T @ (oracles.scores(A / slack[:, None]) - c)
    assert_allclose(papers.gradient(A, b, c, x), expected, atol=1e-12)
    if golden["name"] != "graded":
        found = papers.gradient(golden["A"], golden["b"], golden["c"], golden["x"])
        assert_allclose(found, golden["loss_gradient"], rtol=1e-9)


def test_the_six_terms_of_a_row_from_their_definition(problem):
    """Entry by entry, by inner products, as Lemma C.3 part 1 writes them."""
    A, b, x, _ = problem
    B, P = papers.scaled_rows(A, b, x), papers.leverage_matrix(A, b, x)
    i, d = 4, 3
    p, s = P[:, i], P[i, i]
    expected = np.empty((6, d, d))
    for k in range(d):
        for j in range(d):
            expected[:, k, j] = [
                4 * (p * p @ B[:, k]) * (p * p @ B[:, j]),
                -8 * s * (p * p @ B[:, j]) * B[i, k],
                -8 * s * (p * p @ B[:, k]) * B[i, j],
                10 * s * s * B[i, k] * B[i, j],
                8 * s * (P * np.outer(B[:, j] * p, B[:, k] * p)).sum(),
                -6 * s * (p * p @ (B[:, k] * B[:, j])),
            ]
    assert_allclose(papers.hessian_terms(A, b, x, row=i), expected, atol=1e-12)
    total = sum(papers.hessian_terms(A, b, x, row=i) for i in range(len(A)))
    assert_allclose(papers.hessian_terms(A, b, x), total, atol=1e-12)
    assert_allclose(papers.hessian(A, b, x), total.sum(axis=0), atol=1e-12)


def test_first_order_method(problem):
    A, b, x, c = problem
    points = papers.first_order_method(A, b, c, x, 1e-3, 5)
    assert points.shape == (6, 3)
    assert_array_equal(points[0], x)
    for before, after in itertools.pairwise(points):
        assert_allclose(after, before - 1e-3 * papers.gradient(A, b, c, before), rtol=1e-14)


def test_second_order_method(problem):
    A, b, x, c = problem
    points = papers.second_order_method(A, b, c, x, 3)
    for before, after in itertools.pairwise(points):
        assert_allclose(papers.hessian(A, b, before) @ (after - before),
                        -papers.gradient(A, b, c, before),
                        atol=1e-9 * np.abs(papers.hessian(A, b, before)).max())


def test_second_order_method_is_not_newtons(rng):
    """Near a solution, where levinv's Newton steps converge quadratically, the printed Hessian's do
    not.
    """
    A, x = rng.normal(size=(60, 3)), rng.normal(size=3)
    b = A @ x - rng.choice([-1, 1], 60) * rng.uniform(1, 2, 60)
    c = oracles.scores(A / (A @ x - b)[:, None])
    start = x + 1e-4
    printed = papers.second_order_method(A, b, c, start, 2)
    assert np.linalg.norm(printed[2] - x) > 1e-6
    exact = start
    for _ in range(2):
        J = oracles.jacobian(A, A @ exact - b)      # at the solution r = 0: the Hessian is JᵀJ
        exact = exact - np.linalg.solve(J.T @ J, papers.gradient(A, b, c, exact))
    assert np.linalg.norm(exact - x) < 1e-9


def test_averaged_descent(problem):
    A, b, x, c = problem
    points, average = papers.averaged_descent(A, b, c, x, 50.0, 4)
    assert points.shape == (4, 3)
    assert_allclose(points[1], x - 2 / (50.0 * 2) * papers.gradient(A, b, c, x), rtol=1e-14)
    assert_allclose(points[3], points[2] - 2 / (50.0 * 4) * papers.gradient(A, b, c, points[2]),
                    rtol=1e-14)
    assert_allclose(average,
                    (2 * points[0] + 4 * points[1] + 6 * points[2] + 8 * points[3]) / 20 ** 2)


def test_constants():
    assert papers.row_norm_bound(0.05, 2.0) == 0.1
    assert papers.curvature_bound(0.05) == pytest.approx(2.2)
    assert papers.convexifying_ridge(0.05, 1.0, 0.5) == pytest.approx(1.8 ** 0.5)
    assert papers.convexifying_ridge(0.05, 1.0, 1.0) == 0.0
    assert papers.leverage_lipschitz(0.1, 2.0) == pytest.approx(2.4e8)
    assert papers.hessian_lipschitz(0.1, 1.0) == pytest.approx(8.12e11)
    assert papers.contraction_factor(0.1, 1.0, 1.0, 0.0) == pytest.approx(2 / 9)
    assert papers.newton_iterations(np.e, 1.0) == pytest.approx(1.0)
    assert papers.averaged_descent_gap(2.0, 3.0, 8) == 1.0


@pytest.mark.parametrize("call, error, message", [
    (lambda: papers.scaled_rows([[1.0], [1.0]], [0.0, 1.0], [0.0]), ValueError, "got 0 in row 0"),
    (lambda: papers.leverage_matrix([[1.0, 2.0]], [1.0], [0.0, 0.0]), ValueError,
     "A must have at least"),
    (lambda: papers.hessian_terms([[1.0]], [1.0], [0.0], row=1), ValueError,
     "row must be between 0 and 0"),
    (lambda: papers.hessian_terms([[1.0]], [1.0], [0.0], part=3), ValueError,
     "part must be 1 or 2"),
    (lambda: papers.gradient([[1.0]], [1.0], [0.5, 0.5], [0.0]), ValueError,
     "c must have length 1"),
    (lambda: papers.first_order_method([[1.0]], [1.0], [0.5], [0.0], 0.0, 1), ValueError,
     "step must be"),
    (lambda: papers.second_order_method([[1.0]], [1.0], [0.5], [0.0], 0), ValueError,
     "iterations must be"),
    (lambda: papers.second_order_method([[1.0]] * 2, [1.0] * 2, [0.5] * 2, [0.0], 1),
     np.linalg.LinAlgError, "Singular"),
])
def test_door(call, error, message):
    with pytest.raises(error, match=message):
        call()
