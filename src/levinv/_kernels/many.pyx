"""Score inversion of many small problems: the four stages of one problem after another, compiled.

The mathematics is that of :mod:`levinv.inverse`; the head of each module in small/ describes what
is done differently for small problems. U (d x n) is a basis of the rows, and q is the part of b
outside range(A), scaled to norm 1. Slacks are Uᵀy - q. Weights are the papers' 1/s², other powers,
exponential, or those of binomial regressions, with one peak.

Problems with a doubtful decision are left to the caller, which solves them by the general route:
rank or components in doubt, scores close to 0 or 1, a stage without success, or an x that may not
be the only one.
"""
from libc.math cimport INFINITY, fabs, log, sqrt
from libc.stdint cimport uint64_t, uintptr_t

from kernel_settings cimport (BATCH_EXTREME, BATCH_STARTS, BRANCH_STARTS, ENUMERATED,
                              FAR_FROM_LIMIT, NOISE_UNCERTAINTY, PASS_ENTRIES, ROUNDING_FACTOR,
                              SETTLED_RESIDUAL, SIGN_TOLERANCE)
from levinv._kernels.small.algebra cimport LANES, combine, products, transposed_times
from levinv._kernels.small.changes cimport (ALL, SOME, UNDEFINED, Changes, cell_at,
                                            changes_needed, divide_changes, find_changes,
                                            set_halves_of_power)
from levinv._kernels.small.descent cimport Descent, descend_all
from levinv._kernels.small.lanes cimport Noisy, divide, doubles_needed, rotate_by_score
from levinv._kernels.small.levels cimport (level_attempt, misfit, prepare_exponential,
                                           prepare_levels)
from levinv._kernels.small.magnitudes cimport find_magnitudes, match_scores, relative_error
from levinv._kernels.small.presolve cimport (enough_different_rows, prepare_basis, prepare_response,
                                             prepare_scores)
from levinv._kernels.small.recover cimport recover
from levinv._kernels.small.refine cimport (accurate, evaluate_at, finish, linearise, refine,
                                           regular, signs_agree, slack_deviations)
from levinv._kernels.small.signs cimport find_signs, other_sides, prepare_signs, sign_tolerance
from levinv._kernels.small.weightings cimport INVERSE_SQUARE, has_peak, is_power, prepare_weighting
from levinv._kernels.small.workspace cimport Workspace, lay_out

import numpy as np

RECORDS = 5                              # columns of ``records``

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


cdef double sign_misfit(Workspace* s) noexcept nogil:
    """Relative distance of the signed magnitudes from the isotropic rows' span."""
    cdef Py_ssize_t p = s.d + 1, i
    cdef double total = 0.0, distance
    products(p, s.width, s.signs.rows, s.signs.signed, s.scratch.coordinates)
    combine(p, s.width, s.scratch.coordinates, s.signs.rows, s.scratch.image)
    for i in range(s.n):
        distance = s.signs.signed[i] - s.scratch.image[i]
        total += distance * distance
    return sqrt(total)


cdef double magnitude_misfit(Workspace* s) noexcept nogil:
    """Largest relative distance of the slack at ``recovery.y`` from a multiple of the magnitudes.
    """
    cdef Py_ssize_t i
    cdef double least = INFINITY, most = 0.0, ratio
    combine(s.d, s.width, s.recovery.y, s.basis.rows, s.scratch.image)
    for i in range(s.n):
        ratio = fabs(s.scratch.image[i] - s.response.outside[i]) / s.magnitudes.magnitude[i]
        least = min(least, ratio)
        most = max(most, ratio)
    return (most - least) / (most + least)


cdef bint solve_from(Workspace* s, Py_ssize_t start, double tolerance, const double* signs,
                     bint exact, double tol, double most, double* record) noexcept nogil:
    """Stages 2 to 4 from one start; whether the scores are matched at ``recovery.y``."""
    cdef bint unknown = signs == NULL
    s.iterations += 1
    if is_power(s):
        if unknown and not find_signs(s, start, tolerance):
            return False
        if unknown:
            record[3] = sign_misfit(s)
        if not recover(s, exact, unknown and not exact):
            return False
        record[4] = magnitude_misfit(s)
    elif level_attempt(s, start):
        record[3] = sqrt(misfit(s, s.levels.z) / s.n)
    else:
        return False
    record[2] = start + 1
    return (acceptable(s, refine(s, exact), exact, tol, most)
            and (unknown or signs_agree(s, signs)))


