"""The primitives and the factorisations against einsum, on one block and across block and chunk
borders.
"""
import ctypes
import itertools
import mmap
import os
import threading

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

import levinv.storage.dense
import levinv.storage.sparse
from designs import LAYOUTS, frozen, layouts
from levinv._kernels import batch, dense, factor, points
from levinv._kernels.scores import row_scales
from levinv.storage import DenseRows, SparseRows

# Blocks hold 32 to 512 rows, chunks at least 64.
SIZES = [1, 15, 16, 17, 511, 512, 513, 1023, 1024, 1025, 2600]
# 60 columns make 60·61/2 products a row: blocks of the fewest rows.
SHAPES = [(1, 1), (3, 7), (40, 1), (40, 5), (700, 30), (100, 60)]
INSTRUCTION_SETS = [0, 1, 2]


def arguments(rng, n, d):
    """Scale and transform, each absent or present."""
    scale = rng.uniform(0.0, 2.0, size=n)
    scale[rng.random(n) < 0.2] = 0.0
    square, narrow = rng.normal(size=(d, d)), rng.normal(size=(d, max(d - 1, 1)))
    return [(None, None), (scale, None), (None, square), (scale, narrow), (None, np.triu(square)),
            (scale, np.triu(square))]


def scaled_rows(A, scale, transform):
    u = A if scale is None else scale[:, None] * A
    return u if transform is None else u @ transform


def symmetric(rng, k, *more):
    form = rng.normal(size=(k, k, *more))
    return form + form.swapaxes(0, 1)


def close(found, expected):
    assert found.shape == expected.shape
    assert_allclose(found, expected, rtol=0,
                    atol=1e-13 * len(found) * (1.0 + np.abs(expected).max()))


def thinned(A, rng):
    """A with a third of its entries, some rows and columns without any."""
    kept = rng.random(A.shape) < 0.4
    kept[rng.random(len(A)) < 0.1] = False
    kept[:, rng.random(A.shape[1]) < 0.1] = False
    return np.where(kept, A, 0.0)


def check_primitives(A, rng, scale, transform):
    check_rows(DenseRows(A), A, rng, scale, transform)


def check_rows(rows, A, rng, scale, transform):
    n, u = len(A), scaled_rows(np.array(A), scale, transform)
    k = u.shape[1]
    weights, form, v = rng.normal(size=n), symmetric(rng, k), rng.normal(size=A.shape[1])
    Y, forms = rng.normal(size=(n, 3)), symmetric(rng, k, 3)
    close(rows.gram(scale, transform), np.einsum("ia,ib->ab", u, u))
    close(rows.gram(scale, transform, weights), np.einsum("i,ia,ib->ab", weights, u, u))
    close(rows.quad(scale, transform), np.einsum("ia,ia->i", u, u))
    close(rows.quad(scale, transform, form), np.einsum("ia,ab,ib->i", u, form, u))
    close(rows.moments(scale, transform, Y), np.einsum("im,ia,ib->abm", Y, u, u))
    close(rows.contract(scale, transform, forms), np.einsum("ia,abm,ib->im", u, forms, u))
    close(rows.matvec(v), np.array(A) @ v)
    close(rows.abs_matvec(np.abs(v)), np.abs(A) @ np.abs(v))
    assert_array_equal(rows.column_max(), np.abs(A).max(axis=0))
    close(rows.rmatvec(weights), np.array(A).T @ weights)
    close(rows.rmatvec(Y), np.array(A).T @ Y)
    columns = rng.normal(size=(A.shape[1], 3))
    close(rows.matvec(columns), np.array(A) @ columns)
    close(rows.abs_matvec(columns), np.abs(A) @ columns)
    close(rows.row_norms(), np.linalg.norm(A, axis=1))
    close(rows.column_norms(), np.linalg.norm(A, axis=0))
    assert_array_equal(rows.nonzero(), np.any(A, axis=1))
    close(rows.scaled(weights), weights[:, None] * A)
    assert_array_equal(rows.with_columns_times(v).block(slice(None)), A * v)
    chosen = np.flatnonzero(rng.random(n) < 0.5)
    assert_array_equal(rows.block(chosen), A[chosen])
    assert_array_equal(rows.part(chosen).block(slice(None)), A[chosen])
    assert_array_equal(rows.as_sparse().toarray(), A)
    triangle = rows.triangle(scale, transform)
    assert_array_equal(np.tril(triangle, -1), 0.0)
    close(triangle.T @ triangle, u.T @ u)


