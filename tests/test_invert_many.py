"""invert_many: the same as invert_scores on each problem, whichever route it takes."""
import threading
import time

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import designs
import levinv
import levinv.weighting
import oracles
from levinv import invert_many, invert_scores
from levinv._kernels import many as baseline
from levinv.inverse import invert_many as many
from levinv.weighting.names import as_weighting


def problems(k=20, n=30, d=4, seed=0, cauchy=False):
    """A, b, x, slack, scores of k random instances."""
    rng = np.random.default_rng(seed)
    A = (rng.standard_cauchy if cauchy else rng.standard_normal)((k, n, d))
    b, x = rng.standard_normal((k, n)), rng.standard_normal((k, d))
    slack = np.einsum("kij,kj->ki", A, x) - b
    scores = np.array([oracles.scores(a / s[:, None]) for a, s in zip(A, slack, strict=True)])
    return A, b, x, slack, scores


def relative_errors(found, x):
    return np.linalg.norm(found - x, axis=1) / np.linalg.norm(x, axis=1)


@pytest.fixture
def handed_over(monkeypatch):
    """Scores of the problems that the general route was given."""
    calls = []

    def spy(A, b, scores, **options):
        calls.append(scores)
        return invert_scores(A, b, scores, **options)
    monkeypatch.setattr(many, "invert_scores", spy)
    return calls


# recovery

@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("n, d, cauchy", [
    (60, 8, False), (60, 8, True), (20, 4, False), (20, 8, False), (100, 10, False),
    (200, 20, False), (9, 1, False), (9, 2, False), (17, 3, True)])
def test_recovery(n, d, cauchy, known, handed_over):
    k = 300 if (n, d) == (60, 8) else 50
    A, b, x, slack, scores = problems(k, n, d, n, cauchy)
    result = invert_many(A, b, scores, signs=np.sign(slack) if known else None, rng=0)
    recovered = relative_errors(result.x, x) <= 1e-6
    assert recovered.mean() >= 0.99
    assert not (result.unique & ~recovered).any()
    assert len(handed_over) <= 0.02 * k


@pytest.mark.parametrize("known", [False, True])
def test_same_as_one_by_one(known, handed_over):
    A, b, x, slack, scores = problems()
    signs = np.sign(slack) if known else None
    result = invert_many(A, b, scores, signs=signs, rng=0)
    assert not handed_over
    for i in range(len(A)):
        one = invert_scores(A[i], b[i], scores[i], signs=None if signs is None else signs[i], rng=0)
        assert result.success[i] == one.success
        assert result.unique[i] == one.unique
        # both have rounded scores to go by, and errors of this size
        assert np.all(np.abs(result.x[i] - one.x) <= 100 * one.standard_errors)
        assert result.fun[i] <= 1e-24
        assert result.nit[i] > 0


@pytest.mark.parametrize("decimals", [3, 5, 8])
@pytest.mark.parametrize("known", [False, True])
def test_noise(decimals, known, handed_over):
    A, b, x, slack, scores = problems(k=20, n=40)
    noise = 10.0 ** -decimals / np.sqrt(12)
    signs = np.sign(slack) if known else None
    result = invert_many(A, b, scores.round(decimals), signs=signs, noise=noise, rng=0)
    assert len(handed_over) <= 2
    for i in range(len(A)):
        one = invert_scores(A[i], b[i], scores[i].round(decimals), noise=noise, rng=0,
                            signs=None if signs is None else signs[i])
        assert result.success[i] == one.success
        assert result.unique[i] == one.unique
        if one.success:
            assert_allclose(result.x[i], one.x, rtol=0, atol=1e-2 * one.standard_errors.max())
            assert_allclose(result.fun[i], one.fun, rtol=1e-4)


@pytest.mark.parametrize("n, d, decimals", [(60, 8, 2), (60, 8, 3), (25, 3, 2), (25, 3, 3),
                                            (30, 3, 2)])
