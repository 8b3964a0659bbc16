"""Which signs of a component may change, for weights with a pole or a peak: all sign vectors whose
χ² by a linear model is within reach of the noise (levinv.inverse.stages.branches).

Where y explains the scores, another y' does only if its weights are those at y, to the noise and up
to a common factor. So with rows [M_i, -o_i] / s_i relative to the slack s at y, their product with
a multiple of (y', 1) is near +1 or -1 in every row. With V = diag(1/s) M L⁻ᵀ, whose columns are
orthonormal, it is R z, R_i = [V_i, 1], and y' = y + L⁻ᵀ (z_1 ... z_r) / z_p. With D_i = q_i σ_i
(1 - σ_i) / deviation, the change of a score in units of its noise per relative change of the slack,

    χ²(t) ≥ about min over z of |D (R z - t)|²,  t = 1 - 2e,  e = 1 where the sign changes.

This is a quadratic form of e: 4 |H D e|², where the rows of H are an orthonormal basis of the
complement of range(D R). H is made so that its row k has zeros after column k: it is what row k
adds to χ² after the best z for the rows before. The sum grows with every row, and signs are chosen
row after row until it exceeds LINEAR_MARGIN times the limit (sphere decoding). The first rows are
those that determine z best, and the others follow in the order of D. Rows that are light, whose
score is below its noise, take the sign of R z.

For a power, q_i is the power. For weights with a peak at mode, s is half of what each predictor is
above the one of the same weight on the other side, and q_i = |τ' s|: then y' of the same level has
R z near ±1 with z_p = 1 (levinv.inverse.stages.sides). That z_p is free allows for more.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport uint64_t

from kernel_settings cimport (CHANGE_ROWS, CHANGE_STEPS, FAR_FROM_LIMIT, LINEAR_MARGIN,
                              PASS_ENTRIES, PATIENCE, ZERO_ENTRY)
from levinv._kernels.small.algebra cimport LANES, add_one, back, cholesky, dot, solve
from levinv._kernels.small.lanes cimport Noisy, evaluate_lanes, number_of


cdef struct Changes:
    Py_ssize_t count, p             # rows that are compared, and r + 1
    double* half                    # s, m; set before find_changes
    double* rate                    # q, m; likewise
    double* work                    # m x p
    double* whole                   # R, m x p
    double* lower                   # L, r x r, its diagonal inverted
    const double* solution          # y
    double fit                      # χ² there
    Py_ssize_t* row                 # of the component
    double* relative                # the rows of R that are compared, count x p
    double* size                    # D
    double* light                   # whether the score is below its noise
    double* form                    # 2 H D, count x count
    double* normal                  # formᵀ form, lower triangle
    double* inverse                 # (Rᵀ D² R)⁻¹, p x p
    double* factor                  # p x p
    double* z                       # p
    double* gain                    # p
    double* change                  # e
    double* cost                    # of the rows before
    double* other                   # cost of the sign that was not tried yet
    uint64_t known                  # the cell of y
    Py_ssize_t found
    double* y                       # starts in other cells
    uint64_t* cell
    double* misfit


cdef enum:
    CAPACITY = 256                  # of starts
    STARTS = 64                     # of changes of one or two signs


cdef inline Py_ssize_t changes_needed(Py_ssize_t m, Py_ssize_t r) noexcept nogil:
    """Doubles for ``divide_changes``."""
    cdef Py_ssize_t p = r + 1, count = min(m, CHANGE_ROWS)
    return (count * (2 * count + p + 7) + 2 * m * (p + 1) + 3 * p * p + 2 * p
            + CAPACITY * (r + 2) + 3)


cdef inline void divide_changes(Changes* c, Py_ssize_t m, Py_ssize_t r,
                                double* memory) noexcept nogil:
    """Divide the memory."""
    cdef Py_ssize_t p = r + 1, count = min(m, CHANGE_ROWS)
    c.count, c.p = count, p
    c.form = memory
    c.normal = c.form + count * count
    c.work = c.normal + count * count
    c.whole = c.work + m * p
    c.half = c.whole + m * p
    c.rate = c.half + m
    c.lower = c.rate + m
    c.relative = c.lower + p * p
    c.row = <Py_ssize_t*> (c.relative + count * p)
    c.size = c.relative + count * p + count
    c.light = c.size + count
    c.change = c.light + count
    c.cost = c.change + count
    c.other = c.cost + count + 1
    c.inverse = c.other + count + 1
    c.factor = c.inverse + p * p
    c.z = c.factor + p * p
    c.gain = c.z + p
    c.y = c.gain + p
    c.misfit = c.y + CAPACITY * r
    c.cell = <uint64_t*> (c.misfit + CAPACITY)


cdef inline double info(const Noisy* p, const Changes* c, Py_ssize_t i) noexcept nogil:
    """q σ / deviation of a row, at the points evaluated last."""
    return c.rate[i] * p.weight[i] * p.sigma[i * LANES]


cdef inline double size_of(const Noisy* p, const Changes* c, Py_ssize_t i) noexcept nogil:
    """D_i. While a slack tends to zero, D does, too, and z is not determined: here it stays above a
    number that is nothing beside the noise.
    """
    return max(info(p, c, i) * (1.0 - p.sigma[i * LANES]), FAR_FROM_LIMIT)


cdef inline bint choose_pivots(Noisy* p, Changes* c) noexcept nogil:
    """The first p entries of ``row``: rows of D R that determine z best, by Gram-Schmidt with
    pivots. False where they do not.
    """
    cdef Py_ssize_t m = p.m, q = c.p, i, k, a, best
    cdef double* work = c.work
    cdef double total, largest, first = 0.0
    for i in range(m):
        total = size_of(p, c, i)
        for a in range(q):
            work[i * q + a] = total * c.whole[i * q + a]
    for k in range(q):
        best, largest = 0, -1.0
        for i in range(m):
            total = dot(q, work + i * q, work + i * q)
            if total > largest:
                best, largest = i, total
        first = max(first, largest)
        if not largest > ZERO_ENTRY * ZERO_ENTRY * first:
            return False
        c.row[k] = best
        for a in range(q):
            c.z[a] = work[best * q + a] / largest
            c.gain[a] = work[best * q + a]
        for i in range(m):
            add_one(q, -dot(q, work + i * q, c.gain), c.z, work + i * q)
        for a in range(q):
            work[best * q + a] = 0.0             # not rounding errors
    return True


cdef inline bint choose_rows(Noisy* p, Changes* c) noexcept nogil:
    """``row``: the pivots, then the rows of largest D; ``size`` and ``light``. Among many rows
    those whose sign may change alone come first. False where D R does not determine z.
    """
    cdef Py_ssize_t m = p.m, i, k, best
    cdef double* key = p.root                    # one number of each vector
    if not choose_pivots(p, c):
        return False
    for i in range(m):
        key[i * LANES] = size_of(p, c, i)
        if m > c.count and p.sigma[i * LANES] > 0.5:
            key[i * LANES] = INFINITY
    for k in range(c.count):
        best = c.row[k]
        if k >= c.p:
            best = 0
            for i in range(m):
                if key[i * LANES] > key[best * LANES]:
                    best = i
        c.row[k] = best
        c.size[k] = size_of(p, c, best)
        c.light[k] = info(p, c, best) < 1.0
        key[best * LANES] = -1.0
    return True


cdef inline double gain_of(Changes* c, const double* row) noexcept nogil:
    """``gain`` <- inverse row; rowᵀ inverse row."""
    cdef Py_ssize_t a, q = c.p
    for a in range(q):
        c.gain[a] = dot(q, c.inverse + a * q, row)
    return dot(q, row, c.gain)


cdef inline bint relative_rows(const Noisy* p, Changes* c) noexcept nogil:
    """``whole`` and ``lower``; False where they are not defined."""
    cdef Py_ssize_t m = p.m, r = p.r, q = c.p, i, a, b
    cdef double total
    for i in range(m):
        for a in range(r):
            c.whole[i * q + a] = p.matrix[i * r + a] / c.half[i]
        c.whole[i * q + r] = 1.0
    for a in range(r):
        for b in range(a + 1):
            total = 0.0
            for i in range(m):
                total += c.whole[i * q + a] * c.whole[i * q + b]
            c.lower[a * r + b] = total
    if not cholesky(r, c.lower) > 0.0:
        return False
    for i in range(m):
        for a in range(r):
            for b in range(a):
                c.whole[i * q + a] -= c.lower[a * r + b] * c.whole[i * q + b]
            c.whole[i * q + a] *= c.lower[a * r + a]
    return True


cdef inline bint prepare_changes(Noisy* p, Changes* c, const double* y) noexcept nogil:
    """Everything that does not depend on signs; False where the linear model is singular."""
    cdef Py_ssize_t q = c.p, j, k, a, b, l
    cdef double[LANES] misfit
    cdef double* row
    cdef double total, factor
    for k in range(p.r):
        for l in range(LANES):
            p.point[k * LANES + l] = y[k]
    evaluate_lanes(p, p.point, misfit, INFINITY)
    c.found, c.known, c.solution, c.fit = 0, cell_at(p, y), y, misfit[0]
    if (not misfit[0] < INFINITY or c.count < q or not relative_rows(p, c)
            or not choose_rows(p, c)):
        return False
    for k in range(c.count):
        for a in range(q):
            c.relative[k * q + a] = c.whole[c.row[k] * q + a]
    for a in range(q):
        for b in range(a + 1):
            total = 0.0
            for k in range(q):
                total += (c.size[k] ** 2 * c.relative[k * q + a] * c.relative[k * q + b])
            c.factor[a * q + b] = total
    if not cholesky(q, c.factor) > 0.0:
        return False
    for a in range(q):
        for b in range(q):
            c.inverse[a * q + b] = a == b
        solve(q, c.factor, c.inverse + a * q)
    for k in range(q, c.count):
        row, factor = c.relative + k * q, c.size[k]
        total = 1.0 + factor * factor * gain_of(c, row)
        if not total < INFINITY:
            return False
        for j in range(k):
            c.form[k * c.count + j] = (-2.0 * factor * c.size[j] ** 2 / sqrt(total)
                                       * dot(q, c.relative + j * q, c.gain))
        c.form[k * c.count + k] = 2.0 * factor / sqrt(total)
        for a in range(q):
            for b in range(q):
                c.inverse[a * q + b] -= factor * factor / total * c.gain[a] * c.gain[b]
    return True


cdef inline uint64_t cell_at(const Noisy* p, const double* y) noexcept nogil:
    """The number of y's cell, as ``cell_of`` counts them."""
    cdef Py_ssize_t i
    cdef uint64_t total = 0
    for i in range(p.m):
        if dot(p.r, p.matrix + i * p.r, y) > p.offset[i] + p.mode:
            total += number_of(i)
    return total


