cdef double inverse_factor(double* gram, Py_ssize_t k, Py_ssize_t width, double* column_scale,
                           double* transform) noexcept nogil
