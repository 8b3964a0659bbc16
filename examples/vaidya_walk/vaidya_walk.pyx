# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The Vaidya walk in the polytope A x > b, without a return to Python between the steps.

Chen, Dwivedi, Wainwright and Yu, "Fast MCMC sampling algorithms on polytopes", JMLR 19 (2018). At
x, with slack s and leverage scores σ, the proposal is normal about x with covariance h² V⁻¹,
V = Aᵀ diag((σ + d/n) / s²) A; h = radius / (n d)^(1/4).
"""
from libc.math cimport exp, log, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from levinv cimport cython_api


cdef bint factor_at(Py_ssize_t n, Py_ssize_t d, const double* A, const double* b, const double* x,
                    double* factor, double* slack, double* scores, double* memory) noexcept nogil:
    """factor <- T, upper triangular, with V⁻¹ = T Tᵀ at x; whether x is inside."""
    cdef Py_ssize_t i, j
    for i in range(n):
        slack[i] = -b[i]
        for j in range(d):
            slack[i] += A[i * d + j] * x[j]
        if slack[i] <= 0.0:
            return False
    if cython_api.scores(n, d, A, slack, scores, memory) > cython_api.ILL_CONDITIONED:
        return False
    for i in range(n):
        slack[i] = slack[i] / sqrt(scores[i] + <double> d / n)
    return (cython_api.gram_factor(n, d, A, slack, factor, memory)
            <= cython_api.ILL_CONDITIONED)


def walk(const double[:, ::1] A, const double[::1] b, const double[::1] start, double radius,
         const double[:, ::1] normals, const double[::1] uniforms, double[:, ::1] path):
    """path[t] <- the point after step t, from standard normals (steps, d) and uniforms (steps,).
    Returns the number of steps that were accepted.
    """
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], steps = path.shape[0], accepted = 0, t, i, j
    cdef Py_ssize_t size = cython_api.memory_size(n, d)
    cdef double* memory = <double*> malloc((size + 2 * n + 2 * d * d + 3 * d) * sizeof(double))
    if memory == NULL:
        raise MemoryError
    cdef double* slack = memory + size
    cdef double* scores = slack + n
    cdef double* here = scores + n                 # the factors at x and at the proposal
    cdef double* there = here + d * d
    cdef double* x = there + d * d
    cdef double* proposal = x + d
    cdef double* back = proposal + d
    cdef double h = radius / sqrt(sqrt(<double> n * d)), logarithm, forth_length, back_length
    with nogil:
        for j in range(d):
            x[j] = start[j]
        if factor_at(n, d, &A[0, 0], &b[0], x, here, slack, scores, memory):
            for t in range(steps):
                forth_length = back_length = logarithm = 0.0
                for i in range(d):
                    proposal[i] = x[i]
                    for j in range(i, d):
                        proposal[i] += h * here[i * d + j] * normals[t, j]
                    back[i] = (x[i] - proposal[i]) / h
                    forth_length += normals[t, i] * normals[t, i]
                if factor_at(n, d, &A[0, 0], &b[0], proposal, there, slack, scores, memory):
                    for i in range(d - 1, -1, -1):       # back <- T⁻¹ (x - proposal) / h
                        for j in range(i + 1, d):
                            back[i] -= there[i * d + j] * back[j]
                        back[i] = back[i] / there[i * d + i]
                        back_length += back[i] * back[i]
                        logarithm += log(here[i * d + i] / there[i * d + i])
                    if uniforms[t] < exp(logarithm + 0.5 * (forth_length - back_length)):
                        accepted += 1
                        memcpy(x, proposal, d * sizeof(double))
                        memcpy(here, there, d * d * sizeof(double))
                for j in range(d):
                    path[t, j] = x[j]
        else:
            accepted = -1
    free(memory)
    if accepted < 0:
        raise ValueError("start must be inside of the polytope")
    return accepted
