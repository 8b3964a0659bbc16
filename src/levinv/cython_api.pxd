# Leverage scores, their derivatives and the volumetric barrier for other compiled code:
#
#     from levinv cimport cython_api
#
# A is row-major, n rows of d entries, of full column rank; slack holds n numbers. ``memory``,
# doubles that the caller provides, holds a point: what ``scores`` finds at a slack, and room for
# the calculations. No function allocates, raises, checks its arguments or needs the GIL; threads
# may run with a memory each.

cdef enum:                        # what is returned
    ACCURATE = 0                  # errors of at most 100 ε κ: κ is the condition number of
                                  # diag(1/slack) A with columns at unit norm
    ILL_CONDITIONED = 1           # κ is beyond 64: errors of the order ε κ², which is at most 0.01
    NO_FACTOR = 2                 # no Cholesky factor in double precision: the result is useless
    BAD_SLACK = 3                 # a slack is zero or not finite: the result is useless


# Doubles in a memory, for all functions but barrier_hessian; for that one, too.
cdef Py_ssize_t memory_size(Py_ssize_t n, Py_ssize_t d) noexcept nogil
cdef Py_ssize_t hessian_size(Py_ssize_t n, Py_ssize_t d) noexcept nogil

# Leverage scores of diag(1/slack) A, (n,): the point of the functions below.
cdef int scores(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack, double* out,
                double* memory) noexcept nogil

# At the point that the memory holds, with the same A and slack = A x - b:
# J v, (n,), and Jᵀ y, (d,), for the Jacobian J of the scores as a function of x
cdef void jvp(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack, const double* v,
              double* out, double* memory) noexcept nogil
cdef void vjp(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack, const double* y,
              double* out, double* memory) noexcept nogil
# ½ log det(Aᵀ diag(slack)⁻² A), its gradient (d,) and its Hessian (d, d). The Hessian is not
# computed (NO_FACTOR) if its squares are beyond the range of doubles.
cdef double barrier(Py_ssize_t n, Py_ssize_t d, const double* memory) noexcept nogil
cdef void barrier_gradient(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack,
                           double* out, const double* memory) noexcept nogil
cdef int barrier_hessian(Py_ssize_t n, Py_ssize_t d, const double* A, const double* slack,
                         double* out, double* memory) noexcept nogil

# T (d, d), upper triangular, with Tᵀ (Aᵀ diag(magnitude)⁻² A) T = I for n positive magnitudes. The
# memory keeps its point.
cdef int gram_factor(Py_ssize_t n, Py_ssize_t d, const double* A, const double* magnitude,
                     double* out, double* memory) noexcept nogil
