"""leverage_scores: values, accuracy, rank, invariances, input of every kind."""
import hypothesis
import mpmath
import numpy as np
import pytest
import scipy.linalg
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import oracles
from designs import LAYOUTS, conditioned, frozen, integer_matrices, layouts, magnitudes
from levinv import leverage_scores

EPS = np.finfo(float).eps
METHODS = ["auto", "cholesky", "qr"]


def exact_scores(B, digits=50):
    with mpmath.workdps(digits):
        B = oracles.exact(B)
        return ((B @ oracles.inverse(B.T @ B)) * B).sum(axis=1)


# values

def test_hand_computed():
    # Simple regression: 1/n + (t - mean)² / sum (t - mean)².
    t = np.array([0.0, 1.0, 2.0, 9.0])
    expected = 0.25 + (t - 3.0) ** 2 / 50.0
    assert_allclose(leverage_scores(np.column_stack([np.ones(4), t])), expected, rtol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_golden(golden, method):
    slack = golden["A"] @ golden["x"] - golden["b"]
    rtol = 1e-9 if golden["name"] == "graded" else 1e-11
    assert_allclose(leverage_scores(golden["A"], slack=slack, method=method), golden["scores"],
                    rtol=rtol)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (40, 1), (513, 3), (1500, 40), (5000, 8)])
def test_definition(rng, shape, method):
    A, weights = rng.normal(size=shape), rng.uniform(0.1, 10.0, size=shape[0])
    B = np.sqrt(weights)[:, None] * A
    expected = ((B @ np.linalg.inv(B.T @ B)) * B).sum(axis=1)
    assert_allclose(leverage_scores(A, weights=weights, method=method), expected, rtol=1e-9,
                    atol=1e-14)


# accuracy

@pytest.mark.parametrize("method", ["auto", "qr"])
@pytest.mark.parametrize("condition", [1e4, 1e7, 1e8, 1e9])
def test_error_is_bounded_by_condition(rng, condition, method):
    A = conditioned(rng, 200, 6, condition)
    bound = 100 * EPS * condition
    expected = exact_scores(A).astype(float)
    assert np.abs(leverage_scores(A, method=method) - expected).max() <= bound
    if condition >= 1e7:        # what the Gram matrix alone gives does not pass
        naive = ((A @ np.linalg.inv(A.T @ A)) * A).sum(axis=1)
        assert np.abs(naive - expected).max() > bound


@pytest.mark.parametrize("condition", [1e2, 1e4, 4e6])
def test_cholesky_within_its_reach(rng, condition):
    A = conditioned(rng, 200, 6, condition)
    error = np.abs(leverage_scores(A, method="cholesky") - exact_scores(A).astype(float)).max()
    assert error <= 100 * EPS * condition


@pytest.mark.parametrize("condition, why", [(5e7, "condition number about [1-9].[0-9]e[+]07"),
                                            (1e9, "numerical rank"), (1e12, "numerical rank")])
def test_cholesky_beyond_its_reach_warns(rng, condition, why):
    message = rf"method='cholesky' cannot be accurate here [(]{why}.*[)]; use 'auto' or 'qr'"
    with pytest.warns(scipy.linalg.LinAlgWarning, match=message):
        scores = leverage_scores(conditioned(rng, 200, 6, condition), method="cholesky")
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("method", METHODS)
def test_bad_units_of_columns_do_not_matter(rng, method):
    A = rng.normal(size=(50, 4))
    units = np.array([1e-8, 1.0, 1e5, 1e12])
    error = oracles.worst_relative_error(leverage_scores(A * units, method=method), exact_scores(A))
    assert error <= 1e-12


@pytest.mark.parametrize("decades, method", [(3, "auto"), (3, "cholesky"), (3, "qr"), (20, "auto"),
                                             (20, "qr"), (150, "auto"), (150, "qr")])
