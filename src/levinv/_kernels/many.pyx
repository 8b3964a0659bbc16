"""Score inversion of many small problems: all four stages of one problem after another, compiled.

The mathematics is that of :mod:`levinv.inverse`; what small problems allow to be done otherwise
stands at the top of each included file. In the basis U of the rows (d x n), with q the part of b
outside range(A) scaled to norm 1, slacks are Uᵀy - q.

What is not plain sailing is left to the caller, who has the general route: rank or components in
doubt, scores close to 0 or 1, a stage that does not arrive, an x that may not be the only one.
"""
from libc.math cimport copysign, exp, fabs, sqrt
from libc.stdint cimport uint64_t

import numpy as np

cdef extern from *:
    """
    #ifdef LEVINV_AVX2                 /* this module was built a second time, for AVX2 */
    #define levinv_has_avx2() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    #else
    #define levinv_has_avx2() 0
    #endif
    """
    bint levinv_has_avx2() nogil

include "small/algebra.pxi"
include "small/space.pxi"
include "small/rows.pxi"
include "small/scaling.pxi"
include "small/signs.pxi"
include "small/polish.pxi"

cdef enum:
    STARTS = 12                        # of the sign search
    MAX_SHIFTS = 60
    ENUMERATED = 14                    # up to as many rows other signs are looked for

cdef double SMALLEST_SCORE = 1e-12     # beyond these, the general route
cdef double LARGEST_SCORE = 1.0 - 1e-10
cdef double SETTLED = 1e7              # whitened residual of exact scores that leaves doubts


def has_avx2():
    """Whether ``many_avx2``, the same for AVX2, was built and runs on this processor."""
    return bool(levinv_has_avx2())


cdef bint prepare_scores(Space* s, const double* scores, const double* noise,
                         double tol) noexcept nogil:
    """Targets strictly inside (0, 1) that sum to d; False where that is not for this route."""
    cdef Py_ssize_t n = s.n, d = s.d, i, _, kept = 0
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
    for _ in range(MAX_SHIFTS):
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
        if not regular(s):
            return False
        size = finish(s, A, b, x)
        if size >= HUGE or (exact and size > SETTLED * SETTLED * n):
            return False
        if (exact and not s.worst <= tol) or (not exact and not size <= most):
            return False
        if exact and signs == NULL and n <= ENUMERATED and ambiguous(s, s.jacobian):
            return False
        total = 0.0
        for i in range(n):
            if s.sigma[i] > LARGEST_SCORE:
                return False
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
    cdef Py_ssize_t count = b.shape[0], n = A.shape[1], d = A.shape[2], i, j
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
            if i == 0 or not shared or not solved[i - 1]:
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
            if not solved[i]:            # which may have left infinities behind
                for j in range(memory.shape[0]):
                    memory[j] = 0.0
