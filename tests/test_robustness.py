"""Inversions that once went wrong: kept, so that they do not again."""
import numpy as np
import pytest

from levinv import LeverageMap, forster_weights, invert_scores, leverage_scores


def problem(n=20, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d), rng


@pytest.mark.parametrize("factor", [1e-12, 1e8, 1e9, 1e12, 1e17])
def test_scale_of_a_row_does_not_matter(factor):
    A, b, x, _ = problem()
    A[0] *= factor
    b[0] *= factor
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=0)
    assert result.success, result.message
    assert result.unique
    np.testing.assert_allclose(result.x, x, rtol=1e-10)
    assert LeverageMap(A, b).scores(x).sum() == pytest.approx(3)
    np.testing.assert_allclose(leverage_scores(A, weights=forster_weights(A)), 3 / 20, rtol=1e-9)


def test_slacks_over_ten_orders_of_magnitude():
    A, _, x, rng = problem(9, 2)
    slack = np.array([1e-5, -3e-6, 0.3, 10, 90, -1e3, 3e3, -5e4, 1e5]) * rng.choice([-1, 1], 9)
    b = A @ x - slack
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=0)
    assert result.success
    error = np.linalg.norm(result.x - x)
    assert error <= 1e-9 or not result.unique


def test_scores_below_rounding_are_no_proof_against_a_solution():
    A, _, x, rng = problem(20, 4, 16)
    slack = 10.0 ** np.linspace(-6, 5, 20) * rng.choice([-1, 1], 20)
    b = A @ x - slack
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=0)
    assert result.status != 1


def test_a_slack_that_rounds_to_zero_counts_in_the_standard_error():
    A, b = np.ones((6, 1)), np.array([-1e-6, -5e5, -9e4, -3e2, -2e2, -1e2])
    result = invert_scores(A, b, leverage_scores(A, slack=-b), signs=1)
    assert result.success
    assert abs(result.x[0]) <= 3 * result.standard_errors[0]


def test_x_that_is_none_of_almost_every():
    A = np.array([[1, -2, 1], [0, 2, -2], [-2, 1, 1], [-2, -2, 2], [-1, 1, 2], [-2, 2, 2.0]])
    b, x = np.array([3, 0, 0, -1, -3, 1.0]), np.array([3, 2, 1.0])
    other = np.array([-2, -1, 0.0])
    c = leverage_scores(A, slack=A @ x - b)
    np.testing.assert_allclose(leverage_scores(A, slack=A @ other - b), c, atol=1e-14)
    result = invert_scores(A, b, c)
    assert result.success
    assert not result.unique
    assert not result.evidence["signs_determined"]


def test_a_slack_of_zero_with_noise_and_known_signs():
    A, b, x, rng = problem()
    b[0] = A[0] @ x
    c = leverage_scores(A, slack=A @ x - b)
    noisy = np.clip(c + 1e-6 * rng.normal(size=20), 0, 1)
    result = invert_scores(A, b, noisy, noise=1e-6, signs=np.where(A @ x - b < 0, -1, 1), rng=0)
    assert result.success, result.message


def test_a_response_that_is_almost_fitted():
    rng = np.random.default_rng(0)
    A, x = np.c_[np.ones(100), rng.lognormal(0, 2, size=(100, 9))], rng.normal(size=10)
    b = A @ x + 1e-6 * rng.normal(size=100)
    slack = A.astype(np.longdouble) @ x - b
    result = invert_scores(A, b, leverage_scores(A, slack=slack.astype(float)), rng=0)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, x, rtol=1e-10)


@pytest.mark.parametrize("n, d, decimals", [(1000, 5, 3), (2000, 5, 4), (20000, 20, 6)])
def test_many_rows_rounded_to_zero(n, d, decimals):
    A, b, x, _ = problem(n, d, 1)
    c = leverage_scores(A, slack=A @ x - b)
    result = invert_scores(A, b, c.round(decimals), noise=10.0 ** -decimals / 12 ** 0.5, rng=0)
    assert result.success, result.message
    assert np.linalg.norm(result.x - x) <= 3 * np.linalg.norm(result.standard_errors)


@pytest.mark.parametrize("noise", [1e-160, 1e-17, 10.0])
def test_noise_beyond_sense(noise):
    A, b, x, _ = problem()
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), noise=noise, rng=0)
    assert result.success
    assert np.isfinite(result.x).all()


def test_a_score_of_zero():
    A, b, x, _ = problem()
    c = leverage_scores(A, slack=A @ x - b)
    c[0] = 0.0
    result = invert_scores(A, b, c, rng=0)
    assert result.status == 1
    assert "row 0" in result.message


def test_a_start_beyond_all_bounds():
    A, b, x, _ = problem()
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), x0=1e200 * x, rng=0)
    assert result.success
    np.testing.assert_allclose(result.x, x, rtol=1e-10)


def test_stopped_in_the_first_polish():
    A, b, x, _ = problem()
    points = []

    def callback(intermediate_result):
        points.append(intermediate_result.x)
        raise StopIteration

    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), x0=x + 1e-3,
                           callback=callback)
    assert result.status == 4
    np.testing.assert_array_equal(result.x, points[0])
    assert np.isfinite(result.fun)


@pytest.mark.parametrize("name, factor", [("A", 1e-170), ("A", 1e160), ("b", 1e160), ("b", 1e-160)])
def test_extreme_units_are_refused(name, factor):
    A, b, x, _ = problem()
    given = {"A": A, "b": b}
    given[name] = given[name] * factor
    with pytest.raises(ValueError, match=f"{name} must have its largest entry"):
        invert_scores(given["A"], given["b"], np.full(20, 0.15))


def test_a_callback_without_a_signature():
    A, b, x, _ = problem()
    with pytest.raises(TypeError):
        invert_scores(A, b, leverage_scores(A, slack=A @ x - b), x0=x + 1e-3, callback=dict)


@pytest.mark.parametrize("known", [True, False])
def test_a_column_whose_squares_underflow(rng, known):
    A, x = rng.standard_normal((400, 4)), rng.standard_normal(4)
    slack = rng.uniform(0.5, 2.0, 400) * rng.choice([-1.0, 1.0], 400)
    b, units = A @ x - slack, np.array([1e-150, 1.0, 1.0, 1.0])
    result = invert_scores(A * units, b, leverage_scores(A, slack=slack),
                           signs=np.sign(slack) if known else None, rng=0)
    assert result.success and result.unique
    np.testing.assert_allclose(result.x * units, x, rtol=1e-12)
