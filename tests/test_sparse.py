"""Sparse A in every public function against the same A dense."""
import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

import levinv.storage.sparse
from levinv import (
    GradientLoss,
    LeverageMap,
    ScoreLoss,
    VolumetricBarrier,
    forster_weights,
    invert_gradient,
    invert_many,
    invert_scores,
    leverage_scores,
)
from levinv.forward.basis import orthonormal_basis
from levinv.storage import SparseRows

FORMATS = ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"]


def thin(rng, n=120, d=7):
    """Three entries a row."""
    A = np.zeros((n, d))
    for row in A:
        row[rng.choice(d, 3, replace=False)] = rng.normal(size=3)
    return A


def one_hot(rng, n=120, levels=(3, 4)):
    """Indicators of all levels of two factors: rank-deficient by one, with repeated rows."""
    return np.hstack([np.eye(count)[rng.integers(count, size=n)] for count in levels])


def with_gaps(rng):
    A = thin(rng)
    A[[0, 17, 119]] = 0.0
    A[:, 4] = 0.0
    return A


def badly_scaled(rng):
    return thin(rng) * 10.0 ** rng.uniform(-3, 3, (120, 1)) * 10.0 ** rng.uniform(-3, 3, 7)


def ill_conditioned(rng):
    """Two columns that differ by 1e-6 of themselves."""
    A = thin(rng)
    A[:, 1] = A[:, 0] + 1e-6 * A[:, 1]
    return A


ALL = [thin, one_hot, with_gaps, badly_scaled, ill_conditioned]
DESIGNS = pytest.mark.parametrize("design", ALL)


def as_given(A, name):
    """The same matrix in CSR as others may hand it over."""
    csr = scipy.sparse.csr_array(A)
    if name == "int64":
        csr.indices, csr.indptr = csr.indices.astype(np.int64), csr.indptr.astype(np.int64)
    elif name == "unsorted":
        for i in range(len(A)):
            part = slice(csr.indptr[i], csr.indptr[i + 1])
            csr.indices[part], csr.data[part] = csr.indices[part][::-1], csr.data[part][::-1]
    elif name == "duplicates":
        csr = scipy.sparse.csr_array((np.repeat(csr.data / 2, 2), np.repeat(csr.indices, 2),
                                      2 * csr.indptr), shape=A.shape)
    elif name == "explicit zeros":
        full = np.indices(A.shape)[1].ravel()
        csr = scipy.sparse.csr_array((A.ravel(), full, np.arange(len(A) + 1) * A.shape[1]),
                                     shape=A.shape)
        assert csr.nnz == A.size
    elif name == "frozen":
        for part in (csr.data, csr.indices, csr.indptr):
            part.flags.writeable = False
    return csr


@pytest.mark.parametrize("design, method",
                         [(design, method) for design in ALL for method in ("auto", "qr")]
                         + [(thin, "cholesky")])
@pytest.mark.parametrize("kind", [None, "slack", "weights", "zero slack"])
def test_scores(rng, design, method, kind):
    A = design(rng)
    given = {}
    if kind is not None:
        values = rng.uniform(0.2, 3.0, len(A))
        if kind == "zero slack":
            values[5] = 0.0
        given = {kind.split()[-1]: values}
    assert_allclose(leverage_scores(scipy.sparse.csr_array(A), method=method, **given),
                    leverage_scores(A, method=method, **given), rtol=0, atol=1e-9)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csr_matrix])
def test_formats(rng, format, kind):
    A = (np.diag(rng.normal(size=9)) + np.diag(rng.normal(size=8), 1))[:, :7]
    assert_allclose(leverage_scores(kind(A).asformat(format)), leverage_scores(A), atol=1e-14)


@pytest.mark.parametrize("name", ["int64", "unsorted", "duplicates", "explicit zeros", "frozen"])
def test_csr_as_others_hand_it_over(rng, name):
    A = with_gaps(rng)
    given = as_given(A, name)
    data, indices, indptr = given.data.copy(), given.indices.copy(), given.indptr.copy()
    assert_allclose(leverage_scores(given), leverage_scores(A), atol=1e-14)
    assert_array_equal(given.data, data)                       # not written to
    assert_array_equal(given.indices, indices)
    assert_array_equal(given.indptr, indptr)


