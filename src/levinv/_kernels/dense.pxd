cdef Py_ssize_t block_rows(Py_ssize_t n, Py_ssize_t width) noexcept nogil
cdef double* allocate(Py_ssize_t size) except NULL
cdef void load(const double[:, :] A, const double[::1] scale, Py_ssize_t first, Py_ssize_t rows,
               double* block) noexcept nogil
cdef const double* rows_of(const double[:, :] A, const double[::1] scale,
                           const double[:, ::1] transform, Py_ssize_t first, Py_ssize_t rows,
                           double* block, double* product) noexcept nogil
cdef void row_products(const double* u, Py_ssize_t rows, Py_ssize_t k,
                       double* products) noexcept nogil
