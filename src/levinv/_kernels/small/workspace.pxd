"""The workspace of one problem, allocated once for all problems of a call and divided by stage.

A part belongs to one stage: only the functions of that stage write to it, later stages read its
results. Any function may use ``Scratch`` during its call, but no result is kept there. A row of
``width`` numbers is padded with zeros, and every function leaves the padding zero.
"""
from libc.math cimport INFINITY
from libc.stdint cimport uint64_t, uintptr_t

from kernel_settings cimport BRANCH_STARTS, SIGN_RANK
from levinv._kernels.small.algebra cimport LANES, whole_vectors
from levinv._kernels.small.sides cimport room


cdef struct Basis:                  # of range(A); kept while problems share A
    double* row_scale               # 1/|a_i|
    double* coefficients            # (A A_basis⁻¹)ᵀ, d x width
    Py_ssize_t* pivot_rows          # the d rows of A_basis
    uint64_t* pattern               # for each row, bit k: coefficient k is not zero
    double* rows                    # U, d x width; q follows: [U; q] is (d + 1) x width
    double* transform               # E with U = E Aᵀ diag(row_scale), d x width_d
    double* lengths                 # |u_i|²


cdef struct Response:
    double* outside                 # q: the part of b outside range(A), of norm 1
    double* inside                  # U b
    double norm                     # of q before scaling to norm 1
    double* level                   # U h, h of norm 1: changes all predictors by the same amount,
    double length                   # this
    bint free                       # h is in range(A), and the weighting exponential
    bint mirrored                   # b = 0 and even weights: -x is a solution, too


cdef struct Weighting:              # see small/weightings
    int kind
    double parameter
    double mode
    const double* table             # logarithms of the branches' distances from the mode, 2 x nodes
    Py_ssize_t nodes
    double spacing                  # of the logarithms of the gap, from that of LEAST_GAP on
    double* unit                    # of the slack: a row's predictor is unit slack
    double* log_prior


cdef struct Scores:
    double* given
    double* target                  # strictly inside (0, 1), with the sum d
    double* odds                    # c / (1 - c) of the targets c
    double* inverse_margin          # 1 / min(c, 1 - c)
    double* inverse_noise           # 1 / standard deviation of each score
    double* accuracy                # relative, of the magnitudes; negative: the row takes no part


cdef struct Projection:             # at some row scales
    double* rows                    # V, d x width: orthonormal rows, V = T U diag(row scales)
    double* transform               # T, lower triangular, d x d
    double* scores                  # sigma
    double* residual                # sigma - target in stage 1, sigma - given in stage 4


cdef struct Magnitudes:             # stage 1
    double* weight
    double* last_weight
    double* step
    double* direction
    double* image
    double* remainder
    double* inverse_degree
    double* magnitude               # the result: weight^(-1/2)


cdef struct Signs:                  # stage 2
    double* rows                    # isotropic: all columns of [U; q] of about the same leverage
    double* factor                  # its Cholesky factor, (d + 1) x (d + 1)
    double* weight                  # row weights that make it isotropic
    double* aim                     # weight∘magnitude, of norm 1
    double* point
    double* projected
    double* signed
    double* sign                    # the result
    double* memory                  # for the enumeration of all sign vectors
    uint64_t* found


cdef struct Levels:                 # stages 2 and 3 of weightings that are not powers
    double* log_weight              # t
    double* fall                    # its distance from the largest
    double highest                  # the largest
    double likeliest                # gap between the largest and the peak
    double enough                   # sum of squares of a residual that fits
    double* weight                  # of the rows
    double* half                    # distance of the branches, in units of the slack
    double* middle                  # of the branches, q added
    double* outside                 # its part outside range(A), of norm 1
    Py_ssize_t count                # rows of [U; outside], without the latter if it is 0
    bint usable                     # whether they are regular
    double* wanted
    double* slope                   # derivative of τ
    double* residual
    double* rows                    # Jacobian, (d + 1) x width
    double* normal
    double* factor
    double* gradient
    double* z                       # the result: y and the level
    double* trial


cdef struct Recovery:               # stage 3
    double* weight                  # 1 in the row of the most accurate magnitude
    double* inverse                 # weight / magnitude
    double* signed
    double* data
    double* outside
    double* y                       # the result: slack = Uᵀ y - q; stage 4 improves it


cdef struct Refinement:             # stage 4
    double* slack                   # in units of |q|, of rows at unit norm
    double* slope                   # what rows of V are multiplied by: half the derivative of -t
    double* trial                   # the next y
    double* signed
    double* jacobian                # of the whitened residual in coordinates T⁻ᵀ y, d x width
    double* transform               # T where the Jacobian was made
    double* normal                  # J Jᵀ of these rows
    double* factor
    double* level                   # T times ``response.level``, T as above
    double largest                  # max |sigma - c|
    double hopeless                 # if finite, steps change no sign, and they end where the linear
                                    # model leaves a larger sum of squares


