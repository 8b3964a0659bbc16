"""The only module that calls BLAS and LAPACK, through SciPy's Cython interfaces.

The BLAS routines take row-major arrays, the LAPACK routines take column-major arrays. LAPACK's
``info`` is returned; no function raises an exception.

A row-major matrix is the transpose of a column-major one: C = AB becomes Cᵀ = BᵀAᵀ, and an upper
triangle becomes a lower one.
"""
from kernel_blas_int cimport blas_int
from scipy.linalg.cython_blas cimport dgemm, dgemv, dtrmm
from scipy.linalg.cython_lapack cimport dgeqp3, dorgqr, dpstrf


cdef inline void gemm(blas_int m, blas_int n, blas_int k, double alpha, const double* a,
                      blas_int lda, const double* b, blas_int ldb, double beta, double* c,
                      blas_int ldc) noexcept nogil:
    """C (m x n) <- alpha Aᵀ B + beta C."""
    cdef char trans_a = b'T', trans_b = b'N'
    dgemm(&trans_b, &trans_a, &n, &m, &k, &alpha, <double*> b, &ldb, <double*> a, &lda, &beta, c,
          &ldc)


cdef inline void gemm_nn(blas_int m, blas_int n, blas_int k, double alpha, const double* a,
                         blas_int lda, const double* b, blas_int ldb, double beta, double* c,
                         blas_int ldc) noexcept nogil:
    """C (m x n) <- alpha A B + beta C."""
    cdef char trans = b'N'
    dgemm(&trans, &trans, &n, &m, &k, &alpha, <double*> b, &ldb, <double*> a, &lda, &beta, c, &ldc)


cdef inline void trmm_right(blas_int m, blas_int n, const double* t, blas_int ldt, double* b,
                            blas_int ldb) noexcept nogil:
    """B (m x n) <- B T for an upper triangular T."""
    cdef char side = b'L', uplo = b'L', trans = b'N', diag = b'N'
    cdef double alpha = 1.0
    dtrmm(&side, &uplo, &trans, &diag, &n, &m, &alpha, <double*> t, &ldt, b, &ldb)


cdef inline void trmm_left(blas_int m, blas_int n, const double* t, blas_int ldt, double* b,
                           blas_int ldb) noexcept nogil:
    """B (m x n) <- Tᵀ B for an upper triangular T."""
    cdef char side = b'R', uplo = b'L', trans = b'T', diag = b'N'
    cdef double alpha = 1.0
    dtrmm(&side, &uplo, &trans, &diag, &n, &m, &alpha, <double*> t, &ldt, b, &ldb)


cdef inline void gemv(bint transpose, blas_int m, blas_int n, const double* a, blas_int lda,
                      const double* x, double* y) noexcept nogil:
    """y <- op(A) x for A (m x n)."""
    cdef char trans = b'N' if transpose else b'T'
    cdef blas_int one = 1
    cdef double alpha = 1.0, beta = 0.0
    dgemv(&trans, &n, &m, &alpha, <double*> a, &lda, <double*> x, &one, &beta, y, &one)


cdef inline blas_int pstrf(blas_int n, double* a, blas_int lda, blas_int* pivots, blas_int* rank,
                           double tolerance, double* work) noexcept nogil:
    """Pᵀ A P = RᵀR with diagonal pivoting, R in the upper triangle (column-major); work: 2n."""
    cdef char uplo = b'U'
    cdef blas_int info = 0
    dpstrf(&uplo, &n, a, &lda, pivots, rank, &tolerance, work, &info)
    return info


cdef inline blas_int geqp3(blas_int m, blas_int n, double* a, blas_int lda, blas_int* pivots,
                           double* tau, double* work, blas_int lwork) noexcept nogil:
    """A P = Q R with column pivoting (column-major); lwork = -1 writes the best size to work[0]."""
    cdef blas_int info = 0
    dgeqp3(&m, &n, a, &lda, pivots, tau, work, &lwork, &info)
    return info


cdef inline blas_int orgqr(blas_int m, blas_int n, blas_int k, double* a, blas_int lda,
                           const double* tau, double* work, blas_int lwork) noexcept nogil:
    """A <- the first n columns of Q from k reflectors (column-major); lwork as in geqp3."""
    cdef blas_int info = 0
    dorgqr(&m, &n, &k, a, &lda, <double*> tau, work, &lwork, &info)
    return info