def test_widely_spread_slacks(rng, decades, method):
    A = rng.normal(size=(30, 4))
    slack = 10.0 ** rng.uniform(-decades, decades, size=30)
    with mpmath.workdps(8 * decades + 60):
        expected = oracles.scores(oracles.exact(A) / oracles.exact(slack)[:, None]).astype(float)
    assert_allclose(leverage_scores(A, slack=slack, method=method), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("method", ["auto", "qr"])
@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9, 1e-12])
def test_parallel_rows_near_zero_slack(size, method):
    A = np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0], [1.0, 1.0]])
    slack = np.array([size, 2 * size, 2.0, 3.0])
    # 0.8 and 0.2 in their common direction; (2, -1) is left for the others.
    expected = [0.8, 0.2, 9 / 13, 4 / 13]
    promise = 100 * np.finfo(float).eps / size          # of the condition number 1 / size
    assert_allclose(leverage_scores(A, slack=slack, method=method), expected, rtol=0,
                    atol=size ** 2 + promise)


# rank

def deficient_designs():
    rng = np.random.default_rng(3)
    full = rng.normal(size=(40, 4))
    yield "product", full @ rng.normal(size=(4, 7)), 4
    yield "repeated column", full[:, [0, 1, 1, 3]], 3
    yield "zero column", full * [1.0, 0.0, 1.0, 1.0], 3
    yield "repeated column, bad units", full[:, [0, 1, 1, 3]] * [1e-7, 1.0, 1e7, 1e3], 3
    yield "wide", rng.normal(size=(3, 9)), 3
    yield "wide and deficient", rng.normal(size=(5, 2)) @ rng.normal(size=(2, 9)), 2
    yield "one-hot with intercept", np.column_stack([np.ones(30), np.eye(3)[np.arange(30) % 3]]), 3
    yield "zero rows", np.vstack([np.zeros((3, 4)), full[:20], np.zeros((2, 4))]), 4
    yield "zero", np.zeros((5, 2)), 0
    yield "rank one", np.outer(np.arange(6.0), [1.0, 2.0, 3.0]), 1


DEFICIENT = list(deficient_designs())


@pytest.mark.parametrize("method", ["auto", "qr"])
@pytest.mark.parametrize("A, rank", [case[1:] for case in DEFICIENT],
                         ids=[case[0] for case in DEFICIENT])
def test_rank_deficient(A, rank, method):
    # Unit columns for the SVD, which would take a small column for noise.
    norms = np.linalg.norm(A, axis=0)
    expected = oracles.svd_scores(A / np.where(norms > 0, norms, 1.0), rank)
    assert_allclose(leverage_scores(A, method=method), expected, rtol=0, atol=1e-10)


def test_rank_deficient_with_weights_and_slack(rng):
    A = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 5))
    scale = rng.uniform(0.1, 3.0, size=40)
    expected = oracles.svd_scores(scale[:, None] * A, 3)
    assert_allclose(leverage_scores(A, weights=scale ** 2), expected, atol=1e-10)
    assert_allclose(leverage_scores(A, slack=1 / scale), expected, atol=1e-10)


def test_cholesky_of_rank_deficient_warns(rng):
    A = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 5))
    A[:, 4] = 0.0
    with pytest.warns(scipy.linalg.LinAlgWarning, match="numerical rank of the Gram matrix 3 of 5"):
        scores = leverage_scores(A, method="cholesky")
    assert_allclose(scores, oracles.svd_scores(A, 3), atol=1e-6)


def test_rank_is_that_of_the_rows_not_of_the_scaled_rows():
    # Row scaling never changes a rank, however small it makes the only rows that carry a direction.
    A = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert_allclose(leverage_scores(A, slack=[1.0, 1.0, 1e12]), [0.5, 0.5, 1.0], rtol=1e-12)
    assert_allclose(leverage_scores(A, weights=[1.0, 1.0, 1e-30]), [0.5, 0.5, 1.0], rtol=1e-12)


def test_rcond(rng):
    A = rng.normal(size=(30, 3))
    A[:, 2] = A[:, 1] + 1e-6 * rng.normal(size=30)
    assert leverage_scores(A).sum() == pytest.approx(3)
    assert leverage_scores(A, method="qr", rcond=1e-3).sum() == pytest.approx(2)
    assert leverage_scores(A, method="qr", rcond=0).sum() == pytest.approx(3)


