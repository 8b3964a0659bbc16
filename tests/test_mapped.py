"""Matrices mapped from a file or read by rows: the same as in memory, and never held as a whole."""
import operator

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

import levinv.storage.dense
import levinv.storage.stored_sparse
from designs import conditioned
from levinv import (
    LeverageMap,
    ScoreLoss,
    VolumetricBarrier,
    forster_weights,
    invert_gradient,
    invert_scores,
    leverage_scores,
    storage,
)


@pytest.fixture
def mapped(tmp_path):
    """A function that writes an array to a file and maps it, read-only."""
    def write(array, name="A.npy"):
        np.save(tmp_path / name, array)
        return np.load(tmp_path / name, mmap_mode="r")

    return write


def test_rows_share_the_mapping(mapped, rng):
    A = mapped(rng.standard_normal((50, 3)))
    for given in (A, A[::2], A.T[:, :40], np.asarray(A)):
        assert np.shares_memory(storage.of(np.asarray(given)).A, A)
        assert storage.of(np.asarray(given)).copy_limit < np.inf
    assert storage.of(A.copy().view(np.ndarray)).copy_limit == np.inf


def test_all_functions(mapped, rng):
    A, b, x = rng.standard_normal((400, 5)), -rng.uniform(1.0, 2.0, 400), 0.05 * np.ones(5)
    slack = A @ x - b
    scores, file = leverage_scores(A, slack=slack), mapped(A)
    assert_array_equal(leverage_scores(file, slack=slack), scores)
    assert_array_equal(LeverageMap(file, b).jacobian(x), LeverageMap(A, b).jacobian(x))
    target = scores ** 2
    assert_array_equal(ScoreLoss(file, b, target).hess(x), ScoreLoss(A, b, target).hess(x))
    assert_array_equal(forster_weights(file), forster_weights(A))
    g = VolumetricBarrier(file, b).grad(x)
    assert_allclose(invert_gradient(file, b, g, signs=1).x, x, rtol=1e-9)
    assert_allclose(invert_scores(file, b, scores, signs=1).x, x, rtol=1e-12)
    assert_allclose(invert_scores(file, b, scores, rng=0).x, x, rtol=1e-12)


def test_qr_without_a_copy(mapped, rng, monkeypatch):
    monkeypatch.setattr(levinv.storage.dense, "COPY_ENTRIES", 100)
    A = conditioned(rng, 300, 6, 1e9)

    def refuse(*_):
        raise AssertionError("the whole of a mapped matrix was copied")

    expected = leverage_scores(A)
    monkeypatch.setattr(levinv.forward.basis, "_sorted_rows", refuse)
    assert_allclose(leverage_scores(mapped(A)), expected, rtol=0, atol=100 * 2.2e-16 * 1e9)
    A[:, 5] = A[:, 4]
    assert leverage_scores(mapped(A, "B.npy")).sum() == pytest.approx(5)


class Stored:
    """A matrix that can be read by slices of rows only, as in a file."""

    chunks = (100, None)

    def __init__(self, array):
        self._array, self.shape, self.dtype, self.largest = array, array.shape, array.dtype, 0

    def __getitem__(self, index):
        assert isinstance(index, slice) and index.step in (None, 1)
        self.largest = max(self.largest, index.stop - index.start)
        return self._array[index]

    def __array__(self, *_, **__):
        raise AssertionError("the whole matrix was asked for")


