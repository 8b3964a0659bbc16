"""Points in all cells between the hyperplanes of zero slack, and descent from starts: the numeric
core of :mod:`levinv.inverse.stages.branches`, where the mathematics stands.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport uint64_t, uintptr_t

from kernel_settings cimport ZERO_ENTRY
from levinv._kernels.small.algebra cimport LANES
from levinv._kernels.small.changes cimport (Changes, changes_needed, divide_changes,
                                            find_changes)
from levinv._kernels.small.descent cimport Descent, descend_all
from levinv._kernels.small.lanes cimport (Noisy, add_scaled, cell_of, divide, doubles_needed,
                                          evaluate_lanes, put)

import numpy as np


cdef struct Best:                   # the cells of smallest χ², unordered
    Py_ssize_t capacity, count, worst
    uint64_t* cell                  # a number for each sign vector
    double* misfit
    double* y                       # r for each


cdef struct Vertex:                 # r rows S that meet in a point
    Py_ssize_t* rows
    double* inverse                 # M_S⁻¹, r x r
    double* square                  # M_S, overwritten
    double* point
    double* slack                   # m, of every row
    double* rates                   # m x r, changes of the slacks along the columns of M_S⁻¹
    double* moves                   # r vectors of signs


cdef object describe(Noisy* p, const double[:, ::1] matrix, const double[::1] offset,
                     const double[::1] scores, const double[::1] weight,
                     const double[::1] log_prior, int kind, const double[::1] parameters):
    """Fill p; the memory that it uses."""
    cdef double[::1] memory
    cdef double* first
    p.m, p.r = matrix.shape[0], matrix.shape[1]
    memory = np.empty(doubles_needed(p.m, p.r))
    p.matrix, p.offset = &matrix[0, 0], &offset[0]
    p.scores, p.weight = &scores[0], &weight[0]
    p.log_prior = NULL
    if log_prior is not None:
        p.log_prior = &log_prior[0]
    p.mode = parameters[1]
    p.weighing.weighting.kind, p.weighing.weighting.parameter = kind, parameters[0]
    p.weighing.weighting.mode = p.mode
    first = &memory[0]
    first += (LANES - <uintptr_t> first // sizeof(double) % LANES) % LANES
    divide(p, first)
    return memory


cdef bint invert_square(Py_ssize_t r, double* square, double* inverse,
                        double* length) noexcept nogil:
    """inverse <- square⁻¹ by elimination; False where rows are dependent. Overwrites ``square`` and
    ``length``, r numbers.
    """
    cdef Py_ssize_t a, b, k, best
    cdef double pivot, factor, determinant = 1.0
    for a in range(r):
        factor = 0.0
        for k in range(r):
            factor += square[a * r + k] ** 2
            inverse[a * r + k] = a == k
        length[a] = sqrt(factor)
    for k in range(r):
        best = k
        for a in range(k + 1, r):
            if fabs(square[a * r + k]) > fabs(square[best * r + k]):
                best = a
        if square[best * r + k] == 0.0:
            return False
        for b in range(r):
            square[k * r + b], square[best * r + b] = square[best * r + b], square[k * r + b]
            inverse[k * r + b], inverse[best * r + b] = inverse[best * r + b], inverse[k * r + b]
        determinant *= fabs(square[k * r + k]) / length[k]        # of rows at norm 1
        pivot = 1.0 / square[k * r + k]
        for b in range(r):
            square[k * r + b] *= pivot
            inverse[k * r + b] *= pivot
        for a in range(r):
            factor = square[a * r + k]
            if a != k and factor != 0.0:
                for b in range(r):
                    square[a * r + b] -= factor * square[k * r + b]
                    inverse[a * r + b] -= factor * inverse[k * r + b]
    return determinant > ZERO_ENTRY


cdef bint go_to_vertex(const Noisy* p, Vertex* v) noexcept nogil:
    """The point where the rows S meet, and how slacks change around it; False without one."""
    cdef Py_ssize_t r = p.r, i, a, k
    cdef double total
    for a in range(r):
        for k in range(r):
            v.square[a * r + k] = p.matrix[v.rows[a] * r + k]
    if not invert_square(r, v.square, v.inverse, v.point):
        return False
    for k in range(r):
        v.point[k] = 0.0
        for a in range(r):
            v.point[k] += v.inverse[k * r + a] * (p.offset[v.rows[a]] + p.mode)
    for i in range(p.m):
        total = -p.offset[i] - p.mode
        for k in range(r):
            total += p.matrix[i * r + k] * v.point[k]
        v.slack[i] = total
        for a in range(r):
            total = 0.0
            for k in range(r):
                total += p.matrix[i * r + k] * v.inverse[k * r + a]
            v.rates[i * r + a] = total
    for a in range(r):
        v.slack[v.rows[a]] = 0.0
    return True


cdef void to_next_hyperplane(const Noisy* p, const Vertex* v, double* ahead) noexcept nogil:
    """How far the moves of LANES sign vectors lead to another hyperplane. Where none is ahead,
    twice as far as the farthest behind.
    """
    cdef Py_ssize_t r = p.r, i, a, l
    cdef double[LANES] rate
    cdef double[LANES] farthest
    cdef double reach, slack
    put(INFINITY, ahead)
    put(0.0, farthest)
    for i in range(p.m):
        slack = v.slack[i]
        if slack == 0.0:
            continue
        put(0.0, rate)
        for a in range(r):
            add_scaled(v.rates[i * r + a], v.moves + a * LANES, rate)
        for l in range(LANES):
            reach = -slack / rate[l]                 # infinite: parallel
            ahead[l] = reach if reach > 0.0 and reach < ahead[l] else ahead[l]
            reach = fabs(reach)
            farthest[l] = reach if reach < INFINITY and reach > farthest[l] else farthest[l]
    for l in range(LANES):
        if ahead[l] == INFINITY:
            ahead[l] = 2.0 * farthest[l]


cdef void keep(const Noisy* p, Best* best, const double* misfit) noexcept nogil:
    """Put the last points evaluated, at ``p.point``, among the best of their cells."""
    cdef Py_ssize_t l, j, k, place
    cdef uint64_t cell
    for l in range(LANES):
        if not (misfit[l] < INFINITY and (best.count < best.capacity
                                          or misfit[l] < best.misfit[best.worst])):
            continue
        cell, place = cell_of(p, l), -1
        for j in range(best.count):
            if best.cell[j] == cell:
                place = j
                break
        if place >= 0 and not misfit[l] < best.misfit[place]:
            continue
        if place < 0:
            place = best.worst
            if best.count < best.capacity:
                place = best.count
                best.count += 1
        best.cell[place], best.misfit[place] = cell, misfit[l]
        for k in range(p.r):
            best.y[place * p.r + k] = p.point[k * LANES + l]
        best.worst = 0
        for j in range(1, best.count):
            if best.misfit[j] > best.misfit[best.worst]:
                best.worst = j


cdef double enough(const Best* best) noexcept nogil:
    """The χ² from which a point is not among the best."""
    return INFINITY if best.count < best.capacity else best.misfit[best.worst]


cdef bint next_rows(Py_ssize_t m, Py_ssize_t r, Py_ssize_t* rows) noexcept nogil:
    """The next r of m rows in order; False after the last."""
    cdef Py_ssize_t a = r - 1, b
    while a >= 0 and rows[a] == m - r + a:
        a -= 1
    if a < 0:
        return False
    rows[a] += 1
    for b in range(a + 1, r):
        rows[b] = rows[b - 1] + 1
    return True


cdef void visit_cells(Noisy* p, Vertex* v, const double[::1] parts, Best* best) noexcept nogil:
    """χ² beside every vertex, in the directions of all cells around it."""
    cdef Py_ssize_t r = p.r, patterns = 1 << r, block, first
    cdef Py_ssize_t filled = 0, a, k, l, j
    cdef double[LANES] ahead
    cdef double[LANES] misfit
    cdef double move
    while True:
        if go_to_vertex(p, v):
            for block in range((patterns + LANES - 1) // LANES):
                first = block * LANES
                for a in range(r):
                    for l in range(LANES):
                        v.moves[a * LANES + l] = 1.0 if ((first + l) >> a) & 1 else -1.0
                to_next_hyperplane(p, v, ahead)
                for l in range(min(LANES, patterns - first)):
                    for j in range(parts.shape[0]):
                        for k in range(r):
                            move = 0.0
                            for a in range(r):
                                move += v.inverse[k * r + a] * v.moves[a * LANES + l]
                            p.point[k * LANES + filled] = v.point[k] + parts[j] * ahead[l] * move
                        filled += 1
                        if filled == LANES:
                            evaluate_lanes(p, p.point, misfit, enough(best))
                            keep(p, best, misfit)
                            filled = 0
        if not next_rows(p.m, r, v.rows):
            break
    if filled:                               # the other lanes hold earlier points
        evaluate_lanes(p, p.point, misfit, enough(best))
        keep(p, best, misfit)


def best_points(const double[:, ::1] matrix, const double[::1] offset, const double[::1] scores,
                const double[::1] weight, const double[::1] log_prior, int kind,
                const double[::1] parameters, const double[::1] parts, Py_ssize_t capacity):
    """The points of smallest χ² in the ``capacity`` best cells.

    Parameters
    ----------
    matrix, offset, scores, weight, log_prior : of a ``NoisyComponent``.
    kind, parameters : the weighting, as for ``many.invert``.
    parts : of the way from a vertex to the next hyperplane, at which points are compared.

    Returns
    -------
    y : (k, r) array, the best cells first. misfit : (k,) array, χ².
    """
    cdef Noisy p
    cdef Vertex v
    cdef Best best
    _memory = describe(&p, matrix, offset, scores, weight, log_prior, kind, parameters)
    cdef Py_ssize_t r = p.r, a
    cdef Py_ssize_t[::1] rows = np.arange(r, dtype=np.intp)
    cdef double[::1] room = np.empty(2 * r * r + r + p.m * (r + 1) + r * LANES)
    y, misfit = np.empty((capacity, r)), np.empty(capacity)
    cdef double[:, ::1] points = y
    cdef double[::1] sizes = misfit
    cdef uint64_t[::1] cells = np.empty(capacity, dtype=np.uint64)
    v.rows, v.inverse = &rows[0], &room[0]
    v.square = v.inverse + r * r
    v.point = v.square + r * r
    v.slack = v.point + r
    v.rates = v.slack + p.m
    v.moves = v.rates + p.m * r
    best.capacity, best.count, best.worst = capacity, 0, 0
    best.cell, best.misfit, best.y = &cells[0], &sizes[0], &points[0, 0]
    with nogil:
        put(0.0, p.point)
        for a in range(r):
            put(0.0, p.point + a * LANES)
        visit_cells(&p, &v, parts, &best)
    order = np.argsort(misfit[:best.count], kind="stable")
    return y[order], misfit[order]


def descend(const double[:, ::1] matrix, const double[::1] offset, const double[::1] scores,
            const double[::1] weight, const double[::1] log_prior, int kind,
            const double[::1] parameters, double[:, ::1] y, double[::1] misfit, double limit,
            double hopeless, bint in_cell):
    """``y`` (k, r) <- where the descent from each row ends, ``misfit`` (k,) <- χ² there.

    The other arguments are those of ``best_points`` and of ``branches.descended``.
    """
    cdef Noisy p
    cdef Descent d
    if not y.shape[0]:
        return
    _memory = describe(&p, matrix, offset, scores, weight, log_prior, kind, parameters)
    d.limit, d.hopeless, d.in_cell = limit, hopeless, in_cell
    with nogil:
        descend_all(&p, &d, &y[0, 0], y.shape[0], &misfit[0])


def sign_changes(const double[:, ::1] matrix, const double[::1] offset, const double[::1] scores,
                 const double[::1] weight, const double[::1] log_prior, int kind,
                 const double[::1] parameters, const double[::1] y, const double[::1] half,
                 const double[::1] rate, double limit):
    """Points in the other cells that the linear model at a solution y allows.

    The other arguments are those of ``best_points``; ``limit`` is the largest χ² of a solution,
    ``half`` and ``rate`` are s and q of small/changes.pxd at y, (m,).

    Returns
    -------
    points : (k, r) array. tried : 2 if all sign vectors within reach of the noise were tried, 1 if
    those with one or two signs changed, 0 if the linear model is singular.
    """
    cdef Noisy p
    cdef Changes c
    _memory = describe(&p, matrix, offset, scores, weight, log_prior, kind, parameters)
    cdef double[::1] room = np.empty(changes_needed(p.m, p.r))
    cdef Py_ssize_t i
    cdef int tried
    divide_changes(&c, p.m, p.r, &room[0])
    with nogil:
        for i in range(p.m):
            c.half[i], c.rate[i] = half[i], rate[i]
        tried = find_changes(&p, &c, &y[0], limit)
    return np.array([c.y[i] for i in range(c.found * p.r)]).reshape(-1, p.r), tried


def misfits(const double[:, ::1] matrix, const double[::1] offset, const double[::1] scores,
            const double[::1] weight, const double[::1] log_prior, int kind,
            const double[::1] parameters, const double[:, ::1] y):
    """χ² at each row of y (k, r); inf where the scores are not defined."""
    cdef Noisy p
    _memory = describe(&p, matrix, offset, scores, weight, log_prior, kind, parameters)
    cdef Py_ssize_t count = y.shape[0], first, l, k
    cdef double[LANES] misfit
    out = np.empty(count)
    cdef double[::1] sizes = out
    with nogil:
        for first in range(0, count, 8):                     # LANES
            for l in range(LANES):
                for k in range(p.r):
                    p.point[k * LANES + l] = y[min(first + l, count - 1), k]
            evaluate_lanes(&p, p.point, misfit, INFINITY)
            for l in range(min(LANES, count - first)):
                sizes[first + l] = misfit[l]
    return out
