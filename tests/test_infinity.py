"""Scores that x has only in the limit x -> infinity, and signs that noisy scores would violate."""
import numpy as np
import pytest

import oracles
from levinv import invert_many, invert_scores, leverage_scores


@pytest.fixture
def ordinary(rng):
    """The hat values of an ordinary regression with an intercept."""
    A = np.column_stack([np.ones(8), rng.standard_normal((8, 2))])
    return A, rng.standard_normal(8), leverage_scores(A)


@pytest.mark.parametrize("decimals", [None, 4, 3])
def test_ordinary_hat_values_are_not_unique(ordinary, decimals):
    A, b, scores = ordinary
    given = scores if decimals is None else scores.round(decimals)
    result = invert_scores(A, b, given, decimals=decimals, rng=0)
    assert not result.unique
    if result.success:
        assert "x may be arbitrarily large" in result.message


def test_many_ordinary_hat_values_are_not_unique(ordinary):
    A, b, scores = ordinary
    assert not invert_many(A, b[None], scores[None], rng=0).unique[0]


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_large_x_is_unique(rng, size):
    """As long as b shows in the scores."""
    A, b = rng.standard_normal((30, 3)), rng.standard_normal(30)
    x = size * rng.standard_normal(3)
    result = invert_scores(A, b, oracles.scores(A / (A @ x - b)[:, None]), rng=0)
    assert result.success and result.unique
    np.testing.assert_allclose(result.x, x, rtol=1e-8)


def test_known_signs_hold_with_noise():
    A = np.array([[-0.2, -1.4], [0.6, 1.3], [1.2, -1.0], [-0.0, -0.3], [-0.4, 0.3]])
    b = -np.array([0.13, 0.24, 0.01, 0.83, 0.13])
    scores = leverage_scores(A, slack=-b).round(2)
    result = invert_scores(A, b, scores, signs=1, decimals=2, rng=0)
    assert result.success and np.all(A @ result.x - b > 0) and np.all(result.signs == 1.0)


def test_known_signs_hold_in_random_polytopes():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, d = int(rng.integers(5, 20)), int(rng.integers(2, 5))
        A, slack = rng.standard_normal((n, d)), rng.exponential(size=n)
        scores = leverage_scores(A, slack=slack).round(2)
        result = invert_scores(A, -slack, scores, signs=1, decimals=2, rng=seed)
        if result.success:
            assert np.all(A @ result.x + slack > 0)
