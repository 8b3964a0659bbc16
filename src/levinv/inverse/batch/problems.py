"""The checked input of the inversion of many problems."""
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from levinv import _validate
from levinv._typing import Floats, Seed, SignsLike
from levinv.inverse.scores_given import clipped_scores, usable_noise


@dataclass(frozen=True, eq=False)
class Problems:
    """The checked input. A leading dimension of 1 is shared by all problems."""

    A: Floats                      # (k or 1, n, d)
    b: Floats                      # (k, n)
    scores: Floats                 # (k, n), clipped to [0, 1]
    signs: Floats | None           # (k or 1, n)
    noise: Floats | None           # (k or 1, n)
    tol: float
    seeds: npt.NDArray[np.uint64]  # (k,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(k, n, d)."""
        return len(self.b), self.A.shape[1], self.A.shape[2]


def check(A: npt.ArrayLike, b: npt.ArrayLike, scores: npt.ArrayLike, signs: SignsLike | None,
          noise: npt.ArrayLike | None, tol: float, rng: Seed) -> Problems:
    """Check the arguments of :func:`levinv.invert_many`; raise as documented there."""
    shared = _dimension(A) != 3
    A = _validate.real_array(A, "A", 2 if shared else 3)
    if A.shape[-2] < A.shape[-1]:
        raise ValueError(f"A must have at least as many rows as columns, got shape {A.shape[-2:]}")
    A = _ordinary_sizes(A[None] if shared else A, "A")
    b = _validate.real_array(b, "b", 2)
    k, n = len(b) if shared else len(A), A.shape[1]
    b = _ordinary_sizes(_of_shape(b, "b", k, n), "b")
    if noise is not None:
        noise = _per_row(noise, "noise", k, n)
        _validate.refuse(noise <= 0, noise, "noise", "above 0")
        noise = usable_noise(noise)
    scores = _of_shape(_validate.real_array(scores, "scores", 2), "scores", k, n)
    if signs is not None:
        signs = _per_row(signs, "signs", k, n)
        _validate.refuse(np.abs(signs) != 1.0, signs, "signs", "+1 or -1")
    scores = clipped_scores(scores, noise)
    tol = _validate.positive_number(tol, "tol")
    seeds = _validate.generator(rng, "rng").integers(2 ** 64, size=k, dtype=np.uint64)
    return Problems(A, b, scores, signs, noise, tol, seeds)


def _dimension(value: npt.ArrayLike) -> int:
    """Number of dimensions; 1 for lists of unequal length, which ``_validate`` refuses."""
    try:
        return np.ndim(value)
    except ValueError:
        return 1


def _of_shape(array: Floats, name: str, k: int, n: int) -> Floats:
    if array.shape != (k, n):
        raise ValueError(f"{name} must have shape {(k, n)}, one row per problem and one column per "
                         f"row of A, got {array.shape}")
    return array


def _per_row(value: npt.ArrayLike, name: str, k: int, n: int) -> Floats:
    """A (1, n) or (k, n) array from a scalar, a vector or a matrix."""
    dimension = _dimension(value)
    if dimension == 2:
        return _of_shape(_validate.real_array(value, name, 2), name, k, n)
    value = np.full(n, value) if dimension == 0 else value
    return _validate.vector(value, name, n, "row of A")[None]


def _ordinary_sizes(array: Floats, name: str) -> Floats:
    """Return the array, or raise if the largest entry of a problem is of extreme size."""
    axes = tuple(range(1, array.ndim))
    largest = np.maximum(array.max(axis=axes), -array.min(axis=axes))
    for value in largest[[largest.argmax(), largest.argmin()]]:
        _validate.ordinary_size(np.array([value]), name)
    return array