def test_other_signs_as_one_by_one(n, d, decimals):
    rng = np.random.default_rng([n, decimals])
    A, b, x = (rng.standard_normal(shape) for shape in ((30, n, d), (30, n), (30, d)))
    A[15:] = [np.vander(rng.uniform(-1, 1, n), d) for _ in range(15)] if d < 5 else A[15:]
    slacks = np.einsum("knd,kd->kn", A, x) - b
    scores = np.array([oracles.scores(part / slack[:, None])
                       for part, slack in zip(A, slacks, strict=True)]).round(decimals)
    noise = 10.0 ** -decimals / np.sqrt(12.0)
    result = invert_many(A, b, scores, noise=noise, rng=0)
    found = 0
    for i in range(30):
        one = invert_scores(A[i], b[i], scores[i], noise=noise, rng=0)
        assert result.unique[i] == one.unique
        assert len(result.alternatives[i]) == len(one.alternatives)
        found += not one.unique
    assert found or decimals == 3


def test_noise_for_each_row_and_problem():
    A, b, x, slack, scores = problems()
    rng = np.random.default_rng(1)
    noise = 10.0 ** rng.uniform(-6, -4, scores.shape)
    given_scores = scores + noise * rng.standard_normal(scores.shape)
    result = invert_many(A, b, given_scores, noise=noise, rng=0)
    assert result.success.all()
    assert relative_errors(result.x, x).max() <= 1e-2
    one = invert_many(A, b, given_scores, noise=noise[0], rng=0)
    assert_array_equal(one.x[0], result.x[0])


def test_noise_too_small_is_no_success():
    A, b, x, slack, scores = problems(k=2, n=30, d=2)
    given_scores = scores + 1e-3 * np.random.default_rng(0).standard_normal(scores.shape)
    result = invert_many(A, b, np.clip(given_scores, 0, 1), noise=1e-6, rng=0)
    assert not result.success.any()
    assert np.isfinite(result.x).all()


def test_noisy_scores_at_a_vertex():
    """Zero slacks, and noise that cannot tell them from small ones: x may move unseen."""
    A, b, x, slack, scores = problems(k=4, n=20, d=4)
    b[:, :4] = np.einsum("kij,kj->ki", A[:, :4], x)
    scores[:] = np.arange(20) < 4
    result = invert_many(A, b, scores, noise=1e-6, rng=0)
    ones = [invert_scores(A[i], b[i], scores[i], noise=1e-6, rng=0) for i in range(4)]
    assert_array_equal(result.success, [one.success for one in ones])
    assert_array_equal(result.unique, [one.unique for one in ones])


def test_shared_matrix():
    A, b, x, slack, scores = problems(k=30)
    slack = x @ A[0].T - b
    scores = np.array([oracles.scores(A[0] / s[:, None]) for s in slack])
    result = invert_many(A[0], b, scores, rng=0)
    assert_allclose(result.x, x, rtol=1e-9)
    repeated = invert_many(np.broadcast_to(A[0], A.shape), b, scores, rng=0)
    assert_array_equal(result.x, repeated.x)


@pytest.mark.parametrize("signs", [1, -1])
def test_signs_one_number(signs):
    A, b, x, slack, scores = problems()
    b = np.einsum("kij,kj->ki", A, x) - signs * np.abs(slack)
    result = invert_many(A, b, scores, signs=signs)
    assert_allclose(result.x, x, rtol=1e-9)


def test_wrong_signs_are_no_success():
    A, b, x, slack, scores = problems(k=3)
    result = invert_many(A, b, scores, signs=-np.sign(slack))
    assert not result.success.any()
    assert not result.unique.any()
    assert np.isfinite(result.x).all()


def test_scores_that_no_x_has():
    A, b, x, slack, scores = problems(k=3)
    result = invert_many(A, b, np.full_like(scores, 4 / 30), rng=0)
    assert not result.success.any()
    assert not result.unique.any()
    assert np.isfinite(result.x).all()


# what only the general route can do

