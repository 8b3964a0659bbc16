"""The factorisations that the accuracy rule chooses from: Cholesky of a Gram matrix, without and
with pivots, and pivoted QR of sorted rows.
"""
from libc.math cimport INFINITY, sqrt
from libc.string cimport memset

from kernel_settings cimport SQUARABLE, UNBLOCKED_COLUMNS
from levinv._kernels.linalg cimport blas_int, geqp3, orgqr, potrf, pstrf, trtri

import numpy as np


cdef double inverse_factor(double* gram, Py_ssize_t k, Py_ssize_t width, double* column_scale,
                           double* transform) noexcept nogil:
    """Upper triangular T = D⁻¹R⁻¹ with Tᵀ gram T = I, from the upper triangle of a Gram matrix.

    D = diag(gram)^(1/2), D⁻¹ gram D⁻¹ = RᵀR. ``gram`` (row-major, rows ``width`` apart) is
    overwritten. ``transform`` has the same layout and is zero outside T. Returns the Frobenius norm
    of R⁻¹ (see :func:`gram_inverse_factor`), inf if there is no factor in double precision, or nan
    if the diagonal holds nan or inf.
    """
    cdef Py_ssize_t i, j, l
    cdef double total = 0.0, factor
    cdef double* row
    cdef double* other
    memset(transform, 0, k * width * sizeof(double))
    for i in range(k):
        factor = gram[i * width + i]
        if not (SQUARABLE * SQUARABLE < factor < 1.0 / (SQUARABLE * SQUARABLE)):
            return factor - factor + INFINITY                 # nan for nan and inf
        column_scale[i] = 1.0 / sqrt(factor)
    for i in range(k):
        row = gram + i * width
        for j in range(i, k):
            row[j] = row[j] * column_scale[i] * column_scale[j]
    if k > UNBLOCKED_COLUMNS:                             # upper by rows is lower by columns
        if potrf(k, gram, width) != 0 or trtri(True, k, gram, width) != 0:
            return INFINITY
        for i in range(k):
            for j in range(i, k):
                factor = gram[i * width + j]
                total = total + factor * factor
                transform[i * width + j] = column_scale[i] * factor
        return sqrt(total)
    for l in range(k):
        row = gram + l * width
        if not row[l] > 0.0:
            return INFINITY
        factor = 1.0 / sqrt(row[l])
        for j in range(l, k):
            row[j] = factor * row[j]
        for i in range(l + 1, k):
            other = gram + i * width
            factor = row[i]
            for j in range(i, k):
                other[j] = other[j] - factor * row[j]
    for i in range(k - 1, -1, -1):                # rows of R⁻¹ from the last one up
        row = transform + i * width
        row[i] = 1.0
        for l in range(i + 1, k):
            factor = gram[i * width + l]
            other = transform + l * width
            for j in range(l, k):
                row[j] = row[j] - factor * other[j]
        factor = 1.0 / gram[i * width + i]
        for j in range(i, k):
            row[j] = factor * row[j]
            total = total + row[j] * row[j]
    for i in range(k):
        for j in range(i, k):
            transform[i * width + j] = column_scale[i] * transform[i * width + j]
    return sqrt(total)


def triangular_inverse_factor(double[:, ::1] gram):
    """Upper triangular T with Tᵀ gram T = I, and its condition as in :func:`gram_inverse_factor`.

    ``gram`` is overwritten. The condition is inf where there is no factor in double precision, nan
    where the diagonal of ``gram`` holds nan or inf; T is then useless.
    """
    cdef Py_ssize_t k = gram.shape[0]
    out = np.empty((k, k))
    cdef double[:, ::1] transform = out
    cdef double[::1] column_scale = np.empty(k)
    cdef double condition
    with nogil:
        condition = inverse_factor(&gram[0, 0], k, k, &column_scale[0], &transform[0, 0])
    return out, condition


