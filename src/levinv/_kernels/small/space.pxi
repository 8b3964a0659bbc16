# One problem: what is known of it, and the room to work in, allocated once for all problems of a
# call. Rows of `width` numbers are filled up with zeros, which every function leaves zero.

cdef double EPS = 2.220446049250313e-16
cdef double ROUNDING = 0.5 * EPS       # relative error of a number stored in double
cdef double HUGE = 1e300


cdef struct Space:
    Py_ssize_t n, d, width, small         # width, small: n, d filled up to full vectors
    double* unit                          # 1/|a_i|
    double* coefficient                   # (A A_basis⁻¹)ᵀ, d x width
    Py_ssize_t* basis                     # d rows of A
    uint64_t* pattern                     # n, nonzeros of each column of coefficient
    double* frame                         # U and q, (d + 1) x width
    double* transform                     # E, d x small
    double* length                        # |u_i|²
    double* centre                        # U b, d
    double norm                           # of q before it was scaled
    double* target                        # scores strictly inside (0, 1), summing to d
    double* scores                        # as given
    double* whiten                        # 1 / deviation of each score
    double* share                         # 1 / min(c, 1 - c)
    double* odds                          # c / (1 - c)
    double* weight
    double* kept
    double* rows                          # V, d x width: orthonormal, diag(weight)^(1/2) U
    double* sigma
    double* residual
    double* step
    double* direction
    double* image
    double* remainder
    double* inverse
    double* work
    double* gram                          # (d + 1) x (d + 1)
    double* kernel
    double* magnitude
    double* sign
    double* accuracy                      # relative, of the magnitudes; < 0: leave the row out
    double* isotropic                     # (d + 1) x width
    double* mixing                        # its Cholesky factor
    double* stretch                       # row weights that make it so
    double* certainty                     # weights of stage 3
    double* aim                           # stretch∘magnitude
    double* point
    double* projected
    double* signed
    double* coordinate                    # d + 1
    double* vector
    double* y
    double* trial
    double* lower                         # T, d x d
    double* lower_then                    # T at the Jacobian
    double* jacobian                      # d x width, and a row to spare
    double* normal                        # JᵀJ
    double* factor
    double* slack
    double worst                          # max |sigma - c|
    uint64_t state                        # of the random generator
    int iterations


cdef Py_ssize_t place(double** pointer, double* base, Py_ssize_t used,
                      Py_ssize_t size) noexcept nogil:
    if base != NULL:
        pointer[0] = base + used
    return used + (size + LANES - 1) // LANES * LANES


cdef Py_ssize_t lay_out(Space* s, Py_ssize_t n, Py_ssize_t d, double* base) noexcept nogil:
    """Point into ``base``, unless it is NULL; returns the number of doubles needed."""
    cdef Py_ssize_t width = (n + LANES - 1) // LANES * LANES
    cdef Py_ssize_t small = (d + LANES - 1) // LANES * LANES
    cdef Py_ssize_t p = d + 1, used = 0
    s.n, s.d, s.width, s.small = n, d, width, small
    used = place(&s.coefficient, base, used, d * width)
    used = place(&s.rows, base, used, d * width)
    used = place(&s.jacobian, base, used, p * width)
    used = place(&s.frame, base, used, p * width)
    used = place(&s.isotropic, base, used, p * width)
    used = place(&s.unit, base, used, width)
    used = place(&s.length, base, used, width)
    used = place(&s.target, base, used, width)
    used = place(&s.scores, base, used, width)
    used = place(&s.whiten, base, used, width)
    used = place(&s.share, base, used, width)
    used = place(&s.odds, base, used, width)
    used = place(&s.weight, base, used, width)
    used = place(&s.kept, base, used, width)
    used = place(&s.sigma, base, used, width)
    used = place(&s.residual, base, used, width)
    used = place(&s.step, base, used, width)
    used = place(&s.direction, base, used, width)
    used = place(&s.image, base, used, width)
    used = place(&s.remainder, base, used, width)
    used = place(&s.inverse, base, used, width)
    used = place(&s.work, base, used, width)
    used = place(&s.magnitude, base, used, width)
    used = place(&s.sign, base, used, width)
    used = place(&s.accuracy, base, used, width)
    used = place(&s.stretch, base, used, width)
    used = place(&s.certainty, base, used, width)
    used = place(&s.aim, base, used, width)
    used = place(&s.point, base, used, width)
    used = place(&s.projected, base, used, width)
    used = place(&s.signed, base, used, width)
    used = place(&s.slack, base, used, width)
    used = place(<double**> &s.pattern, base, used, width)
    used = place(&s.gram, base, used, p * p)
    used = place(&s.kernel, base, used, p * p)
    used = place(&s.mixing, base, used, p * p)
    used = place(&s.lower, base, used, d * d)
    used = place(&s.lower_then, base, used, d * d)
    used = place(&s.normal, base, used, d * d)
    used = place(&s.factor, base, used, d * d)
    used = place(&s.coordinate, base, used, p)
    used = place(&s.vector, base, used, p)
    used = place(&s.y, base, used, p)
    used = place(&s.trial, base, used, p)
    used = place(&s.centre, base, used, p)
    used = place(<double**> &s.basis, base, used, p)
    used = place(&s.transform, base, used, d * small)
    return used