def hard(name):
    """One problem out of the ordinary: A, b, x, slack."""
    A, b, x, slack, _ = (part[0] for part in problems(k=1, n=20, d=4, seed=5))
    if name == "rank-deficient":
        A[:, 3] = A[:, 0] + A[:, 1]
    elif name == "coloop":
        A[3:, 0] = 0.0
        A[:2, 0] = 0.0
    elif name == "two components":
        A = scipy.linalg.block_diag(A[:10, :2], A[10:, 2:])
    elif name == "zero slack":
        b[4] = A[4] @ x
    elif name == "zero row":
        A[7] = 0.0
    elif name == "b in the range of A":
        b = A @ np.arange(4.0)
    elif name == "sparse b":
        b = np.zeros(20)
        b[3] = 1.0
    elif name == "almost zero slack":
        b[4] = A[4] @ x - 1e-9
    elif name == "graded columns":
        A = A * 10.0 ** np.arange(-6, 6, 3)
        x = x / 10.0 ** np.arange(-6, 6, 3)
    elif name == "tiny rows":
        A[3:] *= 1e-120
        b[3:] *= 1e-120
    slack = A @ x - b
    if name == "zero slack":
        slack[4] = 0.0
    return A, b, x, slack


@pytest.mark.parametrize("signs_known", [False, True])
@pytest.mark.parametrize("name", [
    "rank-deficient", "coloop", "two components", "zero slack", "zero row", "b in the range of A",
    "sparse b", "almost zero slack", "graded columns", "tiny rows"])
def test_out_of_the_ordinary(name, signs_known):
    A, b, x, slack = hard(name)
    scores = levinv.leverage_scores(A, slack=slack)
    signs = np.where(slack < 0, -1.0, 1.0) if signs_known else None
    one = invert_scores(A, b, scores, signs=signs, rng=0)
    plain = (part[0] for part in problems(k=1, n=20, d=4, seed=6))
    plain_A, plain_b, plain_x, plain_slack, plain_scores = plain
    result = invert_many(
        [plain_A, A], [plain_b, b], [plain_scores, scores], rng=0,
        signs=None if signs is None else [np.sign(plain_slack), signs])
    assert_allclose(result.x[0], plain_x, rtol=1e-9)
    assert result.success[1] == one.success
    assert result.unique[1] == one.unique
    if one.unique:
        assert np.all(np.abs(result.x[1] - one.x) <= 100 * one.standard_errors)
    assert np.isfinite(result.x).all()


@pytest.mark.parametrize("n, d", [(12, 3), (40, 34), (4, 4), (3, 1), (1, 1), (2, 1)])
def test_sizes_beyond_the_kernel(n, d):
    A, b, x, slack, scores = problems(k=2, n=n, d=d)
    result = invert_many(A, b, scores, rng=0)
    for i in range(2):
        one = invert_scores(A[i], b[i], scores[i], rng=0)
        assert result.success[i] == one.success
        assert result.unique[i] == one.unique


@pytest.mark.parametrize("n, d", [(9, 2), (20, 4)])
@pytest.mark.parametrize("nonzeros", [1, 2, 3])
def test_sparse_b(n, d, nonzeros):
    A, b, x, _, _ = problems(k=n, n=n, d=d, seed=nonzeros)
    b[(np.arange(n)[:, None] - np.arange(n)) % n >= nonzeros] = 0.0
    slack = np.einsum("kij,kj->ki", A, x) - b
    scores = np.array([oracles.scores(a / s[:, None]) for a, s in zip(A, slack, strict=True)])
    result = invert_many(A, b, scores, rng=0)
    assert result.success.all()
    # one nonzero makes its row independent of the others in [A b]
    assert_array_equal(result.unique, np.full(n, nonzeros > 1))
    noisy = invert_many(A, b, scores, noise=1e-9, rng=0)
    assert_array_equal(noisy.unique, noisy.success & (nonzeros > 1))


@given(A=designs.integer_matrices(full_rank=True), data=st.data())
@settings(max_examples=60, deadline=None)
def test_unique_is_never_generous(A, data):
    n, d = A.shape
    numbers = st.integers(-3, 3).map(float)
    b = np.array(data.draw(st.lists(numbers, min_size=n, max_size=n)))
    x = np.array(data.draw(st.lists(numbers.map(lambda v: v + 0.125), min_size=d, max_size=d)))
    slack = A @ x - b
    if (slack == 0).any() or not b.any():
        return
    scores = oracles.scores(A / slack[:, None]).clip(0, 1)
    result = invert_many(A[None], b[None], scores[None], rng=0)
    if result.unique[0]:
        assert oracles.unique_by_enumeration(A, b, result.x[0])
    known = invert_many(A[None], b[None], scores[None], signs=np.sign(slack), rng=0)
    if known.unique[0]:
        assert_allclose(known.x[0], x, rtol=1e-6, atol=1e-6)


