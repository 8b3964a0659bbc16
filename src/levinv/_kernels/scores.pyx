"""Leverage scores of many small matrices, one after the other: the one-pass route of
:mod:`levinv.forward.basis` without a return to Python.
"""
from libc.math cimport NAN
from libc.string cimport memset

from kernel_settings cimport CACHE_ENTRIES
from levinv._kernels.dense cimport (Rows, add_gram, allocate, block_rows, describe, load, padded,
                                    triangular_quad, whole_tiles)
from levinv._kernels.factor cimport inverse_factor
from levinv._kernels.tiles cimport tiles, tiles_free

import numpy as np


cdef bint row_scale(const double[:] values, bint weights, double* scale) noexcept nogil:
    """Write the scales of the rows, at most 1; False where slacks or weights do not allow it."""
    cdef Py_ssize_t n = values.shape[0], i
    if values.strides[0] == sizeof(double):
        return tiles().scales(&values[0], n, weights, scale)
    for i in range(n):
        scale[i] = values[i]
    return tiles().scales(scale, n, weights, scale)


def row_scales(const double[:] values, bint weights):
    """1 / |slack| or sqrt(weights) up to a common factor, at most 1; None where values are not
    finite, a slack is zero or a weight is negative.
    """
    out = np.empty(values.shape[0])
    cdef double[::1] scale = out
    cdef bint found
    with nogil:
        found = row_scale(values, weights, &scale[0])
    return out if found else None


def one_pass(const double[:, :, :] A, const double[:, :] values, bint weights,
             double greatest_condition, double[:, ::1] out, double[::1] condition):
    """out[m] <- scores of A[m]; condition[m] <- the estimated condition number of its scaled rows.

    Rows are divided by slacks ``values[m]`` or, with ``weights``, multiplied by the square roots of
    ``values[m]``; None: neither. The scores are computed only if the condition number is at most
    ``greatest_condition``. It is nan if an entry is nan or inf, squares overflow, a slack is zero
    or a weight is negative.
    """
    cdef Py_ssize_t k = A.shape[2], n = A.shape[1], width = padded(k), m, i
    cdef Py_ssize_t step = block_rows(n, 2 * width, 64)
    # Rows are packed once if neither they nor columns are contiguous and they stay in the cache.
    cdef bint packed = (A.strides[1] != sizeof(double) and A.strides[2] != sizeof(double)
                        and n * width <= CACHE_ENTRIES)
    cdef double* workspace = allocate(step * (2 * width + 1) + 2 * width * width + width + n
                                      + (whole_tiles(n) * width if packed else 0))
    cdef double* c = workspace + step * (2 * width + 1)
    cdef double* transform = c + width * width
    cdef double* column_scale = transform + width * width
    cdef double* scale = column_scale + width
    cdef Rows rows
    with nogil:
        for m in range(A.shape[0]):
            rows = describe(A[m], None)
            if values is not None:
                if not row_scale(values[m], weights, scale):
                    condition[m] = NAN
                    continue
                rows.scale = scale
            if packed:
                load(&rows, rows.scale, 0, n, scale + n)
                rows.data, rows.row_stride, rows.column_stride = scale + n, width, 1
                rows.scale = NULL
            memset(c, 0, width * width * sizeof(double))
            add_gram(&rows, NULL, step, workspace, c)
            condition[m] = inverse_factor(c, k, width, column_scale, transform)
            if condition[m] <= greatest_condition:
                triangular_quad(&rows, transform, True, step, workspace, &out[m, 0])
                for i in range(n):
                    out[m, i] = min(out[m, i], 1.0)
    tiles_free(workspace)
