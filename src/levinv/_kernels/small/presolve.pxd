"""The work before the first iteration: rank and components of A, an orthonormal basis of its range,
the part of b outside it, and scores that can be matched (levinv.inverse.stages.presolve).

With rows at unit norm, Gauss-Jordan elimination with the largest entry of a column as pivot gives
A A_basis⁻¹. Its nonzeros decide the components (levinv.inverse.stages.components). One more step
includes b. Two Cholesky passes make A A_basis⁻¹ orthonormal: U = E Aᵀ diag(row_scale).

Each function returns False where its decision is not clear: then the general route decides.
"""
from libc.math cimport exp, fabs, pow, sqrt
from libc.stdint cimport uint64_t

from kernel_settings cimport (BATCH_DOUBT, BATCH_EXTREME, BATCH_ITERATIONS, EPS,
                              ROUNDING_FACTOR, SIGN_TOLERANCE, SQUARABLE, UNIT_ROUNDOFF)
from levinv._kernels.small.algebra cimport (add_one, add_rows, cholesky, combine, dot, forward,
                                            gram, lengths, products)
from levinv._kernels.small.weightings cimport INVERSE_SQUARE, has_peak, is_even, is_power
from levinv._kernels.small.workspace cimport Workspace


cdef inline bint connected(Py_ssize_t n, Py_ssize_t columns,
                           const uint64_t* pattern) noexcept nogil:
    """Whether the nonzeros of the rows outside the basis connect all basis rows."""
    cdef uint64_t every = (<uint64_t> 1 << columns) - 1, reached = 0
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


cdef inline bint unit_rows_and_columns(Workspace* s, const double* A) noexcept nogil:
    """U <- Aᵀ with rows of A, then columns, scaled to norm 1; E <- the scales of the columns."""
    cdef Py_ssize_t n = s.n, d = s.d, width_d = s.width_d, i, k
    cdef double total
    cdef double* row
    for i in range(n):
        total = 0.0
        for k in range(d):
            total += A[i * d + k] * A[i * d + k]
        if not total > SQUARABLE * SQUARABLE:
            return False
        s.basis.row_scale[i] = 1.0 / sqrt(total)
    for i in range(d * width_d):
        s.basis.transform[i] = 0.0
    for k in range(d):
        row = s.basis.rows + k * s.width
        for i in range(n):
            row[i] = A[i * d + k] * s.basis.row_scale[i]
        total = dot(s.width, row, row)
        if not total > SQUARABLE * SQUARABLE:
            return False
        total = 1.0 / sqrt(total)
        s.basis.transform[k * width_d + k] = total
        for i in range(n):
            row[i] *= total
    return True


cdef inline bint eliminate(Workspace* s) noexcept nogil:
    """Gauss-Jordan elimination of U, the same row operations on E; chooses the pivot rows."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, width_d = s.width_d, i, k, r, best
    cdef double pivot, largest, factor
    cdef double* rows = s.basis.rows
    cdef double* transform = s.basis.transform
    cdef double* row
    for k in range(d):
        row = rows + k * width
        best, largest = 0, -1.0
        for i in range(n):
            if fabs(row[i]) > largest:
                best, largest = i, fabs(row[i])
        if not largest > BATCH_DOUBT:
            return False
        s.basis.pivot_rows[k] = best
        pivot = 1.0 / row[best]
        for i in range(n):
            row[i] *= pivot
        for i in range(d):
            transform[k * width_d + i] *= pivot
        for r in range(d):
            if r != k:
                factor = -rows[r * width + best]
                add_one(width, factor, row, rows + r * width)
                add_one(width_d, factor, transform + k * width_d, transform + r * width_d)
    return True


cdef inline bint prepare_basis(Workspace* s, const double* A) noexcept nogil:
    """The parts ``basis`` but q; False unless A has full rank and one component beyond doubt."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, _
    cdef double largest
    cdef double* rows = s.basis.rows
    if not unit_rows_and_columns(s, A) or not eliminate(s):
        return False
    for i in range(n):
        largest = 0.0
        for k in range(d):
            largest = max(largest, fabs(rows[k * width + i]))
        if not largest < 1.0 / BATCH_DOUBT:
            return False
        s.basis.pattern[i] = 0
        for k in range(d):
            if fabs(rows[k * width + i]) > BATCH_DOUBT * largest:
                s.basis.pattern[i] |= <uint64_t> 1 << k
    for k in range(d):
        s.basis.pattern[s.basis.pivot_rows[k]] = 0
    if not connected(n, d, s.basis.pattern):
        return False
    for i in range(d * width):
        s.basis.coefficients[i] = rows[i]
    for _ in range(2):
        gram(d, width, rows, NULL, NULL, s.scratch.gram)
        if cholesky(d, s.scratch.gram) < BATCH_DOUBT:
            return False
        forward(d, width, s.scratch.gram, rows)
        forward(d, s.width_d, s.scratch.gram, s.basis.transform)
    lengths(d, width, rows, s.basis.lengths)
    return True


