"""Allocations that fail: a selection of what ``python tests/allocations.py`` tries."""
import sys

import allocations
import pytest

from levinv._kernels import batch, dense, factor, hessian, points, reflections, scores, wide
from levinv.inverse import invert_many as many

KERNELS = [batch, dense, factor, hessian, points, reflections, scores, wide, many.kernel]
COMPILED = ["cython_function_or_method", "fused_cython_function"]
FOR_TESTS = ["limit_tiles", "fail_allocation", "has_avx2", "stages"]
# their workspaces are arrays
WITHOUT = ["many inversions", "lengths of sparse rows", "a factor on two threads"]
ARRAYS = allocations.Arrays()


@pytest.fixture(scope="module")
def calls():
    return allocations.calls()


@pytest.mark.parametrize("name", allocations.calls())
def test_every_workspace(calls, name):
    failed = allocations.fail_in_turn(calls[name], allocations.Workspaces(), 2.0)
    assert (failed == 0) == (name in WITHOUT)


@pytest.mark.parametrize("name", allocations.calls())
def test_arrays(calls, name):
    assert allocations.fail_in_turn(calls[name], ARRAYS, 2.0)


def test_the_calls_take_every_function_of_the_kernels_that_allocate(calls, monkeypatch):
    functions = {function: f"{module.__name__}.{name}" for module in KERNELS
                 for name, function in vars(module).items()
                 if type(function).__name__ in COMPILED and name not in FOR_TESTS}
    called = set()

    def recorded(function):
        def call(*arguments):
            called.add(functions[function])
            return function(*arguments)
        return call

    for module in [*sys.modules.values()]:
        if getattr(module, "__name__", "").startswith("levinv."):
            for name, value in [*vars(module).items()]:
                if type(value).__hash__ and value in functions:
                    monkeypatch.setattr(module, name, recorded(value))
    for call in calls.values():
        call()
    assert called == set(functions.values())
