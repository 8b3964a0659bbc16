"""Near zero slacks: rows whose score is close to 1, the limit at zero, coloops, slacks over
hundreds of orders of magnitude.

Each point is x = 0, where the slack -b is exact however small it is.
"""
import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles
from designs import conditioned
from levinv import LeverageMap, ScoreLoss, VolumetricBarrier, leverage_scores

# Rows in general position, of a graph, with whole multiples: errors hide where entries are zero or
# equal.
DESIGNS = {
    "gaussian": np.random.default_rng(5).normal(size=(12, 3)),
    "wide": np.random.default_rng(6).normal(size=(12, 9)),
    "one more row than columns": np.random.default_rng(7).normal(size=(5, 4)),
    "integer": np.array([[-2.0, -1, 2], [0, 1, -3], [3, -2, -3], [0, 2, 1], [0, 2, 0]]),
    "graph": np.array([[1.0, -1, 0, 0], [0, 1, -1, 0], [0, 0, 1, -1], [1, 0, 0, -1], [1, 0, -1, 0],
                       [0, 1, 0, 0], [0, 0, 0, 1]]),
    "one column": np.array([[1.0], [2.0], [-1.0], [4.0]]),
}
ORDINARY = np.array([0.9, -0.1, 1.3, 0.8, -0.7, 1.1, 2.0, -1.7, 0.6, 1.9, -2.2, 0.4])


def exactly(A, slack):
    """Scores and Jacobian with enough digits for the squares of the squares of such slacks."""
    spread = np.log10(np.abs(slack).max() / np.abs(slack).min())
    with mpmath.workdps(60 + int(5 * spread)):
        exact_A, exact_slack = oracles.exact(A), oracles.exact(slack)
        sigma = oracles.scores(exact_A / exact_slack[:, None])
        return sigma, 1 - sigma, oracles.jacobian(exact_A, exact_slack)


def assert_accurate(A, slack, rtol=1e-12, floor=0.0):
    """Each value to nearly full relative precision; rows of derivatives relative to their largest
    entry.

    Below ``floor`` a number counts as one that would be zero but for rounding in A's own
    coefficients.
    """
    sigma, complement, jacobian = exactly(A, slack)
    leverage, x = LeverageMap(A, -slack), np.zeros(A.shape[1])
    _, projection = leverage._map.at(x)
    assert_within(leverage.scores(x), sigma, sigma, rtol, floor)
    assert_within(leverage_scores(A, slack=slack), sigma, sigma, rtol, floor)
    assert_within(projection.complement(), complement, complement, rtol, floor)
    target = np.linspace(0.0, 1.0, len(A))
    assert_within(projection.residual(target), sigma - oracles.exact(target), 0, rtol, 1.0)
    heavy = sigma > 0.999
    minus_complement = projection.residual(np.ones(len(A)))
    assert_within(minus_complement[heavy], -complement[heavy], complement[heavy], rtol, floor)
    rows = np.abs(jacobian).max(axis=1)[:, None]
    assert_within(leverage.jacobian(x), jacobian, rows, rtol, floor)
    v, y = np.linspace(-1.0, 2.0, A.shape[1]), np.linspace(1.0, -0.5, len(A))
    assert_within(leverage.jvp(x, v), jacobian @ v, np.abs(jacobian) @ np.abs(v), rtol, floor)
    assert_within(leverage.vjp(x, y), y @ jacobian, np.abs(y) @ np.abs(jacobian), rtol, floor)


def assert_within(found, expected, size, rtol, floor=0.0):
    assert (np.abs(oracles.exact(found) - expected) <= rtol * np.maximum(size, floor)).all()


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9, 1e-12, 1e-50, 1e-150])
@pytest.mark.parametrize("name", DESIGNS)
def test_one_slack_near_zero(name, size):
    A = DESIGNS[name]
    slack = ORDINARY[:len(A)].copy()
    slack[3] = size
    assert_accurate(A, slack)


