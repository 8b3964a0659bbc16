"""Score inversion of many small problems: all four stages of one problem after another, compiled.

The mathematics is that of :mod:`levinv.inverse`; what follows is how small problems let it be done.

*Basis.* Rows at unit norm, A A_basis⁻¹ by Gauss-Jordan elimination decides rank and components,
and two Cholesky passes make it orthonormal: U = E Aᵀ, d x n. With q the part of b outside range(A),
scaled to norm 1, slacks are U'y - q and x = E'(|q| y + U b).

*Stage 1.* The exact minimiser along one coordinate t_i of f(t) - cᵀt is reached by adding
logit c_i - logit sigma_i. All coordinates at once, that is Newton with the diagonal of the
Laplacian, which is close enough to it for the error to halve with each *sweep*. Newton steps by
conjugate gradients finish: each product costs one Gram matrix and one quadratic form.

*Stage 2.* [U; q] is an orthonormal basis already; two weighted passes make it isotropic.

*Stage 4.* Gauss-Newton in the basis in which the scaled rows are orthonormal, by normal equations
(the right-hand side decides the accuracy of the limit, not the matrix). The factored matrix is kept
as long as it serves.

Whatever is not plain sailing is left to the caller, who has the general route: rank or components in
doubt, scores close to 0 or 1, any stage that does not arrive.
"""
from libc.math cimport copysign, exp, fabs, sqrt
from libc.stdint cimport uint64_t

import numpy as np

include "_small.pxi"

cdef enum:
    MAX_SWEEPS = 8
    MAX_NEWTON = 30
    MAX_SHORTENINGS = 10
    MAX_PRODUCTS = 60
    ISOTROPY_STEPS = 2
    POWER_STEPS = 20
    RUN = 400                 # reflections before a restart
    CHECK_EVERY = 3
    STARTS = 12
    SETTLINGS = 5
    MAX_POLISH = 40
    MAX_SHIFTS = 60

cdef double SMALLEST_PIVOT = 1e-8      # of unit rows and columns: below it the rank is in doubt
cdef double LARGEST_COEFFICIENT = 1e6  # of rows in terms of the basis rows
cdef double ZERO = 1e-7                # relative: smaller coefficients connect nothing
cdef double IN_RANGE = 1e-7            # relative part of b outside range(A) below which it is in
                                       # doubt
cdef double SWEPT = 0.1                # relative error at which Newton takes over
cdef double MATCHED = 1e-7             # relative error of the scores that ends stage 1
cdef double LATE = 1e-3                # below it full steps
cdef double STAGNANT = 1e-5            # below it an error that no longer halves is rounding
cdef double LONGEST_STEP = 4.0
cdef double FIT = 1e-6                 # relative distance from the range at which signs are accepted
cdef double EXPLAINED = 1.5            # of what inexact magnitudes explain, added to it
cdef double ROUNDING = 1.1102230246251565e-16
cdef double AT_ROUNDING = 1e-11        # max |sigma - c| from which a step that does not help is
                                       # rounding
cdef double SERVES = 1e-2              # decrease of the residual with which the Jacobian is kept
cdef double FLAT = 1e-14               # predicted relative decrease of its square that ends it
cdef double HUGE = 1e300
cdef double EPS = 2.220446049250313e-16
cdef double SMALLEST_SCORE = 1e-12     # of exact scores; beyond, the general route
cdef double LARGEST_SCORE = 1.0 - 1e-10
cdef double LARGEST_DAMPING = 1e8
cdef double REGULAR = 1e-12            # relative pivot of JᵀJ below which uniqueness is in doubt
cdef double ILL = 1e-2                 # relative pivot of a Gram matrix that asks for a second pass
cdef double SETTLED = 1e7              # whitened residual of exact scores that leaves doubts
cdef double CLEAR = 4.0                # standard deviations at which a sign counts


cdef struct Space:
    Py_ssize_t n, d, width, small         # width, small: n, d filled up to full vectors
    double* unit                          # 1/|a_i|
    double* coefficient                   # (A A_basis⁻¹)ᵀ, d x width
    Py_ssize_t* basis                     # d rows of A
    uint64_t* pattern                     # n, nonzeros of each column of coefficient
    double* frame                         # U and q, (d + 1) x width
    double* transform                     # E, d x small
    double* length                        # |u_i|²
    double* centre                        # U b, d
    double norm                           # of q before it was scaled
    double* target                        # scores strictly inside (0, 1), summing to d
    double* scores                        # as given
    double* whiten                        # 1 / deviation of each score
    double* share                         # 1 / min(c, 1 - c)
    double* odds                          # c / (1 - c)
    double* weight
    double* kept
    double* rows                          # V, d x width: orthonormal, diag(weight)^(1/2) U
    double* sigma
    double* residual
    double* step
    double* direction
    double* image
    double* remainder
    double* inverse
    double* work
    double* gram                          # (d + 1) x (d + 1)
    double* kernel
    double* magnitude
    double* sign
    double* accuracy                      # relative, of the magnitudes; < 0: leave the row out
    double* isotropic                     # (d + 1) x width
    double* mixing                        # its Cholesky factor
    double* stretch
    double* aim                           # stretch∘magnitude
    double* point
    double* projected
    double* signed
    double* coordinate                    # d + 1
    double* vector
    double* y
    double* trial
    double* lower                         # T, d x d
    double* lower_then                    # T at the Jacobian
    double* jacobian                      # d x width
    double* normal                        # JᵀJ
    double* factor
    double* slack
    double worst                          # max |sigma - c|
    uint64_t state                        # of the random generator
    int iterations


