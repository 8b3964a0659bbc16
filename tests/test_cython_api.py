"""What other compiled code may call: by pointers, and compiled against the installed package."""
import ctypes
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles
from levinv import LeverageMap, VolumetricBarrier, cython_api, leverage_scores

EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "vaidya_walk" / "vaidya_walk.pyx"
ACCURATE, ILL_CONDITIONED, NO_FACTOR, BAD_SLACK = range(4)
KINDS = {"Py_ssize_t": ctypes.c_ssize_t, "int": ctypes.c_int, "double": ctypes.c_double,
         "void": None, "double *": ctypes.c_void_p, "double const *": ctypes.c_void_p}


def function(name):
    """A function by its capsule, whose name is the signature; it is called without the lock."""
    capsule = cython_api.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [
        ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = ctypes.py_object, ctypes.c_char_p
    signature = api.PyCapsule_GetName(capsule)
    result, _, rest = signature.decode().partition(" (")
    kinds = [KINDS[kind] for kind in rest.removesuffix(")").split(", ")]
    pointer = ctypes.CFUNCTYPE(KINDS[result], *kinds)(api.PyCapsule_GetPointer(capsule, signature))

    def call(*arguments):
        return pointer(*(argument.ctypes.data if isinstance(argument, np.ndarray) else argument
                         for argument in arguments))
    return call


FUNCTIONS = {name: function(name) for name in cython_api.__pyx_capi__}
GUARD = -7.25e301


class Point:
    """The functions at a point, with a memory of the size that they ask for, and not more."""

    def __init__(self, A, slack, hessian=False):
        self.A, self.slack, (self.n, self.d) = A, slack, A.shape
        size = FUNCTIONS["hessian_size" if hessian else "memory_size"](self.n, self.d)
        self.memory = np.full(size + 64, GUARD)
        self.room = self.memory[:size]
        self.status, self.scores = self.call("scores", self.n)

    def call(self, name, *shape_and_arguments):
        *arguments, shape = shape_and_arguments
        out = np.full(shape, np.nan)
        status = FUNCTIONS[name](self.n, self.d, self.A, self.slack, *arguments, out, self.memory)
        assert (self.memory[len(self.room):] == GUARD).all()
        return status, out


def problem(n, d, seed=0):
    rng = np.random.default_rng(seed)
    A, x = rng.standard_normal((n, d)), rng.standard_normal(d)
    return A, A @ x - rng.choice([-1, 1], n) * rng.uniform(0.5, 2.0, n), x


def test_all_functions_are_there():
    assert FUNCTIONS.keys() == {"memory_size", "hessian_size", "scores", "jvp", "vjp", "barrier",
                                "barrier_gradient", "barrier_hessian", "gram_factor"}


@pytest.mark.parametrize("n, d", [(1, 1), (7, 2), (40, 5), (30, 20), (300, 9), (100, 40)])
def test_everything_at_a_point(n, d):
    A, b, x = problem(n, d)
    slack = A @ x - b
    B = A / slack[:, None]
    jacobian, scores = oracles.jacobian(A, slack), oracles.scores(B)
    point = Point(A, slack, hessian=True)
    assert point.status == (ACCURATE if np.linalg.cond(B) < 30 else ILL_CONDITIONED)
    tolerance = 1e-14 * np.linalg.cond(B) ** 2
    rng = np.random.default_rng(1)
    v, y = rng.standard_normal(d), rng.standard_normal(n)
    assert_allclose(point.scores, scores, atol=tolerance)
    for _ in range(2):                                    # each leaves the point as it was
        assert_allclose(point.call("jvp", v, n)[1], jacobian @ v, atol=100 * tolerance)
        assert_allclose(point.call("vjp", y, d)[1], jacobian.T @ y, atol=100 * tolerance)
        assert_allclose(point.call("barrier_gradient", d)[1], -B.T @ scores, atol=100 * tolerance)
        P = oracles.projection(B)
        status, hessian = point.call("barrier_hessian", (d, d))
        assert status == point.status
        assert_allclose(hessian, B.T @ (3 * np.diag(scores) - 2 * P * P) @ B,
                        rtol=100 * tolerance, atol=1e3 * tolerance)
        assert_array_equal(hessian, hessian.T)
        assert_allclose(FUNCTIONS["barrier"](n, d, point.memory),
                        0.5 * np.linalg.slogdet(B.T @ B)[1], rtol=1e-12, atol=1e-12)
        T = np.full((d, d), np.nan)
        assert FUNCTIONS["gram_factor"](n, d, A, np.abs(slack), T, point.memory) == point.status
        assert_array_equal(T, np.triu(T))
        assert_allclose(T.T @ (B.T @ B) @ T, np.eye(d), atol=100 * tolerance)


def test_the_same_numbers_as_in_python():
    A, b, x = problem(100, 5)
    point = Point(A, A @ x - b)
    scores_at, barrier = LeverageMap(A, b), VolumetricBarrier(A, b)
    assert_array_equal(point.scores, scores_at.scores(x))
    assert_allclose(point.call("jvp", x, 100)[1], scores_at.jvp(x, x), rtol=0, atol=1e-15)
    assert_allclose(FUNCTIONS["barrier"](100, 5, point.memory), barrier.fun(x), rtol=1e-14)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_bad_slack(bad):
    A, b, x = problem(20, 3)
    slack = A @ x - b
    slack[7] = bad
    assert Point(A, slack).status == BAD_SLACK
    if not bad > 0:
        assert FUNCTIONS["gram_factor"](20, 3, A, np.abs(slack), np.empty((3, 3)),
                                        np.empty(FUNCTIONS["memory_size"](20, 3))) == NO_FACTOR


def test_no_factor():
    A, b, x = problem(20, 3)
    slack = A @ x - b
    assert Point(np.ascontiguousarray(A[:, [0, 1, 0]]), slack).status == NO_FACTOR
    assert Point(A[:2], slack[:2]).status == NO_FACTOR
    assert Point(1e200 * A, slack).status == NO_FACTOR
    A[3, 1] = np.nan
    assert Point(A, slack).status == NO_FACTOR


def test_ill_conditioned():
    A, b, x = problem(50, 3)
    A[:, 2] = A[:, 0] + 1e-3 * A[:, 2]
    point = Point(A, np.ones(50))
    assert point.status == ILL_CONDITIONED
    assert_allclose(point.scores, leverage_scores(A), atol=1e-9)


def vaidya_walk(A, b, x, radius, normals, uniforms):
    """The example in Python."""
    n, d = A.shape
    h = radius / (n * d) ** 0.25

    def information(x):
        slack = A @ x - b
        scores = leverage_scores(A, slack=slack)
        return A.T @ ((scores + d / n) / slack ** 2 * A.T).T

    def log_density(z, x):
        V = information(x)
        return 0.5 * np.linalg.slogdet(V)[1] - (z - x) @ V @ (z - x) / (2 * h ** 2)

    path = []                                 # V⁻¹ = T Tᵀ, T upper triangular
    for normal, uniform in zip(normals, uniforms, strict=True):
        T = np.linalg.cholesky(np.linalg.inv(information(x))[::-1, ::-1])[::-1, ::-1]
        z = x + h * T @ normal
        if (A @ z > b).all() and uniform < np.exp(log_density(x, z) - log_density(z, x)):
            x = z
        path.append(x)
    return np.array(path)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The example, compiled as a user would."""
    pytest.importorskip("Cython", reason="the example is compiled with Cython")
    linker = (sysconfig.get_config_var("LDSHARED") or "").split()
    if not linker or not shutil.which(linker[0]):
        pytest.skip("no compiler")
    folder = tmp_path_factory.mktemp("vaidya_walk")
    source = folder / "vaidya_walk.c"
    module = folder / f"vaidya_walk{sysconfig.get_config_var('EXT_SUFFIX')}"
    for command in ([sys.executable, "-m", "cython", "-3", EXAMPLE, "-o", source],
                    [*linker, "-O2", "-fPIC", f"-I{sysconfig.get_path('include')}", source, "-o",
                     module]):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    spec = importlib.util.spec_from_file_location("vaidya_walk", module)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_example(example):
    rng = np.random.default_rng(0)
    A = np.vstack([rng.standard_normal((30, 4)), np.eye(4), -np.eye(4)])
    b, steps = -np.ones(len(A)), 200
    normals, uniforms = rng.standard_normal((steps, 4)), rng.uniform(size=steps)
    path = np.empty((steps, 4))
    accepted = example.walk(A, b, np.zeros(4), 1.0, normals, uniforms, path)
    assert 0.2 * steps < accepted < steps
    assert accepted == (np.diff(path, axis=0, prepend=np.zeros((1, 4))).any(axis=1)).sum()
    assert (path @ A.T > b).all()
    assert_allclose(path, vaidya_walk(A, b, np.zeros(4), 1.0, normals, uniforms), atol=1e-9)
    with pytest.raises(ValueError, match="start must be inside"):
        example.walk(A, b, np.full(4, 2.0), 1.0, normals, uniforms, path)
