"""Every allocation of a call made to fail in turn: MemoryError each time, nothing left behind, and
the same call, on the same object, right afterwards.

    python tests/allocations.py      every one, four minutes; the suite takes a selection

The k-th allocation of the call fails, for k = 1, 2, ... until it has no k-th: workspaces of the
kernels (all of them come from ``tiles_allocate``, which has a switch for this), and the data of
NumPy's arrays, for which NumPy lets the allocator be replaced.
"""
import contextlib
import ctypes
import gc
import sys

import numpy as np
import scipy.sparse
import threadpoolctl

import levinv
from leaks import handed_out
from levinv import _parallel
from levinv import storage as rows
from levinv._kernels import dense
from levinv.forward import cholesky

SOME = 1.3                # from one number to the next where not every one is tried


class Workspaces:
    """Those of the kernels."""

    name = "workspaces"
    ours = True

    @contextlib.contextmanager
    def failing(self, which):
        """While this lasts that allocation fails; yields a list that is not empty afterwards if it
        came.
        """
        came = []
        dense.fail_allocation(which)
        try:
            yield came
        finally:
            if dense.fail_allocation(0) == 0:
                came.append(which)


class _Handler(ctypes.Structure):
    """PyDataMem_Handler of NumPy's C interface."""

    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8),
                ("context", ctypes.c_void_p)] + [
        (name, ctypes.c_void_p) for name in ("malloc", "calloc", "realloc", "free")]


class Arrays:
    """The data of NumPy's arrays, in this thread."""

    name = "arrays"
    ours = False             # some fail inside NumPy and SciPy, which may find another way
    SET_HANDLER = 304                            # its place in the table of the C interface
    SIGNATURES = {"malloc": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t),
                  "calloc": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t),
                  "realloc": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)}

    def __init__(self):
        python = ctypes.pythonapi
        python.PyCapsule_GetPointer.restype = ctypes.c_void_p
        python.PyCapsule_GetPointer.argtypes = ctypes.py_object, ctypes.c_char_p
        python.PyCapsule_New.restype = ctypes.py_object
        python.PyCapsule_New.argtypes = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
        table = python.PyCapsule_GetPointer(_array_interface(), None)
        address = ctypes.cast(table, ctypes.POINTER(ctypes.c_void_p))[self.SET_HANDLER]
        self._set = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(address)
        self.left = 0
        # the capsule of the default handler is to be had by replacing it
        usual = self._set(python.PyCapsule_New(ctypes.addressof(_Handler()), b"mem_handler", None))
        self._set(usual)
        given = _Handler.from_address(python.PyCapsule_GetPointer(usual, b"mem_handler"))
        # freeing is not for Python to do: an exception may be on its way
        self._handler = _Handler(b"failing", 1, given.context, free=given.free)
        self._calls = []                         # kept alive
        for name, signature in self.SIGNATURES.items():
            kind = ctypes.PYFUNCTYPE(*signature)
            self._calls.append(kind(self._counted(kind(getattr(given, name)))))
            setattr(self._handler, name, ctypes.cast(self._calls[-1], ctypes.c_void_p))
        self._capsule = python.PyCapsule_New(ctypes.addressof(self._handler), b"mem_handler", None)

    def _counted(self, call):
        def allocate(*arguments):
            if self.left:
                self.left -= 1
                if not self.left:
                    return None
            return call(*arguments)
        return allocate

    @contextlib.contextmanager
    def failing(self, which):
        """As :meth:`Workspaces.failing`."""
        came = []
        usual = self._set(self._capsule)
        self.left = which
        try:
            yield came
        finally:
            if self.left == 0:
                came.append(which)
            self.left = 0
            self._set(usual)


def _array_interface():
    try:
        from numpy._core import _multiarray_umath
    except ImportError:                          # NumPy 1
        from numpy.core import _multiarray_umath
    return _multiarray_umath._ARRAY_API


