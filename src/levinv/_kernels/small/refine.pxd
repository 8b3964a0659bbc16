"""Stage 4: Levenberg-Marquardt on the whitened residual of the scores
(levinv.inverse.stages.refine).

Steps are taken in the basis V in which the scaled rows are orthonormal, by normal equations. Their
right-hand side determines the limit of the iteration, their matrix does not. So the matrix is kept
as long as steps with it reduce the residual enough.
"""
from libc.math cimport INFINITY, copysign, fabs, sqrt

from kernel_settings cimport (ALLOWED_ROUNDINGS, BATCH_EXTREME, BATCH_ITERATIONS, EPS,
                              FAR_FROM_LIMIT, FEW_ROUNDS, LEAST_DAMPING, POOR_MODEL, SIGNIFICANT,
                              SQUARABLE)
from levinv._kernels.small.algebra cimport (cholesky, combine, forward, forward_small, gram,
                                            lengths, lower_times, products, quad, solve, times,
                                            transposed_times)
from levinv._kernels.small.recover cimport project_scaled
from levinv._kernels.small.weightings cimport INVERSE_SQUARE, has_peak, is_power, weigh_rows
from levinv._kernels.small.workspace cimport Workspace


cdef inline double evaluate(Workspace* s) noexcept nogil:
    """The projection and the scores at ``slack``; returns the square of the whitened residual,
    INFINITY where it is not defined.
    """
    cdef Py_ssize_t n = s.n, i
    cdef double total = 0.0, largest = 0.0, whitened
    cdef double* residual = s.projection.residual
    if is_power(s):
        for i in range(n):
            if not SQUARABLE < fabs(s.refinement.slack[i]) < 1.0 / SQUARABLE:
                return INFINITY
            s.scratch.row[i] = 1.0 / fabs(s.refinement.slack[i])
    if s.weighting.kind != INVERSE_SQUARE and not weigh_rows(s, s.refinement.slack, s.scratch.row,
                                                             s.refinement.slope):
        return INFINITY
    if not project_scaled(s, s.scratch.row):
        return INFINITY
    lengths(s.d, s.width, s.projection.rows, s.projection.scores)
    for i in range(n):
        residual[i] = s.projection.scores[i] - s.scores.given[i]
        whitened = residual[i] * s.scores.inverse_noise[i]
        total += whitened * whitened
        largest = max(largest, fabs(residual[i]))
    s.refinement.largest = largest
    return total


cdef inline void slack_at(Workspace* s, const double* y) noexcept nogil:
    """The slack at y, of rows at unit norm."""
    cdef Py_ssize_t i
    combine(s.d, s.width, y, s.basis.rows, s.refinement.slack)
    for i in range(s.n):
        s.refinement.slack[i] -= s.response.outside[i]


cdef inline double evaluate_at(Workspace* s, const double* y) noexcept nogil:
    """The same as ``evaluate``, at y."""
    slack_at(s, y)
    return evaluate(s)


cdef inline void linearise(Workspace* s) noexcept nogil:
    """The whitened Jacobian in the basis V, one row for each coordinate, and its Gram matrix."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k
    cdef double* signed = s.refinement.signed
    cdef double* column
    for k in range(d):
        column = s.refinement.jacobian + k * width
        if s.weighting.kind == INVERSE_SQUARE:
            for i in range(n):
                signed[i] = (copysign(1.0, s.refinement.slack[i])
                             * s.projection.rows[k * width + i])
        else:
            times(width, s.refinement.slope, s.projection.rows + k * width, signed)
        gram(d, width, s.projection.rows, signed, s.scratch.row, s.scratch.form)
        quad(d, width, s.projection.rows, s.scratch.form, s.scratch.row, column)
        for i in range(n):
            column[i] = (2.0 * s.scores.inverse_noise[i]
                         * (column[i] - s.projection.scores[i] * signed[i]))
    gram(d, width, s.refinement.jacobian, NULL, NULL, s.refinement.normal)
    for i in range(d * d):
        s.refinement.transform[i] = s.projection.transform[i]
    if s.response.free:
        for i in range(d):
            s.refinement.level[i] = 0.0
            for k in range(i + 1):
                s.refinement.level[i] += s.refinement.transform[i * d + k] * s.response.level[k]


cdef inline double largest_diagonal(Workspace* s) noexcept nogil:
    """The largest diagonal entry of the normal matrix."""
    cdef double largest = 0.0
    cdef Py_ssize_t k
    for k in range(s.d):
        largest = max(largest, s.refinement.normal[k * s.d + k])
    return largest


cdef inline double factorise(Workspace* s, double damping) noexcept nogil:
    """Cholesky factor of JᵀJ + damping (its largest diagonal entry) I; the relative pivot. If the
    level is free, a term is added without which JᵀJ is singular: no step changes the level.
    """
    cdef Py_ssize_t d = s.d, i, k
    cdef double added = damping * largest_diagonal(s), size = 0.0
    cdef double* level = s.refinement.level
    for k in range(d * d):
        s.refinement.factor[k] = s.refinement.normal[k]
    if s.response.free:
        for k in range(d):
            size += level[k] * level[k]
        size = largest_diagonal(s) / size
        for k in range(d):
            for i in range(k + 1):
                s.refinement.factor[k * d + i] += size * level[k] * level[i]
    for k in range(d):
        s.refinement.factor[k * d + k] += added
    return cholesky(d, s.refinement.factor)


cdef inline bint regular(Workspace* s) noexcept nogil:
    """Whether JᵀJ at the last linearisation is regular beyond doubt, so that no change of x leaves
    the scores unchanged: pivots are compared with their diagonal entries and, at the square of
    that tolerance, with the largest of those.
    """
    cdef Py_ssize_t d = s.d, k
    cdef double least, inverse_root
    if factorise(s, 0.0) < BATCH_EXTREME:
        return False
    least = BATCH_EXTREME * BATCH_EXTREME * largest_diagonal(s)
    for k in range(d):
        inverse_root = s.refinement.factor[k * d + k]        # of the pivot
        if not inverse_root * inverse_root * least < 1.0:
            return False
    return True


cdef inline bint accurate(Workspace* s, double size, double tolerance) noexcept nogil:
    """Whether exact scores determine y to this relative error, after ``regular``: its standard
    errors at this sum of squares of the whitened residual. Else there may be an x far away with
    equal scores.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i, k
    cdef double total = 0.0, length = 0.0
    cdef double* steps = s.scratch.form
    for i in range(d * d):
        steps[i] = s.refinement.transform[i]
    forward_small(d, s.refinement.factor, steps)
    for i in range(d):
        length += s.recovery.y[i] * s.recovery.y[i]
        for k in range(i + 1):
            total += steps[i * d + k] * steps[i * d + k]
    return total * max(1.0, size / n) <= tolerance * tolerance * length


