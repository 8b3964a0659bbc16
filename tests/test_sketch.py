"""leverage_scores(method="sketch"): the stated error, against exact scores; what is refused."""
import signal

import numpy as np
import pytest
import scipy.sparse
import scipy.stats
import threadpoolctl
from numpy.testing import assert_allclose, assert_array_equal

from levinv import leverage_scores
from levinv._kernels import csr
from levinv.cli import main
from levinv.forward import approximate as sketch
from oracles import svd_scores


def thin(rng, n=240, d=60):
    """Three entries a row."""
    A = np.zeros((n, d))
    for row in A:
        row[rng.choice(d, 3, replace=False)] = rng.normal(size=3)
    return A


def one_hot(rng, n=240, levels=(8, 12)):
    """Indicators of all levels of two factors: rank-deficient by one."""
    return np.hstack([np.eye(count)[rng.integers(count, size=n)] for count in levels])


def grid(side):
    """Differences along the edges of a square grid: rank-deficient by one, ill-conditioned."""
    node = np.arange(side * side).reshape(side, side)
    ends = np.vstack([np.column_stack([node[:, :-1].ravel(), node[:, 1:].ravel()]),
                      np.column_stack([node[:-1].ravel(), node[1:].ravel()])])
    return differences(ends, side * side)


def differences(ends, d):
    n = len(ends)
    return scipy.sparse.csr_array(
        (np.tile([1.0, -1.0], n), ends.ravel(), np.arange(0, 2 * n + 1, 2)), shape=(n, d))


def design(name, rng):
    """A dense matrix, its rank, and what is given of its rows."""
    if name == "thin":
        return thin(rng), 60, {}
    if name == "one-hot":
        return one_hot(rng), 19, {}
    if name == "one-hot, slack":
        return one_hot(rng), 19, {"slack": rng.exponential(size=240) * rng.choice([-1, 1], 240)}
    if name == "grid":
        return grid(11).toarray(), 120, {}
    if name == "grid, weights":
        return grid(11).toarray(), 120, {"weights": 10.0 ** rng.uniform(-6, 0, 220)}
    if name == "badly scaled":
        A = thin(rng) * 10.0 ** rng.uniform(-100, 100, 60) * 10.0 ** rng.uniform(-2, 2, (240, 1))
        return A, 60, {"slack": 10.0 ** rng.uniform(-2, 2, 240)}
    if name == "rows of no weight":
        weights = rng.uniform(size=240)
        weights[::7] = 0.0
        return thin(rng), 60, {"weights": weights}
    if name == "gaps":
        A = thin(rng)
        A[[0, 17, 239]] = 0.0
        A[:, 4] = 0.0
        A[5, 4] = 2.0                                # the only one: score 1
        return A, 60, {}
    if name == "wide":
        return thin(rng, 40, 60), 40, {}
    assert name == "nearly dependent"
    A = thin(rng)
    A[:, 1] = A[:, 0] + 1e-7 * A[:, 1]
    return A, 60, {}


def exact(A, rank, slack=None, weights=None):
    """Scores by singular values, columns of norm 1."""
    B = A / np.where(A.any(axis=0), np.abs(A).max(axis=0), 1.0)
    if slack is not None:
        B = B / slack[:, None]
    elif weights is not None:
        B = B * np.sqrt(weights)[:, None]
    with threadpoolctl.threadpool_limits(1):         # BLAS's own stall on a busy machine
        return svd_scores(B / np.maximum(np.linalg.norm(B, axis=0), 1e-300), rank)


def standard_error(scores, rtol):
    return rtol * scores * (1 - scores) / np.hypot(scores, 1 - scores)


@pytest.mark.parametrize("name, rtol", [("thin", 0.1), *(
    (name, 0.25) for name in ("thin", "one-hot", "one-hot, slack", "grid", "grid, weights",
                              "badly scaled", "rows of no weight", "gaps", "nearly dependent"))])
def test_error_is_what_is_stated(rng, name, rtol):
    A, rank, given = design(name, rng)
    scores, repeats, k = exact(A, rank, **given), 30, np.ceil(2 / rtol ** 2)
    found = np.array([leverage_scores(scipy.sparse.csr_array(A), method="sketch", rtol=rtol,
                                      rng=seed, **given) for seed in range(repeats)])
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    stated = standard_error(scores, rtol)
    random = stated > 1e-6 * rtol
    certain = np.minimum(scores, 1 - scores) < 1e-12
    assert_allclose(found[:, certain], np.broadcast_to(scores[certain], found[:, certain].shape),
                    rtol=0, atol=1e-6)
    errors = (found - scores)[:, random] / stated[random]
    assert (errors ** 2).mean() <= 1.05 ** 2
    assert (errors ** 2).mean() >= 0.6 ** 2           # no more projections than that error needs
    assert abs(errors.mean()) <= 0.1
    assert np.abs(errors.mean(axis=0)).max() <= 5 / np.sqrt(repeats)
    # as large as the largest of so many of a χ², or less
    largest = (scipy.stats.chi2.isf(0.01 / errors.size, k) / k - 1) / rtol
    assert np.abs(errors).max() <= largest


