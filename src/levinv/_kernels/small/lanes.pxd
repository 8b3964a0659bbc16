"""χ² of the scores of a component at eight points at a time, and its Levenberg-Marquardt model
(levinv.inverse.stages.branches).

A number of each of the LANES points stands in one vector: nothing is summed across a vector, and
components of few rows and columns leave no part of it empty. A point at which the scores are not
defined has NaN somewhere, and the χ² INFINITY.
"""
from libc.math cimport INFINITY, exp, fabs, sqrt
from libc.stdint cimport uint64_t

from kernel_settings cimport SIGN_TOLERANCE, TINY
from levinv._kernels.small.algebra cimport LANES, dot
from levinv._kernels.small.weightings cimport INVERSE_SQUARE, weigh
from levinv._kernels.small.workspace cimport Workspace


cdef extern from "lanes.h" nogil:
    # out <- value, factor a, a b, 1/a
    void put "lanes_put"(double value, double* out)
    void scale "lanes_scale"(double factor, const double* a, double* out)
    void multiply "lanes_multiply"(const double* a, const double* b, double* out)
    void invert "lanes_invert"(const double* a, double* out)
    # out += a, factor a, a b; out -= a b
    void add "lanes_add"(const double* a, double* out)
    void add_scaled "lanes_add_scaled"(double factor, const double* a, double* out)
    void add_product "lanes_add_product"(const double* a, const double* b, double* out)
    void subtract_product "lanes_subtract_product"(const double* a, const double* b, double* out)
    # out <- start + coefficientsᵀ a; the sum of a b over vectors at a stride
    void combine "lanes_combine"(Py_ssize_t k, const double* coefficients, const double* a,
                                 double start, double* out)
    void inner "lanes_inner"(Py_ssize_t count, Py_ssize_t stride, const double* a, const double* b,
                             double* out)
    # out <- factor (a - value)
    void difference "lanes_difference"(double factor, const double* a, double value, double* out)


cdef struct Noisy:                  # a component: m rows, rank r
    Py_ssize_t m, r
    const double* matrix            # M, m x r
    const double* offset            # o, of the predictors η = M y - o
    const double* scores
    const double* weight            # 1/deviation
    const double* log_prior         # or NULL
    double mode                     # η at which sides change
    Workspace weighing              # only its weighting
    # of the last points evaluated, in vectors of LANES
    double* eta                     # m
    double* root                    # m, scales of the rows
    double* slope                   # m, half the derivative of -τ
    double* sigma                   # m, the scores
    double* rows                    # m x r, an orthonormal basis of the scaled rows
    double* gram                    # r x r
    # of their linear model
    double* pairs                   # r(r+1)/2 x r
    double* jacobian                # r
    double* normal                  # r x r
    double* metric                  # r x r
    double* factor                  # r x r
    double* gradient                # r
    double* move                    # r
    double* moved                   # r
    double* point                   # r
    double* work                    # r


cdef inline bint by_pairs(const Noisy* p) noexcept nogil:
    """Whether the m r³ products with pairs of columns are fewer than the 2 m² r with Q∘Q."""
    return p.r * p.r <= 2 * p.m


cdef inline double* of_lanes(double** memory, Py_ssize_t size) noexcept nogil:
    """The next ``size`` vectors of the memory."""
    cdef double* part = memory[0]
    memory[0] += size * LANES
    return part


cdef inline Py_ssize_t doubles_needed(Py_ssize_t m, Py_ssize_t r) noexcept nogil:
    """For ``divide``."""
    cdef Py_ssize_t pairs = r * r * (r + 1) // 2 if r * r <= 2 * m else 0
    return LANES * (1 + m * (4 + r) + 4 * r * r + pairs + 6 * r)


