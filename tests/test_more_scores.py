"""Scores with a ridge, of new rows, of the best rank k, and entries of the hat matrix."""
import dask.array
import h5py
import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import Ridge

import levinv.storage.dense
import oracles
from designs import conditioned, frozen
from levinv import hat_entries, leverage_scores

KINDS = ["dense", "fortran", "sparse", "memmap", "memmap single", "h5py", "dask"]


@pytest.fixture
def stored(tmp_path):
    """A function that stores an array."""
    def store(A, kind):
        if kind.startswith("memmap"):
            np.save(tmp_path / "A.npy", A.astype(np.float32) if kind.endswith("single") else A)
            return np.load(tmp_path / "A.npy", mmap_mode="r")
        if kind == "h5py":
            return h5py.File(tmp_path / "A.h5", "w").create_dataset("A", data=A)
        return {"dense": np.asarray, "fortran": np.asfortranarray,
                "sparse": scipy.sparse.csr_array,
                "dask": lambda A: dask.array.from_array(A, chunks=(-(-len(A) // 4), -1))}[kind](A)

    return store


def exact_hat(B, ridge, digits=60):
    """B (BᵀB + Λ)⁻¹ Bᵀ in exact numbers."""
    with mpmath.workdps(digits):
        B, ridge = oracles.exact(B), oracles.exact(np.broadcast_to(ridge, B.shape[1]))
        return B @ oracles.inverse(B.T @ B + np.diag(ridge)) @ B.T


def exact_ridge_scores(B, ridge, digits=60):
    return np.diag(exact_hat(B, ridge, digits))


def exact_new(A, rows, ridge, digits=60):
    with mpmath.workdps(digits):
        A, rows = oracles.exact(A), oracles.exact(rows)
        ridge = oracles.exact(np.broadcast_to(ridge, A.shape[1]))
        return np.diag(rows @ oracles.inverse(A.T @ A + np.diag(ridge)) @ rows.T)


# ridge

@pytest.mark.parametrize("method", ["auto", "cholesky", "qr"])
@pytest.mark.parametrize("shape", [(30, 4), (4, 9), (7, 7)])
@pytest.mark.parametrize("ridge", [1.0, 0.01, 1e3, "columns"])
def test_ridge_to_the_last_digits(rng, shape, ridge, method):
    A = rng.normal(size=shape)
    ridge = rng.uniform(0.1, 3.0, shape[1]) if ridge == "columns" else ridge
    found = leverage_scores(A, ridge=ridge, method=method)
    assert oracles.worst_relative_error(found, exact_ridge_scores(A, ridge)) <= 1e-12


@pytest.mark.parametrize("ridge", [1e30, 1e100, 1e300])
@pytest.mark.parametrize("shape", [(30, 4), (4, 9)])
def test_huge_ridge(rng, shape, ridge):
    A = rng.normal(size=shape)
    found = leverage_scores(A, ridge=ridge)
    assert oracles.worst_relative_error(found, exact_ridge_scores(A, ridge, 400)) <= 1e-12


@pytest.mark.parametrize("ridge", [1e-10, 1e-16, 1e-20, 1e-30, 1e-100, 1e-300])
@pytest.mark.parametrize("design", ["tall", "wide", "dependent", "zero column"])
def test_tiny_ridge(rng, design, ridge):
    A = rng.integers(-9, 10, size=(4, 9) if design == "wide" else (30, 4)).astype(float)
    if design == "dependent":                 # exactly
        A = np.column_stack([A, A[:, 0] - 2 * A[:, 1]])
    elif design == "zero column":
        A[:, 2] = 0.0
    expected = exact_ridge_scores(A, ridge, 700)
    for method in ("auto", "qr"):
        found = leverage_scores(A, ridge=ridge, method=method)
        assert oracles.worst_relative_error(found, expected) <= 1e-12


@pytest.mark.parametrize("ridge", [1e300, 1e20, 1.0, 1e-12, 1e-20, 1e-40, 1e-300, "columns"])
@pytest.mark.parametrize("design", ["integers", "equal rows", "long columns"])
def test_ridge_of_wide_matrices(rng, design, ridge):
    A = rng.integers(-9, 10, size=(5, 12)).astype(float)
    if design == "equal rows":
        A[3], A[4] = A[1], A[0] - 2 * A[2]
    elif design == "long columns":             # the short ones alone tell rows apart
        A[:, :2] = 1e7 * A[0, :2]
    ridge = 10.0 ** rng.integers(-20, 20, 12) if ridge == "columns" else ridge
    expected = exact_hat(A, ridge, 1300)
    assert oracles.worst_relative_error(leverage_scores(A, ridge=ridge), np.diag(expected)) <= 1e-11
    entries = hat_entries(A, np.arange(5), ridge=ridge)
    assert np.abs(entries - expected).max() <= 1e-11 * np.diag(expected).max()
    assert_allclose(leverage_scores(A, rows=A, ridge=ridge), leverage_scores(A, ridge=ridge),
                    rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("condition, ridge", [(1e4, 1e-6), (1e8, 1e-12), (1e12, 1e-10),
                                              (1e10, 1e-22)])
def test_ridge_of_an_ill_conditioned_matrix(rng, condition, ridge):
    A = conditioned(rng, 60, 5, condition)
    error = np.abs(leverage_scores(A, ridge=ridge)
                   - exact_ridge_scores(A, ridge).astype(float)).max()
    assert error <= 100 * 2.3e-16 * condition


@pytest.mark.parametrize("ridge", [[0.0, 1.0, 0.0, 2.0], [1e-300, 1.0, 1e300, 0.0],
                                   [1e300, 1e300, 0.0, 0.0], [0.0, 0.0, 1e-300, 1e-300]])
def test_ridge_of_some_columns(rng, ridge):
    A = rng.normal(size=(20, 4))
    expected = exact_ridge_scores(A, ridge, 1300)
    assert oracles.worst_relative_error(leverage_scores(A, ridge=ridge), expected) <= 1e-12


def test_ridge_of_some_columns_of_few_rows(rng):
    A = rng.normal(size=(3, 5))              # directions of columns 0 to 3 remain without ridge
    limit = exact_ridge_scores(A, [mpmath.mpf(0) + 1e-200] * 4 + [1.0], 500).astype(float)
    assert_allclose(leverage_scores(A, ridge=[0, 0, 0, 0, 1.0]), limit, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [None, "weights", "slack"])
@pytest.mark.parametrize("shape", [(80, 4), (5, 8)])
def test_ridge_in_every_storage(rng, stored, kind, given, shape):
    A = rng.integers(-9, 10, size=shape).astype(float)
    values = rng.uniform(0.5, 2.0, shape[0])
    scale = {None: 1.0, "weights": np.sqrt(values), "slack": 1 / values}[given]
    B = np.broadcast_to(scale, shape[0])[:, None] * A
    more = {} if given is None else {given: values}
    for ridge in (0.7, 1e-200):
        expected = exact_ridge_scores(B, ridge, 500).astype(float)
        assert_allclose(leverage_scores(stored(A, kind), ridge=ridge, **more), expected, rtol=1e-11,
                        atol=1e-13)
        if kind in ("h5py", "memmap"):
            break                             # the file is open


def test_tiny_ridge_without_a_copy(rng, stored, monkeypatch):
    monkeypatch.setattr(levinv.storage.dense, "COPY_ENTRIES", 10)
    A = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 5))
    found = leverage_scores(stored(A, "memmap"), ridge=1e-290)
    assert_allclose(found, oracles.svd_scores(A, 3), atol=1e-12)


def test_ridge_and_zero_slack(rng):
    A, slack = rng.normal(size=(12, 4)), rng.uniform(0.5, 2.0, 12)
    slack[[2, 5]] = 0.0
    found = leverage_scores(A, slack=slack, ridge=0.3)
    near = np.where(slack == 0, 1e-60, slack)
    with mpmath.workdps(300):
        B = oracles.exact(A) / oracles.exact(near)[:, None]
        inverse = oracles.inverse(B.T @ B + np.diag(oracles.exact(np.full(4, 0.3))))
        expected = np.diag(B @ inverse @ B.T).astype(float)
    assert_allclose(found, expected, rtol=1e-12)
    assert_array_equal(found[[2, 5]], 1.0)


def test_sum_is_the_effective_number_of_parameters(rng):
    A = rng.normal(size=(50, 6))
    squares = np.linalg.svd(A, compute_uv=False) ** 2
    assert_allclose(leverage_scores(A, ridge=2.5).sum(), (squares / (squares + 2.5)).sum())


def test_ridge_is_that_of_scikit_learn(rng):
    A = rng.normal(size=(15, 4))
    hat = np.column_stack([Ridge(alpha=0.8, fit_intercept=False).fit(A, e).predict(A)
                           for e in np.eye(15)])
    assert_allclose(leverage_scores(A, ridge=0.8), np.diag(hat), rtol=1e-10)
    assert_allclose(hat_entries(A, np.arange(15), ridge=0.8), hat, atol=1e-12)


def test_zero_ridge_is_none(rng):
    A = rng.normal(size=(20, 3))
    assert_allclose(leverage_scores(A, ridge=0), leverage_scores(A), rtol=1e-13)


def test_stack_with_ridge_and_rank(rng):
    A, weights = rng.normal(size=(2, 3, 20, 4)), rng.uniform(1.0, 2.0, 20)
    for more in ({"ridge": [1.0, 2.0, 0.0, 1e-9]}, {"rank": 2}):
        found = leverage_scores(A, weights=weights, **more)
        assert_array_equal(found[1, 2], leverage_scores(A[1, 2], weights=weights, **more))


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_units_of_matrix_and_ridge(rng, scale):
    A = rng.normal(size=(20, 3))
    root = min(scale, 1e150) if scale > 1 else max(scale, 1e-150)
    expected = leverage_scores(A * (scale / root), ridge=1.0)
    assert_allclose(leverage_scores(A * scale, ridge=root ** 2), expected, rtol=1e-12)


@pytest.mark.parametrize("ridge", [[1e-69, 1e191, 1e237, 1e-271, 1e-125], [1e-113, 1e-5, 1e2, 1, 0],
                                   [1e-20, 1e-40, 1e-60, 1e-80, 1e-100]])
def test_ridge_over_many_orders_of_magnitude_of_dependent_columns(rng, ridge):
    A = rng.integers(-5, 6, size=(10, 5)) * [1e-3, 1.0, 1e3, 1e6, 1e-3]
    A[:, 4] = A[:, 0]
    expected = exact_hat(A, ridge, 1300)
    assert oracles.worst_relative_error(leverage_scores(A, ridge=ridge), np.diag(expected)) <= 1e-11
    assert_allclose(hat_entries(A, np.arange(10), ridge=ridge), expected.astype(float), atol=1e-12)


# new rows

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ridge", [None, 0.5])
def test_new_rows(rng, stored, kind, ridge):
    A = rng.integers(-9, 10, size=(40, 4)).astype(float)
    new = rng.normal(size=(7, 4)) * 100
    expected = exact_new(A, new, ridge or 0.0)
    A = stored(A, kind)
    for rows in (new, scipy.sparse.csc_array(new), new.tolist()):
        found = leverage_scores(A, rows=rows, ridge=ridge)
        assert oracles.worst_relative_error(found, expected) <= 1e-12
    assert found.max() > 1


def test_new_rows_in_the_callers_units(rng):
    A, new = rng.normal(size=(40, 4)), rng.normal(size=(7, 4))
    values = rng.uniform(3.0, 9.0, 40)
    for scale, more in ((np.sqrt(values), {"weights": values}), (1 / values, {"slack": values})):
        B = scale[:, None] * A
        for ridge in (None, 2.0):
            expected = exact_new(B, new, ridge or 0.0)
            found = leverage_scores(A, rows=new, ridge=ridge, **more)
            assert oracles.worst_relative_error(found, expected) <= 1e-12


@pytest.mark.parametrize("kind", ["dense", "sparse", "dask"])
@pytest.mark.parametrize("condition", [1.0, 1e5])
def test_new_rows_of_a_deficient_matrix(rng, stored, kind, condition):
    A = conditioned(rng, 40, 3, condition) @ rng.normal(size=(3, 6))
    new = rng.normal(size=(8, 40)) @ A
    expected = np.einsum("ij,jk,ik->i", new, np.linalg.pinv(A.T @ A, rcond=1e-14), new)
    if condition > 1:
        u, s, v = np.linalg.svd(A)
        expected = ((new @ v[:3].T / s[:3]) ** 2).sum(axis=1)
    stored_A = stored(A, kind)
    assert_allclose(leverage_scores(stored_A, rows=new), expected, rtol=1e-8)
    assert_allclose(leverage_scores(stored_A, rows=A), leverage_scores(A), atol=1e-10)
    new[[2, 5]] += 1e-3 * rng.normal(size=(2, 6))
    with pytest.raises(ValueError, match="^rows must lie in the row space of A, outside of which "
                                         "predictions have infinite variance .*got rows 2, 5 out"):
        leverage_scores(stored_A, rows=new)
    assert np.isfinite(leverage_scores(stored_A, rows=new, ridge=1e-3)).all()


def test_new_rows_with_a_tiny_ridge(rng):
    A = rng.integers(-5, 6, size=(4, 7)).astype(float)
    inside, out = rng.integers(-3, 4, size=(5, 4)) @ A, rng.normal(size=(5, 7))
    for ridge in (1e-20, 1e-100):
        expected = exact_new(A, np.vstack([inside, out]), ridge, 400)
        found = leverage_scores(A, rows=np.vstack([inside, out]), ridge=ridge)
        assert oracles.worst_relative_error(found, expected) <= 1e-10


def test_new_rows_outside_without_ridge_in_that_column(rng):
    A = rng.normal(size=(10, 3))
    A[:, 1] = 0.0
    new = np.eye(3)
    assert np.isfinite(leverage_scores(A, rows=new, ridge=[0.0, 1.0, 0.0])).all()
    with pytest.raises(ValueError, match="got rows 1 outside"):
        leverage_scores(A, rows=new, ridge=[1.0, 0.0, 0.0])


def test_new_rows_at_zero_slack(rng):
    A, slack = rng.normal(size=(9, 3)), rng.uniform(1.0, 2.0, 9)
    slack[4] = 0.0
    new = np.vstack([A[4], rng.normal(size=(3, 3))])
    found = leverage_scores(A, rows=new, slack=slack)
    near = np.where(slack == 0, 1e-30, slack)
    with mpmath.workdps(200):
        B = oracles.exact(A) / oracles.exact(near)[:, None]
        rows = oracles.exact(new)
        expected = np.diag(rows @ oracles.inverse(B.T @ B) @ rows.T).astype(float)
    assert_allclose(found, expected, rtol=1e-12, atol=1e-25)


# entries of the hat matrix

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", [{}, {"ridge": 0.3}, {"weights": np.arange(1.0, 41.0)},
                                  {"slack": np.arange(1.0, 41.0), "ridge": 1e-250}])
def test_hat_entries(rng, stored, kind, more):
    A = rng.integers(-9, 10, size=(40, 4)).astype(float)
    scale = np.sqrt(more.get("weights", np.ones(40))) / more.get("slack", np.ones(40))
    hat = exact_hat(scale[:, None] * A, more.get("ridge", 0.0), 400).astype(float)
    i, j = rng.integers(0, 40, (2, 25))
    A = stored(A, kind)
    assert_allclose(hat_entries(A, i, j, **more), hat[i, j], atol=1e-13)
    assert_allclose(hat_entries(A, i, **more), hat[:, i], atol=1e-13)
    assert_allclose(hat_entries(A, 3, **more), hat[:, 3], atol=1e-13)
    assert_allclose(hat_entries(A, i[:, None], j[:3], **more), hat[i[:, None], j[:3]], atol=1e-13)


@pytest.mark.parametrize("shape, rank", [((6, 9), 6), ((30, 5), 3)])
def test_hat_entries_of_deficient_matrices(rng, shape, rank):
    A = rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))
    u = np.linalg.svd(A)[0][:, :rank]
    assert_allclose(hat_entries(A, np.arange(shape[0])), u @ u.T, atol=1e-12)