@given(seed=st.integers(0, 10 ** 6), power=st.integers(-20, 20), data=st.data())
@settings(max_examples=30, deadline=None)
def test_units_do_not_matter(seed, power, data):
    A, b, x, slack, scores = problems(k=2, n=18, d=3, seed=seed)
    rows = 2.0 ** np.array(data.draw(st.lists(st.integers(-9, 9), min_size=18, max_size=18)))
    columns = 2.0 ** np.array(data.draw(st.lists(st.integers(-9, 9), min_size=3, max_size=3)))
    plain = invert_many(A, b, scores, rng=0)
    # scores see rows and slack scaled alike, so that row scales cancel
    scaled = invert_many(A * rows[:, None] * columns * 2.0 ** power, b * rows, scores, rng=0)
    assert_array_equal(plain.success, scaled.success)
    assert_array_equal(plain.unique, scaled.unique)
    for i in np.flatnonzero(plain.unique):
        bound = invert_scores(A[i], b[i], scores[i], rng=0).standard_errors
        assert np.all(np.abs(scaled.x[i] * columns * 2.0 ** power - plain.x[i]) <= 1000 * bound)


@pytest.mark.skipif(not baseline.has_avx2(), reason="only one kernel here")
@pytest.mark.parametrize("n, d", [(14, 3), (60, 8), (50, 17)])
def test_both_kernels(monkeypatch, n, d):
    A, b, x, slack, scores = problems(n=n, d=d)
    assert many.kernel is not baseline
    wide = invert_many(A, b, scores, rng=0)
    monkeypatch.setattr(many, "kernel", baseline)
    plain = invert_many(A, b, scores, rng=0)
    assert_allclose(plain.x, wide.x, rtol=1e-9)
    assert_array_equal(plain.unique, wide.unique)


# conduct

def test_workers_and_chunks(monkeypatch):
    A, b, x, slack, scores = problems(k=23)
    A[5, :, 3] = A[5, :, 0]
    plain = invert_many(A, b, scores, rng=3)
    monkeypatch.setattr(many, "BATCH_CHUNK", 2)
    for workers in (1, 3):
        result = invert_many(A, b, scores, rng=3, workers=workers)
        for name in ("x", "success", "unique", "fun", "nit"):
            assert_array_equal(getattr(result, name), getattr(plain, name))


def test_overflow_in_one_problem_leaves_the_next_alone(monkeypatch):
    given_up = {"x": 0.0, "success": False, "unique": False, "fun": np.inf, "nit": 0,
                "alternatives": np.zeros((0, 4))}
    monkeypatch.setattr(many, "invert_scores", lambda *arguments, **options: given_up)
    A, b, x, slack, scores = problems(k=3, n=17)
    A[0, 2] *= 1e-120
    b[0, 2] = 1e90
    result = invert_many(A, b, scores, signs=np.sign(slack))
    assert_array_equal(result.success, [False, True, True])
    assert_array_equal(result.x[1:], invert_many(A[1:], b[1:], scores[1:],
                                                 signs=np.sign(slack[1:])).x)