@pytest.mark.parametrize("dtype", [np.int8, np.float32, bool])
def test_other_numbers(rng, dtype):
    A = rng.integers(0, 2, size=(30, 4)).astype(dtype)
    assert_allclose(leverage_scores(scipy.sparse.csc_matrix(A)), leverage_scores(A), atol=1e-13)


def test_subnormal_columns(rng):
    A = thin(rng) * np.where(np.arange(7) == 2, 1e-310, 1.0)
    assert_allclose(leverage_scores(scipy.sparse.csr_array(A)), leverage_scores(A), atol=1e-9)


def test_wide_and_zero(rng):
    A = thin(rng, 4, 9)
    assert_allclose(leverage_scores(scipy.sparse.csr_array(A)), leverage_scores(A), atol=1e-13)
    assert_array_equal(leverage_scores(scipy.sparse.csr_array((5, 3))), np.zeros(5))
    assert_array_equal(leverage_scores(scipy.sparse.csr_array((5, 3)), method="qr"), np.zeros(5))


@DESIGNS
def test_qr_without_a_dense_copy(rng, monkeypatch, design):
    A = design(rng)
    expected = leverage_scores(A, method="qr")
    monkeypatch.setattr(SparseRows, "copy_limit", 0)
    monkeypatch.setattr(levinv.storage.blocked, "PASS_ENTRIES", 1)
    rows = SparseRows(scipy.sparse.csr_array(A))
    assert orthonormal_basis(rows, method="qr").scores is None
    assert_allclose(leverage_scores(rows.A, method="qr"), expected, rtol=0, atol=1e-9)
    assert_allclose(leverage_scores(rows.A), expected, rtol=0, atol=1e-9)


def test_dependent_columns_take_no_qr(rng):
    rows = SparseRows(scipy.sparse.csr_array(one_hot(rng)))
    assert orthonormal_basis(rows).method == "basic columns"
    A = ill_conditioned(rng)
    A[:, 1] = A[:, 0] + 1e-3 * (A[:, 1] - A[:, 0])            # 1e-9: independent, but Gram
    assert orthonormal_basis(SparseRows(scipy.sparse.csr_array(A))).method == "qr"  # cannot tell


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_do_not_change_a_bit(rng, workers):
    A = scipy.sparse.random_array((40000, 30), density=0.1, rng=rng, format="csr")
    slack = rng.uniform(0.5, 2.0, A.shape[0])
    assert_array_equal(leverage_scores(A, slack=slack, workers=workers),
                       leverage_scores(A, slack=slack, workers=1))


def test_workers_do_not_change_a_bit_of_an_inversion(rng):
    A = scipy.sparse.random_array((3000, 12), density=0.3, rng=rng, format="csr")
    A = scipy.sparse.vstack([A, scipy.sparse.eye_array(12)], format="csr")
    x, slack = rng.normal(size=12), rng.exponential(size=A.shape[0])
    b = A @ x - slack
    c = leverage_scores(A, slack=slack)
    alone, shared = (invert_scores(A, b, c, signs=1, workers=workers) for workers in (1, 3))
    assert alone.success
    assert_array_equal(alone.x, shared.x)
    assert_array_equal(forster_weights(A, workers=1), forster_weights(A, workers=3))


@DESIGNS
def test_map(rng, design):
    A = design(rng)
    n, d = A.shape
    x, b, v, y = (rng.normal(size=size) for size in (d, n, d, n))
    sparse, dense = LeverageMap(scipy.sparse.coo_array(A), b), LeverageMap(A, b)
    assert sparse._map.rank == dense._map.rank
    for name, arguments in (("slack", (x,)), ("scores", (x,)), ("jacobian", (x,)), ("jvp", (x, v)),
                            ("vjp", (x, y))):
        close(getattr(sparse, name)(*arguments), getattr(dense, name)(*arguments))


def close(found, expected, tolerance=1e-8):
    assert_allclose(found, expected, rtol=0,
                    atol=tolerance * (np.abs(expected).max() + np.finfo(float).tiny))


