"""The stages of the inversion one by one, against literal formulas."""
import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings
from numpy.testing import assert_allclose, assert_array_equal

import designs
import levinv.inverse.stages.magnitudes as magnitudes_stage
import oracles
from levinv import NoSolutionError, forster_weights, leverage_scores
from levinv.inverse.stages.accelerated import Accelerator
from levinv.inverse.stages.infeasible import find_infeasible_set
from levinv.inverse.stages.magnitudes import find_magnitudes
from levinv.inverse.stages.reduction import components, reduce
from levinv.inverse.stages.signs import _flip, sign_candidates
from levinv.storage import DenseRows

# components

def components_of(A):
    return components(lambda index: A[index], *A.shape)


def circuits_join(A):
    """Components from all circuits, by brute force: rows in a common minimal dependent set."""
    n = len(A)
    joined = np.eye(n, dtype=bool)
    for size in range(2, n + 1):
        for rows in itertools.combinations(range(n), size):
            part = A[list(rows)]
            if np.linalg.matrix_rank(part) == size - 1 and all(
                    np.linalg.matrix_rank(np.delete(part, i, axis=0)) == size - 1
                    for i in range(size)):
                joined[np.ix_(rows, rows)] = True
    for _ in range(n):
        joined = (joined.astype(int) @ joined) > 0
    return joined


@settings(max_examples=60)
@given(designs.integer_matrices(max_rows=7, full_rank=True))
def test_components_are_those_of_the_circuits(A):
    found = components_of(A)
    loops = ~A.any(axis=1)
    assert_array_equal(found.label == -1, loops)
    together = found.label[:, None] == found.label
    expected = circuits_join(A)
    kept = ~loops
    assert_array_equal(together[np.ix_(kept, kept)], expected[np.ix_(kept, kept)])


def test_components_of_many_rows_need_a_sample_only():
    rng = np.random.default_rng(0)
    A = np.zeros((10_000, 6))
    half = rng.random(10_000) < 0.5
    A[half, :3], A[~half, 3:] = (rng.standard_normal((half.sum(), 3)),
                                 rng.standard_normal(((~half).sum(), 3)))
    found = components_of(A)
    assert found.count == 2
    assert_array_equal(found.label == found.label[0], half == half[0])


def test_rows_are_looked_at_until_all_are_connected():
    A = np.random.default_rng(0).standard_normal((50_000, 6))
    A[[3, 40_000]] = 0.0
    seen = []

    def block(index):
        seen.append(len(A[index]))
        return A[index]

    found = components(block, *A.shape, ~A.any(axis=1))
    assert_array_equal(found.label, np.where(A.any(axis=1), 0, -1))
    assert found.count == 1
    assert sum(seen) < 5000


def test_a_component_that_the_sample_misses():
    rng = np.random.default_rng(0)
    A = np.zeros((10_000, 4))
    A[:, :3] = rng.standard_normal((10_000, 3))
    A[[17, 6000]] = [[0, 0, 0, 1.0], [0, 0, 0, -2.0]]
    for found in (components_of(A), components(lambda index: A[index], *A.shape, ~A.any(axis=1))):
        assert found.count == 2
        assert_array_equal(np.flatnonzero(found.label == found.label[17]), [17, 6000])


def test_dependent_columns_are_refused():
    with pytest.raises(np.linalg.LinAlgError):
        components_of(np.ones((4, 2)))


# stage 1

@settings(max_examples=60)
@given(designs.integer_matrices(max_rows=9, full_rank=True), st.integers(0, 2 ** 32 - 1))
def test_weights_are_found_for_any_scores(A, seed):
    true = np.exp(np.random.default_rng(seed).normal(size=len(A)))
    kept = A.any(axis=1)
    c = np.zeros(len(A))
    c[kept] = oracles.scores(A[kept] * np.sqrt(true[kept])[:, None])
    weights = forster_weights(A, c)
    assert_allclose(leverage_scores(A, weights=weights), c, rtol=0, atol=1e-10)
    found = reduce(DenseRows(A))
    for component in range(found.count):
        member = found.members(component)
        assert np.log(weights[member]).mean() == pytest.approx(0.0, abs=1e-10)
        ratio = weights[member] / true[member]
        assert_allclose(ratio, ratio[0], rtol=1e-6)
    outside = ~found.active
    assert_array_equal(weights[outside], 1.0)


def test_default_is_isotropic(rng):
    A = rng.standard_cauchy((50, 4))
    assert_allclose(leverage_scores(A, weights=forster_weights(A)), 0.08, atol=1e-10)