@pytest.fixture(params=INSTRUCTION_SETS)
def instruction_set(request):
    for module in (dense, batch):
        module.limit_tiles(request.param)
    yield
    for module in (dense, batch):
        module.limit_tiles(INSTRUCTION_SETS[-1])


@pytest.mark.parametrize("present", range(6))
@pytest.mark.parametrize("shape", SHAPES)
def test_primitives(rng, shape, present, instruction_set):
    check_primitives(rng.normal(size=shape), rng, *arguments(rng, *shape)[present])


@pytest.mark.parametrize("present", range(6))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("crowded", [False, True])
def test_primitives_of_sparse_rows(rng, monkeypatch, shape, present, crowded):
    monkeypatch.setattr(levinv.storage.sparse, "DENSE_GAIN", 1000 if crowded else 4)
    monkeypatch.setattr(levinv.storage.sparse, "CHUNK_WORK", 1)
    monkeypatch.setattr(levinv.storage.sparse, "CACHE_ENTRIES", 1)
    A = thinned(rng.normal(size=shape), rng)
    rows = SparseRows(scipy.sparse.csr_array(A))
    check_rows(rows, A, rng, *arguments(rng, *shape)[present])


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_sparse_rows_with_either_index(rng, index):
    A = thinned(rng.normal(size=(50, 4)), rng)
    given = scipy.sparse.csr_array(A)
    given.indices, given.indptr = given.indices.astype(index), given.indptr.astype(index)
    rows = SparseRows(given)
    assert rows.A.indices.dtype == index
    check_rows(rows, A, rng, *arguments(rng, 50, 4)[5])


def test_lengths_are_accurate_however_the_form_cancels(rng):
    # T with nearly parallel rows: the terms of a T Tᵀ aᵀ are up to 1e14 times their sum
    d, n = 60, 4000
    T = rng.normal(size=(1, d)) + 1e-7 * rng.normal(size=(d, d))
    pairs = np.array([rng.choice(d, 2, replace=False) for _ in range(n)])
    A = np.zeros((n, d))
    A[np.arange(n), pairs[:, 0]], A[np.arange(n), pairs[:, 1]] = 1.0, -1.0
    rows = SparseRows(scipy.sparse.csr_array(A))
    assert rows._form_pays(d)
    exact = ((A.astype(np.longdouble) @ T.astype(np.longdouble)) ** 2).sum(axis=1).astype(float)
    assert_allclose(rows.quad(None, T), exact, rtol=1e-13)
    assert np.abs(np.einsum("ia,ab,ib->i", A, T @ T.T, A) / exact - 1).max() > 1e-4


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_sparse_rows_whose_squares_are_no_numbers(rng, unit):
    A = thinned(rng.normal(size=(2000, 60)), rng)
    A[:, 3:] = 0.0
    rows = SparseRows(scipy.sparse.csr_array(unit * A))
    assert_allclose(rows.row_norms(), unit * np.linalg.norm(A, axis=1), rtol=1e-14)
    assert_allclose(rows.column_norms(), unit * np.linalg.norm(A, axis=0), rtol=1e-14)
    T = rng.normal(size=(60, 60))
    assert_allclose(rows.quad(None, T / unit), SparseRows(rows.A / unit).quad(None, T), rtol=1e-12)


@pytest.mark.parametrize("k", range(1, 36))
def test_every_width(rng, k, instruction_set):
    A, scale, triangle = rng.normal(size=(37, k)), rng.random(37), np.triu(rng.normal(size=(k, k)))
    rows = DenseRows(A)
    close(rows.gram(), A.T @ A)
    close(rows.gram(scale, None, scale), (A.T * scale ** 3) @ A)
    close(rows.quad(None, triangle), ((A @ triangle) ** 2).sum(axis=1))
    close(rows.quad(scale, triangle), ((scale[:, None] * A @ triangle) ** 2).sum(axis=1))


