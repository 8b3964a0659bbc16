"""Small problems that were once answered wrongly; each test says what was wrong."""
import numpy as np
import pytest
import scipy.sparse

import oracles
from levinv import (
    LeverageMap,
    NoSolutionError,
    ScoreLoss,
    VolumetricBarrier,
    forster_weights,
    invert_gradient,
    invert_scores,
    leverage_scores,
)


def problem(n=20, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d), rng


@pytest.mark.parametrize("factor", [1e-12, 1e8, 1e9, 1e12, 1e17])
def test_scale_of_a_row_does_not_matter(factor):
    """A row 1e8 times longer than the others lost the signs."""
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
    """unique was claimed of another x."""
    A, _, x, rng = problem(9, 2)
    slack = np.array([1e-5, -3e-6, 0.3, 10, 90, -1e3, 3e3, -5e4, 1e5]) * rng.choice([-1, 1], 9)
    b = A @ x - slack
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=0)
    assert result.success
    error = np.linalg.norm(result.x - x)
    assert error <= 1e-9 or not result.unique


def test_scores_below_rounding_do_not_prove_that_there_is_no_solution():
    """Scores smaller than the rounding of the others were taken for a violated set: status 1."""
    A, _, x, rng = problem(20, 4, 16)
    slack = 10.0 ** np.linspace(-6, 5, 20) * rng.choice([-1, 1], 20)
    b = A @ x - slack
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=0)
    assert result.status != 1


def test_a_slack_that_rounds_to_zero_counts_in_the_standard_error():
    """The standard error left out a slack that the fit had taken for zero."""
    A, b = np.ones((6, 1)), np.array([-1e-6, -5e5, -9e4, -3e2, -2e2, -1e2])
    result = invert_scores(A, b, leverage_scores(A, slack=-b), signs=1)
    assert result.success
    assert abs(result.x[0]) <= 3 * result.standard_errors[0]


def test_integer_problem_with_two_solutions():
    """Two x of small integers have the same scores, and unique was True."""
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
    """A zero slack, hidden by noise, ended without success."""
    A, b, x, rng = problem()
    b[0] = A[0] @ x
    c = leverage_scores(A, slack=A @ x - b)
    noisy = np.clip(c + 1e-6 * rng.normal(size=20), 0, 1)
    result = invert_scores(A, b, noisy, noise=1e-6, signs=np.where(A @ x - b < 0, -1, 1), rng=0)
    assert result.success, result.message


def test_a_response_that_is_almost_fitted():
    """Slacks of 1e-6 beside a response of size 1 were lost in A x - b."""
    rng = np.random.default_rng(0)
    A, x = np.c_[np.ones(100), rng.lognormal(0, 2, size=(100, 9))], rng.normal(size=10)
    b = A @ x + 1e-6 * rng.normal(size=100)
    slack = A.astype(np.longdouble) @ x - b
    result = invert_scores(A, b, leverage_scores(A, slack=slack.astype(float)), rng=0)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, x, rtol=1e-10)


@pytest.mark.parametrize("n, d, decimals", [(1000, 5, 3), (2000, 5, 4), (20000, 20, 6)])
def test_many_scores_that_round_to_zero(n, d, decimals):
    """Scores rounded to 0 were refused as impossible."""
    A, b, x, _ = problem(n, d, 1)
    c = leverage_scores(A, slack=A @ x - b)
    result = invert_scores(A, b, c.round(decimals), noise=10.0 ** -decimals / 12 ** 0.5, rng=0)
    assert result.success, result.message
    assert np.linalg.norm(result.x - x) <= 3 * np.linalg.norm(result.standard_errors)


@pytest.mark.parametrize("noise", [1e-160, 1e-17, 10.0])
def test_noise_far_below_rounding_or_above_the_scores(noise):
    """Noise of 1e-160 overflowed, and noise of 10 fitted nothing."""
    A, b, x, _ = problem()
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), noise=noise, rng=0)
    assert result.success
    assert np.isfinite(result.x).all()


