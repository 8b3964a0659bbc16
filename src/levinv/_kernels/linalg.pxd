"""The only module that calls BLAS and LAPACK, through SciPy's Cython interfaces.

``gemm`` and ``gemv`` take row-major arrays, the LAPACK routines take column-major arrays. LAPACK's
``info`` is returned as an int; no function raises an exception.
"""
from kernel_blas_int cimport blas_int
from scipy.linalg.cython_blas cimport dgemm, dgemv
from scipy.linalg.cython_lapack cimport dgeqp3, dorgqr, dpotrf, dpstrf, dtrtri


cdef inline void gemm(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, double alpha, const double* a,
                      Py_ssize_t lda, const double* b, Py_ssize_t ldb, double beta, double* c,
                      Py_ssize_t ldc) noexcept nogil:
    """C (m x n) <- alpha Aᵀ B + beta C, all row-major.

    A row-major matrix is the transpose of a column-major one, so this is Cᵀ <- Bᵀ A.
    """
    cdef char trans_a = b'T', trans_b = b'N'
    cdef blas_int m_ = <blas_int> m, n_ = <blas_int> n, k_ = <blas_int> k
    cdef blas_int lda_ = <blas_int> lda, ldb_ = <blas_int> ldb, ldc_ = <blas_int> ldc
    dgemm(&trans_b, &trans_a, &n_, &m_, &k_, &alpha, <double*> b, &ldb_, <double*> a, &lda_,
          &beta, c, &ldc_)


cdef inline void gemv(bint transpose, Py_ssize_t m, Py_ssize_t n, const double* a, Py_ssize_t lda,
                      const double* x, double* y) noexcept nogil:
    """y <- op(A) x for a row-major A (m x n)."""
    cdef char trans = b'N' if transpose else b'T'
    cdef blas_int m_ = <blas_int> m, n_ = <blas_int> n, lda_ = <blas_int> lda, one = 1
    cdef double alpha = 1.0, beta = 0.0
    dgemv(&trans, &n_, &m_, &alpha, <double*> a, &lda_, <double*> x, &one, &beta, y, &one)


cdef inline int pstrf(Py_ssize_t n, double* a, Py_ssize_t lda, blas_int* pivots, Py_ssize_t* rank,
                      double tolerance, double* work) noexcept nogil:
    """Pᵀ A P = RᵀR with diagonal pivoting, R in the upper triangle (column-major); work: 2n."""
    cdef char uplo = b'U'
    cdef blas_int n_ = <blas_int> n, lda_ = <blas_int> lda, rank_ = 0, info = 0
    dpstrf(&uplo, &n_, a, &lda_, pivots, &rank_, &tolerance, work, &info)
    rank[0] = rank_
    return <int> info


cdef inline int potrf(Py_ssize_t n, double* a, Py_ssize_t lda) noexcept nogil:
    """A = LLᵀ in the lower triangle (column-major)."""
    cdef char uplo = b'L'
    cdef blas_int n_ = <blas_int> n, lda_ = <blas_int> lda, info = 0
    dpotrf(&uplo, &n_, a, &lda_, &info)
    return <int> info


cdef inline int trtri(bint lower, Py_ssize_t n, double* a, Py_ssize_t lda) noexcept nogil:
    """A <- A⁻¹ for a triangular A (column-major)."""
    cdef char uplo = b'L' if lower else b'U', diag = b'N'
    cdef blas_int n_ = <blas_int> n, lda_ = <blas_int> lda, info = 0
    dtrtri(&uplo, &diag, &n_, a, &lda_, &info)
    return <int> info


cdef inline int geqp3(Py_ssize_t m, Py_ssize_t n, double* a, Py_ssize_t lda, blas_int* pivots,
                      double* tau, double* work, Py_ssize_t lwork) noexcept nogil:
    """A P = Q R with column pivoting (column-major); lwork = -1 writes the best size to work[0]."""
    cdef blas_int m_ = <blas_int> m, n_ = <blas_int> n, lda_ = <blas_int> lda
    cdef blas_int lwork_ = <blas_int> lwork, info = 0
    dgeqp3(&m_, &n_, a, &lda_, pivots, tau, work, &lwork_, &info)
    return <int> info


cdef inline int orgqr(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, double* a, Py_ssize_t lda,
                      const double* tau, double* work, Py_ssize_t lwork) noexcept nogil:
    """A <- the first n columns of Q from k reflectors (column-major); lwork as in geqp3."""
    cdef blas_int m_ = <blas_int> m, n_ = <blas_int> n, k_ = <blas_int> k, lda_ = <blas_int> lda
    cdef blas_int lwork_ = <blas_int> lwork, info = 0
    dorgqr(&m_, &n_, &k_, a, &lda_, <double*> tau, work, &lwork_, &info)
    return <int> info
