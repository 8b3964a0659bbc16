# Stage 1: weights with given scores (levinv.inverse.stages.magnitudes).
#
# The exact minimiser of f(t) - cᵀt along one coordinate t_i is reached by adding logit c_i - logit
# sigma_i. A sweep does that for all at once: Newton with the Laplacian's diagonal in its place,
# which is so close to it that the error halves with each sweep. Newton steps by conjugate
# gradients, preconditioned with that diagonal, finish; a product with the Laplacian costs one Gram
# matrix and one quadratic form.

cdef enum:
    MAX_SWEEPS = 8
    MAX_NEWTON = 30
    MAX_SHORTENINGS = 10
    MAX_PRODUCTS = 60

cdef double SWEPT = 0.1                # relative error at which Newton takes over
cdef double MATCHED = 1e-7             # relative error that ends stage 1
cdef double LATE = 1e-3                # below it full steps
cdef double STAGNANT = 1e-5            # below it an error that no longer halves is rounding
cdef double SINGULAR = 1e-12           # relative pivot of the weighted Gram matrix
cdef double LONGEST_STEP = 4.0         # in any t_i


cdef bint scale(Space* s) noexcept nogil:
    """V and its scores at ``weight``."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k
    gram(d, width, s.frame, s.weight, s.work, s.gram)
    if cholesky(d, s.gram) < SINGULAR:
        return False
    for i in range(n):
        s.work[i] = sqrt(s.weight[i])
    for k in range(d):
        times(width, s.work, s.frame + k * width, s.rows + k * width)
    forward(d, width, s.gram, s.rows)
    lengths(d, width, s.rows, s.sigma)
    for i in range(n):
        s.residual[i] = s.sigma[i] - s.target[i]
    return True


cdef double relative_error(Space* s) noexcept nogil:
    """max |sigma - c| / min(c, 1 - c)."""
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
