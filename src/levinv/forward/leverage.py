"""Leverage scores of a matrix, of slack-scaled and of weighted rows, and of stacks of matrices.

The rows are scaled by √w for given weights w, or w = 1/s² for a slack s; the scores are |u_i|² for
an orthonormal basis U of the range of the scaled rows (levinv.forward.basis). At zero slacks
(infinite weights) the scores are a limit, those of the quotient by these rows
(levinv.forward.projection). Scaling a column does not change the scores. Columns of subnormal
entries are therefore first multiplied by powers of two, which is exact.
"""
from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import cast

import numpy as np
import scipy.linalg
import scipy.sparse

from levinv import _tolerances, _validate, storage
from levinv._kernels.factor import triangular_inverse_factor
from levinv._kernels.scores import one_pass, row_scales
from levinv._parallel import count, share, sharing
from levinv._tolerances import CHUNK_WORK, SAFE_SIZE, SQUARABLE
from levinv._typing import Floats, Integers, MatrixLike, Seed, VectorLike
from levinv.forward import basis, projection
from levinv.forward import quotient as modulo
from levinv.forward.approximate import sketched_scores
from levinv.forward.many_weights import evaluate, numbered, serves, writes_into
from levinv.forward.more_scores import more_scores
from levinv.forward.row_scales import dependent_zeros, row_values, slack_scale, weight_scale
from levinv.storage import Rows
from levinv.storage.many_columns import WIDE_FORM, WIDE_GRAM

METHODS = ("auto", "cholesky", "qr", "sketch")


