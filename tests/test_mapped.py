"""Matrices mapped from a file: the same as in memory, and never copied as a whole."""
import numpy as np
import pytest
from designs import conditioned
from numpy.testing import assert_allclose, assert_array_equal

import levinv.rows.dense
from levinv import (LeverageMap, ScoreLoss, VolumetricBarrier, forster_weights, invert_gradient,
                    invert_scores, leverage_scores, rows)


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
        assert np.shares_memory(rows.of(np.asarray(given)).A, A)
        assert rows.of(np.asarray(given)).copy_limit < np.inf
    assert rows.of(A.copy().view(np.ndarray)).copy_limit == np.inf


def test_all_functions(mapped, rng):
    A, b, x = rng.standard_normal((400, 5)), -rng.uniform(1.0, 2.0, 400), 0.05 * np.ones(5)
    slack = A @ x - b
    scores, file = leverage_scores(A, slack=slack), mapped(A)
    assert_array_equal(leverage_scores(file, slack=slack), scores)
    assert_array_equal(LeverageMap(file, b).jacobian(x), LeverageMap(A, b).jacobian(x))
    assert_array_equal(ScoreLoss(file, b, scores ** 2).hess(x), ScoreLoss(A, b, scores ** 2).hess(x))
    assert_array_equal(forster_weights(file), forster_weights(A))
    g = VolumetricBarrier(file, b).grad(x)
    assert_allclose(invert_gradient(file, b, g, signs=1).x, x, rtol=1e-9)
    assert_allclose(invert_scores(file, b, scores, signs=1).x, x, rtol=1e-12)
    assert_allclose(invert_scores(file, b, scores, rng=0).x, x, rtol=1e-12)


def test_qr_without_a_copy(mapped, rng, monkeypatch):
    monkeypatch.setattr(levinv.rows.dense, "COPY_ENTRIES", 100)
    A = conditioned(rng, 300, 6, 1e9)

    def refuse(*_):
        raise AssertionError("the whole of a mapped matrix was copied")

    expected = leverage_scores(A)
    monkeypatch.setattr(levinv.forward.orthonormal, "_sorted_rows", refuse)
    assert_allclose(leverage_scores(mapped(A)), expected, rtol=0, atol=100 * 2.2e-16 * 1e9)
    A[:, 5] = A[:, 4]
    assert leverage_scores(mapped(A, "B.npy")).sum() == pytest.approx(5)
