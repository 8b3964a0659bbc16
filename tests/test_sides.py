"""Other sides of the slack: the enumeration of ±1 vectors against all signs, and the verdict."""
import itertools

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize

import designs
import oracles
from levinv import LeverageMap, audit, invert_many, invert_scores, leverage_scores
from levinv._kernels.sides import sign_vectors
from levinv._tolerances import BRANCH_STARTS, SIGN_RANK
from levinv.inverse.stages.sides import side_vectors
from levinv.weighting import glm


class Whole:
    """A matrix as the stages see it."""

    def __init__(self, matrix):
        self.matrix, self.shape = matrix, matrix.shape

    def block(self, index):
        return self.matrix[index]

    def matvec(self, v):
        return self.matrix @ v


def tableau(matrix):
    q = matrix.shape[1]
    factors, pivots = scipy.linalg.qr(matrix.T, mode="r", pivoting=True)
    found = np.empty(matrix.T.shape)
    found[:, pivots] = scipy.linalg.solve_triangular(factors[:, :q], factors)
    return found


def all_signs(coefficients, tolerance):
    signs = np.array([(1.0, *rest) for rest in itertools.product(
        (1.0, -1.0), repeat=len(coefficients) - 1)])
    return signs[np.all(np.abs(np.abs(signs @ coefficients) - 1.0) <= tolerance, axis=1)]


def same_rows(one, other):
    return {tuple(row) for row in one} == {tuple(row) for row in other} and len(one) == len(other)


def sparse_integers(count, rng, most=9):
    """Small integer matrices with many ±1 vectors, divided by their images."""
    while count:
        q = int(rng.integers(1, most))
        n = int(rng.integers(q, 3 * q + 3))
        M = rng.integers(-2, 3, (n, q)) * (rng.random((n, q)) < rng.uniform(0.3, 1.0))
        slack = M @ rng.integers(-3, 4, q)
        if np.linalg.matrix_rank(M) == q and slack.all():
            count -= 1
            yield M / slack[:, None]


def test_kernel_finds_what_all_signs_find(rng):
    several = 0
    for matrix in sparse_integers(200, rng):
        coefficients = tableau(matrix)
        tolerance = 1e-7 * np.abs(coefficients).sum(axis=0)
        found, count = sign_vectors(coefficients, tolerance, 2 ** matrix.shape[1], 2 ** 20, 2 ** 20)
        assert count == len(found)
        assert same_rows(found, all_signs(coefficients, tolerance))
        several += count > 2
    assert several > 20


def test_kernel_says_what_it_did_not_try(rng):
    free = np.eye(6)                               # no row restricts the signs of another
    found, count = sign_vectors(free, np.full(6, 1e-6), 32, 64, 5)
    assert count == 32 and found.shape == (5, 6)
    found, count = sign_vectors(free, np.full(6, 1e-6), 31, 64, 5)
    assert count == -1 and not len(found)
    sums = np.column_stack([free, np.full(6, 0.5)])      # half of all pairs fit the last row
    assert sign_vectors(sums, np.full(7, 1e-6), 32, 2, 5)[1] == -1
    wrong = np.column_stack([free, 2.0 * free[:, 0]])    # |2 e_1| is not 1
    assert sign_vectors(wrong, np.full(7, 1e-6), 32, 64, 5)[1] == 0
    with pytest.raises(ValueError, match="1 to 63 rows, got 64"):
        sign_vectors(np.zeros((64, 1)), np.zeros(1), 1, 1, 1)


@pytest.mark.parametrize("n", [40, 3000])
def test_stage_finds_both_sides(rng, n):
    """Also where a sample of the rows is enumerated, and where one row is at a mode."""
    for d in (1, 4, 9):
        A, b, x, other = designs.exceptional(n, d, rng)
        slack, turned = A @ x - b, A @ other - b
        slack[0] = 0.0
        found = side_vectors(Whole(np.column_stack([A, b])), slack)
        assert found.complete and len(found.signs) == 2
        expected = np.sign(turned * slack)[1:]
        products = found.signs[:, 1:] @ expected
        assert np.abs(products).max() == n - 1
    generic = rng.standard_normal((n, 6))
    found = side_vectors(Whole(generic), generic @ rng.standard_normal(6))
    assert found.complete and len(found.signs) == 1