cdef inline bint same_predictor(Workspace* s, const double* A, const double* b, Py_ssize_t i,
                                Py_ssize_t j) noexcept nogil:
    """Whether two rows of [A b] are equal or, for an even weighting, opposite."""
    cdef Py_ssize_t d = s.d, k
    cdef bint equal = b[i] == b[j], opposite = is_even(s) and b[i] == -b[j]
    for k in range(d):
        equal = equal and A[i * d + k] == A[j * d + k]
        opposite = opposite and A[i * d + k] == -A[j * d + k]
        if not equal and not opposite:
            return False
    return True


cdef inline bint enough_different_rows(Workspace* s, const double* A, const double* b,
                                       Py_ssize_t least) noexcept nogil:
    """Whether the sides of the mode are determined for almost every x: [A b] has d + 2 different
    rows, and each row of the basis is dependent on others that differ from it. A row whose equals
    alone hold it could change its side. ``least`` different rows are wanted in any case.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i, j, k, count = 0
    cdef double* place = s.scratch.row              # of the different rows
    cdef bint enough, held
    least = max(least, d + 2)
    for i in range(n):
        for j in range(count):
            if same_predictor(s, A, b, i, <Py_ssize_t> place[j]):
                break
        else:
            place[count] = i
            count += 1
            if count == least:
                break
    for j in range(count):
        place[j] = 0.0
    enough = count == least
    for k in range(d):
        held = False
        for i in range(n):
            if (i != s.basis.pivot_rows[k]
                    and fabs(s.basis.coefficients[k * s.width + i]) > BATCH_DOUBT
                    and not same_predictor(s, A, b, i, s.basis.pivot_rows[k])):
                held = True
                break
        enough = enough and held
    return enough


cdef inline Py_ssize_t column_pivot(Workspace* s, const double* q, double* outside,
                                    double* pivot_column) noexcept nogil:
    """One more step of the elimination, on a column q: the column, divided by the pivot, the
    ``coefficients`` of the pivot's row, and this row; -1 if the column may lie in range(A).
    """
    cdef Py_ssize_t n = s.n, d = s.d, i, k, best = 0
    cdef double largest = 0.0, size = 0.0
    for k in range(d):
        pivot_column[k] = q[s.basis.pivot_rows[k]]
    combine(d, s.width, pivot_column, s.basis.coefficients, outside)
    for i in range(n):
        size = max(size, fabs(q[i]))
        outside[i] = q[i] - outside[i]
        if fabs(outside[i]) > largest:
            best, largest = i, fabs(outside[i])
    if not largest > BATCH_DOUBT * size:
        return -1
    largest = 1.0 / outside[best]
    for i in range(n):
        outside[i] *= largest
    for k in range(d):
        pivot_column[k] = s.basis.coefficients[k * s.width + best]
    return best


cdef inline bint signs_determined(Workspace* s) noexcept nogil:
    """Whether [A b] is connected beyond doubt, b at ``response.outside``. Overwrites the patterns
    of the rows, which are not needed afterwards.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, best
    cdef double largest
    cdef double* outside = s.scratch.image
    cdef double* entry = s.scratch.coordinates
    cdef double* pivot_column = s.scratch.vector
    best = column_pivot(s, s.response.outside, outside, pivot_column)
    if best < 0:
        return False
    for i in range(n):
        largest = entry[d] = fabs(outside[i])
        for k in range(d):
            entry[k] = fabs(s.basis.coefficients[k * width + i] - outside[i] * pivot_column[k])
            largest = max(largest, entry[k])
        s.basis.pattern[i] = 0
        for k in range(d + 1):
            if entry[k] > BATCH_DOUBT * largest:
                s.basis.pattern[i] |= <uint64_t> 1 << k
    for k in range(d):
        s.basis.pattern[s.basis.pivot_rows[k]] = 0
    s.basis.pattern[best] = 0
    return connected(n, d + 1, s.basis.pattern)