def test_streamed(rng, monkeypatch):
    monkeypatch.setattr(levinv._source, "PASS_ENTRIES", 500)
    monkeypatch.setattr(levinv.storage.dense, "CHUNK_WORK", 1 << 10)
    monkeypatch.setattr(levinv.storage.dense, "PASS_ENTRIES", 1 << 10)
    A, b, x = rng.standard_normal((900, 4)), -rng.uniform(1.0, 2.0, 900), 0.05 * np.ones(4)
    A[7] = 0.0
    slack, stored = A @ x - b, Stored(A)
    scores = leverage_scores(A, slack=slack)
    assert_allclose(leverage_scores(stored, slack=slack), scores, rtol=0, atol=1e-15)
    assert stored.largest < 200
    assert_allclose(leverage_scores(stored, slack=slack, method="qr"), scores, rtol=0, atol=1e-15)
    assert_allclose(forster_weights(stored), forster_weights(A), rtol=1e-9)
    full, read = (ScoreLoss(given, b, scores ** 2, ridge=0.1) for given in (A, stored))
    for name, more in (("fun", ()), ("grad", ()), ("hess", ()), ("hessp", (x,))):
        assert_allclose(getattr(read, name)(x, *more), getattr(full, name)(x, *more), rtol=1e-11)
    assert_allclose(LeverageMap(stored, b).jacobian(x), LeverageMap(A, b).jacobian(x), atol=1e-13)
    g = VolumetricBarrier(stored, b).grad(x)
    assert_allclose(invert_gradient(stored, b, g, signs=1).x, x, rtol=1e-9)
    assert_allclose(invert_gradient(stored, b, g, x0=1.1 * x, method="least-squares").x, x,
                    rtol=1e-6)
    for signs in (1, None):
        assert_allclose(invert_scores(stored, b, scores, signs=signs, rng=0).x, x, rtol=1e-11)
    local = invert_scores(stored, b, scores, x0=1.01 * x, method="trust-region")
    assert_allclose(local.x, x, rtol=1e-6)


@pytest.fixture
def small_blocks(monkeypatch):
    for module in (levinv._source, levinv.storage.stored_sparse):
        monkeypatch.setattr(module, "PASS_ENTRIES", 500)


class StoredSparse(Stored):
    """A matrix whose slices of rows are sparse, as one of anndata."""

    __array__ = None


@pytest.mark.parametrize("density, d", [(0.05, 30), (0.5, 6)])
@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix"])
def test_rows_of_stored_sparse_matrices(rng, small_blocks, density, d, kind):
    A = scipy.sparse.vstack([scipy.sparse.random_array((900, d), density=density, rng=rng),
                             scipy.sparse.eye_array(d)], format="csr")
    n = A.shape[0]
    stored = StoredSparse(getattr(scipy.sparse, kind)(A))
    rows, right = (storage.of(levinv._validate.matrix(given, "A", sparse=True))
                   for given in (stored, A))
    assert isinstance(rows, storage.StoredSparseRows)
    T, F, scale, y = rng.random((d, 4)), rng.random((4, 4)), rng.random(n), rng.random(n)
    chosen = rng.integers(0, n, 50)
    for name, *arguments in [
            ("matvec", T), ("abs_matvec", T[:, 0]), ("rmatvec", y), ("row_norms",),
            ("column_norms",), ("column_max",), ("nonzero",), ("block", chosen),
            ("block", slice(3, 9)), ("scaled", scale), ("gram", scale), ("gram", scale, T, y),
            ("quad", scale), ("quad", scale, T), ("quad", None, T, F @ F.T),
            ("quad", scale, None, T @ T.T), ("moments", scale, T, y[:, None])]:
        assert_allclose(getattr(rows, name)(*arguments), getattr(right, name)(*arguments),
                        rtol=1e-12, atol=1e-12, err_msg=name)
    factors = rng.uniform(1.0, 2.0, d)
    assert_allclose(rows.with_columns_times(factors).with_columns_times(factors).gram(),
                    right.with_columns_times(factors ** 2).gram(), rtol=1e-12)
    for index in (chosen, y < 0.3, slice(5, 50, 3)):
        assert (rows.part(index).A != right.part(index).A).nnz == 0
    assert (rows.as_sparse() != A).nnz == 0
    assert stored.largest < 2000 / (density * d)


