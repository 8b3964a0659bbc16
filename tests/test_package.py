"""What importing the package brings along, and what it offers."""
import importlib.metadata
import pathlib
import subprocess
import sys

import pytest

import levinv

SELDOM = {"dask", "h5py", "matplotlib", "pandas", "scipy.optimize", "scipy.stats", "tqdm"}


def loaded_by(code):
    """The modules that a fresh interpreter holds after ``code``."""
    done = subprocess.run([sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
                          capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_waits_for_nothing():
    assert loaded_by("import levinv").isdisjoint({"numpy", "scipy"})


def test_scores_wait_for_no_more_than_they_need():
    loaded = loaded_by("import levinv, numpy; levinv.leverage_scores(numpy.eye(3))")
    assert "levinv.forward.leverage" in loaded
    assert loaded.isdisjoint(SELDOM | {"levinv.inverse"})


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_command_line_tells_of_itself_at_once(option):
    code = f"""
import contextlib, io
from levinv.cli import main
with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.suppress(SystemExit):
    main(["{option}"])
assert "levinv" in told.getvalue()"""
    assert loaded_by(code).isdisjoint({"numpy", "scipy"})


@pytest.mark.parametrize("name", levinv.__all__)
def test_all_that_is_offered_is_there(name):
    assert name in dir(levinv)
    assert getattr(levinv, name).__name__.split(".")[-1] == name


def test_what_is_not_there_is_not_found():
    with pytest.raises(AttributeError, match="module 'levinv' has no attribute 'leverage'"):
        levinv.leverage                                            # noqa: B018


def test_versions_agree():
    citation = pathlib.Path(__file__).parents[1].joinpath("CITATION.cff").read_text()
    assert f"\nversion: {importlib.metadata.version('levinv')}\n" in citation
    assert levinv.__version__ == importlib.metadata.version("levinv")


def test_version_is_read_when_it_is_asked_for():
    assert "importlib.metadata" not in loaded_by("import levinv")
    assert "__version__" in dir(levinv)
