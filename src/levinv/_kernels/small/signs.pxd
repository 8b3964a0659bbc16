"""Stage 2: signs of the slack (levinv.inverse.stages.signs), by the Douglas-Rachford iteration in
[U; q], made isotropic first.
"""
from libc.math cimport copysign, fabs, sqrt
from libc.stdint cimport uint64_t

from kernel_settings cimport (BATCH_DOUBT, BRANCH_STARTS, EPS, FEW_ITERATIONS, FEW_ROUNDS, PATIENCE,
                              SIGN_RANK, SIGN_TOLERANCE, SIGNIFICANT)
from levinv._kernels.small.algebra cimport (back, cholesky, combine, dot, forward, gram, lengths,
                                            products, times)
from levinv._kernels.small.presolve cimport column_pivot
from levinv._kernels.small.sides cimport sign_vectors
from levinv._kernels.small.weightings cimport half_distance, is_even
from levinv._kernels.small.workspace cimport Workspace


cdef inline uint64_t random_bits(Workspace* s) noexcept nogil:
    """64 random bits of the splitmix64 generator (Steele, Lea and Flood, 2014)."""
    cdef uint64_t z
    s.random_state += <uint64_t> 0x9E3779B97F4A7C15
    z = s.random_state
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline bint isotropic_rows(Workspace* s, Py_ssize_t p, const double* last,
                                const double* magnitude) noexcept nogil:
    """Row weights that make [U; last], of p rows, isotropic, its orthonormal rows, and the
    magnitudes to match in their span. Without ``last`` p is d. A row that takes no part has weight
    0, and so length 0.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, step, kept = 0
    cdef double size
    cdef const double* row
    cdef double* weight = s.signs.weight
    for i in range(n):
        size = s.basis.lengths[i]
        if p > d:
            size += last[i] * last[i]
        weight[i] = 0.0 if s.scores.accuracy[i] < 0.0 else 1.0 / sqrt(size)
        kept += weight[i] > 0.0
    for step in range(FEW_ROUNDS):
        for k in range(p):
            row = last
            if k < d:
                row = s.basis.rows + k * width
            times(width, weight, row, s.signs.rows + k * width)
        gram(p, width, s.signs.rows, NULL, NULL, s.signs.factor)
        if cholesky(p, s.signs.factor) < BATCH_DOUBT:
            return False
        forward(p, width, s.signs.factor, s.signs.rows)
        if step < FEW_ROUNDS - 1:
            lengths(p, width, s.signs.rows, s.scratch.row)
            size = 0.0
            for i in range(n):
                size = max(size, s.scratch.row[i])
            if size * kept <= 2.0 * p:           # no square is more than twice the mean
                break
            for i in range(n):
                weight[i] /= sqrt(max(s.scratch.row[i], EPS))
    for i in range(n):
        s.signs.aim[i] = weight[i] * magnitude[i]
    size = 1.0 / sqrt(dot(width, s.signs.aim, s.signs.aim))
    for i in range(n):
        s.signs.aim[i] *= size
    return True


cdef inline bint prepare_signs(Workspace* s) noexcept nogil:
    """The same for [U; q] and the magnitudes of stage 1."""
    return isotropic_rows(s, s.d + 1, s.response.outside, s.magnitudes.magnitude)


cdef inline double sign_tolerance(Workspace* s, bint exact) noexcept nogil:
    """The distance from the range at which signs fit: with noise, what the errors of the magnitudes
    explain is added.
    """
    cdef double total = 0.0, error
    cdef Py_ssize_t i
    if exact:
        return SIGN_TOLERANCE
    for i in range(s.n):
        error = s.signs.aim[i] * s.scores.accuracy[i]
        total += error * error
    return min(SIGN_TOLERANCE + 0.5 * SIGNIFICANT * sqrt(total), 0.5)


cdef inline void spectral_point(Workspace* s, Py_ssize_t p) noexcept nogil:
    """A starting point along the top eigenvector of sum (aim_i/|v_i|²)² v_i v_iᵀ, which power
    iteration computes, for p isotropic rows.
    """
    cdef Py_ssize_t n = s.n, width = s.width, i, k, j, _, largest = 0
    cdef double size
    cdef double* weight = s.signs.projected
    cdef double* form = s.scratch.form
    cdef double* direction = s.scratch.coordinates
    lengths(p, width, s.signs.rows, weight)
    for i in range(n):
        size = s.signs.aim[i] / max(weight[i], EPS)
        weight[i] = size * size
    gram(p, width, s.signs.rows, weight, s.scratch.row, form)
    for k in range(p):
        for j in range(k):
            form[j * p + k] = form[k * p + j]
        if form[k * p + k] > form[largest * p + largest]:
            largest = k
    for k in range(p):
        direction[k] = form[largest * p + k]
    for _ in range(2 * p):         # as many flops as an eigenvalue solver
        size = 0.0
        for k in range(p):
            s.scratch.vector[k] = 0.0
            for j in range(p):
                s.scratch.vector[k] += form[k * p + j] * direction[j]
            size += s.scratch.vector[k] * s.scratch.vector[k]
        size = 1.0 / sqrt(size)
        for k in range(p):
            direction[k] = size * s.scratch.vector[k]
    combine(p, width, direction, s.signs.rows, s.signs.projected)
    for i in range(n):
        s.signs.point[i] = copysign(s.signs.aim[i], s.signs.projected[i])


cdef inline bint find_signs(Workspace* s, Py_ssize_t start, double tolerance) noexcept nogil:
    """One run of the Douglas-Rachford iteration, the first from the spectral point; ``sign`` on
    success.
    """
    cdef Py_ssize_t n = s.n, p = s.d + 1, width = s.width, i, iteration
    cdef uint64_t bits = 0
    cdef Py_ssize_t moved
    cdef double size
    cdef bint settled = False, last         # whether the last iteration kept the signs
    cdef double* aim = s.signs.aim
    cdef double* point = s.signs.point
    cdef double* projected = s.signs.projected
    cdef double* coordinates = s.scratch.coordinates
    if start == 0:
        spectral_point(s, p)
    else:
        for i in range(n):
            if i % 64 == 0:
                bits = random_bits(s)
            point[i] = aim[i] if bits & 1 else -aim[i]
            bits >>= 1
    for i in range(n):
        s.signs.signed[i] = 0.0
    for iteration in range(2 * FEW_ITERATIONS):
        products(p, width, s.signs.rows, point, coordinates)
        combine(p, width, coordinates, s.signs.rows, projected)
        moved = 0
        for i in range(n):
            size = copysign(aim[i], projected[i])
            moved += s.signs.signed[i] != size
            s.signs.signed[i] = size
        last, settled = settled, moved == 0
        # a test costs as much as an iteration; noise may keep signs from settling
        if settled and not last or iteration % PATIENCE == PATIENCE - 1:
            products(p, width, s.signs.rows, s.signs.signed, coordinates)
            if 1.0 - dot(p, coordinates, coordinates) <= tolerance * tolerance:
                # [U; q]ᵀ z gives the signs also of the rows that took no part
                back(p, s.signs.factor, coordinates)
                combine(p, width, coordinates, s.basis.rows, projected)
                for i in range(n):
                    s.signs.sign[i] = copysign(1.0, -coordinates[s.d] * projected[i])
                return True
        for i in range(n):
            point[i] += copysign(aim[i], 2.0 * projected[i] - point[i]) - projected[i]
    return False


cdef inline bint other_sides(Workspace* s, double* accuracy) noexcept nogil:
    """Whether other sides of the slack or of the mode may have the same scores, at the same level
    (levinv.inverse.stages.sides). False for a rank at which not all are tried. ``accuracy`` has the
    standard deviations of the slack; NULL: it is exact. Uses the Jacobian's memory.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, last = 0
    cdef Py_ssize_t q = d if s.response.mirrored else d + 1
    cdef Py_ssize_t row
    cdef double turn, size, share
    cdef const double* slack = s.refinement.slack
    cdef const double* response = s.response.outside
    cdef double* matrix = s.refinement.jacobian
    cdef double* column
    cdef const double* own
    cdef double* inverse = s.signs.point
    cdef double* outside = s.scratch.image
    cdef double* pivot_column = s.scratch.vector
    cdef double* tolerance = s.scratch.row
    if q > SIGN_RANK:
        return False
    if not is_even(s):
        for i in range(n):
            s.levels.half[i] = half_distance(s, s.weighting.unit[i] * slack[i])
            s.levels.half[i] /= s.weighting.unit[i]
        slack = response = s.levels.half
    if q > d:
        last = column_pivot(s, response, outside, pivot_column)
        if last < 0:
            return True
    for i in range(n):
        inverse[i] = 1.0 / slack[i]
        tolerance[i] = SIGN_TOLERANCE
        if accuracy != NULL:
            accuracy[i] = tolerance[i] = max(SIGNIFICANT * accuracy[i] * fabs(inverse[i]),
                                             SIGN_TOLERANCE)
    for k in range(q):
        row = s.basis.pivot_rows[k] if k < d else last
        share = SIGN_TOLERANCE if accuracy == NULL else accuracy[row]
        column = matrix + k * width
        if k < d:
            own, turn = s.basis.coefficients + k * width, -pivot_column[k] if q > d else 0.0
        else:
            own, turn = outside, 0.0
        size = slack[row]
        for i in range(n):
            column[i] = (own[i] + turn * outside[i]) * size * inverse[i]
            tolerance[i] += share * fabs(column[i])
    return sign_vectors(n, q, width, matrix, tolerance, True, BRANCH_STARTS,
                        BRANCH_STARTS * BRANCH_STARTS, s.signs.memory, s.signs.found) != 1
