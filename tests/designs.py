"""Matrices to test with: random designs, real data, memory layouts, hypothesis strategies."""
import itertools

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


# random designs

def gaussian(n, d, rng):
    return rng.standard_normal((n, d))


def cauchy(n, d, rng):
    return rng.standard_cauchy((n, d))


def scattered(n, d, rng):
    return rng.standard_normal((n, d)) * (rng.random((n, d)) < max(0.3, 3 / d))


def one_hot(n, d, rng):
    levels = max(2, d // 2)
    A = np.zeros((n, d))
    A[np.arange(n), rng.integers(0, levels, n)] = 1.0
    A[:, levels:] = rng.standard_normal((n, d - levels))
    return A


def polynomial(n, d, rng):
    return np.polynomial.chebyshev.chebvander(rng.uniform(-1, 1, n), d - 1)


def monomials(n, d, rng):
    """All monomials of low degree in a few variables, as a response-surface model has them."""
    variables = 1
    while len(exponents(variables, 3)) < d:
        variables += 1
    points = rng.uniform(-1, 1, (n, variables))
    return np.column_stack([np.prod(points ** np.array(e), axis=1)
                            for e in exponents(variables, 3)[:d]])


def exponents(variables, degree):
    everything = itertools.product(range(degree + 1), repeat=variables)
    return sorted((e for e in everything if sum(e) <= degree), key=lambda e: (sum(e), e))


DESIGNS = {f.__name__: f for f in (gaussian, cauchy, scattered, one_hot, polynomial, monomials)}


def regression_sets():
    """Real data: name, design with intercept, response. From statsmodels and scikit-learn."""
    import sklearn.datasets
    import statsmodels.api as sm

    def with_intercept(X):
        X = np.asarray(X, dtype=float)
        return np.column_stack([np.ones(len(X)), X])

    data = sklearn.datasets.load_diabetes(scaled=False)
    yield "diabetes", with_intercept(data.data), data.target
    data = sklearn.datasets.load_linnerud()
    yield "linnerud", with_intercept(data.data), data.target[:, 0]
    data = sklearn.datasets.load_iris()
    yield "iris", with_intercept(data.data[:, 1:]), data.data[:, 0]
    data = sklearn.datasets.load_wine()
    yield "wine", with_intercept(data.data[:, 1:]), data.data[:, 0]
    for name in ("longley", "stackloss", "scotland", "ccard", "statecrime", "star98", "engel",
                 "copper"):
        data = getattr(sm.datasets, name).load()
        response = np.asarray(data.endog, dtype=float)
        yield name, with_intercept(data.exog), response if response.ndim == 1 else response[:, 0]


def exceptional(n, d, rng, integers=False):
    """A, b, x and another x with the same scores: the rows of [A b] lie in two hyperplanes, so that
    |A x' - b| is a multiple of |A x - b|.
    """
    while True:
        if integers:
            A, x, other = (rng.integers(-4, 5, shape).astype(float) for shape in ((8 * n, d), d, d))
            factor = float(rng.choice([2.0, -2.0, 3.0, -3.0, 0.5]))
            A *= 4.0 * abs((1.0 + factor) * (1.0 - factor))
        else:
            A, x, other = (rng.standard_normal(shape) for shape in ((8 * n, d), d, d))
            factor = float(rng.choice([-1.0, 1.0]) * rng.uniform(1.1, 3.0))
        b = np.where(rng.random(8 * n) < 0.5, A @ (x + factor * other) / (1.0 + factor),
                     A @ (x - factor * other) / (1.0 - factor))
        b = np.round(b) if integers else b
        good = np.flatnonzero(A.any(axis=1) & (np.abs(A @ x - b) > 1e-6 * np.abs(A @ x - b).max()))
        A, b = A[good[:n]], b[good[:n]]
        if (len(b) == n and np.linalg.matrix_rank(np.column_stack([A, b])) == d + 1
                and np.linalg.matrix_rank(A) == d):
            return A, b, x, other
