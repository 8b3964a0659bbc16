"""Errors name the argument, what was expected and what came."""
import fractions
import re

import numpy as np
import pytest
import scipy.sparse

from levinv import LeverageMap, _validate, leverage_scores

A = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
b = np.array([1.0, 2.0, 3.0])
x = np.array([0.5, -0.5])
y = np.array([1.0, 0.0, -1.0])


def with_entry(array, value):
    changed = array.copy()
    changed.flat[-1] = value
    return changed


# Each argument that is an array, by name: a valid value, and the call with another one in its
# place.
CALLS = {
    "A": (A, leverage_scores),
    "slack": (b, lambda value: leverage_scores(A, slack=value)),
    "weights": (b, lambda value: leverage_scores(A, weights=value)),
    "A of a map": (A, lambda value: LeverageMap(value, b)),
    "b": (b, lambda value: LeverageMap(A, value)),
    "x of slack": (x, LeverageMap(A, b).slack),
    "x": (x, LeverageMap(A, b).scores),
    "x of jacobian": (x, LeverageMap(A, b).jacobian),
    "x of jvp": (x, lambda value: LeverageMap(A, b).jvp(value, x)),
    "x of vjp": (x, lambda value: LeverageMap(A, b).vjp(value, y)),
    "v": (x, lambda value: LeverageMap(A, b).jvp(x, value)),
    "y": (y, lambda value: LeverageMap(A, b).vjp(x, value)),
}
ARRAYS = pytest.mark.parametrize("argument", CALLS)
VECTORS = pytest.mark.parametrize("argument", [name for name in CALLS if CALLS[name][0].ndim == 1])
MATRICES = pytest.mark.parametrize("argument", [name for name in CALLS if CALLS[name][0].ndim == 2])


def refuse(error, argument, value, message):
    """The call fails with a message that opens with the argument's name and these words."""
    with pytest.raises(error, match=f"^{argument.split()[0]} {re.escape(message)}"):
        CALLS[argument][1](value)


@ARRAYS
def test_valid_values_are_accepted(argument):
    valid, call = CALLS[argument]
    call(valid)
    call(valid.tolist())


@ARRAYS
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(argument, value):
    valid = CALLS[argument][0]
    last = len(valid) - 1 if valid.ndim == 1 else (len(valid) - 1, valid.shape[1] - 1)
    refuse(ValueError, argument, with_entry(valid, value),
           f"must be finite, got NaN or inf at index {last}")


@ARRAYS
def test_complex(argument):
    refuse(TypeError, argument, CALLS[argument][0] + 0j,
           "must hold real numbers, got dtype complex128")


@ARRAYS
def test_object(argument):
    valid = CALLS[argument][0]
    value = np.array([fractions.Fraction(entry) for entry in valid.ravel()]).reshape(valid.shape)
    refuse(TypeError, argument, value, "must hold real numbers, got dtype object")


@ARRAYS
@pytest.mark.parametrize("dtype", ["U8", "S8"])
def test_string(argument, dtype):
    refuse(TypeError, argument, CALLS[argument][0].astype(dtype),
           "must hold real numbers, got dtype")


@ARRAYS
def test_dates(argument):
    dates = CALLS[argument][0].astype("M8[s]")
    refuse(TypeError, argument, dates, "must hold real numbers, got dtype datetime64")


@VECTORS
@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.coo_matrix])
def test_sparse(argument, kind):
    value = kind(np.atleast_2d(CALLS[argument][0]))
    refuse(TypeError, argument, value,
           f"must be a dense array, got a sparse {kind.__name__}; convert")


@ARRAYS
def test_masked(argument):
    valid = CALLS[argument][0]
    masked = np.ma.masked_array(valid, mask=valid == valid.flat[0])
    refuse(TypeError, argument, masked, "must not have masked entries, got 1")
    CALLS[argument][1](np.ma.masked_array(valid))


@ARRAYS
def test_ragged(argument):
    number = "one" if CALLS[argument][0].ndim == 1 else "two"
    refuse(ValueError, argument, [[1.0, 2.0], [3.0]],
           f"must be a {number}-dimensional array of real numbers")


@pytest.mark.parametrize("argument", [name for name in CALLS if name not in ("slack", "weights")])
def test_none(argument):
    refuse(TypeError, argument, None, "must hold real numbers, got dtype object")


