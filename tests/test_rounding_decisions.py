"""Decisions that rounding errors could turn: the answer must hold all the same."""
import itertools

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose

import oracles
from levinv import invert_gradient, invert_scores, leverage_scores
from levinv import storage as rows
from levinv.inverse.barrier_gradient import feasibility as cell
from levinv.inverse.stages.reduction import orthonormal_columns


def test_a_score_that_rounds_to_one_is_no_zero_slack():
    """A score of 1 - 2e-21 was taken for a zero slack, and the success was refused."""
    A = np.array([[3.0, 1.0], [0.0, 1.0], [-4.0, -1.0], [1.0, -1.0], [1.0, -1.0], [2.0, 1.0]])
    A = A / [1.0, 1024.0]
    x = np.array([0.25, -768.0])
    b = A @ x - np.array([0.5, 0.9, -0.2, 1.3, 6e-11, 1.2])       # the score of row 4 is 1 - 2e-21
    with mpmath.workdps(60):
        slack = oracles.exact(A) @ oracles.exact(x) - oracles.exact(b)
        c = oracles.scores(oracles.exact(A) / slack[:, None]).astype(float)
    result = invert_scores(A, b, c, signs=np.sign(slack.astype(float)), rng=0)
    assert result.success
    assert len(result.evidence["zero_slack"]) == 0
    assert_allclose(result.x, x, rtol=1e-14)
    assert np.all(np.abs(result.x - x) <= 10 * result.standard_errors)


def test_standard_errors_count_the_rounding_of_the_slack():
    """A x - b cancels nine digits: the standard errors were those of the scores alone."""
    A = np.array([[1.0, 3.0], [1.0, -1.0], [1.0, 2.0], [1.0, 5.0], [-2.0, 1.0]])
    slack = np.array([1.0, -2.0, 1.5, 0.7, 3.0])
    x = np.array([1e9, 1.0])                         # A x - b is known to seven digits or so
    b = A @ x - slack
    c = oracles.scores(A / (A @ x - b)[:, None])
    result = invert_scores(A, b, c, signs=np.sign(slack), rng=0)
    assert result.success
    assert result.standard_errors[0] > 1e-8
    assert_allclose(result.x, x, rtol=0, atol=float(10 * result.standard_errors.max()))


def test_gradient_below_its_rounding_is_no_success():
    """The gradient says nothing of x in one direction, and success was claimed."""
    A = np.array([[-3.0, -1.0], [-2.0, -3.0]])
    b = np.array([1.7e14, 3.1])
    result = invert_gradient(A, b, -(A / -b[:, None]).sum(axis=0), signs=-1)
    assert not result.success
    assert result.evidence["floor"] > 1e-4
    assert "rounding of g and A x - b alone" in result.message


def test_certificate_needs_more_than_a_small_negative_product():
    """gᵀy = -100 ε |g|ᵀ|y| on the edge y of the cone was called gᵀy >= 0."""
    A = np.array([[-3.0, -1.0], [-2.0, -3.0]])
    b = np.array([1.7e14, 3.1])
    g = -(A / -b[:, None]).sum(axis=0)                     # the gradient at x = 0
    edge = np.array([3.0, -2.0])
    assert A[1] @ edge == 0.0
    assert -1e-13 < g @ edge < -1e-14
    assert cell.certificate(rows.of(A, 1), -np.ones(2), g) is None
    assert cell.certificate(rows.of(A, 1), -np.ones(2), A[1]) is not None     # gᵀy = 0
    assert cell.certificate(rows.of(A, 1), -np.ones(2), g + 1e-13 * edge) is not None


def nearly_a_coloop(slack):
    A = np.array([[1.0, 0.0], [1.0, 6e-10], [0.0, 1.0]])
    x = np.array([0.3, -0.7])
    return A, A @ x - slack, x, oracles.scores(A / slack[:, None])