def test_rcond_does_not_depend_on_the_method(rng):
    A = rng.normal(size=(30, 3))
    A[:, 2] = A[:, 1] + 1e-3 * rng.normal(size=30)
    assert leverage_scores(A, rcond=1e-2).sum() == pytest.approx(2)


# zero slack, zero weight, zero rows

def test_zero_slack_is_the_limit(rng):
    A, slack = rng.normal(size=(20, 4)), rng.normal(size=20)
    slack[[3, 11]] = 0.0
    expected, _ = oracles.limit_at_zero_slack(A, slack)
    found = leverage_scores(A, slack=slack)
    assert_allclose(found, expected, rtol=1e-11)
    assert_array_equal(found[[3, 11]], 1.0)
    slack[[3, 11]] = 1e-8, -1e-7
    assert_allclose(leverage_scores(A, slack=slack), expected, atol=1e-12)


def test_as_many_zero_slacks_as_columns(rng):
    A, slack = rng.normal(size=(6, 3)), rng.normal(size=6)
    slack[[0, 2, 5]] = 0.0
    assert_allclose(leverage_scores(A, slack=slack), [1, 0, 1, 0, 0, 1], atol=1e-14)


def test_zero_slack_in_a_rank_deficient_design(rng):
    basis = rng.normal(size=(12, 3))
    A, slack = basis @ rng.normal(size=(3, 5)), rng.normal(size=12)
    slack[4] = 0.0
    expected, _ = oracles.limit_at_zero_slack(basis, slack)
    assert_allclose(leverage_scores(A, slack=slack), expected, atol=1e-10)


def test_zero_rows_have_score_zero_whatever_their_slack(rng):
    A, slack = rng.normal(size=(8, 2)), rng.normal(size=8)
    A[[1, 6]] = 0.0
    slack[[1, 4]] = 0.0
    kept = [0, 2, 3, 4, 5, 7]
    found = leverage_scores(A, slack=slack)
    assert_array_equal(found[[1, 6]], 0.0)
    assert_allclose(found[kept], leverage_scores(A[kept], slack=slack[kept]), rtol=1e-13)


def test_zero_slack_in_nothing_but_zero_rows():
    A = [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    expected = leverage_scores(A)
    assert_allclose(leverage_scores(A, slack=[1.0, 0.0, 1.0, 1.0]), expected, rtol=1e-13)


def test_zero_weights_leave_rows_out(rng):
    A, weights = rng.normal(size=(10, 3)), rng.uniform(size=10)
    weights[[0, 4, 9]] = 0.0
    kept = weights > 0
    found = leverage_scores(A, weights=weights)
    assert_array_equal(found[~kept], 0.0)
    assert_allclose(found[kept], leverage_scores(A[kept], weights=weights[kept]), rtol=1e-13)


def test_zero_weights_that_reduce_the_rank(rng):
    A = rng.normal(size=(10, 4))
    weights = np.zeros(10)
    weights[[2, 7]] = 0.3, 5.0
    assert_allclose(leverage_scores(A, weights=weights), weights > 0, atol=1e-14)
    A[3:8] = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 4))
    weights = np.where((np.arange(10) >= 3) & (np.arange(10) < 8), rng.uniform(0.1, 1.0, size=10),
                       0.0)
    expected = oracles.svd_scores(np.sqrt(weights)[:, None] * A, 2)
    assert_allclose(leverage_scores(A, weights=weights), expected, atol=1e-10)


def test_all_weights_zero(rng):
    assert_array_equal(leverage_scores(rng.normal(size=(5, 2)), weights=np.zeros(5)), np.zeros(5))


# properties

@hypothesis.given(integer_matrices())
def test_sum_is_rank_and_range_is_unit_interval(A):
    scores = leverage_scores(A)
    assert scores.sum() == pytest.approx(np.linalg.matrix_rank(A), abs=1e-10)
    assert (scores >= 0).all() and (scores <= 1).all()
    assert_allclose(scores, oracles.svd_scores(A, np.linalg.matrix_rank(A)), atol=1e-10)


