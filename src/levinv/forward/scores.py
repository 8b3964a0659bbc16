"""Leverage scores of a matrix, of slack-scaled rows, of weighted rows."""
import warnings

import numpy as np
import scipy.linalg

from levinv import _validate
from levinv._threads import blas_threads
from levinv.forward.orthonormal import column_space, orthonormalise
from levinv.forward.projection import DependentZeroSlackError, quotient, row_scale
from levinv.rows import DenseRows

METHODS = ("auto", "cholesky", "qr")


def leverage_scores(A, *, slack=None, weights=None, method="auto", rcond=None, check_finite=True,
                    workers=None):
    """Leverage scores of the rows of a matrix: the diagonal of the projection onto its column
    space.

    With B = A, B = diag(1/slack) A or B = diag(sqrt(weights)) A, row i has the score
    sigma_i = b_i (BᵀB)⁺ b_iᵀ. Scores lie in [0, 1] and sum to the rank.

    Parameters
    ----------
    A : (n, d) array_like
        Real; integers and single precision are computed in double. Any memory layout; n < d is
        fine.
    slack : (n,) array_like, optional
        Divide row i by ``slack[i]``; signs do not matter. A zero slack gives the continuous limit:
        that row has score 1, the others their scores in the quotient by it.
    weights : (n,) array_like, optional
        Multiply row i by ``sqrt(weights[i])``, which is at least 0. At most one of slack and
        weights.
    method : {"auto", "cholesky", "qr"}, default "auto"
        "cholesky": one or two passes of a Cholesky factor of the Gram matrix, fastest; "qr":
        Householder QR with sorted rows and column pivoting, most accurate; "auto": the first
        unless the estimated condition number asks for the second.
    rcond : float, optional
        Columns, scaled to unit norm, count as dependent below this multiple of the largest pivot;
        default max(n, d) times the machine precision. A rank-deficient A has the scores of its
        column space.
    check_finite : bool, default True
        Check for NaN and inf. Without the check such input gives a meaningless result.
    workers : int, optional
        Number of threads BLAS may use; default 1.

    Returns
    -------
    scores : (n,) ndarray

    Raises
    ------
    ValueError
        Wrong shapes or lengths, empty input, NaN or inf, negative weights, both slack and weights,
        unknown method, negative rcond, linearly dependent rows that all have zero slack.
    TypeError
        Complex, object, string or sparse input.

    Warns
    -----
    scipy.linalg.LinAlgWarning
        ``method="cholesky"`` where the condition number is beyond its reach.

    Notes
    -----
    The error is at most about 100 ε κ, with κ the condition number of B after its columns are
    scaled to unit norm. Scores do not change when A is replaced by A T for an invertible T, nor
    with the scale of slack or weights.

    References
    ----------
    .. [1] Chatterjee and Hadi, "Influential observations, high leverage points, and outliers in
       linear regression", Statistical Science 1 (1986).
    .. [2] Cox and Higham, "Stability of Householder QR factorization for weighted least squares
       problems", Numerical Analysis 1997 (1998).

    Examples
    --------
    >>> import numpy as np
    >>> from levinv import leverage_scores
    >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 9.0]])
    >>> leverage_scores(A).round(3)
    array([0.43, 0.33, 0.27, 0.97])
    >>> leverage_scores(A, slack=[1.0, 2.0, 0.0, 3.0]).round(3)
    array([0.413, 0.026, 1.   , 0.562])
    """
    A = _validate.matrix(A, "A", check_finite=check_finite)
    n = A.shape[0]
    _validate.choice(method, "method", METHODS)
    if rcond is not None:
        rcond = _validate.positive_number(rcond, "rcond", zero=True)
    if slack is not None and weights is not None:
        raise ValueError("slack and weights cannot both be given")
    rows = DenseRows(A)
    with blas_threads(workers, 4 * A.size * A.shape[1]):
        if slack is not None:
            slack = np.abs(_validate.vector(slack, "slack", n, "row of A",
                                            check_finite=check_finite))
            scores, doubt = _slack_scores(rows, slack, method, rcond)
        elif weights is not None:
            weights = _validate.vector(weights, "weights", n, "row of A", check_finite=check_finite)
            if (weights < 0).any():
                index = int(np.argmax(weights < 0))
                raise ValueError(f"weights must be at least 0, got {weights[index]} at index "
                                 f"{index}")
            largest = weights.max()
            scale = np.sqrt(weights / largest) if largest > 0 else np.zeros(n)
            scores, doubt = _scaled_scores(rows, scale, method, rcond)
        else:
            scores, doubt = _scores(rows, None, None, method, rcond)
    if doubt:
        warnings.warn(f"method='cholesky' cannot be accurate here ({doubt}); use 'auto' or 'qr'",
                      scipy.linalg.LinAlgWarning, stacklevel=2)
    return scores


def _slack_scores(rows, slack, method, rcond):
    zero = np.flatnonzero(slack == 0)
    if not len(zero):
        return _scaled_scores(rows, row_scale(slack)[0], method, rcond)
    start = column_space(rows, rcond=rcond).transform
    left_out = slack == 0
    zero = zero[np.any(rows.block(zero), axis=1)]   # a zero row has score 0, whatever its slack
    try:
        null = start @ quotient(rows, zero, start)[0] if len(zero) else start
    except DependentZeroSlackError:
        raise ValueError(f"slack must be zero in linearly independent rows of A only (there is no "
                         f"limit otherwise), got zeros in rows {_listed(zero)}") from None
    scores, doubt = _scores(rows, row_scale(slack, left_out)[0], null, method, 0.0)
    scores[zero] = 1.0
    return scores, doubt


def _scaled_scores(rows, scale, method, rcond):
    found = orthonormalise(rows, scale, None, method=method, rcond=0.0)
    if found.method != "qr":
        return _read(rows, scale, found)
    # The rank is that of the rows themselves: what scaling makes small is not dependent.
    space = column_space(rows, scale > 0, rcond=rcond)
    return _scores(rows, scale, space.transform, method, 0.0)


def _scores(rows, scale, start, method, rcond):
    return _read(rows, scale, orthonormalise(rows, scale, start, method=method, rcond=rcond))


def _read(rows, scale, found):
    scores = rows.quad(scale, found.transform) if found.scores is None else found.scores
    return np.minimum(scores, 1.0, out=scores), found.doubt


def _listed(index):
    shown = ", ".join(str(i) for i in index[:5])
    return shown + (", ..." if len(index) > 5 else "")
