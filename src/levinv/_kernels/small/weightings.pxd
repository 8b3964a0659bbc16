"""The log weight τ of a row and its derivative, as functions of the linear predictor η
(levinv.weighting), and the two branches of the inverse of one with a peak.

The kinds are numbered as in ``levinv.inverse.invert_many.COMPILED``. The parameter is q of |η|^-q,
the rate of exp(rate η), and -1 for the mirror image of cloglog.
"""
from libc.math cimport (INFINITY, M_PI, atan, atan2, copysign, erfc, exp, expm1, fabs, log, log1p,
                        sqrt)

from kernel_settings cimport (BRANCH_STEPS, LEAST_GAP, SIGN_TOLERANCE, SMALL_ARGUMENT, TINY,
                              WEIGHT_RANGE)
from levinv._kernels.small.workspace cimport Workspace

cdef enum:
    INVERSE_SQUARE
    POWER
    EXPONENTIAL
    LOGIT
    PROBIT
    CLOGLOG
    CAUCHIT


cdef inline bint is_power(const Workspace* s) noexcept nogil:
    """Whether scores determine the slack's magnitudes up to a common factor."""
    return s.weighting.kind <= POWER


cdef inline bint has_peak(const Workspace* s) noexcept nogil:
    """Whether a log weight has two predictors, at two sides of the mode."""
    return s.weighting.kind >= LOGIT


cdef inline bint is_even(const Workspace* s) noexcept nogil:
    """Whether η and -η have the same weight."""
    return is_power(s) or (has_peak(s) and s.weighting.kind != CLOGLOG)


cdef inline double probit(double eta, double* slope) noexcept nogil:
    """-η² - log 2π - log Φ(η) Φ(-η), in the first terms where the tail underflows."""
    cdef double tail = 0.5 * erfc(fabs(eta) / sqrt(2.0)), density
    density = exp(-0.5 * eta * eta) / sqrt(2.0 * M_PI)
    if tail < TINY or density < TINY:
        slope[0] = 1.0 / eta - eta
        return -0.5 * eta * eta + log(fabs(eta)) - 0.5 * log(2.0 * M_PI)
    slope[0] = -2.0 * eta
    slope[0] += copysign(density * (1.0 - 2.0 * tail) / (tail * (1.0 - tail)), eta)
    return -eta * eta - log(2.0 * M_PI) - log(tail) - log1p(-tail)


cdef inline double cloglog(double eta, double* slope) noexcept nogil:
    """2η - u - log(1 - exp(-u)), u = exp(η)."""
    cdef double u = exp(eta), mean, rest
    if u < SMALL_ARGUMENT:
        mean = eta - 0.5 * u + u * u / 24.0
        rest = 1.0 - 0.5 * u + u * u / 12.0
    elif u < INFINITY:
        mean = log(-expm1(-u))
        rest = u / expm1(u)
    else:
        return -INFINITY
    slope[0] = 2.0 - u - rest
    return 2.0 * eta - u - mean


cdef inline double cauchit(double eta, double* slope) noexcept nogil:
    """-2 log(1 + η²) - log π μ - log π (1 - μ)."""
    cdef double size = fabs(eta), small = atan2(1.0, size), density = 1.0 / (1.0 + eta * eta)
    cdef double product = small * (M_PI - small)
    slope[0] = copysign(1.0, eta) * density * (2.0 * atan(size) / product - 4.0 * size)
    return 2.0 * log(density) - log(product)


cdef inline double weigh(const Workspace* s, double eta, double* slope) noexcept nogil:
    """τ at η, up to a constant, and its derivative."""
    cdef int kind = s.weighting.kind
    cdef double parameter = s.weighting.parameter, e, value
    if kind == LOGIT:
        e = expm1(-fabs(eta))
        slope[0] = copysign(1.0, eta) * e / (2.0 + e)
        return -fabs(eta) - 2.0 * log1p(1.0 + e)
    if kind == PROBIT:
        return probit(eta, slope)
    if kind == CLOGLOG:
        value = cloglog(parameter * eta, slope)
        slope[0] *= parameter
        return value
    if kind == CAUCHIT:
        return cauchit(eta, slope)
    if kind == EXPONENTIAL:
        slope[0] = parameter
        return parameter * eta
    slope[0] = -parameter / eta
    return -parameter * log(fabs(eta))


cdef inline bint weigh_rows(Workspace* s, const double* slack, double* scale,
                            double* slope) noexcept nogil:
    """The scales of the rows at unit norm at this slack, the largest root of a weight being 1, and
    by what rows of the scaled basis are multiplied in half the derivative of the log weights, with
    the other sign. False where a weight is infinite or none is above zero.
    """
    cdef Py_ssize_t n = s.n, i
    cdef double top = -INFINITY, value
    for i in range(n):
        value = weigh(s, s.weighting.unit[i] * slack[i], &slope[i]) + s.weighting.log_prior[i]
        top = max(top, value)
        scale[i] = value
    if not -INFINITY < top < INFINITY:
        return False
    for i in range(n):
        if not top - scale[i] < 0.5 * WEIGHT_RANGE:
            scale[i] = slope[i] = 0.0            # beside the others the row has no weight
            continue
        scale[i] = exp(0.5 * (scale[i] - top)) / s.basis.row_scale[i]
        slope[i] *= -0.5 * s.weighting.unit[i] / scale[i]
    return True


cdef inline void prepare_weighting(Workspace* s, const double* log_prior) noexcept nogil:
    """Prior weights, and predictors in units of the slack, from the part ``response``."""
    cdef Py_ssize_t i
    for i in range(s.n):
        s.weighting.log_prior[i] = 0.0 if log_prior == NULL else log_prior[i]
        s.weighting.unit[i] = s.response.norm / s.basis.row_scale[i]


cdef inline double log_weight_found(const Workspace* s, Py_ssize_t i) noexcept nogil:
    """τ of a row from the weights of stage 1, up to a constant."""
    return (log(s.magnitudes.weight[i]) + 2.0 * log(s.basis.row_scale[i])
            - s.weighting.log_prior[i])


cdef inline double branch(const Workspace* s, Py_ssize_t side, double gap) noexcept nogil:
    """About the distance from the mode at which τ is ``gap`` below its peak, on the lower (0) or
    upper side: the table's logarithms are interpolated. It starts an iteration on τ.
    """
    cdef Py_ssize_t nodes = s.weighting.nodes, j
    cdef const double* table = s.weighting.table + side * nodes
    cdef double place = min((log(gap) - log(LEAST_GAP)) / s.weighting.spacing, <double> nodes)
    j = min(max(<Py_ssize_t> place, 0), nodes - 2)
    return exp(table[j] + (place - j) * (table[j + 1] - table[j]))


cdef inline double half_distance(const Workspace* s, double eta) noexcept nogil:
    """Half of what η is above the predictor of the same weight on the other side of the mode: by
    Newton's method from the table. 0 if that is not found, or the gap is too small to show it.
    """
    cdef double mode = s.weighting.mode, side = -1.0 if eta > mode else 1.0, slope, value
    cdef double gap = weigh(s, mode, &slope) - weigh(s, eta, &slope), other
    cdef int _
    if not gap > SIGN_TOLERANCE:
        return 0.0
    other = mode + side * branch(s, side > 0.0, gap)
    for _ in range(BRANCH_STEPS):
        value = weigh(s, mode, &slope) - weigh(s, other, &slope) - gap
        other += value / slope
    if not fabs(value) <= SIGN_TOLERANCE * gap:
        return 0.0
    return 0.5 * (eta - other)