def test_rows_a_page_apart(rng):
    A = rng.normal(size=(70, 512))
    close(DenseRows(A).gram(), A.T @ A)
    close(DenseRows(A).quad(None, np.eye(512)), (A ** 2).sum(axis=1))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("d", [3, 10, 20])
def test_what_is_next_to_the_rows_is_not_seen(rng, d, workers):
    wide = np.full((60000, d + 2), np.nan)
    wide[:, :d] = rng.normal(size=(60000, d))
    rows, A = DenseRows(wide[:, :d], workers), wide[:, :d].copy()
    T = np.triu(rng.normal(size=(d, d)))
    close(rows.gram(), A.T @ A)
    close(rows.quad(None, T), ((A @ T) ** 2).sum(axis=1))
    close(rows.quad(None, None, T + T.T), np.einsum("ia,ab,ib->i", A, T + T.T, A))


@pytest.mark.parametrize("d", [1, 12])
def test_workers_do_not_change_a_bit(rng, monkeypatch, d):
    monkeypatch.setattr(levinv.storage.dense, "CHUNK_WORK", 1)
    A, Y, scale = rng.normal(size=(5000, d)), rng.normal(size=(5000, 2)), rng.random(5000)
    alone, shared = DenseRows(A), DenseRows(A, 3)
    for name, arguments in (("gram", (scale,)), ("quad", (scale,)), ("moments", (None, None, Y)),
                            ("rmatvec", (Y,)), ("matvec", (Y[:d].ravel()[:d],))):
        assert_array_equal(getattr(shared, name)(*arguments), getattr(alone, name)(*arguments))


@pytest.mark.parametrize("d", [1, 12])
def test_workers_do_not_change_a_bit_of_sparse_rows(rng, monkeypatch, d):
    for name in ("CHUNK_WORK", "PASS_ENTRIES"):
        monkeypatch.setattr(levinv.storage.sparse, name, 100)
    A = scipy.sparse.csr_array(thinned(rng.normal(size=(5000, d)), rng))
    Y, scale, T = rng.normal(size=(5000, 2)), rng.random(5000), rng.normal(size=(d, d))
    alone, shared = SparseRows(A), SparseRows(A, 3)
    assert len(alone._pair_chunks()) > 3 < len(alone._dense_chunks(1, d))
    for name, arguments in (("gram", (scale,)), ("gram", (scale, T)), ("quad", (scale,)),
                            ("quad", (scale, T)), ("quad", (scale, None, T)),
                            ("moments", (None, None, Y)), ("rmatvec", (Y,)),
                            ("matvec", (Y[:d].ravel()[:d],)), ("triangle", (scale,))):
        assert_array_equal(getattr(shared, name)(*arguments), getattr(alone, name)(*arguments))


@pytest.mark.parametrize("n", [15, 16, 17, 100, 512, 1024])
@pytest.mark.parametrize("d", [1, 4, 5, 8, 9, 20])
def test_column_major_rows(rng, n, d, instruction_set):
    # 512 rows are a multiple of a page: such columns are packed
    A, scale, T = rng.normal(size=(n, d)), rng.random(n), np.triu(rng.normal(size=(d, d)))
    rows = DenseRows(np.asfortranarray(A))
    close(rows.gram(scale), (A.T * scale ** 2) @ A)
    close(rows.quad(None, T), ((A @ T) ** 2).sum(axis=1))
    close(rows.quad(scale, T), scale ** 2 * ((A @ T) ** 2).sum(axis=1))


