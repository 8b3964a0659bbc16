# Loops on small matrices, included into the kernel that inverts many problems. A matrix with n
# columns is stored row by row, each row filled up with zeros to a multiple of LANES numbers, so
# that whatever the number of rows every loop runs along a row in full vectors.
from libc.math cimport fabs, sqrt

cdef enum:
    LANES = 8


cdef inline double dot(Py_ssize_t width, const double* a, const double* b) noexcept nogil:
    """aᵀ b."""
    cdef Py_ssize_t i
    cdef double total = 0.0
    for i in range(width):
        total += a[i] * b[i]
    return total


cdef inline void gram(Py_ssize_t k, Py_ssize_t width, const double* rows, const double* weight,
                      double* weighted, double* out) noexcept nogil:
    """V diag(weight) Vᵀ, both triangles; ``weight`` may be NULL; ``weighted``: a row to work in."""
    cdef Py_ssize_t a, b, i
    cdef const double* row
    for a in range(k):
        row = rows + a * width
        if weight != NULL:
            for i in range(width):
                weighted[i] = weight[i] * row[i]
            row = weighted
        for b in range(a + 1):
            out[a * k + b] = dot(width, row, rows + b * width)
            out[b * k + a] = out[a * k + b]


cdef inline void quad(Py_ssize_t k, Py_ssize_t width, const double* rows, const double* kernel,
                      double* out) noexcept nogil:
    """v_iᵀ K v_i for every column v_i; K symmetric."""
    cdef Py_ssize_t a, b, block, j, lane
    cdef double factor
    cdef double part[LANES]
    cdef double total[LANES]
    for block in range(width // LANES):
        j = LANES * block
        for lane in range(LANES):
            total[lane] = 0.0
        for a in range(k):
            factor = 0.5 * kernel[a * k + a]
            for lane in range(LANES):
                part[lane] = factor * rows[a * width + j + lane]
            for b in range(a):
                factor = kernel[a * k + b]
                for lane in range(LANES):
                    part[lane] += factor * rows[b * width + j + lane]
            for lane in range(LANES):
                total[lane] += rows[a * width + j + lane] * part[lane]
        for lane in range(LANES):
            out[j + lane] = 2.0 * total[lane]


cdef inline void lengths(Py_ssize_t k, Py_ssize_t width, const double* rows, double* out) noexcept nogil:
    """|v_i|² for every column."""
    cdef Py_ssize_t a, i
    for i in range(width):
        out[i] = rows[i] * rows[i]
    for a in range(1, k):
        for i in range(width):
            out[i] += rows[a * width + i] * rows[a * width + i]


cdef inline void combine(Py_ssize_t k, Py_ssize_t width, const double* coefficients,
                         const double* rows, double* out) noexcept nogil:
    """coefficientsᵀ V, a row."""
    cdef Py_ssize_t a, block, j, lane
    cdef double part[LANES]
    for block in range(width // LANES):
        j = LANES * block
        for lane in range(LANES):
            part[lane] = 0.0
        for a in range(k):
            for lane in range(LANES):
                part[lane] += coefficients[a] * rows[a * width + j + lane]
        for lane in range(LANES):
            out[j + lane] = part[lane]


cdef inline void lower_times(Py_ssize_t k, Py_ssize_t width, const double* lower, const double* rows,
                             const double* scale, double* out) noexcept nogil:
    """(lower triangular matrix) V diag(scale)."""
    cdef Py_ssize_t a, b, block, j, lane
    cdef double factor
    cdef double part[LANES]
    for block in range(width // LANES):
        j = LANES * block
        for a in range(k):
            for lane in range(LANES):
                part[lane] = 0.0
            for b in range(a + 1):
                factor = lower[a * k + b]
                for lane in range(LANES):
                    part[lane] += factor * rows[b * width + j + lane]
            for lane in range(LANES):
                out[a * width + j + lane] = part[lane] * scale[j + lane]


cdef inline double cholesky(Py_ssize_t k, double* matrix) noexcept nogil:
    """The lower triangle becomes L with L Lᵀ = matrix, its diagonal inverted.

    Returns the smallest pivot relative to its diagonal entry; 0 or less: not positive definite.
    """
    cdef Py_ssize_t a, b, c
    cdef double total, pivot, smallest = 1.0
    for a in range(k):
        for b in range(a):
            total = matrix[a * k + b]
            for c in range(b):
                total -= matrix[a * k + c] * matrix[b * k + c]
            matrix[a * k + b] = total * matrix[b * k + b]
        total = matrix[a * k + a]
        pivot = total
        for c in range(a):
            pivot -= matrix[a * k + c] * matrix[a * k + c]
        if not (pivot > 0.0 and total < 1e300):
            return 0.0
        if pivot < smallest * total:
            smallest = pivot / total
        matrix[a * k + a] = 1.0 / sqrt(pivot)
    return smallest


cdef inline void forward(Py_ssize_t k, Py_ssize_t width, const double* lower, double* rows) noexcept nogil:
    """V <- L⁻¹ V, L as ``cholesky`` leaves it."""
    cdef Py_ssize_t a, b, block, j, lane
    cdef double factor
    cdef double part[LANES]
    for block in range(width // LANES):
        j = LANES * block
        for a in range(k):
            for lane in range(LANES):
                part[lane] = rows[a * width + j + lane]
            for b in range(a):
                factor = lower[a * k + b]
                for lane in range(LANES):
                    part[lane] -= factor * rows[b * width + j + lane]
            factor = lower[a * k + a]
            for lane in range(LANES):
                rows[a * width + j + lane] = part[lane] * factor


cdef inline void forward_small(Py_ssize_t k, const double* lower, double* matrix) noexcept nogil:
    """T <- L⁻¹ T for a lower triangular T (k x k)."""
    cdef Py_ssize_t a, b, c
    for a in range(k):
        for b in range(a):
            for c in range(b + 1):
                matrix[a * k + c] -= lower[a * k + b] * matrix[b * k + c]
        for c in range(a + 1):
            matrix[a * k + c] *= lower[a * k + a]


cdef inline void back(Py_ssize_t k, const double* lower, double* v) noexcept nogil:
    """v <- L⁻ᵀ v."""
    cdef Py_ssize_t a, b
    for a in range(k - 1, -1, -1):
        for b in range(a + 1, k):
            v[a] -= lower[b * k + a] * v[b]
        v[a] *= lower[a * k + a]


cdef inline void solve(Py_ssize_t k, const double* lower, double* v) noexcept nogil:
    """v <- (L Lᵀ)⁻¹ v."""
    cdef Py_ssize_t a, b
    for a in range(k):
        for b in range(a):
            v[a] -= lower[a * k + b] * v[b]
        v[a] *= lower[a * k + a]
    back(k, lower, v)


cdef inline void transposed_times(Py_ssize_t k, const double* lower, const double* v,
                                  double* out) noexcept nogil:
    """Tᵀ v for a lower triangular T."""
    cdef Py_ssize_t a, b
    for a in range(k):
        out[a] = 0.0
    for b in range(k):
        for a in range(b + 1):
            out[a] += lower[b * k + a] * v[b]