cdef inline bint least_squares(Changes* c, double target) noexcept nogil:
    """``z`` with the signs ``change``; whether R z has them but in light rows. Least squares may
    leave a sign as it is at y. Then z moves, in the metric of ``inverse``, until the row is at
    ``target`` beyond zero, and others that this moves across zero are moved back.
    """
    cdef Py_ssize_t q = c.p, k, a, _turn
    cdef double sign, along, factor
    cdef bint moved = True
    for a in range(q):
        c.gain[a] = 0.0
    for k in range(c.count):
        factor = c.size[k] ** 2 * (1.0 - 2.0 * c.change[k])
        for a in range(q):
            c.gain[a] += factor * c.relative[k * q + a]
    for a in range(q):
        c.z[a] = dot(q, c.inverse + a * q, c.gain)
    for _turn in range(4):
        moved = False
        for k in range(c.count):
            sign = 1.0 - 2.0 * c.change[k]
            along = dot(q, c.relative + k * q, c.z)
            if c.light[k] == 0.0 and sign * along < FAR_FROM_LIMIT:
                moved = True
                factor = gain_of(c, c.relative + k * q)
                for a in range(q):
                    c.z[a] += (sign * target - along) / factor * c.gain[a]
        if not moved:
            break
    return not moved


cdef inline bint add_start(const Noisy* p, Changes* c, double cost) noexcept nogil:
    """The y' with the signs ``change``, of linear χ² ``cost``; False where there is no room. Of two
    starts in a cell, that of the smaller cost stays: a y' may miss the signs that it is meant for.
    """
    cdef Py_ssize_t r = p.r, k, a, _part, place
    cdef double* y = c.z
    cdef double target = 1.0
    cdef uint64_t cell
    cdef bint reached = False, finite
    for _part in range(3):
        if reached:
            break
        reached = least_squares(c, target)
        target *= 0.1
        if c.found == CAPACITY:
            return False
        place, finite = c.found, True
        back(r, c.lower, y)
        for a in range(r):
            y[a] = c.solution[a] + y[a] / c.z[r]
            finite = finite and fabs(y[a]) < INFINITY
        cell = cell_at(p, y)
        for k in range(c.found):
            if c.cell[k] == cell:
                place = k
        if (finite and cell != c.known
                and (place == c.found or cost < c.misfit[place])):
            for a in range(r):
                c.y[place * r + a] = y[a]
            c.cell[place], c.misfit[place] = cell, cost
            c.found += place == c.found
    return True