@hypothesis.given(st.data(), integer_matrices(max_rows=12))
def test_invariant_to_invertible_maps_of_the_columns(data, A):
    d = A.shape[1]
    lower = data.draw(hnp.arrays(float, (d, d), elements=st.integers(-3, 3).map(float)))
    transform = np.tril(lower, -1) + np.diag(data.draw(magnitudes(d, 2)))
    assert_allclose(leverage_scores(A @ transform), leverage_scores(A), atol=1e-9)


@hypothesis.given(st.data(), integer_matrices())
def test_permuting_rows_permutes_scores(data, A):
    order = data.draw(st.permutations(range(len(A))))
    slack = data.draw(magnitudes(len(A), 1))
    assert_allclose(leverage_scores(A[order], slack=slack[order]),
                    leverage_scores(A, slack=slack)[order], atol=1e-12)


@hypothesis.given(st.data(), integer_matrices(), st.floats(-100.0, 100.0))
def test_scale_and_sign_of_slack_do_not_matter(data, A, power):
    n = len(A)
    slack, signs = data.draw(magnitudes(n, 1)), np.sign(data.draw(magnitudes(n, 1)))
    assert_allclose(leverage_scores(A, slack=10.0 ** power * signs * slack),
                    leverage_scores(A, slack=slack), atol=1e-11)


@hypothesis.given(st.data(), integer_matrices(), st.floats(-200.0, 200.0))
def test_scale_of_weights_does_not_matter_and_slack_is_a_weight(data, A, power):
    slack = data.draw(magnitudes(len(A), 1))
    by_slack = leverage_scores(A, slack=slack)
    assert_allclose(leverage_scores(A, weights=10.0 ** power / slack ** 2), by_slack, atol=1e-11)
    assert_allclose(leverage_scores(A / slack[:, None]), by_slack, atol=1e-11)


@hypothesis.given(integer_matrices(), st.integers(0, 8))
def test_a_weight_is_a_number_of_copies(A, row):
    row %= len(A)
    weights = np.ones(len(A))
    weights[row] = 3.0
    copies = leverage_scores(np.vstack([A, A[[row, row]]]))
    copies[row] += copies[-2:].sum()
    assert_allclose(leverage_scores(A, weights=weights), copies[:-2], atol=1e-11)


@hypothesis.given(integer_matrices())
def test_one_more_row_raises_no_score_of_a_full_rank_design(A):
    hypothesis.assume(len(A) > 1 and np.linalg.matrix_rank(A[:-1]) == A.shape[1])
    assert (leverage_scores(A)[:-1] <= leverage_scores(A[:-1]) + 1e-12).all()


# input of every kind

@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", "i1", "u2", "i8", "?"])
def test_dtypes(rng, dtype):
    A = rng.integers(0, 2 if dtype == "?" else 6, size=(15, 3)).astype(dtype)
    weights = (np.arange(15) % 2 + 1).astype(dtype)
    found = leverage_scores(A, weights=weights)
    assert found.dtype == np.float64
    assert_array_equal(found, leverage_scores(A.astype(float), weights=weights.astype(float)))


def test_single_precision_is_computed_in_double(rng):
    A = rng.normal(size=(200, 5)).astype(np.float32)
    assert_allclose(leverage_scores(A), exact_scores(A).astype(float), rtol=1e-13)


def test_nested_lists():
    assert_array_equal(leverage_scores([[1, 0], [0, 2]], weights=[1, 3]), [1.0, 1.0])


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("shape, method", [((30, 4), "auto"), ((30, 4), "qr"), ((1300, 7), "auto")])
def test_memory_layout_does_not_matter(rng, name, shape, method):
    A = rng.normal(size=shape)
    vectors = rng.uniform(1.0, 2.0, size=shape[0])
    laid_out = dict(layouts(A))[name]
    vectors_laid_out = dict(layouts(vectors)).get(name, vectors)
    assert_allclose(leverage_scores(laid_out, method=method), leverage_scores(A, method=method),
                    rtol=1e-13)
    for argument in ("slack", "weights"):
        assert_allclose(leverage_scores(laid_out, method=method, **{argument: vectors_laid_out}),
                        leverage_scores(A, method=method, **{argument: vectors}), rtol=1e-13)


