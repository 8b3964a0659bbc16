"""Factorisations of the accuracy rule: pivoted Cholesky of a Gram matrix, pivoted QR of sorted
rows.
"""
from libc.math cimport sqrt

from levinv._kernels.linalg cimport blas_int, geqp3, orgqr, pstrf, trtri

import numpy as np


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
    cdef Py_ssize_t k = gram.shape[0], i, j, rank = 0
    out = np.zeros((k, k))
    cdef double[:, ::1] transform = out
    cdef double[::1] work = np.zeros(3 * k)
    cdef double* column_scale = &work[2 * k]
    cdef blas_int[::1] pivots = np.zeros(k, dtype=np.intc if sizeof(blas_int) == 4 else np.int64)
    cdef double total = 0.0
    cdef int info
    with nogil:
        for i in range(k):
            column_scale[i] = 1.0 / sqrt(gram[i, i]) if gram[i, i] > 0.0 else 0.0
        for i in range(k):
            for j in range(k):
                gram[i, j] *= column_scale[i] * column_scale[j]
        info = pstrf(k, &gram[0, 0], k, &pivots[0], &rank, tolerance, &work[0])
        if info == 0 and rank == k:
            info = trtri(k, &gram[0, 0], k)
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
    cdef int info
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
