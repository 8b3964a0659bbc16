"""The examples in the docstrings of public names and in the documentation; what help() prints."""
import doctest
import inspect
import pathlib
import pydoc

import pytest

import levinv
import levinv.data

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")),
         *sorted(ROOT.glob("docs/theory/*.md"))]


@pytest.mark.parametrize("name", [name for name in levinv.__all__ if name != "theory"])
def test_examples(name):                      # theory: tests/test_theory.py
    runner, value = doctest.DocTestRunner(verbose=False), getattr(levinv, name)
    offered = getattr(value, "__all__", ())            # a package offers what its modules define
    for item in (value, *(getattr(value, inner) for inner in offered)):
        for examples in doctest.DocTestFinder().find(item, name):
            runner.run(examples)
    found = runner.summarize(verbose=False)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_in_docs(page):
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.failed == 0
    assert found.attempted > 0 or ">>>" not in page.read_text(encoding="utf-8")


def public():
    """Every public name, with its value."""
    found = {"data.load_diabetes": levinv.data.load_diabetes}
    for name in levinv.__all__:
        found[name] = getattr(levinv, name)
        for inner in getattr(found[name], "__all__", ()):
            found[f"{name}.{inner}"] = getattr(found[name], inner)
    return found


@pytest.mark.parametrize("name", public())
def test_help_names_types_as_they_are_written(name):
    """NumPy's unions would fill the screen."""
    value = public()[name]
    text = pydoc.plaintext.document(value, name)
    assert "_NestedSequence" not in text
    assert "SupportsArray" not in text
    functions = [value] if inspect.isfunction(value) else [
        function for _, function in inspect.getmembers(value, inspect.isfunction)]
    for signature in map(inspect.signature, functions):
        for annotation in (signature.return_annotation,
                           *(given.annotation for given in signature.parameters.values())):
            assert len(inspect.formatannotation(annotation)) <= 120