def test_hat_entries_at_zero_slack(rng):
    A, slack = rng.normal(size=(9, 4)), rng.uniform(1.0, 2.0, 9)
    slack[[1, 4]] = 0.0
    with mpmath.workdps(200):
        B = oracles.exact(A) / oracles.exact(np.where(slack == 0, 1e-30, slack))[:, None]
        hat = (B @ oracles.inverse(B.T @ B) @ B.T).astype(float)
    assert_allclose(hat_entries(A, np.arange(9), slack=slack), hat, atol=1e-13)
    i, j = np.indices((9, 9))
    assert_allclose(hat_entries(A, i, j, slack=slack), hat, atol=1e-13)


def test_units_that_overflow_are_refused_without_a_warning(rng):
    A = rng.normal(size=(6, 2)) * 1e-313
    for call in (lambda: leverage_scores(A, rows=A[:1]), lambda: hat_entries(A, 0)):
        with pytest.raises(ValueError, match="other units"):
            call()


@pytest.mark.parametrize("ridge", [None, 0.7])
@pytest.mark.parametrize("stored", [np.array, scipy.sparse.csr_array])
def test_hat_entries_have_the_signs_of_the_slack(rng, stored, ridge):
    A, slack = rng.normal(size=(6, 2)), rng.uniform(1.0, 2.0, 6) * [1, -1, -1, 1, -1, 1]
    B = A / slack[:, None]
    hat = B @ np.linalg.inv(B.T @ B + (ridge or 0.0) * np.eye(2)) @ B.T
    i, j = np.indices((6, 6))
    given = {"slack": slack, "ridge": ridge}
    assert_allclose(hat_entries(stored(A), i, j, **given), hat, atol=1e-13)
    assert_allclose(hat_entries(stored(A), np.arange(6), **given), hat, atol=1e-13)
    assert_allclose(hat_entries(stored(A), 2, **given), hat[:, 2], atol=1e-13)
    assert_allclose(hat_entries(stored(A), i[:, :2, None], j[0], **given),
                    hat[i[:, :2, None], j[0]], atol=1e-13)


