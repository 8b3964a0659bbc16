"""One matrix with many slacks, weights or points: the same as one by one, and what is refused."""
import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

import oracles
from designs import layouts
from levinv import JeffreysPenalty, LeverageMap, ScoreLoss, VolumetricBarrier, leverage_scores
from levinv.data import load_diabetes
from levinv.forward.many_points import evaluate_points
from levinv.forward.many_weights import evaluate

EPS = np.finfo(float).eps


def one_by_one(function, points):
    return np.array([function(point) for point in points])


@pytest.fixture
def problem(rng):
    """A, b and points of which one has heavy rows, one a zero slack, one weights far apart."""
    A, b = rng.standard_normal((40, 4)), rng.standard_normal(40) - 6.0
    A[:4], b[:4] = np.eye(4), 0.0                      # these slacks are exact
    X = rng.standard_normal((50, 4))
    X[7], X[9], X[11] = [1e-6, 2e-6, 1e-6, -1e-6], [0.0, 1.0, 2.0, 3.0], [1e-9, 1.0, 1.0, 1e5]
    return A, b, X


# leverage_scores

@pytest.mark.parametrize("method", ["auto", "cholesky", "qr"])
@pytest.mark.parametrize("kind", ["slack", "weights"])
def test_many_vectors(rng, kind, method):
    A, values = rng.standard_normal((30, 4)), rng.uniform(0.5, 2.0, (40, 30))
    found = leverage_scores(A, **{kind: values}, method=method)
    expected = [leverage_scores(A, **{kind: row}, method=method) for row in values]
    assert_allclose(found, expected, rtol=0, atol=1e-14)
    B = A / values[3, :, None] if kind == "slack" else A * np.sqrt(values[3])[:, None]
    assert_allclose(found[3], oracles.scores(B), atol=1e-14)


def test_hard_vectors(rng):
    A, slack = rng.standard_normal((30, 4)), rng.standard_normal((12, 30))
    slack[2, 5] = slack[3, [1, 7, 9]] = 0.0
    slack[4, :3], slack[5, :20], slack[6] = 1e-9, 1e7, 1e-180 * slack[6]
    slack[7, ::2] *= 1e200
    found = leverage_scores(A, slack=slack)
    assert_allclose(found, one_by_one(lambda row: leverage_scores(A, slack=row), slack),
                    atol=1e-12)
    weights = np.where(rng.random((12, 30)) < 0.3, 0.0, np.abs(slack))
    weights[0, 3:] = 0.0                                     # less than full rank
    found = leverage_scores(A, weights=weights)
    assert_allclose(found, one_by_one(lambda row: leverage_scores(A, weights=row), weights),
                    atol=1e-12)
    assert_array_equal(found[weights == 0.0], 0.0)


@pytest.mark.parametrize("kappa", [3.0, 20.0, 60.0])
def test_accuracy(rng, kappa):
    """Up to the largest condition number of the compiled route."""
    A = np.linalg.qr(rng.standard_normal((60, 6)))[0] @ np.diag(np.geomspace(1.0, 1.0 / kappa, 6))
    A = A @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
    slack = rng.uniform(0.9, 1.1, (5, 60))
    found = leverage_scores(A, slack=slack)
    served = evaluate(A, slack, True).served
    assert served.any() or kappa == 60.0
    for scores, row in zip(found, slack, strict=True):
        B = A / row[:, None]
        expected = oracles.scores(oracles.exact(B)).astype(float)
        bound = 100 * EPS * np.linalg.cond(B / np.linalg.norm(B, axis=0))
        assert np.abs(scores - expected).max() <= bound


@pytest.mark.parametrize("kind", ["dependent", "indicators", "wide", "zero rows", "tiny", "single",
                                  "diabetes", "long"])
