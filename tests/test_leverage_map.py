"""LeverageMap: slack, scores and derivatives at ordinary points (test_projection.py: near zero
slacks).
"""
import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles
from designs import LAYOUTS, conditioned, frozen, integer_matrices, layouts, magnitudes
from levinv import LeverageMap, leverage_scores


@pytest.fixture
def problem(rng):
    """A, b, x, a direction in x and one in the scores."""
    return (rng.normal(size=(25, 4)), rng.normal(size=25), rng.normal(size=4), rng.normal(size=4),
            rng.normal(size=25))


# values

def test_hand_computed():
    # One column: sigma_i = w_i / sum w with w = a²/s².
    leverage = LeverageMap([[1.0], [1.0]], [-1.0, -2.0])
    assert_allclose(leverage.scores([0.0]), [0.8, 0.2], rtol=1e-15)
    # w_1/w_2 = ((x+2)/(x+1))²; d sigma_1 = sigma_1 sigma_2 d log(w_1/w_2) = 0.16 (2/2 - 2/1)
    assert_allclose(leverage.jacobian([0.0]), [[-0.16], [0.16]], rtol=1e-14)


def test_golden(golden):
    rtol = 1e-9 if golden["name"] == "graded" else 1e-11
    leverage, x = LeverageMap(golden["A"], golden["b"]), golden["x"]
    n, d = golden["A"].shape
    assert_allclose(leverage.scores(x), golden["scores"], rtol=rtol)
    assert_allclose(leverage.jacobian(x), golden["jacobian"], rtol=rtol)
    jacobian = oracles.exact(golden["jacobian"])
    for v in np.vstack([np.eye(d), np.linspace(-1.0, 2.0, d)]):
        assert_within(leverage.jvp(x, v), jacobian @ v, np.abs(jacobian) @ np.abs(v), rtol)
    for y in np.vstack([np.eye(n), np.linspace(-1.0, 2.0, n)]):
        assert_within(leverage.vjp(x, y), y @ jacobian, np.abs(y) @ np.abs(jacobian), rtol)


def assert_within(found, expected, size, rtol):
    """Relative to the sum of the magnitudes of the terms: the sum itself may cancel."""
    assert (np.abs(oracles.exact(found) - expected) <= rtol * size).all()


def test_golden_values_are_those_of_the_definition(golden):
    with mpmath.workdps(60):
        A, b, x = (oracles.exact(golden[name]) for name in "Abx")
        slack = A @ x - b
        assert (oracles.worst_relative_error(golden["scores"], oracles.scores(A / slack[:, None]))
                <= 2e-16)
        assert oracles.worst_relative_error(golden["jacobian"], oracles.jacobian(A, slack)) <= 2e-16


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (6, 6), (9, 4), (30, 20), (300, 40), (700, 3),
                                   (1300, 17)])
def test_definition(rng, shape):
    A, b, x = rng.normal(size=shape), rng.normal(size=shape[0]), rng.normal(size=shape[1])
    v, y = rng.normal(size=shape[1]), rng.normal(size=shape[0])
    leverage = LeverageMap(A, b)
    slack = A @ x - b
    expected = oracles.jacobian(A, slack)
    size = np.abs(expected).max() + 1.0
    assert leverage.shape == shape
    assert_allclose(leverage.slack(x), slack, rtol=0, atol=1e-12)
    assert_allclose(leverage.scores(x), oracles.scores(A / slack[:, None]), rtol=0, atol=1e-11)
    assert_allclose(leverage.jacobian(x), expected, rtol=0, atol=1e-10 * size)
    assert_allclose(leverage.jvp(x, v), expected @ v, rtol=0, atol=1e-10 * size)
    assert_allclose(leverage.vjp(x, y), y @ expected, rtol=0, atol=1e-9 * size)


def test_finite_differences(problem):
    A, b, x, v, _ = problem
    leverage = LeverageMap(A, b - 20.0)   # far from zero slacks, where the differences are accurate
    found = oracles.central_difference(leverage.scores, x, v, 1e-2)
    assert np.abs(found).max() > 1e-3
    assert_allclose(leverage.jvp(x, v), found, rtol=0, atol=1e-10)
    columns = [oracles.central_difference(leverage.scores, x, axis, 1e-2) for axis in np.eye(4)]
    assert_allclose(leverage.jacobian(x), np.transpose(columns), rtol=0, atol=1e-10)