def test_a_score_of_zero():
    """A score of 0 in a nonzero row has no solution and has to be named."""
    A, b, x, _ = problem()
    c = leverage_scores(A, slack=A @ x - b)
    c[0] = 0.0
    result = invert_scores(A, b, c, rng=0)
    assert result.status == 1
    assert "row 0" in result.message


def test_a_start_near_the_largest_float():
    """A start of size 1e200 overflowed."""
    A, b, x, _ = problem()
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), x0=1e200 * x, rng=0)
    assert result.success
    np.testing.assert_allclose(result.x, x, rtol=1e-10)


def test_stopped_in_the_first_polish():
    """A callback that stopped the first refinement got another x than the one it saw."""
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
    """A or b of such size overflowed in the middle of an inversion."""
    A, b, x, _ = problem()
    given = {"A": A, "b": b}
    given[name] = given[name] * factor
    with pytest.raises(ValueError, match=f"{name} must have its largest entry"):
        invert_scores(given["A"], given["b"], np.full(20, 0.15))


def test_a_callback_without_a_signature():
    """inspect.signature fails for dict: its own error came out."""
    A, b, x, _ = problem()
    with pytest.raises(TypeError):
        invert_scores(A, b, leverage_scores(A, slack=A @ x - b), x0=x + 1e-3, callback=dict)


@pytest.mark.parametrize("known", [True, False])
def test_a_column_whose_squares_underflow(rng, known):
    """The norm of a column of size 1e-150 was 0."""
    A, x = rng.standard_normal((400, 4)), rng.standard_normal(4)
    slack = rng.uniform(0.5, 2.0, 400) * rng.choice([-1.0, 1.0], 400)
    b, units = A @ x - slack, np.array([1e-150, 1.0, 1.0, 1.0])
    result = invert_scores(A * units, b, leverage_scores(A, slack=slack),
                           signs=np.sign(slack) if known else None, rng=0)
    assert result.success and result.unique
    np.testing.assert_allclose(result.x * units, x, rtol=1e-12)


def test_rows_and_columns_of_denormal_numbers():
    """The reciprocal of their norms is inf: NaN was returned."""
    A, b, _, _ = problem()
    A[3] = 1e-310
    for function in (lambda A: LeverageMap(A, b), forster_weights,
                     lambda A: invert_scores(A, b, np.full(20, 0.15))):
        with pytest.raises(ValueError, match="A must have no nonzero row .* in row 3"):
            function(A)
        with pytest.raises(ValueError, match="A must have no nonzero column .* in column 1"):
            function(problem()[0] * [1.0, 1e-310, 1.0])