def test_hat_entries_of_an_ill_conditioned_matrix(rng):
    A = conditioned(rng, 60, 5, 1e7)
    hat = exact_hat(A, 0.0).astype(float)
    i, j = np.indices((60, 60))
    for found in (hat_entries(A, i, j), hat_entries(A, np.arange(60))):
        assert np.abs(found - hat).max() <= 100 * 2.3e-16 * 1e7


@pytest.mark.parametrize("ridge", [1e-300, 1e-150, 1e-20, 1e20, 1e150, 1e300])
@pytest.mark.parametrize("shape", [(9, 3), (3, 6)])
def test_new_rows_and_entries_for_any_ridge(rng, shape, ridge):
    A = rng.integers(-9, 10, size=shape).astype(float)
    inside, out = rng.integers(-3, 4, size=(2, shape[0])) @ A, rng.normal(size=(2, shape[1]))
    new = np.vstack([inside, out])
    expected = exact_new(A, new, ridge, 700)
    found = leverage_scores(A, rows=new, ridge=ridge)
    assert oracles.worst_relative_error(found, expected) <= 1e-11
    expected = exact_hat(A, ridge, 700)
    found = hat_entries(A, np.arange(shape[0]), ridge=ridge)
    size = float(abs(expected).max())
    assert np.abs((found - expected) / size).max() <= 1e-12


