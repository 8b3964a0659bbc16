"""The factorisations that the accuracy rule chooses from: Cholesky of a Gram matrix, without and
with pivots, and pivoted QR of sorted rows.

A Gram matrix M = RᵀR is factored, and R inverted, by blocks J of columns, from the first to the
last. T = R⁻¹, and < and > stand for the columns before and after J:

    diagonal    R_JJ from M_JJ, T_JJ = R_JJ⁻¹
    prepare     R_J> = T_JJᵀ M_J>,  R_<J <- R_<J T_JJ
    finish      M_>> <- M_>> - R_J>ᵀ R_J>,  T_<J = -T_<< R_<J

All but the first are products of strips of columns or rows, which threads may share. LAPACK inverts
a triangle, and solves with one, at half the speed of its products; that the blocks on the diagonal
are inverted costs no accuracy that matters where T itself is used.
"""
from libc.math cimport INFINITY, sqrt
from libc.string cimport memset

from kernel_settings cimport L1_BYTES, SQUARABLE, UNBLOCKED_COLUMNS
from levinv._kernels.linalg cimport (blas_int, gemm, gemm_nn, geqp3, orgqr, pstrf, trmm_left,
                                     trmm_right)
from levinv._kernels.tiles cimport tiles

import numpy as np


cdef Py_ssize_t SIDE = <Py_ssize_t> sqrt(L1_BYTES / 8.0)     # of a square that fits the cache