def test_small_scores_are_relatively_accurate(rng):
    """Rows of any size: of a direction that others hold."""
    A = thin(rng)
    A[100:] *= 10.0 ** -np.linspace(0, 100, 140)[:, None]
    scores = exact(A, 60)                            # relatively exact only above ε²
    scores[100:] = np.einsum("ij,jk,ik->i", A[100:], np.linalg.inv(A.T @ A), A[100:])
    assert scores.min() < 1e-190
    found = leverage_scores(scipy.sparse.csr_array(A), method="sketch", rng=0)
    assert_allclose(found, scores, rtol=0.45)


def test_all_rows_independent(rng):
    A, _, _ = design("wide", rng)
    assert_allclose(leverage_scores(scipy.sparse.csr_array(A), method="sketch", rng=0), 1.0,
                    atol=1e-6)


@pytest.mark.parametrize("A, scores", [
    ([[3.0]], [1.0]), ([[0.0]], [0.0]), ([[1e-300, 2.0, 0.0]], [1.0]), ([[5e-324], [0.0]], [1, 0]),
    (np.zeros((3, 2)), [0, 0, 0]), ([[1e300, 0.0], [0.0, 1e-300]], [1, 1])])
def test_tiny(A, scores):
    A = scipy.sparse.csr_array(A)
    assert_allclose(leverage_scores(A, method="sketch", rng=1), scores, atol=1e-9)
    assert_allclose(leverage_scores(A, method="sketch", rtol=1.0, rng=1), scores, atol=1e-9)
    assert_array_equal(leverage_scores(A, method="sketch", weights=np.zeros(A.shape[0])), 0.0)


class TestBeyondDenseMatrices:
    """More columns than dense d x d matrices allow, answers known otherwise."""

    def test_blocks(self, rng):
        blocks = rng.normal(size=(5500, 6, 4))
        row, column = np.arange(33000).repeat(4), (np.arange(22000).reshape(-1, 1, 4)
                                                   + np.zeros((1, 6, 1), dtype=int)).ravel()
        A = scipy.sparse.csr_array((blocks.ravel(), (row, column)), shape=(33000, 22000))
        scores, rtol = leverage_scores(blocks).ravel(), 0.3
        with pytest.raises(ValueError, match="method='sketch'"):
            leverage_scores(A)
        errors = leverage_scores(A, method="sketch", rtol=rtol, rng=0) - scores
        errors /= standard_error(scores, rtol)
        assert abs(errors.mean()) <= 0.1
        assert 0.6 <= np.sqrt((errors ** 2).mean()) <= 1.05

    def test_cycles(self, rng):
        """Edges of a cycle of length L have score 1 - 1/L; each cycle is dependent."""
        lengths = rng.integers(2, 12, size=3600)
        last = np.cumsum(lengths)
        d = last[-1]
        assert d > 20000
        ends = np.column_stack([np.arange(d), np.arange(1, d + 1)])
        ends[last - 1, 1] = last - lengths
        scores, rtol = (1 - 1 / lengths).repeat(lengths), 0.2
        errors = leverage_scores(differences(ends, d), method="sketch", rtol=rtol, rng=0) - scores
        errors /= standard_error(scores, rtol)
        assert abs(errors.mean()) <= 0.1
        assert 0.6 <= np.sqrt((errors ** 2).mean()) <= 1.05

    def test_path(self):
        """A tree: every edge has score 1. Condition number 14000: by a factor."""
        d = 22000
        ends = np.column_stack([np.arange(d - 1), np.arange(1, d)])
        scores = leverage_scores(differences(ends, d), method="sketch", rtol=1.0, rng=0)
        assert_allclose(scores, 1.0, atol=1e-6)