def test_null_space_is_empty_where_the_scores_change():
    """A direction that changes the scores by 5e-11 was put into null_space."""
    slack = np.array([1.0, 2.0, 1e5])
    A, b, x, c = nearly_a_coloop(slack)
    J = oracles.jacobian(A, slack)
    assert abs(J[0, 1]) > 5e-6 / slack[2]           # beside its own slack's relative change
    result = invert_scores(A, b, c, x0=x, rng=0)
    assert result.success
    assert not result.unique
    assert result.null_space.shape == (2, 0)
    assert result.evidence["undetermined_directions"] == 1
    assert np.isinf(result.standard_errors[1])
    assert "not determined in 1 direction" in result.message


def test_null_space_where_the_change_is_below_rounding():
    """The same direction, where the change of the scores is below their rounding."""
    A, b, x, c = nearly_a_coloop(np.array([1.0, 2.0, 1.0]))
    result = invert_scores(A, b, c, x0=x, rng=0)
    assert result.success
    assert_allclose(np.abs(result.null_space), [[0.0], [1.0]], atol=1e-9)
    assert result.evidence["undetermined_directions"] == 0


def test_orthonormal_columns_of_a_zero_column():
    """A zero column gave a direction of NaN."""
    assert_allclose(np.abs(orthonormal_columns(np.array([[0.0, 2.0], [0.0, 0.0]]))), [[1.0], [0.0]])
    assert orthonormal_columns(np.zeros((3, 2))).shape == (3, 0)


def test_solution_is_not_denied_for_scaled_columns():
    """The rank was taken of columns of unlike size, and status 1 was returned."""
    A = np.array([[0, 0, -3], [0, 0, -1], [-2, 3, 0], [3, 1, 1], [2, 1, 0], [-1, 0, 0.0]])
    A *= 2.0 ** np.array([-26, 24, -16])
    slack = np.array([0.4, -0.2, -1.0, 2.0, -0.5, 3.0])
    c = oracles.scores(A / (slack[:, None] * 2.0 ** np.array([-26, 24, -16])))
    result = invert_scores(A, -slack, c, signs=np.sign(slack), rng=0)
    assert result.status != 1, result.message


def test_scores_beyond_the_rank_of_scaled_columns_are_refused():
    """Rows of rank 1 with scores that sum to 1.4 have no solution, whatever the columns' units."""
    A = np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) * [1e-3, 1e3]
    result = invert_scores(A, np.ones(4), [0.7, 0.7, 0.3, 0.3], rng=0)
    assert result.status == 1
    assert "2 rows (0, 1) have scores that sum to 1.4, but rank 1" in result.message


def test_search_for_signs_ends():
    """The search for signs went on for minutes: thousands of sign vectors fitted alike."""
    A = np.array([[-2, -3, 2, -3], [-6, 4, -2, 0], [-3, -3, 1, 1], [-2, 0, -2, 2], [3, -2, 1, 0],
                  [-2, 0, 2, 1], [1, 3, 0, 1], [2, 2, 1, 2], [-3, 2, -2, 0], [-1, 1, 0, 2.0]])
    b = 10.0 ** np.array([-38, -23, 40, -5, -39, -21, 27, -42, -49, 25])
    c = np.array([1 - 3e-7, 0.42, 1e-155, 1e-64, 0.58 + 3e-7 * 3, 2e-34, 2e-129, 1 - 3e-7,
                  1 - 3e-7, 7e-126])
    result = invert_scores(A, b, c, rng=0, options={"restarts": 15})
    assert not result.success
    assert result.nfev < 2_500


def test_cell_with_one_row_of_extreme_units():
    """A row of size 1e-290 set the unit of the linear program, and no start was found."""
    A = np.vstack([np.eye(2), -np.eye(2), [[1e-290, 2e-290]]])
    result = invert_gradient(A, np.array([-1e-7] * 4 + [-2.0]), np.zeros(2), signs=1)
    assert result.success, result.message
    assert_allclose(result.x, 0.0, atol=1e-12)


@pytest.mark.parametrize("width, empty", [(-1e-3, True), (-1e-9, True), (1e-9, False)])
def test_cell_is_called_empty_only_with_a_proof(width, empty):
    """The solver's tolerance alone decided whether a thin cell was called empty."""
    scales = np.array([[1e-6, 1.0, 1e5]])
    A = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]]) * scales
    found = cell._scaled(rows.of(A, 1), np.ones(4))
    b = np.array([1.0, 1.0, 1.0, -3.0 - width])
    multipliers = found[2] * (1.0 + 1e-8 * np.arange(4))       # to a solver's tolerance
    y = cell._corrected(found[0], multipliers)
    assert cell._proves_empty(found[0], b / found[2], y) == empty
    assert cell.interior_point(rows.of(A, 1), b, np.ones(4))[2] == empty