@hypothesis.given(st.data(), integer_matrices(full_rank=True))
def test_products_agree_with_the_jacobian_and_are_adjoint(data, A):
    n, d = A.shape
    slack = data.draw(magnitudes(n, 1))
    v, y = data.draw(magnitudes(d, 1)), data.draw(magnitudes(n, 1))
    leverage, x = LeverageMap(A, -slack), np.zeros(d)
    jvp, vjp, jacobian = leverage.jvp(x, v), leverage.vjp(x, y), leverage.jacobian(x)
    B = A / slack[:, None]
    size = np.abs(y) @ (np.abs(B) @ np.abs(v))
    assert_allclose(jvp, jacobian @ v, rtol=0, atol=1e-12 * np.abs(B).max() * np.abs(v).sum())
    assert_allclose(vjp, y @ jacobian, rtol=0, atol=1e-12 * np.abs(B).sum() * np.abs(y).max())
    assert y @ jvp == pytest.approx(vjp @ v, rel=0, abs=1e-12 * size)
    assert_allclose(jacobian, oracles.jacobian(A, slack), rtol=0, atol=1e-9 * np.abs(B).max())
    assert_allclose(jacobian.sum(axis=0), 0, rtol=0, atol=1e-12 * n * np.abs(B).max())


@hypothesis.given(st.data(), integer_matrices())
def test_scores_agree_with_the_function(data, A):
    slack = data.draw(magnitudes(len(A), 1))
    leverage = LeverageMap(A, -slack)
    assert_allclose(leverage.scores(np.zeros(A.shape[1])), leverage_scores(A, slack=slack),
                    atol=1e-12)


def test_change_of_variables(problem, rng):
    A, b, x, v, y = problem
    transform, move = rng.normal(size=(4, 4)), rng.normal(size=4)
    leverage, changed = LeverageMap(A, b), LeverageMap(A @ transform, b - A @ move)
    z = np.linalg.solve(transform, x - move)
    assert_allclose(changed.scores(z), leverage.scores(x), rtol=1e-10)
    assert_allclose(changed.jacobian(z), leverage.jacobian(x) @ transform, atol=1e-9)
    assert_allclose(changed.vjp(z, y), transform.T @ leverage.vjp(x, y), atol=1e-9)


@pytest.mark.parametrize("condition", [1e4, 1e7, 1e9])
def test_ill_conditioned(rng, condition):
    A, slack = conditioned(rng, 60, 4, condition), rng.uniform(0.5, 2.0, size=60)
    with mpmath.workdps(60):
        expected = oracles.jacobian(oracles.exact(A), oracles.exact(slack))
        sigma = oracles.scores(oracles.exact(A) / oracles.exact(slack)[:, None])
    bound = 100 * np.finfo(float).eps * condition
    leverage = LeverageMap(A, -slack)
    x = np.zeros(4)
    assert np.abs(leverage.scores(x) - sigma.astype(float)).max() <= bound
    assert np.abs(leverage.jacobian(x) - expected.astype(float)).max() <= bound


def test_rank_deficient(rng):
    basis, combine = rng.normal(size=(20, 3)), rng.normal(size=(3, 5))
    slack, v, y = rng.normal(size=20), rng.normal(size=5), rng.normal(size=20)
    leverage, x = LeverageMap(basis @ combine, -slack), np.zeros(5)
    expected = oracles.jacobian(basis, slack) @ combine
    assert_allclose(leverage.scores(x), oracles.scores(basis / slack[:, None]), atol=1e-10)
    assert_allclose(leverage.jacobian(x), expected, atol=1e-9)
    assert_allclose(leverage.jvp(x, v), expected @ v, atol=1e-9)
    assert_allclose(leverage.vjp(x, y), y @ expected, atol=1e-9)


def test_fewer_rows_than_columns(rng):
    leverage = LeverageMap(rng.normal(size=(3, 5)), rng.normal(size=3))
    assert_allclose(leverage.scores(np.ones(5)), np.ones(3), rtol=1e-13)
    assert_allclose(leverage.jacobian(np.ones(5)), np.zeros((3, 5)), atol=1e-12)


def test_zero_rows_take_no_part(rng):
    A, b, x = rng.normal(size=(9, 2)), rng.normal(size=9), rng.normal(size=2)
    A[[2, 5]], b[5] = 0.0, 0.0                   # with and without slack
    kept = A.any(axis=1)
    leverage, reduced = LeverageMap(A, b), LeverageMap(A[kept], b[kept])
    y = rng.normal(size=9)
    assert_allclose(leverage.scores(x)[kept], reduced.scores(x), rtol=1e-13)
    assert_allclose(leverage.jacobian(x)[kept], reduced.jacobian(x), rtol=1e-12)
    assert_allclose(leverage.vjp(x, y), reduced.vjp(x, y[kept]), rtol=1e-12)
    assert_array_equal(leverage.scores(x)[~kept], 0.0)
    assert_array_equal(leverage.jacobian(x)[~kept], 0.0)


def test_all_zero():
    leverage = LeverageMap(np.zeros((4, 2)), np.ones(4))
    assert_array_equal(leverage.scores([1.0, 1.0]), np.zeros(4))
    assert_array_equal(leverage.jacobian([1.0, 1.0]), np.zeros((4, 2)))


# input of every kind, state