# the best approximation of a rank

@pytest.mark.parametrize("shape", [(20, 4), (4, 9)])
@pytest.mark.parametrize("method", ["auto", "qr"])
def test_best_rank_to_the_last_digits(rng, shape, method):
    B = rng.integers(-9, 10, size=shape).astype(float)
    with mpmath.workdps(60):
        exact = oracles.exact(B)
        squares, vectors = mpmath.eigsy(mpmath.matrix(exact.T @ exact))
        order = np.argsort([-float(square) for square in squares])
        image = exact @ np.array(vectors.tolist())[:, order]
        parts = image ** 2 / np.array(list(squares))[order]
        for rank in (1, 2, 3):
            found = leverage_scores(B, rank=rank, method=method)
            expected = parts[:, :rank].sum(axis=1)
            assert oracles.worst_relative_error(found, expected) <= 1e-12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(200, 6), (5, 9)])
@pytest.mark.parametrize("method", ["auto", "qr", "cholesky"])
def test_best_rank(rng, stored, kind, shape, method):
    A = rng.integers(-9, 10, size=shape).astype(float)
    u = np.linalg.svd(A, full_matrices=False)[0]
    A = stored(A, kind)
    for k in (1, 3):
        assert_allclose(leverage_scores(A, rank=k, method=method), (u[:, :k] ** 2).sum(axis=1),
                        atol=1e-12)


