"""Leverage scores of one small matrix under many weights of its rows.

The products a_ia a_ib of a row, a <= b, are the same for all weights. With them as the rows of X
(n x d(d+1)/2) and a weight vector in each column of W (n x m),

    Gram matrices = Xᵀ W,      scores = W ∘ (X K),      K: a quadratic form in each column,

two matrix products, in which every entry of A that is read serves m problems; between them the Gram
matrices are inverted, a problem in each lane of a vector. The form K = (AᵀWA)⁻¹ is in A's own
columns. Its errors are of the order ε κ², like those of the Gram matrix. The Laplacian takes two
more products: Q y = W ∘ (X (K C K)) with C = Xᵀ (W∘y).
"""
from libc.math cimport INFINITY, fabs, log, sqrt
from libc.string cimport memset

from kernel_settings cimport CACHE_ENTRIES, SAFE_SIZE
from levinv._kernels.dense cimport Rows, allocate, describe, load, padded, whole_tiles
from levinv._kernels.tiles cimport TILE, tiles, tiles_free, tiles_limit

# Problems side by side: four tiles. Twice as many leave the L1 cache, half as many share the
# products of rows with fewer others.
cdef Py_ssize_t LANES = 4 * TILE
lanes = LANES                         # for callers: a whole number of times to a call


cdef struct Batch:
    Rows rows
    Py_ssize_t pairs, width           # products of a row; padded
    Py_ssize_t step                   # rows of a block
    bint kept                         # there is one block, whose products are kept
    double* block                     # step rows of A, packed
    double* products                  # step x width
    double* weights                   # step x LANES: of a row in each problem, or results
    double* forms                     # pairs x LANES, up to a whole tile: matrices, then forms
    double* moments                   # the same
    double* pivots                    # (d + 1) x LANES
    double* work