cdef Py_ssize_t place(double** pointer, double* base, Py_ssize_t used, Py_ssize_t size) noexcept nogil:
    if base != NULL:
        pointer[0] = base + used
    return used + (size + LANES - 1) // LANES * LANES


cdef Py_ssize_t lay_out(Space* s, Py_ssize_t n, Py_ssize_t d, double* base) noexcept nogil:
    """Point into ``base``, unless it is NULL; returns the number of doubles needed."""
    cdef Py_ssize_t width = (n + LANES - 1) // LANES * LANES
    cdef Py_ssize_t small = (d + LANES - 1) // LANES * LANES
    cdef Py_ssize_t p = d + 1, used = 0
    s.n, s.d, s.width, s.small = n, d, width, small
    used = place(&s.coefficient, base, used, d * width)
    used = place(&s.rows, base, used, d * width)
    used = place(&s.jacobian, base, used, d * width)
    used = place(&s.frame, base, used, p * width)
    used = place(&s.isotropic, base, used, p * width)
    used = place(&s.unit, base, used, width)
    used = place(&s.length, base, used, width)
    used = place(&s.target, base, used, width)
    used = place(&s.scores, base, used, width)
    used = place(&s.whiten, base, used, width)
    used = place(&s.share, base, used, width)
    used = place(&s.odds, base, used, width)
    used = place(&s.weight, base, used, width)
    used = place(&s.kept, base, used, width)
    used = place(&s.sigma, base, used, width)
    used = place(&s.residual, base, used, width)
    used = place(&s.step, base, used, width)
    used = place(&s.direction, base, used, width)
    used = place(&s.image, base, used, width)
    used = place(&s.remainder, base, used, width)
    used = place(&s.inverse, base, used, width)
    used = place(&s.work, base, used, width)
    used = place(&s.magnitude, base, used, width)
    used = place(&s.sign, base, used, width)
    used = place(&s.accuracy, base, used, width)
    used = place(&s.stretch, base, used, width)
    used = place(&s.aim, base, used, width)
    used = place(&s.point, base, used, width)
    used = place(&s.projected, base, used, width)
    used = place(&s.signed, base, used, width)
    used = place(&s.slack, base, used, width)
    used = place(<double**> &s.pattern, base, used, width)
    used = place(&s.gram, base, used, p * p)
    used = place(&s.kernel, base, used, p * p)
    used = place(&s.mixing, base, used, p * p)
    used = place(&s.lower, base, used, d * d)
    used = place(&s.lower_then, base, used, d * d)
    used = place(&s.normal, base, used, d * d)
    used = place(&s.factor, base, used, d * d)
    used = place(&s.coordinate, base, used, p)
    used = place(&s.vector, base, used, p)
    used = place(&s.y, base, used, p)
    used = place(&s.trial, base, used, p)
    used = place(&s.centre, base, used, p)
    used = place(<double**> &s.basis, base, used, p)
    used = place(&s.transform, base, used, d * small)
    return used


# what belongs to A alone

cdef bint connected(Py_ssize_t n, int width, const uint64_t* pattern) noexcept nogil:
    """Whether the nonzeros of the rows outside the basis connect all basis rows."""
    cdef uint64_t every = (<uint64_t> 1 << width) - 1, reached = 0
    cdef bint grown = True
    cdef Py_ssize_t i
    for i in range(n):
        if pattern[i]:
            reached = pattern[i]
            break
    while grown:
        grown = False
        for i in range(n):
            if pattern[i] & reached and pattern[i] & ~reached:
                reached |= pattern[i]
                grown = True
    return reached == every