@pytest.mark.parametrize("sizes",
                         [(1e-6, -1e-9), (1e-150, 1e-3), (1e-150, -1e-150), (1e-100, 1e-20),
                          (1e-8, 2e-8)])
@pytest.mark.parametrize("name", ["gaussian", "wide", "one more row than columns", "integer"])
def test_several_slacks_near_zero(name, sizes):
    A = DESIGNS[name]
    slack = ORDINARY[:len(A)].copy()
    slack[[0, 4]] = sizes
    # In "integer", row 2 vanishes in the quotient by rows 0 and 4: a zero that rounding does not
    # respect.
    assert_accurate(A, slack, floor=1e-18 if name == "integer" else 0.0)


def test_as_many_slacks_near_zero_as_columns():
    slack = ORDINARY.copy()
    slack[[1, 5, 8]] = 1e-7, -3e-8, 1e-12
    assert_accurate(DESIGNS["gaussian"], slack)


@pytest.mark.parametrize("sizes", [[1e8], [1e150], [1e-100, 1e-50, 1e50, 1e100], [1e150] * 9])
def test_slacks_over_hundreds_of_orders_of_magnitude(sizes):
    slack = ORDINARY.copy()
    slack[:len(sizes)] = sizes
    assert_accurate(DESIGNS["gaussian"], slack)


@pytest.mark.parametrize("size", [1e-1, 1e-6, 1e-50])
def test_bad_units_of_columns(size):
    slack = ORDINARY.copy()
    slack[3] = size
    assert_accurate(DESIGNS["gaussian"] * [1e-4, 1.0, 1e4], slack, rtol=1e-10)


def test_ill_conditioned_design_near_zero_slack(rng):
    combine = np.array([[1.0, 1, 1, 1], [0, 1e-2, 0, 1], [0, 0, 1e-3, 0], [0, 0, 0, 1e-2]])
    A = rng.normal(size=(20, 4)) @ combine
    slack = rng.uniform(0.5, 2.0, size=20)
    slack[7] = 1e-8
    condition = np.linalg.cond(A)
    assert condition > 1e4
    assert_accurate(A, slack, rtol=100 * np.finfo(float).eps * condition)


@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-12, 1e-16, 1e-100])
def test_groups_of_rows_at_widely_different_slacks(size):
    # Two groups of a one-hot design, of which one is fitted to within rounding: neither knows of
    # the other.
    A = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert_accurate(A, np.array([size, 2 * size, 1.0, 10.0]), rtol=1e-11)


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9])
def test_parallel_rows_near_zero_slack(size):
    A = np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0], [1.0, 1.0]])
    slack = np.array([size, 2 * size, 2.0, 3.0])
    _, _, jacobian = exactly(A, slack)
    found = LeverageMap(A, -slack).jacobian(np.zeros(2))
    # No single row is heavy, and the two are not eliminated together: accurate against the largest
    # entry only.
    assert_within(found, jacobian, np.abs(jacobian).max(), 1e-9)


# the limit

@pytest.mark.parametrize("name, zeros",
                         [("gaussian", [3]), ("gaussian", [0, 7]), ("wide", [1, 4, 11]),
                          ("graph", [2]), ("graph", [0, 1, 2]), ("integer", [1]),
                          ("one column", [2])])
def test_zero_slack(name, zeros):
    A = DESIGNS[name]
    slack = ORDINARY[:len(A)].copy()
    slack[zeros] = 0.0
    sigma, jacobian = oracles.limit_at_zero_slack(A, slack)
    leverage, x = LeverageMap(A, -slack), np.zeros(A.shape[1])
    y, v = np.linspace(1.0, 2.0, len(A)), np.linspace(-1.0, 2.0, A.shape[1])
    _, projection = leverage._map.at(x)
    assert_array_equal(leverage.scores(x)[zeros], 1.0)
    assert_array_equal(projection.complement()[zeros], 0.0)
    assert_array_equal(leverage.jacobian(x)[zeros], 0.0)
    assert_allclose(leverage.scores(x), sigma, rtol=1e-11, atol=1e-13)
    assert_allclose(leverage.jacobian(x), jacobian, rtol=0, atol=1e-11)
    assert_allclose(leverage.jvp(x, v), jacobian @ v, rtol=0, atol=1e-11)
    assert_allclose(leverage.vjp(x, y), y @ jacobian, rtol=0, atol=1e-10)