cdef inline void stay_in_cell(Workspace* s, const double* y, double* trial) noexcept nogil:
    """Shorten the step from y so that no slack, or its distance from the mode, changes its sign."""
    cdef Py_ssize_t n = s.n, d = s.d, i, k
    cdef double length = 1.0, change, mode = 0.0
    combine(d, s.width, y, s.basis.rows, s.scratch.row)
    combine(d, s.width, trial, s.basis.rows, s.scratch.image)
    for i in range(n):
        change = s.scratch.row[i] - s.scratch.image[i]
        if has_peak(s):
            mode = s.weighting.mode / s.weighting.unit[i]
        if (s.scratch.row[i] - s.response.outside[i] - mode) / change > 0.0:
            length = min(length, 0.9 * (s.scratch.row[i] - s.response.outside[i] - mode) / change)
    for k in range(d):
        trial[k] = y[k] + length * (trial[k] - y[k])


cdef inline double refine(Workspace* s, bint exact) noexcept nogil:
    """Levenberg-Marquardt from ``recovery.y``; the square of the whitened residual, INFINITY where
    it is not defined.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i, k, _
    cdef double size, new, predicted, decrease, largest, damping = 0.0
    cdef double enough = SIGNIFICANT * SIGNIFICANT * n
    cdef double* y = s.recovery.y
    cdef double* trial = s.refinement.trial
    cdef double* gradient = s.scratch.vector
    cdef double* direction = s.scratch.coordinates
    cdef bint fresh = True, close, settled   # whether the Jacobian was made at y
    size = evaluate_at(s, y)
    if not size < INFINITY:
        return INFINITY
    largest = s.refinement.largest
    linearise(s)
    if factorise(s, damping) <= 0.0:
        return INFINITY
    for _ in range(BATCH_ITERATIONS):
        for i in range(n):
            s.scratch.row[i] = s.projection.residual[i] * s.scores.inverse_noise[i]
        products(d, s.width, s.refinement.jacobian, s.scratch.row, gradient)
        for k in range(d):
            direction[k] = gradient[k]
        solve(d, s.refinement.factor, direction)
        predicted = 0.0
        for k in range(d):
            predicted += gradient[k] * direction[k]
        if not exact and fresh and predicted <= n * EPS * size:
            break                            # below the rounding error of the sum of squares
        transposed_times(d, s.refinement.transform, direction, trial)
        for k in range(d):
            trial[k] = y[k] - trial[k]
        if s.refinement.hopeless < INFINITY:
            if size - predicted > s.refinement.hopeless:
                return size
            stay_in_cell(s, y, trial)
        s.iterations += 1
        close = exact and largest < ALLOWED_ROUNDINGS * n * EPS
        new = evaluate_at(s, trial)
        if new < size:
            for k in range(d):
                y[k] = trial[k]
            settled = size - new <= FAR_FROM_LIMIT
            decrease, size, largest = new / size, new, s.refinement.largest
            if settled and s.refinement.hopeless < INFINITY:
                break                        # a slack may tend to zero, and no score changes
            if close and (size <= enough or decrease > POOR_MODEL):   # the residual is not halved
                break
            fresh = False
            if damping > 0.0 or decrease > POOR_MODEL * POOR_MODEL:
                damping = 0.1 * damping if damping > LEAST_DAMPING else 0.0
                linearise(s)
                fresh = True
                if factorise(s, damping) <= 0.0:
                    return INFINITY if s.refinement.hopeless == INFINITY else size
        else:
            if close and (size <= enough or fresh):
                break
            evaluate_at(s, y)
            if fresh:
                damping = max(10.0 * damping, LEAST_DAMPING)
            else:
                linearise(s)
                fresh = True
            if factorise(s, damping) <= 0.0:
                return INFINITY if s.refinement.hopeless == INFINITY else size
    return size


cdef inline bint signs_agree(Workspace* s, const double* known) noexcept nogil:
    """Whether the slack has the known signs in the rows in which it is clear of zero, at a fresh
    linearisation.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i
    cdef double* deviation = s.scratch.row            # relative, of the slack, squared
    cdef bint agreed = True
    for i in range(n):
        if s.refinement.slack[i] * known[i] < 0.0:
            agreed = False
    if agreed:
        return True
    if s.weighting.kind != INVERSE_SQUARE:       # the general route measures other slacks
        return False
    if factorise(s, 0.0) <= 0.0:
        return False
    forward(d, s.width, s.refinement.factor, s.projection.rows)
    lengths(d, s.width, s.projection.rows, deviation)
    for i in range(n):
        if (s.refinement.slack[i] * known[i] < 0.0
                and SIGNIFICANT * SIGNIFICANT * deviation[i] < 1.0):
            return False
    return True