cdef struct Scratch:
    double* row                     # ``work`` of the algebra, and results that are used at once
    double* image                   # a second array like ``row``
    double* coordinates             # d + 1
    double* vector                  # d + 1
    double* gram                    # (d + 1) x (d + 1)
    double* form


cdef struct Workspace:
    Py_ssize_t n, d, width, width_d           # n and d padded to whole vectors
    Basis basis
    Response response
    Weighting weighting
    Scores scores
    Projection projection
    Magnitudes magnitudes
    Signs signs
    Levels levels
    Recovery recovery
    Refinement refinement
    Scratch scratch
    uint64_t random_state
    int iterations
    double* memory
    Py_ssize_t used                           # doubles of the memory


cdef inline double* take(Workspace* s, Py_ssize_t size) noexcept nogil:
    """The next ``size`` numbers of the memory, in whole vectors; NULL while only the total is asked
    for.
    """
    cdef double* part = NULL if s.memory == NULL else s.memory + s.used
    s.used += whole_vectors(size)
    return part


cdef inline Py_ssize_t lay_out(Workspace* s, Py_ssize_t n, Py_ssize_t d,
                               double* memory) noexcept nogil:
    """Divide ``memory`` into the parts, from its first whole cache line on; NULL: only count.
    Returns the number of doubles needed.
    """
    cdef Py_ssize_t p = d + 1, width = whole_vectors(n), line = LANES * sizeof(double)
    cdef Py_ssize_t enumeration = room(p, n, BRANCH_STARTS) if p <= SIGN_RANK else 0
    if memory != NULL:
        memory += (line - <uintptr_t> memory % line) % line // sizeof(double)
    s.n, s.d, s.width, s.width_d = n, d, width, whole_vectors(d)
    s.memory, s.used = memory, 0
    s.basis = Basis(row_scale=take(s, n), coefficients=take(s, d * width),
                    pivot_rows=<Py_ssize_t*> take(s, d), pattern=<uint64_t*> take(s, n),
                    rows=take(s, p * width), transform=take(s, d * s.width_d), lengths=take(s, n))
    s.response.outside = NULL if memory == NULL else s.basis.rows + d * width
    s.response.inside, s.response.level = take(s, d), take(s, d)
    s.weighting.unit, s.weighting.log_prior = take(s, n), take(s, n)
    s.scores = Scores(given=take(s, n), target=take(s, n), odds=take(s, n),
                      inverse_margin=take(s, n), inverse_noise=take(s, n), accuracy=take(s, n))
    s.projection = Projection(rows=take(s, d * width), transform=take(s, d * d),
                              scores=take(s, n), residual=take(s, n))
    s.magnitudes = Magnitudes(weight=take(s, n), last_weight=take(s, n), step=take(s, n),
                              direction=take(s, n), image=take(s, n), remainder=take(s, n),
                              inverse_degree=take(s, n), magnitude=take(s, n))
    s.signs = Signs(rows=take(s, p * width), factor=take(s, p * p), weight=take(s, n),
                    aim=take(s, n), point=take(s, n), projected=take(s, n), signed=take(s, n),
                    sign=take(s, n), memory=take(s, enumeration),
                    found=<uint64_t*> take(s, BRANCH_STARTS))
    s.levels = Levels(log_weight=take(s, n), fall=take(s, n), highest=0.0, likeliest=0.0,
                      enough=0.0, weight=take(s, n), half=take(s, n), middle=take(s, n),
                      outside=take(s, n), count=0, usable=False,
                      wanted=take(s, n), slope=take(s, n), residual=take(s, n),
                      rows=take(s, p * width), normal=take(s, p * p), factor=take(s, p * p),
                      gradient=take(s, p), z=take(s, p), trial=take(s, p))
    s.recovery = Recovery(weight=take(s, n), inverse=take(s, n), signed=take(s, n),
                          data=take(s, n), outside=take(s, n), y=take(s, d))
    s.refinement = Refinement(slack=take(s, n), slope=take(s, n), trial=take(s, d),
                              signed=take(s, n),
                              jacobian=take(s, p * width), transform=take(s, d * d),
                              normal=take(s, d * d), factor=take(s, d * d),
                              level=take(s, d), largest=0.0, hopeless=INFINITY)
    s.scratch = Scratch(row=take(s, n), image=take(s, n), coordinates=take(s, p),
                        vector=take(s, p), gram=take(s, p * p), form=take(s, p * p))
    return s.used + LANES
