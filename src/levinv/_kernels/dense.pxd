from levinv._kernels.tiles cimport TILE


cdef inline Py_ssize_t whole_tiles(Py_ssize_t count) noexcept nogil:
    """``count`` rounded up to a multiple of TILE."""
    return (count + TILE - 1) // TILE * TILE


cdef struct Rows:                     # u_i = scale_i a_i T
    const double* data                # a_ij at data[i * row_stride + j * column_stride]
    Py_ssize_t n, d, k                # k: entries of u_i
    Py_ssize_t row_stride, column_stride
    const double* scale               # (n,) or NULL for 1
    const double* transform           # T, d x padded(k), or NULL for I
    bint upper                        # whether T is upper triangular


cdef enum:
    LARGE_ROWS = 256                  # of a product for which BLAS is fast


cdef bint is_large(Py_ssize_t n, Py_ssize_t k) noexcept nogil
cdef void times(bint large, const double* u, Py_ssize_t ldu, Py_ssize_t rows, Py_ssize_t depth,
                const double* t, Py_ssize_t q, double* c) noexcept nogil
cdef Py_ssize_t padded(Py_ssize_t k) noexcept nogil
cdef Py_ssize_t block_rows(Py_ssize_t n, Py_ssize_t width, Py_ssize_t least) noexcept nogil
cdef double* allocate(Py_ssize_t size) except NULL
cdef Rows describe(const double[:, :] A, const double[::1] scale) noexcept nogil
cdef Py_ssize_t workspace_of(const double[:, ::1] transform) noexcept nogil
cdef void transform_by(Rows* rows, const double[:, ::1] transform,
                       double* packed) noexcept nogil
cdef void pack(const double[:, ::1] matrix, double* out, Py_ssize_t width) noexcept nogil
cdef void pack_entries(const double* matrix, Py_ssize_t rows, Py_ssize_t columns, double* out,
                       Py_ssize_t width) noexcept nogil
cdef void pack_transposed(const double[:, ::1] matrix, double* out,
                          Py_ssize_t width) noexcept nogil
cdef void add_packed(const double* packed, Py_ssize_t width, double[:, ::1] out) noexcept nogil
cdef void load(const Rows* rows, const double* scale, Py_ssize_t first, Py_ssize_t count,
               double* block) noexcept nogil
cdef void load_rows(const Rows* rows, const double* scale, Py_ssize_t first, Py_ssize_t count,
                    double* block, Py_ssize_t width) noexcept nogil
cdef const double* rows_of(const Rows* rows, Py_ssize_t first, Py_ssize_t count, double* block,
                           double* product) noexcept nogil
cdef void add_gram(const Rows* rows, const double* weights, Py_ssize_t step, double* workspace,
                   double* c) noexcept nogil
cdef void triangular_quad(const Rows* rows, const double* t, bint square, Py_ssize_t step,
                          double* workspace, double* out) noexcept nogil
cdef Py_ssize_t moments_room(Py_ssize_t n, Py_ssize_t d, Py_ssize_t k, Py_ssize_t m) noexcept nogil
cdef void add_moments(const Rows* rows, const Rows* factors, double* workspace,
                      double* c) noexcept nogil
