"""What a result says it checked."""
import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose

from levinv import LeverageMap, VolumetricBarrier, invert_gradient, invert_scores, leverage_scores


def problem(n=40, d=4, seed=0):
    rng = np.random.default_rng(seed)
    A, b, x = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
    return A, b, x, leverage_scores(A, slack=A @ x - b)


def relative_jacobian(A, b, x):
    """d log(scores) / d x."""
    J = LeverageMap(A, b)
    return J.jacobian(x) / J.scores(x)[:, None]


@pytest.mark.parametrize("noise", [None, 1e-9])
def test_condition(noise, rng):
    A, b, x, c = problem()
    kwargs = {"noise": noise, "x0": x}
    result = invert_scores(A, b, c, **kwargs)
    u, values, _ = np.linalg.svd(relative_jacobian(A, b, x), full_matrices=False)
    assert result.condition == pytest.approx(1 / values[-1] / np.linalg.norm(x), rel=1e-6)

    def moved(direction):
        changed = invert_scores(A, b, c * (1 + 1e-10 * direction), **kwargs)
        return np.linalg.norm(changed.x - result.x) / np.linalg.norm(result.x)

    if noise is None:
        assert moved(u[:, -1]) == pytest.approx(1e-10 * result.condition, rel=1e-3)
        for _ in range(5):
            direction = rng.standard_normal(len(c))
            direction /= np.linalg.norm(direction)
            assert moved(direction) <= 1.001e-10 * result.condition


def test_condition_beside_a_null_space():
    """b in range(A): x can move along itself, and other changes are measured."""
    A, _, x, _ = problem()
    c = leverage_scores(A, slack=A @ x)
    result = invert_scores(A, np.zeros(40), c, rng=0)
    values = np.linalg.svd(relative_jacobian(A, np.zeros(40), result.x), compute_uv=False)
    assert result.null_space.shape[1] == 1
    assert result.condition == pytest.approx(1 / values[-2] / np.linalg.norm(result.x), rel=1e-6)
    assert result.evidence["jacobian_decision"]["dropped"] < 1e-12
    assert result.evidence["jacobian_decision"]["kept"] > 1e-4
    assert result.evidence["null_space"] == {"dimension": 1, "of_A": 0, "coloops": 0,
                                             "free_scales": 1}


def cases():
    A, b, x, c = problem()
    yield "exact", (A, b, c), {}
    yield "noise", (A, b, c.round(5)), {"noise": 1e-5 / 12 ** 0.5}
    yield "many rows", (*problem(3000, 5)[:2], problem(3000, 5)[3]), {}
    yield "enumerated", (A[:10], b[:10], leverage_scores(A[:10], slack=(A @ x - b)[:10])), {}
    yield "no solution", (A, b, np.full(40, 0.2)), {}
    yield "no finite slack", (A, b, np.where(np.arange(40) == 3, 0.0, c)), {}
    yield "signs", (A, b, c), {"signs": np.sign(A @ x - b)}
    yield "outlier", (A, b, c + 1e-3 * (np.arange(40) == 5)), {}
    yield "start", (A, b, c), {"x0": x + 1e-3, "method": "trust-region"}
    singular = np.column_stack([A, A @ np.ones(4)])
    yield "singular", (singular, b, c), {}
    coloop = np.zeros((41, 5))
    coloop[:40, :4], coloop[40, 4] = A, 1.0
    yield "coloop", (coloop, np.append(b, 1.0), np.append(c, 1.0)), {}
    blocks = np.zeros((80, 8))
    blocks[:40, :4], blocks[40:, 4:] = A, A
    yield "components", (blocks, np.append(b, 0 * b), np.append(c, leverage_scores(
        A, slack=A @ x))), {}


CASES = {name: (data, options) for name, data, options in cases()}