@pytest.mark.parametrize("order", "CF")
def test_squares_of_scales_beyond_the_range_of_doubles(rng, order, instruction_set):
    # u_i is of ordinary size, scale_i² or |a_i T|² is not a number
    u, scale = rng.normal(size=(300, 7)), np.geomspace(1e-250, 1.0, 300)
    rows = DenseRows(np.array(u / scale[:, None], order=order))
    T, weights = np.triu(rng.normal(size=(7, 7))), rng.normal(size=300)
    close(rows.gram(scale), u.T @ u)
    close(rows.gram(scale, None, weights), (u.T * weights) @ u)
    close(rows.quad(scale, T), ((u @ T) ** 2).sum(axis=1))


@pytest.mark.parametrize("n", [1, 7, 8, 9, 100])
def test_scales_of_rows(rng, n, instruction_set):
    values = rng.normal(size=n)
    for given in (values, np.repeat(values, 2)[::2]):
        assert_allclose(row_scales(given, False), np.abs(values).min() / np.abs(values), rtol=1e-15)
        assert_allclose(row_scales(np.abs(given), True), np.sqrt(np.abs(values) /
                                                                 np.abs(values).max()), rtol=1e-15)
    for place in {0, n // 2, n - 1}:
        for wrong in (np.nan, np.inf, -np.inf, 0.0, -1.0):
            spoilt = np.abs(values)
            spoilt[place] = wrong
            assert (row_scales(spoilt, False) is None) == (wrong != -1.0)
            assert (row_scales(spoilt, True) is None) == (wrong != 0.0 or n == 1)


@pytest.mark.parametrize("present", range(6))
@pytest.mark.parametrize("name",
                         [name for name in LAYOUTS if name not in ("big-endian", "unaligned")])
@pytest.mark.parametrize("n", [40, 1100])
def test_primitives_in_every_layout(rng, n, name, present):
    A = rng.normal(size=(n, 5))
    check_primitives(dict(layouts(A))[name], rng, *arguments(rng, n, 5)[present])


@pytest.mark.parametrize("n", SIZES)
def test_primitives_across_borders(rng, monkeypatch, n):
    monkeypatch.setattr(levinv.storage.dense, "CHUNK_WORK", 1)
    A = rng.normal(size=(n, 4))
    for laid_out in (A, np.asfortranarray(A), np.hstack([A, A])[:, ::2]):
        check_primitives(laid_out, rng, *arguments(rng, n, 4)[3])


def test_chunks_do_not_change_results_beyond_rounding(rng, monkeypatch):
    A, Y = rng.normal(size=(5000, 6)), rng.normal(size=(5000, 2))
    rows = DenseRows(A)
    whole = rows.gram(), rows.quad(), rows.moments(None, None, Y)
    monkeypatch.setattr(levinv.storage.dense, "CHUNK_WORK", 1)
    for found, expected in zip((rows.gram(), rows.quad(), rows.moments(None, None, Y)), whole,
                               strict=True):
        assert_allclose(found, expected, rtol=1e-12, atol=1e-11)


def test_gram_and_moments_are_exactly_symmetric(rng):
    A, Y = rng.normal(size=(700, 9)), rng.normal(size=(700, 2))
    rows = DenseRows(A)
    for found in (rows.gram(), rows.gram(None, None, Y[:, 0].copy()), rows.moments(None, None, Y)):
        assert_array_equal(found, found.swapaxes(0, 1))


def test_a_row_of_scale_zero_takes_no_part(rng):
    A, Y = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    scale = np.where(np.arange(20) % 3 == 0, 0.0, 1.0)
    kept = scale > 0
    rows, fewer = DenseRows(A), DenseRows(A[kept])
    close(rows.gram(scale), fewer.gram())
    close(rows.moments(scale, None, Y), fewer.moments(None, None, Y[kept]))
    assert_array_equal(rows.quad(scale)[~kept], 0.0)


def test_block_is_a_copy(rng):
    A = rng.normal(size=(8, 3))
    for laid_out in (A.copy(), np.asfortranarray(A)):
        block = DenseRows(laid_out).block(np.array([5, 1]))
        assert_array_equal(block, A[[5, 1]])
        block[:] = 0.0
        assert_array_equal(laid_out, A)


def test_kernels_accumulate_or_overwrite_as_they_say(rng):
    A, Y = frozen(rng.normal(size=(50, 3)), rng.normal(size=(50, 2)))
    start = rng.normal(size=(3, 3))
    out = start + start.T
    expected = out + A.T @ A
    dense.gram(A, None, None, None, out)
    close(out, expected)
    packed = np.ones((6, 2))
    dense.moments(A, None, None, Y, None, packed)
    upper = np.triu_indices(3)
    close(packed, 1.0 + np.einsum("im,ia,ib->abm", Y, A, A)[upper])
    overwritten = np.full(50, np.nan)
    dense.quad(A, None, dense.Form(3, None, None), overwritten)
    close(overwritten, (A ** 2).sum(axis=1))


@pytest.mark.parametrize("n, k", [(1, 1), (15, 2), (16, 3), (17, 3), (300, 4), (1300, 3)])
def test_squares(rng, n, k):
    U, Y = np.linalg.qr(rng.normal(size=(max(n, k), k)))[0][:n].copy(), rng.normal(size=(n, 2))
    out = np.full((n, 2), np.nan)
    dense.squares(U, Y, out)
    close(out, (U @ U.T) ** 2 @ Y)


def test_kernels_run_in_many_threads(rng):
    A, form = frozen(rng.normal(size=(3000, 8)), symmetric(rng, 8))
    rows = DenseRows(A)
    expected = rows.gram(), rows.quad(None, None, form)
    found, start = [], threading.Barrier(8)

    def work():
        start.wait()
        found.extend((rows.gram(), rows.quad(None, None, form)) for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    for gram, quad in found:
        assert_allclose(gram, expected[0], rtol=1e-13)
        assert_allclose(quad, expected[1], rtol=1e-13)


# factorisations

@pytest.mark.parametrize("k", [1, 2, 7, 70])
def test_inverse_factor_of_a_gram_matrix(rng, k):
    # the columns' units do not matter
    A = rng.normal(size=(3 * k, k)) * np.geomspace(1e-60, 1e60, k)
    gram = A.T @ A
    transform, rank, condition = factor.gram_inverse_factor(gram.copy(), 1e-14)
    assert rank == k
    assert_allclose((A @ transform).T @ (A @ transform), np.eye(k), rtol=0, atol=1e-11)
    true = np.linalg.cond(A / np.linalg.norm(A, axis=0))
    assert true / np.sqrt(k) * (1 - 1e-9) <= condition <= true * np.sqrt(k) * (1 + 1e-9)


@pytest.mark.parametrize("A, rank", [(np.ones((5, 2)), 1), (np.zeros((3, 2)), 0),
                                     (np.eye(3)[:, [0, 1, 1]], 2),
                                     (np.array([[1.0, 0.0], [2.0, 0.0]]), 1)])
def test_inverse_factor_of_a_singular_matrix(A, rank):
    transform, found, condition = factor.gram_inverse_factor(A.T @ A, 1e-14)
    assert found == rank
    assert condition == np.inf
    assert_array_equal(transform, 0.0)


@pytest.mark.parametrize("shape", [(1, 1), (9, 4), (4, 9), (6, 6), (300, 65)])
def test_pivoted_qr(rng, shape):
    A = rng.normal(size=shape)
    q = np.array(A, order="F")
    r, pivots, info = factor.pivoted_qr(q)
    assert info == 0
    small = min(shape)
    assert_allclose(q[:, :small] @ r, A[:, pivots], rtol=0, atol=1e-12)
    assert_allclose(q[:, :small].T @ q[:, :small], np.eye(small), rtol=0, atol=1e-12)
    assert_array_equal(np.tril(r, -1), 0.0)
    assert sorted(pivots) == list(range(shape[1]))
    sizes = np.abs(np.diag(r))
    assert (sizes[1:] <= sizes[:-1] * (1 + 1e-12)).all()


# memory

@pytest.fixture
def before_a_guard():
    """A function that copies an array to the very end, or start, of memory that may be read."""
    if os.name != "posix":
        pytest.skip("this system has no mprotect")
    mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    page, kept = mmap.PAGESIZE, []

    def place(array, at_start=False):
        pages = -(-array.nbytes // page)
        memory = mmap.mmap(-1, (pages + 2) * page)
        kept.append(memory)
        everything = np.frombuffer(memory, dtype=np.uint8)
        for guard in (0, (pages + 1) * page):
            address = ctypes.c_void_p(everything.ctypes.data + guard)
            assert mprotect(address, ctypes.c_size_t(page), 0) == 0
        first = page if at_start else (pages + 1) * page - array.nbytes
        placed = everything[first:first + array.nbytes].view(np.float64).reshape(array.shape)
        placed[...] = array
        return placed

    return place


@pytest.mark.parametrize("at_start", [False, True])
@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 9, 10, 17, 20])
def test_nothing_beyond_the_array_is_read(before_a_guard, rng, d, at_start, instruction_set):
    for n in (1, 2, 8, 63, 64, 65, 500):
        A, scale = rng.normal(size=(n, d)), rng.random(n)
        triangle = np.triu(rng.normal(size=(d, d)))
        placed = before_a_guard(A, at_start)
        for given, expected in ((placed, A), (placed[::-1], A[::-1]),
                                (placed[:, ::-1], A[:, ::-1]),
                                (before_a_guard(A.T.copy(), at_start).T, A)):
            rows = DenseRows(given)
            close(rows.gram(), expected.T @ expected)
            close(rows.gram(before_a_guard(scale)), (expected.T * scale ** 2) @ expected)
            close(rows.quad(None, before_a_guard(triangle)),
                  ((expected @ triangle) ** 2).sum(axis=1))
            close(rows.quad(scale, None, before_a_guard(triangle + triangle.T)),
                  scale ** 2 * np.einsum("ia,ab,ib->i", expected, triangle + triangle.T, expected))
            Y = rng.normal(size=(n, 3))
            close(rows.moments(None, None, before_a_guard(Y)),
                  np.einsum("im,ia,ib->abm", Y, expected, expected))


@pytest.mark.parametrize("chunk_work", [1, 1000, 1 << 22])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 97, 1000, 4999, 100_000])
def test_chunks_cover_the_rows_once(monkeypatch, n, chunk_work):
    monkeypatch.setattr(levinv.storage.dense, "CHUNK_WORK", chunk_work)
    for work, width in ((1, 0), (9, 3), (10_000, 100)):
        chunks = DenseRows(np.zeros((n, 1)))._chunks(work, width)
        assert chunks[0].start == 0 and chunks[-1].stop == n
        assert all(chunk.start < chunk.stop for chunk in chunks)
        assert all(a.stop == b.start for a, b in itertools.pairwise(chunks))


