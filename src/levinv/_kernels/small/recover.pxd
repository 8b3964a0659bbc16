"""Stage 3: x from magnitudes and signs, a least-squares problem in closed form
(levinv.inverse.stages.recover); and the projection at given row scales, for stages 3 and 4.
"""
from libc.math cimport copysign

from kernel_settings cimport BATCH_ITERATIONS, ONE_PASS_CONDITION
from levinv._kernels.small.algebra cimport (cholesky, combine, dot, forward, forward_small, gram,
                                            lower_times, products, transposed_times)
from levinv._kernels.small.workspace cimport Workspace


cdef inline bint project_scaled(Workspace* s, const double* scale) noexcept nogil:
    """V = T U diag(scale) with orthonormal rows: T, which has to be regular, is updated. Uses
    ``scratch.image``.

    A Cholesky pass leaves an error of ε over its smallest pivot; a second one removes it.
    """
    cdef Py_ssize_t d = s.d, width = s.width, _
    cdef double pivot = 0.0
    lower_times(d, width, s.projection.transform, s.basis.rows, scale, s.scratch.image,
                s.projection.rows)
    for _ in range(2):
        gram(d, width, s.projection.rows, NULL, NULL, s.scratch.gram)
        pivot = cholesky(d, s.scratch.gram)
        if pivot <= 0.0:
            return False
        forward(d, width, s.scratch.gram, s.projection.rows)
        forward_small(d, s.scratch.gram, s.projection.transform)
        if pivot * ONE_PASS_CONDITION > 1.0:
            return True
    return False


cdef inline bint prepare_recovery(Workspace* s, bint exact) noexcept nogil:
    """Row weights, and the projection for rows divided by their magnitudes and so weighted."""
    cdef Py_ssize_t n = s.n, d = s.d, i
    cdef double best = 1.0
    cdef double* accuracy = s.scores.accuracy
    if not exact:
        for i in range(n):
            if accuracy[i] >= 0.0:
                best = min(best, accuracy[i])
    for i in range(n):
        if exact:
            s.recovery.weight[i] = 1.0
        else:
            s.recovery.weight[i] = best / accuracy[i] if accuracy[i] > 0.0 else 0.0
        s.recovery.inverse[i] = s.recovery.weight[i] / s.magnitudes.magnitude[i]
    for i in range(d * d):
        s.projection.transform[i] = 0.0
    for i in range(d):
        s.projection.transform[i * d + i] = 1.0
    return project_scaled(s, s.recovery.inverse)


cdef inline bint recover(Workspace* s, bint exact, bint settle) noexcept nogil:
    """y whose slack is nearest to κ sign∘magnitude, relative to the accuracy of the magnitudes.

    ``settle``: signs are set from y, then y is solved again, until they agree. Else False if κ < 0.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, _
    cdef double along, size, kappa
    cdef double* q = s.response.outside
    cdef double* sign = s.signs.sign
    cdef double* signed = s.recovery.signed
    cdef double* outside = s.recovery.outside
    cdef double* coordinates = s.scratch.coordinates
    cdef bint changed
    if not prepare_recovery(s, exact):
        return False
    for i in range(n):
        s.recovery.data[i] = q[i] * s.recovery.inverse[i]
    products(d, width, s.projection.rows, s.recovery.data, s.scratch.vector)
    for _ in range(BATCH_ITERATIONS if settle else 1):
        for i in range(n):
            signed[i] = sign[i] * s.recovery.weight[i]
        products(d, width, s.projection.rows, signed, coordinates)
        combine(d, width, coordinates, s.projection.rows, outside)
        for i in range(n):
            outside[i] = signed[i] - outside[i]
        size = dot(width, outside, outside)
        along = dot(width, outside, s.recovery.data)
        if not size > 0.0:
            return False
        kappa = -along / size
        if kappa < 0.0 and not settle:
            return False
        for k in range(d):
            coordinates[k] = s.scratch.vector[k] + kappa * coordinates[k]
        transposed_times(d, s.projection.transform, coordinates, s.recovery.y)
        if not settle:
            return True
        combine(d, width, s.recovery.y, s.basis.rows, s.scratch.image)
        changed = False
        for i in range(n):
            along = copysign(1.0, s.scratch.image[i] - q[i])
            if along != sign[i]:
                changed = True
                sign[i] = along
        if not changed:
            return True
    return True