@DESIGNS
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_score_loss(rng, design, ridge):
    A = design(rng)
    x, b = rng.normal(size=A.shape[1]), rng.normal(size=len(A))
    c = rng.uniform(size=len(A))
    sparse, dense = (ScoreLoss(kind(A), b, c, ridge=ridge) for kind in (scipy.sparse.csr_matrix,
                                                                       np.asarray))
    assert_allclose(sparse.fun(x), dense.fun(x), rtol=1e-8)
    for name, arguments in (("grad", (x,)), ("hess", (x,)), ("hessp", (x, x)), ("hess_terms", (x,)),
                            ("residuals", (x,)), ("residuals_jac", (x,)), ("_column_norms", ())):
        close(getattr(sparse, name)(*arguments), getattr(dense, name)(*arguments))


def test_tall_hessian(rng):
    A = thin(rng, 900, 5)
    x, b, c = rng.normal(size=5), rng.normal(size=900), rng.uniform(size=900)
    close(ScoreLoss(scipy.sparse.csr_array(A), b, c).hess(x), ScoreLoss(A, b, c).hess(x), 1e-11)


@pytest.mark.parametrize("design", [thin, badly_scaled])
@pytest.mark.parametrize("loss", [VolumetricBarrier, GradientLoss])
def test_barrier_and_gradient_loss(rng, design, loss):
    A = design(rng)
    x, b = rng.normal(size=7), rng.normal(size=len(A))
    more = () if loss is VolumetricBarrier else (rng.normal(size=7),)
    sparse, dense = loss(scipy.sparse.csc_array(A), b, *more), loss(A, b, *more)
    assert_allclose(sparse.fun(x), dense.fun(x), rtol=1e-10)
    for name, arguments in (("grad", (x,)), ("hess", (x,)), ("hessp", (x, x))):
        close(getattr(sparse, name)(*arguments), getattr(dense, name)(*arguments))


@DESIGNS
@pytest.mark.parametrize("known", [False, True])
def test_inversion(rng, design, known):
    A = design(rng)
    x = rng.normal(size=A.shape[1])
    slack = rng.exponential(size=len(A)) * rng.choice([-1, 1], len(A))
    b = A @ x - slack
    c = leverage_scores(A, slack=slack)
    signs = np.sign(slack) if known else None
    sparse, dense = (invert_scores(kind(A), b, c, signs=signs, rng=0)
                     for kind in (scipy.sparse.csr_array, np.asarray))
    assert sparse.success == dense.success is True
    assert sparse.unique == dense.unique
    null = dense.null_space
    assert sparse.null_space.shape == null.shape
    assert_allclose(sparse.null_space @ sparse.null_space.T, null @ null.T, atol=1e-6)
    difference = sparse.x - dense.x
    difference -= null @ (null.T @ difference)
    close(A @ (dense.x + difference), A @ dense.x)       # x itself is known to 1e-6 at worst


@pytest.mark.parametrize("method", ["trust-region", "newton", "gradient-descent"])
def test_local_inversion(rng, method):
    A = thin(rng)
    x, b = rng.normal(size=7), rng.normal(size=120)
    c = leverage_scores(A, slack=A @ x - b)
    results = [invert_scores(kind(A), b, c, x0=x + 1e-4, method=method, rng=0)
               for kind in (scipy.sparse.dok_array, np.asarray)]
    assert results[0].success == results[1].success
    assert_allclose(results[0].x, results[1].x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["newton", "approximate-newton", "least-squares"])
@pytest.mark.parametrize("started", [False, True])
def test_gradient_inversion(rng, method, started):
    A = np.vstack([thin(rng), np.eye(7), -np.eye(7), np.zeros(7)])
    x = rng.normal(size=7)
    b = A @ x - rng.exponential(size=len(A))
    g = VolumetricBarrier(A, b).grad(x)
    more = {"x0": x} if started else {"signs": 1}
    if method == "least-squares":
        more.update(ridge=0.1, tol=1e-6)
    sparse, dense = (invert_gradient(kind(A), b, g, method=method, rng=0, **more)
                     for kind in (scipy.sparse.csr_array, np.asarray))
    assert sparse.success == dense.success is True
    assert_allclose(sparse.x, dense.x, rtol=1e-6, atol=1e-6)


