"""Score inversion of many small problems: the four stages of one problem after another, compiled.

The mathematics is that of :mod:`levinv.inverse`; the head of each module in small/ describes what
is done differently for small problems. U (d x n) is a basis of the rows, and q is the part of b
outside range(A), scaled to norm 1. Slacks are Uᵀy - q.

Problems with a doubtful decision are left to the caller, which solves them by the general route:
rank or components in doubt, scores close to 0 or 1, a stage without success, or an x that may not
be the only one.
"""
from libc.math cimport INFINITY
from libc.stdint cimport uint64_t

from kernel_settings cimport (BATCH_EXTREME, BATCH_STARTS, ENUMERATED, ROUNDING_FACTOR,
                              SETTLED_RESIDUAL)
from levinv._kernels.small.magnitudes cimport find_magnitudes
from levinv._kernels.small.presolve cimport prepare_basis, prepare_response, prepare_scores
from levinv._kernels.small.recover cimport recover
from levinv._kernels.small.refine cimport finish, linearise, refine, regular, signs_agree
from levinv._kernels.small.signs cimport ambiguous, find_signs, prepare_signs, sign_tolerance
from levinv._kernels.small.workspace cimport Workspace, lay_out

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


def has_avx2():
    """Whether ``many_avx2``, this module built for AVX2, exists and runs on this processor."""
    return bool(levinv_has_avx2())


cdef bint acceptable(Workspace* s, double size, bint exact, double tol,
                     double most) noexcept nogil:
    """Whether a whitened residual with this sum of squares is small enough for a solution."""
    if exact:
        return size < INFINITY and s.refinement.largest <= tol
    return size <= most


cdef bint solve_from(Workspace* s, Py_ssize_t start, double tolerance, const double* signs,
                     bint exact, double tol, double most) noexcept nogil:
    """Stages 2 to 4 from one start; whether the scores are matched at ``recovery.y``."""
    cdef bint unknown = signs == NULL
    s.iterations += 1
    if unknown and not find_signs(s, start, tolerance):
        return False
    return (recover(s, exact, unknown and not exact)
            and acceptable(s, refine(s, exact), exact, tol, most)
            and (unknown or signs_agree(s, signs)))


cdef bint invert_one(Workspace* s, const double* A, const double* b, const double* signs,
                     bint exact, double tol, double most, double* x, double* fun) noexcept nogil:
    """Stages 1 to 4; True where the scores are matched and x is the only solution."""
    cdef Py_ssize_t n = s.n, start, i
    cdef double tolerance = 0.0, total = 0.0, size
    cdef double* residual = s.projection.residual
    if not find_magnitudes(s, exact):
        return False
    if signs == NULL:
        if not prepare_signs(s):
            return False
        tolerance = sign_tolerance(s, exact)
    else:
        for i in range(n):
            s.signs.sign[i] = signs[i]
    for start in range(BATCH_STARTS if signs == NULL else 1):
        if solve_from(s, start, tolerance, signs, exact, tol, most):
            break
    else:
        return False
    if not regular(s):
        return False
    size = finish(s, A, b, x)
    if (not acceptable(s, size, exact, tol, most)
            or (exact and size > SETTLED_RESIDUAL * SETTLED_RESIDUAL * n)):
        return False
    if (exact and signs == NULL and n <= ENUMERATED
            and ambiguous(s, s.refinement.slack, s.refinement.jacobian)):
        return False                 # the Jacobian's memory is no longer needed
    for i in range(n):
        if s.projection.scores[i] > 1.0 - ROUNDING_FACTOR * BATCH_EXTREME:
            return False
        total += residual[i] * residual[i]
    fun[0] = 0.5 * total
    return True