def test_functions_of_a_stored_sparse_matrix(rng, small_blocks):
    A = scipy.sparse.random_array((600, 5), density=0.5, rng=rng, format="csr")
    A.data = rng.standard_normal(A.nnz)
    b, x = -rng.uniform(1.0, 2.0, 600), 0.05 * np.ones(5)
    slack, stored = A @ x - b, StoredSparse(A)
    scores = leverage_scores(A, slack=slack)
    for method in ("auto", "qr"):
        assert_allclose(leverage_scores(stored, slack=slack, method=method), scores, atol=1e-14)
    assert_allclose(levinv.hat_entries(stored, [7]), levinv.hat_entries(A, [7]), atol=1e-15)
    assert_allclose(forster_weights(stored), forster_weights(A), rtol=1e-9)
    assert_allclose(LeverageMap(stored, b).jacobian(x), LeverageMap(A, b).jacobian(x), atol=1e-13)
    assert_allclose(ScoreLoss(stored, b, scores ** 2, ridge=0.1).hess(x),
                    ScoreLoss(A, b, scores ** 2, ridge=0.1).hess(x), rtol=1e-11)
    g = VolumetricBarrier(stored, b).grad(x)
    assert_allclose(invert_gradient(stored, b, g, signs=1).x, x, rtol=1e-9)
    for signs in (1, None):
        assert_allclose(invert_scores(stored, b, scores, signs=signs, rng=0).x, x, rtol=1e-9)


def test_stored_sparse_matrices_that_are_refused(rng, small_blocks):
    A = scipy.sparse.random_array((600, 5), density=0.5, rng=rng, format="csr")
    bad = A.copy()
    bad.data[777] = np.nan
    row = int(np.searchsorted(A.indptr, 777, side="right")) - 1
    with pytest.raises(ValueError, match=rf"A must be finite.* at index \({row}, "):
        leverage_scores(StoredSparse(bad))

    class Broken(StoredSparse):
        def __getitem__(self, index):
            rows = super().__getitem__(index)
            rows.indices[0] = 7
            return rows

    with pytest.raises(ValueError, match="A must have valid sparse rows: "):
        leverage_scores(Broken(A))
    narrow = StoredSparse(A)
    narrow.shape = 600, 6
    with pytest.raises(ValueError, match="A must have slices of 6 columns, got shape"):
        leverage_scores(narrow)


def test_fold_reads_a_block_at_a_time(rng, monkeypatch):
    monkeypatch.setattr(levinv.storage.dense, "CHUNK_WORK", 1 << 10)
    stored, rows_read = Stored(rng.standard_normal((900, 4))), []
    rows = storage.of(levinv._validate.matrix(stored, "A", sparse=True))
    stored.largest = 0

    def count(block):
        rows_read.append(stored.largest)
        return block.shape[0]

    assert rows.fold(count, operator.add, []) == 900
    assert len(rows_read) > 3
    assert max(rows_read) < 450


@pytest.mark.parametrize("dtype", [np.float32, np.int16, ">f8"])
def test_mapped_files_of_other_numbers_are_streamed(mapped, rng, dtype):
    A = rng.integers(-9, 9, (300, 5)).astype(dtype)
    file = mapped(A)
    given = levinv._validate.matrix(file, "A", sparse=True)
    assert isinstance(storage.of(given), storage.StreamedRows)
    assert_allclose(leverage_scores(file), leverage_scores(A.astype(float)), rtol=1e-12)


@pytest.mark.parametrize("array, error, message", [
    (np.ones((3, 2), dtype=complex), TypeError, "A must hold real numbers, got dtype complex128"),
    (np.ones(3), ValueError, "A must be a two-dimensional array"),
    (np.ones((0, 2)), ValueError, "A must not be empty"),
    (np.array([[1.0, 2.0], [3.0, np.nan], [0.0, 1.0]]), ValueError,
     r"A must be finite, got NaN or inf at index \(1, 1\)"),
])
def test_what_is_streamed_is_checked(array, error, message):
    for call in (leverage_scores, lambda A: LeverageMap(A, np.ones(len(array)))):
        with pytest.raises(error, match=message):
            call(Stored(array))


def test_rows_in_any_order(rng, monkeypatch):
    monkeypatch.setattr(levinv._source, "PASS_ENTRIES", 20)
    A = rng.standard_normal((50, 3))
    stored = storage.of(levinv._validate.matrix(Stored(A), "A", sparse=True))
    for index in (np.array([49, 0, 7, 7, 30]), np.zeros(0, dtype=int), rng.random(50) < 0.3,
                  slice(3, 40), slice(40, 3, -2), slice(0, 50, 3)):
        assert_array_equal(stored.block(index), A[index])