def test_an_error_in_a_thread_is_raised(monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("on purpose")
    A, b, x, slack, scores = problems(k=4)
    A[:, 0] = 0.0                                # for the general route
    monkeypatch.setattr(many, "invert_scores", fail)
    monkeypatch.setattr(many, "BATCH_CHUNK", 1)
    with pytest.raises(RuntimeError, match="on purpose"):
        invert_many(A, b, scores, workers=2)


def test_rng():
    A, b, x, slack, scores = problems(k=3)
    first, second = (invert_many(A, b, scores, rng=np.random.default_rng(4)) for _ in range(2))
    assert_array_equal(first.x, second.x)
    assert invert_many(A, b, scores).success.all()


@pytest.mark.parametrize("layout", designs.LAYOUTS)
def test_layouts_and_inputs_untouched(layout):
    arrays = problems(k=3, n=16, d=3)
    A, b, _, slack, scores = arrays
    plain = invert_many(A, b, scores, signs=np.sign(slack))
    views = []
    for array in (A, b, scores, np.sign(slack)):
        found = dict(designs.layouts(array)).get(layout)
        views.append(array if found is None else found)
    before = [view.copy() for view in views]
    for view in views:
        view.flags.writeable = False
    result = invert_many(*views[:3], signs=views[3])
    assert_array_equal(result.x, plain.x)
    for view, copy in zip(views, before, strict=True):
        assert_array_equal(view, copy)


def test_integers_and_lists():
    A, b = [[[1, 0], [0, 1], [1, 1], [1, -1], [2, 1]]], [[1, 2, 3, 4, 6]]
    slack = np.array(A[0]) @ [0.5, 0.25] - b[0]
    scores = oracles.scores(np.array(A[0]) / slack[:, None])
    result = invert_many(A, b, [scores.tolist()], signs=np.sign(slack).astype(int), rng=0)
    assert_allclose(result.x, [[0.5, 0.25]], rtol=1e-9)


GOOD = dict(zip(("A", "b", "x", "slack", "scores"), problems(k=3, n=6, d=2), strict=True))


@pytest.mark.parametrize("changes, error, message", [
    ({"A": np.zeros(3)}, ValueError, "A must be a"),
    ({"A": [[1.0], [1.0, 2.0]]}, ValueError, "A must be a"),
    ({"signs": [[1.0], [1.0, 2.0]]}, ValueError, "signs must be a"),
    ({"A": np.zeros((3, 2, 4))}, ValueError, "A must have at least as many rows as columns"),
    ({"A": GOOD["A"] * 1j}, TypeError, "A must hold real numbers"),
    ({"A": np.where(np.arange(2) == 1, np.nan, GOOD["A"])}, ValueError, "A must be finite"),
    ({"A": GOOD["A"] * 1e150}, ValueError, "A must have its largest entry"),
    ({"A": np.zeros((0, 6, 2))}, ValueError, "A must not be empty"),
    ({"b": GOOD["b"][0]}, ValueError, "b must be a two-dimensional"),
    ({"b": GOOD["b"][:2]}, ValueError, r"b must have shape \(3, 6\).*got \(2, 6\)"),
    ({"b": GOOD["b"][:, :5]}, ValueError, r"b must have shape \(3, 6\)"),
    ({"scores": GOOD["scores"][:2]}, ValueError, r"scores must have shape \(3, 6\)"),
    ({"scores": GOOD["scores"] + 1}, ValueError, r"scores must lie in \[0, 1\].*\(0, 0\)"),
    ({"signs": 0}, ValueError, "signs must be"),
    ({"signs": np.full((3, 6), 2)}, ValueError, r"signs must be \+1 or -1.*\(0, 0\)"),
    ({"signs": np.ones(5)}, ValueError, "signs must have length 6"),
    ({"signs": np.ones((2, 6))}, ValueError, r"signs must have shape \(3, 6\)"),
    ({"noise": 0.0}, ValueError, "noise must be above 0"),
    ({"noise": np.ones((1, 6))}, ValueError, r"noise must have shape \(3, 6\)"),
    ({"noise": -np.ones((3, 6))}, ValueError, "noise must be above 0"),
    ({"tol": 0}, ValueError, "tol must be above 0"),
    ({"workers": 0}, ValueError, "workers must be at least 1"),
    ({"rng": "no"}, TypeError, "rng must be"),
])
def test_refused(changes, error, message):
    arguments = {name: GOOD[name] for name in ("A", "b", "scores")} | changes
    with pytest.raises(error, match=message):
        invert_many(**arguments)


def test_an_interrupt_waits_for_one_problem_of_the_general_route_not_for_a_chunk(rng, monkeypatch):
    here, others, called = threading.get_ident(), threading.Event(), []

    def slow(*args, **options):
        called.append(None)
        if threading.get_ident() == here:
            others.wait(0.2)
            raise KeyboardInterrupt
        others.set()
        time.sleep(0.02)
        return invert_scores(*args, **options)

    monkeypatch.setattr("levinv.inverse.invert_many.invert_scores", slow)
    with pytest.raises(KeyboardInterrupt):
        invert_many(rng.normal(size=(600, 2, 2)), np.ones((600, 2)), np.ones((600, 2)), workers=2)
    assert len(called) < 20


# weightings

WEIGHTINGS = {
    "logit": "binomial", "probit": ("binomial", "probit"), "cloglog": ("binomial", "cloglog"),
    "loglog": ("binomial", "loglog"), "cauchit": ("binomial", "cauchit"), "poisson": "poisson",
    "negative binomial": "negative-binomial", "gaussian log": ("gaussian", "log"),
    "power 1": levinv.weighting.power(1.0), "power 1.5": "inverse-gaussian",
    "power 4": levinv.weighting.power(4.0), "power -2": levinv.weighting.power(-2.0)}


def hat_values(A, eta, weighting, prior=None):
    """Of diag(w v)^(1/2) A, for each problem."""
    log_weight = weighting.log_weight(eta)
    if prior is not None:
        log_weight = log_weight + np.log(prior)
    log_weight = np.maximum(log_weight - log_weight.max(axis=-1, keepdims=True), -1400.0)
    return levinv.leverage_scores(A, slack=np.exp(-0.5 * log_weight))


def models(name, k=12, n=40, d=3, seed=0, design="normal", offset=True, prior=False):
    """A, b, x, slack, prior weights or None, and the scores of k random models."""
    rng = np.random.default_rng([seed, list(WEIGHTINGS).index(name)])
    weighting = as_weighting(WEIGHTINGS[name])
    A = rng.standard_normal((k, n, d))
    if design == "categorical":                # a factor, its first level in the last column
        A = np.zeros((k, n, d))
        A[np.arange(k)[:, None], np.arange(n), rng.integers(d, size=(k, n))] = 1.0
        A[:, :, -1] = 1.0
        A[:, :, 0] += rng.integers(4, size=(k, n))
    b = rng.uniform(-1.0, 1.0, (k, n)) if offset or weighting.kind == "power" else np.zeros((k, n))
    x = rng.standard_normal((k, d)) * 2.0 / np.sqrt(d)
    slack = np.einsum("kij,kj->ki", A, x) - b
    v = rng.integers(1, 20, (k, n)) / 1.0 if prior else None
    return A, b, x, slack, v, hat_values(A, slack, weighting, v)


def assert_as_one_by_one(result, A, b, scores, prior=None, signs=None, noise=None, **options):
    """Success and uniqueness are those of invert_scores, and x where it is unique."""
    for i in range(len(scores)):
        one = invert_scores(A[i], b[i], scores[i], rng=0, noise=noise,
                            prior_weights=None if prior is None else prior[i],
                            signs=None if signs is None else signs[i], **options)
        assert result.success[i] == one.success, i
        assert result.unique[i] == one.unique, i
        assert result.alternatives[i].shape == one.alternatives.shape, i
        if not one.success or one.null_space.size:
            continue
        assert result.fun[i] <= (1e-18 if noise is None else 2.0 * one.fun)
        error = 200 * one.standard_errors + 1e-13 * np.abs(one.x).max()
        solutions = np.vstack([one.x[None], one.alternatives])
        assert np.any(np.all(np.abs(result.x[i] - solutions) <= error, axis=1)), i


@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize("design", ["normal", "categorical"])
@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weightings(name, design, prior):
    A, b, x, slack, v, scores = models(name, design=design, prior=prior, k=4)
    result = invert_many(A, b, scores, weighting=WEIGHTINGS[name], prior_weights=v, rng=0)
    assert_as_one_by_one(result, A, b, scores, v, weighting=WEIGHTINGS[name])
    if design == "normal":
        assert result.success.all()
        assert relative_errors(result.x, x)[result.unique].max(initial=0.0) <= 1e-6
        assert result.unique.all()


@pytest.mark.parametrize("name", [name for name in WEIGHTINGS if not name.startswith("power")])
def test_weightings_without_an_offset(name):
    A, b, x, slack, _, scores = models(name, k=4, offset=False)
    result = invert_many(A, None, scores, weighting=WEIGHTINGS[name], rng=0)
    assert_as_one_by_one(result, A, b, scores, weighting=WEIGHTINGS[name])
    even = as_weighting(WEIGHTINGS[name]).even
    assert_array_equal(result.unique, np.full(4, not even))
    for i in range(4):
        if even:
            assert_allclose(result.alternatives[i], [-result.x[i]], rtol=1e-12, atol=1e-14)
        nearest = np.sign(result.x[i] @ x[i]) if even else 1.0
        assert_allclose(nearest * result.x[i], x[i], rtol=1e-6, atol=1e-8)


COMPILED = [name for name in WEIGHTINGS if name != "negative binomial"]


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("name", COMPILED)
def test_weightings_are_compiled(name, offset, handed_over, monkeypatch):
    A, b, x, slack, v, scores = models(name, k=100, n=60, d=4, offset=offset, prior=True)
    options = {"weighting": WEIGHTINGS[name], "prior_weights": v, "rng": 0}
    result = invert_many(A, b, scores, **options)
    assert result.success.all()
    assert len(handed_over) <= (20 if name == "power 4" else 2)
    even = as_weighting(WEIGHTINGS[name]).even and not b.any()
    assert_array_equal(result.unique, np.full(100, not even))
    nearest = np.sign(np.sum(result.x * x, axis=1, keepdims=True)) if even else 1.0
    assert relative_errors(nearest * result.x, x).max() <= 1e-6
    assert_array_equal([len(others) for others in result.alternatives], np.full(100, int(even)))
    monkeypatch.setattr(many, "kernel", baseline)
    assert_allclose(invert_many(A, b, scores, **options).x, result.x, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog", "poisson"])
@pytest.mark.parametrize("intercept", [0.0, -1.0, -4.0])
def test_regressions_with_an_intercept(name, intercept, handed_over):
    A, _, x, _, _, _ = models(name, k=40, n=60, d=4, offset=False)
    A[:, :, 0], x[:, 0] = 1.0, intercept
    eta = np.einsum("kij,kj->ki", A, x)
    scores = hat_values(A, eta, as_weighting(WEIGHTINGS[name]))
    result = invert_many(A, None, scores, weighting=WEIGHTINGS[name], rng=0)
    assert len(handed_over) <= 2
    assert result.success.all()
    assert result.fun.max() <= 1e-24
    if name == "poisson":                      # the intercept changes all weights alike
        assert not result.unique.any()
        assert_allclose(result.x[:, 1:], x[:, 1:], rtol=1e-6, atol=1e-8)
    elif name == "cloglog":
        assert result.unique.all()
        assert_allclose(result.x, x, rtol=1e-6, atol=1e-8)
    else:
        sign = np.where(np.sum(result.x * x, axis=1) < 0, -1.0, 1.0)[:, None]
        assert_allclose(sign * result.x, x, rtol=1e-6, atol=1e-8)


def test_predictors_far_from_the_mode(handed_over):
    """Weights that differ by more than the range of doubles, and scores of zero."""
    for name in ("logit", "probit", "cloglog"):
        A, b, x, _, _, _ = models(name, k=10, n=80, d=3)
        x *= 8.0
        A[:, :3] *= 6.0
        eta = np.einsum("kij,kj->ki", A, x) - b
        with np.errstate(all="ignore"):
            scores = hat_values(A, eta, as_weighting(WEIGHTINGS[name]))
        result = invert_many(A, b, scores, weighting=WEIGHTINGS[name], rng=0)
        assert relative_errors(result.x, x)[result.unique].max(initial=0.0) <= 1e-6
        assert result.success.mean() >= 0.5


@pytest.mark.parametrize("n", [5, 6, 10, 14, 15])
@pytest.mark.parametrize("name", ["logit", "cloglog", "poisson", "power 1"])
def test_few_rows_of_a_weighting(name, n):
    A, b, x, slack, _, scores = models(name, k=3, n=n, d=2)
    result = invert_many(A, b, scores, weighting=WEIGHTINGS[name], rng=0)
    assert_as_one_by_one(result, A, b, scores, weighting=WEIGHTINGS[name])


def test_equal_rows_leave_a_model_undetermined():
    """Three different rows give three equations for two unknowns and the level."""
    A, _, x, _, _, _ = models("logit", k=2, n=30, d=2)
    A = np.tile(A[:, :3], (1, 10, 1))
    b = np.tile([0.3, -0.2, 0.5], (2, 10))
    scores = hat_values(A, np.einsum("kij,kj->ki", A, x) - b, as_weighting("binomial"))
    result = invert_many(A, b, scores, weighting="binomial", rng=0)
    assert_as_one_by_one(result, A, b, scores, weighting="binomial")
    assert not result.unique.any()


def test_offset_is_minus_b():
    A, b, x, slack, v, scores = models("probit", k=2)
    options = {"weighting": ("binomial", "probit"), "rng": 0}
    assert_array_equal(invert_many(A, None, scores, offset=-b, **options).x,
                       invert_many(A, b, scores, **options).x)


@pytest.mark.parametrize("name", ["logit", "poisson", "power 1"])
def test_weightings_with_a_shared_matrix(name):
    A, b, x, slack, v, _ = models(name, k=3, prior=True)
    slack = x @ A[0].T - b
    scores = hat_values([A[0]] * 3, slack, as_weighting(WEIGHTINGS[name]), v[0])
    options = {"weighting": WEIGHTINGS[name], "rng": 0}
    result = invert_many(A[0], b, scores, prior_weights=v[0], **options)
    assert_allclose(result.x, x, rtol=1e-6)
    alone = invert_many([A[0]] * 3, b, scores, prior_weights=[v[0]] * 3, **options)
    assert_array_equal(result.x, alone.x)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weightings_with_known_sides(name):
    A, b, x, slack, _, scores = models(name, k=3)
    signs = as_weighting(WEIGHTINGS[name])
    kind = signs.kind
    signs = np.where(slack < getattr(signs, "mode", 0.0), -1.0, 1.0)
    if kind in ("exponential", "monotone"):            # A x - b is determined without signs
        with pytest.raises(ValueError, match="signs must be None"):
            invert_many(A, b, scores, weighting=WEIGHTINGS[name], signs=signs)
        return
    result = invert_many(A, b, scores, weighting=WEIGHTINGS[name], signs=signs, rng=0)
    assert_as_one_by_one(result, A, b, scores, signs=signs, weighting=WEIGHTINGS[name])
    assert result.success.all()
    wrong = invert_many(A, b, scores, weighting=WEIGHTINGS[name], signs=-signs, rng=0)
    assert not wrong.success.any()


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weightings_with_noise(name):
    A, b, x, slack, _, scores = models(name, k=3, n=60)
    noise = 1e-5 / np.sqrt(12)
    result = invert_many(A, b, scores.round(5), weighting=WEIGHTINGS[name], noise=noise, rng=0)
    for i in range(3):
        one = invert_scores(A[i], b[i], scores[i].round(5), weighting=WEIGHTINGS[name],
                            noise=noise, rng=0)
        assert result.success[i] == one.success
        assert result.unique[i] == one.unique
        if one.success:
            assert_allclose(result.x[i], one.x, rtol=0, atol=1e-2 * one.standard_errors.max())


@pytest.mark.parametrize("name", ["logit", "cloglog", "poisson", "power 1"])
def test_weightings_with_failures_among_others(name):
    A, b, x, slack, _, scores = models(name, k=5, n=24)
    scores[1] = 3 / 24                                     # of no x
    scores[3] = scores[3, ::-1]
    result = invert_many(A, b, scores, weighting=WEIGHTINGS[name], rng=0)
    assert_array_equal(result.success, [True, False, True, False, True])
    assert not result.unique[[1, 3]].any()
    assert np.isfinite(result.x).all()
    again = invert_many(A, b, scores, weighting=WEIGHTINGS[name], rng=0, workers=3)
    for field in ("x", "success", "unique", "fun", "nit"):
        assert_array_equal(getattr(again, field), getattr(result, field))


@pytest.mark.parametrize("changes, message", [
    ({"offset": GOOD["b"]}, "b and offset must not both be given"),
    ({"b": None, "offset": GOOD["b"][:2]}, r"offset must have shape \(3, 6\)"),
    ({"prior_weights": 0.0}, "prior_weights must be above 0"),
    ({"prior_weights": np.ones(5)}, "prior_weights must have length 6"),
    ({"weighting": "gaussian"}, "weighting must depend on x"),
    ({"weighting": "none"}, "family must be"),
])
def test_refused_weightings(changes, message):
    with pytest.raises(TypeError, match="b must hold real numbers"):
        invert_many(GOOD["A"], None, GOOD["scores"])
    arguments = {name: GOOD[name] for name in ("A", "b", "scores")} | changes
    with pytest.raises(ValueError, match=message):
        invert_many(**arguments)