def test_strided_zero_weights(rng):
    assert_array_equal(leverage_scores(rng.normal(size=(5, 2)), weights=np.zeros(10)[::2]),
                       np.zeros(5))


def test_broadcast_rows():
    assert_allclose(leverage_scores(np.broadcast_to([1.0, 2.0], (5, 2))), np.full(5, 0.2),
                    rtol=1e-14)


def test_memory_mapped(rng, tmp_path):
    A = rng.normal(size=(50, 3))
    np.save(tmp_path / "A.npy", A)
    found = leverage_scores(np.load(tmp_path / "A.npy", mmap_mode="r"))
    assert type(found) is np.ndarray
    assert_array_equal(found, leverage_scores(A))


@pytest.mark.parametrize("method", METHODS)
def test_inputs_are_not_written_to(rng, method):
    A, vector = frozen(rng.normal(size=(30, 4)), rng.uniform(1, 2, size=30))
    leverage_scores(A, method=method)
    leverage_scores(A, slack=vector, method=method)
    leverage_scores(A, weights=vector, method=method)
    zero, = frozen(np.where(np.arange(30) == 7, 0.0, vector))
    leverage_scores(A, slack=zero, method=method)
    leverage_scores(np.asfortranarray(A), method=method)


def test_result_is_a_new_array(rng):
    weights = np.zeros(5)
    leverage_scores(rng.normal(size=(5, 2)), weights=weights)[:] = 7.0
    assert_array_equal(weights, 0.0)


def test_unchecked_input(rng):
    A = rng.normal(size=(30, 4))
    assert_array_equal(leverage_scores(A, check_finite=False), leverage_scores(A))


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e-100, 1e100, 1e150])
def test_scale_of_the_matrix_does_not_matter(rng, scale):
    A = rng.normal(size=(20, 3))
    assert_allclose(leverage_scores(scale * A), leverage_scores(A), rtol=1e-12)


@pytest.mark.parametrize("units", [(1e160, 1e160, 1e160), (1e160, 1.0, 1.0), (1e-160, 1.0, 1.0)])
def test_entries_whose_squares_overflow(rng, units):
    A = rng.normal(size=(20, 3))
    assert_allclose(leverage_scores(A * units), leverage_scores(A), rtol=1e-12)


# stacks of matrices

@pytest.mark.parametrize("kind", [None, "slack", "weights"])
@pytest.mark.parametrize("shape", [(1, 7, 2), (50, 100, 5), (2, 3, 40, 4), (3, 4, 9)])
def test_stacks(rng, shape, kind):
    A, values = rng.normal(size=shape), rng.uniform(0.5, 2.0, size=shape[:-1])
    given = {} if kind is None else {kind: values}
    found = leverage_scores(A, **given)
    assert found.shape == shape[:-1]
    for place in np.ndindex(shape[:-2]):
        single = {} if kind is None else {kind: values[place]}
        assert_allclose(found[place], leverage_scores(A[place], **single), rtol=0, atol=1e-14)


def test_one_slack_for_a_whole_stack(rng):
    A, slack = rng.normal(size=(4, 30, 3)), rng.normal(size=30)
    assert_array_equal(leverage_scores(A, slack=slack),
                       [leverage_scores(matrix, slack=slack) for matrix in A])