def one_pass(const double[:, :] A, const double[:, ::1] values, bint slack, double[:, ::1] out,
             double[::1] condition, double[::1] log_det, const double[::1] target,
             double[:, ::1] product):
    """out[j] <- scores of A, its rows divided by slacks ``values[j]`` or, without ``slack``,
    multiplied by the square roots of ``values[j]``.

    condition[j] <- as in ``factor.gram_inverse_factor``; inf or nan where there is no factor in
    double precision, or if a weight is not between 1 / SAFE_SIZE and SAFE_SIZE: the rest is then
    useless. So it is if an entry of A is not in that range and not 0. log_det[j] <- logarithm of
    the determinant of the Gram matrix; product[j] <- (Q - diag(σ)) (σ - target). None: neither.
    """
    cdef Batch b
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], problems = values.shape[0], panels
    cdef Py_ssize_t first, count, j
    cdef bint ordinary
    b.rows = describe(A, None)
    b.pairs = d * (d + 1) // 2
    b.width = padded(b.pairs)
    b.step = whole_tiles(min(n, max(CACHE_ENTRIES // 2 // b.width, 4 * TILE)))
    b.kept = b.step >= n
    panels = (b.step + 2 * b.width + d + 1) * LANES
    b.block = allocate(b.step * (padded(d) + b.width) + TILE + panels + 2 * d * d * TILE)
    b.products = b.block + b.step * padded(d)
    b.weights = b.products + b.step * b.width + TILE
    b.forms = b.weights + b.step * LANES
    b.moments = b.forms + b.width * LANES
    b.pivots = b.moments + b.width * LANES
    b.work = b.pivots + (d + 1) * LANES
    with nogil:
        ordinary = in_range(&b.rows)
        if b.kept and ordinary:
            products_of(&b, 0, n)
        if not ordinary:
            for first in range(problems):
                condition[first] = INFINITY
            problems = 0
        for first from 0 <= first < problems by LANES:
            count = min(LANES, problems - first)
            for j in range(first, first + count):
                condition[j] = 0.0 if weigh(&values[j, 0], n, slack, &out[j, 0]) else INFINITY
            add_moments(&b, &out[first, 0], count, b.forms)
            invert(&b, count, &condition[first], NULL if log_det is None else &log_det[first])
            contract(&b, b.forms, &out[first, 0], count, True)
            if target is not None:
                laplacian(&b, &values[first, 0], slack, count, &out[first, 0], &target[0],
                          &product[first, 0])
    tiles_free(b.block)


cdef bint in_range(const Rows* rows) noexcept nogil:
    """Whether all entries are of ordinary size: products with weights are then in range."""
    cdef Py_ssize_t i, j
    cdef double size
    cdef bint found = True
    for i in range(rows.n):
        for j in range(rows.d):
            size = fabs(rows.data[i * rows.row_stride + j * rows.column_stride])
            found &= size == 0.0 or 1.0 / SAFE_SIZE <= size <= SAFE_SIZE
    return found


cdef void products_of(Batch* b, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """The products of rows of A; zero rows up to a multiple of TILE."""
    load(&b.rows, NULL, first, count, b.block)
    tiles().pairs(b.block, padded(b.rows.d), whole_tiles(count), b.rows.d, b.width, b.products)


cdef bint weigh(const double* values, Py_ssize_t n, bint slack, double* out) noexcept nogil:
    """The weights of the rows; whether they are in range."""
    return tiles().weigh(values, n, slack, 1.0 / SAFE_SIZE, SAFE_SIZE, out)


cdef void add_moments(Batch* b, const double* factors, Py_ssize_t problems,
                      double* c) noexcept nogil:
    """c <- Xᵀ times the transpose of the factors (problems x n), 1 for problems that are none."""
    cdef Py_ssize_t n = b.rows.n, m = whole_tiles(problems), first, part, count, i, j
    memset(c, 0, b.width * m * sizeof(double))
    for first from 0 <= first < n by b.step:
        count = min(b.step, n - first)
        if not b.kept:
            products_of(b, first, count)
        for part from 0 <= part < count by 4 * TILE:      # transposed within the L1 cache
            for j in range(m):
                for i in range(part, min(part + 4 * TILE, count)):
                    b.weights[i * m + j] = factors[j * n + first + i] if j < problems else 1.0
        tiles().tn(b.products, b.width, b.weights, m, count, c)


cdef void contract(Batch* b, const double* forms, double* out, Py_ssize_t problems,
                   bint scores) noexcept nogil:
    """out <- out times the transpose of X forms, entry by entry; at most 1 if they are scores."""
    cdef Py_ssize_t n = b.rows.n, m = whole_tiles(problems), first, part, count, i, j
    cdef double value
    for first from 0 <= first < n by b.step:
        count = min(b.step, n - first)
        if not b.kept:
            products_of(b, first, count)
        tiles().nn(b.products, b.width, whole_tiles(count), b.pairs, forms, m, False, b.weights)
        for part from 0 <= part < count by 4 * TILE:
            for j in range(problems):
                for i in range(part, min(part + 4 * TILE, count)):
                    value = out[j * n + first + i] * b.weights[i * m + j]
                    out[j * n + first + i] = min(value, 1.0) if scores else value


cdef void invert(Batch* b, Py_ssize_t problems, double* condition,
                 double* log_det) noexcept nogil:
    """The forms of the Gram matrices, their condition, and the logarithms of determinants."""
    cdef Py_ssize_t d = b.rows.d, m = whole_tiles(problems), i, j
    cdef double* pivots = b.pivots
    tiles().forms(b.forms, m, d, b.work, pivots)
    for j in range(problems):
        condition[j] += sqrt(pivots[d * m + j])
        for i in range(d):
            if not pivots[i * m + j] > 0.0:
                condition[j] = INFINITY
        if log_det != NULL:
            log_det[j] = 0.0
            for i in range(d):
                log_det[j] += log(pivots[i * m + j])


cdef void laplacian(Batch* b, const double* values, bint slack, Py_ssize_t problems,
                    const double* scores, const double* target,
                    double* product) noexcept nogil:
    """product <- (Q - diag(scores)) (scores - target), a row for each problem."""
    cdef Py_ssize_t n = b.rows.n, i, j
    for j in range(problems):
        weigh(values + j * n, n, slack, product + j * n)
        for i in range(n):
            product[j * n + i] = product[j * n + i] * (scores[j * n + i] - target[i])
    add_moments(b, product, problems, b.moments)
    tiles().sandwich(b.forms, b.moments, whole_tiles(problems), b.rows.d, b.work)
    for j in range(problems):
        weigh(values + j * n, n, slack, product + j * n)
    contract(b, b.moments, product, problems, False)
    for j in range(problems):
        for i in range(n):
            product[j * n + i] = product[j * n + i] - scores[j * n + i] * (
                scores[j * n + i] - target[i])


def limit_tiles(int version):
    """As ``dense.limit_tiles``, in this module."""
    tiles_limit(version)
