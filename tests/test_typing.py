"""The types: they come with the package, are consistent, and are those of the compiled modules and
of what a caller gets.
"""
import importlib.machinery
import importlib.resources
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typed_caller

import levinv
from levinv import _kernels

ROOT = Path(__file__).parents[1]
CONFIGURATION = ROOT / "pyproject.toml"


def passes(module, *arguments):
    pytest.importorskip("mypy", reason="types are checked with mypy")
    ran = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, text=True,
                         capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_installed_package_says_that_it_has_types():
    assert importlib.resources.files(levinv).joinpath("py.typed").is_file()


def test_every_compiled_module_has_a_stub_beside_it():
    # an editable installation has the modules in one folder and the rest in another
    names = [path.name for folder in _kernels.__path__ for path in Path(folder).iterdir()]
    compiled = {name.split(".")[0] for name in names
                if name.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))}
    assert "dense" in compiled
    assert compiled <= {name.removesuffix(".pyi") for name in names if name.endswith(".pyi")}


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.4.0",
                    reason="until 2.4 NumPy's own types said less, or otherwise")
def test_package_and_a_caller_are_clean():
    passes("mypy", f"--config-file={CONFIGURATION}", f"--cache-dir={os.devnull}")


def test_stubs_are_those_of_the_compiled_modules():
    passes("mypy.stubtest", f"--mypy-config-file={CONFIGURATION}",
           "--allowlist=tests/stubtest_allowed.txt", "--ignore-unused-allowlist",
           "levinv._kernels", "levinv.cython_api")


def test_caller_gets_what_types_say():
    for array in typed_caller.arrays():
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float64
