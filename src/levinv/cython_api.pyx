"""Leverage scores, their derivatives and the volumetric barrier for other compiled code.

``from levinv cimport cython_api`` in Cython; ``cython_api.__pyx_capi__`` for others. The functions
are described in ``cython_api.pxd``, and used in docs/compiled.md. They are the one-pass route of
:mod:`levinv.forward.projection`, without its fallbacks: for zero slacks, rank-deficient and
ill-conditioned A and rows of any other storage there are the functions of Python.

A memory holds the least magnitude m, whether the point is well conditioned, the row scale m / |s|,
the scores, the transform T for which diag(m / |s|) A T is orthonormal, and room.
"""
from libc.math cimport NAN, fabs, isfinite, log, sqrt
from libc.string cimport memset

from kernel_settings cimport (EPS, ONE_PASS_CONDITION, OWN_FORMS_CONDITION, ROUNDING_FACTOR,
                              SQUARABLE)
from levinv._kernels.dense cimport (Rows, add_gram, add_moments, allocate, block_rows, moments_room,
                                    pack_entries, padded)
from levinv._kernels.points cimport (gram_factor as factor_of, laplacian_of, laplacian_room,
                                     projection_room, scores_of)
from levinv._kernels.tiles cimport tiles, tiles_free


cdef struct Point:
    double* least
    double* condition
    double* scale                 # (n,)
    double* scores                # (n,)
    double* transform             # (d, d)
    double* first                 # (n,) room
    double* second                # (n,)
    double* room


cdef Point point_in(Py_ssize_t n, Py_ssize_t d, const double* memory) noexcept nogil:
    cdef Point point
    point.least = <double*> memory
    point.condition = point.least + 1
    point.scale = point.least + 2
    point.scores = point.scale + n
    point.transform = point.scores + n
    point.first = point.transform + d * d
    point.second = point.first + n
    point.room = point.second + n
    return point


cdef Rows rows_of(Py_ssize_t n, Py_ssize_t d, const double* A, const double* scale) noexcept nogil:
    cdef Rows rows
    rows.data = A
    rows.n, rows.d, rows.k = n, d, d
    rows.row_stride, rows.column_stride = d, 1
    rows.scale, rows.transform = scale, NULL
    return rows


cdef Py_ssize_t memory_size(Py_ssize_t n, Py_ssize_t d) noexcept nogil:
    return 2 + 4 * n + d * d + max(projection_room(n, d), laplacian_room(n, d))


cdef Py_ssize_t hessian_size(Py_ssize_t n, Py_ssize_t d) noexcept nogil:
    cdef Py_ssize_t width = padded(d), pairs = d * (d + 1) // 2
    cdef Py_ssize_t room = max(moments_room(n, d, d, d), block_rows(n, 3 * width, 64) * 3 * width)
    return max(memory_size(n, d), 2 + 4 * n + d * d + room + (d + width) * width
               + 2 * padded(pairs) * width + pairs)


cdef int status(double condition, Py_ssize_t d) noexcept nogil:
    """Of a factor: see levinv.forward.basis, norm_bound and TWO_PASS_CONDITION."""
    condition = sqrt(max(condition * condition - d + 2.0, 1.0))
    if not ROUNDING_FACTOR * EPS * condition * condition <= 1.0:
        return NO_FACTOR
    return ACCURATE if condition <= ONE_PASS_CONDITION else ILL_CONDITIONED


cdef int scores(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack, double* out,
                double* memory) noexcept nogil:
    cdef Point point = point_in(n, d, memory)
    cdef Rows rows = rows_of(n, d, A, NULL)
    cdef Py_ssize_t i
    for i in range(n):
        point.first[i] = fabs(slack[i])
        if not (point.first[i] > 0.0 and isfinite(point.first[i])):
            return BAD_SLACK
    point.condition[0] = factor_of(&rows, point.first, point.scale, point.transform, point.least,
                                   point.room)
    if not isfinite(point.condition[0]):
        return NO_FACTOR
    scores_of(&rows, point.transform, point.scores, point.room)
    for i in range(n):
        point.scores[i] = min(point.scores[i], 1.0)
        out[i] = point.scores[i]
    return status(point.condition[0], d)


cdef void laplacian(Py_ssize_t n, Py_ssize_t d, const double* A, Point* point, const double* y,
                    double* out) noexcept nogil:
    cdef Rows rows = rows_of(n, d, A, point.scale)
    laplacian_of(&rows, point.transform,
                 point.condition[0] <= OWN_FORMS_CONDITION * sqrt(<double> d), point.scores, y,
                 out, point.room)


cdef void jvp(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack, const double* v,
              double* out, double* memory) noexcept nogil:
    cdef Point point = point_in(n, d, memory)
    cdef Py_ssize_t i, j
    cdef double total
    for i in range(n):
        total = 0.0
        for j in range(d):
            total = total + A[i * d + j] * v[j]
        point.first[i] = total / slack[i]
    laplacian(n, d, A, &point, point.first, out)
    for i in range(n):
        out[i] = 2.0 * out[i]


