"""Stages 2 and 3 of weightings that are not powers: x and the level (levinv.inverse.stages.levels).

Stage 1 gives τ(η) = t + k but for k, the level. The unknowns are z = (y, k), with Uᵀy - q the slack
of unit rows. An exponential weighting is linear in them. One with a peak takes a level on the grid
of its twin, a few Douglas-Rachford steps for the sides of the mode, and least squares for y. In
both cases Levenberg-Marquardt on τ(η) - t - k follows.

At each level one run is made. The sides that it finds are tried, then the opposite ones, then all
rows on one side: whatever fails is left to the general route.
"""
from libc.math cimport INFINITY, copysign, pow, sqrt

from kernel_settings cimport (ALLOWED_ROUNDINGS, BATCH_DOUBT, BATCH_ITERATIONS, EPS,
                              FEW_ROUNDINGS, GREATEST_GAP, LEAST_DAMPING, LEAST_GAP, LEVELS,
                              PATIENCE, SIGN_TOLERANCE, SIGNIFICANT)
from levinv._kernels.small.algebra cimport (add_rows, back, cholesky, combine, dot, gram, products,
                                            solve)
from levinv._kernels.small.recover cimport project_scaled
from levinv._kernels.small.signs cimport isotropic_rows, spectral_point
from levinv._kernels.small.weightings cimport branch, has_peak, log_weight_found, weigh
from levinv._kernels.small.workspace cimport Workspace


cdef inline bint prepare_levels(Workspace* s, bint exact) noexcept nogil:
    """t, its distance from the largest, the row weights, and the likeliest gap. False where all
    weights may be equal: the predictors are then, too, or all are at a mode, where no first
    derivative shows whether x is unique.
    """
    cdef Py_ssize_t n = s.n, i, j, middle = n // 2
    cdef double best = 1.0, value, deepest = 0.0
    cdef double* t = s.levels.log_weight
    cdef double* sorted = s.levels.residual
    cdef double* accuracy = s.scores.accuracy
    s.levels.highest = -INFINITY
    for i in range(n):
        t[i] = log_weight_found(s, i)
        if accuracy[i] >= 0.0:
            s.levels.highest = max(s.levels.highest, t[i])
            if not exact:
                best = min(best, accuracy[i])
    for i in range(n):
        s.levels.fall[i] = max(s.levels.highest - t[i], 0.0)
        if exact:
            s.levels.weight[i] = 1.0 if accuracy[i] >= 0.0 else 0.0
        else:
            s.levels.weight[i] = best / accuracy[i] if accuracy[i] > 0.0 else 0.0
        value = s.levels.fall[i]
        if accuracy[i] >= 0.0:
            deepest = max(deepest, value)
        j = i                                        # insertion sort, up to the median
        while j > 0 and sorted[j - 1] > value:
            sorted[j] = sorted[j - 1]
            j -= 1
        sorted[j] = value
    s.levels.likeliest = sorted[middle] / (<double> n * n) + LEAST_GAP
    value = SIGN_TOLERANCE if exact else SIGNIFICANT * best
    s.levels.enough = value * value * n
    for i in range(n):
        sorted[i] = 0.0
    return deepest > ALLOWED_ROUNDINGS * value


cdef inline double misfit(Workspace* s, const double* z) noexcept nogil:
    """The sum of squares of the weighted τ(η) - t - k at z; INFINITY where it is not defined."""
    cdef Py_ssize_t n = s.n, d = s.d, i
    cdef double total = 0.0, value
    combine(d, s.width, z, s.basis.rows, s.scratch.image)
    for i in range(n):
        value = weigh(s, s.weighting.unit[i] * (s.scratch.image[i] - s.response.outside[i]),
                      &s.levels.slope[i])
        value = s.levels.weight[i] * (value - s.levels.log_weight[i] - z[d])
        s.levels.residual[i] = value
        total += value * value
    return total if total < INFINITY else INFINITY