cdef inline void divide(Noisy* p, double* memory) noexcept nogil:
    """Divide the memory into the vectors of a component."""
    cdef Py_ssize_t m = p.m, r = p.r
    p.eta, p.root = of_lanes(&memory, m), of_lanes(&memory, m)
    p.slope, p.sigma = of_lanes(&memory, m), of_lanes(&memory, m)
    p.rows, p.gram = of_lanes(&memory, m * r), of_lanes(&memory, r * r)
    p.pairs = of_lanes(&memory, r * r * (r + 1) // 2 if by_pairs(p) else 0)
    p.normal, p.metric = of_lanes(&memory, r * r), of_lanes(&memory, r * r)
    p.factor, p.jacobian = of_lanes(&memory, r * r), of_lanes(&memory, r)
    p.gradient, p.move = of_lanes(&memory, r), of_lanes(&memory, r)
    p.moved, p.point, p.work = (of_lanes(&memory, r), of_lanes(&memory, r), of_lanes(&memory, r))


cdef inline void rotate_by_score(const Noisy* p, double* matrix, double* y) noexcept nogil:
    """M <- M Q and y <- Qᵀ y, Q orthogonal: the rows of largest score are then zero but for the
    first entry, the first two and so on (stages.presolve says why). r Householder reflections.
    """
    cdef Py_ssize_t r = p.r, i, k, a, best, last = -1
    cdef double total, along
    cdef double* v
    cdef double* row
    for k in range(r):
        best = -1
        for i in range(p.m):
            if last >= 0 and (p.scores[i] > p.scores[last]
                              or (p.scores[i] == p.scores[last] and i <= last)):
                continue
            if best < 0 or p.scores[i] > p.scores[best]:
                best = i
        last, v, total = best, p.normal, 0.0
        for a in range(k, r):
            v[a] = matrix[best * r + a]
            total += v[a] * v[a]
        v[k] += sqrt(total) if v[k] > 0.0 else -sqrt(total)
        total = 0.5 * dot(r - k, v + k, v + k)
        for i in range(p.m + 1 if total > 0.0 else 0):
            row = y if i == p.m else matrix + i * r
            along = dot(r - k, row + k, v + k) / total
            for a in range(k, r):
                row[a] -= along * v[a]


cdef inline void factorise_lanes(Py_ssize_t r, double* matrix) noexcept nogil:
    """The lower triangle becomes L with L Lᵀ = matrix, its diagonal inverted; NaN where it is not
    positive definite.
    """
    cdef Py_ssize_t a, b, c, l
    cdef double* row
    cdef double* pivot
    for a in range(r):
        row = matrix + a * r * LANES
        for b in range(a):
            for c in range(b):
                subtract_product(row + c * LANES, matrix + (b * r + c) * LANES, row + b * LANES)
            multiply(matrix + (b * r + b) * LANES, row + b * LANES, row + b * LANES)
        pivot = row + a * LANES
        for c in range(a):
            subtract_product(row + c * LANES, row + c * LANES, pivot)
        for l in range(LANES):
            pivot[l] = 1.0 / sqrt(pivot[l])


cdef inline void forward_lanes(Py_ssize_t r, const double* lower, double* v) noexcept nogil:
    """v <- L⁻¹ v."""
    cdef Py_ssize_t a, b
    for a in range(r):
        for b in range(a):
            subtract_product(lower + (a * r + b) * LANES, v + b * LANES, v + a * LANES)
        multiply(lower + (a * r + a) * LANES, v + a * LANES, v + a * LANES)


cdef inline void solve_lanes(Py_ssize_t r, const double* lower, double* v) noexcept nogil:
    """v <- (L Lᵀ)⁻¹ v."""
    cdef Py_ssize_t a, b
    forward_lanes(r, lower, v)
    for a in range(r - 1, -1, -1):
        for b in range(a + 1, r):
            subtract_product(lower + (b * r + a) * LANES, v + b * LANES, v + a * LANES)
        multiply(lower + (a * r + a) * LANES, v + a * LANES, v + a * LANES)


cdef inline void predictors(Noisy* p, const double* y) noexcept nogil:
    """η at the points y (r vectors)."""
    cdef Py_ssize_t i
    for i in range(p.m):
        combine(p.r, p.matrix + i * p.r, y, -p.offset[i], p.eta + i * LANES)


cdef inline void weigh_lanes(Noisy* p) noexcept nogil:
    """Roots of the weights, and the slopes."""
    cdef Py_ssize_t m = p.m, i, l
    cdef double* root = p.root
    cdef double* slope = p.slope
    cdef double* eta = p.eta
    cdef double[LANES] top
    cdef double prior
    if p.weighing.weighting.kind == INVERSE_SQUARE:
        for i in range(m):                       # a root may be negative
            invert(eta + i * LANES, slope + i * LANES)
            prior = 1.0 if p.log_prior == NULL else exp(0.5 * p.log_prior[i])
            scale(prior, slope + i * LANES, root + i * LANES)
        return
    put(-INFINITY, top)
    for i in range(m):
        prior = 0.0 if p.log_prior == NULL else p.log_prior[i]
        for l in range(LANES):
            root[i * LANES + l] = prior + weigh(&p.weighing, eta[i * LANES + l],
                                                &slope[i * LANES + l])
            slope[i * LANES + l] *= -0.5
            top[l] = max(top[l], root[i * LANES + l])
    for i in range(m):
        for l in range(LANES):
            root[i * LANES + l] = exp(0.5 * (root[i * LANES + l] - top[l]))


cdef inline bint any_within(const double* misfit, double enough) noexcept nogil:
    """Whether a number is at most ``enough``."""
    cdef Py_ssize_t l
    cdef bint within = False
    for l in range(LANES):
        within = within or misfit[l] <= enough
    return within


cdef inline void evaluate_lanes(Noisy* p, const double* y, double* misfit,
                                double enough) noexcept nogil:
    """χ² at the points y (r vectors); INFINITY once it is above ``enough`` at all of them."""
    cdef Py_ssize_t m = p.m, r = p.r, i, a, b, l
    cdef double* row
    cdef double* sigma
    cdef double[LANES] total
    cdef double[LANES] residual
    predictors(p, y)
    weigh_lanes(p)
    for i in range(m):
        for a in range(r):
            scale(p.matrix[i * r + a], p.root + i * LANES, p.rows + (i * r + a) * LANES)
    for a in range(r):
        for b in range(a + 1):
            inner(m, r, p.rows + a * LANES, p.rows + b * LANES, p.gram + (a * r + b) * LANES)
    factorise_lanes(r, p.gram)
    put(0.0, misfit)
    put(0.0, total)
    for i in range(m):
        row, sigma = p.rows + i * r * LANES, p.sigma + i * LANES
        forward_lanes(r, p.gram, row)
        inner(r, 1, row, row, sigma)
        add(sigma, total)
        difference(p.weight[i], sigma, p.scores[i], residual)
        add_product(residual, residual, misfit)
        if i % LANES == LANES // 2 and enough < INFINITY and not any_within(misfit, enough):
            put(INFINITY, misfit)
            return
    for l in range(LANES):               # rounding: the scores sum to the rank
        if not (fabs(total[l] - r) < SIGN_TOLERANCE and misfit[l] < INFINITY):
            misfit[l] = INFINITY


cdef inline void jacobian_row(Noisy* p, Py_ssize_t i) noexcept nogil:
    """``jacobian`` <- row i of the whitened Jacobian, from ``pairs`` or row i of Q∘Q."""
    cdef Py_ssize_t r = p.r, a, b, j, k, place = 0
    cdef const double* row = p.rows + i * r * LANES
    cdef double[LANES] product
    multiply(p.sigma + i * LANES, p.slope + i * LANES, product)
    for k in range(r):
        scale(-p.matrix[i * r + k], product, p.jacobian + k * LANES)
    for j in range(0 if by_pairs(p) else p.m):
        inner(r, 1, row, p.rows + j * r * LANES, product)
        multiply(product, product, product)
        multiply(product, p.slope + j * LANES, product)
        for k in range(r):
            add_scaled(p.matrix[j * r + k], product, p.jacobian + k * LANES)
    for a in range(r if by_pairs(p) else 0):
        for b in range(a + 1):
            multiply(row + a * LANES, row + b * LANES, product)
            if a != b:
                scale(2.0, product, product)
            for k in range(r):
                add_product(product, p.pairs + (place + k) * LANES, p.jacobian + k * LANES)
            place += r
    for k in range(r):
        scale(2.0 * p.weight[i], p.jacobian + k * LANES, p.jacobian + k * LANES)


cdef inline void linearise_lanes(Noisy* p) noexcept nogil:
    """JᵀJ, lower triangle, and Jᵀρ at the last points evaluated: J is the whitened Jacobian and ρ
    the residual. With Q the projection on the scaled rows and F = slope∘M, J is twice
    (Q∘Q - diag σ) F. The entries of Q∘Q are sums of products of pairs of entries of basis rows:
    where there are fewer pairs than rows, they are summed over the rows of F once.
    """
    cdef Py_ssize_t m = p.m, r = p.r, i, a, b, k, place
    cdef const double* row
    cdef double[LANES] product
    cdef double[LANES] residual
    for a in range(r * (r + 1) // 2 * r if by_pairs(p) else 0):
        put(0.0, p.pairs + a * LANES)
    for i in range(m if by_pairs(p) else 0):
        row, place = p.rows + i * r * LANES, 0
        for a in range(r):
            for b in range(a + 1):
                multiply(row + a * LANES, row + b * LANES, product)
                multiply(product, p.slope + i * LANES, product)
                for k in range(r):
                    add_scaled(p.matrix[i * r + k], product, p.pairs + (place + k) * LANES)
                place += r
    for a in range(r * r):
        put(0.0, p.normal + a * LANES)
    for a in range(r):
        put(0.0, p.gradient + a * LANES)
    for i in range(m):
        jacobian_row(p, i)
        difference(p.weight[i], p.sigma + i * LANES, p.scores[i], residual)
        for a in range(r):
            add_product(residual, p.jacobian + a * LANES, p.gradient + a * LANES)
            for b in range(a + 1):
                add_product(p.jacobian + a * LANES, p.jacobian + b * LANES,
                            p.normal + (a * r + b) * LANES)


cdef inline void set_metric(Noisy* p, bint in_cell) noexcept nogil:
    """``metric``, lower triangle: that of relative changes of the slacks, or the diagonal of the
    normal matrix; and ``work`` <- the trace of (metric⁻¹ normal), in its first vector.
    """
    cdef Py_ssize_t r = p.r, i, a, b, k, l
    cdef double[LANES] square
    cdef double[LANES] size
    for a in range(r * r):
        put(0.0, p.metric + a * LANES)
    if in_cell:
        for i in range(p.m):
            difference(1.0, p.eta + i * LANES, p.mode, square)
            multiply(square, square, square)
            invert(square, square)
            for a in range(r):
                for b in range(a + 1):
                    add_scaled(p.matrix[i * r + a] * p.matrix[i * r + b], square,
                               p.metric + (a * r + b) * LANES)
    else:
        for a in range(r):
            for l in range(LANES):
                p.metric[(a * r + a) * LANES + l] = max(p.normal[(a * r + a) * LANES + l], TINY)
    for a in range(r * r * LANES):
        p.factor[a] = p.metric[a]
    factorise_lanes(r, p.factor)
    put(0.0, size)
    for k in range(r):
        for a in range(r):
            for l in range(LANES):
                p.work[a * LANES + l] = p.normal[(max(a, k) * r + min(a, k)) * LANES + l]
        solve_lanes(r, p.factor, p.work)
        add(p.work + k * LANES, size)
    scale(1.0, size, p.work)


cdef inline uint64_t number_of(Py_ssize_t i) noexcept nogil:
    """A random number for row i (splitmix64)."""
    cdef uint64_t z = (<uint64_t> i + 1) * <uint64_t> 0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline uint64_t cell_of(const Noisy* p, Py_ssize_t l) noexcept nogil:
    """A number for the signs of the last point evaluated in this lane: those of the rows above the
    mode, added.
    """
    cdef Py_ssize_t i
    cdef uint64_t total = 0
    for i in range(p.m):
        if p.eta[i * LANES + l] > p.mode:
            total += number_of(i)
    return total