cdef bint prepare_rows(Space* s, const double* A) noexcept nogil:
    """Basis of range(A); False where A is not generic beyond doubt."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, small = s.small, i, k, r, best
    cdef double total, pivot, largest, factor
    cdef double* row
    cdef double* other
    for i in range(n):
        total = 0.0
        for k in range(d):
            total += A[i * d + k] * A[i * d + k]
        if not total > 1e-280:
            return False
        s.unit[i] = 1.0 / sqrt(total)
    for i in range(d * small):
        s.transform[i] = 0.0
    for k in range(d):
        row = s.frame + k * width
        for i in range(n):
            row[i] = A[i * d + k] * s.unit[i]
        total = dot(width, row, row)
        if not total > 1e-280:
            return False
        total = 1.0 / sqrt(total)
        s.transform[k * small + k] = total
        for i in range(n):
            row[i] *= total
    for k in range(d):
        row = s.frame + k * width
        best, largest = 0, -1.0
        for i in range(n):
            if fabs(row[i]) > largest:
                best, largest = i, fabs(row[i])
        if not largest > SMALLEST_PIVOT:
            return False
        s.basis[k] = best
        pivot = 1.0 / row[best]
        for i in range(width):
            row[i] *= pivot
        for i in range(small):
            s.transform[k * small + i] *= pivot
        for r in range(d):
            if r != k:
                other = s.frame + r * width
                factor = other[best]
                for i in range(width):
                    other[i] -= factor * row[i]
                for i in range(small):
                    s.transform[r * small + i] -= factor * s.transform[k * small + i]
    for i in range(n):
        largest = 0.0
        for k in range(d):
            largest = max(largest, fabs(s.frame[k * width + i]))
        if not largest < LARGEST_COEFFICIENT:
            return False
        s.pattern[i] = 0
        for k in range(d):
            if fabs(s.frame[k * width + i]) > ZERO * largest:
                s.pattern[i] |= <uint64_t> 1 << k
    for k in range(d):
        s.pattern[s.basis[k]] = 0
    if not connected(n, <int> d, s.pattern):
        return False
    for i in range(d * width):
        s.coefficient[i] = s.frame[i]
    for k in range(2):
        gram(d, width, s.frame, NULL, NULL, s.gram)
        if cholesky(d, s.gram) < SMALLEST_PIVOT:
            return False
        forward(d, width, s.gram, s.frame)
        forward(d, small, s.gram, s.transform)
    lengths(d, width, s.frame, s.length)
    return True


cdef bint prepare_response(Space* s, const double* b, bint need_signs) noexcept nogil:
    """The part of b outside range(A); False where that or the signs are not determined beyond
    doubt.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, best = 0
    cdef double total, largest, size = 0.0
    cdef double* q = s.frame + d * width
    cdef double* outside = s.work
    for i in range(n):
        q[i] = b[i] * s.unit[i]
        size = max(size, fabs(q[i]))
    if need_signs:
        for k in range(d):
            s.coordinate[k] = q[s.basis[k]]
        combine(d, width, s.coordinate, s.coefficient, outside)
        largest = 0.0
        for i in range(n):
            outside[i] = q[i] - outside[i]
            if fabs(outside[i]) > largest:
                best, largest = i, fabs(outside[i])
        if not largest > IN_RANGE * size:
            return False
        for i in range(n):
            outside[i] /= outside[best]
            total = fabs(outside[i])
            for k in range(d):
                total = max(total, fabs(s.coefficient[k * width + i]
                                        - outside[i] * s.coefficient[k * width + best]))
            s.pattern[i] = 0
            for k in range(d):
                if fabs(s.coefficient[k * width + i]
                        - outside[i] * s.coefficient[k * width + best]) > ZERO * total:
                    s.pattern[i] |= <uint64_t> 1 << k
            if fabs(outside[i]) > ZERO * total:
                s.pattern[i] |= <uint64_t> 1 << d
        for k in range(d):
            s.pattern[s.basis[k]] = 0
        s.pattern[best] = 0
        if not connected(n, <int> d + 1, s.pattern):
            return False
    for k in range(d):
        s.centre[k] = 0.0
    total = sqrt(dot(width, q, q))
    for best in range(2):
        products(d, width, s.frame, q, s.coordinate)
        for k in range(d):
            s.centre[k] += s.coordinate[k]
        combine(d, width, s.coordinate, s.frame, outside)
        for i in range(width):
            q[i] -= outside[i]
    s.norm = sqrt(dot(width, q, q))
    if not s.norm > IN_RANGE * total:
        return False
    for i in range(width):
        q[i] /= s.norm
    return True


# stage 1