class TestDeterminism:
    def test_generator_and_workers(self, rng, monkeypatch):
        monkeypatch.setattr(sketch, "SIGN_COLUMNS", 8)        # several blocks
        A, slack = scipy.sparse.csr_array(thin(rng)), rng.uniform(0.5, 2.0, 240)
        first = leverage_scores(A, slack=slack, method="sketch", rng=7, workers=1)
        for workers in (1, 2, 3, None):
            again = leverage_scores(A.tocsc(), slack=-slack, method="sketch",
                                    rng=np.random.default_rng(7), workers=workers)
            assert_array_equal(again, first)
        assert (leverage_scores(A, slack=slack, method="sketch", rng=8) != first).all()
        assert (leverage_scores(A, slack=slack, method="sketch")
                != leverage_scores(A, slack=slack, method="sketch")).any()

    def test_inputs_are_left_alone(self, rng):
        A, weights = scipy.sparse.csr_array(thin(rng)), rng.uniform(size=240)
        for array in (A.data, A.indices, A.indptr, weights):
            array.flags.writeable = False
        leverage_scores(A, weights=weights, method="sketch", rng=0)

    def test_default_rtol(self, rng):
        A = scipy.sparse.csr_array(thin(rng))
        assert_array_equal(leverage_scores(A, method="sketch", rng=0),
                           leverage_scores(A, method="sketch", rng=0, rtol=0.1))


class TestSolver:
    """Where there is no factor, and where nothing helps."""

    @pytest.mark.parametrize("limit", ["FILL", "FACTOR_WORK", "PAIRS"])
    def test_without_a_factor(self, monkeypatch, limit):
        A = grid(20)
        monkeypatch.setattr(sketch, "FEW_ITERATIONS", 10)
        by_factor = leverage_scores(A, method="sketch", rng=3)
        calls = []
        monkeypatch.setattr(sketch, "splu", calls.append)
        monkeypatch.setattr(sketch, limit, 1)
        monkeypatch.setattr(sketch, "FEW_ITERATIONS", 10)
        assert_allclose(leverage_scores(A, method="sketch", rng=3), by_factor, rtol=0.01)
        assert calls == []

    @pytest.mark.parametrize("limit, reason", [
        ("FILL", "the factor of the Gram matrix would have more than 1 entries"),
        ("FACTOR_WORK", "the factor of the Gram matrix would take .* operations"),
        ("PAIRS", "its Gram matrix, a sum of .* products, is not sparse enough")])
    def test_refused_where_no_preconditioner_helps(self, monkeypatch, limit, reason):
        monkeypatch.setattr(sketch, limit, 1)
        monkeypatch.setattr(sketch, "FEW_ITERATIONS", 5)
        monkeypatch.setattr(sketch, "MANY_ITERATIONS", 20)
        with pytest.raises(ValueError, match=f"^A has no reliable scores by method='sketch': its "
                                             f"scaled columns .* 20 iterations .* {reason}"):
            leverage_scores(grid(20), method="sketch", rng=3)

    @pytest.mark.parametrize("size", [1e-10, 1e-11, 1e-12])
    def test_almost_dependent_is_refused(self, rng, size):
        A = thin(rng, 3000, 100)
        A[:, 1] = A[:, 0] + size * A[:, 1]
        A = scipy.sparse.csr_array(A)
        message = "^A has no reliable scores by method='sketch': its columns, of unit norm, "
        with pytest.raises(ValueError, match=message):
            leverage_scores(A, method="sketch", rng=0)

    @pytest.mark.parametrize("also_dependent", [False, True])
    @pytest.mark.parametrize("size", [1e-7, 1e-8, 1e-10, 1e-12, 1e-14, 1e-100])
    def test_a_direction_held_by_a_row_of_little_weight(self, rng, size, also_dependent):
        """Right or refused: its score is 1, however small the weight."""
        A = thin(rng, 3000, 100)
        A[:, 1] = A[:, 0]
        A[0, 1] += 1.0
        if also_dependent:
            A[:, 5] = A[:, 6]
        slack = np.ones(3000)
        slack[0] = 1 / size
        A = scipy.sparse.csr_array(A)
        if size == 1e-7:
            assert leverage_scores(A, slack=slack, method="sketch", rng=0)[0] > 0.999
        else:
            with pytest.raises(ValueError, match="^A has no reliable scores by method='sketch': "):
                leverage_scores(A, slack=slack, method="sketch", rng=0)

    def test_blocks_that_do_not_converge(self, monkeypatch, rng):
        monkeypatch.setattr(sketch, "FEW_ITERATIONS", -10)
        monkeypatch.setattr(sketch, "_factored", lambda B: (None, ""))
        with pytest.raises(ValueError, match="the iteration did not converge within"):
            leverage_scores(scipy.sparse.csr_array(thin(rng)), method="sketch", rtol=1e-3, rng=0)

    def test_interrupt(self, monkeypatch, rng):
        monkeypatch.setattr(sketch, "SIGN_COLUMNS", 1)
        project, begun = sketch._Solver.project, []

        def interrupted(self, r, tolerance):
            begun.append(r)
            if len(begun) == 3:
                signal.raise_signal(signal.SIGINT)
            return project(self, r, tolerance)

        monkeypatch.setattr(sketch._Solver, "project", interrupted)
        with pytest.raises(KeyboardInterrupt):
            leverage_scores(scipy.sparse.csr_array(thin(rng)), method="sketch", workers=1)
        assert len(begun) == 3