cdef inline void level_jacobian(Workspace* s) noexcept nogil:
    """The Jacobian of that residual, one row for each unknown, and its Gram matrix."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k
    cdef double* rows = s.levels.rows
    for i in range(n):
        s.levels.slope[i] *= s.levels.weight[i] * s.weighting.unit[i]
        rows[d * width + i] = -s.levels.weight[i]
    for k in range(d):
        for i in range(n):
            rows[k * width + i] = s.levels.slope[i] * s.basis.rows[k * width + i]
    gram(d + 1, width, rows, NULL, NULL, s.levels.normal)


cdef inline bint refine_level(Workspace* s) noexcept nogil:
    """Levenberg-Marquardt from ``levels.z``; whether the equations hold there."""
    cdef Py_ssize_t p = s.d + 1, i, _
    cdef double damping = LEAST_DAMPING, size, new, before
    cdef double* z = s.levels.z
    cdef double* step = s.scratch.vector
    cdef bint fresh = True
    size = misfit(s, z)
    if not size < INFINITY:
        return False
    for _ in range(BATCH_ITERATIONS):
        if size <= 0.01 * s.levels.enough:
            break
        if fresh:
            level_jacobian(s)
            products(p, s.width, s.levels.rows, s.levels.residual, s.levels.gradient)
        for i in range(p * p):
            s.levels.factor[i] = s.levels.normal[i]
        for i in range(p):
            s.levels.factor[i * p + i] *= 1.0 + damping
            step[i] = s.levels.gradient[i]
        if cholesky(p, s.levels.factor) <= 0.0:
            return False
        solve(p, s.levels.factor, step)
        for i in range(p):
            s.levels.trial[i] = z[i] - step[i]
        s.iterations += 1
        new = misfit(s, s.levels.trial)
        fresh = new < size
        if fresh:
            before, size = size, new
            for i in range(p):
                z[i] = s.levels.trial[i]
            damping *= 0.1
            if size <= s.levels.enough and size > 0.5 * before:
                break
        else:
            damping = 10.0 * max(damping, LEAST_DAMPING)
            if damping > 1.0 / LEAST_DAMPING:
                break
    return size <= s.levels.enough


cdef inline bint fit_rows(Workspace* s) noexcept nogil:
    """y of ``levels.z`` by weighted least squares from the slacks at ``levels.wanted``."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i
    cdef double* weighted = s.scratch.image
    for i in range(n):
        weighted[i] = s.levels.weight[i] * s.levels.weight[i]
    gram(d, width, s.basis.rows, weighted, s.scratch.row, s.scratch.form)
    if cholesky(d, s.scratch.form) <= EPS:
        return False
    for i in range(n):
        weighted[i] *= s.levels.wanted[i]
    products(d, width, s.basis.rows, weighted, s.levels.z)
    solve(d, s.scratch.form, s.levels.z)
    return True


cdef inline bint prepare_exponential(Workspace* s) noexcept nogil:
    """Whether the level of an exponential weighting is free; False where that is in doubt."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i
    cdef double whole, size
    cdef double* outside = s.levels.outside
    for i in range(n):
        outside[i] = 1.0 / s.weighting.unit[i]
    whole = sqrt(dot(width, outside, outside))
    for i in range(n):
        outside[i] /= whole
    products(d, width, s.basis.rows, outside, s.response.level)
    add_rows(d, width, -1.0, s.response.level, s.basis.rows, outside)
    size = sqrt(dot(width, outside, outside))
    s.response.free = size <= FEW_ROUNDINGS
    s.response.length = 1.0 / whole
    return s.response.free or size > sqrt(BATCH_DOUBT)


cdef inline bint linear_level(Workspace* s) noexcept nogil:
    """``levels.z`` of an exponential weighting. A free level is chosen so that y is shortest."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k
    cdef double along = 0.0, rate = s.weighting.parameter
    cdef double* outside = s.levels.outside
    for i in range(n):
        s.levels.wanted[i] = (s.response.outside[i]
                              + s.levels.log_weight[i] / (rate * s.weighting.unit[i]))
    s.levels.z[d] = 0.0
    if not s.response.free:
        s.levels.z[d] = (-rate * s.response.length * dot(width, outside, s.levels.wanted)
                         / dot(width, outside, outside))
    for i in range(n):
        s.levels.wanted[i] += s.levels.z[d] / (rate * s.weighting.unit[i])
    if not fit_rows(s):
        return False
    if s.response.free:
        for k in range(d):
            along += s.response.level[k] * s.levels.z[k]
        for k in range(d):
            s.levels.z[k] -= along * s.response.level[k]
        s.levels.z[d] -= rate * along * s.response.length
    return True