def test_zero_slack_is_approached_continuously():
    A, slack = DESIGNS["gaussian"], ORDINARY.copy()
    slack[[2, 9]] = 0.0
    x = np.zeros(3)
    limit = LeverageMap(A, -slack)
    for size in (1e-9, 1e-100):
        slack[[2, 9]] = size, -2 * size
        near = LeverageMap(A, -slack)
        assert_allclose(near.scores(x), limit.scores(x), rtol=0, atol=1e-14)
        assert_allclose(near.jacobian(x), limit.jacobian(x), rtol=0, atol=1e-13 + 1000 * size)


def test_zero_and_near_zero_slack_together():
    A, slack = DESIGNS["gaussian"], ORDINARY.copy()
    slack[[2, 9]] = 0.0, 1e-9
    leverage, x = LeverageMap(A, -slack), np.zeros(3)
    sigma, jacobian = oracles.limit_at_zero_slack(A, slack)
    assert_allclose(leverage.scores(x), sigma, rtol=1e-12)
    rows = np.abs(jacobian).max(axis=1, keepdims=True)
    assert rows[9] < 1e-6
    assert (np.abs(leverage.jacobian(x) - jacobian) <= 1e-11 * rows + 1e-190).all()


def test_zero_slack_in_a_rank_deficient_design(rng):
    basis, combine = rng.normal(size=(12, 3)), rng.normal(size=(3, 5))
    slack = ORDINARY.copy()
    slack[[1, 6]] = 0.0, 1e-9
    leverage, x = LeverageMap(basis @ combine, -slack), np.zeros(5)
    sigma, jacobian = oracles.limit_at_zero_slack(basis, slack)
    assert_allclose(leverage.scores(x), sigma, rtol=0, atol=1e-12)
    assert_allclose(leverage.jacobian(x), jacobian @ combine, rtol=0, atol=1e-10)


# coloops

@pytest.mark.parametrize("size", [1e-100, 1e-9, 1.0, 1e6, 1e9, 1e12, 1e14, 1e16, 1e100])
def test_coloop_has_score_one_at_any_slack(size):
    # The last row alone has the last column's direction.
    A = np.zeros((7, 4))
    A[:6, :3] = DESIGNS["gaussian"][:6]
    A[6] = 1.0, 2.0, 0.0, 3.0
    slack = np.append(ORDINARY[:6], size)
    leverage, x = LeverageMap(A, -slack), np.zeros(4)
    _, projection = leverage._map.at(x)
    assert projection.complement()[6] == pytest.approx(0.0, abs=1e-15)
    assert_allclose(leverage.scores(x)[6], 1.0, rtol=1e-15)
    assert_allclose(leverage.scores(x)[:6], oracles.scores(A[:6, :3] / slack[:6, None]), rtol=1e-12)
    jacobian = leverage.jacobian(x)
    assert_allclose(jacobian[:6, :3], oracles.jacobian(A[:6, :3], slack[:6]), rtol=0, atol=1e-11)
    assert_allclose(jacobian[6], 0.0, atol=1e-14)
    assert_allclose(jacobian[:, 3], 0.0, atol=1e-14)


@pytest.mark.parametrize("slack",
                         [[1.0, 2.0, 3.0], [1e-12, 1.0, 1e12], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0],
                          [1e-150, 1.0, 1e150]])
