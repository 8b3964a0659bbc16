"""Primitives on dense rows, streamed in blocks that stay in cache.

The rows are u_i = scale_i a_i T, where a_i is row i of A (any strides), ``scale`` and the d x k
``transform`` T are optional (None: 1 and I). Every primitive reads A once:

    gram      sum_i weights_i u_i u_iᵀ                      (k x k)
    quad      u_iᵀ K u_i, or |u_i|² without K                (n)
    moments   sum_i Y_im u_i u_iᵀ for each column m of Y     (k(k+1)/2 x m, upper triangles)
    contract  u_iᵀ K_m u_i for each m                        (n x m)
    squares   (P∘P) Y by row blocks of P = U Uᵀ               (n x m), U in memory

``moments`` and ``contract`` work on the products u_a u_b with a <= b, so that each is one GEMM.
"""
from libc.stdlib cimport free, malloc

from levinv._kernels.linalg cimport gemm

cdef Py_ssize_t BLOCK_BYTES = 256 * 1024      # one block and its product share an L2 cache


cdef Py_ssize_t block_rows(Py_ssize_t n, Py_ssize_t width) noexcept nogil:
    """Rows in a block of which ``width`` doubles a row are kept."""
    cdef Py_ssize_t rows = BLOCK_BYTES // (8 * width)
    rows = min(max(rows, 16), 512)
    return min(rows, n)


cdef double* allocate(Py_ssize_t size) except NULL:
    cdef double* memory = <double*> malloc(max(size, 1) * sizeof(double))
    if memory == NULL:
        raise MemoryError(f"could not allocate {size * 8} bytes of workspace")
    return memory


cdef void load(const double[:, :] A, const double[::1] scale, Py_ssize_t first, Py_ssize_t rows,
               double* block) noexcept nogil:
    """block (rows x d, row-major) <- scaled rows of A."""
    cdef Py_ssize_t d = A.shape[1], i, j
    cdef double factor
    cdef double* row
    cdef const double* source
    if A.strides[1] == sizeof(double):              # contiguous rows: a loop that vectorises
        for i in range(rows):
            factor = 1.0 if scale is None else scale[first + i]
            row = block + i * d
            source = &A[first + i, 0]
            for j in range(d):
                row[j] = factor * source[j]
    elif A.strides[0] >= A.strides[1] or A.strides[0] < 0:
        for i in range(rows):
            factor = 1.0 if scale is None else scale[first + i]
            row = block + i * d
            for j in range(d):
                row[j] = factor * A[first + i, j]
    else:                                           # column-major: walk down the columns
        for j in range(d):
            for i in range(rows):
                factor = 1.0 if scale is None else scale[first + i]
                block[i * d + j] = factor * A[first + i, j]


cdef const double* rows_of(const double[:, :] A, const double[::1] scale,
                           const double[:, ::1] transform, Py_ssize_t first, Py_ssize_t rows,
                           double* block, double* product) noexcept nogil:
    """The block of rows u_i; ``block`` or ``product`` holds it."""
    cdef Py_ssize_t d = A.shape[1], k
    load(A, scale, first, rows, block)
    if transform is None:
        return block
    k = transform.shape[1]
    gemm(False, False, rows, k, d, 1.0, block, d, &transform[0, 0], k, 0.0, product, k)
    return product


def gram(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
         const double[::1] weights, double[:, ::1] out):
    """out += sum_i weights_i u_i u_iᵀ."""
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], k = out.shape[0]
    cdef Py_ssize_t step = block_rows(n, d + 2 * k), blocks, index, first, rows, i, j
    cdef double* workspace = allocate(step * (d + 2 * k))
    cdef double* product = workspace + step * d
    cdef double* weighted = product + step * k
    cdef const double* u
    with nogil:
        blocks = (n + step - 1) // step
        for index in range(blocks):
            first = index * step
            rows = min(step, n - first)
            u = rows_of(A, scale, transform, first, rows, workspace, product)
            if weights is None:
                gemm(True, False, k, k, rows, 1.0, u, k, u, k, 1.0, &out[0, 0], k)
            else:
                for i in range(rows):
                    for j in range(k):
                        weighted[i * k + j] = weights[first + i] * u[i * k + j]
                gemm(True, False, k, k, rows, 1.0, u, k, weighted, k, 1.0, &out[0, 0], k)
        for i in range(k):                          # one triangle decides: exactly symmetric
            for j in range(i):
                out[i, j] = out[j, i]
    free(workspace)