def calls():
    """Calls by name that take the kernels' every module, and objects that are used again."""
    rng = np.random.default_rng(0)
    A, b, x, other = (rng.standard_normal(shape) for shape in ((60, 4), 60, 4, 4))
    slack, weights, stack = A @ x - b, rng.random(60), rng.standard_normal((3, 60, 4))
    wide = rng.standard_normal((300, 66))                        # of the large factorisations
    very_wide = rng.standard_normal((530, 515))                  # with ill-conditioned columns
    very_wide[:, 7] = very_wide[:, 300] + 1e-3 * very_wide[:, 7]
    square = np.eye(515) + 1e-4 * (very_wide.T @ very_wide)
    long = rng.standard_normal((30_000, 12))                     # in several chunks
    heavy = np.r_[1e-9, np.ones(59)]                             # a score close to 1
    sparse = scipy.sparse.random_array((300, 40), density=0.08, rng=0, format="csr")
    crowded = scipy.sparse.random_array((80, 20), density=0.9, rng=0, format="csr")
    at = levinv.LeverageMap(A, b)
    scores = at.scores(x)
    loss, barrier = levinv.ScoreLoss(A, b, scores, ridge=0.1), levinv.VolumetricBarrier(A, b)
    short, few = levinv.ScoreLoss(A[:10], b[:10], scores[:10]), levinv.LeverageMap(A[:5], b[:5])
    gradient = levinv.GradientLoss(A, b, barrier.grad(other))
    thinned = levinv.ScoreLoss(sparse, np.ones(300), np.full(300, 0.1))

    def each(*methods):
        """Evaluated where the object was not at last."""
        return lambda: [method(point) for point in (other[:4], x) for method in methods]

    return {
        "scores": lambda: levinv.leverage_scores(A, slack=slack),
        "scores with weights": lambda: levinv.leverage_scores(A, weights=weights),
        "scores by QR": lambda: levinv.leverage_scores(A, method="qr"),
        "scores of many columns": lambda: levinv.leverage_scores(wide),
        "scores of very many columns": lambda: levinv.leverage_scores(very_wide, workers=1),
        "derivatives of very many columns": lambda: levinv.LeverageMap(
            very_wide, np.ones(530)).jvp(np.ones(515), np.ones(515)),
        "a factor on two threads": lambda: cholesky.triangular_inverse_factor(square.copy(), 2),
        "scores in chunks": lambda: levinv.leverage_scores(long, workers=2),
        "scores close to 1": lambda: levinv.leverage_scores(A, slack=heavy),
        "scores of many slacks": lambda: levinv.leverage_scores(A, slack=[slack, heavy, 2 * slack]),
        "scores of a stack": lambda: levinv.leverage_scores(stack),
        "scores of sparse rows": lambda: levinv.leverage_scores(sparse),
        "scores of sparse rows by QR": lambda: levinv.leverage_scores(sparse, method="qr"),
        "scores of crowded rows": lambda: levinv.leverage_scores(crowded),
        "a map": lambda: levinv.LeverageMap(A, b).scores(x),
        "a logit map": lambda: levinv.LeverageMap(A, b, weighting="binomial").scores(x),
        "derivatives": each(at.jacobian, lambda point: at.jvp(point, x),
                            lambda point: at.vjp(point, b)),
        "many points": lambda: [
            found for method in (at.scores, loss.fun, loss.grad, barrier.fun, barrier.grad)
            for found in method(np.array([x, other]))],
        "a loss": each(loss.fun, loss.grad, loss.hess, loss.hess_terms,
                       lambda point: loss.hessp(point, x)),
        "short derivatives": each(few.jacobian),
        "a short loss": each(short.fun, short.grad, short.hess),
        "a sparse loss": lambda: [thinned.grad(np.full(40, c)) for c in (2.0, 3.0)],
        "a sparse Hessian": lambda: [thinned.hess(np.full(40, c)) for c in (2.0, 3.0)],
        "lengths of sparse rows": lambda: rows.of(sparse).quad(),
        "sparse weights": lambda: levinv.forster_weights(crowded),
        "a sparse inversion from a point": lambda: _parts(levinv.invert_scores(
            sparse, np.ones(300), np.full(300, 0.1), x0=np.full(40, 2.0), method="trust-region",
            maxiter=2)),
        "a barrier": each(barrier.fun, barrier.grad, barrier.hess),
        "a gradient loss": each(gradient.fun, gradient.grad, gradient.hess),
        "weights": lambda: levinv.forster_weights(A),
        "an inversion": lambda: _parts(levinv.invert_scores(A, b, scores, rng=0)),
        "an inversion with noise": lambda: _parts(
            levinv.invert_scores(A, b, scores.round(4), noise=1e-4 / 12 ** 0.5, rng=0)),
        "an inversion from a point": lambda: _parts(
            levinv.invert_scores(A, b, scores, x0=x + 1e-3, method="trust-region")),
        "many inversions": lambda: _parts(levinv.invert_many(A, [b, b], [scores, scores], rng=0)),
        "an inversion of a gradient": lambda: _parts(
            levinv.invert_gradient(A, b, barrier.grad(x), signs=np.sign(slack))),
    }


def _parts(result):
    return [result.x, result.fun]


def blas_threads():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]


def fail_in_turn(call, allocations, step=1.0):
    """Let allocations 1, 2, ... fail, or some of them for a ``step`` above 1; how many failed."""
    expected, threads = call(), blas_threads()
    which, failed = 1, 0
    while True:
        found = None
        with allocations.failing(which) as came:
            try:
                found = call()
            except MemoryError:
                pass
        if allocations.ours or not came:
            assert (found is None) == bool(came), f"allocation {which} of {allocations.name}"
        assert not _parallel._helpers.working and not _parallel._limit.users
        for values in (found, call()):
            if values is not None:
                np.testing.assert_equal(values, expected)        # to the last bit
        assert blas_threads() == threads
        if not came:
            return failed
        which, failed = max(which + 1, int(step * which)), failed + 1


def main():
    print("allocations          call                        failed  bytes left")
    for allocations in (Workspaces(), Arrays()):
        for name, call in calls().items():
            fail_in_turn(call, allocations, SOME)               # what is kept for good is now kept
            gc.collect()
            before = handed_out()
            failed = fail_in_turn(call, allocations)
            gc.collect()
            print(f"{allocations.name:20} {name:27} {failed:6}  {handed_out() - before:+10d}",
                  flush=True)


if __name__ == "__main__":
    sys.exit(main())
