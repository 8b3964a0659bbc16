"""Douglas-Rachford iteration between a subspace and given magnitudes (see
levinv.inverse.stages.signs).
"""
from libc.math cimport copysign, sqrt

from levinv._kernels.linalg cimport gemv

import numpy as np


def reflect(const double[:, ::1] basis, const double[::1] magnitude, double[::1] point,
            double[::1] best_signs, double best, double tolerance, Py_ssize_t iterations,
            Py_ssize_t check_every):
    """Iterate point <- point + m sign(2 Π point - point) - Π point, Π = basis basisᵀ.

    Every ``check_every`` iterations the relative distance of m∘signs from the subspace is computed,
    for the signs of Π point; the best signs so far go to ``best_signs``. The iteration ends at the
    distance ``tolerance``.

    Returns
    -------
    best : float, the smallest distance.
    used : int, the number of iterations.
    """
    cdef Py_ssize_t n = basis.shape[0], p = basis.shape[1], i, iteration, used = 0
    cdef double[::1] workspace = np.empty(3 * n + p)
    cdef double* projected = &workspace[0]
    cdef double* signed = &workspace[n]
    cdef double* image = &workspace[2 * n]
    cdef double* coordinates = &workspace[3 * n]
    cdef double total = 0.0, distance, norm2 = 0.0
    with nogil:
        for i in range(n):
            norm2 = norm2 + magnitude[i] * magnitude[i]
        for iteration in range(iterations):
            gemv(True, n, p, &basis[0, 0], p, &point[0], coordinates)
            gemv(False, n, p, &basis[0, 0], p, coordinates, projected)
            if iteration % check_every == check_every - 1:
                for i in range(n):
                    signed[i] = copysign(magnitude[i], projected[i])
                gemv(True, n, p, &basis[0, 0], p, signed, coordinates)
                gemv(False, n, p, &basis[0, 0], p, coordinates, image)
                total = 0.0
                for i in range(n):
                    total = total + (image[i] - signed[i]) * (image[i] - signed[i])
                distance = sqrt(total / norm2)
                if distance < best:
                    best = distance
                    for i in range(n):
                        best_signs[i] = 1.0 if signed[i] >= 0.0 else -1.0
                if best <= tolerance:
                    used = iteration + 1
                    break
            for i in range(n):
                point[i] = (point[i] + copysign(magnitude[i], 2.0 * projected[i] - point[i])
                            - projected[i])
            used = iteration + 1
    return best, used