def quad(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
         const double[:, ::1] form, double[::1] out):
    """out_i <- u_iᵀ form u_i; form None: |u_i|²."""
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1]
    cdef Py_ssize_t k = d if transform is None else transform.shape[1]
    cdef Py_ssize_t step = block_rows(n, d + 2 * k), blocks, index, first, rows, i, j
    cdef double* workspace = allocate(step * (d + 2 * k))
    cdef double* product = workspace + step * d
    cdef double* image = product + step * k
    cdef const double* u
    cdef const double* v
    cdef double total
    with nogil:
        blocks = (n + step - 1) // step
        for index in range(blocks):
            first = index * step
            rows = min(step, n - first)
            u = rows_of(A, scale, transform, first, rows, workspace, product)
            v = u
            if form is not None:
                gemm(False, False, rows, k, k, 1.0, u, k, &form[0, 0], k, 0.0, image, k)
                v = image
            for i in range(rows):
                total = 0.0
                for j in range(k):
                    total = total + u[i * k + j] * v[i * k + j]
                out[first + i] = total
    free(workspace)


cdef void row_products(const double* u, Py_ssize_t rows, Py_ssize_t k,
                       double* products) noexcept nogil:
    """products (rows x k(k+1)/2) <- u_a u_b for a <= b."""
    cdef Py_ssize_t pairs = k * (k + 1) // 2, i, a, b, position
    for i in range(rows):
        position = i * pairs
        for a in range(k):
            for b in range(a, k):
                products[position] = u[i * k + a] * u[i * k + b]
                position = position + 1


def moments(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
            const double[:, ::1] Y, double[:, ::1] out):
    """out[(a, b), m] += sum_i Y_im u_ia u_ib, a <= b."""
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], pairs = out.shape[0], columns = Y.shape[1]
    cdef Py_ssize_t k = d if transform is None else transform.shape[1]
    cdef Py_ssize_t step = block_rows(n, d + k + pairs), blocks, index, first, rows
    cdef double* workspace = allocate(step * (d + k + pairs))
    cdef double* product = workspace + step * d
    cdef double* products = product + step * k
    cdef const double* u
    with nogil:
        blocks = (n + step - 1) // step
        for index in range(blocks):
            first = index * step
            rows = min(step, n - first)
            u = rows_of(A, scale, transform, first, rows, workspace, product)
            row_products(u, rows, k, products)
            gemm(True, False, pairs, columns, rows, 1.0, products, pairs, &Y[first, 0], columns,
                 1.0, &out[0, 0], columns)
    free(workspace)


def contract(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
             const double[:, ::1] forms, double[:, ::1] out):
    """out_im <- sum over a <= b of u_ia u_ib forms[(a, b), m] (off-diagonal pairs doubled by the
    caller).
    """
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], pairs = forms.shape[0], columns = forms.shape[1]
    cdef Py_ssize_t k = d if transform is None else transform.shape[1]
    cdef Py_ssize_t step = block_rows(n, d + k + pairs), blocks, index, first, rows
    cdef double* workspace = allocate(step * (d + k + pairs))
    cdef double* product = workspace + step * d
    cdef double* products = product + step * k
    cdef const double* u
    with nogil:
        blocks = (n + step - 1) // step
        for index in range(blocks):
            first = index * step
            rows = min(step, n - first)
            u = rows_of(A, scale, transform, first, rows, workspace, product)
            row_products(u, rows, k, products)
            gemm(False, False, rows, columns, pairs, 1.0, products, pairs, &forms[0, 0], columns,
                 0.0, &out[first, 0], columns)
    free(workspace)


def squares(const double[:, ::1] U, const double[:, ::1] Y, double[:, ::1] out):
    """out <- (P∘P) Y with P = U Uᵀ, a block of rows of P at a time."""
    cdef Py_ssize_t n = U.shape[0], k = U.shape[1], columns = Y.shape[1]
    cdef Py_ssize_t step = block_rows(n, n), blocks, index, first, rows, i
    cdef double* projection = allocate(step * n)
    with nogil:
        blocks = (n + step - 1) // step
        for index in range(blocks):
            first = index * step
            rows = min(step, n - first)
            gemm(False, True, rows, n, k, 1.0, &U[first, 0], k, &U[0, 0], k, 0.0, projection, n)
            for i in range(rows * n):
                projection[i] = projection[i] * projection[i]
            gemm(False, False, rows, columns, n, 1.0, projection, n, &Y[0, 0], columns, 0.0,
                 &out[first, 0], columns)
    free(projection)
