"""The inversion of many problems: the compiled kernel first, then the general method.

The kernel (:mod:`levinv._kernels.many`) solves the problems whose decisions are clear and reports
the others, which go to :func:`levinv.invert_scores` one by one. Each problem has its own seed,
drawn from ``rng`` at the start, so the result does not depend on how the problems are divided among
calls and threads.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from levinv import _validate
from levinv._parallel import share, sharing
from levinv._screen import Screen
from levinv._tolerances import (
    BATCH_CHUNK,
    EVALUATIONS,
    PASS_ENTRIES,
)
from levinv._typing import Booleans, Floats, Integers, Seed, SignsLike
from levinv.inverse import shown
from levinv.inverse.compiled import Compiled, compiled_weighting, fits_kernel, kernel
from levinv.inverse.invert_scores import clipped_scores, invert_scores, usable_noise
from levinv.inverse.stages.branches import can_enumerate
from levinv.inverse.verdict.acceptance import chi_squared_limit
from levinv.weighting.arguments import model_and_response
from levinv.weighting.names import WeightingLike
from levinv.weighting.protocol import Power, Weighting


@dataclass(frozen=True, eq=False)
class _Problems:
    """The checked input. A leading dimension of 1 is shared by all problems."""

    A: Floats                      # (k or 1, n, d)
    b: Floats                      # (k, n)
    scores: Floats                 # (k, n), clipped to [0, 1]
    signs: Floats | None           # (k or 1, n)
    noise: Floats | None           # (k or 1, n)
    tol: float
    seeds: npt.NDArray[np.uint64]  # (k,)
    weighting: Weighting
    prior: Floats | None           # (k or 1, n) above 0

    @functools.cached_property
    def log_prior(self) -> Floats | None:
        """Logarithms of the prior weights, (k or 1, n)."""
        return None if self.prior is None else np.log(self.prior)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(k, n, d)."""
        return len(self.b), self.A.shape[1], self.A.shape[2]


@dataclass(frozen=True, eq=False)
class ManyResult:
    """Outcome of :func:`levinv.invert_many`, one entry for each of the k problems.

    Attributes
    ----------
    x : (k, d) ndarray
        The solutions, or the best points found.
    success : (k,) ndarray of bool
        As in :class:`levinv.InversionResult`, except that rows are not tested individually for
        outliers.
    unique : (k,) ndarray of bool
        Whether x is the only solution, as in :class:`levinv.InversionResult`.
    fun : (k,) ndarray
        Half the sum of squares of sigma(x) - c.
    nit : (k,) ndarray of int
        Iterations of all stages together.
    alternatives : tuple of (m, d) ndarray
        For each problem the m other x that were found to have the same scores, as in
        :class:`levinv.InversionResult`: with an even weighting and without an offset -x. ``unique``
        is False where there are some.

    Examples
    --------
    The scores of the second problem belong to no x:

    >>> import numpy as np
    >>> from levinv import invert_many, leverage_scores
    >>> rng = np.random.default_rng(0)
    >>> A, b, x = rng.standard_normal((30, 3)), rng.standard_normal(30), np.array([1.0, -2.0, 0.5])
    >>> scores = leverage_scores(A, slack=A @ x - b)
    >>> result = invert_many(A, [b, b], [scores, scores[::-1]], rng=0)
    >>> result.success
    array([ True, False])
    >>> result.x[result.success].round(10)
    array([[ 1. , -2. ,  0.5]])
    """

    x: Floats
    success: Booleans
    unique: Booleans
    fun: Floats
    nit: Integers
    alternatives: tuple[Floats, ...]

    def __repr__(self) -> str:
        return self._shown().text()

    def _repr_html_(self) -> str:
        return self._shown().html()

    def _shown(self) -> Screen:
        return shown.many(self.x, self.success, self.unique, self.nit)