cdef bint scale(Space* s) noexcept nogil:
    """V and its scores at ``weight``."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k
    gram(d, width, s.frame, s.weight, s.work, s.gram)
    if cholesky(d, s.gram) < 1e-12:
        return False
    for i in range(n):
        s.work[i] = sqrt(s.weight[i])
    for k in range(d):
        for i in range(width):
            s.rows[k * width + i] = s.work[i] * s.frame[k * width + i]
    forward(d, width, s.gram, s.rows)
    lengths(d, width, s.rows, s.sigma)
    for i in range(n):
        s.residual[i] = s.sigma[i] - s.target[i]
    return True


cdef double relative_error(Space* s) noexcept nogil:
    cdef double worst = 0.0, error
    cdef Py_ssize_t i
    for i in range(s.n):
        error = fabs(s.residual[i]) * s.share[i]
        worst = error if error > worst else worst
    return worst


cdef bint explained(Space* s, bint exact) noexcept nogil:
    """Whether the noise explains the residual."""
    cdef double total = 0.0
    cdef Py_ssize_t i
    if exact:
        return False
    for i in range(s.n):
        total += (s.residual[i] * s.whiten[i]) * (s.residual[i] * s.whiten[i])
    return total <= s.n


cdef void newton_step(Space* s, double tolerance) noexcept nogil:
    """``step`` with Laplacian step = -residual, by preconditioned conjugate gradients."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, product
    cdef double size = 0.0, first, previous, length, curvature
    for i in range(n):
        s.inverse[i] = 1.0 / (s.sigma[i] * max(1.0 - s.sigma[i], ROUNDING))
        s.step[i] = 0.0
        s.remainder[i] = -s.residual[i]
        s.direction[i] = s.inverse[i] * s.remainder[i]
        size += s.remainder[i] * s.direction[i]
    first = size
    for product in range(MAX_PRODUCTS):
        gram(d, width, s.rows, s.direction, s.work, s.kernel)
        quad(d, width, s.rows, s.kernel, s.work, s.image)
        curvature = 0.0
        for i in range(n):
            s.image[i] = s.sigma[i] * s.direction[i] - s.image[i]
            curvature += s.image[i] * s.direction[i]
        if not curvature > 0.0:
            break
        length = size / curvature
        previous, size = size, 0.0
        for i in range(n):
            s.step[i] += length * s.direction[i]
            s.remainder[i] -= length * s.image[i]
            size += s.remainder[i] * s.remainder[i] * s.inverse[i]
        if not size > tolerance * tolerance * first:
            break
        length = size / previous
        for i in range(n):
            s.direction[i] = s.inverse[i] * s.remainder[i] + length * s.direction[i]


cdef bint match_scores(Space* s, bint exact) noexcept nogil:
    """Weights whose scores are ``target``."""
    cdef Py_ssize_t n = s.n, i, sweep, iteration, shortening
    cdef double error, before, length, longest, slope, new_slope
    cdef bint accepted
    for i in range(n):
        s.weight[i] = s.odds[i] / s.length[i]
    if not scale(s):
        return False
    error = relative_error(s)
    for sweep in range(MAX_SWEEPS):
        if error <= SWEPT or explained(s, exact):
            break
        for i in range(n):
            s.weight[i] *= s.odds[i] * max(1.0 - s.sigma[i], ROUNDING) / s.sigma[i]
        s.iterations += 1
        if not scale(s):
            return False
        error = relative_error(s)
    for iteration in range(MAX_NEWTON):
        if error <= MATCHED or explained(s, exact):
            return True
        newton_step(s, min(0.1, max(error, 0.1 * MATCHED / error)))
        slope = longest = 0.0
        for i in range(n):
            slope += s.residual[i] * s.step[i]
            longest = max(longest, fabs(s.step[i]))
            s.kept[i] = s.weight[i]
        if not slope < 0.0:
            return error < STAGNANT
        length = 1.0 if longest <= LONGEST_STEP else LONGEST_STEP / longest
        before, accepted = error, False
        for shortening in range(MAX_SHORTENINGS):
            for i in range(n):
                s.weight[i] = s.kept[i] * exp(length * s.step[i])
            if not scale(s):
                length *= 0.25
                continue
            new_slope = 0.0
            for i in range(n):
                new_slope += s.residual[i] * s.step[i]
            if new_slope <= -0.9 * slope or (before < LATE and longest <= 1.0):
                accepted = True
                break
            length *= min(0.5, max(0.1, slope / (slope - new_slope)))
        if not accepted:
            return False
        s.iterations += 1
        error = relative_error(s)
        if before < STAGNANT and error > 0.5 * before:
            return True
    return False


# stage 2

cdef uint64_t random_bits(Space* s) noexcept nogil:
    """The splitmix64 generator."""
    cdef uint64_t z
    s.state += <uint64_t> 0x9E3779B97F4A7C15
    z = s.state
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return z ^ (z >> 31)


