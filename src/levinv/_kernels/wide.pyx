"""Primitives on dense rows of many columns, by BLAS, where d x d matrices leave the cache.

Rows are u_i = scale_i a_i T, as in :mod:`levinv._kernels.dense`. Callers share the work:

    image    a block of rows u_i in memory; ``order`` brings the columns of A into that of T's rows
    strip    the part of sum_i v_i u_iᵀ above the diagonal in some of its rows, from such blocks
    quad     u_i F u_iᵀ for an upper triangular F, or |u_i|²

Products with an upper triangle take half the flops of a product; one whose rows were permuted, as
by pivots, is brought into that form.
"""
from libc.string cimport memcpy, memset

from kernel_settings cimport L1_BYTES
from levinv._kernels.dense cimport LARGE_ROWS, Rows, allocate, describe, load_rows, padded
from levinv._kernels.linalg cimport gemm, gemm_nn, trmm_right
from levinv._kernels.tiles cimport tiles, tiles_free

import numpy as np

ctypedef Py_ssize_t index

cdef Py_ssize_t SIDE = L1_BYTES // 512           # of a square that fits into the cache
cdef Py_ssize_t ROWS = 64                        # of a block of tiles
cdef Py_ssize_t DEEP = 2 * LARGE_ROWS     # rows of a product with a triangle


def leading_entries(const double[:, ::1] matrix):
    """The index of the first entry of each row that is not zero; the number of columns if none."""
    cdef Py_ssize_t n = matrix.shape[0], k = matrix.shape[1], i, j
    found = np.empty(n, dtype=np.intp)
    cdef index[::1] first = found
    with nogil:
        for i in range(n):
            j = 0
            while j < k and matrix[i, j] == 0.0:
                j += 1
            first[i] = j
    return found


def folded(const double[:, ::1] form):
    """The upper triangular F with u F uᵀ = u form uᵀ."""
    cdef Py_ssize_t k = form.shape[0], blocks = (k + SIDE - 1) // SIDE, a, b, i, j
    out = np.zeros((k, k))
    cdef double[:, ::1] upper = out
    with nogil:
        for a in range(blocks):
            for b in range(a, blocks):
                for i in range(a * SIDE, min((a + 1) * SIDE, k)):
                    for j in range(max(b * SIDE, i), min((b + 1) * SIDE, k)):
                        upper[i, j] = form[i, j] + form[j, i]
        for i in range(k):
            upper[i, i] = form[i, i]
    return out


cdef void rows_into(const Rows* rows, const index[::1] order, Py_ssize_t first, Py_ssize_t count,
                    double* block, Py_ssize_t width) noexcept nogil:
    """block <- scale_i a_i for ``count`` rows, in the given order of the columns."""
    cdef Py_ssize_t i, j
    cdef const double* source
    cdef double factor
    if order is None:
        load_rows(rows, rows.scale, first, count, block, width)
        return
    for i in range(count):
        source = rows.data + (first + i) * rows.row_stride
        factor = 1.0 if rows.scale == NULL else rows.scale[first + i]
        for j in range(rows.d):
            block[i * width + j] = factor * source[order[j] * rows.column_stride]


def image(const double[:, :] A, const double[::1] scale, const index[::1] order,
          const double[:, ::1] transform, bint triangular, double[:, :] out):
    """Rows of ``out``, which are padded to whole tiles, <- u_i."""
    cdef Rows rows = describe(A, scale)
    cdef Py_ssize_t width = out.strides[0] // <Py_ssize_t> sizeof(double), wide = padded(rows.d)
    cdef double* block = NULL
    if transform is not None and not triangular:
        block = allocate(rows.n * wide)
    with nogil:
        if block == NULL:
            rows_into(&rows, order, 0, rows.n, &out[0, 0], width)
            if transform is not None:
                trmm_right(rows.n, rows.d, &transform[0, 0], rows.d, &out[0, 0], width)
        else:
            rows_into(&rows, None, 0, rows.n, block, wide)
            gemm_nn(rows.n, out.shape[1], rows.d, 1.0, block, wide, &transform[0, 0],
                    transform.shape[1], 0.0, &out[0, 0], width)
    tiles_free(block)


def strip(const double[:, :] u, const double[:, :] v, Py_ssize_t first, Py_ssize_t last,
          double[:, ::1] out):
    """Upper triangle of out += vᵀ u in rows ``first`` to ``last``.

    Both have the same strides; their rows are padded to whole tiles.
    """
    cdef Py_ssize_t k = u.shape[1], n = u.shape[0], columns = last - first, i, j
    cdef Py_ssize_t width = u.strides[0] // <Py_ssize_t> sizeof(double), across = padded(columns)
    cdef double* c = allocate(across * across)
    with nogil:
        memset(c, 0, across * across * sizeof(double))
        for i from 0 <= i < n by ROWS:
            tiles().gram(&u[i, first], width, &v[i, first], width, NULL, min(ROWS, n - i), columns,
                         across, c, NULL, 0)
        for i in range(columns):
            for j in range(i, columns):
                out[first + i, first + j] += c[j * across + i]
        if last < k:
            gemm(columns, k - last, n, 1.0, &v[0, first], width, &u[0, last], width, 1.0,
                 &out[first, last], k)
    tiles_free(c)


def quad(const double[:, :] A, const double[::1] scale, const index[::1] order,
         const double[:, ::1] transform, bint triangular, const double[:, ::1] form,
         double[::1] out):
    """out_i <- u_i form u_iᵀ for an upper triangular form; None: |u_i|²."""
    cdef Rows rows = describe(A, scale)
    cdef Py_ssize_t d = rows.d, k = d if transform is None else transform.shape[1]
    cdef Py_ssize_t wide = padded(d), width = padded(k), step = min(DEEP, rows.n), first, count
    cdef bint general = transform is not None and not triangular
    cdef double* block = allocate(step * (wide + (width if general else 0)
                                          + (width if form is not None else 0)))
    cdef double* u = block + step * wide if general else block
    cdef double* product = u + step * width
    with nogil:
        for first from 0 <= first < rows.n by step:
            count = min(step, rows.n - first)
            rows_into(&rows, order, first, count, block, wide)
            if general:
                gemm_nn(count, k, d, 1.0, block, wide, &transform[0, 0], k, 0.0, u, width)
            elif transform is not None:
                trmm_right(count, k, &transform[0, 0], k, u, width)
            if form is None:
                tiles().dots(u, width, u, width, count, k, &out[first])
                continue
            memcpy(product, u, count * width * sizeof(double))
            trmm_right(count, k, &form[0, 0], k, product, width)
            tiles().dots(product, width, u, width, count, k, &out[first])
    tiles_free(block)
