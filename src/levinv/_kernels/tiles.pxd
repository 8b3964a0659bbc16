"""Small dense products on packed blocks (see tiles.h)."""

cdef extern from "tiles.h" nogil:
    const Py_ssize_t TILE
    void tiles_limit(int version)
    long tiles_fail(long which)
    double* tiles_allocate(size_t size)
    void tiles_free(double* memory)
    ctypedef struct Tiles:
        void (*gram)(const double* u, Py_ssize_t ldu, const double* v, Py_ssize_t ldv,
                     const double* w, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t width, double* c,
                     const double* ahead, Py_ssize_t stride) noexcept nogil
        void (*tn)(const double* u, Py_ssize_t p, const double* v, Py_ssize_t q, Py_ssize_t rows,
                   double* c) noexcept nogil
        void (*nn)(const double* u, Py_ssize_t ldu, Py_ssize_t rows, Py_ssize_t depth,
                   const double* t, Py_ssize_t q, int upper, double* c) noexcept nogil
        void (*forms)(double* c, Py_ssize_t q, Py_ssize_t k, double* work,
                      double* pivots) noexcept nogil
        void (*sandwich)(const double* form, double* c, Py_ssize_t q, Py_ssize_t k,
                         double* work) noexcept nogil
        int (*weigh)(const double* values, Py_ssize_t n, int slack, double least, double most,
                     double* out) noexcept nogil
        void (*quad)(const double* u, Py_ssize_t ldu, Py_ssize_t rows, Py_ssize_t depth,
                     const double* t, Py_ssize_t width, int square, double* out,
                     const double* ahead, Py_ssize_t stride) noexcept nogil
        void (*columns)(const double* u, Py_ssize_t lda, Py_ssize_t rows, Py_ssize_t k,
                        const double* t, Py_ssize_t width, double* out) noexcept nogil
        void (*scaled)(const double* a, Py_ssize_t lda, Py_ssize_t rows, Py_ssize_t d,
                       const double* scale, Py_ssize_t width, double* block) noexcept nogil
        void (*pairs)(const double* u, Py_ssize_t ldu, Py_ssize_t rows, Py_ssize_t k,
                      Py_ssize_t width, double* products) noexcept nogil
        void (*turned)(const double* a, Py_ssize_t lda, Py_ssize_t rows, Py_ssize_t d,
                       const double* scale, Py_ssize_t width, double* block) noexcept nogil
        int (*scales)(const double* v, Py_ssize_t n, int weights, double* scale) noexcept nogil
        int (*factors)(const double* scale, const double* w, Py_ssize_t n,
                       double* out) noexcept nogil
        int (*squared)(const double* scale, Py_ssize_t n, double* values) noexcept nogil
        void (*dots)(const double* u, Py_ssize_t ldu, const double* v, Py_ssize_t ldv,
                     Py_ssize_t rows, Py_ssize_t k, double* out) noexcept nogil
    const Tiles* tiles()