cdef bint prepare_signs(Space* s) noexcept nogil:
    """Isotropic basis of the rows of [A b] and the magnitudes to match in it."""
    cdef Py_ssize_t n = s.n, p = s.d + 1, width = s.width, i, k, step
    cdef double size
    for i in range(n):
        size = s.length[i] + s.frame[s.d * width + i] * s.frame[s.d * width + i]
        s.stretch[i] = 0.0 if s.accuracy[i] < 0.0 else 1.0 / sqrt(size)
    for step in range(ISOTROPY_STEPS):
        for k in range(p):
            for i in range(width):
                s.isotropic[k * width + i] = s.stretch[i] * s.frame[k * width + i]
        gram(p, width, s.isotropic, NULL, NULL, s.mixing)
        if cholesky(p, s.mixing) < SMALLEST_PIVOT:
            return False
        forward(p, width, s.mixing, s.isotropic)
        if step < ISOTROPY_STEPS - 1:
            lengths(p, width, s.isotropic, s.work)
            for i in range(n):
                s.stretch[i] /= sqrt(max(s.work[i], 1e-8))
    for i in range(n):
        s.aim[i] = s.stretch[i] * s.magnitude[i]
    size = 1.0 / sqrt(dot(width, s.aim, s.aim))
    for i in range(n):
        s.aim[i] *= size
    return True


cdef void spectral_start(Space* s) noexcept nogil:
    """The direction in which rows are long where magnitudes are: the top eigenvector of
    sum (aim_i/|v_i|²)² v_i v_iᵀ by power iteration.
    """
    cdef Py_ssize_t n = s.n, p = s.d + 1, width = s.width, i, k, j, step, largest = 0
    cdef double size
    lengths(p, width, s.isotropic, s.point)
    for i in range(n):
        size = s.aim[i] / max(s.point[i], 1e-8)
        s.point[i] = size * size
    gram(p, width, s.isotropic, s.point, s.work, s.kernel)
    for k in range(p):
        for j in range(k):
            s.kernel[j * p + k] = s.kernel[k * p + j]
        if s.kernel[k * p + k] > s.kernel[largest * p + largest]:
            largest = k
    for k in range(p):
        s.coordinate[k] = s.kernel[largest * p + k]
    for step in range(POWER_STEPS):
        size = 0.0
        for k in range(p):
            s.vector[k] = 0.0
            for j in range(p):
                s.vector[k] += s.kernel[k * p + j] * s.coordinate[j]
            size += s.vector[k] * s.vector[k]
        size = 1.0 / sqrt(size)
        for k in range(p):
            s.coordinate[k] = size * s.vector[k]
    combine(p, width, s.coordinate, s.isotropic, s.projected)
    for i in range(n):
        s.point[i] = copysign(s.aim[i], s.projected[i])


cdef bint find_signs(Space* s, int start, double tolerance) noexcept nogil:
    """One start of the Douglas-Rachford iteration; ``sign`` on success."""
    cdef Py_ssize_t n = s.n, p = s.d + 1, width = s.width, i, k, iteration
    cdef double inside
    cdef uint64_t bits = 0
    if start == 0:
        spectral_start(s)
    else:
        for i in range(n):
            if i % 64 == 0:
                bits = random_bits(s)
            s.point[i] = s.aim[i] if bits & 1 else -s.aim[i]
            bits >>= 1
    for iteration in range(RUN):
        products(p, width, s.isotropic, s.point, s.coordinate)
        combine(p, width, s.coordinate, s.isotropic, s.projected)
        if iteration % CHECK_EVERY == CHECK_EVERY - 1:
            for i in range(n):
                s.signed[i] = copysign(s.aim[i], s.projected[i])
            inside = 0.0
            products(p, width, s.isotropic, s.signed, s.coordinate)
            for k in range(p):
                inside += s.coordinate[k] * s.coordinate[k]
            if 1.0 - inside <= tolerance * tolerance:
                back(p, s.mixing, s.coordinate)      # rows that took no part: off [A b] z
                combine(p, width, s.coordinate, s.frame, s.projected)
                for i in range(n):
                    s.sign[i] = copysign(1.0, -s.coordinate[s.d] * s.projected[i])
                return True
        for i in range(n):
            s.point[i] += (copysign(s.aim[i], 2.0 * s.projected[i] - s.point[i])
                           - s.projected[i])
    return False


# stage 3

cdef bint orthonormal_rows(Space* s, const double* factor) noexcept nogil:
    """V = T U diag(factor) with orthonormal rows, the lower triangular T updated."""
    cdef Py_ssize_t d = s.d, width = s.width
    cdef double pivot
    lower_times(d, width, s.lower, s.frame, factor, s.image, s.rows)
    for _ in range(2):
        gram(d, width, s.rows, NULL, NULL, s.gram)
        pivot = cholesky(d, s.gram)
        if pivot <= 0.0:
            return False
        forward(d, width, s.gram, s.rows)
        forward_small(d, s.gram, s.lower)
        if pivot > ILL:
            return True
    return pivot > ILL