@pytest.mark.parametrize("gap, empty", [(0.0, True), (1e-16, False)])
def test_cell_between_opposite_rows(gap, empty):
    """Two opposite rows leave no room or 1e-16: only exact arithmetic tells them apart."""
    A = np.array([[1.0, 2.0], [-1.0, -2.0], [0.0, 1.0]]) / 3.0
    b = np.array([0.25, -0.25 - gap, -1.0])
    found = cell.interior_point(rows.of(A, 1), b, np.ones(3))
    assert found[2] == empty


def test_rank_of_rows_of_unlike_size():
    """A row of size 1e-300 was lost beside one of size 1."""
    A = np.array([[-2.0, 2, 0, -1, -2], [2e-300, 0, -2e-300, -2e-300, 2e-300]])
    assert_allclose(leverage_scores(A, slack=[6.0, 1.7]), [1.0, 1.0])


def test_rows_of_weight_zero_do_not_set_the_size_of_columns():
    """The size of a column came from a row of weight 0, and the others underflowed."""
    A = np.array([[1.0, 0.0], [1.0, 3e-321], [2.0, 0.0], [0.0, 1.0]])
    weights = np.array([1.0, 2.0, 0.5, 0.0])
    assert_allclose(leverage_scores(A, weights=weights, method="qr"),
                    np.append(leverage_scores(A[:3], weights=weights[:3], method="qr"), 0.0))
    assert_allclose(leverage_scores(A, weights=weights, method="qr")[1], 1.0)


def test_callback_stops_at_every_step():
    """StopIteration has to end the inversion at every step, those after the fit included."""
    A = np.array([[1.0, 2.0], [2.0, -1.0], [1.0, -1.0], [3.0, 1.0], [-1.0, 2.0], [0.5, 1.0]])
    x = np.array([0.25, -0.5])
    b = A @ x - np.array([1e-5, 0.9, 1.1, -1.3, 0.7, -1.2])    # 1 - sigma is next to 0 in row 0
    with mpmath.workdps(60):
        c = oracles.scores(oracles.exact(A) / oracles.exact(A @ x - b)[:, None]).astype(float)
    steps = []

    def count(intermediate_result):
        steps.append(intermediate_result.stage)
        if len(steps) == last:
            raise StopIteration

    last = None
    assert invert_scores(A, b, c, rng=0, callback=count).success
    for last in range(1, len(steps) + 1):
        steps.clear()
        assert invert_scores(A, b, c, rng=0, callback=count).status == 4, last


@pytest.mark.parametrize("decimals", [None, 3])
def test_maxtime_ends_every_step(monkeypatch, decimals):
    """Whatever was left out, the result says so and promises nothing."""
    rng = np.random.default_rng(18)
    A = np.column_stack([np.ones(30), np.eye(4)[rng.integers(0, 4, 30)][:, 1:]])
    x, b = rng.standard_normal(4), rng.standard_normal(30)
    c = leverage_scores(A, slack=A @ x - b)
    c = c if decimals is None else c.round(decimals)
    looks = itertools.count()
    monkeypatch.setattr("levinv.inverse.result.time.monotonic", lambda: float(next(looks)))

    def invert(maxtime):
        return invert_scores(A, b, c, decimals=decimals, rng=0, options={"maxtime": maxtime})

    whole = invert(1e9)
    assert whole.success and whole.nit > 3
    matched = 0
    for maxtime in np.arange(whole.nit) + 0.5:
        result = invert(maxtime)
        assert (result.status, result.success, result.unique) == (5, False, False)
        assert result.message.startswith("Stopped at maxtime")
        assert np.isfinite(result.x).all()
        matched += "x has these scores, but the search for other x" in result.message
    assert 0 < matched < whole.nit
