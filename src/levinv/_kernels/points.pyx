"""What a small problem computes at one point, without a return to Python between the passes: the
projection of :mod:`levinv.forward.projection`, and products with its Laplacian.

The arithmetic is that of ``dense.gram``, ``factor.triangular_inverse_factor`` and ``dense.quad``,
in the same order: results are the same bit by bit, except for the sums over the k columns of a
transform.
"""
from libc.math cimport HUGE_VAL, NAN, exp, fabs, isfinite
from libc.string cimport memset

from kernel_settings cimport TINY
from levinv._kernels.dense cimport (Rows, add_gram, allocate, block_rows, describe, pack_entries,
                                    padded, triangular_quad)
from levinv._kernels.factor cimport inverse_factor
from levinv._kernels.tiles cimport tiles_free


def finish_slack(double[::1] slack, const double[::1] b):
    """slack <- slack - b, 0 where that is below every normal double; whether all are finite."""
    cdef Py_ssize_t n = slack.shape[0], i
    cdef double total = 0.0
    with nogil:
        for i in range(n):
            if b is not None:
                slack[i] = slack[i] - b[i]
            total = total + 0.0 * slack[i]
            if fabs(slack[i]) < TINY:
                slack[i] = 0.0
    return total == 0.0


def logistic(const double[::1] eta, double[::1] magnitude):
    """magnitude <- cosh(eta / 2), divided by the least; returns the least |eta|.

    2 cosh(η/2) e^(-m/2) = p + e^-m / p with p = e^((|η| - m)/2), m the least: one exponential, and
    an overflow to inf is right.
    """
    cdef Py_ssize_t n = eta.shape[0], i
    cdef double least = HUGE_VAL, tail, unit, p
    with nogil:
        for i in range(n):
            least = min(least, fabs(eta[i]))
        tail = exp(-least)
        unit = 1.0 / (1.0 + tail)
        for i in range(n):
            p = exp(0.5 * (fabs(eta[i]) - least))
            magnitude[i] = (p + tail / p) * unit
    return least


def project(const double[:, :] A, const double[::1] magnitude, double[::1] scale,
            double[:, ::1] transform, double[::1] scores):
    """The one-pass projection of rows divided by positive magnitudes.

    ``scale`` <- least / magnitude, ``transform`` <- T, upper triangular, with orthonormal columns
    diag(scale) A T, ``scores`` <- their squared lengths. Returns the least magnitude, the condition
    as in ``factor.gram_inverse_factor``, and the largest score. The condition is nan if a magnitude
    is zero or nan; then nothing else is computed.
    """
    cdef Rows rows = describe(A, scale)
    cdef Py_ssize_t i
    cdef double* workspace = allocate(projection_room(rows.n, rows.k))
    cdef double least = 0.0, condition = NAN, largest = 0.0
    with nogil:
        condition = gram_factor(&rows, &magnitude[0], &scale[0], &transform[0, 0], &least,
                                workspace)
        if isfinite(condition):
            scores_of(&rows, &transform[0, 0], &scores[0], workspace)
            for i in range(rows.n):
                largest = max(largest, scores[i])
    tiles_free(workspace)
    return least, condition, largest