def test_best_rank_is_that_of_scikit_learn(rng):
    A = scipy.sparse.random_array((300, 20), density=0.3, rng=rng, format="csr")
    svd = TruncatedSVD(4, algorithm="arpack", random_state=0).fit(A)
    u = svd.transform(A) / svd.singular_values_
    assert_allclose(leverage_scores(A, rank=4), (u ** 2).sum(axis=1), atol=1e-10)


@pytest.mark.parametrize("decay", [1e-2, 1e-4, 1e-7])
def test_best_rank_of_small_singular_values(rng, decay):
    u, v = (scipy.linalg.qr(rng.normal(size=(n, 3)), mode="economic")[0] for n in (80, 6))
    A = u * [1.0, decay, decay / 3] @ v.T
    found = leverage_scores(A, rank=2)
    assert_allclose(found, (u[:, :2] ** 2).sum(axis=1), rtol=0, atol=100 * 2.3e-16 / decay)


def test_best_rank_with_weights_and_full_rank(rng):
    A, weights = rng.normal(size=(30, 4)), rng.uniform(1.0, 9.0, 30)
    u = np.linalg.svd(np.sqrt(weights)[:, None] * A, full_matrices=False)[0]
    for more in ({"weights": weights}, {"slack": weights ** -0.5}):
        assert_allclose(leverage_scores(A, rank=2, **more), (u[:, :2] ** 2).sum(axis=1), rtol=1e-11)
    assert_allclose(leverage_scores(A, rank=4), leverage_scores(A), rtol=1e-11)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_best_rank_does_not_depend_on_the_unit(rng, scale):
    A = rng.normal(size=(30, 4))
    assert_allclose(leverage_scores(scale * A, rank=2), leverage_scores(A, rank=2), rtol=1e-11)