cdef struct Others:                 # for noisy scores: the search for other signs
    Noisy noisy
    Changes changes
    double* matrix                  # n x d, rows at unit norm
    double* log_prior
    bint compared                   # whether the general route compares all cells


cdef void divide_others(Others* others, Py_ssize_t n, Py_ssize_t d, double* memory) noexcept:
    """Divide the memory, whose first vectors begin at a cache line."""
    cdef Noisy* p = &others.noisy
    memory += (LANES - <uintptr_t> memory // sizeof(double) % LANES) % LANES
    p.m, p.r = n, d
    divide(p, memory)
    memory += doubles_needed(n, d) - LANES
    divide_changes(&others.changes, n, d, memory)
    p.matrix = others.matrix = memory + changes_needed(n, d)
    others.log_prior = others.matrix + n * d


cdef bint other_signs_fit(Workspace* s, Others* others, double most) noexcept nogil:
    """Whether noise allows other signs at power weights (``small/changes``), or not all could be
    tried and the general route tries more: it compares all cells, or finds a better fit where this
    one is near the limit, at which the linear model does not hold.
    """
    cdef Noisy* p = &others.noisy
    cdef Changes* c = &others.changes
    cdef Descent descent
    cdef double* y = s.scratch.coordinates
    cdef Py_ssize_t i, k
    cdef double q = 2.0
    cdef int tried
    p.offset, p.scores, p.weight = s.response.outside, s.scores.given, s.scores.inverse_noise
    p.weighing.weighting, p.mode, p.log_prior = s.weighting, 0.0, NULL
    for i in range(s.n):
        for k in range(s.d):
            others.matrix[i * s.d + k] = s.basis.rows[k * s.width + i]
    if s.weighting.kind != INVERSE_SQUARE:
        q, p.log_prior = s.weighting.parameter, others.log_prior
        for i in range(s.n):
            others.log_prior[i] = (s.weighting.log_prior[i] - q * log(s.weighting.unit[i])
                                   - 2.0 * log(s.basis.row_scale[i]))
    for k in range(s.d):
        y[k] = s.recovery.y[k]
    rotate_by_score(p, others.matrix, y)
    set_halves_of_power(p, c, y, q)
    tried = find_changes(p, c, y, most)
    if tried == UNDEFINED or (tried == SOME and (
            others.compared or NOISE_UNCERTAINTY ** 2 * c.fit > most)):
        return True
    if not c.found:
        return False
    descent.limit, descent.in_cell = most, q > 0.0
    descent.hopeless = INFINITY if tried == ALL else most / FAR_FROM_LIMIT
    descend_all(p, &descent, c.y, c.found, c.misfit)
    for k in range(c.found):             # near the limit the general route decides
        if c.misfit[k] <= NOISE_UNCERTAINTY ** 2 * most and cell_at(p, c.y + k * s.d) != c.known:
            return True
    return False


cdef bint reflection_fits(Workspace* s, double most) noexcept nogil:
    """Whether noise allows other signs too: stage 4 from reflections of y at the zero slacks of the
    rows of largest score, whose signs change at the least change of the other rows
    (levinv.inverse.stages.branches). ``recovery.y`` stays. Uses the memory of ``levels``.
    """
    cdef Py_ssize_t n = s.n, d = s.d, i, k, start, row
    cdef double* y = s.recovery.y
    cdef double* best = s.levels.trial
    cdef double* centred = s.levels.half
    cdef double* order = s.levels.fall
    cdef double* move = s.levels.rows              # of d numbers for each start
    cdef double along, score
    cdef bint other = False, differs
    for k in range(d):
        best[k] = y[k]
    if not evaluate_at(s, y) < INFINITY:
        return True
    for i in range(n):
        order[i] = s.projection.scores[i]
        centred[i] = s.refinement.slack[i]
        if has_peak(s):
            centred[i] -= s.weighting.mode / s.weighting.unit[i]
    for start in range(min(n, BRANCH_STARTS)):
        row, score = 0, -1.0
        for i in range(n):
            if order[i] > score:
                row, score = i, order[i]
        order[row] = -1.0
        along = 0.0
        for k in range(d):                         # G⁻¹ u = Tᵀ V D⁻¹ for this row
            s.scratch.coordinates[k] = s.projection.rows[k * s.width + row]
        transposed_times(d, s.projection.transform, s.scratch.coordinates, move + start * d)
        for k in range(d):
            along += s.basis.rows[k * s.width + row] * move[start * d + k]
        for k in range(d):
            move[start * d + k] *= -2.0 * centred[row] / along
    s.refinement.hopeless = most / FAR_FROM_LIMIT
    for start in range(min(n, BRANCH_STARTS)):
        for k in range(d):
            y[k] = best[k] + move[start * d + k]
        if refine(s, False) <= most and evaluate_at(s, y) <= most:
            differs = False
            for i in range(n):
                along = s.refinement.slack[i]
                if has_peak(s):
                    along -= s.weighting.mode / s.weighting.unit[i]
                differs = differs or along * centred[i] < 0.0
            if differs:
                other = True
                break
    s.refinement.hopeless = INFINITY
    for k in range(d):
        y[k] = best[k]
    return other


cdef bint invert_one(Workspace* s, Others* others, const double* A, const double* b,
                     const double* signs, bint exact, double tol, double most, double* x,
                     double* fun, double* record) noexcept nogil:
    """Stages 1 to 4; True where the scores are matched and x is the only solution, or one of a
    mirrored pair.
    """
    cdef Py_ssize_t n = s.n, start, i, starts = BATCH_STARTS if signs == NULL else 1
    cdef double tolerance = 0.0, total = 0.0, size
    cdef double* residual = s.projection.residual
    if not find_magnitudes(s, exact):
        return False
    record[0], record[1] = s.iterations, relative_error(s)
    if not is_power(s):
        if not prepare_levels(s, exact):
            return False
        starts = 4 * BATCH_STARTS if has_peak(s) else 1
    elif signs == NULL:
        if not prepare_signs(s):
            return False
        tolerance = sign_tolerance(s, exact)
    else:
        for i in range(n):
            s.signs.sign[i] = signs[i]
    for start in range(starts):
        if solve_from(s, start, tolerance, signs, exact, tol, most, record):
            break
    else:
        return False
    if not regular(s):
        return False
    if not exact and signs == NULL and (is_power(s) or has_peak(s)):
        slack_deviations(s, s.levels.fall)
        if other_sides(s, s.levels.fall):
            return False
        if (reflection_fits(s, most) if others == NULL
                else other_signs_fit(s, others, most)):
            return False
    size = finish(s, A, b, exact, x)
    if exact and not accurate(s, size, SIGN_TOLERANCE if s.weighting.kind != INVERSE_SQUARE
                              else 1.0 / ROUNDING_FACTOR):
        return False
    if (not acceptable(s, size, exact, tol, most)
            or (exact and size > SETTLED_RESIDUAL * SETTLED_RESIDUAL * n)):
        return False
    if exact and signs == NULL and (is_power(s) or has_peak(s)) and other_sides(s, NULL):
        return False                 # the Jacobian's memory is no longer needed
    for i in range(n):
        if s.projection.scores[i] > 1.0 - ROUNDING_FACTOR * BATCH_EXTREME:
            return False
        total += residual[i] * residual[i]
    fun[0] = 0.5 * total
    return True


cdef void set_weighting(Workspace* s, int kind, const double[::1] parameters,
                        const double[:, ::1] table) noexcept:
    """The parts of ``weighting`` that all problems share."""
    s.weighting.kind = kind
    s.weighting.parameter, s.weighting.mode, s.weighting.spacing = parameters[0], parameters[1], \
        parameters[2]
    s.weighting.table, s.weighting.nodes = &table[0, 0], table.shape[1]


cdef bint prepare(Workspace* s, const double* A, const double* b, const double* scores,
                  const double* signs, const double* noise, const double* log_prior,
                  double tol) noexcept nogil:
    """What A, b and the scores decide, after ``prepare_basis``; False where it is in doubt."""
    cdef bint unknown = signs == NULL, sides = has_peak(s)
    if sides and (not unknown
                  or not enough_different_rows(s, A, b, ENUMERATED + 1 if noise == NULL else 0)):
        return False                     # for exact scores of few rows all sides are enumerated
    if (not prepare_scores(s, scores, noise, tol)
            or not prepare_response(s, b, unknown and (sides or is_power(s)))):
        return False
    prepare_weighting(s, log_prior)
    return (sides or is_power(s)
            or (prepare_exponential(s) and (unknown or not s.response.free)))


def invert(const double[:, :, ::1] A, const double[:, ::1] b, const double[:, ::1] scores,
           const double[:, ::1] signs, const double[:, ::1] noise, const double[:, ::1] log_prior,
           const uint64_t[::1] seeds, int kind, const double[::1] parameters,
           const double[:, ::1] table, double tol, double most, bint compared, double[:, ::1] x,
           double[::1] fun, Py_ssize_t[::1] nit, unsigned char[::1] solved, double[:, ::1] records):
    """Invert each problem in which no decision is doubtful.

    Parameters
    ----------
    A : (k, n, d) or (1, n, d) array, shared by all problems; 1 <= d <= 62, n > d.
    b, scores : (k, n) arrays, scores in [0, 1].
    signs : (k, n) or (1, n) array, or None.
    noise : (k, n) or (1, n) array of positive numbers, or None: exact scores.
    log_prior : (k, n) or (1, n) array, logarithms of the prior weights, or None.
    seeds : (k,) array, of the random starts.
    kind, parameters : the weighting, as in ``small/weightings``; (parameter, mode, spacing).
    table : (2, nodes) array, for a peak: logarithms of the distance of the lower and the upper
        branch from the mode, where the logarithm of the gap is that of LEAST_GAP plus multiples of
        ``spacing``.
    tol : float, largest max|sigma - c| of a success without noise.
    most : float, largest sum of squares of the whitened residual that noise explains.
    compared : bool, whether the general route compares points of all cells: then a problem is left
        to it if not all sign vectors within reach of the noise could be tried.
    x, fun, nit, solved : output, one row for each problem; x and fun only if it is solved.
        ``solved`` is 1 if x is the only solution, 2 if -x is the only other one, 3 if the level of
        an exponential weighting is free.
    records : (k, 5) array, output for solved problems: iterations of stage 1, its largest error
        relative to min(c, 1 - c), starts of stage 2, the misfit of its signs (of powers) or of the
        level, and the misfit of the magnitudes in stage 3 (of powers).
    """
    cdef Py_ssize_t count = b.shape[0], n = A.shape[1], d = A.shape[2], i, j
    cdef Workspace s
    cdef double[::1] memory = np.zeros(lay_out(&s, n, d, NULL))
    cdef bint shared = A.shape[0] == 1, clear = False, exact = noise is None
    cdef const double* rows
    cdef const double* known = NULL
    cdef const double* deviation = NULL
    cdef const double* prior = NULL
    cdef Others others
    cdef Others* search = NULL
    cdef double[::1] room
    lay_out(&s, n, d, &memory[0])
    set_weighting(&s, kind, parameters, table)
    if not exact and signs is None and is_power(&s) and n * n <= PASS_ENTRIES:
        room = np.empty(n * (d + 1) + doubles_needed(n, d) + changes_needed(n, d))
        search = &others
        divide_others(search, n, d, &room[0])
        others.compared = compared
    with nogil:
        for i in range(count):
            rows = &A[0 if shared else i, 0, 0]
            if i == 0 or not shared or not solved[i - 1]:
                clear = prepare_basis(&s, rows)
            if signs is not None:
                known = &signs[i if signs.shape[0] > 1 else 0, 0]
            if not exact:
                deviation = &noise[i if noise.shape[0] > 1 else 0, 0]
            if log_prior is not None:
                prior = &log_prior[i if log_prior.shape[0] > 1 else 0, 0]
            s.random_state = seeds[i]
            s.iterations = 0
            solved[i] = (clear and prepare(&s, rows, &b[i, 0], &scores[i, 0], known, deviation,
                                           prior, tol)
                         and invert_one(&s, search, rows, &b[i, 0], known, exact, tol, most,
                                        &x[i, 0], &fun[i], &records[i, 0]))
            if solved[i] and (s.response.mirrored or s.response.free):
                solved[i] = 2 if s.response.mirrored else 3
            nit[i] = s.iterations
            if not solved[i]:            # a failed problem may leave infinities
                for j in range(memory.shape[0]):
                    memory[j] = 0.0


def weights(const double[:, ::1] A, const double[::1] scores, double tol, double[::1] out):
    """Stage 1 alone: ``out`` <- weights of A's rows with these scores, up to a factor.

    Returns
    -------
    float : largest ratio of two weights of the rows at unit norm; inf if no such weights were found
    or a decision on the rank or the components of A, or on the scores, is in doubt.
    """
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], i
    cdef Workspace s
    cdef double[::1] memory = np.zeros(lay_out(&s, n, d, NULL))
    cdef double margin = 0.0, largest = 0.0, smallest = INFINITY, weight
    cdef bint found
    lay_out(&s, n, d, &memory[0])
    s.weighting.kind, s.weighting.parameter, s.iterations = INVERSE_SQUARE, 2.0, 0
    with nogil:
        found = prepare_basis(&s, &A[0, 0]) and prepare_scores(&s, &scores[0], NULL, tol)
        for i in range(n if found else 0):
            margin = max(margin, min(s.scores.target[i], 1.0 - s.scores.target[i]))
        found = found and match_scores(&s, True, 0.1 * tol / margin)
        for i in range(n if found else 0):
            weight = s.magnitudes.weight[i]
            largest, smallest = max(largest, weight), min(smallest, weight)
            out[i] = weight * s.basis.row_scale[i] * s.basis.row_scale[i]
    return largest / smallest if found else np.inf