def invert_many(A: npt.ArrayLike, b: npt.ArrayLike | None, scores: npt.ArrayLike, *,
                weighting: WeightingLike = None, offset: npt.ArrayLike | None = None,
                prior_weights: npt.ArrayLike | None = None,
                signs: SignsLike | None = None, noise: float | npt.ArrayLike | None = None,
                tol: float = 1e-8, rng: Seed = None,
                workers: int | None = None) -> ManyResult:
    """Find x from the leverage scores of diag(A x - b)⁻¹ A, for many problems of one size.

    The same as :func:`levinv.invert_scores` on each problem, in compiled code: thousands of small
    problems a second.

    Parameters
    ----------
    A : (k, n, d) or (n, d) array_like
        Real, n >= d; one matrix for each problem, or one for all.
    b, scores : (k, n) array_like
        As for :func:`levinv.invert_scores`, one row for each problem. With a ``weighting`` b may be
        None, which stands for zeros.
    weighting, offset
        As for :func:`levinv.invert_scores`, for all problems: the hat values of generalised linear
        models. ``offset`` is (k, n), and stands for b = -offset.
    prior_weights : (n,) or (k, n) array_like, optional
        As for :func:`levinv.invert_scores`, for all problems or for each.
    signs : None, +1, -1, (n,) or (k, n) array_like of +1 and -1
        Signs of the slack A x - b where they are known, for all problems or for each.
    noise : float, (n,) or (k, n) array_like, optional
        Standard deviation of the scores' error; for rounding to K decimals 10**-K / sqrt(12).
    tol, rng
        As for :func:`levinv.invert_scores`.
    workers : int, optional
        Number of threads that problems are shared among; default as in
        :func:`levinv.leverage_scores`. Results do not depend on it.

    Returns
    -------
    ManyResult
        With ``x, success, unique, fun, nit, alternatives``.

    Raises
    ------
    ValueError
        Wrong shapes or lengths, and all that :func:`levinv.invert_scores` refuses in one problem.
    TypeError
        Complex, object, string or sparse input; a number or rng of another type.

    See Also
    --------
    invert_scores : one problem of any kind, with a message and evidence

    Notes
    -----
    The compiled kernel does not solve problems with rank-deficient A, zero slacks, independent or
    unconnected rows, scores that no x has, more than 32 columns or more than 2000 rows. With noise
    and unknown signs it does not solve problems in which other signs explain the scores, too, and
    with other weightings than powers none so small that all combinations of signs are compared (512
    rows and 1 column, 64 and 2, 25 and 3). These go to :func:`levinv.invert_scores`, which is a
    hundred times slower. Call it to see why a problem failed. Of the weightings it knows
    powers, exponential ones and those of binomial regressions with any link; the latter with
    unknown signs and, for exact scores, 15 different rows.

    References
    ----------
    .. [1] Li, Song, Wang, Yin and Yu, "How to Inverting the Leverage Score Distribution?", arXiv
       2404.13785: the problem. The method is that of :func:`levinv.invert_scores`.

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import invert_many, leverage_scores
    >>> rng = np.random.default_rng(0)
    >>> A, b = rng.standard_normal((100, 40, 3)), rng.standard_normal((100, 40))
    >>> x = rng.standard_normal((100, 3))
    >>> slacks = np.einsum("knd,kd->kn", A, x) - b
    >>> result = invert_many(A, b, leverage_scores(A, slack=slacks), rng=0)
    >>> bool(result.success.all()), bool(np.allclose(result.x, x))
    (True, True)
    """
    problems = _checked(A, b, scores, signs, noise, tol, rng, weighting, offset, prior_weights)
    k, n, d = problems.shape
    out = _Found(np.zeros((k, d)), np.zeros(k, dtype=bool), np.zeros(k, dtype=bool),
                 np.zeros(k), np.zeros(k, dtype=np.intp), [np.zeros((0, d))] * k)
    compiled = compiled_weighting(problems.weighting, problems.prior is not None)
    size = int(np.clip(PASS_ENTRIES / (n * d ** 2), 1, BATCH_CHUNK))
    with sharing(workers, EVALUATIONS * 4 * k * n * d * d) as threads:
        share(lambda first: _invert(problems, compiled, slice(first, min(first + size, k)), out),
              range(0, k, size), threads)
        # one by one, since an interrupt is served between two problems
        share(lambda i: _invert_generally(problems, i, out), np.flatnonzero(~out.success).tolist(),
              threads)
    return ManyResult(out.x, out.success, out.unique, out.fun, out.nit, tuple(out.alternatives))


@dataclass(frozen=True, eq=False)
class _Found:
    """The fields of :class:`ManyResult` while threads fill them, each its own problems."""

    x: Floats
    success: Booleans
    unique: Booleans
    fun: Floats
    nit: Integers
    alternatives: list[Floats]


def _invert(problems: _Problems, compiled: Compiled | None, chunk: slice, out: _Found) -> None:
    """Solve the problems of a chunk that the kernel can solve."""
    _, n, d = problems.shape
    solved = np.zeros(chunk.stop - chunk.start, dtype=np.uint8)
    compared = can_enumerate(n, d)
    # of other weightings than powers the kernel tries one changed sign, not all cells
    left = (problems.noise is not None and problems.signs is None and compared
            and not isinstance(problems.weighting, Power))
    if compiled is not None and fits_kernel(n, d) and not left:
        signs, noise, log_prior = (None if array is None else _part(array, chunk) for array in
                                   (problems.signs, problems.noise, problems.log_prior))
        kernel.invert(
            _part(problems.A, chunk), _part(problems.b, chunk), _part(problems.scores, chunk),
            signs, noise, log_prior, problems.seeds[chunk], *compiled, problems.tol,
            chi_squared_limit(n - d), compared, out.x[chunk], out.fun[chunk], out.nit[chunk],
            solved, np.zeros((len(solved), kernel.RECORDS)))
    out.success[chunk], out.unique[chunk] = solved > 0, solved == 1
    for i in np.flatnonzero(solved == 2) + chunk.start:
        out.alternatives[i] = -out.x[i, None]


