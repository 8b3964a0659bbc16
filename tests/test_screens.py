"""What ``print`` and a notebook show of a result."""
import html.parser
import pickle

import numpy as np
import pytest

from levinv import (
    LeverageMap,
    VolumetricBarrier,
    audit,
    invert_gradient,
    invert_many,
    invert_scores,
    leverage_scores,
)

LINES, WIDTH = 24, 92


class Page(html.parser.HTMLParser):
    """The tags and the text of a part of a page; checks that tags are balanced."""

    def __init__(self, part):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], set(), set(), []
        self.feed(part)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= set(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    A, b, x = rng.standard_normal((60, 15)), rng.standard_normal(60), rng.standard_normal(15)
    return A, b, x, leverage_scores(A, slack=A @ x - b)


@pytest.fixture(scope="module")
def results(problem):
    A, b, x, scores = problem
    few, small = A[:12, :2], b[:12]                     # work that fails takes long
    right = leverage_scores(few, slack=few @ x[:2] - small)
    wrong = np.roll(right, 1)
    return {
        "solved": invert_scores(A, b, scores, rng=0),
        "rounded": invert_scores(A, b, scores.round(4), decimals=4, rng=0),
        "free": invert_scores(A, 0 * b, leverage_scores(A, slack=A @ x), rng=0),
        "mirrored": invert_scores(A, None, LeverageMap(A, weighting="binomial").scores(x),
                                  weighting="binomial", rng=0),
        "failed": invert_scores(few, small, wrong, rng=0),
        "impossible": invert_scores(A, b, np.full(60, 0.9), rng=0),
        "gradient": invert_gradient(A, b, VolumetricBarrier(A, b).grad(x),
                                    signs=np.sign(A @ x - b)),
        "many": invert_many(few, [small] * 21, [right] * 12 + [wrong] * 9, rng=0),
        "audit": audit(A, b, x, decimals=3, names=["<i>&", *(f"x{j}" for j in range(14))]),
    }


NAMES = ["solved", "rounded", "free", "mirrored", "failed", "impossible", "gradient", "many",
         "audit"]


@pytest.mark.parametrize("name", NAMES)
def test_fits_one_screen(results, name):
    lines = repr(results[name]).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    assert not any(line.endswith(" ") for line in lines)
    assert str(results[name]) == repr(results[name])
    assert "evidence" in lines[-1] + lines[-2]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_the_same(results, name):
    """Without scripts, and without colours, which would be wrong in a light or in a dark theme."""
    page = Page(results[name]._repr_html_())
    assert page.tags == {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.attributes <= {("style", "text-align: left"), ("style", "text-align: right")}
    assert "".join(" ".join(page.words).split()).replace(":", "") == \
        "".join(repr(results[name]).split()).replace(":", "")


@pytest.mark.parametrize("name, said", [
    ("solved", ["Solved, x is unique", "The scores are matched.", "... and 5 more coefficients"]),
    ("rounded", ["Solved, x is unique", "chi-squared"]),
    ("free", ["Solved, x is not unique", "x can move along 1 direction without changing any score",
              "not determined"]),
    ("mirrored", ["no: -x has these scores as well"]),
    ("failed", ["No solution found", "closest found"]),
    ("impossible", ["No solution found", "No x has these scores"]),
    ("gradient", ["Solved, x is unique", "The gradient is matched."]),
    ("many", ["Inversions of 21 problems with 2 coefficients each",
              "12 of 21; not in problems 12, 13, 14, 15, 16, 17, ...", "... and 11 more problems"]),
    ("audit", ["GIVEN AWAY", "An attack was run", "and 5 coefficients that are known less well"]),
])
def test_says(results, name, said):
    shown = " ".join(repr(results[name]).split())
    for part in said:
        assert part in shown


def test_answer_and_standard_errors(results):
    result = results["rounded"]
    rows = [line.split() for line in repr(result).splitlines() if line.startswith("  x[")]
    assert [row[0] for row in rows] == [f"x[{j}]" for j in range(10)]
    np.testing.assert_allclose([float(row[1]) for row in rows], result.x[:10], rtol=1e-8)
    np.testing.assert_allclose([float(row[2]) for row in rows], result.standard_errors[:10],
                               rtol=0.06)


def test_audit_shows_the_coefficients_known_best(results):
    report = results["audit"]
    rows = [line.split()[0] for line in repr(report).splitlines() if line.endswith("%")]
    assert rows == [report.names[j] for j in np.argsort(report.relative_errors)[:10]]


def test_names_are_escaped(problem):
    A, b, x, _ = problem
    report = audit(A[:, :2], b, x[:2], names=["<i>&", "second"])
    assert "<i>" not in report._repr_html_()
    assert "&lt;i&gt;&amp;" in report._repr_html_()


def test_attributes_stay(results):
    result = results["solved"]
    assert isinstance(result, dict)
    assert result["x"] is result.x
    assert repr(pickle.loads(pickle.dumps(result))) == repr(result)
    part = type(result)(result)
    del part["evidence"]                             # then it is SciPy's
    assert "null_space" in repr(part)
    assert part._repr_html_() is None
