"""The same numbers in whatever array they come: the same answers, and the input as it was."""
import warnings

import numpy as np
import pytest
import scipy.sparse
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from numpy.testing import assert_allclose

import levinv

N, D = 14, 3
TYPES = ["f8", ">f8", "f4", ">f4", "f2", ">f2", "g", "i1", "i8", ">i4", "u2", "?"]


def strided_apart(array, steps):
    """A view whose strides, in entries, are these times those in C order; the rest is nan."""
    shape = [size * abs(step) for size, step in zip(array.shape, steps, strict=True)]
    filler = np.nan if array.dtype.kind == "f" else 1
    view = np.full(shape, filler, dtype=array.dtype)[tuple(slice(None, None, s) for s in steps)]
    view[...] = array
    return view


def at_odd_address(array):
    raw = np.zeros(array.nbytes + 1, dtype=np.uint8)[1:]
    view = raw.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def field_of_records(array):
    records = np.zeros(array.shape, dtype=[("before", "u1"), ("value", array.dtype)])
    records["value"] = array
    return records["value"]


def overlapping(array):
    """Windows over one vector: other numbers, each in several places."""
    vector = np.resize(array.ravel(), sum(array.shape))
    return as_strided(vector, array.shape, vector.strides * array.ndim, writeable=False)


def one_for_all(array):
    """The first row, or number, over and over."""
    return np.broadcast_to(array[:1], array.shape)


def matrix(array):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.asmatrix(array)


class Other(np.ndarray):
    """A subclass with a mind of its own."""

    def __array_finalize__(self, other):
        self.unit = getattr(other, "unit", "m")

    def __array_ufunc__(self, *_, **__):
        raise AssertionError("an operation on the subclass")


FORMS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda array: strided_apart(array, (3, 2)[:array.ndim]),
    "backwards": lambda array: strided_apart(array, (-1, -1)[:array.ndim]),
    "backwards and strided": lambda array: strided_apart(array, (-2, 3)[:array.ndim]),
    "rows backwards": lambda array: strided_apart(array, (-2, 1)[:array.ndim]),
    "odd address": at_odd_address,
    "field of records": field_of_records,
    "overlapping": overlapping,
    "one for all": one_for_all,
    "matrix": lambda array: matrix(array) if array.ndim == 2 else array,
    "masked": np.ma.MaskedArray,
    "subclass": lambda array: array.view(Other),
    "list": np.ndarray.tolist,
}
OTHER_NUMBERS = ["overlapping", "one for all"]


def disguises(shape):
    """Arrays of a shape with entries of order one, disguised, and what they are."""
    def make(seed, dtype, form, frozen):
        values = 3.0 * np.random.default_rng(seed).standard_normal(shape)
        array = FORMS[form](np.abs(values).astype(dtype) if dtype == "u2" else
                            values.astype(dtype))
        if frozen and isinstance(array, np.ndarray):
            array.flags.writeable = False
        return array

    return st.builds(make, st.integers(0, 99), st.sampled_from(TYPES), st.sampled_from([*FORMS]),
                     st.booleans())


def plain(value):
    """A copy as kernels like it best."""
    return np.array(np.asarray(value), dtype=np.float64, order="C")


def memory(value):
    """All bytes an array may have written to, or the list itself."""
    while isinstance(getattr(value, "base", None), np.ndarray):
        value = value.base
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


def outcome(call, *arguments):
    """The arrays that a call returns, or the type and the words of its refusal."""
    try:
        result = call(*arguments)
    except (ValueError, TypeError) as error:
        return [type(error).__name__, str(error).split(",")[0]]
    return result if isinstance(result, list) else [result]


def with_map(A, b, x, y):
    at = levinv.LeverageMap(A, b)
    return [at.slack(x), at.scores(x), at.jacobian(x), at.jvp(x, x), at.vjp(x, y)]