@VECTORS
@pytest.mark.parametrize("value", [1.0, np.ones((3, 1)), np.ones((1, 5)), np.ones((2, 2, 2))])
def test_vector_of_other_dimension(argument, value):
    n = len(CALLS[argument][0])
    many = argument in ("slack", "weights", "x", "x of slack") and np.ndim(value) == 2
    refuse(ValueError, argument, value,
           f"must have shape ({n},) or (k, {n}), one entry per " if many else
           f"must be a one-dimensional array, got shape {np.shape(value)}")


@MATRICES
@pytest.mark.parametrize("value", [1.0, np.ones(3)])
def test_matrix_of_other_dimension(argument, value):
    refuse(ValueError, argument, value,
           f"must be a two-dimensional array, got shape {np.shape(value)}")


@VECTORS
@pytest.mark.parametrize("length", [1, 4])
def test_vector_of_other_length(argument, length):
    n = len(CALLS[argument][0])
    of = "row of A" if n == 3 else "column of A"
    refuse(ValueError, argument, np.ones(length),
           f"must have length {n}, one entry per {of}, got {length}")


@MATRICES
@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (0, 0)])
def test_empty_matrix(argument, shape):
    refuse(ValueError, argument, np.ones(shape), f"must not be empty, got shape {shape}")


@VECTORS
def test_empty_vector(argument):
    refuse(ValueError, argument, [], "must not be empty, got shape (0,)")


@pytest.mark.parametrize("method", ["QR", "svd", "", None, 3])
def test_unknown_method(method):
    message = f"^method must be one of 'auto', 'cholesky', 'qr', 'sketch', got {method!r}$"
    with pytest.raises(ValueError, match=message):
        leverage_scores(A, method=method)


def test_both_slack_and_weights():
    with pytest.raises(ValueError, match="^slack and weights cannot both be given$"):
        leverage_scores(A, slack=b, weights=b)


def test_negative_weights():
    with pytest.raises(ValueError, match="^weights must be at least 0, got -2.0 at index 1$"):
        leverage_scores(A, weights=[1.0, -2.0, -3.0])


@pytest.mark.parametrize("slack, rows",
                         [([0.0, 0.0, 1.0, 1.0], "0, 1"), ([1.0, 0.0, 0.0, 0.0], "1, 2, 3")])
def test_dependent_rows_of_zero_slack(slack, rows):
    dependent = np.array([[1.0, 2.0], [2.0, 4.0], [1.0, 0.0], [3.0, 3.0]])
    message = f"^slack must be zero in linearly independent rows.*got zeros in rows {rows}$"
    with pytest.raises(ValueError, match=message):
        leverage_scores(dependent, slack=slack)
    with pytest.raises(ValueError,
                       match="^x must not make the slack of linearly dependent rows zero"):
        LeverageMap(dependent, -np.array(slack)).scores([0.0, 0.0])


@pytest.mark.parametrize("workers, error", [(0, ValueError), (-1, ValueError), (1.0, TypeError),
                                            ("2", TypeError), (True, TypeError)])
def test_bad_workers(workers, error):
    with pytest.raises(error, match="^workers must be (at least 1|an integer), got "):
        leverage_scores(A, workers=workers)


@pytest.mark.parametrize("rcond, error",
                         [(-1e-9, ValueError), (np.nan, ValueError), (np.inf, ValueError),
                          ("small", TypeError), (1j, TypeError), (True, TypeError)])
def test_bad_rcond(rcond, error):
    with pytest.raises(error, match="^rcond must be (at least 0 and finite|a real number), got "):
        leverage_scores(A, rcond=rcond)


def test_options_are_keywords():
    with pytest.raises(TypeError, match="positional argument"):
        leverage_scores(A, b)


def test_a_failed_call_leaves_the_map_as_it_was():
    leverage = LeverageMap(A, b)
    expected = leverage.scores(x)
    with pytest.raises(ValueError, match="x must be finite"):
        leverage.scores([np.nan, 0.0])
    assert (leverage.scores(x) == expected).all()


@pytest.mark.parametrize("place", [0, 6, 7, 13, 29])
def test_not_finite_in_any_block(monkeypatch, place):
    monkeypatch.setattr(_validate, "PASS_ENTRIES", 7)
    A = np.ones((10, 3))
    for given in (A, scipy.sparse.csr_array(A)):
        _validate.matrix(given, "A", sparse=True)
    A.ravel()[place] = np.inf
    for given in (A, scipy.sparse.csr_array(A)):
        with pytest.raises(ValueError, match=rf"at index \({place // 3}, {place % 3}\)"):
            _validate.matrix(given, "A", sparse=True)
