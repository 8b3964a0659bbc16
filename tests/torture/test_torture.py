"""A little of the torture with every run of the tests, and the judge and the machinery on trial."""
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import levinv
from torture import calls, frozen, inputs, judge, run, truth

EPS = np.finfo(float).eps
DRAWN = [name for name in calls.CALLS if name != "huge n"]


@hypothesis.settings(max_examples=50, deadline=None, derandomize=True)
@hypothesis.given(st.sampled_from(DRAWN), st.integers(0, 10**6))
def test_nasty_input(call, index):
    kinds, name, verdict, note = calls.one(1000, index, call)
    assert verdict != "failed", f"{name}: {', '.join(kinds)}: {note}"


@pytest.mark.parametrize("kind", [*inputs.KINDS, *inputs.SHAPES])
def test_every_kind(kind):
    for index in range(2):
        for call in ("invert_scores", "LeverageMap"):
            _, _, verdict, note = calls.one(2000, index, call, [kind])
            assert verdict != "failed", f"{call}, seed 2000, index {index}: {note}"


@pytest.mark.parametrize("call", [name for name in DRAWN if name != "garbage"])
def test_a_case_in_a_file_is_the_same_to_the_last_bit(call, tmp_path):
    for index in range(3):
        case = calls.case(4000, index, call)
        frozen.save(tmp_path / "case.json", case, "nothing")
        again = frozen.load(tmp_path / "case.json")
        assert again.call == call
        for field in (*frozen.ARRAYS, *frozen.FLAGS, "dtype", "slack"):
            same_to_the_last_bit(getattr(case.problem, field), getattr(again.problem, field))
        assert again.arguments.keys() == case.arguments.keys()
        for name, value in case.arguments.items():
            same_to_the_last_bit(value, again.arguments[name])


def same_to_the_last_bit(one, other):
    if isinstance(one, np.ndarray) and one.dtype != object:
        assert one.shape == other.shape and one.tobytes() == other.tobytes()
    elif isinstance(one, np.ndarray):
        assert list(one) == list(other)
    else:
        assert one == other


def test_many_rows():
    verdict, note = calls.one(3000, 0, "huge n")[2:]
    assert verdict == "right", note


def plain_problem():
    return inputs.problem(np.random.default_rng(0), kinds=["plain"])


@pytest.mark.parametrize("wrong", [lambda c: c + 1e-9 * np.eye(len(c))[0], lambda c: c * np.nan,
                                   lambda c: c[:-1], lambda c: 1.1 * c, lambda c: -c])
def test_the_judge_sees_wrong_scores(wrong):
    p = plain_problem()
    judge.scores("scores", p.exact.rounded, p, p.exact)
    with pytest.raises(judge.Failure):
        judge.scores("scores", wrong(p.exact.rounded), p, p.exact)


def test_the_judge_sees_a_wrong_inversion():
    p = plain_problem()
    result = levinv.invert_scores(p.A, p.b, p.scores, rng=0)
    assert judge.inversion(p, result, None, None, 1e-8) == "right"
    for change in ({"x": result.x * 1.001}, {"x": result.x * np.nan}, {"null_space": np.eye(p.d)},
                   {"success": False}, {"standard_errors": -result.standard_errors}):
        with pytest.raises(judge.Failure):
            judge.inversion(p, _changed(result, change), None, None, 1e-8)
    moved = inputs.Problem(p.A, p.x + 1.0, p.wanted, b=p.b, slack=p.slack, exact=p.exact,
                           scores=p.scores)
    with pytest.raises(judge.Failure, match="unique"):          # as if another x had the scores
        judge.inversion(moved, result, None, None, 1e-8)


def _changed(result, change):
    copy = type(result)(result)
    copy.update(change)
    return copy


def test_truth_of_zero_and_dependent_slacks():
    A = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    found = truth.Exact(A, np.array([0.0, 1.0, 1.0, 1.0])).rounded
    np.testing.assert_array_equal(found, [1.0, 0.0, 0.5, 0.5])
    with pytest.raises(truth.UndefinedError):
        truth.Exact(A, np.array([0.0, 0.0, 1.0, 1.0]))


def test_the_condition_beside_zero_slacks_shows_what_a_last_digit_of_the_input_does():
    A = np.array([[1.0, 1, 2], [2, 2, 1], [1, 1, 1], [1, -1, 0], [0, 1, 2]])
    slack = np.array([0.0, 1e-19, 2e-19, 1.0, 1.0])      # rows 1, 2 are parallel modulo row 0
    off = A.copy()
    off[1, 0] *= 1 + EPS                                 # and now they are not
    before, after = truth.Exact(A, slack), truth.Exact(off, slack)
    moved = np.abs(before.rounded - after.rounded).max()
    assert moved > 0.1
    assert moved < EPS * before.condition
    slack[1:3] = 1.0
    before, after = truth.Exact(A, slack), truth.Exact(off, slack)
    assert np.abs(before.rounded - after.rounded).max() < 10 * EPS
    assert before.condition < 20


def test_a_crash_and_a_hang_are_seen():
    worker = run.Worker(0)
    try:
        worker.give(0)
        worker.process.kill()
        assert worker.result()[2:4] == ("failed", "crash, exit code -9")
        worker.give(1)
        assert not worker.overdue(huge=False)
        worker.since -= run.SECONDS
        assert worker.overdue(huge=False)
        worker.give(2)
        assert worker.result() == (*calls.one(0, 2), pytest.approx(0, abs=run.SECONDS))
    finally:
        worker.process.kill()


@pytest.mark.parametrize("call", ["ridge", "table"])
def test_wrong_scores_of_a_ridge_and_of_a_table_are_seen(call, monkeypatch):
    right, results = levinv.leverage_scores, []

    def wrong(*args, **kwargs):
        results.append(right(*args, **kwargs))
        # a table's scores are compared with those of the array, which come first
        changed = call == "ridge" or len(results) % 2 == 0
        return results[-1] * 1.001 if changed else results[-1]

    verdicts = []
    for index in range(12):
        monkeypatch.setattr(levinv, "leverage_scores", right)
        before = calls.one(6000, index, call, ["plain"])[2]
        monkeypatch.setattr(levinv, "leverage_scores", wrong)
        verdicts.append((before, calls.one(6000, index, call, ["plain"])[2]))
    assert all(before != "failed" for before, _ in verdicts)
    assert ("right", "failed") in verdicts