def invert(const double[:, :, ::1] A, const double[:, ::1] b, const double[:, ::1] scores,
           const double[:, ::1] signs, const double[:, ::1] noise, const uint64_t[::1] seeds,
           double tol, double most, double[:, ::1] x, double[::1] fun, Py_ssize_t[::1] nit,
           unsigned char[::1] solved):
    """Invert each problem in which no decision is doubtful.

    Parameters
    ----------
    A : (k, n, d) or (1, n, d) array, shared by all problems; 1 <= d <= 62, n > d.
    b, scores : (k, n) arrays, scores in [0, 1].
    signs : (k, n) or (1, n) array, or None.
    noise : (k, n) or (1, n) array of positive numbers, or None: exact scores.
    seeds : (k,) array, of the random starts.
    tol : float, largest max|sigma - c| of a success without noise.
    most : float, largest sum of squares of the whitened residual that noise explains.
    x, fun, nit, solved : output, one row for each problem; x and fun only if it is solved.
        ``solved`` includes that x is the only solution.
    """
    cdef Py_ssize_t count = b.shape[0], n = A.shape[1], d = A.shape[2], i, j
    cdef Workspace s
    cdef double[::1] memory = np.zeros(lay_out(&s, n, d, NULL))
    cdef bint shared = A.shape[0] == 1, clear = False, exact = noise is None
    cdef const double* rows
    cdef const double* known = NULL
    cdef const double* deviation = NULL
    lay_out(&s, n, d, &memory[0])
    with nogil:
        for i in range(count):
            rows = &A[0 if shared else i, 0, 0]
            if i == 0 or not shared or not solved[i - 1]:
                clear = prepare_basis(&s, rows)
            if signs is not None:
                known = &signs[i if signs.shape[0] > 1 else 0, 0]
            if not exact:
                deviation = &noise[i if noise.shape[0] > 1 else 0, 0]
            s.random_state = seeds[i]
            s.iterations = 0
            solved[i] = (clear and prepare_scores(&s, &scores[i, 0], deviation, tol)
                         and prepare_response(&s, &b[i, 0], known == NULL)
                         and invert_one(&s, rows, &b[i, 0], known, exact, tol, most, &x[i, 0],
                                        &fun[i]))
            nit[i] = s.iterations
            if not solved[i]:            # a failed problem may leave infinities
                for j in range(memory.shape[0]):
                    memory[j] = 0.0


cdef part(memory, const Workspace* s, const double* first, Py_ssize_t count, Py_ssize_t width):
    """A copy of ``count`` rows of a part of the workspace, without the padding."""
    cdef Py_ssize_t start = first - s.memory
    return memory[start:start + count * width].reshape(count, width)[:, :s.n].copy()


def stages(const double[:, ::1] A, const double[::1] b, const double[::1] scores,
           const double[::1] signs, const double[::1] noise, uint64_t seed, double tol):
    """What each stage leaves of one problem, up to the first that fails: for tests.

    Returns
    -------
    dict of arrays: ``basis`` (d + 1, n), U and q; ``magnitude`` (1, n), of unit rows; ``sign``
    (1, n); ``recovered`` and ``refined`` (d,), x after stages 3 and 4; ``jacobian`` (d, n), of the
    whitened residual at the latter, in a basis of orthonormal rows.
    """
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], start, i
    cdef Workspace s
    memory, recovered, refined = np.zeros(lay_out(&s, n, d, NULL)), np.zeros(d), np.zeros(d)
    cdef double[::1] room = memory, x = recovered, last_x = refined
    cdef bint unknown = signs is None, exact = noise is None
    cdef const double* deviation = NULL
    found = {}
    lay_out(&s, n, d, &room[0])
    memory = memory[s.memory - &room[0]:]
    s.random_state, s.iterations = seed, 0
    if not exact:
        deviation = &noise[0]
    if (not prepare_basis(&s, &A[0, 0]) or not prepare_scores(&s, &scores[0], deviation, tol)
            or not prepare_response(&s, &b[0], unknown)):
        return found
    found["basis"] = part(memory, &s, s.basis.rows, d + 1, s.width)
    if not find_magnitudes(&s, exact) or (unknown and not prepare_signs(&s)):
        return found
    found["magnitude"] = part(memory, &s, s.magnitudes.magnitude, 1, s.width)
    for start in range(BATCH_STARTS if unknown else 0):
        if find_signs(&s, start, sign_tolerance(&s, exact)):
            break
    for i in range(0 if unknown else n):
        s.signs.sign[i] = signs[i]
    found["sign"] = part(memory, &s, s.signs.sign, 1, s.width)
    if recover(&s, exact, unknown and not exact):
        finish(&s, &A[0, 0], &b[0], &x[0])
        found["recovered"] = recovered
        if refine(&s, exact) < INFINITY:
            finish(&s, &A[0, 0], &b[0], &last_x[0])
            linearise(&s)
            found["refined"] = refined
            found["jacobian"] = part(memory, &s, s.refinement.jacobian, d, s.width)
    return found