def test_slacks_over_too_many_orders_of_magnitude():
    """The quotient of two slacks overflowed, and NaN was returned."""
    A, slack = np.eye(3)[[0, 1, 2, 2]] + 1.0, np.array([1e-321, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="slack must not range over more than 300 orders"):
        leverage_scores(A, slack=slack)


def test_a_zero_slack_beside_columns_of_different_size():
    """The quotient by the row of zero slack mixed columns of unlike size."""
    A = np.array([[1, -6, -3], [2, 2, 2], [-2, -4, -1], [3, 6, 3], [-3, -6, 1.0], [3, 0, 0],
                  [-3, 6, -2], [-1, -4, 3], [1, 0, 1], [-1, 2, 2]])
    slack = np.array([0.25, 0.06, 0.53, 5.1, 0.45, 0.25, 0.57, 0.0, 1.0, 0.33])
    units = 2.0 ** np.array([-5, -5, 21])
    expected = leverage_scores(A, slack=slack)
    np.testing.assert_allclose(leverage_scores(A * units, slack=slack), expected, atol=1e-14)
    found = LeverageMap(A * units, -slack).scores(np.zeros(3))
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_a_light_row_spanned_by_heavy_ones_of_far_larger_slack():
    """Rounding of the quotient gave a light row a score of its own."""
    # modulo column 2, whose row is independent of all others, and beside it rows of any weight
    A = np.array([[1, 0, 0, 0.7236256], [0, 0, 1, 0.27961802], [0, 1, 0, 1.12049348],
                  [0, 0.9999988, 0, -0.65012506], [0, 1, 0, -0.65012544], [1, 0, 0, -0.51768856],
                  [0, 1, 0, 0.86819865], [1, 0, 0, -1.62426541]])
    slack = np.array([1e19, 1.5e22, 3.4e-88, 1.8e-93, 1e55, 6e-56, 7e-96, 4e-8])
    expected = oracles.limit_at_zero_slack(A, slack)[0]
    assert 1e-13 < expected[2] < 1e-11                       # row 2, and rows 1, 5 have 1
    found = LeverageMap(A, -slack).scores(np.zeros(4))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(leverage_scores(A, slack=slack), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("units", [1e200, 1.0, 1e-200])
def test_a_heavy_row_of_extreme_units(units):
    """The Hessian lost the terms of a row of zero slack."""
    A, slack = np.array([[2.0], [-3.0], [1.0], [units]]), np.array([1.5, 0.25, -2.0, 0.0])
    # 1 - sigma of the last row is about Σ (a_i/s_i)² δx², and its gain that of the others' loss
    loss = ScoreLoss(A, -slack, np.array([0.5, 0.25, 1.0, 0.0]))
    squares = (A[:3, 0] / slack[:3]) ** 2
    hessian = -2.0 * squares.sum() + 2.0 * squares @ [-0.5, -0.25, -1.0]
    np.testing.assert_allclose(loss.hess([0.0]), [[hessian]], rtol=1e-13)
    np.testing.assert_allclose(loss.hessp([0.0], [1.0]), [hessian], rtol=1e-13)


@pytest.mark.parametrize("units", [1e300, 1e-290])
def test_a_heavy_row_beside_columns_combined_by_extreme_units(units):
    """Squares under- or overflowed where columns are combined."""
    A, b, x, _ = problem()
    slack = A @ x - b
    slack[4] *= 1e-3
    expected = leverage_scores(A, slack=slack)
    assert 1.0 - 1e-3 < expected[4] < 1.0
    found = LeverageMap(units * A, -units * slack).scores(np.zeros(3))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_weights_of_parts_connected_by_columns_of_other_units():
    """The weak connection was not seen, and the sum of the scores was refused."""
    A = np.array([[-2.0, 0, 0], [1, 0, 0], [2, 1, 1], [-2, 0, 0], [0, 0, -1], [0, 2, 0], [0, -3, 2],
                  [-3, 0, -1], [-1, 0, -1]]) * [1.0, 3e-14, 3e-14]
    c = np.array([1, 1, 1, 1, 2.8, 5.9, 3.3, 1, 1]) / 6
    c[4:7] *= 2.0 / c[4:7].sum()
    weights = forster_weights(A, c)          # rows 4, 5, 6 and the others are almost apart
    np.testing.assert_allclose(leverage_scores(A, weights=weights), c, rtol=0, atol=1e-10)


def test_weights_are_checked_against_connections_that_were_not_seen():
    """Weights were returned whose scores are far off."""
    A = np.array([[0, 2, -3, 2.0], [-3, 3, -3, -3], [-1, -1, -3, 3], [-2, 0, 0, -2],
                  [-1, 0, 0, 0], [0, 2, 1, 0], [0, 1, 0, 0]])
    c = np.array([0.4, 0.3, 0.2, 0.1, 1.0, 1.0, 1.0])
    with pytest.raises(NoSolutionError, match="row . is given .* and gets"):
        forster_weights(A * [1.0, 1.0, 1.0, 1e90], c)


def test_weights_of_scores_whose_sum_is_off_by_as_much_as_tol_allows():
    """The error of the sum went into one row, which was then off by more than tol."""
    A, c = np.arange(1.0, 12.0)[:, None], np.array([0.3, 0.2, *np.full(9, 0.5 / 9)])
    for off in (1e-10, -1e-10):
        given = c + off * np.array([0.0, 4.0, *np.full(9, 7 / 9)])     # their sum is off by 11 tol
        found = leverage_scores(A, weights=forster_weights(A, given, tol=1e-10))
        np.testing.assert_allclose(found, given, rtol=0, atol=1.001e-10)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("method", ["global", "trust-region", "newton"])
def test_coloops_only(sparse, method):
    """No row is left after the presolve: an empty array failed."""
    A = np.diag([1.0, 2.0, -3.0])
    A = scipy.sparse.csr_array(A) if sparse else A
    result = invert_scores(A, np.ones(3), np.ones(3), x0=[3.0, 1.0, 4.0], method=method)
    assert result.success
    assert result.null_space.shape == (3, 3)


def test_a_start_off_the_equations_of_zero_slacks():
    """A start that nearly fits was returned as the solution, far beyond its standard error."""
    A, b = np.array([[0.25], [0.75]]), np.array([-1.0, 0.0])
    result = invert_scores(A, b, [0.0, 1.0], x0=[2e-3])       # gives 2e-6 and 1 - 2e-6
    assert result.success
    assert abs(result.x[0]) <= 3 * result.standard_errors[0]
    away = invert_scores(A, b, [0.0, 1.0], x0=[2e-3], method="newton", maxiter=1)
    assert not away.success or abs(away.x[0]) <= 3 * away.standard_errors[0]


def test_rows_spanned_by_a_zero_slack():
    """Success was claimed where the scores are not defined."""
    A, b = np.array([[-2.0], [-1.0], [1.0]]), np.array([6.0, 2.0, -3.0])
    # row 0 has slack zero at x = -3 only, and so has row 2: no scores there
    assert not invert_scores(A, b, [1.0, 0.0, 0.0]).success
    # row 1 at x = -2: slacks -2, 0, 1
    assert invert_scores(A, b, [0.0, 1.0, 0.0], signs=[-1, 1, 1]).success
    assert not invert_scores(A, b, [0.0, 1.0, 0.0], signs=[1, 1, 1]).success


def test_standard_errors_of_slacks_hidden_by_rounding():
    """Slacks that the rounding of b hides were left out of the standard errors."""
    A = np.array([[1, 0, 1], [1, 0, 3], [0, 1, -3], [0, 1, 1.0]])
    b = np.array([2e-145, -3e-141, 5e90, 3e22])
    c = leverage_scores(A, slack=-b)
    result = invert_scores(A, b, c, signs=np.where(b > 0, -1, 1))
    assert not result.success or np.all(np.abs(result.x) <= 3 * result.standard_errors)


@pytest.mark.parametrize("tiny", [1e-10, 1e-13])
def test_rows_connected_by_tiny_entries(tiny):
    """Rows connected by an entry of 1e-10 were taken for two components."""
    A = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, tiny], [0.0, 1.0]])
    slack = np.array([1.0, 0.3 * tiny, tiny, 2.0])            # which makes up for it
    c = leverage_scores(A, slack=slack)
    assert 0.1 < c[0] + c[3] < 0.99                           # apart, they would sum to 1
    result = invert_scores(A, -slack, c, signs=1)
    assert result.success, result.message
    assert np.all(np.abs(result.x) <= 10 * result.standard_errors)
    weights = forster_weights(A, c)
    np.testing.assert_allclose(leverage_scores(A, weights=weights), c, atol=1e-9)


def test_a_far_start_of_the_trust_region():
    """A start of size 1e199 gave NaN."""
    A, b, x, _ = problem()
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), x0=1e199 * x,
                           method="trust-region")
    assert not result.success
    assert np.isfinite(result.x).all()


def test_gradients_of_extreme_problems():
    """A sample of two rows, a zero row, and sizes beyond 1e100."""
    A, b, x = np.array([[1.0], [-1.0], [0.0]]), np.array([-1.0, -1.0, -1.0]), np.array([0.5])
    g = VolumetricBarrier(A, b).grad(x)
    result = invert_gradient(A, b, g, signs=1, method="approximate-newton",
                             options={"sample_size": 2})
    np.testing.assert_allclose(result.x, x, rtol=1e-12)
    for name in ("A", "b"):
        given = {"A": A, "b": b} | {name: {"A": A, "b": b}[name] * 1e160}
        with pytest.raises(ValueError, match=f"{name} must have its largest entry"):
            invert_gradient(given["A"], given["b"], g, signs=1)