@pytest.mark.parametrize("shape", [(8, 5), (5, 8)])
@pytest.mark.parametrize("method", ["auto", "qr"])
def test_ties(rng, shape, method):
    u, v = (scipy.linalg.qr(rng.normal(size=(n, 4)), mode="economic")[0] for n in shape)
    A = u * [3.0, 2.0, 2.0, 1.0] @ v.T
    for k in (1, 3, 4):
        leverage_scores(A, rank=k, method=method)
    with pytest.raises(ValueError, match="^rank must not separate equal singular values.*got 2: "
                                         "singular values 2 and 3 are 2 and 2"):
        leverage_scores(A, rank=2, method=method)
    with pytest.raises(ValueError, match="^rank must be at most the rank of the scaled rows, 4, "):
        leverage_scores(A, rank=5, method=method)


def test_cholesky_of_close_singular_values_warns(rng):
    u, v = (scipy.linalg.qr(rng.normal(size=(n, 2)), mode="economic")[0] for n in (9, 2))
    with pytest.warns(scipy.linalg.LinAlgWarning, match="singular values 1 and 2 are too close"):
        leverage_scores(u * [1.0, 1.0 - 1e-8] @ v.T, rank=1, method="cholesky")


# the door

A = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])


@pytest.mark.parametrize("more, error, message", [
    ({"ridge": -1.0}, ValueError, "ridge must be at least 0"),
    ({"ridge": [1.0, -1.0]}, ValueError, "ridge must be at least 0, got -1.0 at index 1"),
    ({"ridge": np.nan}, ValueError, "ridge must be"),
    ({"ridge": [1.0, np.inf]}, ValueError, "ridge must be finite"),
    ({"ridge": [1.0]}, ValueError, "ridge must have length 2, one entry per column of A"),
    ({"ridge": "much"}, TypeError, "ridge must "),
    ({"ridge": 1j}, TypeError, "ridge must "),
    ({"ridge": True}, TypeError, "ridge must "),
    ({"rows": [[1.0]]}, ValueError, "rows must have 2 columns, as A has"),
    ({"rows": [1.0, 2.0]}, ValueError, "rows must be a two-dimensional array"),
    ({"rows": [[1.0, np.nan]]}, ValueError, "rows must be finite"),
    ({"rows": [[1e200, 0.0]]}, ValueError, "rows must not be so large that scores overflow"),
    ({"rows": [["a", "b"]]}, TypeError, "rows must hold real numbers"),
    ({"rank": 0}, ValueError, "rank must be at least 1"),
    ({"rank": 3}, ValueError, "rank must be at most 2"),
    ({"rank": 1.0}, TypeError, "rank must be an integer"),
    ({"rank": True}, TypeError, "rank must be an integer"),
    ({"rank": 1, "ridge": 1.0}, ValueError, "ridge and rank cannot both be given"),
    ({"rank": 1, "rows": A}, ValueError, "rows and rank cannot both be given"),
    ({"rank": 1, "slack": [1, 0, 1]}, ValueError, "slack must be different from 0 with rank"),
    ({"ridge": 1.0, "method": "best"}, ValueError, "method must be one of"),
    ({"ridge": 1.0, "slack": [1, 2, 3], "weights": [1, 2, 3]}, ValueError, "slack and weights"),
    ({"ridge": 1.0, "weights": [1, -2, 3]}, ValueError, "weights must be at least 0"),
    ({"ridge": 1.0, "workers": 0}, ValueError, "workers must be at least 1"),
    ({"ridge": 1.0, "rcond": -1.0}, ValueError, "rcond must be at least 0"),
])
def test_refusals(more, error, message):
    with pytest.raises(error, match=f"^{message}"):
        leverage_scores(A, **more)