cdef inline void slack_deviations(Workspace* s, double* out) noexcept nogil:
    """The slack at ``recovery.y`` and its standard deviations by the noise, after ``regular``. Uses
    the memory of ``levels``.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i
    cdef double* rows = s.levels.rows
    slack_at(s, s.recovery.y)
    for i in range(n):
        out[i] = 1.0
    lower_times(d, width, s.refinement.transform, s.basis.rows, out, s.scratch.row, rows)
    forward(d, width, s.refinement.factor, rows)
    lengths(d, width, rows, out)
    for i in range(n):
        out[i] = sqrt(out[i])


cdef inline double evaluate_in_double(Workspace* s, const double* A, const double* b,
                                      const double* x) noexcept nogil:
    """``evaluate`` at A x - b as it is computed in double."""
    cdef Py_ssize_t d = s.d, i, k
    cdef double total
    for i in range(s.n):
        total = -b[i]
        for k in range(d):
            total += A[i * d + k] * x[k]
        s.refinement.slack[i] = total * s.basis.row_scale[i] / s.response.norm
    return evaluate(s)


cdef inline double corrected(Workspace* s, const double* A, const double* b, double size,
                             double* x) noexcept nogil:
    """Further steps, from x itself: rounding of y and of the transform is part of its residual. x
    stays where a step does not help. The square of the whitened residual, ``size`` at x before.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i, k, _
    cdef double new
    cdef double* direction = s.scratch.coordinates
    cdef double* move = s.scratch.vector
    for _ in range(FEW_ROUNDS):
        for i in range(n):
            s.scratch.row[i] = s.projection.residual[i] * s.scores.inverse_noise[i]
        products(d, s.width, s.refinement.jacobian, s.scratch.row, direction)
        solve(d, s.refinement.factor, direction)
        transposed_times(d, s.refinement.transform, direction, move)
        for k in range(d):
            move[k] *= s.response.norm
        combine(d, s.width_d, move, s.basis.transform, s.scratch.image)
        for k in range(d):
            move[k] = x[k]
            x[k] -= s.scratch.image[k]
        new = evaluate_in_double(s, A, b, x)
        if not new < size:
            for k in range(d):
                x[k] = move[k]
            return evaluate_in_double(s, A, b, x)
        size = new
    return size


cdef inline double finish(Workspace* s, const double* A, const double* b, bint exact,
                          double* x) noexcept nogil:
    """x from y, and the square of the whitened residual there; after ``regular``."""
    cdef Py_ssize_t n = s.n, d = s.d, i, k, turn
    cdef double total, size
    cdef double* y = s.recovery.y
    cdef double* coordinates = s.scratch.coordinates
    cdef double* missing = s.scratch.row
    for k in range(d):
        coordinates[k] = s.response.norm * y[k] + s.response.inside[k]
        x[k] = 0.0
    for turn in range(2):
        combine(d, s.width_d, coordinates, s.basis.transform, s.scratch.image)
        for k in range(d):
            x[k] += s.scratch.image[k]
        if turn == 0:            # removes what rounding of the transform left
            combine(d, s.width, y, s.basis.rows, missing)
            for i in range(n):
                total = -b[i]
                for k in range(d):
                    total += A[i * d + k] * x[k]
                missing[i] = (s.response.norm * (missing[i] - s.response.outside[i])
                              - total * s.basis.row_scale[i])
            products(d, s.width, s.basis.rows, missing, coordinates)
    size = evaluate_in_double(s, A, b, x)
    return corrected(s, A, b, size, x) if exact and size < INFINITY else size
