from levinv._kernels.dense cimport Rows


cdef Py_ssize_t projection_room(Py_ssize_t n, Py_ssize_t k) noexcept nogil
cdef double gram_factor(Rows* rows, const double* magnitude, double* scale, double* transform,
                        double* least, double* workspace) noexcept nogil
cdef void scores_of(const Rows* rows, const double* transform, double* scores,
                    double* workspace) noexcept nogil
cdef Py_ssize_t laplacian_room(Py_ssize_t n, Py_ssize_t k) noexcept nogil
cdef void laplacian_of(Rows* rows, const double* transform, bint own_columns,
                       const double* scores, const double* y, double* out,
                       double* workspace) noexcept nogil
