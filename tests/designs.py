"""Matrices to test with: memory layouts, hypothesis strategies, condition numbers to order."""
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def layouts(array):
    """The same numbers in memory in every way that NumPy knows, by name."""
    def backing(step):
        shape = tuple(size * step for size in array.shape)
        big = np.full(shape, np.nan)
        view = big[(slice(None, None, step),) * array.ndim]
        view[...] = array
        return view

    reverse = (slice(None, None, -1),) * array.ndim
    unaligned = np.zeros(array.size * 8 + 1,
                         dtype=np.uint8)[1:].view(np.float64).reshape(array.shape)
    unaligned[...] = array
    yield "C", np.ascontiguousarray(array)
    yield "Fortran", np.asfortranarray(array)
    yield "strided", backing(3)
    yield "reversed", np.ascontiguousarray(array[reverse])[reverse]
    yield "reversed Fortran", np.asfortranarray(array[reverse])[reverse]
    yield "big-endian", array.astype(">f8")
    yield "unaligned", unaligned
    if array.ndim == 2:
        yield "columns of a wider one", np.hstack([array, array])[:, :array.shape[1]]


LAYOUTS = ["C", "Fortran", "strided", "reversed", "reversed Fortran", "big-endian", "unaligned",
           "columns of a wider one"]


def frozen(*arrays):
    """Copies that may not be written to."""
    copies = [np.array(array) for array in arrays]
    for copy in copies:
        copy.flags.writeable = False
    return copies


def conditioned(rng, n, d, condition):
    """A random n x d matrix with the given condition number."""
    u = np.linalg.qr(rng.normal(size=(n, d)))[0]
    v = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return u * np.geomspace(1.0, 1.0 / condition, d) @ v.T


@st.composite
def integer_matrices(draw, max_rows=9, max_columns=4, full_rank=False):
    """Small integer matrices: often rank-deficient, with zero and parallel rows, never
    ill-conditioned.
    """
    d = draw(st.integers(1, max_columns))
    n = draw(st.integers(d if full_rank else 1, max_rows))
    A = draw(hnp.arrays(float, (n, d), elements=st.integers(-4, 4).map(float)))
    if full_rank:
        assume(np.linalg.matrix_rank(A) == d)
    return A


def magnitudes(n, decades):
    """Vectors (n,) of nonzero numbers of either sign over so many powers of ten each way."""
    power = st.floats(-decades, decades).map(lambda p: 10.0 ** p)
    sign = st.sampled_from([-1.0, 1.0])
    return st.lists(st.tuples(power, sign), min_size=n, max_size=n).map(
        lambda pairs: np.array([size * s for size, s in pairs]))