@pytest.fixture(scope="module")
def results():
    return {name: invert_scores(*data, rng=0, **options)
            for name, (data, options) in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_evidence_is_plain(results, name):
    def assert_plain(value):
        assert type(value) in (dict, list, float, int, str, bool, type(None)), value
        if type(value) in (dict, list):
            for entry in value.values() if type(value) is dict else value:
                assert_plain(entry)

    evidence = results[name].evidence
    assert_plain(evidence)
    assert json.loads(json.dumps(evidence, allow_nan=False)) == evidence
    assert str(results[name])


@pytest.mark.parametrize("name", CASES)
def test_decisions_are_on_the_right_side(results, name):
    evidence = results[name].evidence
    decisions = [evidence[key] for key in evidence if key.endswith("_decision")]
    assert len(decisions) == 4
    for decision in decisions:
        assert decision["kept"] is None or decision["kept"] > decision["threshold"]
        if decision is not evidence["jacobian_decision"]:     # the null space's number is known
            assert decision["dropped"] is None or decision["dropped"] <= decision["threshold"]
    for inside, ratio in zip(evidence["response_in_range"], evidence["response_ratio"],
                             strict=True):
        assert inside == (ratio <= evidence["response_threshold"])
    assert evidence["signs_determined"] == all(evidence["signs_determined_on"])
    assert len(evidence["signs_determined_on"]) == evidence["components"]


def test_rank_decision(results):
    full, singular = (results[name].evidence["rank_decision"] for name in ("exact", "singular"))
    A = CASES["exact"][0][0]
    rows = A / np.linalg.norm(A, axis=1, keepdims=True)
    values = np.linalg.svd(rows / np.linalg.norm(rows, axis=0), compute_uv=False)
    assert full["dropped"] is None
    assert full["kept"] <= values[-1] <= 2 * full["kept"]      # a bound from the Gram matrix
    assert singular["kept"] > 1e-2 and singular["dropped"] <= singular["threshold"] < 1e-12
    assert results["singular"].evidence["null_space"]["of_A"] == 1


def test_fit(results):
    exact, noisy = (results[name].evidence["fit"] for name in ("exact", "noise"))
    A, b, c = CASES["noise"][0]
    residual = (results["noise"].scores - c) / (1e-5 / 12 ** 0.5)
    assert noisy["chi_squared"] == pytest.approx(residual @ residual, rel=1e-6)
    assert noisy["degrees_of_freedom"] == 36
    assert 0 < noisy["p_value"] < 1 and noisy["chi_squared"] <= noisy["limit"]
    assert exact["largest_error"] <= exact["tolerance"] == 1e-8
    assert results["outlier"].evidence["fit"]["rows"] == 39


def test_components_and_their_signs(results):
    found = results["components"]
    assert found.evidence["components"] == 2
    assert found.evidence["response_in_range"] == [False, True]
    assert found.null_space.shape[1] == found.evidence["null_space"]["free_scales"] == 1
    A, b, x, _ = problem(20, 2)
    A[:10, 1] = A[10:, 0] = 0                     # two components
    b[:9] = 0                                     # b in a single row of the first
    c = leverage_scores(A, slack=A @ x - b)
    result = invert_scores(A, b, c, rng=0)
    assert result.evidence["signs_determined_on"] == [False, True]
    assert not result.unique


def test_starts_that_agree():
    A, b, x, c = problem(40, 4)
    part, = invert_scores(A, b, c, rng=0).evidence["signs"]
    assert part["fitting"] == part["same_signs"] == 1 == len(part["misfits"])
    c = np.clip(c + 1e-4 * np.random.default_rng(0).standard_normal(40), 0, 1)
    part, = invert_scores(A, b, c, noise=1e-6, rng=0).evidence["signs"]    # which is not so
    assert part["restarts"] == len(part["misfits"]) == len(part["rows_differing"]) == 60
    assert part["same_signs"] == part["rows_differing"].count(0)
    assert 0 < part["same_signs"] <= 60
    assert max(part["rows_differing"]) <= 20                     # signs are free by a common factor
    # a callback takes the general stages, in which all sign vectors are enumerated
    enumerated, = invert_scores(A[:10], b[:10], leverage_scores(A[:10], slack=(A @ x - b)[:10]),
                                rng=0, callback=lambda _: None).evidence["signs"]
    assert enumerated["fitting"] == 1 and "misfits" not in enumerated


def test_evidence_of_gradients_is_plain(rng):
    A, x = rng.standard_normal((40, 3)), np.array([1.0, -2.0, 0.5])
    b = A @ x - rng.exponential(size=40)
    g = VolumetricBarrier(A, b).grad(x)
    for method in ("newton", "approximate-newton", "least-squares"):
        evidence = invert_gradient(A, b, g, signs=1, method=method, rng=0).evidence
        assert json.loads(json.dumps(evidence, allow_nan=False)) == evidence


@pytest.fixture
def unread():
    """A result whose evidence was not computed yet, and the stages' own."""
    A, b, x, c = problem()
    stages = invert_scores(A, b, c, rng=0, callback=lambda x: None)
    result = invert_scores(A, b, c, rng=0)
    A[:], b[:], c[:] = 0.0, 1.0, 0.5                # the caller's arrays are the caller's
    assert "evidence" not in set(dict.keys(result))
    return result, stages


def test_evidence_is_computed_when_it_is_read(unread):
    result, stages = unread
    x = result.x.copy()
    assert result.success and result.unique and "evidence" not in set(dict.keys(result))
    assert_allclose(result.standard_errors, stages.standard_errors, rtol=0.5)
    assert_allclose(result.condition, stages.condition, rtol=1e-6)
    assert result.message == stages.message and result.evidence["rank"] == 4
    assert result.keys() == stages.keys() and result.evidence.keys() == stages.evidence.keys()
    assert np.array_equal(result.x, x)
    assert_allclose(x, stages.x, rtol=1e-12)


@pytest.mark.parametrize("read", [
    dict, list, len, repr, copy.copy, copy.deepcopy, lambda r: {**r}, lambda r: r | {},
    lambda r: r.get("message"), lambda r: list(r.items()), lambda r: list(r.values()),
    lambda r: r.copy(), lambda r: "nit" in r, lambda r: pickle.loads(pickle.dumps(r)),
    lambda r: r == r, lambda r: r.pop("nfev"), lambda r: dir(r),
], ids=range(17))
def test_every_way_to_read_the_whole_result(unread, read):
    result, stages = unread
    found = read(result)
    assert set(dict.keys(result)) | {"nfev"} == set(stages)
    if isinstance(found, dict):
        assert set(found) == set(stages)
    if type(found) is type(result):
        assert found.message == stages.message


def test_names_that_a_result_does_not_have(unread):
    result, _ = unread
    for name in ("jac", "_rest_"):
        with pytest.raises(AttributeError, match=name):
            getattr(result, name)
        with pytest.raises(KeyError, match=name):
            result[name]
    result.message = "mine"
    assert result.message == "mine" and result.nit > 0 and result.message == "mine"
    del result.message
    assert not hasattr(result, "message")


def test_threads_read_the_same_evidence(unread):
    result, stages = unread
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: result.evidence, range(8)))
    assert all(one == found[0] for one in found)
