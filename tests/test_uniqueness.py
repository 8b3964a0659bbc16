"""`unique` and the null space against enumeration of all signs and an SVD of the linear system."""
import numpy as np
import pytest

import limits
import oracles
from levinv import invert_scores, leverage_scores


def sparse_cases(count, seed):
    """Small sparse integer designs with sparse responses: components, coloops, loops, undetermined
    signs.
    """
    rng = np.random.default_rng(seed)
    while count:
        d = int(rng.integers(1, 5))
        n = int(rng.integers(max(d + 1, 2), 11))
        A = (rng.integers(-3, 4, (n, d)) * (rng.random((n, d)) < rng.uniform(0.3, 1))).astype(float)
        b = rng.standard_normal(n) * (rng.random(n) < rng.uniform(0.2, 1))
        x = rng.standard_normal(d)
        slack = A @ x - b
        if np.linalg.matrix_rank(A) == d and (np.abs(slack[A.any(axis=1)]) > 1e-3).all():
            count -= 1
            yield A, b, x, slack


def test_unique_agrees_with_enumeration():
    answers = []
    for A, b, x, slack in sparse_cases(150, seed=1):
        c = leverage_scores(A, slack=np.where(A.any(axis=1), slack, 1.0))
        result = invert_scores(A, b, c, rng=0)
        assert result.success, result.message
        answers.append(oracles.unique_by_enumeration(A, b, x))
        assert result.unique == answers[-1]
    assert 20 < sum(answers) < 130                # both answers occur


@pytest.mark.parametrize("seed", range(3))
def test_null_space_is_that_of_the_linear_system(seed):
    dimensions = set()
    for A, b, x, slack in sparse_cases(40, seed=10 + seed):
        if not A.any(axis=1).all():
            continue
        c = leverage_scores(A, slack=slack)
        result = invert_scores(A, b, c, signs=np.where(slack < 0, -1, 1))
        assert result.success, result.message
        dimension = result.null_space.shape[1]
        dimensions.add(dimension)
        assert dimension == limits.exact_null_dimension(A, b, x)
        for direction in result.null_space.T:
            moved = A @ (result.x + 1e-3 * direction) - b
            np.testing.assert_allclose(leverage_scores(A, slack=moved), c, rtol=0, atol=1e-10)
    assert len(dimensions) > 1