@pytest.mark.parametrize("spread", [1, 3, 6])
def test_scores_close_to_one(rng, spread):
    A = rng.standard_normal((40, 5))
    slack = 10.0 ** rng.uniform(-spread, 0, 40)
    c = leverage_scores(A, slack=slack)
    relative = np.sqrt(forster_weights(A, c)) * slack
    # rounding of c near 1 is all that limits the weight of such a row
    known = np.finfo(float).eps / np.minimum(c, 1 - c)
    assert_array_equal(np.abs(relative / np.median(relative) - 1) <= 1e-10 + 100 * known, True)


def test_an_iteration_that_ended_early_is_continued(rng):
    A = rng.standard_normal((300, 5))
    c = leverage_scores(A, slack=rng.exponential(size=300))
    reduced = reduce(DenseRows(A))
    arguments = reduced.rows, reduced.start, c, reduced.active, reduced.label
    whole = find_magnitudes(*arguments)
    some = find_magnitudes(*arguments, accuracy=0.1)
    assert 1e-6 < some.error <= 0.1
    rest = find_magnitudes(*arguments, log_weight=some.log_weight)
    assert some.iterations + rest.iterations <= whole.iterations + 2
    assert_allclose(rest.log_weight, whole.log_weight, atol=1e-9)
    assert rest.error < 1e-11


def test_direct_solver_and_conjugate_gradients_agree(rng, monkeypatch):
    A = rng.standard_normal((300, 5))
    c = leverage_scores(A, slack=rng.exponential(size=300))
    found = []
    for rows in (0, 1000):
        monkeypatch.setattr(magnitudes_stage, "DIRECT_ROWS", rows)
        monkeypatch.setattr(magnitudes_stage, "DIRECT_PER_RANK", 0)
        found.append(forster_weights(A, c))
    assert_allclose(found[0], found[1], rtol=1e-9)


def test_a_violated_set_is_named():
    A = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 2, 3], [0, 1, 1], [2, 0, 1]])
    with pytest.raises(NoSolutionError,
                       match=r"2 rows \(0, 1\) have scores that sum to 1.2, but rank 1"):
        forster_weights(A, [0.6, 0.6, 0.45, 0.45, 0.45, 0.45])
    with pytest.raises(NoSolutionError, match=r"2 rows \(0, 1\)"):
        forster_weights(A, [0.5, 0.5, 0.5, 0.5, 0.5, 0.5])


@settings(max_examples=40)
@given(designs.integer_matrices(max_rows=8, max_columns=3, full_rank=True),
       st.integers(0, 2 ** 32 - 1))
def test_there_are_weights_iff_no_set_is_violated(A, seed):
    assume(A.any(axis=1).all())
    n, d = A.shape
    assume(n > d)
    c = np.random.default_rng(seed).dirichlet(np.ones(n)) * d
    assume((c < 0.999).all() and (c > 1e-3).all())
    slack = min(np.linalg.matrix_rank(A[list(rows)]) - c[list(rows)].sum()
                 for size in range(1, n) for rows in itertools.combinations(range(n), size))
    assume(abs(slack) > 1e-3)
    if slack > 0:
        assert_allclose(leverage_scores(A, weights=forster_weights(A, c)), c, atol=1e-9)
    else:
        with pytest.raises(NoSolutionError):
            forster_weights(A, c)


def test_an_infeasible_set_is_a_proof():
    rng = np.random.default_rng(3)
    A = rng.standard_normal((20, 4))
    A[:5, 2:] = 0.0                                         # five rows of rank 2
    c = np.full(20, (4 - 2.5) / 15)
    c[:5] = 0.5
    reduced = reduce(DenseRows(A))
    found = find_magnitudes(reduced.rows, reduced.start, c, reduced.active, reduced.label)
    infeasible = found.infeasible or find_infeasible_set(
        reduced.rows, reduced.start, c, reduced.active, reduced.label, found.log_weight, 1e-9)
    assert c[infeasible.index].sum() > np.linalg.matrix_rank(A[infeasible.index])
    assert_array_equal(infeasible.index, range(5))


@pytest.mark.parametrize("scores, words", [
    ([0.5, 0.5, 0.5], "sum to the rank 2"), ([1.0, 0.5, 0.5], "row 0 the score 1"),
    ([0.0, 1.0, 1.0], "row 0 the score 0")])
def test_impossible_scores(scores, words):
    with pytest.raises(NoSolutionError, match=words):
        forster_weights([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], scores)


