"""Gram matrices, forms and factors of many columns: products of blocks, by BLAS."""
import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from test_kernels import arguments, close, scaled_rows, symmetric

import levinv
from designs import frozen
from levinv import _parallel
from levinv._kernels import dense, factor
from levinv._tolerances import CACHE_ENTRIES
from levinv.forward import cholesky
from levinv.storage import DenseRows, SparseRows, many_columns


@pytest.fixture
def narrow(monkeypatch):
    """Many columns are more than 10, and strips and pieces are small."""
    monkeypatch.setattr(many_columns, "WIDE_FORM", 10)
    monkeypatch.setattr(many_columns, "WIDE_GRAM", 10)
    monkeypatch.setattr(many_columns, "STRIP", 16)
    monkeypatch.setattr(many_columns, "PIECE", 32)


def check(rows, u, scale, transform, rng):
    weights, form = rng.normal(size=len(u)), symmetric(rng, u.shape[1])
    close(rows.gram(scale, transform), u.T @ u)
    close(rows.gram(scale, transform, weights), (u.T * weights) @ u)
    assert_array_equal(rows.gram(scale, transform), rows.gram(scale, transform).T)
    close(rows.quad(scale, transform), (u ** 2).sum(axis=1))
    close(rows.quad(scale, transform, form), np.einsum("ia,ab,ib->i", u, form, u))


@pytest.mark.parametrize("present", range(6))
@pytest.mark.parametrize("shape", [(5, 12), (33, 17), (100, 40), (530, 30)])
def test_primitives(narrow, rng, shape, present):
    A = rng.normal(size=shape)
    scale, transform = arguments(rng, *shape)[present]
    for laid_out in (A, np.asfortranarray(A), np.hstack([A, A])[:, ::2], A[::-1]):
        u = scaled_rows(np.array(laid_out), scale, transform)
        check(DenseRows(laid_out), u, scale, transform, rng)
        if transform is None:
            check(SparseRows(scipy.sparse.csr_array(laid_out)), u, scale, transform, rng)


def test_a_triangle_with_permuted_rows(narrow, rng):
    A, triangle, order = rng.normal(size=(90, 30)), np.triu(rng.normal(size=(30, 30))), \
        rng.permutation(30)
    transform = triangle[order]
    found = many_columns.ordered(transform)
    assert found.triangular and found.order is not None
    assert_array_equal(transform[found.order], found.matrix)
    for laid_out in (A, np.asfortranarray(A)):
        scale = rng.random(90)
        check(DenseRows(laid_out), scale[:, None] * A @ transform, scale, transform, rng)


@pytest.mark.parametrize("d", [11, 40, 100])
def test_workers_do_not_change_a_bit(narrow, rng, d):
    A, scale, weights = frozen(rng.normal(size=(300, d)), rng.random(300), rng.normal(size=300))
    alone, shared = DenseRows(A), DenseRows(A, 3)
    T = np.triu(rng.normal(size=(d, d)))
    for name, given in (("gram", (scale,)), ("gram", (scale, T, weights)), ("quad", (scale, T)),
                        ("quad", (scale, None, T))):
        assert_array_equal(getattr(shared, name)(*given), getattr(alone, name)(*given))


def test_what_is_next_to_the_rows_is_not_seen(narrow, rng):
    wide = np.full((100, 40), np.nan)
    wide[:, :37] = rng.normal(size=(100, 37))
    check(DenseRows(wide[:, :37]), wide[:, :37], None, None, rng)


# factors

def gram_matrix(rng, k):
    A = rng.normal(size=(2 * k, k)) * np.geomspace(1e-60, 1e60, k)
    return A.T @ A


@pytest.mark.parametrize("k", [64, 65, 128, 129, 200, 511, 513, 700])
def test_inverse_factor(rng, k):
    gram = gram_matrix(rng, k)
    sizes = np.sqrt(np.diag(gram))
    transform, condition = factor.triangular_inverse_factor(gram.copy())
    assert_array_equal(np.tril(transform, -1), 0.0)
    unit = gram / sizes / sizes[:, None]
    inverse = sizes[:, None] * transform
    assert_allclose(inverse.T @ unit @ inverse, np.eye(k), rtol=0, atol=1e-12)
    assert_allclose(condition, np.linalg.norm(inverse), rtol=1e-12)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("k", [600])
def test_threads_take_the_same_steps(rng, k, workers):
    gram = gram_matrix(rng, k)
    expected, bound = factor.triangular_inverse_factor(gram.copy())
    found, condition = cholesky.triangular_inverse_factor(gram, workers)
    assert_array_equal(found, expected)
    assert condition == bound


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("place", [0, 300, 599])
def test_there_is_no_factor(rng, place, workers):
    gram = gram_matrix(rng, 600)
    indefinite, infinite = gram.copy(), gram.copy()
    other = (place + 1) % 600
    indefinite[place, other] = indefinite[other, place] = 2.0 * np.sqrt(
        gram[place, place] * gram[other, other])
    assert cholesky.triangular_inverse_factor(indefinite, workers)[1] == np.inf
    infinite[place, place] = np.nan
    assert np.isnan(cholesky.triangular_inverse_factor(infinite, workers)[1])


