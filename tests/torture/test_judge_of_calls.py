"""The judge of regression models and of further arguments on trial: planted wrong answers."""
import numpy as np
import pytest

import levinv
from torture import calls


def method(name, change):
    """What spoils the answers of one method of an object."""
    def spoil(made):
        right = getattr(made, name)
        setattr(made, name, lambda *args: change(right(*args)))
        return made
    return spoil


def entry(name, change):
    """What spoils one entry of a result."""
    def spoil(result):
        out = type(result)(result)
        out.update({name: change(result[name])})
        return out
    return spoil


def grown(array):
    return array * 1.001


def turned(array):
    return array[::-1] if array.ndim == 2 else array


PLANTED = {                    # the call, what of levinv answers wrongly, and how
    "a batch in another order": ("batches", "leverage_scores", turned),
    "points in another order": ("batches", "LeverageMap", method("scores", turned)),
    "jvp": ("model loss", "LeverageMap", method("jvp", grown)),
    "vjp": ("model loss", "LeverageMap", method("vjp", grown)),
    "a batch of x": ("model loss", "LeverageMap",
                     method("scores", lambda s: s * 1.001 if s.ndim == 2 else s)),
    "gradient": ("model loss", "ScoreLoss",
                 method("fun_and_grad", lambda both: (both[0], grown(both[1])))),
    "value": ("model loss", "ScoreLoss",
              method("fun_and_grad", lambda both: (grown(both[0]), both[1]))),
    "Hessian": ("model loss", "ScoreLoss", method("hess", grown)),
    "product with the Hessian": ("model loss", "ScoreLoss", method("hessp", grown)),
    "x": ("model inversion", "invert_scores", entry("x", lambda x: 1.5 * x + 1.0)),
    "another x": ("model inversion", "invert_scores",
                  entry("alternatives", lambda a: np.vstack([a, np.ones((1, a.shape[1]))]))),
    "another coefficient sign": ("model inversion", "invert_scores", entry("x", np.negative)),
    "x of rounded scores": ("inexact scores", "invert_scores",
                            entry("x", lambda x: 1.5 * x + 1.0)),
    "alternatives left out": ("inexact scores", "invert_scores",
                              entry("alternatives", lambda a: a[:0])),
    "new rows": ("new rows", "leverage_scores", grown),
    "unique beside another x": (
        "inexact scores", "invert_scores",
        lambda r: entry("unique", lambda _: True)(entry("x", lambda x: 1.5 * x + 1.0)(r))),
    "signs of pairs": ("new rows", "hat_entries", np.abs),
    "sixty columns": ("sixty columns", "leverage_scores", grown),
}
CASES = {"alternatives left out": 150, "another coefficient sign": 60, "sixty columns": 6}


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_wrong_answer_fails(plant, monkeypatch):
    call, name, spoil = PLANTED[plant]
    right = getattr(levinv, name)
    for index in range(CASES.get(plant, 30)):
        monkeypatch.setattr(levinv, name, right)
        before = calls.one(7000, index, call, ["plain"])
        assert before[2] != "failed", before[3]
        if before[2] != "right":
            continue
        monkeypatch.setattr(levinv, name, lambda *args, **more: spoil(right(*args, **more)))
        if calls.one(7000, index, call, ["plain"])[2] == "failed":
            return
    raise AssertionError("no case showed the planted error")


@pytest.mark.parametrize("how", ["masked", "nullable", "nan", "None"])
def test_a_gap_taken_for_a_number_fails(how, monkeypatch):
    right = levinv.leverage_scores

    def filled(A, slack):
        return right(A, slack=np.nan_to_num(np.array(_plain(slack), dtype=float), nan=1.0))

    case = calls.case(7000, 0, "gaps", ["plain"])
    case.arguments.update(what="slack", how=how, gap=True)
    assert case.verdict()[0] == "refused"
    monkeypatch.setattr(levinv, "leverage_scores", filled)
    case = calls.case(7000, 0, "gaps", ["plain"])
    case.arguments.update(what="slack", how=how, gap=True)
    verdict, note = case.verdict()
    assert verdict == "failed" and "gap was taken" in note


def _plain(slack):
    """Values, None or NaN where there is none."""
    if isinstance(slack, np.ma.MaskedArray):
        return slack.tolist()
    if hasattr(slack, "to_numpy"):
        return slack.to_numpy(dtype=float, na_value=np.nan).tolist()
    return list(slack)