cpdef Py_ssize_t block_size(Py_ssize_t k) noexcept nogil:
    """Columns of a block. Those on the diagonal are factored by loops, or by smaller blocks."""
    return UNBLOCKED_COLUMNS * min(1 + k // (8 * UNBLOCKED_COLUMNS), 4)


cdef bint small_cholesky(double* a, Py_ssize_t k, Py_ssize_t lda) noexcept nogil:
    """The upper triangle of a <- R with RᵀR = a, by loops; False if a pivot is not positive."""
    cdef Py_ssize_t i, j, l
    cdef double factor
    cdef double* row
    cdef double* other
    for l in range(k):
        row = a + l * lda
        if not row[l] > 0.0:
            return False
        factor = 1.0 / sqrt(row[l])
        for j in range(l, k):
            row[j] = factor * row[j]
        for i in range(l + 1, k):
            other = a + i * lda
            factor = row[i]
            for j in range(i, k):
                other[j] = other[j] - factor * row[j]
    return True


cdef void small_inverse(const double* r, Py_ssize_t k, Py_ssize_t ldr, double* t,
                        Py_ssize_t ldt) noexcept nogil:
    """t <- R⁻¹ (zero below the diagonal before), by loops."""
    cdef Py_ssize_t i, j, l
    cdef double factor
    cdef double* row
    cdef double* other
    for i in range(k - 1, -1, -1):                # rows of R⁻¹ from the last one up
        row = t + i * ldt
        row[i] = 1.0
        for l in range(i + 1, k):
            factor = r[i * ldr + l]
            other = t + l * ldt
            for j in range(l, k):
                row[j] = row[j] - factor * other[j]
        factor = 1.0 / r[i * ldr + i]
        for j in range(i, k):
            row[j] = factor * row[j]


cdef bint diagonal_block(double* a, Py_ssize_t lda, double* t, Py_ssize_t ldt, Py_ssize_t first,
                         Py_ssize_t last, bint factored) noexcept nogil:
    """R and T in the diagonal block of columns ``first`` to ``last``."""
    a = a + first * lda + first
    t = t + first * ldt + first
    if last - first > UNBLOCKED_COLUMNS:
        return by_blocks(a, last - first, lda, t, ldt, UNBLOCKED_COLUMNS, factored)
    if not factored and not small_cholesky(a, last - first, lda):
        return False
    small_inverse(a, last - first, lda, t, ldt)
    return True


cdef void prepare_strip(double* a, Py_ssize_t lda, const double* t, Py_ssize_t ldt,
                        Py_ssize_t first, Py_ssize_t last, Py_ssize_t begin,
                        Py_ssize_t end) noexcept nogil:
    """A strip of columns: of R = T_JJᵀ A. One of rows: of R T_JJ, which takes the place of R."""
    cdef const double* diagonal = t + first * ldt + first
    if begin >= last:
        trmm_left(last - first, end - begin, diagonal, ldt, a + first * lda + begin, lda)
    else:
        trmm_right(end - begin, last - first, diagonal, ldt, a + begin * lda + first, lda)


cdef void finish_strip(double* a, Py_ssize_t lda, double* t, Py_ssize_t ldt, Py_ssize_t first,
                       Py_ssize_t last, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """A strip of columns: of the Schur complement A - RᵀR. One of rows: of T = -T (R T_JJ)."""
    cdef Py_ssize_t place, until
    if begin >= last:
        if begin > last:
            gemm(begin - last, end - begin, last - first, -1.0, a + first * lda + last, lda,
                 a + first * lda + begin, lda, 1.0, a + last * lda + begin, lda)
        for place from begin <= place < end by UNBLOCKED_COLUMNS:     # on the diagonal
            until = min(place + UNBLOCKED_COLUMNS, end)
            gemm(until - begin, until - place, last - first, -1.0, a + first * lda + begin, lda,
                 a + first * lda + place, lda, 1.0, a + begin * lda + place, lda)
    else:
        gemm_nn(end - begin, last - first, first - begin, -1.0, t + begin * ldt + begin, ldt,
                a + begin * lda + first, lda, 0.0, t + begin * ldt + first, ldt)


cdef bint by_blocks(double* a, Py_ssize_t k, Py_ssize_t lda, double* t, Py_ssize_t ldt,
                    Py_ssize_t size, bint factored) noexcept nogil:
    """R and T of all blocks (see the top of the file)."""
    cdef Py_ssize_t first, last, begin
    for first from 0 <= first < k by size:
        last = min(first + size, k)
        if not diagonal_block(a, lda, t, ldt, first, last, factored):
            return False
        for begin from 0 <= begin < k by size:
            if begin < first or (begin > first and not factored):
                prepare_strip(a, lda, t, ldt, first, last, begin, min(begin + size, k))
        for begin from 0 <= begin < k by size:
            if begin < first or (begin > first and not factored):
                finish_strip(a, lda, t, ldt, first, last, begin, min(begin + size, k))
    return True


cdef double scale_columns(double* gram, Py_ssize_t k, Py_ssize_t width,
                          double* column_scale) noexcept nogil:
    """gram <- D⁻¹ gram D⁻¹ (upper triangle), column_scale <- D⁻¹; 0, or the value of
    :func:`inverse_factor` where squares are out of range.
    """
    cdef Py_ssize_t i, j
    cdef double factor
    cdef double* row
    for i in range(k):
        factor = gram[i * width + i]
        if not (SQUARABLE * SQUARABLE < factor < 1.0 / (SQUARABLE * SQUARABLE)):
            return factor - factor + INFINITY                 # nan for nan and inf
        column_scale[i] = 1.0 / sqrt(factor)
    for i in range(k):
        row = gram + i * width
        for j in range(i, k):
            row[j] = row[j] * column_scale[i] * column_scale[j]
    return 0.0


cdef double norm(const double* t, Py_ssize_t k, Py_ssize_t width) noexcept nogil:
    """The Frobenius norm of an upper triangle."""
    cdef Py_ssize_t i
    cdef double total = 0.0, square
    for i in range(k):
        tiles().dots(t + i * width + i, width, t + i * width + i, width, 1, k - i, &square)
        total = total + square
    return sqrt(total)


cdef double scaled_rows(double* transform, Py_ssize_t k, Py_ssize_t width,
                        const double* column_scale) noexcept nogil:
    """transform <- D⁻¹ transform, an upper triangle; returns its Frobenius norm before."""
    cdef Py_ssize_t i, j
    cdef double condition = norm(transform, k, width)
    for i in range(k):
        for j in range(i, k):
            transform[i * width + j] = column_scale[i] * transform[i * width + j]
    return condition


cdef double inverse_factor(double* gram, Py_ssize_t k, Py_ssize_t width, double* column_scale,
                           double* transform) noexcept nogil:
    """Upper triangular T = D⁻¹R⁻¹ with Tᵀ gram T = I, from the upper triangle of a Gram matrix.

    D = diag(gram)^(1/2), D⁻¹ gram D⁻¹ = RᵀR. The upper triangle of ``gram`` (row-major, rows
    ``width`` apart) is overwritten. ``transform`` has the same layout and is zero outside T.
    Returns the Frobenius norm of R⁻¹ (see :func:`gram_inverse_factor`), inf if there is no factor
    in double precision, or nan if the diagonal holds nan or inf.
    """
    cdef double condition = scale_columns(gram, k, width, column_scale)
    memset(transform, 0, k * width * sizeof(double))
    if condition != 0.0:
        return condition
    if not by_blocks(gram, k, width, transform, width, block_size(k), False):
        return INFINITY
    return scaled_rows(transform, k, width, column_scale)


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


cdef void mirror(double* a, Py_ssize_t k, bint upwards) noexcept nogil:
    """One triangle of a matrix onto the other, in squares that fit into the cache."""
    cdef Py_ssize_t blocks = (k + SIDE - 1) // SIDE, p, q, i, j
    for p in range(blocks):
        for q in range(p, blocks):
            for i in range(p * SIDE, min((p + 1) * SIDE, k)):
                for j in range(max(q * SIDE, i + 1), min((q + 1) * SIDE, k)):
                    if upwards:
                        a[i * k + j] = a[j * k + i]
                    else:
                        a[j * k + i] = a[i * k + j]


def copy_upper(double[:, ::1] matrix):
    """Copy the upper triangle of a matrix onto the lower one."""
    with nogil:
        mirror(&matrix[0, 0], matrix.shape[0], False)


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
    cdef double[:, ::1] transform = out, inverse = np.zeros((k, k))
    cdef double[::1] work = np.zeros(3 * k)
    cdef double* column_scale = &work[2 * k]
    cdef blas_int[::1] pivots = np.zeros(k, dtype=np.intc if sizeof(blas_int) == 4 else np.int64)
    cdef double condition = INFINITY
    with nogil:
        for i in range(k):
            column_scale[i] = 1.0 / sqrt(gram[i, i]) if gram[i, i] > 0.0 else 0.0
        for i in range(k):
            for j in range(k):
                gram[i, j] *= column_scale[i] * column_scale[j]
        info = pstrf(k, &gram[0, 0], k, &pivots[0], &rank, tolerance, &work[0])
        if info == 0 and rank == k:               # R by columns, below the diagonal of gram
            mirror(&gram[0, 0], k, True)
            by_blocks(&gram[0, 0], k, k, &inverse[0, 0], k, block_size(k), True)
            condition = norm(&inverse[0, 0], k, k)
            for i in range(k):
                for j in range(i, k):
                    transform[pivots[i] - 1, j] = column_scale[pivots[i] - 1] * inverse[i, j]
    if info != 0 or rank < k:
        return np.zeros((k, k)), rank, np.inf
    return out, rank, condition


def scale_gram(double[:, ::1] gram, double[::1] column_scale):
    """The first step of :func:`triangular_inverse_factor`; the condition if it is the last, or 0.
    """
    cdef Py_ssize_t k = gram.shape[0]
    cdef double condition
    with nogil:
        condition = scale_columns(&gram[0, 0], k, k, &column_scale[0])
    return condition


def diagonal_step(double[:, ::1] gram, double[:, ::1] transform, Py_ssize_t first,
                  Py_ssize_t last):
    """The block of columns ``first`` to ``last``; False if there is no factor."""
    cdef Py_ssize_t k = gram.shape[0]
    cdef bint found
    with nogil:
        found = diagonal_block(&gram[0, 0], k, &transform[0, 0], k, first, last, False)
    return found


def prepare_step(double[:, ::1] gram, double[:, ::1] transform, Py_ssize_t first, Py_ssize_t last,
                 Py_ssize_t begin, Py_ssize_t end):
    """The strip ``begin`` to ``end`` for this block."""
    cdef Py_ssize_t k = gram.shape[0]
    with nogil:
        prepare_strip(&gram[0, 0], k, &transform[0, 0], k, first, last, begin, end)


def finish_step(double[:, ::1] gram, double[:, ::1] transform, Py_ssize_t first, Py_ssize_t last,
                Py_ssize_t begin, Py_ssize_t end):
    """The strip ``begin`` to ``end`` for this block, once all strips are prepared."""
    cdef Py_ssize_t k = gram.shape[0]
    with nogil:
        finish_strip(&gram[0, 0], k, &transform[0, 0], k, first, last, begin, end)


def unscale(double[:, ::1] transform, double[::1] column_scale):
    """The last step; returns the condition."""
    cdef Py_ssize_t k = transform.shape[0]
    cdef double condition
    with nogil:
        condition = scaled_rows(&transform[0, 0], k, k, &column_scale[0])
    return condition


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