cdef void vjp(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack, const double* y,
              double* out, double* memory) noexcept nogil:
    cdef Point point = point_in(n, d, memory)
    cdef Py_ssize_t i
    laplacian(n, d, A, &point, y, point.first)
    for i in range(n):
        point.first[i] = 2.0 * point.first[i]
    pull(n, d, A, slack, point.first, out)


cdef void pull(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack, const double* y,
               double* out) noexcept nogil:
    """out <- Aᵀ (y / slack)."""
    cdef Py_ssize_t i, j
    cdef double factor
    memset(out, 0, d * sizeof(double))
    for i in range(n):
        factor = y[i] / slack[i]
        for j in range(d):
            out[j] = out[j] + factor * A[i * d + j]


cdef double barrier(Py_ssize_t n, Py_ssize_t d, const double* memory) noexcept nogil:
    cdef Point point = point_in(n, d, memory)
    cdef double value = -d * log(point.least[0])
    cdef Py_ssize_t i
    for i in range(d):
        value = value - log(point.transform[i * d + i])
    return value


cdef void barrier_gradient(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack,
                           double* out, const double* memory) noexcept nogil:
    cdef Point point = point_in(n, d, memory)
    cdef Py_ssize_t j
    pull(n, d, A, slack, point.scores, out)
    for j in range(d):
        out[j] = -out[j]


cdef int barrier_hessian(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack,
                         double* out, double* memory) noexcept nogil:
    """Fᵀ 3 diag(σ) F - 2 Fᵀ Q F for F = diag(m / slack) A, divided by m². The second term is twice
    the sum over a, b of T_abᵀ T_ab, with the moments T_ab = sum_l u_la u_lb F_l.
    """
    cdef Point point = point_in(n, d, memory)
    cdef Py_ssize_t width = padded(d), pairs = d * (d + 1) // 2, i, j
    cdef Py_ssize_t step = block_rows(n, 3 * width, 64)
    cdef double* packed = point.room + max(moments_room(n, d, d, d), step * 3 * width)
    cdef double* total = packed + d * width
    cdef double* moments = total + width * width
    cdef double* weighted = moments + padded(pairs) * width
    cdef double* factors = weighted + padded(pairs) * width
    cdef double least = point.least[0], entry
    cdef Rows u = rows_of(n, d, A, point.scale), f = rows_of(n, d, A, point.first)
    for i in range(n):
        point.first[i] = least / slack[i]
        point.second[i] = 3.0 * point.scores[i]
    pack_entries(point.transform, d, d, packed, width)
    u.transform = packed
    memset(moments, 0, padded(pairs) * width * sizeof(double))
    add_moments(&u, &f, point.room, moments)
    for i in range(d):                            # pairs a < b count twice
        for j in range(i, d):
            factors[0] = -2.0 if i == j else -4.0
            factors += 1
    factors -= pairs
    memset(total, 0, width * width * sizeof(double))
    add_gram(&f, point.second, step, point.room, total)
    tiles().scaled(moments, width, pairs, d, factors, width, weighted)
    tiles().gram(moments, width, weighted, width, NULL, pairs, d, width, total, NULL, 0)
    for i in range(d):
        entry = total[i * width + i]
        if not SQUARABLE * SQUARABLE < entry < 1.0 / (SQUARABLE * SQUARABLE):
            return NO_FACTOR
        for j in range(d):
            out[i * d + j] = total[max(i, j) * width + min(i, j)] / least / least
    return status(point.condition[0], d)


cdef int gram_factor(Py_ssize_t n, Py_ssize_t d, const double* A, const double* magnitude,
                     double* out, double* memory) noexcept nogil:
    cdef Point point = point_in(n, d, memory)
    cdef Rows rows = rows_of(n, d, A, NULL)
    cdef double least = 0.0
    cdef double condition = factor_of(&rows, magnitude, point.first, out, &least, point.room)
    cdef Py_ssize_t i
    if not isfinite(condition):
        return NO_FACTOR
    for i in range(d * d):
        out[i] = least * out[i]
    return status(condition, d)


def barrier_at(const double[:, ::1] A, const double[::1] b, const double[::1] x, double heaviest,
               double[::1] gradient, double[:, ::1] hessian):
    """The barrier, its gradient and its Hessian at A x - b, for levinv.VolumetricBarrier. The value
    is nan where one pass is not accurate enough, or a score is above ``heaviest``.
    """
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], i, j
    cdef double* memory = allocate(hessian_size(n, d) + 2 * n)
    cdef double* slack = memory + hessian_size(n, d)
    cdef double value = NAN, largest = 0.0
    cdef int found
    with nogil:
        for i in range(n):
            slack[i] = -b[i]
            for j in range(d):
                slack[i] = slack[i] + A[i, j] * x[j]
        found = scores(n, d, &A[0, 0], slack, slack + n, memory)
        for i in range(n if found == ACCURATE else 0):
            largest = max(largest, slack[n + i])
        if found == ACCURATE and largest <= heaviest:
            barrier_gradient(n, d, &A[0, 0], slack, &gradient[0], memory)
            if barrier_hessian(n, d, &A[0, 0], slack, &hessian[0, 0], memory) == ACCURATE:
                value = barrier(n, d, memory)
    tiles_free(memory)
    return value
