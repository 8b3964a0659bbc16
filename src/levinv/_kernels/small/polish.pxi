# Stages 3 and 4: x from magnitudes and signs in closed form (levinv.inverse.stages.recover), then
# Levenberg-Marquardt on the scores (levinv.inverse.stages.refine).
#
# Steps are taken in the basis V in which the scaled rows are orthonormal, by normal equations:
# their right-hand side decides where the iteration ends, not the matrix, which is kept as long as
# it serves.

cdef enum:
    SETTLINGS = 5
    MAX_POLISH = 40

cdef double AT_ROUNDING = 1e-11        # max |sigma - c| from which a step that does not help is
                                       # rounding
cdef double ROUNDINGS = 10.0           # errors of exact scores, in units of rounding, that are left
cdef double HALVED = 0.5               # decrease of the residual with which it goes on beyond them
cdef double SERVES = 1e-2              # decrease of the residual with which JᵀJ is kept
cdef double FLAT = 1e-14               # predicted relative decrease of its square that ends it
cdef double LARGEST_DAMPING = 1e8
cdef double ILL = 1e-2                 # relative pivot of a Gram matrix that asks for a second pass
cdef double REGULAR = 1e-12            # pivots of JᵀJ, relative to their diagonal entries and
cdef double FLATTEST = 1e-24           # to the largest of those, below which x may not be unique
cdef double CLEAR = 4.0                # standard deviations at which a sign counts


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


cdef bint relative_rows(Space* s, bint exact) noexcept nogil:
    """V for rows divided by their magnitudes, the more certain of them weighing more; the divisor
    in ``work``.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i
    cdef double best = 1.0
    if not exact:
        for i in range(n):
            if s.accuracy[i] >= 0.0:
                best = min(best, s.accuracy[i])
    for i in range(n):
        if exact:
            s.certainty[i] = 1.0
        else:
            s.certainty[i] = best / s.accuracy[i] if s.accuracy[i] > 0.0 else 0.0
        s.work[i] = s.certainty[i] / s.magnitude[i]
    for i in range(d * d):
        s.lower[i] = 0.0
    for i in range(d):
        s.lower[i * d + i] = 1.0
    return orthonormal_rows(s, s.work)


cdef bint identify(Space* s, bint exact, bint settle) noexcept nogil:
    """y whose slack is nearest to κ sign∘magnitude, relative to the magnitudes' accuracy; False if
    κ < 0. ``settle``: signs are read off y and y found again until they agree.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, settling
    cdef double along, size, kappa
    cdef double* q = s.frame + d * width
    cdef bint changed
    if not relative_rows(s, exact):
        return False
    for settling in range(SETTLINGS if settle else 1):
        for i in range(n):
            s.signed[i] = s.sign[i] * s.certainty[i]
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


cdef double evaluate(Space* s) noexcept nogil:
    """Scores at ``slack``; the square of the whitened residual, HUGE where undefined."""
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


cdef bint regular(Space* s) noexcept nogil:
    """Whether JᵀJ at the last linearisation is regular beyond doubt: x cannot move unseen."""
    cdef Py_ssize_t d = s.d, k
    cdef double largest = 0.0
    if factorise(s, 0.0) < REGULAR:
        return False
    for k in range(d):
        largest = max(largest, s.normal[k * d + k])
    for k in range(d):                   # inverse square roots of the pivots
        if not (s.factor[k * d + k] * s.factor[k * d + k]) * (FLATTEST * largest) < 1.0:
            return False
    return True


cdef double polish(Space* s, bint exact) noexcept nogil:
    """Levenberg-Marquardt from ``y``; the square of the whitened residual, HUGE where undefined."""
    cdef Py_ssize_t d = s.d, i, k, step
    cdef double size, new, predicted, decrease, worst, damping = 0.0
    cdef double enough = ROUNDINGS * ROUNDINGS * s.n
    cdef bint fresh = True, close
    size = evaluate_at(s, s.y)
    if size >= HUGE:
        return size
    worst = s.worst
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
        close = exact and worst < AT_ROUNDING
        new = evaluate_at(s, s.trial)
        if new < size:
            for k in range(d):
                s.y[k] = s.trial[k]
            decrease, size, worst = new / size, new, s.worst
            if close and (size <= enough or decrease > HALVED * HALVED):
                break
            fresh = False
            if damping > 0.0 or decrease > SERVES * SERVES:
                damping = 0.0 if damping < 1e-5 else 0.1 * damping
                linearise(s)
                fresh = True
                if factorise(s, damping) <= 0.0:
                    return HUGE
        else:
            if close and (size <= enough or fresh):
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