@pytest.mark.parametrize("n, k", [(90, 80), (300, 100), (2000, 100), (101, 100), (3, 1), (5, 2)])
def test_bounds_of_the_norm(rng, n, k):
    A = rng.normal(size=(n, k))
    gram = A.T @ A
    transform, condition = factor.triangular_inverse_factor(gram.copy())
    norm = np.linalg.norm(np.sqrt(np.diag(gram))[:, None] * transform, 2)
    close_bound = cholesky.close_norm_bound(transform, np.diag(gram), condition)
    assert norm * (1 - 1e-9) <= close_bound
    assert norm * (1 - 1e-9) <= cholesky.norm_bound(condition, k)
    if n <= 1.2 * k and k > 10:
        assert close_bound < 0.9 * cholesky.norm_bound(condition, k)


@pytest.mark.parametrize("k", [127, 128, 129, 300])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_closer_bound_by_its_formula(rng, k, workers):
    gram = gram_matrix(rng, k)
    transform, condition = factor.triangular_inverse_factor(gram.copy())
    inverse = np.sqrt(np.diag(gram))[:, None] * transform
    values = np.linalg.svd(inverse, compute_uv=False) ** 2
    expected = np.sqrt(values.mean() + np.sqrt((k - 1) * values.var()))
    found = cholesky.close_norm_bound(transform, np.diag(gram), condition, workers)
    assert_allclose(found, expected, rtol=1e-9)


def test_a_pivoted_factor_by_blocks(rng):
    A = rng.normal(size=(400, 150)) @ np.diag(np.geomspace(1.0, 1e-3, 150))
    A[:, 70] = A[:, 3] + 1e-4 * A[:, 70]
    transform, rank, condition = factor.gram_inverse_factor(A.T @ A, 1e-14)
    assert rank == 150
    image = A @ transform
    assert_allclose(image.T @ image, np.eye(150), rtol=0, atol=1e-13 * condition ** 2)


# scores

@pytest.mark.parametrize("k, kappa", [(130, 2.0), (130, 30.0), (130, 60.0), (130, 1e4), (130, 1e10),
                                      (520, 60.0), (520, 1e4)])
@pytest.mark.parametrize("leading", [False, True])
def test_scores_of_many_columns(rng, k, kappa, leading):
    # known scores; ``leading``: the columns of the first block alone are ill-conditioned
    U = np.linalg.qr(rng.normal(size=(2 * k, k)))[0]
    m = 60 if leading else k
    V = [np.linalg.qr(rng.normal(size=(m, m)))[0] for _ in range(2)]
    C = np.eye(k)
    C[:m, :m] = V[0] @ (np.geomspace(1.0, 1.0 / kappa, m)[:, None] * V[1])
    A = U @ C
    limit = 100 * np.finfo(float).eps * kappa
    assert np.abs(levinv.leverage_scores(A) - (U ** 2).sum(axis=1)).max() < limit
    slack = np.geomspace(1e-3, 1e3, len(A))
    found = levinv.leverage_scores(slack[:, None] * np.asfortranarray(A), slack=slack, workers=2)
    assert np.abs(found - (U ** 2).sum(axis=1)).max() < limit


def test_blas_keeps_to_the_callers_thread(rng, monkeypatch):
    limited, gram = [], many_columns.gram

    def recorded(*arguments):
        limited.append(bool(_parallel._limit.users))
        return gram(*arguments)

    monkeypatch.setattr(many_columns, "gram", recorded)
    A = rng.normal(size=(1200, many_columns.WIDE_GRAM + 1))
    levinv.leverage_scores(A)
    levinv.LeverageMap(A, np.ones(1200)).scores(np.ones(A.shape[1]))
    assert len(limited) > 1 and all(limited)


def test_a_stack_of_wide_matrices(rng):
    stack = rng.normal(size=(2, 700, 520))
    found = levinv.leverage_scores(stack, workers=2)
    for A, scores in zip(stack, found, strict=True):
        assert_allclose(scores, (np.linalg.qr(A)[0] ** 2).sum(axis=1), rtol=0, atol=1e-13)


# derivatives

def test_products_with_large_blocks_of_the_projection(rng):
    n, k = 2950, 360
    assert n * k > 8 * CACHE_ENTRIES
    U, Y, out = np.linalg.qr(rng.normal(size=(n, k)))[0], rng.normal(size=(n, 2)), np.empty((n, 2))
    dense.squares(np.ascontiguousarray(U), Y, out)
    close(out, (U @ U.T) ** 2 @ Y)
    A, x, v = rng.normal(size=(n, k)), rng.normal(size=k), rng.normal(size=k)
    loss = levinv.ScoreLoss(A, 100.0 + rng.random(n), np.full(n, 0.5))
    expected = loss.hessp(x, v)
    assert_allclose(loss.hess(x) @ v, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_derivatives_of_many_columns(narrow, rng):
    A, b, x = rng.normal(size=(300, 40)), 30.0 + rng.random(300), rng.normal(size=40)
    found = levinv.LeverageMap(A, b), levinv.ScoreLoss(A, b, np.full(300, 0.1))
    v, y = rng.normal(size=40), rng.normal(size=300)
    values = [found[0].jvp(x, v), found[0].vjp(x, y), found[1].grad(x), found[1].hessp(x, v)]
    many_columns.WIDE_FORM = many_columns.WIDE_GRAM = 1000      # the fixture restores them
    found = levinv.LeverageMap(A, b), levinv.ScoreLoss(A, b, np.full(300, 0.1))
    for value, expected in zip(values, [found[0].jvp(x, v), found[0].vjp(x, y), found[1].grad(x),
                                        found[1].hessp(x, v)], strict=True):
        assert_allclose(value, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