def test_stage_beyond_the_rank_says_so(rng):
    matrix = rng.standard_normal((80, SIGN_RANK + 1))
    found = side_vectors(Whole(matrix), matrix @ np.ones(SIGN_RANK + 1))
    assert not found.complete and not len(found.signs)
    dependent = np.ones((30, 2))
    assert not side_vectors(Whole(dependent), np.ones(30)).complete


def hidden_pair():
    """The shortest case: (2, -2) has the scores of (1, 1)."""
    A = np.array([[3, j] for j in range(2, 10)] + [[j, 1] for j in (1, 2, 4, 5, 6, 7, 8, 9)], float)
    b = np.full(16, 4.0)
    return A, b, leverage_scores(A, slack=A @ [1, 1] - b)


def test_exceptional_x_is_not_unique():
    A, b, scores = hidden_pair()
    results = [invert_scores(A, b, scores, rng=0),
               invert_scores(A, b, scores, x0=[1.0, 1.0], method="trust-region"),
               invert_scores(A, b, scores, callback=lambda _: None, rng=0)]
    many = invert_many(A, b[None], scores[None], rng=0)
    for x, unique, others in [(r.x, r.unique, r.alternatives) for r in results] + [
            (many.x[0], many.unique[0], many.alternatives[0])]:
        assert not unique
        np.testing.assert_allclose(sorted([*x, *others.ravel()]), [-2, 1, 1, 2], atol=1e-9)
    for result in results:
        assert not result.evidence["signs_determined"]
        assert result.evidence["sides"] == [{
            "rank": 3, "sign_vectors": 4, "complete": True, "fitting": 2, "others": 1,
            "at_infinity": 0}]
    report = audit(A, b, [1.0, 1.0])
    assert not report.unique and report.prediction_holds


@pytest.mark.parametrize("integers", [False, True])
def test_all_other_x_are_found(integers):
    rng = np.random.default_rng(int(integers))
    for case in range(25):
        parts = [designs.exceptional(int(rng.integers(8, 60)), int(rng.integers(1, 6)), rng,
                                     integers) for _ in range(1 + case % 3)]
        A = scipy.linalg.block_diag(*(part[0] for part in parts))
        b = np.concatenate([part[1] for part in parts])
        x = np.concatenate([p[2] for p in parts])
        result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=case)
        assert result.success and not result.unique
        found, first = np.vstack([result.x, result.alternatives]), 0
        count = 0
        for A_C, b_C, x_C, _ in parts:
            others, far = oracles.other_solutions(A_C, b_C, x_C)
            assert not far
            mine = found[:, first:first + len(x_C)]
            for wanted in (x_C, *others):
                assert np.linalg.norm(mine - wanted, axis=1).min() < 1e-6 * (
                    1.0 + np.linalg.norm(wanted))
            first, count = first + len(x_C), count + len(others)
        assert len(result.alternatives) == count
        many = invert_many(A, b[None], leverage_scores(A, slack=A @ x - b)[None], rng=0)
        assert not many.unique[0] and len(many.alternatives[0]) == count


def test_noisy_scores_allow_the_other_x(rng):
    for n, d in ((49, 2), (60, 5), (120, 6)):
        A, b, x, other = designs.exceptional(n, d, rng)
        scores, noise = leverage_scores(A, slack=A @ x - b).round(6), 1e-6 / 12 ** 0.5
        result = invert_scores(A, b, scores, noise=noise, rng=0)
        found = np.vstack([result.x, result.alternatives])
        assert result.success and not result.unique
        for wanted in (x, other):
            assert np.linalg.norm(found - wanted, axis=1).min() < 0.01 * np.linalg.norm(wanted)
        assert not invert_many(A, b[None], scores[None], noise=noise, rng=0).unique[0]


def test_generic_x_is_unique(rng):
    for n, d in ((12, 2), (40, 5), (45, 20), (300, 8)):
        A, b, x = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
        scores = leverage_scores(A, slack=A @ x - b)
        for extra in ({}, {"callback": lambda _: None}):
            result = invert_scores(A, b, scores, rng=0, **extra)
            side, = result.evidence["sides"]
            assert result.unique and not len(result.alternatives)
            assert side == {"rank": d + 1, "sign_vectors": 2 ** d, "complete": True, "fitting": 1,
                            "others": 0, "at_infinity": 0}
        assert invert_many(A, b[None], scores[None], rng=0).unique[0]


