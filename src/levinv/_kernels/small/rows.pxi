# The matrix and b: rank, components and an orthonormal basis.
#
# Rows at unit norm, Gauss-Jordan elimination with the largest entry as pivot gives A A_basis⁻¹,
# whose nonzeros decide the components (levinv.inverse.stages.components); one more step takes in b. Two
# Cholesky passes make it orthonormal: U = E Aᵀ diag(unit). Where a decision is not clear, the
# answer is no: the general route decides.

cdef double SMALLEST_PIVOT = 1e-8      # of unit rows and columns: below it the rank is in doubt
cdef double SMALLEST_SQUARE = 1e-280   # of a row's or column's norm
cdef double LARGEST_COEFFICIENT = 1e6  # of rows in terms of the basis rows
cdef double ZERO = 1e-7                # relative: smaller coefficients connect nothing
cdef double IN_RANGE = 1e-7            # part of b outside range(A), relative, below which it is in
                                       # doubt


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


cdef bint unit_rows_and_columns(Space* s, const double* A) noexcept nogil:
    """Aᵀ with rows of A, then columns, scaled to norm 1; E remembers the columns' scale."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, small = s.small, i, k
    cdef double total
    cdef double* row
    for i in range(n):
        total = 0.0
        for k in range(d):
            total += A[i * d + k] * A[i * d + k]
        if not total > SMALLEST_SQUARE:
            return False
        s.unit[i] = 1.0 / sqrt(total)
    for i in range(d * small):
        s.transform[i] = 0.0
    for k in range(d):
        row = s.frame + k * width
        for i in range(n):
            row[i] = A[i * d + k] * s.unit[i]
        total = dot(width, row, row)
        if not total > SMALLEST_SQUARE:
            return False
        total = 1.0 / sqrt(total)
        s.transform[k * small + k] = total
        for i in range(n):
            row[i] *= total
    return True


cdef bint eliminate(Space* s) noexcept nogil:
    """Gauss-Jordan elimination, on E likewise."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, small = s.small, i, k, r, best
    cdef double pivot, largest, factor
    cdef double* row
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
        for i in range(n):
            row[i] *= pivot
        for i in range(d):
            s.transform[k * small + i] *= pivot
        for r in range(d):
            if r != k:
                factor = -s.frame[r * width + best]
                add_one(width, factor, row, s.frame + r * width)
                add_one(small, factor, s.transform + k * small, s.transform + r * small)
    return True


cdef bint prepare_rows(Space* s, const double* A) noexcept nogil:
    """Basis of range(A); False where A is not generic beyond doubt."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k
    cdef double largest
    if not unit_rows_and_columns(s, A) or not eliminate(s):
        return False
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
        forward(d, s.small, s.gram, s.transform)
    lengths(d, width, s.frame, s.length)
    return True


cdef bint signs_determined(Space* s, const double* q, double* outside) noexcept nogil:
    """Whether [A b] is connected beyond doubt: one more step of the elimination, on b."""
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, best = 0
    cdef double largest = 0.0, pivot, size = 0.0
    for k in range(d):
        s.coordinate[k] = q[s.basis[k]]
    combine(d, width, s.coordinate, s.coefficient, outside)
    for i in range(n):
        size = max(size, fabs(q[i]))
        outside[i] = q[i] - outside[i]
        if fabs(outside[i]) > largest:
            best, largest = i, fabs(outside[i])
    if not largest > IN_RANGE * size:
        return False
    pivot = 1.0 / outside[best]
    for k in range(d):
        s.vector[k] = s.coefficient[k * width + best]
    for i in range(n):
        outside[i] *= pivot
        largest = s.coordinate[d] = fabs(outside[i])
        for k in range(d):
            s.coordinate[k] = fabs(s.coefficient[k * width + i] - outside[i] * s.vector[k])
            largest = max(largest, s.coordinate[k])
        s.pattern[i] = 0
        for k in range(d + 1):
            if s.coordinate[k] > ZERO * largest:
                s.pattern[i] |= <uint64_t> 1 << k
    for k in range(d):
        s.pattern[s.basis[k]] = 0
    s.pattern[best] = 0
    return connected(n, <int> d + 1, s.pattern)


cdef bint prepare_response(Space* s, const double* b, bint need_signs) noexcept nogil:
    """q and U b; False where b may lie in range(A), or signs are needed and may not be
    determined.
    """
    cdef Py_ssize_t n = s.n, d = s.d, width = s.width, i, k, turn
    cdef double size
    cdef double* q = s.frame + d * width
    for i in range(n):
        q[i] = b[i] * s.unit[i]
    if need_signs and not signs_determined(s, q, s.image):
        return False
    size = sqrt(dot(width, q, q))
    for k in range(d):
        s.centre[k] = 0.0
    for turn in range(2):                # the second takes away what rounding left
        products(d, width, s.frame, q, s.coordinate)
        for k in range(d):
            s.centre[k] += s.coordinate[k]
        add_rows(d, width, -1.0, s.coordinate, s.frame, q)
    s.norm = sqrt(dot(width, q, q))
    if not s.norm > IN_RANGE * size:
        return False
    for i in range(n):
        q[i] /= s.norm
    return True