cdef part(memory, const Workspace* s, const double* first, Py_ssize_t count, Py_ssize_t width):
    """A copy of ``count`` rows of a part of the workspace, without the padding."""
    cdef Py_ssize_t start = first - s.memory
    return memory[start:start + count * width].reshape(count, width)[:, :s.n].copy()


def stages(const double[:, ::1] A, const double[::1] b, const double[::1] scores,
           const double[::1] signs, const double[::1] noise, uint64_t seed, double tol,
           int kind=0, const double[::1] parameters=None, const double[:, ::1] table=None):
    """What each stage leaves of one problem, up to the first that fails: for tests.

    Returns
    -------
    dict of arrays: ``basis`` (d + 1, n), U and q; ``weight`` (1, n), of unit rows; of powers
    ``magnitude`` (1, n), of unit rows, and ``sign`` (1, n), of others ``level`` (1,); ``recovered``
    and ``refined`` (d,), x after stages 3 and 4; ``jacobian`` (d, n), of the whitened residual at
    the latter, in a basis of orthonormal rows.
    """
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], start, i
    cdef Workspace s
    memory, recovered, refined = np.zeros(lay_out(&s, n, d, NULL)), np.zeros(d), np.zeros(d)
    cdef double[::1] room = memory, x = recovered, last_x = refined
    cdef bint unknown = signs is None, exact = noise is None, ready = False
    cdef const double* deviation = NULL
    cdef const double* known = NULL
    found = {}
    if parameters is None:
        parameters, table = np.ones(3), np.zeros((2, 2))
    lay_out(&s, n, d, &room[0])
    set_weighting(&s, kind, parameters, table)
    memory = memory[s.memory - &room[0]:]
    s.random_state, s.iterations = seed, 0
    if not exact:
        deviation = &noise[0]
    if not unknown:
        known = &signs[0]
    if (not prepare_basis(&s, &A[0, 0])
            or not prepare(&s, &A[0, 0], &b[0], &scores[0], known, deviation, NULL, tol)):
        return found
    found["basis"] = part(memory, &s, s.basis.rows, d + 1, s.width)
    if not find_magnitudes(&s, exact):
        return found
    found["weight"] = part(memory, &s, s.magnitudes.weight, 1, s.width)
    if not is_power(&s):
        prepare_levels(&s, exact)
        for start in range(4 * BATCH_STARTS):
            ready = level_attempt(&s, start)
            if ready:
                found["level"] = np.array([s.levels.z[d]])
                break
    else:
        if unknown and not prepare_signs(&s):
            return found
        found["magnitude"] = part(memory, &s, s.magnitudes.magnitude, 1, s.width)
        for start in range(BATCH_STARTS if unknown else 0):
            if find_signs(&s, start, sign_tolerance(&s, exact)):
                break
        for i in range(0 if unknown else n):
            s.signs.sign[i] = signs[i]
        found["sign"] = part(memory, &s, s.signs.sign, 1, s.width)
        ready = recover(&s, exact, unknown and not exact)
    if ready:
        finish(&s, &A[0, 0], &b[0], False, &x[0])
        found["recovered"] = recovered
        if refine(&s, exact) < INFINITY:
            finish(&s, &A[0, 0], &b[0], False, &last_x[0])
            linearise(&s)
            found["refined"] = refined
            found["jacobian"] = part(memory, &s, s.refinement.jacobian, d, s.width)
    return found