cdef Py_ssize_t projection_room(Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Doubles of the workspace of :func:`gram_factor` and :func:`scores_of`."""
    cdef Py_ssize_t width = padded(k)
    return block_rows(n, 2 * width, 64) * (2 * width + 1) + 2 * width * width + width


cdef double gram_factor(Rows* rows, const double* magnitude, double* scale, double* transform,
                        double* least, double* workspace) noexcept nogil:
    """``scale`` and ``transform`` (k x k) as in :func:`project`, the least magnitude; returns the
    condition. The rows get the scale.
    """
    cdef Py_ssize_t n = rows.n, k = rows.k, width = padded(k), i, j
    cdef Py_ssize_t step = block_rows(n, 2 * width, 64)
    cdef double* c = workspace + step * (2 * width + 1)
    cdef double* packed = c + width * width
    cdef double condition
    cdef bint positive = True
    least[0] = magnitude[0]
    for i in range(n):
        positive = positive and magnitude[i] > 0.0
        least[0] = min(least[0], magnitude[i])
    if not (positive and isfinite(least[0])):
        return NAN
    for i in range(n):
        scale[i] = least[0] / magnitude[i]
    rows.scale = scale
    memset(c, 0, width * width * sizeof(double))
    add_gram(rows, NULL, step, workspace, c)
    condition = inverse_factor(c, k, width, packed + width * width, packed)
    if isfinite(condition):
        for i in range(k):
            for j in range(k):
                transform[i * k + j] = packed[i * width + j]
    return condition


cdef void scores_of(const Rows* rows, const double* transform, double* scores,
                    double* workspace) noexcept nogil:
    """Squared lengths of the rows times an upper triangular transform (k x k)."""
    cdef Py_ssize_t k = rows.k, width = padded(k), step = block_rows(rows.n, 2 * width, 64)
    cdef double* packed = workspace + step * (2 * width + 1) + width * width
    pack_entries(transform, k, k, packed, width)
    triangular_quad(rows, packed, True, step, workspace, scores)


def laplacian(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
              bint own_columns, const double[::1] scores, const double[::1] y, double[::1] out):
    """out <- (Q - diag(scores)) y for U = diag(scale) A T: one Gram matrix and one quadratic form,
    in A's ``own_columns`` or in those of U. The transform is upper triangular.
    """
    cdef Rows rows = describe(A, scale)
    cdef double* workspace = allocate(laplacian_room(rows.n, rows.k))
    with nogil:
        laplacian_of(&rows, &transform[0, 0], own_columns, &scores[0], &y[0], &out[0], workspace)
    tiles_free(workspace)


cdef Py_ssize_t laplacian_room(Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Doubles of the workspace of :func:`laplacian_of`."""
    cdef Py_ssize_t width = padded(k)
    return block_rows(n, 2 * width, 64) * (2 * width + 1) + 4 * width * width


cdef void laplacian_of(Rows* rows, const double* transform, bint own_columns,
                       const double* scores, const double* y, double* out,
                       double* workspace) noexcept nogil:
    """:func:`laplacian` for a transform (k x k); out is not y."""
    cdef Py_ssize_t n = rows.n, k = rows.k, width = padded(k), i, j
    cdef Py_ssize_t step = block_rows(n, 2 * width, 64)
    cdef double* c = workspace + step * (2 * width + 1)
    cdef double* half = c + width * width
    cdef double* form = half + width * width
    if not own_columns:
        pack_entries(transform, k, k, form + width * width, width)
        rows.transform = form + width * width
    memset(c, 0, width * width * sizeof(double))
    add_gram(rows, y, step, workspace, c)
    if own_columns:                # T (Tᵀ C T) Tᵀ
        sandwich(transform, k, True, width, c, half)
        sandwich(transform, k, False, width, c, half)
    memset(form, 0, width * width * sizeof(double))
    for i in range(k):             # twice the entries above the diagonal: a triangular form
        form[i * width + i] = c[i * width + i]
        for j in range(i + 1, k):
            form[i * width + j] = c[i * width + j] + c[j * width + i]
    triangular_quad(rows, form, False, step, workspace, out)
    for i in range(n):
        out[i] = out[i] - scores[i] * y[i]


cdef void sandwich(const double* t, Py_ssize_t k, bint transposed, Py_ssize_t width, double* c,
                   double* half) noexcept nogil:
    """c <- Tᵀ c T if ``transposed``, else T c Tᵀ, for an upper triangular T and a symmetric c."""
    cdef Py_ssize_t i, j, l
    cdef double factor
    memset(half, 0, k * width * sizeof(double))
    for i in range(k):                         # half <- Tᵀ c or T c
        for l in range(0 if transposed else i, i + 1 if transposed else k):
            factor = t[l * k + i] if transposed else t[i * k + l]
            for j in range(k):
                half[i * width + j] += factor * c[l * width + j]
    memset(c, 0, k * width * sizeof(double))
    for l in range(k):                         # c <- half T or half Tᵀ
        for i in range(k):
            factor = half[i * width + l]
            if transposed:
                for j in range(l, k):
                    c[i * width + j] += factor * t[l * k + j]
            else:
                for j in range(l + 1):
                    c[i * width + j] += factor * t[j * k + l]