@pytest.mark.parametrize("n, d", [(5, 2), (100, 5), (300, 17), (70, 64)])
def test_projection_of_a_small_problem(rng, n, d):
    for layout, A in layouts(rng.normal(size=(n, d))):
        if layout in ("big-endian", "unaligned"):
            continue
        magnitude = rng.uniform(0.1, 3.0, n)
        scale, transform, scores = np.empty(n), np.empty((d, d)), np.empty(n)
        least, condition, largest = points.project(A, *frozen(magnitude), scale, transform, scores)
        assert least == magnitude.min() and largest == scores.max()
        assert_array_equal(scale, least / magnitude)
        rows = DenseRows(A)
        expected, bound = factor.triangular_inverse_factor(rows.gram(scale))
        assert_array_equal(transform, expected)
        assert condition == bound
        assert_array_equal(scores, rows.quad(scale, transform))


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_projection_without_a_magnitude(value):
    magnitude = np.array([1.0, value, 2.0])
    out = np.empty(3), np.empty((1, 1)), np.empty(3)
    assert np.isnan(points.project(np.ones((3, 1)), magnitude, *out)[1])


@pytest.mark.parametrize("n, d", [(5, 2), (100, 5), (300, 17), (70, 64)])
@pytest.mark.parametrize("own_columns", [False, True])
def test_laplacian_of_a_small_problem(rng, n, d, own_columns):
    for layout, A in layouts(rng.normal(size=(n, d))):
        if layout in ("big-endian", "unaligned"):
            continue
        scale, y, out = rng.uniform(0.1, 1.0, n), rng.normal(size=n), np.empty(n)
        transform = np.triu(np.linalg.inv(np.linalg.cholesky((A * scale[:, None]).T
                                                             @ (A * scale[:, None]))).T)
        u = scale[:, None] * A @ transform
        scores = (u ** 2).sum(axis=1)
        points.laplacian(A, *frozen(scale, transform), own_columns, scores, y, out)
        close(out, (u @ u.T) ** 2 @ y - scores * y)


