# The matrix and b: rank, components and an orthonormal basis.
#
# Rows at unit norm, Gauss-Jordan elimination with the largest entry as pivot gives A A_basis⁻¹,
# whose nonzeros decide the components (levinv.inverse.components); one more step takes in b. Two
# Cholesky passes make it orthonormal: U = E Aᵀ diag(unit). Where a decision is not clear, the
# answer is no: the general route decides.

cdef double SMALLEST_PIVOT = 1e-8      # of unit rows and columns: below it the rank is in doubt
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
    cdef double total, largest, pivot, size = 0.0
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
        pivot = 1.0 / outside[best]
        for k in range(d):
            s.vector[k] = s.coefficient[k * width + best]
        for i in range(n):
            outside[i] *= pivot
            largest = fabs(outside[i])
            for k in range(d):
                s.coordinate[k] = fabs(s.coefficient[k * width + i] - outside[i] * s.vector[k])
                largest = max(largest, s.coordinate[k])
            s.coordinate[d] = fabs(outside[i])
            s.pattern[i] = 0
            for k in range(d + 1):
                if s.coordinate[k] > ZERO * largest:
                    s.pattern[i] |= <uint64_t> 1 << k
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
