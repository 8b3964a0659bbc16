"""The examples in the docstrings of what is public, and in the documentation."""
import doctest
import pathlib

import pytest

import levinv

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")),
         *sorted(ROOT.glob("docs/theory/*.md"))]


@pytest.mark.parametrize("name", [name for name in levinv.__all__ if name != "theory"])
def test_examples(name):                      # theory: tests/test_theory.py
    runner = doctest.DocTestRunner(verbose=False)
    for examples in doctest.DocTestFinder().find(getattr(levinv, name), name):
        runner.run(examples)
    found = runner.summarize(verbose=False)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_in_docs(page):
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.failed == 0
    assert found.attempted > 0 or ">>>" not in page.read_text(encoding="utf-8")