def test_slack_is_finished(rng):
    slack, b = rng.normal(size=9), rng.normal(size=9)
    slack[3] = b[3] + 1e-310
    expected = slack - b
    expected[3] = 0.0
    assert points.finish_slack(slack, frozen(b)[0])
    assert_array_equal(slack, expected)
    slack[2] = np.inf
    assert not points.finish_slack(slack, None)


# 100 x 40: several blocks of rows
@pytest.mark.parametrize("problems", [1, 31, 33, 70])
@pytest.mark.parametrize("n, d", [(1, 1), (4, 2), (37, 5), (70, 17), (100, 40)])
def test_many_weights(rng, n, d, problems, instruction_set):
    slack, target = rng.uniform(0.5, 2.0, (problems, n)), rng.normal(size=n)
    slack *= rng.choice([-1.0, 1.0], slack.shape)
    weights = slack ** -2.0
    for layout, A in layouts(rng.normal(size=(n, d)) + 2.0 * np.eye(n, d)):
        if layout in ("big-endian", "unaligned"):
            continue
        for values in (slack, weights):
            scores, product = np.empty((2, problems, n))
            condition, log_det = np.empty((2, problems))
            batch.one_pass(A, *frozen(values), values is slack, scores, condition, log_det,
                           *frozen(target), product)
            for j in {0, problems - 1}:
                B = A / slack[j, :, None]
                norms = np.linalg.norm(B, axis=0)
                error = 1e-14 * condition[j] ** 2
                assert_allclose(condition[j], np.linalg.norm(np.linalg.pinv(B / norms)), rtol=error)
                Q = np.linalg.qr(B)[0]
                P = Q @ Q.T
                assert_allclose(scores[j], np.diag(P), atol=error)
                assert_allclose(log_det[j], np.linalg.slogdet(B.T @ B)[1], atol=10 * error)
                y = np.diag(P) - target
                assert_allclose(product[j], (P * P) @ y - np.diag(P) * y, atol=10 * error)