def _invert_generally(problems: _Problems, i: int, out: _Found) -> None:
    """Solve one problem by :func:`levinv.invert_scores`."""
    A, signs, noise, prior = (None if array is None else array[i if len(array) > 1 else 0]
                              for array in (problems.A, problems.signs, problems.noise,
                                            problems.prior))
    result = invert_scores(A, problems.b[i], problems.scores[i], weighting=problems.weighting,
                           prior_weights=prior, signs=signs, noise=noise, tol=problems.tol,
                           rng=int(problems.seeds[i]))
    for name in ("x", "success", "unique", "fun", "nit", "alternatives"):
        getattr(out, name)[i] = result[name]


def _part(array: Floats, chunk: slice) -> Floats:
    """A chunk of an array, or the array if all problems share it, in C order."""
    return np.ascontiguousarray(array if len(array) == 1 else array[chunk])


@dataclass(frozen=True)
class _Order:
    """The labels of the rows of A, and of the problems."""

    rows: _validate.Axis
    problems: _validate.Axis

    @classmethod
    def of(cls, A: npt.ArrayLike, **given: Any) -> _Order:
        """The labels of A, or of the first argument that has some."""
        tables = {name: value for name, value in given.items() if getattr(value, "ndim", 0) == 2}
        return cls(_validate.axes(A, **given).rows, _validate.first_labels(tables, 0))

    def table(self, value: npt.ArrayLike, name: str) -> Floats:
        """A number for each row of each problem, in the order of these labels."""
        array = self.rows.aligned(_validate.real_array(value, name, 2), value, name, axis=1)
        return self.problems.aligned(array, value, name)


def _checked(A: npt.ArrayLike, b: npt.ArrayLike | None, scores: npt.ArrayLike,
             signs: SignsLike | None, noise: npt.ArrayLike | None, tol: float, rng: Seed,
             weighting: WeightingLike, offset: npt.ArrayLike | None,
             prior_weights: npt.ArrayLike | None) -> _Problems:
    """Check the arguments of :func:`levinv.invert_many`; raise as documented there."""
    shared = _dimension(A) != 3
    order = _Order.of(A, b=b, offset=offset, scores=scores, noise=noise, signs=signs,
                      prior_weights=prior_weights)
    A = _validate.real_array(A, "A", 2 if shared else 3)
    if A.shape[-2] < A.shape[-1]:
        raise ValueError(f"A must have at least as many rows as columns, got shape {A.shape[-2:]}")
    A = _ordinary_sizes(A[None] if shared else A, "A")
    n = A.shape[1]
    b, k = _checked_response(b, offset, scores, None if shared else len(A), n, order)
    model, _ = model_and_response(weighting, None if b is None else np.zeros(n), None, None, n)
    b = np.zeros((k, n)) if b is None else _ordinary_sizes(_of_shape(b, "b", k, n), "b")
    if noise is not None:
        noise = _per_row(noise, "noise", k, n, order)
        _validate.refuse(noise <= 0, noise, "noise", "above 0")
        noise = usable_noise(noise)
    if prior_weights is not None:
        prior_weights = _per_row(prior_weights, "prior_weights", k, n, order)
        _validate.refuse(prior_weights <= 0, prior_weights, "prior_weights", "above 0")
    scores = _of_shape(order.table(scores, "scores"), "scores", k, n)
    if signs is not None:
        model.check_signs()
        signs = _per_row(signs, "signs", k, n, order)
        _validate.refuse(np.abs(signs) != 1.0, signs, "signs", "+1 or -1")
    scores = clipped_scores(scores, noise)
    tol = _validate.positive_number(tol, "tol")
    seeds = _validate.generator(rng, "rng").integers(2 ** 64, size=k, dtype=np.uint64)
    return _Problems(A, b, scores, signs, noise, tol, seeds, model.weighting, prior_weights)


def _checked_response(b: npt.ArrayLike | None, offset: npt.ArrayLike | None, scores: npt.ArrayLike,
                      k: int | None, n: int, order: _Order) -> tuple[Floats | None, int]:
    """b = -offset, of two dimensions, or None, and the number of problems if it is not k."""
    if b is not None and offset is not None:
        raise ValueError("b and offset must not both be given: b is -offset")
    if b is not None:
        b = order.table(b, "b")
        return b, len(b) if k is None else k
    if offset is not None:
        offset = order.table(offset, "offset")
        k = len(offset) if k is None else k
        return -_of_shape(offset, "offset", k, n), k
    return None, len(order.table(scores, "scores")) if k is None else k


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


def _per_row(value: npt.ArrayLike, name: str, k: int, n: int, order: _Order) -> Floats:
    """A (1, n) or (k, n) array from a scalar, a vector or a matrix."""
    dimension = _dimension(value)
    if dimension == 2:
        return _of_shape(order.table(value, name), name, k, n)
    value = np.full(n, value) if dimension == 0 else value
    return _validate.vector(value, name, n, "row of A", order.rows)[None]


def _ordinary_sizes(array: Floats, name: str) -> Floats:
    """Return the array, or raise if the largest entry of a problem is of extreme size."""
    axes = tuple(range(1, array.ndim))
    largest = np.maximum(array.max(axis=axes), -array.min(axis=axes))
    for value in largest[[largest.argmax(), largest.argmin()]]:
        _validate.ordinary_size(np.array([value]), name)
    return array