def test_matrices(rng, kind):
    n = 600 if kind == "long" else 40
    A = rng.standard_normal((n, 66 if kind == "wide" else 5))
    if kind == "dependent":
        A[:, 4] = A[:, 0] - A[:, 1]
    elif kind == "indicators":
        A = np.column_stack([np.ones(n), np.eye(3)[np.arange(n) % 3],
                             np.eye(2)[np.arange(n) // 20]])
    elif kind == "zero rows":
        A[[0, 17]] = 0.0
    elif kind == "tiny":
        A *= 1e-200
    elif kind == "diabetes":
        A = load_diabetes()[0]
    elif kind == "long":
        A = rng.standard_normal((n, 20))
    slack = rng.uniform(0.5, 2.0, (1 if kind == "single" else 5, len(A)))
    assert_allclose(leverage_scores(A, slack=slack),
                    one_by_one(lambda row: leverage_scores(A, slack=row), slack), atol=2e-13)


def test_storage_and_layout(rng):
    dask = pytest.importorskip("dask.array")
    plain, slack = rng.standard_normal((40, 5)), rng.uniform(0.5, 2.0, (6, 40))
    expected = leverage_scores(plain, slack=slack)
    for A in (scipy.sparse.csr_array(plain), dask.from_array(plain, chunks=(15, 5))):
        assert_allclose(leverage_scores(A, slack=slack), expected, atol=1e-14)
    for _, A in layouts(plain):
        assert_array_equal(leverage_scores(A, slack=slack), expected)
    for _, values in layouts(slack):
        assert_array_equal(leverage_scores(plain, slack=values), expected)
    assert_array_equal(leverage_scores(plain, slack=slack.tolist()), expected)


def test_workers_and_parts_do_not_matter(rng):
    A, slack = rng.standard_normal((2000, 20)), rng.uniform(0.5, 2.0, (150, 2000))
    expected = leverage_scores(A, slack=slack, workers=1)
    assert_array_equal(leverage_scores(A, slack=slack, workers=2), expected)
    assert_array_equal(leverage_scores(A, slack=slack[60:80]), expected[60:80])


def test_labels(rng):
    pandas = pytest.importorskip("pandas")
    rows, columns = list("abcdefghij"), ["u", "v"]
    A = pandas.DataFrame(rng.standard_normal((10, 2)), rows, columns)
    slack = pandas.DataFrame(rng.uniform(0.5, 2.0, (3, 10)), columns=rows)
    expected = leverage_scores(A.to_numpy(), slack=slack.to_numpy())
    found = leverage_scores(A, slack=slack[rows[::-1]])
    assert type(found) is np.ndarray
    assert_array_equal(found, expected)
    assert_array_equal(leverage_scores(A, slack=slack.to_numpy()), expected)
    with pytest.raises(ValueError, match="slack must have the labels of A's rows"):
        leverage_scores(A, slack=slack.rename(columns={"a": "z"}))
    X = pandas.DataFrame(rng.standard_normal((4, 2)), columns=columns)
    at = LeverageMap(A, np.ones(10))
    assert_array_equal(at.scores(X), at.scores(X.to_numpy()))


@pytest.mark.parametrize("given, message", [
    ({"slack": np.ones((3, 9))}, r"slack must have shape \(10,\) or \(k, 10\), one entry per row"),
    ({"weights": np.ones((0, 10))}, "weights must not be empty"),
    ({"slack": np.ones((2, 3, 10))}, "slack must be a one-dimensional array"),
    ({"slack": np.diag(np.full(10, np.nan))[4:]}, r"slack must be finite, .* at index \(0, 4\)"),
    ({"weights": 1.0 - np.eye(10)[3:5] * 3}, r"weights must be at least 0, got -2.0 at .*\(0, 3"),
    ({"slack": 1.0 - np.eye(10)[[1] * 3].cumsum(axis=1)},
     r"slack must be zero in linearly independent .* \(slack\[0\]\)"),
    ({"slack": np.vstack([np.ones(10), np.geomspace(1e-160, 1e160, 10)])},
     r"slack must not range over .* \(slack\[1\]\)"),
    ({"slack": np.ones((2, 10)), "rank": 1}, "slack must be a one-dimensional array"),
])
def test_wrong_vectors(rng, given, message):
    with pytest.raises(ValueError, match=message):
        leverage_scores(rng.standard_normal((10, 3)), **given)


def test_doubt_names_the_vector(rng):
    A, weights = rng.standard_normal((10, 3)), np.ones((3, 10))
    weights[1, 2:] = 0.0
    with pytest.warns(match=r"weights\[1\]: numerical rank of the Gram matrix 2 of 3"):
        leverage_scores(A, weights=weights, method="cholesky")


# out

@pytest.mark.parametrize("given", ["plain", "slack", "many", "stack", "rows", "sketch", "frame"])
def test_out(rng, given):
    A, more = rng.standard_normal((20, 3)), {}
    if given == "slack":
        more = {"slack": rng.uniform(0.5, 2.0, 20)}
    elif given == "many":
        more = {"slack": rng.standard_normal((9, 20))}
        more["slack"][4, 2] = 0.0
    elif given == "stack":
        A = rng.standard_normal((4, 20, 3))
    elif given == "rows":
        more = {"rows": rng.standard_normal((7, 3))}
    elif given == "sketch":
        A, more = scipy.sparse.csr_array(A), {"method": "sketch", "rng": 0}
    elif given == "frame":
        A = pytest.importorskip("pandas").DataFrame(A)
    expected = np.asarray(leverage_scores(A, **more))
    for out in (np.full(expected.shape, np.nan), np.full(expected.shape[::-1], np.nan).T):
        assert leverage_scores(A, **more, out=out) is out
        assert_array_equal(out, expected)
    with pytest.raises(ValueError, match=r"out must have the shape \(.*\) of the result"):
        leverage_scores(A, **more, out=np.empty((2, 2)))
    for wrong, what in ((np.empty(expected.shape, int), "dtype int64"), ([0.0], "list"),
                        (np.broadcast_to(0.0, expected.shape), "a read-only ndarray")):
        with pytest.raises(TypeError, match=f"out must be a writable float64 array, got {what}"):
            leverage_scores(A, **more, out=wrong)


def test_out_may_be_an_input(rng):
    A, slack = rng.standard_normal((20, 3)), rng.uniform(0.5, 2.0, (5, 20))
    slack[2, 3] = 0.0
    expected = leverage_scores(A, slack=slack)
    assert leverage_scores(A, slack=slack, out=slack) is slack
    assert_array_equal(slack, expected)


def test_out_of_a_map(problem):
    A, b, X = problem
    at = LeverageMap(A, b)
    for x in (X[0], X):
        expected = at.scores(x)
        for out in (np.empty(expected.shape), np.empty(expected.shape[::-1]).T):
            assert at.scores(x, out=out) is out
            assert_array_equal(out, expected)
        with pytest.raises(ValueError, match="out must have the shape"):
            at.scores(x, out=np.empty(3))


# points

def close(found, expected, atol):
    assert found.shape == expected.shape
    assert_array_equal(np.isfinite(found), np.isfinite(expected))
    finite = np.isfinite(expected)
    size = np.maximum(1.0, np.abs(expected[finite]))
    assert (np.abs(found[finite] - expected[finite]) <= atol * size).all()


@pytest.mark.parametrize("storage", ["dense", "by columns", "sparse", "zero row", "dependent"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_points(problem, storage, ridge):
    A, b, X = problem
    if storage == "by columns":
        A = np.asfortranarray(A)
    elif storage == "zero row":
        A = np.vstack([A, np.zeros(4)])
        b = np.append(b, 0.0)
    elif storage == "sparse":
        A, X = scipy.sparse.csr_array(A), X[:12]
    elif storage == "dependent":
        A, X = np.column_stack([A, A[:, 0]]), np.column_stack([X, X[:, 0]])
    at, target = LeverageMap(A, b), np.linspace(-0.1, 0.3, len(b))
    loss = ScoreLoss(A, b, target, ridge=ridge)
    ordinary = np.delete(X, [7, 9, 11], axis=0)
    close(at.slack(X), one_by_one(at.slack, X), 1e-13)
    close(at.scores(X), one_by_one(at.scores, X), 1e-12)
    close(loss.fun(X), one_by_one(loss.fun, X), 1e-11)
    close(loss.grad(X), one_by_one(loss.grad, X), 1e-9)
    if storage != "dependent":
        inside = np.sign(at.slack(X[0]))
        inside[inside == 0] = 1.0
        for signs in (None, inside):
            barrier = VolumetricBarrier(A, b, signs)
            close(barrier.fun(X), one_by_one(barrier.fun, X), 1e-12)
            close(barrier.grad(ordinary), one_by_one(barrier.grad, ordinary), 1e-9)
        assert np.isinf(VolumetricBarrier(A, b).fun(X)[9])


@pytest.mark.parametrize("weighting", ["binomial", ("binomial", "probit"), "poisson", "gamma",
                                       ("binomial", "cloglog")])
def test_points_of_other_weightings(rng, weighting):
    A, X = rng.standard_normal((50, 4)), 0.3 * rng.standard_normal((20, 4))
    offset = rng.uniform(-0.1, 0.1, 50) + 4.0 * (weighting == "gamma")
    given = {"weighting": weighting, "offset": offset,
             "prior_weights": np.r_[0.0, rng.uniform(1.0, 3.0, 49)]}
    at, penalty = LeverageMap(A, **given), JeffreysPenalty(A, **given)
    loss = ScoreLoss(A, None, rng.uniform(size=50), **given)
    for function in (at.scores, at.slack, loss.fun, loss.grad, penalty.fun, penalty.grad):
        close(function(X), one_by_one(function, X), 1e-12)
    assert evaluate_points(at._map, X).served.mean() > 0.5


def test_most_points_are_served(problem):
    A, b, X = problem
    at = LeverageMap(A, b)._map
    assert evaluate_points(at, X).served.mean() > 0.8
    gradients = evaluate_points(at, X, order=1, target=np.zeros(40))
    assert gradients.served.mean() > 0.5 and (~gradients.served)[[7, 9, 11]].all()


@pytest.mark.parametrize("x, message", [
    (np.ones((3, 5)), r"x must have shape \(4,\) or \(k, 4\), one entry per column of A"),
    (np.diag([1.0, np.nan, 1.0, 1.0]), r"x must be finite, got NaN or inf at index \(1, 1\)"),
    (np.diag([1.0, 1.0, 1.7e308, 1.0]), r"x must not be so large .* \(x\[2\]\)"),
    (np.ones((2, 2, 4)), "x must be a one-dimensional array"),
])
def test_wrong_points(problem, x, message):
    A, b, _ = problem
    A = 4.0 * A
    for method in (LeverageMap(A, b).scores, LeverageMap(A, b).slack, VolumetricBarrier(A, b).fun,
                   VolumetricBarrier(A, b).grad, ScoreLoss(A, b, b).fun, ScoreLoss(A, b, b).grad):
        with pytest.raises(ValueError, match=message):
            method(x)


def test_what_is_wrong_at_a_point_is_found_by_its_index(problem):
    A, b, X = problem
    with pytest.raises(ValueError, match=r"x must have no zero slack, .*\(x\[9\]\)"):
        VolumetricBarrier(A, b).grad(X)
    A = np.vstack([A, A[:1]])
    with pytest.raises(ValueError, match=r"slack of linearly dependent rows zero.*\(x\[9\]\)"):
        LeverageMap(A, np.append(b, b[0])).scores(X)
    with pytest.raises(ValueError, match=r"linear predictor in \(-inf, 0\) .*\(x\[0\]\)"):
        LeverageMap(A, weighting=("binomial", "log")).scores(X)