def leverage_scores(A: MatrixLike, *, slack: VectorLike | None = None,
                    weights: VectorLike | None = None, method: str = "auto",
                    rcond: float | None = None, check_finite: bool = True,
                    workers: int | None = None, rtol: float | None = None,
                    rng: Seed = None, ridge: VectorLike | None = None,
                    rows: MatrixLike | None = None, rank: int | None = None,
                    out: Floats | None = None) -> Floats:
    """Leverage scores of a matrix, of its scaled rows, or of each matrix of a stack.

    With B = A, B = diag(1/slack) A or B = diag(sqrt(weights)) A, row i has the score
    sigma_i = b_i (BᵀB)⁺ b_iᵀ: the diagonal of the projection onto the column space of B. Scores lie
    in [0, 1] and sum to the rank.

    Parameters
    ----------
    A : (n, d) or (..., n, d) array_like, data frame, or sparse, stored or dask array
        A matrix or a stack of matrices; a data frame of numbers; a matrix of scipy.sparse in any
        format; a matrix that is stored elsewhere: a file mapped into memory, or anything with a
        shape, a dtype and slices of rows, dense or sparse (a dataset of h5py or zarr, a matrix of
        anndata); or a dask array of known shape, whose blocks of rows stay where they are. Real;
        integers and single precision are converted to double. Any memory layout; n < d is allowed.
    slack : (n,), (k, n) or (..., n) array_like, optional
        Divide row i by ``slack[i]``. Its sign does not matter. A row with zero slack has score 1,
        and the other rows have the scores of the quotient by it: this is the continuous limit. A
        series is brought into the order of A by its labels, here and elsewhere. One matrix may
        have k slack vectors (k, n), which share what is computed from A; a stack of matrices has
        one vector for each, (..., n), or for all.
    weights : (n,), (k, n) or (..., n) array_like, optional
        Multiply row i by ``sqrt(weights[i])``; weights are at least 0. Give at most one of slack
        and weights.
    method : {"auto", "cholesky", "qr", "sketch"}, default "auto"
        "cholesky": one or two passes of a Cholesky factor of the Gram matrix, fastest. "qr":
        Householder QR with sorted rows and column pivoting, most accurate. "auto": "cholesky",
        or "qr" if the estimated condition number requires it. "sketch": random estimates for a
        sparse A with more columns than the other methods accept (see Notes); "auto" never chooses
        it.
    rcond : float, optional
        Columns, scaled to unit norm, count as dependent below this multiple of the largest pivot.
        Default: max(n, d) times the machine precision. The scores of a rank-deficient A are those
        of its column space.
    check_finite : bool, default True
        Check for NaN and inf. Without the check such input gives a meaningless result.
    workers : int, optional
        Number of threads that share the rows, or the matrices of a stack. Default: as many as BLAS
        may use, but one if a call takes less than about half a millisecond. Results do not depend
        on it.
    rtol : float, optional
        For ``method="sketch"``: the standard error of a score σ relative to σ and to 1 - σ,
        whichever is smaller. At most 1, default 0.1. It takes 2 / rtol² projections of random
        vectors.
    rng : None, int or numpy.random.Generator, optional
        For ``method="sketch"``. The same seed gives the same scores.
    ridge : float or (d,) array_like, optional
        Scores b_i (BᵀB + diag(ridge))⁺ b_iᵀ, as of ridge regression; at least 0. They sum to the
        effective degrees of freedom [3]_.
    rows : (m, d) array_like, sparse, stored or dask array, optional
        Scores r_i (BᵀB + diag(ridge))⁺ r_iᵀ of these new rows, each of weight 1, in place of those
        of A. They may exceed 1: the row is then far from those of A.
    rank : int, optional
        Scores of the best approximation of B of this rank: squared row norms of its first left
        singular vectors [4]_. They depend on the units of the columns. Not with ridge and rows.
    out : ndarray, optional
        Where to write the scores: a float64 array of their shape, which is also returned.

    Returns
    -------
    scores : (n,), (k, n), (..., n) or, with ``rows``, (m,) ndarray, pandas.Series or DataArray
        A series if the rows are those of a frame of pandas, with its index. An array if there are k
        slack or weight vectors.

    Raises
    ------
    ValueError
        * Wrong shapes or lengths, empty input, missing values, NaN or inf, other labels.
        * Negative weights, both slack and weights, unknown method, negative rcond.
        * Linearly dependent rows that all have zero slack; slacks over more than 300 orders of
          magnitude.
        * A sparse A of more than 20000 columns.
        * rtol or rng without ``method="sketch"``. With it: an A that is not of scipy.sparse, rcond,
          a zero slack, or an A that is too ill-conditioned.
        * Negative ridge. New rows outside of the row space of A (with a ridge: of A and the
          columns with a ridge), whose variance is infinite. A rank beyond that of B, or one whose
          singular value is equal to the next one: there is no best approximation of that rank.
    TypeError
        Complex, object or string input; sparse input other than A.

    Warns
    -----
    scipy.linalg.LinAlgWarning
        ``method="cholesky"`` if the condition number is too large for it.

    See Also
    --------
    LeverageMap : the scores as a function of x, with derivatives
    forster_weights : weights for which rows have given scores

    Notes
    -----
    The error is at most about 100 ε κ, where κ is the condition number of B after its columns are
    scaled to unit norm. In the limit at zero slacks it is at least the change of the scores when
    entries of A change by ε; this may be large if rows of tiny slack are nearly parallel modulo a
    row of zero slack. The scores do not change if A is replaced by A T for an invertible T, nor
    with the unit of slack or weights.

    A sparse A, of at most 20000 columns, costs O(Σ nnz_i² + d³) and a few d x d matrices, with
    nnz_i entries in row i. If κ exceeds about 64, or if rows scaled by slack or weights have
    dependent columns, it costs O(n d²) more. Only a block of rows is dense at a time.

    ``method="sketch"`` takes k = ceil(2 / rtol²) random projections and no d x d matrix. The
    standard error of a score σ is at most rtol σ (1 - σ) / √(σ² + (1 - σ)²), its bias is of the
    order of rtol² σ (1 - σ). Small scores are distributed as σ χ²_k / k, or more closely about σ;
    scores of 0 and 1 have the solver's error only. The largest of n relative errors is about
    rtol √(2 log n), 5 rtol for 300000 rows; the sum is not exactly the rank. The solver's error
    adds at most rtol σ / 20 and rtol √(1 - σ) / 20.

    The solver first has to find known answers with the same matrix, or ValueError is raised. With
    columns scaled to unit norm, singular values of B between 0 and about 1e-9 are refused. Those
    below max(n, d, 64) ε / 4 count as 0 if they are also 0 for A without slack or weights. If the
    solver is slow, a sparse factor of the Gram matrix helps, provided it has at most 2²⁷ entries.
    NaN and inf are always checked for.

    Every pass reads a stored A block by block, on as many threads as there are workers. If κ is
    moderate, there are two passes.

    References
    ----------
    .. [1] Chatterjee and Hadi, "Influential observations, high leverage points, and outliers in
       linear regression", Statistical Science 1 (1986).
    .. [2] Cox and Higham, "Stability of Householder QR factorization for weighted least squares
       problems", Numerical Analysis 1997 (1998).
    .. [3] Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd ed., 3.4.1.
    .. [4] Papailiopoulos, Kyrillidis and Boutsidis, "Provable deterministic leverage score
       sampling", KDD (2014).

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import leverage_scores
    >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 9.0]])
    >>> leverage_scores(A).round(3)
    array([0.43, 0.33, 0.27, 0.97])
    >>> leverage_scores(A, slack=[1.0, 2.0, 0.0, 3.0]).round(3)
    array([0.413, 0.026, 1.   , 0.562])
    >>> leverage_scores(A, ridge=1.0).round(3)
    array([0.299, 0.234, 0.203, 0.948])
    >>> leverage_scores(A, rows=[[1.0, 3.0], [1.0, 20.0]]).round(3)
    array([0.25, 6.03])
    >>> leverage_scores(A, rank=1).round(3)
    array([0.   , 0.015, 0.051, 0.934])
    >>> leverage_scores(A, slack=[[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 0.0, 3.0]]).round(3)
    array([[0.43 , 0.33 , 0.27 , 0.97 ],
           [0.413, 0.026, 1.   , 0.562]])
    """
    source, axes = A, None
    if type(A) is not np.ndarray:
        A, axes = _validate.beneath(A), _validate.axes(A)
    if slack is not None and weights is not None:
        raise ValueError("slack and weights cannot both be given")
    kind, given = ("weights", weights) if slack is None else ("slack", slack)
    if method == "sketch":
        for name, value in (("ridge", ridge), ("rows", rows), ("rank", rank)):
            if value is not None:
                raise ValueError(f"{name} must be None with method='sketch', got "
                                 f"{type(value).__name__}")
        return _returned(_sketch(A, slack, weights, rcond, workers, rtol, rng), A, out)
    if rtol is not None or rng is not None:
        raise ValueError(f"{'rng' if rtol is None else 'rtol'} belongs to method='sketch', got "
                         f"method={method!r}")
    if ridge is not None or rows is not None or rank is not None:
        more = more_scores(A, kind, given, ridge, rows, rank, method, rcond, check_finite, workers,
                           axes or _validate.NO_LABELS)
        return _returned(_with_doubt(*more), source if rows is None else rows, out)
    dense = type(A) is np.ndarray or not (scipy.sparse.issparse(A) or _validate.is_dask(A)
                                      or _validate.is_streamed(A))
    if dense:
        A = _validate.real_array(A, "A", None, check_finite=check_finite and axes is not None)
    else:
        A = _validate.matrix(A, "A", check_finite=False, sparse=True)
    if method not in METHODS:
        _validate.choice(method, "method", METHODS)
    if rcond is not None:
        rcond = _validate.positive_number(rcond, "rcond", zero=True)
    plain = given if type(given) is np.ndarray else None
    ndim: int = A.ndim
    many = given is not None and (_validate.dimensions(given) if plain is None
                                  else plain.ndim) == ndim
    values = None if given is None else row_values(given, kind, A, axes and axes.rows,
                                                   check_finite and plain is None, many)
    in_one_pass = method != "qr" and rcond is None
    work = A.size * A.shape[-1] if dense else CHUNK_WORK
    if many and values is not None:
        _validate.output(out, values.shape)
        return _with_doubt(*_many_scores(A, kind, values, method, rcond, check_finite, workers,
                                         in_one_pass, out))
    if in_one_pass and ndim == 2 and work < CHUNK_WORK:      # a single chunk, for one thread
        if workers is not None:
            _validate.positive_int(workers, "workers")
        one, condition = np.empty((1, len(A))), np.empty(1)
        one_pass(A[None], None if values is None else values[None], kind == "weights",
                 _tolerances.ONE_PASS_CONDITION, one, condition)
        if condition[0] <= _tolerances.ONE_PASS_CONDITION:
            return (one.ravel() if axes is None and out is None
                    else _returned(one.ravel(), source, out))
    stored = storage.of(A) if ndim == 2 else None
    workers = count(workers, 4 * work if stored is None else stored.flops)
    if stored is not None:
        stored.workers = workers
        scores, doubt = _matrix_scores(A, stored, kind, values, method, rcond, check_finite)
    else:
        scores, doubt = _stack_scores(A, kind, values, method, rcond, check_finite, workers,
                                      in_one_pass)
    return _returned(_with_doubt(scores, doubt), source, out)


