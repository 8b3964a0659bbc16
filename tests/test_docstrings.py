"""The examples in the docstrings of what is public."""
import doctest

import pytest

import levinv


@pytest.mark.parametrize("name", [name for name in levinv.__all__ if name != "theory"])
def test_examples(name):                      # theory: tests/test_theory.py
    runner = doctest.DocTestRunner(verbose=False)
    for examples in doctest.DocTestFinder().find(getattr(levinv, name), name):
        runner.run(examples)
    found = runner.summarize(verbose=False)
    assert found.attempted > 0
    assert found.failed == 0