cdef inline bint prepare_response(Workspace* s, const double* b, bint need_signs) noexcept nogil:
    """The part ``response``; False where b may lie in range(A), or signs are needed and may not be
    determined. If scores depend on the scale of the slack, b may be zero: the unit is then 1.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, _
    cdef double size = 0.0
    cdef double* q = s.response.outside
    for i in range(n):
        q[i] = b[i] * s.basis.row_scale[i]
        size = max(size, fabs(q[i]))
    s.response.mirrored = s.response.free = False
    if size == 0.0 and not is_power(s):
        s.response.norm, s.response.mirrored = 1.0, has_peak(s) and is_even(s)
        for k in range(d):
            s.response.inside[k] = 0.0
        return True
    if need_signs and not signs_determined(s):
        return False
    size = sqrt(dot(width, q, q))
    for k in range(d):
        s.response.inside[k] = 0.0
    for _ in range(2):                   # the second pass removes what rounding left
        products(d, width, s.basis.rows, q, s.scratch.coordinates)
        for k in range(d):
            s.response.inside[k] += s.scratch.coordinates[k]
        add_rows(d, width, -1.0, s.scratch.coordinates, s.basis.rows, q)
    s.response.norm = sqrt(dot(width, q, q))
    if not s.response.norm > BATCH_DOUBT * size:
        return False
    for i in range(n):
        q[i] /= s.response.norm
    return True


cdef inline bint prepare_scores(Workspace* s, const double* scores, const double* noise,
                                double tol) noexcept nogil:
    """The part ``scores``; ``noise`` NULL: exact scores. False where they are too close to 0 or 1,
    or do not sum to d. Errors of exact scores are those of levinv.inverse.values.Problem.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i, _, kept = 0
    cdef double total = 0.0, excess, slope, margin, factor, c
    cdef double exponent = 1.0, least = BATCH_EXTREME
    cdef double greatest = 1.0 - ROUNDING_FACTOR * BATCH_EXTREME
    cdef bint exact = noise == NULL, root = s.weighting.kind != INVERSE_SQUARE
    cdef double* target = s.scores.target
    cdef double* odds = s.scores.odds
    cdef double* accuracy = s.scores.accuracy
    if is_power(s):
        exponent = fabs(s.weighting.parameter)
        # 1 - sigma is the power q of what a zero slack is told from
        if s.weighting.parameter > 0.0:
            greatest = 1.0 - max(1.0 - greatest, pow(1.0 - greatest, 0.5 * exponent))
    if root:                  # rounding hides the weights of smaller scores
        least = (UNIT_ROUNDOFF / SIGN_TOLERANCE) * (UNIT_ROUNDOFF / SIGN_TOLERANCE)
        if is_power(s) and s.weighting.parameter < 0.0:
            least = max(least, pow(1.0 - greatest, 0.5 * exponent))
    for i in range(n):
        c = s.scores.given[i] = scores[i]
        if exact:
            if not c <= greatest or (c < least and is_power(s)):
                return False
            s.scores.inverse_noise[i] = 1.0 / (UNIT_ROUNDOFF * (max(sqrt(c), EPS) if root else c))
            accuracy[i] = 0.0 if c >= least else -1.0
            kept += c >= least
            c = max(c, least)
        else:
            s.scores.inverse_noise[i] = 1.0 / noise[i]
            margin = min(0.5 * noise[i], 0.25)
            c = min(max(c, margin), 1.0 - margin)
        odds[i] = c / (1.0 - c)
        target[i] = c
        total += c
    excess = total - d
    if exact and (fabs(excess) > tol * n or (kept < n and kept <= 2 * d + 2)):
        return False
    for _ in range(BATCH_ITERATIONS):        # one factor of all odds gives the right sum
        if fabs(excess) <= 64.0 * EPS * d:
            break
        slope = 0.0
        for i in range(n):
            slope += target[i] * (1.0 - target[i])
        factor = exp(-min(max(excess / slope, -1.0), 1.0))
        excess = -<double> d
        for i in range(n):
            odds[i] *= factor
            target[i] = odds[i] / (1.0 + odds[i])
            excess += target[i]
    for i in range(n):
        s.scores.inverse_margin[i] = 1.0 / min(target[i], 1.0 - target[i])
    if not exact:
        for i in range(n):
            c = min(max(scores[i], BATCH_EXTREME), 1.0 - BATCH_EXTREME)
            accuracy[i] = (-1.0 if scores[i] < 3.0 * noise[i]
                           else min(noise[i] / (exponent * c * (1.0 - c)), 1.0))
            kept += accuracy[i] >= 0.0
        if kept <= 2 * d + 2:
            for i in range(n):
                accuracy[i] = min(noise[i] / (exponent * target[i]), 1.0)
    return True
