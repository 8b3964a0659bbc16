"""Primitives on sparse rows in CSR with sorted indices and no duplicates.

Row i is scale_i a_i (``scale`` None: 1). Its entries are at indptr[i] ... indptr[i + 1] of
``values`` and ``indices``. For a range of rows, the kernels take a slice of ``indptr`` and the
whole of ``values`` and ``indices``.

    product      rows times a dense matrix                       O(nnz_i k) a row
    transposed   the transpose times a dense matrix              O(nnz_i k)
    gram         sum_i weights_i a_i a_iᵀ, upper triangle        O(nnz_i²), scattered
    forms        a_iᵀ N a_i for a symmetric N                    O(nnz_i²), gathered
    lengths      |a_i T|²                                        O(nnz_i²), or O(nnz_i k) (below)
    fill         entries of a symmetric matrix's factor          as many as these

|a_i T|² = a_iᵀ N a_i with N = T Tᵀ. The terms a_ij N_jl a_il of this sum may cancel. Their moduli
add up to at most b_i², where b_i = sum_j |a_ij| |t_j| and t_j is row j of T. So the relative error
of the sum is at most ε b_i²/|a_i T|². If this ratio is above ``limit``, the row is multiplied by T
instead, and a sum of squares cannot cancel.
"""
from libc.math cimport fabs, sqrt

from libc.stdint cimport int32_t, int64_t

from kernel_settings cimport L1_BYTES, SQUARABLE

ctypedef fused index:
    int32_t
    int64_t

cdef Py_ssize_t SIDE = <Py_ssize_t> sqrt(L1_BYTES / 8.0)     # of a square tile that fits the cache


def product(const double[::1] values, const index[::1] indices, const index[::1] indptr,
            const double[::1] scale, bint absolute, const double[:, ::1] matrix,
            double[:, ::1] out):
    """out_i <- scale_i a_i matrix, with |a_ij| for a_ij if ``absolute``."""
    cdef Py_ssize_t i, p, j, k = matrix.shape[1]
    cdef double value, total
    cdef const double* row
    cdef double* into
    with nogil:
        for i in range(indptr.shape[0] - 1):
            if k == 1:
                total = 0.0
                for p in range(indptr[i], indptr[i + 1]):
                    value = fabs(values[p]) if absolute else values[p]
                    total = total + value * matrix[indices[p], 0]
                out[i, 0] = total if scale is None else scale[i] * total
                continue
            into = &out[i, 0]
            for j in range(k):
                into[j] = 0.0
            for p in range(indptr[i], indptr[i + 1]):
                value = fabs(values[p]) if absolute else values[p]
                if scale is not None:
                    value = scale[i] * value
                row = &matrix[indices[p], 0]
                for j in range(k):
                    into[j] = into[j] + value * row[j]


def transposed(const double[::1] values, const index[::1] indices, const index[::1] indptr,
               const double[:, ::1] Y, double[:, ::1] out):
    """out += sum_i a_i y_iᵀ."""
    cdef Py_ssize_t i, p, j, m = Y.shape[1]
    cdef const double* row
    cdef double* into
    with nogil:
        for i in range(indptr.shape[0] - 1):
            row = &Y[i, 0]
            for p in range(indptr[i], indptr[i + 1]):
                into = &out[indices[p], 0]
                for j in range(m):
                    into[j] = into[j] + values[p] * row[j]


def dense_rows(const double[::1] values, const index[::1] indices, const index[::1] indptr,
               const double[::1] scale, double[:, ::1] out):
    """out_i <- scale_i a_i."""
    cdef Py_ssize_t i, p, j
    with nogil:
        for i in range(indptr.shape[0] - 1):
            for j in range(out.shape[1]):
                out[i, j] = 0.0
            for p in range(indptr[i], indptr[i + 1]):
                out[i, indices[p]] = values[p] if scale is None else scale[i] * values[p]


def gram(const double[::1] values, const index[::1] indices, const index[::1] indptr,
         const double[::1] scale, const double[::1] weights, double[:, ::1] out):
    """Upper triangle of out += sum_i weights_i scale_i² a_i a_iᵀ."""
    cdef Py_ssize_t i, p, q, last
    cdef double factor, value
    cdef double* into
    with nogil:
        for i in range(indptr.shape[0] - 1):
            factor = 1.0 if scale is None else scale[i]
            if factor == 0.0:
                continue
            last = indptr[i + 1]
            for p in range(indptr[i], last):
                value = factor * values[p]
                if weights is not None:
                    value = weights[i] * value
                into = &out[indices[p], 0]
                for q in range(p, last):
                    into[indices[q]] = into[indices[q]] + value * (factor * values[q])