cdef bint identify(Space* s, bint exact, bint settle) noexcept nogil:
    """y whose slack is nearest to κ sign∘magnitude, relative to the magnitudes' accuracy; False if
    κ < 0.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, settling
    cdef double best = 1.0, along, size, kappa
    cdef double* q = s.frame + d * width
    cdef bint changed
    if not exact:
        for i in range(n):
            if s.accuracy[i] >= 0.0:
                best = min(best, s.accuracy[i])
        for i in range(n):
            s.stretch[i] = 0.0 if s.accuracy[i] < 0.0 else best / max(s.accuracy[i], 1e-300)
    else:
        for i in range(n):
            s.stretch[i] = 1.0
    for i in range(n):
        s.work[i] = s.stretch[i] / s.magnitude[i]
    for i in range(d * d):
        s.lower[i] = 0.0
    for k in range(d):
        s.lower[k * d + k] = 1.0
    if not orthonormal_rows(s, s.work):
        return False
    for settling in range(SETTLINGS if settle else 1):
        for i in range(n):
            s.signed[i] = s.sign[i] * s.stretch[i]
            s.image[i] = q[i] * s.work[i]
        products(d, width, s.rows, s.signed, s.coordinate)
        products(d, width, s.rows, s.image, s.vector)
        combine(d, width, s.coordinate, s.rows, s.projected)
        along = size = 0.0
        for i in range(n):
            s.remainder[i] = s.signed[i] - s.projected[i]
            size += s.remainder[i] * s.remainder[i]
            along += s.remainder[i] * s.image[i]
        if not size > 0.0:
            return False
        kappa = -along / size
        if kappa < 0.0 and not settle:
            return False
        for k in range(d):
            s.coordinate[k] = s.vector[k] + kappa * s.coordinate[k]
        transposed_times(d, s.lower, s.coordinate, s.y)
        if not settle:
            return True
        combine(d, width, s.y, s.frame, s.slack)
        changed = False
        for i in range(n):
            along = copysign(1.0, s.slack[i] - q[i])
            if along != s.sign[i]:
                changed = True
                s.sign[i] = along
        if not changed:
            return True
    return True


# stage 4

cdef double evaluate(Space* s) noexcept nogil:
    """Scores at ``slack``; the square of the whitened residual, or inf where undefined."""
    cdef Py_ssize_t n = s.n, i
    cdef double total = 0.0, worst = 0.0, whitened
    for i in range(n):
        if not 1e-140 < fabs(s.slack[i]) < 1e140:
            return HUGE
        s.work[i] = 1.0 / fabs(s.slack[i])
    if not orthonormal_rows(s, s.work):
        return HUGE
    lengths(s.d, s.width, s.rows, s.sigma)
    for i in range(n):
        s.residual[i] = s.sigma[i] - s.scores[i]
        whitened = s.residual[i] * s.whiten[i]
        total += whitened * whitened
        worst = max(worst, fabs(s.residual[i]))
    s.worst = worst
    return total


cdef double evaluate_at(Space* s, const double* y) noexcept nogil:
    cdef Py_ssize_t i
    combine(s.d, s.width, y, s.frame, s.slack)
    for i in range(s.n):
        s.slack[i] -= s.frame[s.d * s.width + i]
    return evaluate(s)


cdef void linearise(Space* s) noexcept nogil:
    """The whitened Jacobian in the basis of V, and JᵀJ."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k
    cdef double* column
    for k in range(d):
        column = s.jacobian + k * width
        for i in range(n):
            s.direction[i] = copysign(1.0, s.slack[i]) * s.rows[k * width + i]
        gram(d, width, s.rows, s.direction, s.work, s.kernel)
        quad(d, width, s.rows, s.kernel, s.work, column)
        for i in range(n):
            column[i] = 2.0 * s.whiten[i] * (column[i] - s.sigma[i] * s.direction[i])
    gram(d, width, s.jacobian, NULL, NULL, s.normal)
    for i in range(d * d):
        s.lower_then[i] = s.lower[i]


cdef double factorise(Space* s, double damping) noexcept nogil:
    """Cholesky factor of JᵀJ + damping (its largest diagonal entry) I; the relative pivot."""
    cdef Py_ssize_t d = s.d, k
    cdef double largest = 0.0
    for k in range(d):
        largest = max(largest, s.normal[k * d + k])
    for k in range(d * d):
        s.factor[k] = s.normal[k]
    for k in range(d):
        s.factor[k * d + k] += damping * largest
    return cholesky(d, s.factor)