def test_no_preimage_and_an_empty_cell():
    A = scipy.sparse.csr_array(np.eye(3))
    result = invert_gradient(A, np.zeros(3), np.array([1.0, -1.0, -1.0]), signs=1)
    assert result.status == 1
    y = result.evidence["certificate"]
    assert (y >= -1e-9).all() and y[0] > 0
    A = scipy.sparse.csr_array(np.vstack([np.eye(3), -np.eye(3)]))
    assert invert_gradient(A, np.ones(6), np.zeros(3), signs=1).status == 2


def test_forster_weights(rng):
    A = thin(rng)
    assert_allclose(forster_weights(scipy.sparse.csr_array(A)), forster_weights(A), rtol=1e-8)


# the door

CALLS = {"leverage_scores": leverage_scores,
         "LeverageMap": lambda A: LeverageMap(A, np.zeros(3)),
         "invert_scores": lambda A: invert_scores(A, np.zeros(3), np.ones(3) / 3)}
DOORS = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
GOOD = scipy.sparse.csr_array(np.array([[1.0, 2.0], [0.0, 4.0], [5.0, 0.0]]))


def changed(**parts):
    found = GOOD.copy()
    for name, value in parts.items():
        setattr(found, name, value)
    return found


@DOORS
@pytest.mark.parametrize("A, error, message", [
    (changed(data=np.array([1.0, 2.0, np.nan, 5.0])), ValueError,
     r"must be finite, got NaN or inf at index \(1, 1\)"),
    (changed(data=np.array([1.0, 2.0, 4.0, np.inf])), ValueError,
     r"must be finite, got NaN or inf at index \(2, 0\)"),
    (GOOD * 1j, TypeError, "must hold real numbers, got dtype complex128"),
    (scipy.sparse.csr_array((0, 2)), ValueError, r"must not be empty, got shape \(0, 2\)"),
    (scipy.sparse.csr_array((3, 0)), ValueError, r"must not be empty, got shape \(3, 0\)"),
    (changed(indices=np.array([0, 1, 1, 7], dtype=np.int32)), ValueError,
     "must be a valid sparse matrix"),
    (changed(indptr=np.array([0, 3, 2, 4], dtype=np.int32)), ValueError,
     "must be a valid sparse matrix"),
    (scipy.sparse.coo_array(np.ones(3)), ValueError, r"must be a two-dimensional array, got shape"),
])
def test_refusals(call, A, error, message):
    with pytest.raises(error, match="^A " + message):
        call(A)


@pytest.mark.parametrize("call", [leverage_scores, lambda A: LeverageMap(A, np.zeros(30000))])
def test_too_many_columns(call):
    with pytest.raises(ValueError, match=r"^A must have at most 20000 columns if it is sparse, got "
                                         r"shape \(30000, 25000\): 5 dense 25000 x 25000 matrices "
                                         r"would take 23.3 GiB"):
        call(scipy.sparse.eye_array(30000, 25000, format="csr"))


def test_stacks_are_dense():
    with pytest.raises(TypeError, match="^A must be a dense array, got a sparse csr_array"):
        invert_many(GOOD, np.zeros((2, 3)), np.ones((2, 3)) / 3)


@pytest.mark.parametrize("argument", ["slack", "weights"])
def test_vectors_are_dense(argument):
    with pytest.raises(TypeError, match=f"^{argument} must be a dense array, got a sparse"):
        leverage_scores(GOOD, **{argument: scipy.sparse.csr_array(np.ones((1, 3)))})


@pytest.mark.parametrize("change, size", [(1.0, 1.0), (1e-3, 1.0), (1e-7, 1.0), (1.0, 1e-200),
                                          (1.0, 1e200)])
def test_lengths_of_products_with_a_transform(rng, change, size):
    """|a_i T|² keeps its digits where a_i T cancels and where squares of T are out of range."""
    A = scipy.sparse.csr_array(np.tile([1.0, -1.0] + 6 * [0.0], (1000, 1)))
    T = rng.standard_normal((8, 8))
    T[1] = T[0] + change * T[1]
    rows = SparseRows(A)
    assert rows._form_pays(8)
    found = rows.quad(np.full(1000, 1 / size), size * T)
    assert_allclose(found, np.sum((T[0] - T[1]) ** 2), rtol=1e-12)