@pytest.mark.parametrize("arguments, error, message", [
    (([[1.0, 2.0]],), ValueError, "at least as many rows"),
    (([[1.0], [np.nan]],), ValueError, "A must be finite"),
    (([[1.0], [2.0]], [0.5]), ValueError, "scores must have length 2"),
    (([[1.0], [2.0]], [1.5, -0.5]), ValueError, r"scores must lie in \[0, 1\]"),
    (([[1.0], [2j]],), TypeError, "A must hold real"),
])
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        forster_weights(*arguments)


# stage 2

class Matrix(np.ndarray):
    """An array with the interface of stage 2."""

    def block(self, index):
        return np.asarray(self)[index]

    def matvec(self, v):
        return np.asarray(self) @ v


def phase_problem(rng, n, p):
    matrix = rng.standard_normal((n, p))
    image = matrix @ rng.standard_normal(p)
    return matrix.view(Matrix), np.abs(image), np.sign(image)


@pytest.mark.parametrize("n, p", [(8, 3), (60, 20), (2000, 10)])
def test_signs(rng, n, p):
    matrix, magnitude, signs = phase_problem(rng, n, p)
    found = next(sign_candidates(matrix, magnitude, rng))
    assert found.misfit < 1e-6
    assert abs(found.signs @ signs) == n


def test_no_signs_fit(rng):
    matrix, magnitude, _ = phase_problem(rng, 40, 5)
    candidates = list(sign_candidates(matrix, magnitude * rng.uniform(0.5, 2, 40), rng, restarts=3))
    assert 1 <= len(candidates) <= 3
    assert all(c.misfit > 1e-3 for c in candidates)
    assert [c.misfit for c in candidates] == sorted(c.misfit for c in candidates)


def test_flips_find_the_closest_signs_nearby(rng):
    matrix = rng.standard_normal((9, 3))
    g = matrix @ rng.standard_normal(3) + 0.05 * rng.standard_normal(9)
    best = np.where(g < 0, -1.0, 1.0)
    start = best.copy()
    start[[2, 5]] *= -1
    signs, rms = _flip(matrix, start * np.abs(g))
    assert_array_equal(signs, best)
    residual = g - matrix @ np.linalg.lstsq(matrix, g, rcond=None)[0]
    assert rms == pytest.approx(np.linalg.norm(residual) / np.sqrt(6))


def test_acceleration():
    """On a linear fixed point in r dimensions, r + 1 differences are enough."""
    rng = np.random.default_rng(0)
    matrix, limit = 0.5 * np.linalg.qr(rng.standard_normal((4, 4)))[0], rng.standard_normal(4)
    accelerator, t, plain = Accelerator(4), np.zeros(4), np.zeros(4)
    for _ in range(6):
        t = accelerator.next(t, matrix @ (t - limit) - (t - limit))
        plain = plain + matrix @ (plain - limit) - (plain - limit)
    assert np.linalg.norm(t - limit) < 1e-10 < np.linalg.norm(plain - limit)
    assert_array_equal(accelerator.next(t, np.zeros(4)), t)


@pytest.mark.parametrize("n, d", [(60, 4), (60, 8), (150, 60), (2500, 6)])
@pytest.mark.parametrize("tails", [1, 30])
def test_forster_weights_by_each_way(n, d, tails):
    """The kernel, accelerated sweeps and Newton's method alone have the same weights."""
    A = np.random.default_rng([n, d]).standard_t(tails, (n, d))
    weights = forster_weights(A, tol=1e-12)
    assert_allclose(oracles.scores(np.sqrt(weights)[:, None] * A), d / n, rtol=0, atol=2e-12)
    assert_allclose(np.exp(np.mean(np.log(weights))), 1.0)
    assert_allclose(forster_weights(A, tol=1e-12, maxiter=100), weights, rtol=1e-8)
    reduced = reduce(DenseRows(A))
    newton = find_magnitudes(reduced.rows, reduced.start, np.full(n, d / n), reduced.active,
                             reduced.label)
    assert_allclose(np.exp(newton.log_weight - newton.log_weight.mean()), weights, rtol=1e-8)


def test_forster_weights_of_a_limit():
    """Equal rows with c(S) = rank(S): scores as near as one likes exist, but not these."""
    A = np.vstack([np.tile([1.0, 2.0, 0.5], (4, 1)),
                   np.random.default_rng(1).standard_normal((8, 3))])
    with pytest.raises(NoSolutionError, match="rank"):
        forster_weights(A)
