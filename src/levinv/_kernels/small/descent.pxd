"""Levenberg-Marquardt on χ² of a component from many starts
(levinv.inverse.stages.branches.descended).
"""
from libc.math cimport INFINITY

from kernel_settings cimport FAR_FROM_LIMIT, LEAST_DAMPING, PATIENCE, PREDICTED_DECREASE
from levinv._kernels.small.algebra cimport LANES
from levinv._kernels.small.lanes cimport (Noisy, add_scaled, evaluate_lanes, factorise_lanes,
                                          linearise_lanes, put, set_metric, solve_lanes)


cdef struct Descent:
    bint in_cell
    double limit, hopeless
    Py_ssize_t[LANES] start         # in each lane, -1: none
    int[LANES] steps
    double[LANES] damping
    bint[LANES] cut                 # the last step was shortened to stay in the cell


cdef inline void propose(Noisy* p, Descent* d, double* predicted) noexcept nogil:
    """``moved`` <- the points after a step from ``point``; the decrease that the model predicts."""
    cdef Py_ssize_t r = p.r, i, a, k, l
    cdef double[LANES] change
    cdef double[LANES] room
    linearise_lanes(p)
    set_metric(p, d.in_cell)
    for a in range(r * r):
        for l in range(LANES):
            p.factor[a * LANES + l] = (p.normal[a * LANES + l] + d.damping[l] * p.work[l]
                                       * p.metric[a * LANES + l])
    factorise_lanes(r, p.factor)
    for a in range(r * LANES):
        p.move[a] = -p.gradient[a]
    solve_lanes(r, p.factor, p.move)
    put(0.0, predicted)
    put(INFINITY, room)
    for k in range(r):
        for l in range(LANES):
            predicted[l] -= p.gradient[k * LANES + l] * p.move[k * LANES + l]
    for i in range(p.m if d.in_cell else 0):
        put(0.0, change)
        for k in range(r):
            add_scaled(p.matrix[i * r + k], p.move + k * LANES, change)
        for l in range(LANES):
            change[l] = (p.mode - p.eta[i * LANES + l]) / change[l]
            room[l] = change[l] if change[l] > 0.0 and change[l] < room[l] else room[l]
    for l in range(LANES):
        d.cut[l] = 0.9 * room[l] < 1.0
        room[l] = min(1.0, 0.9 * room[l])
    for k in range(r):
        for l in range(LANES):
            p.moved[k * LANES + l] = (p.point[k * LANES + l] + room[l] * p.move[k * LANES + l])


cdef inline bint ended(Descent* d, Py_ssize_t l, double before, double after,
                       double predicted) noexcept nogil:
    """Whether the iteration in a lane is over; adapts its damping."""
    cdef bint better = after < before, settled
    settled = predicted <= before * (FAR_FROM_LIMIT if before > d.limit / FAR_FROM_LIMIT
                                     else PREDICTED_DECREASE)
    settled = better and (settled or (after <= d.limit and before - after <= FAR_FROM_LIMIT))
    if better and not d.cut[l]:
        d.damping[l] *= 0.1
    else:
        d.damping[l] = max(10.0 * d.damping[l], LEAST_DAMPING)
    d.steps[l] += 1
    return (settled or before - predicted > d.hopeless or d.damping[l] > 1.0 / LEAST_DAMPING
            or d.steps[l] == 2 * PATIENCE)


cdef inline Py_ssize_t fill(Noisy* p, Descent* d, const double* y, Py_ssize_t count,
                            Py_ssize_t next) noexcept nogil:
    """Put the next starts into free lanes; the first that is left."""
    cdef Py_ssize_t l, k
    for l in range(LANES):
        if d.start[l] < 0 and next < count:
            d.start[l], d.steps[l], d.damping[l] = next, 0, LEAST_DAMPING
            for k in range(p.r):
                p.point[k * LANES + l] = y[next * p.r + k]
            next += 1
    return next


cdef inline void descend_all(Noisy* p, Descent* d, double* y, Py_ssize_t count,
                             double* misfit) noexcept nogil:
    """Levenberg-Marquardt from each of ``count`` starts, LANES of them at a time: y and ``misfit``
    <- where they end and χ² there.
    """
    cdef Py_ssize_t r = p.r, l, k, next = 0
    cdef double[LANES] before
    cdef double[LANES] after
    cdef double[LANES] predicted
    cdef bint working = True
    for l in range(LANES):
        d.start[l] = -1
        d.damping[l] = LEAST_DAMPING
        for k in range(r):
            p.point[k * LANES + l] = y[k]
    while working:
        next = fill(p, d, y, count, next)
        evaluate_lanes(p, p.point, before, INFINITY)
        propose(p, d, predicted)
        evaluate_lanes(p, p.moved, after, INFINITY)
        working = False
        for l in range(LANES):
            if d.start[l] < 0:
                continue
            misfit[d.start[l]] = before[l]
            if after[l] < before[l]:
                misfit[d.start[l]] = after[l]
                for k in range(r):
                    p.point[k * LANES + l] = y[d.start[l] * r + k] = p.moved[k * LANES + l]
            if not before[l] < INFINITY or ended(d, l, before[l], after[l], predicted[l]):
                d.start[l] = -1
            else:
                working = True
        working = working or next < count