cdef inline bint all_changes(const Noisy* p, Changes* c, double limit) noexcept nogil:
    """Starts for all signs of linear χ² up to LINEAR_MARGIN ``limit``; False where they are too
    many, or too many steps lead to them. The sign of the first row is kept: -t belongs to -z.
    """
    cdef Py_ssize_t count = c.count, k = 1, i, steps = 0
    cdef double base, keep, turn
    cdef bint any_change
    if (<Py_ssize_t> 1 << min(c.p - 1, 60)) > CHANGE_STEPS:
        return False
    c.cost[0] = c.cost[1] = c.change[0] = 0.0
    while True:
        steps += 1
        if steps > CHANGE_STEPS:
            return False
        if k == count:
            any_change = False
            for i in range(count):
                any_change = any_change or c.change[i] != 0.0
            if any_change and not add_start(p, c, c.cost[count]):
                return False
        elif k < c.p:
            c.change[k], c.other[k], c.cost[k + 1] = 0.0, c.cost[k], c.cost[k]
            k += 1
            continue
        else:
            base = dot(k, c.form + k * count, c.change)
            keep = c.cost[k] + base * base
            turn = c.cost[k] + (base + c.form[k * count + k]) ** 2
            c.change[k] = turn < keep
            c.other[k] = INFINITY if c.light[k] != 0.0 else max(turn, keep)
            c.cost[k + 1] = min(turn, keep)
            if c.cost[k + 1] <= LINEAR_MARGIN * limit:
                k += 1
                continue
            k += 1                               # and back
        k -= 1
        while k > 0 and not c.other[k] <= LINEAR_MARGIN * limit:
            k -= 1
        if k == 0:
            return True
        c.change[k] = 1.0 - c.change[k]
        c.cost[k + 1], c.other[k] = c.other[k], INFINITY
        k += 1