def test_sketch_has_no_more_scores():
    with pytest.raises(ValueError, match="^ridge must be None with method='sketch'"):
        leverage_scores(scipy.sparse.csr_array(A), ridge=1.0, method="sketch")


def test_dependent_zero_slacks():
    with pytest.raises(ValueError, match="^slack must be zero in linearly independent rows"):
        leverage_scores(np.ones((3, 2)), slack=[0.0, 0.0, 1.0], ridge=1.0)


@pytest.mark.parametrize("i, j, error, message", [
    ([3], None, ValueError, r"i must be in 0..2, got 3 at index 0"),
    ([0, -1], None, ValueError, r"i must be in 0..2, got -1 at index 1"),
    ([0.0], None, TypeError, "i must hold integers"),
    ([True], None, TypeError, "i must hold integers"),
    ([], None, (TypeError, ValueError), "i must "),
    ([0], [7], ValueError, r"j must be in 0..2"),
    ([0, 1], [0, 1, 2], ValueError, "j must have the shape of i"),
])
def test_refused_row_numbers(i, j, error, message):
    with pytest.raises(error, match=f"^{message}"):
        hat_entries(A, i, j)


def test_inputs_are_not_written_to(rng):
    A, ridge, slack, new = frozen(rng.normal(size=(20, 3)), np.ones(3), rng.uniform(1, 2, 20),
                                  rng.normal(size=(4, 3)))
    zero, = frozen(np.where(np.arange(20) == 3, 0.0, slack))
    for method in ("auto", "qr"):
        leverage_scores(A, ridge=ridge, slack=zero, rows=new, method=method)
        leverage_scores(A, rank=2, slack=slack, method=method)
        hat_entries(A, [1, 2], slack=zero, ridge=ridge, method=method)


def test_threads_do_not_change_results(rng):
    A, new = rng.normal(size=(30000, 12)), rng.normal(size=(20000, 12))
    for more in ({"ridge": 0.1}, {"rank": 5}, {"rows": new}, {"rows": new, "ridge": 1e-200}):
        assert_array_equal(leverage_scores(A, workers=1, **more),
                           leverage_scores(A, workers=2, **more))
    assert_array_equal(hat_entries(A, [5, 9], workers=1), hat_entries(A, [5, 9], workers=2))