cdef double polish(Space* s, bint exact) noexcept nogil:
    """Levenberg-Marquardt from ``y``; the square of the whitened residual, HUGE where undefined."""
    cdef Py_ssize_t d = s.d, i, k, step
    cdef double size, new, predicted, worst, damping = 0.0
    cdef bint fresh = True, last
    size = evaluate_at(s, s.y)
    if size >= HUGE:
        return size
    worst = s.worst
    last = exact and worst < AT_ROUNDING
    linearise(s)
    if factorise(s, damping) <= 0.0:
        return HUGE
    for step in range(MAX_POLISH):
        for i in range(s.n):
            s.work[i] = s.residual[i] * s.whiten[i]
        products(d, s.width, s.jacobian, s.work, s.vector)
        for k in range(d):
            s.coordinate[k] = s.vector[k]
        solve(d, s.factor, s.coordinate)
        predicted = 0.0
        for k in range(d):
            predicted += s.vector[k] * s.coordinate[k]
        if not exact and fresh and predicted <= FLAT * size:
            break
        transposed_times(d, s.lower_then, s.coordinate, s.trial)
        for k in range(d):
            s.trial[k] = s.y[k] - s.trial[k]
        s.iterations += 1
        new = evaluate_at(s, s.trial)
        if new < size:
            for k in range(d):
                s.y[k] = s.trial[k]
            fresh = False
            predicted, size, worst = new / size, new, s.worst
            if last:
                break
            last = exact and worst < AT_ROUNDING
            if not last and (damping > 0.0 or predicted > SERVES * SERVES):
                damping = 0.0 if damping < 1e-5 else 0.1 * damping
                linearise(s)
                fresh = True
                if factorise(s, damping) <= 0.0:
                    return HUGE
        else:
            if last:
                break
            evaluate_at(s, s.y)
            if fresh:
                damping = max(10.0 * damping, 1e-6)
                if damping > LARGEST_DAMPING:
                    break
            else:
                linearise(s)
                fresh = True
            if factorise(s, damping) <= 0.0:
                return HUGE
    return size


cdef bint signs_agree(Space* s, const double* known) noexcept nogil:
    """Whether the slack has the known signs in the rows in which it is clear of zero, at a fresh
    linearisation.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i
    cdef bint agreed = True
    for i in range(n):
        if s.slack[i] * known[i] < 0.0:
            agreed = False
    if agreed:
        return True
    if factorise(s, 0.0) <= 0.0:
        return False
    forward(d, s.width, s.factor, s.rows)
    lengths(d, s.width, s.rows, s.work)
    for i in range(n):
        if s.slack[i] * known[i] < 0.0 and CLEAR * CLEAR * s.work[i] < 1.0:
            return False
    return True


cdef double finish(Space* s, const double* A, const double* b, double* x) noexcept nogil:
    """x from ``y``, and the square of the whitened residual at A x - b as it is computed in double.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i, k, turn
    cdef double total
    for k in range(d):
        s.coordinate[k] = s.norm * s.y[k] + s.centre[k]
        x[k] = 0.0
    for turn in range(2):
        combine(d, s.small, s.coordinate, s.transform, s.image)
        for k in range(d):
            x[k] += s.image[k]
        for i in range(n):
            total = -b[i]
            for k in range(d):
                total += A[i * d + k] * x[k]
            s.slack[i] = total * s.unit[i]
        if turn == 0:            # what rounding of the transform left
            combine(d, s.width, s.y, s.frame, s.remainder)
            for i in range(n):
                s.remainder[i] = (s.norm * (s.remainder[i] - s.frame[d * s.width + i])
                                  - s.slack[i])
            products(d, s.width, s.frame, s.remainder, s.coordinate)
    for i in range(n):
        s.slack[i] /= s.norm
    return evaluate(s)


# one problem

cdef bint prepare_scores(Space* s, const double* scores, const double* noise, double tol) noexcept nogil:
    """Targets strictly inside (0, 1) that sum to d; False where that is not for this route."""
    cdef Py_ssize_t n = s.n, d = s.d, i, step, kept = 0
    cdef double total = 0.0, excess, slope, margin, factor, c
    cdef bint exact = noise == NULL
    for i in range(n):
        c = s.scores[i] = scores[i]
        if exact:
            if not SMALLEST_SCORE <= c <= LARGEST_SCORE:
                return False
            s.whiten[i] = 1.0 / (ROUNDING * c)
            s.accuracy[i] = 0.0
        else:
            s.whiten[i] = 1.0 / noise[i]
            margin = min(0.5 * noise[i], 0.25)
            c = min(max(c, margin), 1.0 - margin)
        s.odds[i] = c / (1.0 - c)
        s.target[i] = c
        total += c
    excess = total - d
    if exact and fabs(excess) > tol * n:
        return False
    for step in range(MAX_SHIFTS):
        if fabs(excess) <= 64.0 * EPS * d:
            break
        slope = 0.0
        for i in range(n):
            slope += s.target[i] * (1.0 - s.target[i])
        factor = exp(-min(max(excess / slope, -1.0), 1.0))
        excess = -<double> d
        for i in range(n):
            s.odds[i] *= factor
            s.target[i] = s.odds[i] / (1.0 + s.odds[i])
            excess += s.target[i]
    for i in range(n):
        s.share[i] = 1.0 / min(s.target[i], 1.0 - s.target[i])
    if not exact:
        for i in range(n):
            c = min(max(scores[i], 1e-12), 1.0 - 1e-12)
            s.accuracy[i] = (-1.0 if scores[i] < 3.0 * noise[i]
                             else min(0.5 * noise[i] / (c * (1.0 - c)), 1.0))
            kept += s.accuracy[i] >= 0.0
        if kept <= 2 * d + 2:
            for i in range(n):
                s.accuracy[i] = min(0.5 * noise[i] / s.target[i], 1.0)
    return True


