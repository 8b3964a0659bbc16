"""All ±1 vectors in the range of a matrix: small/sides.pxd for one matrix."""
from libc.stdint cimport uint64_t

from levinv._kernels.small.sides cimport MOST_COLUMNS, room
from levinv._kernels.small.sides cimport sign_vectors as find

import numpy as np


def sign_vectors(const double[:, ::1] matrix, const double[::1] tolerance, Py_ssize_t most,
                 Py_ssize_t trials, Py_ssize_t shown):
    """The sign vectors e, first entry +, with ``||C e| - 1| <= tolerance``. ``matrix`` (q, n) is
    the transpose of C.

    Returns
    -------
    signs : (k, q) array, the first ``shown`` of them.
    count : int, the number of all; -1 if there are more than ``most``, on the way or at the end, or
        more than ``trials`` pairs of half vectors to check.
    """
    cdef Py_ssize_t q = matrix.shape[0], n = matrix.shape[1], count, i, k
    if not 0 < q <= MOST_COLUMNS:
        raise ValueError(f"matrix must have 1 to {MOST_COLUMNS} rows, got {q}")
    cdef double[::1] memory = np.empty(room(q, n, most))
    cdef uint64_t[::1] found = np.empty(most, dtype=np.uint64)
    with nogil:
        count = find(n, q, n, &matrix[0, 0], &tolerance[0], False, most, trials, &memory[0],
                     &found[0])
    signs = np.empty((min(max(count, 0), shown), q))
    cdef double[:, ::1] out = signs
    for i in range(out.shape[0]):
        for k in range(q):
            out[i, k] = -1.0 if found[i] >> k & 1 else 1.0
    return signs, count