def test_scores_do_not_depend_on_the_other_problems(rng):
    A, slack = rng.normal(size=(50, 6)), rng.uniform(0.5, 2.0, (70, 50))
    scores, condition = np.empty((70, 50)), np.empty(70)
    batch.one_pass(A, slack, True, scores, condition, None, None, None)
    for first, last in ((0, 1), (3, 20), (40, 70)):
        some = np.empty((last - first, 50))
        batch.one_pass(A, slack[first:last], True, some, condition[:len(some)], None, None, None)
        assert_array_equal(some, scores[first:last])


@pytest.mark.parametrize("slack", [False, True])
def test_many_weights_out_of_range(rng, slack):
    """Where anything is out of range the condition says so, for this problem alone."""
    A, values = rng.normal(size=(20, 3)), rng.uniform(0.5, 2.0, (9, 20))
    values[1, 3], values[2, 19], values[3, 0], values[4, 8] = np.nan, np.inf, 1e-170, -1e170
    values[5], values[6, 2:], values[7, 17] = (0.0, 0.0, 0.0)
    scores, condition = np.empty((9, 20)), np.empty(9)
    batch.one_pass(A, values, slack, scores, condition, None, None, None)
    served = condition <= 64.0
    assert_array_equal(np.flatnonzero(served), [0, 8] if slack else [0, 7, 8])
    for wrong in (np.nan, np.inf, 1e101, -1e-101):
        A[7, 1] = wrong
        batch.one_pass(A, values, slack, scores, condition, None, None, None)
        assert not (condition <= 64.0).any()