cdef inline void few_changes(const Noisy* p, Changes* c, double limit) noexcept nogil:
    """Starts for the STARTS changes of one or two signs of least linear χ²."""
    cdef Py_ssize_t count = c.count, i, j, k, worst = 0, kept = 0
    cdef double[STARTS] cost
    cdef Py_ssize_t[STARTS] first
    cdef Py_ssize_t[STARTS] second
    cdef double total
    c.found = 0
    for i in range(count * count):
        c.normal[i] = 0.0
    for k in range(c.p, count):
        for i in range(k + 1):
            add_one(i + 1, c.form[k * count + i], c.form + k * count, c.normal + i * count)
    for i in range(count):
        for j in range(i + 1):
            total = c.normal[i * count + i]
            if i != j:
                total += c.normal[j * count + j] + 2.0 * c.normal[i * count + j]
            if (c.light[i] != 0.0 or c.light[j] != 0.0 or not total < limit / FAR_FROM_LIMIT
                    or (kept == STARTS and not total < cost[worst])):
                continue
            if kept < STARTS:
                worst = kept
                kept += 1
            cost[worst], first[worst], second[worst] = total, i, j
            for k in range(kept):
                if cost[k] > cost[worst]:
                    worst = k
    for i in range(count):
        c.change[i] = 0.0
    for k in range(kept):
        c.change[first[k]] = c.change[second[k]] = 1.0
        add_start(p, c, cost[k])
        c.change[first[k]] = c.change[second[k]] = 0.0


cdef inline void keep_best(Noisy* p, Changes* c, Py_ssize_t most) noexcept nogil:
    """Keep the starts of smallest χ², at most so many."""
    cdef Py_ssize_t r = p.r, first, l, k, a, best
    cdef double[LANES] misfit
    for first in range(0, c.found, 8):                   # LANES
        for l in range(LANES):
            for a in range(r):
                p.point[a * LANES + l] = c.y[min(first + l, c.found - 1) * r + a]
        evaluate_lanes(p, p.point, misfit, INFINITY)
        for l in range(min(LANES, c.found - first)):
            c.misfit[first + l] = misfit[l]
    for k in range(min(most, c.found)):
        best = k
        for l in range(k + 1, c.found):
            if c.misfit[l] < c.misfit[best]:
                best = l
        c.misfit[k], c.misfit[best] = c.misfit[best], c.misfit[k]
        for a in range(r):
            c.y[k * r + a], c.y[best * r + a] = c.y[best * r + a], c.y[k * r + a]
    c.found = min(most, c.found)


cdef inline void set_halves_of_power(const Noisy* p, Changes* c, const double* y,
                                     double q) noexcept nogil:
    """``half`` and ``rate`` at y, for a power with this q."""
    cdef Py_ssize_t i
    for i in range(p.m):
        c.half[i] = dot(p.r, p.matrix + i * p.r, y) - p.offset[i]
        c.rate[i] = fabs(q)


cdef enum:
    UNDEFINED                       # the linear model is singular
    SOME                            # changes of one and two signs were tried
    ALL                             # all sign vectors within reach


cdef inline int find_changes(Noisy* p, Changes* c, const double* y, double limit) noexcept nogil:
    """Starts in other cells than that of y, and how many sign vectors were tried for them."""
    if not prepare_changes(p, c, y):
        return UNDEFINED
    if all_changes(p, c, limit):
        return ALL
    few_changes(p, c, limit)
    if p.m * p.m * p.r > PASS_ENTRIES:           # a descent is long
        keep_best(p, c, PATIENCE // 2)
    return SOME
