"""Stage 1: weights with given scores (levinv.inverse.stages.magnitudes).

Adding logit c_i - logit sigma_i to t_i minimises f(t) - cᵀt along this coordinate exactly. A sweep
does so for all coordinates at once. This is Newton's method with the Laplacian replaced by its
diagonal. The two are so close that each sweep halves the error. Newton steps by conjugate
gradients, with that diagonal as preconditioner, follow at the end. A product with the Laplacian
costs one Gram matrix and one quadratic form.
"""
from libc.math cimport exp, fabs, sqrt

from kernel_settings cimport (BATCH_EXTREME, BATCH_ITERATIONS, BATCH_ROUGHLY, LONGEST_STEP,
                              QUADRATIC, SIGN_TOLERANCE, UNIT_ROUNDOFF)
from levinv._kernels.small.algebra cimport cholesky, forward, gram, lengths, quad, times
from levinv._kernels.small.weightings cimport INVERSE_SQUARE, POWER, log_weight_found
from levinv._kernels.small.workspace cimport Workspace


cdef inline bint project(Workspace* s) noexcept nogil:
    """The projection at ``magnitudes.weight``, without T."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k
    cdef double* root = s.scratch.row
    cdef double* rows = s.projection.rows
    gram(d, width, s.basis.rows, s.magnitudes.weight, root, s.scratch.gram)
    if cholesky(d, s.scratch.gram) < BATCH_EXTREME:
        return False
    for i in range(n):
        root[i] = sqrt(s.magnitudes.weight[i])
    for k in range(d):
        times(width, root, s.basis.rows + k * width, rows + k * width)
    forward(d, width, s.scratch.gram, rows)
    lengths(d, width, rows, s.projection.scores)
    for i in range(n):
        s.projection.residual[i] = s.projection.scores[i] - s.scores.target[i]
    return True


cdef inline double relative_error(Workspace* s) noexcept nogil:
    """max |sigma - c| / min(c, 1 - c)."""
    cdef double worst = 0.0, error
    cdef Py_ssize_t i
    for i in range(s.n):
        error = fabs(s.projection.residual[i]) * s.scores.inverse_margin[i]
        worst = error if error > worst else worst
    return worst


cdef inline bint explained(Workspace* s, bint exact) noexcept nogil:
    """Whether the noise explains the residual: at most n, the expected sum of squares."""
    cdef double total = 0.0, whitened
    cdef Py_ssize_t i
    if exact:
        return False
    for i in range(s.n):
        whitened = s.projection.residual[i] * s.scores.inverse_noise[i]
        total += whitened * whitened
    return total <= s.n


cdef inline void newton_step(Workspace* s, double tolerance) noexcept nogil:
    """Solve Laplacian step = -residual for ``step`` by preconditioned conjugate gradients."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, _
    cdef double size = 0.0, first, previous, length, curvature
    cdef double* sigma = s.projection.scores
    cdef double* inverse = s.magnitudes.inverse_degree
    cdef double* step = s.magnitudes.step
    cdef double* remainder = s.magnitudes.remainder
    cdef double* direction = s.magnitudes.direction
    cdef double* image = s.magnitudes.image
    for i in range(n):
        inverse[i] = 1.0 / (sigma[i] * max(1.0 - sigma[i], UNIT_ROUNDOFF))
        step[i] = 0.0
        remainder[i] = -s.projection.residual[i]
        direction[i] = inverse[i] * remainder[i]
        size += remainder[i] * direction[i]
    first = size
    for _ in range(BATCH_ITERATIONS):
        gram(d, width, s.projection.rows, direction, s.scratch.row, s.scratch.form)
        quad(d, width, s.projection.rows, s.scratch.form, s.scratch.row, image)
        curvature = 0.0
        for i in range(n):
            image[i] = sigma[i] * direction[i] - image[i]
            curvature += image[i] * direction[i]
        if not curvature > 0.0:
            break
        length = size / curvature
        previous, size = size, 0.0
        for i in range(n):
            step[i] += length * direction[i]
            remainder[i] -= length * image[i]
            size += remainder[i] * remainder[i] * inverse[i]
        if not size > tolerance * tolerance * first:
            break
        length = size / previous
        for i in range(n):
            direction[i] = inverse[i] * remainder[i] + length * direction[i]


cdef inline bint match_scores(Workspace* s, bint exact, double enough) noexcept nogil:
    """Weights whose scores are ``target``, to a relative error that is ``enough``."""
    cdef Py_ssize_t n = s.n, i, _, _shortening
    cdef double error, before, length, longest, slope, new_slope
    cdef double* weight = s.magnitudes.weight
    cdef double* sigma = s.projection.scores
    cdef double* step = s.magnitudes.step
    cdef bint accepted
    for i in range(n):
        weight[i] = s.scores.odds[i] / s.basis.lengths[i]
    if not project(s):
        return False
    error = relative_error(s)
    for _ in range(BATCH_ITERATIONS):
        if error <= BATCH_ROUGHLY or explained(s, exact):
            break
        for i in range(n):
            weight[i] *= s.scores.odds[i] * max(1.0 - sigma[i], UNIT_ROUNDOFF) / sigma[i]
        s.iterations += 1
        if not project(s):
            return False
        error = relative_error(s)
    for _ in range(BATCH_ITERATIONS):
        if error <= enough or explained(s, exact):
            return True
        newton_step(s, min(BATCH_ROUGHLY, max(error, 0.1 * enough / error)))
        slope = longest = 0.0
        for i in range(n):
            slope += s.projection.residual[i] * step[i]
            longest = max(longest, fabs(step[i]))
            s.magnitudes.last_weight[i] = weight[i]
        if not slope < 0.0:
            return error < QUADRATIC
        length = 1.0 if longest <= LONGEST_STEP else LONGEST_STEP / longest
        before, accepted = error, False
        for _shortening in range(BATCH_ITERATIONS):
            for i in range(n):
                weight[i] = s.magnitudes.last_weight[i] * exp(length * step[i])
            if not project(s):
                length *= 0.25
                continue
            new_slope = 0.0
            for i in range(n):
                new_slope += s.projection.residual[i] * step[i]
            if new_slope <= -0.9 * slope or (before < QUADRATIC and longest <= 1.0):
                accepted = True
                break
            length *= min(0.5, max(0.1, slope / (slope - new_slope)))
        if not accepted:
            return False
        s.iterations += 1
        error = relative_error(s)
        if before < QUADRATIC and error > 0.5 * before:
            return True              # rounding: the error no longer halves
    return False


cdef inline bint find_magnitudes(Workspace* s, bint exact) noexcept nogil:
    """The weights whose scores are ``target`` and, of a power, the slack's ``magnitude``."""
    cdef Py_ssize_t i
    # signs need no more, and stage 4 converges
    if not match_scores(s, exact, 0.1 * SIGN_TOLERANCE):
        return False
    for i in range(s.n):
        if s.weighting.kind == INVERSE_SQUARE:
            s.magnitudes.magnitude[i] = 1.0 / sqrt(s.magnitudes.weight[i])
        elif s.weighting.kind == POWER:
            s.magnitudes.magnitude[i] = s.basis.row_scale[i] * exp(
                -log_weight_found(s, i) / s.weighting.parameter)
    return True