def test_square_design_consists_of_coloops(slack):
    A = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0], [3.0, 0.0, 1.0]])
    leverage, x = LeverageMap(A, -np.array(slack)), np.zeros(3)
    assert_array_equal(leverage.scores(x), np.ones(3))
    assert_array_equal(leverage.jacobian(x), np.zeros((3, 3)))
    assert_array_equal(leverage.vjp(x, np.array([1.0, -1.0, 2.0])), np.zeros(3))


# the projection's own operations

@pytest.mark.parametrize("slack", [ORDINARY, np.where(np.arange(12) == 3, 1e-5, ORDINARY),
                                   np.where(np.arange(12) % 5 == 0, 1e-3, ORDINARY)])
def test_operations_in_the_orthonormal_basis(slack, rng):
    A = DESIGNS["gaussian"]
    _, projection = LeverageMap(A, -slack)._map.at(np.zeros(3))
    with mpmath.workdps(60):                    # signs of slacks drop out of P∘P
        B = oracles.exact(A) / np.abs(oracles.exact(slack))[:, None]
        P = oracles.projection(B).astype(float)
    U = projection.basis()
    Y, v = rng.normal(size=(12, 2)), rng.normal(size=3)
    laplacian = P * P - np.diag(np.diag(P))
    assert projection.rank == 3
    assert_allclose(U @ U.T, P, rtol=0, atol=1e-13)
    assert_allclose(U.T @ U, np.eye(3), rtol=0, atol=1e-13)
    assert_allclose(projection.expand(v), U @ v, rtol=0, atol=1e-13)
    assert_allclose(projection.coordinates(Y), U.T @ Y, rtol=0, atol=1e-13)
    assert_allclose(projection.coordinates(Y[:, 0].copy()), U.T @ Y[:, 0], rtol=0, atol=1e-13)
    assert_allclose(projection.laplacian(Y), laplacian @ Y, rtol=0, atol=1e-13)
    assert_allclose(projection.laplacian(Y[:, 0].copy()), laplacian @ Y[:, 0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("power", [-300, -160, -145, 145, 154, 160, 300, 306])
def test_units_of_A_and_b_do_not_matter_near_a_zero_slack(rng, power):
    A, x, v, c = rng.normal(size=(12, 2)), rng.normal(size=2), rng.normal(size=2), np.full(12, 0.2)
    b = A @ x - rng.uniform(1.0, 2.0, size=12) * np.where(np.arange(12) == 5, 1e-2, 1.0)

    def values(unit):
        leverage, loss = LeverageMap(unit * A, unit * b), ScoreLoss(unit * A, unit * b, c)
        barrier = VolumetricBarrier(unit * A, unit * b)
        return (leverage.scores(x), leverage.jacobian(x), loss.hess(x), loss.hessp(x, v),
                barrier.fun(x), barrier.grad(x))

    for found, expected in zip(values(10.0 ** power), values(1.0), strict=True):
        assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_second_derivatives_of_a_moderately_conditioned_design_with_small_slacks(rng):
    errors = []
    for _ in range(20):
        A, slack, c = conditioned(rng, 16, 4, 20.0), rng.normal(size=16), rng.random(16)
        x, v = rng.normal(size=4), rng.normal(size=4)
        loss = ScoreLoss(A, A @ x - slack, c)
        slack = LeverageMap(A, A @ x - slack).slack(x)
        B = A / slack[:, None]
        condition = np.linalg.cond(B / np.linalg.norm(B, axis=0))
        with mpmath.workdps(40):
            exact = [oracles.exact(array) for array in (A, slack, c)]
            expected = sum(oracles.loss_hessian_terms(*exact, row).sum(axis=0) @ v
                           for row in range(16))
            error = np.abs(loss.hessp(x, v) - expected).max() / np.abs(expected).max()
        errors.append(float(error) / (condition * np.finfo(float).eps))
    assert np.quantile(errors, 0.9) < 100.0
