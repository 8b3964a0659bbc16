from kernel_blas_int cimport blas_int

cdef void gemm(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, double alpha, const double* a,
               Py_ssize_t lda, const double* b, Py_ssize_t ldb, double beta, double* c,
               Py_ssize_t ldc) noexcept nogil
cdef void gemv(bint transpose, Py_ssize_t m, Py_ssize_t n, const double* a, Py_ssize_t lda,
               const double* x, double* y) noexcept nogil
cdef int pstrf(Py_ssize_t n, double* a, Py_ssize_t lda, blas_int* pivots, Py_ssize_t* rank,
               double tolerance, double* work) noexcept nogil
cdef int potrf(Py_ssize_t n, double* a, Py_ssize_t lda) noexcept nogil
cdef int trtri(bint lower, Py_ssize_t n, double* a, Py_ssize_t lda) noexcept nogil
cdef int geqp3(Py_ssize_t m, Py_ssize_t n, double* a, Py_ssize_t lda, blas_int* pivots,
               double* tau, double* work, Py_ssize_t lwork) noexcept nogil
cdef int orgqr(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, double* a, Py_ssize_t lda,
               const double* tau, double* work, Py_ssize_t lwork) noexcept nogil