def _returned(scores: Floats, matrix: MatrixLike, out: Floats | None) -> Floats:
    """``out`` with the scores, or the scores with the labels of the rows that they belong to."""
    if out is None:
        # for a type checker an array: it cannot tell a frame from a matrix of unknown type
        return cast("Floats", _validate.labelled(scores, matrix, "leverage_score"))
    _validate.output(out, scores.shape)
    out[...] = scores
    return out


def _with_doubt(scores: Floats, doubt: str) -> Floats:
    """The scores, with a warning of the doubt at the line of the public call."""
    if doubt:
        warnings.warn(f"method='cholesky' cannot be accurate here ({doubt}); use 'auto' or 'qr'",
                      scipy.linalg.LinAlgWarning, stacklevel=3)
    return scores


def _sketch(A: MatrixLike, slack: VectorLike | None, weights: VectorLike | None,
            rcond: float | None, workers: int | None, rtol: float | None, rng: Seed) -> Floats:
    """Scores (n,) by :mod:`levinv.forward.approximate`."""
    if not scipy.sparse.issparse(A):
        raise ValueError(f"A must be a matrix of scipy.sparse with method='sketch', got "
                         f"{type(A).__name__}")
    if rcond is not None:
        raise ValueError(f"rcond must be None with method='sketch', got {rcond!r}")
    A = _validate.matrix(A, "A", sparse=True)
    rtol = _tolerances.SKETCH_RTOL if rtol is None else _validate.positive_number(rtol, "rtol")
    if rtol > 1.0:
        raise ValueError(f"rtol must be at most 1, got {rtol}")
    rng = _validate.generator(rng, "rng")
    if workers is not None:
        _validate.positive_int(workers, "workers")
    scale = None
    if slack is not None:
        magnitude = np.abs(_validate.vector(slack, "slack", A.shape[0], "row of A"))
        if not magnitude.all():
            raise ValueError(f"slack must not be zero with method='sketch', got 0 at index "
                             f"{int(np.argmin(magnitude))}")
        scale = projection.row_scale(magnitude)[0]
    elif weights is not None:
        scale = weight_scale(_validate.vector(weights, "weights", A.shape[0], "row of A"))
    return sketched_scores(A, scale, rtol, rng, workers)


