"""Every example runs, and so does all Python in README.md and docs/; warnings are errors.

Blocks with prompts are doctests, in test_docstrings.py.
"""
import pathlib
import re
import runpy

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse

import levinv
from levinv import leverage_scores

ROOT = pathlib.Path(__file__).parents[1]
OPTIONAL = ("jax", "torch")
ELSEWHERE = {"cluster.md"}                    # its program: tests/test_distributed.py
CLAIMS = {                                    # what an example has to print
    "3_audit_before_publishing": "x is determined:        uniquely, by exact scores",
    "6_firth_regression": "converged: True",
    "5_isotropic_position": "scores after:  0.006666666667 to 0.006666666667",
    "4_path_of_an_interior_point_method": "found 40 of 40, unique: True",
    "1_privacy_of_a_regression": "unique: True",
    "2_your_own_model": "The scores are matched.",
}


def blocks(page):
    """The blocks of Python without prompts."""
    found = re.findall(r"(?ms)^```python\n(.*?)^```", page.read_text(encoding="utf-8"))
    return [block for block in found if ">>>" not in block]


PAGES = [page for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
         if page.name not in ELSEWHERE and blocks(page)]


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.stem)
def test_example(example, capsys, monkeypatch):
    plt.switch_backend("Agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    runpy.run_path(str(example))
    drawn = plt.get_fignums()
    plt.close("all")
    assert drawn
    assert CLAIMS[example.stem] in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = _given()
    np.save("A.npy", given["A"])
    if page.name == "sketch.md":
        given["A"] = scipy.sparse.random(400, 40, density=0.1, rng=0, format="csr")
    program = "\n".join(block for block in blocks(page)
                        if not any(_imports(block, library) for library in OPTIONAL))
    exec(compile(program, str(page), "exec"), given)


@pytest.mark.parametrize("library", OPTIONAL)
def test_recipes(library):
    """The blocks that import a library which the tests do not ask for."""
    pytest.importorskip(library)
    found = [block for page in PAGES for block in blocks(page) if _imports(block, library)]
    assert found
    exec(compile("\n".join(found), library, "exec"), _given())


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))],
                         ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_headings(page):
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^## .*", text)
    assert len(set(headings)) == len(headings)
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        if not link.startswith(("http", "gallery/")):          # the gallery is made with the site
            assert (page.parent / link).exists(), link
        elif link.startswith("gallery/") and link != "gallery/index.md":
            assert (ROOT / "examples" / link[8:]).with_suffix(".py").exists(), link


def test_pictures_show_the_tables(tmp_path):
    plt.switch_backend("Agg")
    pictures = runpy.run_path(str(ROOT / "docs" / "pictures.py"))
    page = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    swept = pictures["sweep"](page)
    lines = re.findall(r"(?m)^\| (\d+) x (\d+) \| rows \| 1 \|.* ([\d.]+) \| [\d.]+ \| (?:yes|NO) ",
                       page)
    assert len(swept) == len(lines) >= 10
    for n, d, ratio in lines:
        times = dict(swept[int(n), int(d)])
        ours = times.pop("levinv")
        assert min(times.values()) / ours == pytest.approx(float(ratio), rel=0.05)
    assert sum(d == 20 for _, d in swept) >= 4                          # of times over rows
    pictures["draw"](tmp_path)
    drawn = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.svg")}
    named = {name for page in ROOT.glob("docs/**/*.md")
             for name in re.findall(r"generated/(\w+)\.svg", page.read_text(encoding="utf-8"))}
    assert drawn.keys() == named
    assert "polytopewalk" in drawn["ratios_over_columns"]
    assert "JAX" in drawn["times_over_rows"]
    assert "linear predictor" in drawn["pipeline"]


def test_reference_is_complete():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in ROOT.glob("docs/reference/*.md"))
    listed = set(re.findall(r"(?m)^   (\w+)$", pages))
    public = {*levinv.__all__, *levinv.theory.__all__, *levinv.plot.__all__, "load_anes96",
              "load_diabetes"}
    assert public - listed == {"papers", "plot", "theory", "weighting"}      # pages of their own


def _imports(block, library):
    return re.search(rf"(?m)^import {library}\b", block) is not None


def _given():
    """What pages may take for granted: a small problem that has a solution."""
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((60, 4)), rng.standard_normal(4)
    slack = rng.uniform(0.5, 2.0, 60)
    return {"A": A, "b": A @ x - slack, "x": x, "slack": slack,
            "scores": leverage_scores(A, slack=slack)}
