"""Linear algebra on small matrices, for the inversion of many small problems.

A matrix of n columns is stored row by row, each row padded with zeros to a multiple of LANES
numbers (``width``). All work along rows is in two loops, ``dots`` and ``add_four``. They take four
rows at once, so that their common operand is read once. The loops here are short, and the C
compiler may reorder their sums (see CMakeLists.txt). Therefore :mod:`dense` does not share them.
"""
from libc.math cimport INFINITY, sqrt

cdef extern from *:
    """
    typedef double *__restrict levinv_row;      /* overlaps no other argument */
    """
    ctypedef double* levinv_row

cdef enum:
    LANES = 8                # doubles in the widest vector there is, a cache line


cdef inline Py_ssize_t whole_vectors(Py_ssize_t size) noexcept nogil:
    """``size`` rounded up to a multiple of LANES."""
    return (size + LANES - 1) // LANES * LANES


cdef inline void dots(Py_ssize_t width, const double* v, const double* rows,
                      levinv_row out) noexcept nogil:
    """The products of four rows with v."""
    cdef Py_ssize_t i
    cdef double first = 0.0, second = 0.0, third = 0.0, fourth = 0.0
    for i in range(width):
        first += v[i] * rows[i]
        second += v[i] * rows[width + i]
        third += v[i] * rows[2 * width + i]
        fourth += v[i] * rows[3 * width + i]
    out[0] = first
    out[1] = second
    out[2] = third
    out[3] = fourth


cdef inline double dot(Py_ssize_t width, const double* a, const double* b) noexcept nogil:
    """aᵀ b."""
    cdef Py_ssize_t i
    cdef double total = 0.0
    for i in range(width):
        total += a[i] * b[i]
    return total


cdef inline void products(Py_ssize_t k, Py_ssize_t width, const double* rows, const double* v,
                          double* out) noexcept nogil:
    """V v."""
    cdef Py_ssize_t b
    for b in range(k // 4):
        dots(width, v, rows + 4 * b * width, out + 4 * b)
    for b in range(k // 4 * 4, k):
        out[b] = dot(width, v, rows + b * width)


cdef inline void add_four(Py_ssize_t width, double first, double second, double third,
                          double fourth, const double* rows, levinv_row out) noexcept nogil:
    """out += a combination of four rows."""
    cdef Py_ssize_t i
    for i in range(width):
        out[i] += (first * rows[i] + second * rows[width + i]
                   + (third * rows[2 * width + i] + fourth * rows[3 * width + i]))


cdef inline void add_one(Py_ssize_t width, double factor, const double* row,
                         levinv_row out) noexcept nogil:
    """out += factor row."""
    cdef Py_ssize_t i
    for i in range(width):
        out[i] += factor * row[i]


cdef inline void add_rows(Py_ssize_t k, Py_ssize_t width, double factor, const double* coefficients,
                          const double* rows, double* out) noexcept nogil:
    """out += factor coefficientsᵀ V."""
    cdef Py_ssize_t b
    cdef const double* c
    for b in range(k // 4):
        c = coefficients + 4 * b
        add_four(width, factor * c[0], factor * c[1], factor * c[2], factor * c[3],
                 rows + 4 * b * width, out)
    for b in range(k // 4 * 4, k):
        add_one(width, factor * coefficients[b], rows + b * width, out)


cdef inline void times(Py_ssize_t width, const double* a, const double* b,
                       levinv_row out) noexcept nogil:
    """a∘b."""
    cdef Py_ssize_t i
    for i in range(width):
        out[i] = a[i] * b[i]


cdef inline void scaled(Py_ssize_t width, double factor, const double* row,
                        levinv_row out) noexcept nogil:
    """factor row."""
    cdef Py_ssize_t i
    for i in range(width):
        out[i] = factor * row[i]


cdef inline void add_times(Py_ssize_t width, const double* a, const double* b,
                           levinv_row out) noexcept nogil:
    """out += a∘b."""
    cdef Py_ssize_t i
    for i in range(width):
        out[i] += a[i] * b[i]


cdef inline void gram(Py_ssize_t k, Py_ssize_t width, const double* rows, const double* weight,
                      double* work, double* out) noexcept nogil:
    """V diag(weight) Vᵀ, lower triangle; ``weight`` may be NULL."""
    cdef Py_ssize_t a
    for a in range(k):
        if weight == NULL:
            products(a + 1, width, rows, rows + a * width, out + a * k)
        else:
            times(width, weight, rows + a * width, work)
            products(a + 1, width, rows, work, out + a * k)


cdef inline void quad(Py_ssize_t k, Py_ssize_t width, const double* rows, const double* kernel,
                      double* work, double* out) noexcept nogil:
    """v_iᵀ K v_i for every column v_i; K symmetric, given by its lower triangle."""
    cdef Py_ssize_t a
    for a in range(k):
        scaled(width, kernel[a * k + a], rows + a * width, work)
        add_rows(a, width, 2.0, kernel + a * k, rows, work)
        if a == 0:
            times(width, rows, work, out)
        else:
            add_times(width, rows + a * width, work, out)


cdef inline void lengths(Py_ssize_t k, Py_ssize_t width, const double* rows,
                         double* out) noexcept nogil:
    """|v_i|² for every column."""
    cdef Py_ssize_t a
    times(width, rows, rows, out)
    for a in range(1, k):
        add_times(width, rows + a * width, rows + a * width, out)


cdef inline void combine(Py_ssize_t k, Py_ssize_t width, const double* coefficients,
                         const double* rows, double* out) noexcept nogil:
    """coefficientsᵀ V."""
    scaled(width, coefficients[0], rows, out)
    add_rows(k - 1, width, 1.0, coefficients + 1, rows + width, out)


cdef inline void lower_times(Py_ssize_t k, Py_ssize_t width, const double* lower,
                             const double* rows, const double* scale, double* work,
                             double* out) noexcept nogil:
    """(lower triangular matrix) V diag(scale)."""
    cdef Py_ssize_t a
    for a in range(k):
        combine(a + 1, width, lower + a * k, rows, work)
        times(width, work, scale, out + a * width)


cdef inline double cholesky(Py_ssize_t k, double* matrix) noexcept nogil:
    """The lower triangle becomes L with L Lᵀ = matrix, its diagonal inverted.

    Returns the smallest pivot relative to its diagonal entry; 0: not positive definite.
    """
    cdef Py_ssize_t a, b, c
    cdef double factor, pivot, whole, smallest = 1.0
    cdef double* row
    for a in range(k):
        row = matrix + a * k
        whole = pivot = row[a]
        for b in range(a):
            factor = row[b] * matrix[b * k + b]
            row[b] = factor
            pivot -= factor * factor
            for c in range(b + 1, a):
                row[c] -= factor * matrix[c * k + b]
        if not (pivot > 0.0 and whole < INFINITY):
            return 0.0
        if pivot < smallest * whole:
            smallest = pivot / whole
        row[a] = 1.0 / sqrt(pivot)
    return smallest


cdef inline void forward(Py_ssize_t k, Py_ssize_t width, const double* lower,
                         double* rows) noexcept nogil:
    """V <- L⁻¹ V, L as ``cholesky`` leaves it."""
    cdef Py_ssize_t a, i
    cdef double* row
    for a in range(k):
        row = rows + a * width
        add_rows(a, width, -1.0, lower + a * k, rows, row)
        for i in range(width):
            row[i] *= lower[a * k + a]


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