def _stack_scores(A: Floats, kind: str, values: Floats | None, method: str,
                  rcond: float | None, check_finite: bool, workers: int,
                  in_one_pass: bool) -> tuple[Floats, str]:
    """Scores (..., n) of a stack of matrices, and the doubts (see :class:`Basis`)."""
    stack = A.reshape(-1, *A.shape[-2:])
    m, n, d = stack.shape
    rows = None if values is None else np.ascontiguousarray(values).reshape(m, n)
    out, condition = np.empty((m, n)), np.full(m, np.inf)
    if in_one_pass and d <= WIDE_FORM:
        step = max(1, _tolerances.PASS_ENTRIES // (n * (d + 1) ** 2))       # by multiply-adds

        def work(first: int) -> None:
            part = slice(first, first + step)
            one_pass(stack[part], None if rows is None else rows[part], kind == "weights",
                     _tolerances.ONE_PASS_CONDITION, out[part], condition[part])

        share(work, range(0, m, step), workers)
    left = np.flatnonzero(~(condition <= _tolerances.ONE_PASS_CONDITION))
    if check_finite and len(left):               # the message names an index in the stack
        _validate.finite(A, "A")
        if values is not None:
            _validate.finite(values, kind)
    if values is not None and kind == "weights" and len(left):
        _validate.refuse(values < 0, values, "weights", "at least 0")
    doubts = []
    for i in left:
        out[i], doubt = _matrix_scores(stack[i], storage.of(stack[i], workers), kind,
                                       None if rows is None else rows[i], method, rcond, False)
        doubts += [f"matrix {i} of the stack: {doubt}"] if doubt else []
    return out.reshape(A.shape[:-1]), "; ".join(doubts[:3])


def _many_scores(A: MatrixLike, kind: str, values: Floats, method: str, rcond: float | None,
                 check_finite: bool, workers: int | None, in_one_pass: bool,
                 out: Floats | None) -> tuple[Floats, str]:
    """Scores (k, n) of one matrix for k slacks or weights, and the doubts (see :class:`Basis`)."""
    left: Sequence[int] | Integers = range(len(values))
    if in_one_pass and serves(A):
        into = out if out is not None and writes_into(out, values, A) else None
        found = evaluate(A, values, kind == "slack", workers, out=into)
        scores, left = found.scores, np.flatnonzero(~found.served)
    else:
        scores = np.empty(values.shape)
    if len(left):
        if check_finite:
            _validate.finite(values, kind)
        if kind == "weights":
            _validate.refuse(values < 0, values, "weights", "at least 0")
        stored = storage.of(A)
        stored.workers = count(workers, stored.flops)
    doubts = []
    for i in left:
        with numbered(kind, i):
            scores[i], doubt = _matrix_scores(A, stored, kind, values[i], method, rcond,
                                              check_finite)
        doubts += [f"{kind}[{i}]: {doubt}"] if doubt else []
    if out is not None and scores is not out:
        out[...] = scores
    return scores if out is None else out, "; ".join(doubts[:3])


def _matrix_scores(A: MatrixLike, rows: Rows, kind: str, values: Floats | None, method: str,
                   rcond: float | None, check_finite: bool) -> tuple[Floats, str]:
    """Scores (n,) of one matrix, and the doubt (see :class:`Basis`)."""
    scale = with_zeros = gram = None
    if values is not None:
        scale = row_scales(values, kind == "weights")
        if scale is not None and kind == "slack" and scale.min() < SAFE_SIZE ** -3:
            scale = None                                     # refused below
    if check_finite and values is not None and scale is None:
        _validate.finite(values, kind)
    if values is None or scale is not None:
        pass
    elif kind == "weights":
        scale = weight_scale(values)
    elif values.all():
        scale = slack_scale(np.abs(values))
    else:
        with_zeros = np.abs(values)
    d = A.shape[1]
    if method != "qr" and with_zeros is None:
        # Up to WIDE_GRAM columns no BLAS is called, whose threads would have to be limited.
        with sharing(rows.workers, rows.flops if d > WIDE_GRAM else 0.0):
            gram = rows.gram(scale)
        if rcond is None and d <= _tolerances.UNBLOCKED_COLUMNS:     # its factor needs no BLAS
            transform, condition = triangular_inverse_factor(gram.copy())
            if condition <= _tolerances.ONE_PASS_CONDITION:
                scores = rows.quad(scale, transform)
                return np.minimum(scores, 1.0, out=scores), ""
    if check_finite and (gram is None or not np.isfinite(np.trace(gram))):
        _validate.finite(A, "A")
    if gram is None or not basis.accurate_squares(np.diag(gram)):
        if (rows.in_memory and scale is not None and values is not None
                and 0 < np.count_nonzero(scale) < len(scale)):
            used, scores = np.flatnonzero(scale), np.zeros(len(scale))
            scores[used], doubt = _matrix_scores(A, rows.part(used), kind, values[used], method,
                                                 rcond, False)
            return scores, doubt             # only rows of positive scale determine the columns
        largest = rows.column_max()
        if largest[largest > 0].min(initial=1.0) < SQUARABLE ** 2:     # 1 / it may overflow
            rows = rows.with_columns_times(basis.column_units(largest))
            gram = None
    with sharing(rows.workers, rows.flops):
        if with_zeros is not None:
            return _slack_limit(rows, with_zeros, method, rcond)
        if scale is None:
            return _scores(rows, None, None, method, rcond, gram)
        if method != "qr":
            found = basis.basis_by_gram(rows, scale, None, method=method, rcond=0.0, gram=gram)
            if found is not None:
                return _read(rows, scale, found)
        # The rank is that of the unscaled rows: a column that scaling makes small is not dependent.
        columns = basis.independent_columns(rows, scale > 0, rcond=rcond)
        return _scores(rows, scale, columns, method, 0.0)


def _slack_limit(rows: Rows, slack: Floats, method: str,
                 rcond: float | None) -> tuple[Floats, str]:
    """Scores (n,) and the doubt (see :class:`Basis`) if some slacks are zero."""
    left_out = slack == 0
    zero = np.flatnonzero(left_out & rows.nonzero())   # a zero row has score 0 for any slack
    scale = slack_scale(slack, left_out)
    columns = basis.independent_columns(rows, rcond=rcond)
    try:
        if len(zero):
            columns = modulo.balanced(rows, scale, zero, columns)
            columns = modulo.quotient(rows, zero, columns)[0]
            scale[modulo.spanned(rows, columns)] = 0.0
    except modulo.DependentZeroSlackError:
        raise dependent_zeros(zero) from None
    scores, doubt = _scores(rows, scale, columns, method, 0.0)
    scores[zero] = 1.0
    return scores, doubt


def _scores(rows: Rows, scale: Floats | None, columns: Floats | None, method: str,
            rcond: float | None, gram: Floats | None = None) -> tuple[Floats, str]:
    """Scores (n,) and the doubt for the columns A ``columns``."""
    some = columns is not None and columns.shape[1] < rows.shape[1]
    with np.errstate(over="ignore"):         # the scores of a QR do not need the transform
        found = basis.orthonormal_basis(
            rows, scale, columns, method=method, rcond=rcond, gram=gram,
            one_pass_condition=(basis.INDEPENDENT_CONDITION if some
                                else _tolerances.ONE_PASS_CONDITION))
    if found.scores is None and not np.isfinite(found.transform).all():
        raise ValueError("A must not have rows or columns so small that a basis overflows (choose "
                         "other units)")
    return _read(rows, scale, found)


def _read(rows: Rows, scale: Floats | None, found: basis.Basis) -> tuple[Floats, str]:
    scores = rows.quad(scale, found.transform) if found.scores is None else found.scores
    return np.minimum(scores, 1.0, out=scores), found.doubt