@pytest.mark.parametrize("seed", range(20))
def test_fill(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 30))
    pattern = rng.random((d, d)) < rng.uniform(0, 0.3)
    pattern |= pattern.T | np.eye(d, dtype=bool)
    filled = pattern.copy()
    for j in range(d):
        below = np.flatnonzero(filled[j + 1:, j]) + j + 1
        filled[np.ix_(below, below)] = True
    expected = np.tril(filled, -1).sum(axis=0)
    matrix, counts = scipy.sparse.csr_array(pattern), np.empty(d, dtype=np.int64)
    total = csr.fill(matrix.indices, matrix.indptr, d * d, counts.copy(), counts.copy(), counts)
    assert total == expected.sum()
    assert_array_equal(counts, expected)


GOOD = scipy.sparse.csr_array([[1.0, 2.0], [0.0, 3.0], [4.0, 5.0]])


@pytest.mark.parametrize("A, given, error, message", [
    (np.eye(3), {}, ValueError, "^A must be a matrix of scipy.sparse with method='sketch', got "
                                "ndarray$"),
    ([[1.0]], {}, ValueError, "^A must be a matrix of scipy.sparse with method='sketch', got "
                              "list$"),
    (GOOD * np.nan, {}, ValueError, "^A must be finite"),
    (GOOD * 1j, {}, TypeError, "^A must hold real numbers"),
    (GOOD, {"rcond": 1e-9}, ValueError, "^rcond must be None with method='sketch', got 1e-09$"),
    (GOOD, {"rtol": 0.0}, ValueError, "^rtol must be above 0 and finite, got 0.0$"),
    (GOOD, {"rtol": 1.5}, ValueError, "^rtol must be at most 1, got 1.5$"),
    (GOOD, {"rtol": "a"}, TypeError, "^rtol must be a real number, got str$"),
    (GOOD, {"rng": -1}, ValueError, "^rng must be None, a non-negative int or a numpy Generator"),
    (GOOD, {"workers": 0}, ValueError, "^workers must be at least 1, got 0$"),
    (GOOD, {"slack": [1, 2, 3], "weights": [1, 2, 3]}, ValueError, "^slack and weights cannot"),
    (GOOD, {"slack": [1, 0, 3]}, ValueError, "^slack must not be zero with method='sketch', got 0 "
                                             "at index 1$"),
    (GOOD, {"slack": [1, np.inf, 3]}, ValueError, "^slack must be finite"),
    (GOOD, {"slack": [1, 2]}, ValueError, "^slack must have length 3"),
    (GOOD, {"weights": [1, -2, 3]}, ValueError, "^weights must be at least 0, got -2.0 at index 1"),
])
def test_refusals(A, given, error, message):
    with pytest.raises(error, match=message):
        leverage_scores(A, method="sketch", **given)


@pytest.mark.parametrize("method", ["auto", "cholesky", "qr"])
@pytest.mark.parametrize("given", [{"rtol": 0.1}, {"rng": 0}])
@pytest.mark.parametrize("A", [GOOD, GOOD.toarray()])
def test_belongs_to_sketch(A, given, method):
    with pytest.raises(ValueError, match=f"^{next(iter(given))} belongs to method='sketch', got "
                                         f"method='{method}'$"):
        leverage_scores(A, method=method, **given)


def test_command_line(tmp_path, monkeypatch, rng, capsys):
    monkeypatch.chdir(tmp_path)
    A = scipy.sparse.csr_array(thin(rng))
    scipy.sparse.save_npz("A.npz", A)
    assert main(["scores", "A.npz", "--method", "sketch", "--rtol", "0.2", "--seed", "4", "-o",
                 "scores.npy"]) == 0
    assert_array_equal(np.load("scores.npy"), leverage_scores(A, method="sketch", rtol=0.2, rng=4))
    assert main(["scores", "A.npz", "--seed", "4", "-o", "other.npy"]) == 2
    assert "rng belongs to method='sketch'" in capsys.readouterr().err