def gram_inverse_factor(double[:, ::1] gram, double tolerance):
    """Inverse Cholesky factor of a Gram matrix whose columns are first scaled to unit norm.

    With D = diag(gram)^(1/2) and Pᵀ D⁻¹ gram D⁻¹ P = RᵀR, the factor is T = D⁻¹ P R⁻¹, so that
    Tᵀ gram T = I. Pivoting orders the columns of T by importance: a dominating row of the matrix
    behind the Gram matrix lies along the first of them.

    Parameters
    ----------
    gram : (k, k) array, overwritten.
    tolerance : pivots at or below it (unit diagonal) end the factorisation.

    Returns
    -------
    transform : (k, k) array, zeros when the numerical rank is below k.
    rank : int
    condition : float, the Frobenius norm of R⁻¹: between the 2-norm condition number of the scaled
        matrix divided by sqrt(k) and sqrt(k) times it. inf when rank < k.
    """
    cdef Py_ssize_t k = gram.shape[0], i, j
    cdef blas_int rank = 0, info
    out = np.zeros((k, k))
    cdef double[:, ::1] transform = out
    cdef double[::1] work = np.zeros(3 * k)
    cdef double* column_scale = &work[2 * k]
    cdef blas_int[::1] pivots = np.zeros(k, dtype=np.intc if sizeof(blas_int) == 4 else np.int64)
    cdef double total = 0.0
    with nogil:
        for i in range(k):
            column_scale[i] = 1.0 / sqrt(gram[i, i]) if gram[i, i] > 0.0 else 0.0
        for i in range(k):
            for j in range(k):
                gram[i, j] *= column_scale[i] * column_scale[j]
        info = pstrf(k, &gram[0, 0], k, &pivots[0], &rank, tolerance, &work[0])
        if info == 0 and rank == k:
            info = trtri(False, k, &gram[0, 0], k)
            for j in range(k):    # the inverse, column-major: R⁻¹[i, j] = gram[j, i]
                for i in range(j + 1):
                    total += gram[j, i] * gram[j, i]
                    transform[pivots[i] - 1, j] = column_scale[pivots[i] - 1] * gram[j, i]
    if info != 0 or rank < k:
        return np.zeros((k, k)), rank, np.inf
    return out, rank, sqrt(total)


def pivoted_qr(double[::1, :] matrix):
    """Householder QR with column pivoting; ``matrix`` (m x k, column-major) is overwritten.

    Rows sorted by decreasing norm make it row-wise backward stable (Cox and Higham, 1998).

    Returns
    -------
    r : (min(m, k), k) array, upper triangular.
    pivots : (k,) array of int, the columns in the order in which they were taken.
    info : int, LAPACK's: 0 unless an argument was illegal.
    The first min(m, k) columns of Q replace those of ``matrix``.
    """
    cdef Py_ssize_t m = matrix.shape[0], k = matrix.shape[1], q = min(m, k), i, j, lwork
    cdef double query = 0.0, query_q = 0.0
    order = np.zeros(k, dtype=np.intc if sizeof(blas_int) == 4 else np.int64)
    cdef blas_int[::1] pivots = order
    cdef double[::1] tau = np.empty(q)
    cdef blas_int info
    geqp3(m, k, &matrix[0, 0], m, &pivots[0], &tau[0], &query, -1)
    orgqr(m, q, q, &matrix[0, 0], m, &tau[0], &query_q, -1)
    lwork = <Py_ssize_t> max(query, query_q)
    cdef double[::1] work = np.empty(lwork)
    upper = np.zeros((q, k))
    cdef double[:, ::1] r = upper
    with nogil:
        info = geqp3(m, k, &matrix[0, 0], m, &pivots[0], &tau[0], &work[0], lwork)
        for i in range(q):
            for j in range(i, k):
                r[i, j] = matrix[i, j]
        if info == 0:
            info = orgqr(m, q, q, &matrix[0, 0], m, &tau[0], &work[0], lwork)
    return upper, order - 1, info