def test_beyond_the_rank_x_is_only_searched_for(rng):
    A, b = rng.standard_normal((60, SIGN_RANK)), rng.standard_normal(60)
    scores = leverage_scores(A, slack=A @ np.ones(SIGN_RANK) - b)
    result = invert_scores(A, b, scores, rng=0)
    assert result.unique
    assert [side["complete"] for side in result.evidence["sides"]] == [False]


def test_other_x_at_infinity(rng):
    """Scores of A y: those of every large multiple of y, to rounding."""
    A, x, y = rng.standard_normal((30, 3)), rng.standard_normal(3), rng.standard_normal(3)
    b = A @ x + np.where(rng.random(30) < 0.5, 1.0, -1.0) * (A @ y)
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=0)
    assert result.success and not result.unique and not len(result.alternatives)
    assert "x may be arbitrarily large" in result.message
    assert result.evidence["sides"][0]["at_infinity"] == 1
    np.testing.assert_allclose(result.x, x)


def test_more_x_than_are_listed(rng):
    """[A b] has nine components: 2^8 sign vectors, of which the first are tried."""
    A = np.vstack([np.eye(8), np.ones(8)])
    b = np.append(np.zeros(8), 1.0)
    A, b = np.repeat(A, 2, axis=0), np.repeat(b, 2)
    x = rng.uniform(1.0, 2.0, 8)
    result = invert_scores(A, b, leverage_scores(A, slack=A @ x - b), rng=0)
    side, = result.evidence["sides"]
    assert result.success and not result.unique
    assert not side["complete"] and side["fitting"] == BRANCH_STARTS
    for other in result.alternatives:
        np.testing.assert_allclose(leverage_scores(A, slack=A @ other - b),
                                   leverage_scores(A, slack=A @ x - b), atol=1e-8)


def sides_of_a_peak(weighting, n, d, rng):
    """A, b, x and another x at the same level: each row is on the other side of the mode, or its
    predictor is the same.
    """
    A, x, other = rng.standard_normal((n, d)), rng.standard_normal(d), rng.standard_normal(d)
    move, b = other - x, rng.standard_normal(n)
    turned = rng.random(n) < 0.5
    A[~turned] -= np.outer(A[~turned] @ move, move) / (move @ move)
    for i in np.flatnonzero(turned):
        def distance(gap, change=A[i] @ move):
            lower, upper = weighting.branches(np.array([gap]))
            return float(upper[0] - lower[0]) - abs(change)
        lower, upper = weighting.branches(np.array([scipy.optimize.brentq(
            distance, 1e-12, 300.0, xtol=1e-15, rtol=1e-15)]))
        b[i] = A[i] @ x - (lower[0] if A[i] @ move > 0 else upper[0])
    return A, b, x, other


@pytest.mark.parametrize("link", ["logit", "probit", "cauchit", "cloglog"])
def test_sides_of_a_peak(link, rng):
    weighting = glm("binomial", link)
    for n, d in ((20, 2), (40, 4)):
        A, b, x, other = sides_of_a_peak(weighting, n, d, rng)
        scores = LeverageMap(A, b, weighting=weighting).scores(x)
        np.testing.assert_allclose(LeverageMap(A, b, weighting=weighting).scores(other), scores,
                                   atol=1e-9)
        result = invert_scores(A, b, scores, weighting=weighting, rng=0)
        assert result.success and not result.unique
        found = np.vstack([result.x, result.alternatives])
        for wanted in (x, other):
            assert np.linalg.norm(found - wanted, axis=1).min() < 1e-5
        assert not invert_many(A, b[None], scores[None], weighting=weighting, rng=0).unique[0]
        b = rng.standard_normal(n)
        scores = LeverageMap(A, b, weighting=weighting).scores(x)
        assert invert_scores(A, b, scores, weighting=weighting, rng=0).unique
        assert invert_many(A, b[None], scores[None], weighting=weighting, rng=0).unique[0]