cdef inline bint prepare_sides(Workspace* s, double gap) noexcept nogil:
    """The branches at a level, and [U; the part of their middles outside] made isotropic; the
    number of these rows is ``levels.count``.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i
    cdef double below, above, whole, size
    cdef double* outside = s.levels.outside
    for i in range(n):
        below = branch(s, 0, s.levels.fall[i] + gap)
        above = branch(s, 1, s.levels.fall[i] + gap)
        s.levels.half[i] = 0.5 * (above + below) / s.weighting.unit[i]
        s.levels.middle[i] = (s.response.outside[i] + (s.weighting.mode + 0.5 * (above - below))
                              / s.weighting.unit[i])
        outside[i] = s.levels.middle[i]
    whole = dot(width, outside, outside)
    products(d, width, s.basis.rows, outside, s.scratch.coordinates)
    add_rows(d, width, -1.0, s.scratch.coordinates, s.basis.rows, outside)
    size = dot(width, outside, outside)
    s.levels.count = d
    if size > BATCH_DOUBT * BATCH_DOUBT * whole:
        s.levels.count = d + 1
        for i in range(n):
            outside[i] /= sqrt(size)
    return isotropic_rows(s, s.levels.count, outside, s.levels.half)


cdef inline void find_sides(Workspace* s) noexcept nogil:
    """``sign`` after a run of the Douglas-Rachford iteration from the spectral point."""
    cdef Py_ssize_t n = s.n, p = s.levels.count, width = s.width, i, iteration
    cdef int settled = 0
    cdef Py_ssize_t moved
    cdef double value, turn = 1.0
    cdef double* aim = s.signs.aim
    cdef double* point = s.signs.point
    cdef double* projected = s.signs.projected
    cdef double* coordinates = s.scratch.coordinates
    spectral_point(s, p)
    for iteration in range(3 * PATIENCE):
        products(p, width, s.signs.rows, point, coordinates)
        combine(p, width, coordinates, s.signs.rows, projected)
        moved = 0
        for i in range(n):
            value = copysign(1.0, projected[i])
            moved += iteration == 0 or s.signs.sign[i] != value
            s.signs.sign[i] = value
        settled = settled + 1 if moved == 0 else 0
        if settled == 2:
            break
        for i in range(n):
            point[i] += copysign(aim[i], 2.0 * projected[i] - point[i]) - projected[i]
    back(p, s.signs.factor, coordinates)
    combine(s.d, width, coordinates, s.basis.rows, projected)
    if p > s.d:
        add_rows(1, width, 1.0, coordinates + s.d, s.levels.outside, projected)
        turn = -coordinates[s.d]                  # the middle stands on the other side
    for i in range(n):
        s.signs.sign[i] = copysign(1.0, turn * projected[i])


cdef inline bint solve_sides(Workspace* s, double gap, double turn, double side) noexcept nogil:
    """``levels.z`` for the sides ``turn`` ``sign``, or all rows on one ``side``."""
    cdef Py_ssize_t i
    cdef double slope, sign
    for i in range(s.n):
        sign = side if turn == 0.0 else turn * s.signs.sign[i]
        s.levels.wanted[i] = s.levels.middle[i] + sign * s.levels.half[i]
    s.levels.z[s.d] = weigh(s, s.weighting.mode, &slope) - s.levels.highest - gap
    return fit_rows(s) and refine_level(s)


cdef inline double gap_of_level(const Workspace* s, Py_ssize_t level) noexcept nogil:
    """The likeliest gap times 1, r, 1/r, r², 1/r² and so on; r is two steps of the twin's grid."""
    cdef double ratio = pow(GREATEST_GAP / LEAST_GAP, 2.0 / LEVELS)
    cdef double gap = s.levels.likeliest * pow(ratio if level % 2 else 1.0 / ratio,
                                               <double> ((level + 1) // 2))
    return max(gap, LEAST_GAP)


cdef inline bint level_attempt(Workspace* s, Py_ssize_t attempt) noexcept nogil:
    """One attempt: solves the equations at one level, from one of three choices of sides, and
    leaves ``recovery.y`` and a projection to start from; whether they hold.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i
    cdef double gap
    cdef bint found
    if not has_peak(s):
        found = attempt == 0 and linear_level(s) and refine_level(s)
    else:
        gap = gap_of_level(s, attempt // 4)
        if attempt % 4 == 0:
            s.levels.usable = prepare_sides(s, gap)
            if s.levels.usable:
                find_sides(s)
        if not s.levels.usable:
            return False
        if attempt % 4 == 1 and s.levels.count == d and s.response.mirrored:
            return False                       # the mirror image of the first
        if attempt % 4 == 3 and s.response.mirrored:
            return False
        found = solve_sides(s, gap, 1.0 if attempt % 4 == 0 else -1.0 if attempt % 4 == 1 else 0.0,
                            -1.0 if attempt % 4 == 2 else 1.0)
    if not found:
        return False
    for i in range(d):
        s.recovery.y[i] = s.levels.z[i]
    for i in range(d * d):
        s.projection.transform[i] = 0.0
    for i in range(d):
        s.projection.transform[i * d + i] = 1.0
    for i in range(n):
        s.scratch.row[i] = sqrt(s.magnitudes.weight[i])
    return project_scaled(s, s.scratch.row)