def results(leverage, x, v, y):
    return [leverage.slack(x), leverage.scores(x), leverage.jvp(x, v), leverage.vjp(x, y)]


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("n", [25, 1300])
def test_memory_layout_of_A_and_b_does_not_matter(rng, name, n):
    A, b = rng.normal(size=(n, 4)), rng.normal(size=n)
    x, v, y = rng.normal(size=4), rng.normal(size=4), rng.normal(size=n)
    plain = LeverageMap(A, b)
    laid_out = LeverageMap(dict(layouts(A))[name], dict(layouts(b)).get(name, b))
    for found, expected in zip(results(laid_out, x, v, y), results(plain, x, v, y), strict=True):
        assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("name", LAYOUTS)
def test_memory_layout_does_not_matter_for_the_jacobian(problem, name):
    A, b, x, _, _ = problem
    laid_out = LeverageMap(dict(layouts(A))[name], b)
    assert_allclose(laid_out.jacobian(x), LeverageMap(A, b).jacobian(x), rtol=1e-11)


@pytest.mark.parametrize("name", LAYOUTS[:-1])
def test_memory_layout_of_points_and_directions_does_not_matter(problem, name):
    A, b, x, v, y = problem
    leverage = LeverageMap(A, b)
    expected = results(leverage, x, v, y)
    x, v, y = (dict(layouts(vector))[name] for vector in (x, v, y))
    for found, value in zip(results(leverage, x, v, y), expected, strict=True):
        assert_allclose(found, value, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", ["f4", "i8", "?"])
def test_dtypes(rng, dtype):
    A, b = rng.integers(0, 2, size=(12, 3)).astype(dtype), np.ones(12, dtype=dtype)
    x, v, y = np.array([3, 5, 7]), np.array([1, 0, 1], dtype=dtype), np.arange(12) % 2
    plain = LeverageMap(A.astype(float), b.astype(float))
    for found, expected in zip(results(LeverageMap(A, b), x, v, y),
                               results(plain, *(a.astype(float) for a in (x, v, y))), strict=True):
        assert found.dtype == np.float64
        assert_array_equal(found, expected)


def test_inputs_are_not_written_to(problem):
    A, b, x, v, y = frozen(*problem)
    leverage = LeverageMap(A, b)
    results(leverage, x, v, y)
    leverage.jacobian(x)
    b_through, = frozen(A @ x + (np.arange(25) >= 3))
    through_zero = LeverageMap(A, b_through)
    assert_array_equal(through_zero.slack(x) == 0, np.arange(25) < 3)
    results(through_zero, x, v, y)
    through_zero.jacobian(x)


def test_results_belong_to_the_caller(problem):
    A, b, x, v, y = problem
    leverage = LeverageMap(A, b)
    expected = [value.copy() for value in results(leverage, x, v, y)]
    for value in results(leverage, x, v, y):
        value[:] = np.nan
    for found, value in zip(results(leverage, x, v, y), expected, strict=True):
        assert_array_equal(found, value)


def test_a_point_changed_in_place_is_a_new_point(problem):
    A, b, x, v, y = problem
    leverage = LeverageMap(A, b)
    leverage.scores(x)
    x *= 1.5
    for found, expected in zip(results(leverage, x, v, y), results(LeverageMap(A, b), x, v, y),
                               strict=True):
        assert_array_equal(found, expected)


def test_going_back_and_forth_between_points(problem):
    A, b, x, v, y = problem
    leverage = LeverageMap(A, b)
    first = results(leverage, x, v, y)
    results(leverage, x + 1.0, v, y)
    for found, expected in zip(results(leverage, x, v, y), first, strict=True):
        assert_array_equal(found, expected)


# the edge of double precision

def test_overflow_is_refused():
    A = np.random.default_rng(0).normal(size=(6, 2))
    leverage = LeverageMap(A, np.ones(6))
    with pytest.raises(ValueError, match="x must not be so large"):
        leverage.scores([1e308, 1e308])
    with pytest.raises(ValueError, match="v must not be so large"):
        leverage.jvp([0.0, 0.0], [1e308, 1e308])
    with pytest.raises(ValueError, match="y must not be so large"):
        LeverageMap(A, np.full(6, 1e-3)).vjp([0.0, 0.0], 1e308 * np.array([1.0, -1.0] * 3))


def test_a_slack_whose_inverse_overflows_counts_as_zero():
    A = np.random.default_rng(0).normal(size=(6, 2))
    b = np.array([1e-310, 1.0, 2.0, 3.0, 4.0, 5.0])
    leverage = LeverageMap(A, b)
    assert leverage.scores([0.0, 0.0])[0] == 1.0
    assert np.isfinite(leverage.jacobian([0.0, 0.0])).all()
    with pytest.raises(ValueError, match="linearly dependent"):
        LeverageMap(A, np.full(6, 1e-310)).scores([0.0, 0.0])