def with_loss(A, b, x, y):
    loss = levinv.ScoreLoss(A, b, y, ridge=np.abs(plain(y)))
    return [loss.fun(x), loss.grad(x), loss.hess(x), loss.hessp(x, x), loss.hess_terms(x)]


def with_barrier(A, b, x, y):
    barrier, loss = levinv.VolumetricBarrier(A, b), levinv.GradientLoss(A, b, x)
    return [barrier.fun(x), barrier.grad(x), barrier.hess(x), loss.fun(x), loss.grad(x),
            loss.hess(x)]


CALLS = {
    "scores": lambda A, b, x, y: levinv.leverage_scores(A),
    "scores with a slack": lambda A, b, x, y: levinv.leverage_scores(A, slack=b),
    "scores with weights": lambda A, b, x, y: levinv.leverage_scores(A, weights=y),
    "scores by QR": lambda A, b, x, y: levinv.leverage_scores(A, slack=y, method="qr"),
    "map": with_map,
    "loss": with_loss,
    "barrier": with_barrier,
    "weights": lambda A, b, x, y: levinv.forster_weights(A),
}


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=40)
@given(disguises((N, D)), disguises((N,)), disguises((D,)), disguises((N,)))
def test_same_answers(name, A, b, x, y):
    check(CALLS[name], [A, b, x, y])


def check(call, arguments):
    before = [memory(argument) for argument in arguments]
    found, expected = outcome(call, *arguments), outcome(call, *map(plain, arguments))
    assert [memory(argument) for argument in arguments] == before
    assert len(found) == len(expected)
    for value, right in zip(found, expected, strict=True):
        if isinstance(right, str):
            assert value == right
        else:
            assert type(value) is type(right)
            assert_allclose(value, right, rtol=0, atol=1e-10 * max(1.0, np.abs(right).max()))


@settings(max_examples=12)
@given(disguises((N, D)), disguises((N,)), st.sampled_from([*FORMS]))
def test_same_inversions(A, b, form):
    slack = plain(A) @ [0.3, -0.7, 0.5] - plain(b)
    assume(np.abs(slack).min() > 1e-2 and np.linalg.cond(plain(A)) < 100)
    scores, signs = levinv.leverage_scores(plain(A), slack=slack), np.sign(slack).astype("i1")
    assume(scores.max() < 1.0 - 1e-2)
    gradient = -plain(A).T @ (scores / slack)

    def invert(A, b, scores, signs, gradient):
        many = levinv.invert_many(np.asarray(A)[None], np.asarray(b)[None],
                                  np.asarray(scores)[None], signs=signs)
        return [levinv.invert_scores(A, b, scores, signs=signs).x, many.x,
                levinv.invert_gradient(A, b, gradient, signs=signs).x]

    disguise = FORMS["C" if form in OTHER_NUMBERS else form]
    check(invert, [A, b, disguise(scores), disguise(signs), disguise(gradient)])


@pytest.mark.parametrize("form", [form for form in FORMS
                                  if form not in ("list", *OTHER_NUMBERS)])
@pytest.mark.parametrize("part", ["data", "indices", "indptr"])
@pytest.mark.parametrize("kind", ["csr", "csc", "bsr"])
def test_parts_of_sparse_matrices(kind, part, form):
    rng = np.random.default_rng(0)
    A = scipy.sparse.random_array((40, 6), density=0.5, rng=rng, format="csr")
    b, x = rng.standard_normal(40), rng.standard_normal(6)
    given = A.asformat(kind)
    values = getattr(given, part)
    for dtype in (values.dtype, values.dtype.newbyteorder(">")):
        if values.ndim == 1:
            setattr(given, part, FORMS[form](values.astype(dtype)))
        before = memory(getattr(given, part))
        at, right = levinv.LeverageMap(given, b), levinv.LeverageMap(A, b)
        assert_allclose(at.scores(x), right.scores(x), rtol=1e-13)
        assert_allclose(at.jacobian(x), right.jacobian(x), rtol=0, atol=1e-12)
        assert memory(getattr(given, part)) == before