cdef inline double form_of(const double* values, const index* indices, Py_ssize_t count,
                           double factor, const double* form, Py_ssize_t d) noexcept nogil:
    """(factor a)ᵀ form (factor a) for a symmetric form."""
    cdef Py_ssize_t p, q
    cdef double total = 0.0, inner
    cdef const double* row
    for p in range(count):
        row = form + indices[p] * d
        inner = 0.0
        for q in range(p + 1, count):
            inner = inner + row[indices[q]] * (factor * values[q])
        inner = 2.0 * inner + row[indices[p]] * (factor * values[p])
        total = total + inner * (factor * values[p])
    return total


def forms(const double[::1] values, const index[::1] indices, const index[::1] indptr,
          const double[::1] scale, const double[:, ::1] form, double[::1] out):
    """out_i <- scale_i² a_iᵀ form a_i for a symmetric form."""
    cdef Py_ssize_t i, first, d = form.shape[0]
    cdef double factor
    with nogil:
        for i in range(indptr.shape[0] - 1):
            first = indptr[i]
            factor = 1.0 if scale is None else scale[i]
            out[i] = 0.0
            if factor != 0.0 and indptr[i + 1] > first:
                out[i] = form_of(&values[first], &indices[first], indptr[i + 1] - first, factor,
                                 &form[0, 0], d)


def lengths(const double[::1] values, const index[::1] indices, const index[::1] indptr,
            const double[::1] scale, const double[:, ::1] form, const double[::1] sizes,
            const double[:, ::1] transform, double limit, double[::1] work, double[::1] out):
    """out_i <- |scale_i a_i transform|². ``form`` is transform transformᵀ; ``sizes`` are the norms
    of the transform's rows; ``work`` is as long as one of its rows. Returns the number of rows
    that were computed again.
    """
    cdef Py_ssize_t i, p, j, first, last, d = form.shape[0], k = transform.shape[1], again = 0
    cdef double factor, total, bound, value
    cdef const double* row
    with nogil:
        for i in range(indptr.shape[0] - 1):
            first, last = indptr[i], indptr[i + 1]
            factor = 1.0 if scale is None else scale[i]
            out[i] = 0.0
            if factor == 0.0 or first == last:
                continue
            bound = 0.0
            for p in range(first, last):
                bound = bound + fabs(factor * values[p]) * sizes[indices[p]]
            if SQUARABLE < bound < 1.0 / SQUARABLE:
                total = form_of(&values[first], &indices[first], last - first, factor,
                                &form[0, 0], d)
                if bound * bound <= limit * total:
                    out[i] = total
                    continue
            again = again + 1
            for j in range(k):
                work[j] = 0.0
            for p in range(first, last):
                value = factor * values[p]
                row = &transform[indices[p], 0]
                for j in range(k):
                    work[j] = work[j] + value * row[j]
            total = 0.0
            for j in range(k):
                total = total + work[j] * work[j]
            out[i] = total
    return again


def row_squares(const double[::1] values, const index[::1] indptr, const double[::1] scale,
                double[::1] out):
    """out_i <- |scale_i a_i|²."""
    cdef Py_ssize_t i, p
    cdef double total, value
    with nogil:
        for i in range(indptr.shape[0] - 1):
            total = 0.0
            for p in range(indptr[i], indptr[i + 1]):
                value = values[p] if scale is None else scale[i] * values[p]
                total = total + value * value
            out[i] = total


def column_max(const double[::1] values, const index[::1] indices, double[::1] out):
    """out_j <- the maximum of out_j and the moduli in column j."""
    cdef Py_ssize_t p
    with nogil:
        for p in range(values.shape[0]):
            out[indices[p]] = max(out[indices[p]], fabs(values[p]))


def fill(const index[::1] indices, const index[::1] indptr, int64_t limit, int64_t[::1] parent,
         int64_t[::1] mark, int64_t[::1] counts):
    """counts_j <- number of entries below the diagonal in column j of the Cholesky factor of a
    symmetric matrix with this pattern. The count stops beyond ``limit`` entries in total.

    Row i of the factor has an entry in column j if j lies, before i, on the path up the elimination
    tree from an entry of row i of the matrix. Returns the number of entries.
    """
    cdef Py_ssize_t i, p
    cdef int64_t j, total = 0
    with nogil:
        for i in range(indptr.shape[0] - 1):
            parent[i] = -1
            mark[i] = i
            counts[i] = 0
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                if j > i:
                    continue
                while mark[j] != i:
                    if parent[j] < 0:
                        parent[j] = i
                    mark[j] = i
                    counts[j] = counts[j] + 1
                    total = total + 1
                    j = parent[j]
            if total > limit:
                break
    return total
