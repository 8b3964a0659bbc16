# Stage 2: signs (levinv.inverse.stages.signs): Douglas-Rachford in [U; q], made isotropic first.

cdef enum:
    ISOTROPY_STEPS = 2
    POWER_STEPS = 20
    RUN = 400                          # iterations before a restart
    CHECK_EVERY = 3

cdef double FIT = 1e-6                 # relative distance from the range that signs may leave
cdef double EXPLAINED = 1.5            # deviations of inexact magnitudes added to it
cdef double ALMOST_FIT = 1e-4          # with which other signs leave doubts


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
            times(width, s.stretch, s.frame + k * width, s.isotropic + k * width)
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


cdef bint ambiguous(Space* s, double* columns) noexcept nogil:
    """Whether other signs of ``slack`` almost fit: all of them, one flipped at a time, in the order
    of a Gray code. ``columns``: n (d + 1) numbers to work in.
    """
    cdef Py_ssize_t n = s.n, p = s.d + 1, width = s.width, i, k
    cdef uint64_t step, bits
    cdef double size = 0.0, inside
    cdef int fitting = 0
    for i in range(n):
        s.aim[i] = s.stretch[i] * fabs(s.slack[i])
        size += s.aim[i] * s.aim[i]
        s.sign[i] = 1.0
        for k in range(p):
            columns[i * p + k] = s.aim[i] * s.isotropic[k * width + i]
    products(p, width, s.isotropic, s.aim, s.coordinate)
    for step in range(1, (<uint64_t> 1 << (n - 1)) + 1):
        inside = 0.0
        for k in range(p):
            inside += s.coordinate[k] * s.coordinate[k]
        fitting += inside >= (1.0 - ALMOST_FIT * ALMOST_FIT) * size
        i, bits = 0, step                   # the first sign stays: ±z are one solution
        while not bits & 1:
            bits >>= 1
            i += 1
        if i == n - 1:
            break
        s.sign[i] = -s.sign[i]
        for k in range(p):
            s.coordinate[k] += 2.0 * s.sign[i] * columns[i * p + k]
    return fitting != 1
