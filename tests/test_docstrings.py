"""The examples in the docstrings of what is public."""
import doctest

import pytest

import levinv


@pytest.mark.parametrize("name", levinv.__all__)
def test_examples(name):
    runner = doctest.DocTestRunner(verbose=False)
    for examples in doctest.DocTestFinder().find(getattr(levinv, name), name):
        runner.run(examples)
    assert runner.summarize(verbose=False).failed == 0