def test_hard_matrices_in_a_stack(rng):
    A = rng.normal(size=(6, 40, 4))
    slack = rng.uniform(0.5, 2.0, size=(6, 40))
    A[1, :, 3] = A[1, :, 2]                               # rank-deficient
    A[2] = conditioned(rng, 40, 4, 1e9)
    slack[3, 5] = 0.0
    A[4] *= 1e200
    found = leverage_scores(A, slack=slack)
    for matrix, row, scores in zip(A, slack, found, strict=True):
        assert_array_equal(scores, leverage_scores(matrix, slack=row))
    assert_allclose(found.sum(axis=1), [4, 3, 4, 4, 4, 4], rtol=1e-7)
    for method in ("cholesky", "qr"):
        assert_allclose(leverage_scores(A[[0, 4, 5]], slack=slack[[0, 4, 5]], method=method),
                        found[[0, 4, 5]], rtol=1e-9)


def test_doubt_names_the_matrix_of_the_stack(rng):
    A = rng.normal(size=(3, 40, 4))
    A[2] = conditioned(rng, 40, 4, 1e9)
    with pytest.warns(scipy.linalg.LinAlgWarning, match="matrix 2 of the stack: numerical rank"):
        leverage_scores(A, method="cholesky")


@pytest.mark.parametrize("change", ["transposed", "strided", "reversed", "read-only", "integers"])
def test_stacks_in_every_layout(rng, change):
    A = rng.integers(-9, 9, size=(5, 30, 3)).astype(float)
    expected = leverage_scores(A)
    changed = {"transposed": np.asfortranarray(A), "strided": np.repeat(A, 2, axis=1)[:, ::2],
               "reversed": A[::-1, ::-1, ::-1], "read-only": frozen(A)[0],
               "integers": A.astype(np.int32)}[change]
    if change == "reversed":
        expected = expected[::-1, ::-1]
    assert_allclose(leverage_scores(changed), expected, rtol=1e-12)


@pytest.mark.parametrize("given, message", [
    ({"slack": np.ones((2, 7))},
     r"slack must have shape \(2, 8\), one entry per row of A, or \(8,\)"),
    ({"slack": np.ones(7)}, "slack must have length 8"),
    ({"weights": -np.ones((2, 8))}, "weights must be at least 0"),
    ({"weights": np.full((2, 8), np.nan)}, "weights must be finite"),
    ({"slack": np.full((2, 8), np.inf)}, "slack must be finite"),
])
def test_values_for_a_stack_are_checked(rng, given, message):
    with pytest.raises(ValueError, match=message):
        leverage_scores(rng.normal(size=(2, 8, 3)), **given)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(9, 2), (3, 9, 2), (30000, 30)])
def test_entries_that_are_not_finite_are_found_in_every_route(rng, shape, value):
    A = rng.normal(size=shape)
    A[(-1,) * len(shape)] = value
    with pytest.raises(ValueError, match="^A must be finite, got NaN or inf at index"):
        leverage_scores(A)
    leverage_scores(np.where(np.isfinite(A), A, 1e200))   # large is not infinite


@pytest.mark.parametrize("unit", [1e-313, [1e-310, 1.0, 5e-324]])
@pytest.mark.parametrize("method", ["auto", "cholesky", "qr"])
@pytest.mark.parametrize("slack", [None, [1, 2, 3, 4, 5, 6], [0, 2, 3, 4, 5, 6]])
def test_subnormal_entries(rng, unit, method, slack):
    A = rng.integers(1, 1000, size=(6, 3)).astype(float)
    assert_allclose(leverage_scores(A * unit, method=method, slack=slack),
                    leverage_scores(A * unit / unit, method=method, slack=slack), atol=1e-11)


def test_what_is_wrong_in_a_stack_is_found_by_its_index(rng):
    A, weights = rng.normal(size=(3, 2, 6, 2)), np.ones((3, 2, 6))
    weights[1, 0, 4] = -2.0
    with pytest.raises(ValueError, match=r"weights must be .* got -2.0 at index \(1, 0, 4\)"):
        leverage_scores(A, weights=weights)
    weights[1, 0, 4] = np.inf
    with pytest.raises(ValueError, match=r"weights must be finite.* index \(1, 0, 4\)"):
        leverage_scores(A, weights=weights)
    A[2, 1, 3, 1] = np.nan
    with pytest.raises(ValueError, match=r"A must be finite.* index \(2, 1, 3, 1\)"):
        leverage_scores(A)