cdef bint invert_one(Space* s, const double* A, const double* b, const double* signs, bint exact,
                     double tol, double most, double* x, double* fun) noexcept nogil:
    """Stages 1 to 4; True where the scores are matched and x is the only solution."""
    cdef Py_ssize_t n = s.n, i
    cdef double tolerance = FIT, total, size
    cdef int start
    if not match_scores(s, exact):
        return False
    for i in range(n):
        s.magnitude[i] = 1.0 / sqrt(s.weight[i])
    if signs == NULL:
        if not prepare_signs(s):
            return False
        if not exact:
            total = 0.0
            for i in range(n):
                total += (s.aim[i] * s.accuracy[i]) * (s.aim[i] * s.accuracy[i])
            tolerance = min(FIT + EXPLAINED * sqrt(total), 0.5)
    else:
        for i in range(n):
            s.sign[i] = signs[i]
    for start in range(STARTS if signs == NULL else 1):
        s.iterations += 1
        if signs == NULL and not find_signs(s, start, tolerance):
            continue
        if not identify(s, exact, signs == NULL and not exact):
            continue
        size = polish(s, exact)
        if size >= HUGE or (exact and not s.worst <= tol) or (not exact and not size <= most):
            continue
        if signs != NULL and not signs_agree(s, signs):
            continue
        if factorise(s, 0.0) < REGULAR:
            return False
        size = finish(s, A, b, x)
        if size >= HUGE or (exact and size > SETTLED * SETTLED * n):
            return False
        if (exact and not s.worst <= tol) or (not exact and not size <= most):
            return False
        total = 0.0
        for i in range(n):
            total += s.residual[i] * s.residual[i]
        fun[0] = 0.5 * total
        return True
    return False


def invert(const double[:, :, ::1] A, const double[:, ::1] b, const double[:, ::1] scores,
           const double[:, ::1] signs, const double[:, ::1] noise, const uint64_t[::1] seeds,
           double tol, double most, double[:, ::1] x, double[::1] fun, Py_ssize_t[::1] nit,
           unsigned char[::1] solved):
    """Invert each problem that is plain sailing.

    Parameters
    ----------
    A : (k, n, d) or (1, n, d) array, shared by all problems; 1 <= d <= MOST_COLUMNS, n > d.
    b, scores : (k, n) arrays, scores in [0, 1].
    signs : (k, n) or (1, n) array, or None.
    noise : (k, n) or (1, n) array of positive numbers, or None: exact scores.
    seeds : (k,) array, of the random starts.
    tol : float, largest max|sigma - c| of a success without noise.
    most : float, largest sum of squares of the whitened residual that noise explains.
    x, fun, nit, solved : output, one row for each problem; x and fun where it is solved, which
        includes that x is the only solution.
    """
    cdef Py_ssize_t count = b.shape[0], n = A.shape[1], d = A.shape[2], i
    cdef Space s
    cdef double[::1] memory = np.zeros(lay_out(&s, n, d, NULL))
    cdef bint shared = A.shape[0] == 1, generic = False, exact = noise is None
    cdef const double* rows
    cdef const double* known = NULL
    cdef const double* deviation = NULL
    lay_out(&s, n, d, &memory[0])
    with nogil:
        for i in range(count):
            rows = &A[0 if shared else i, 0, 0]
            if i == 0 or not shared:
                generic = prepare_rows(&s, rows)
            if signs is not None:
                known = &signs[i if signs.shape[0] > 1 else 0, 0]
            if not exact:
                deviation = &noise[i if noise.shape[0] > 1 else 0, 0]
            s.state = seeds[i]
            s.iterations = 0
            solved[i] = (generic and prepare_scores(&s, &scores[i, 0], deviation, tol)
                         and prepare_response(&s, &b[i, 0], known == NULL)
                         and invert_one(&s, rows, &b[i, 0], known, exact, tol, most, &x[i, 0],
                                        &fun[i]))
            nit[i] = s.iterations
