"""Primitives on dense rows, streamed in blocks that stay in cache.

The rows are u_i = scale_i a_i T, where a_i is row i of A (any strides), ``scale`` and the d x k
``transform`` T are optional (None: 1 and I). Every primitive reads A once:

    gram      sum_i weights_i u_i u_iᵀ                      (k x k)
    quad      u_iᵀ K u_i, or |u_i|² without K                (n)
    moments   sum_i Y_im u_i u_iᵀ for each column m of Y     (k(k+1)/2 x m, upper triangles),
              the third moments of the explicit Hessian among them: Y = B
    contract  u_iᵀ K_m u_i for each m                        (n x m)
    squares   (P∘P) Y by row blocks of P = U Uᵀ               (n x m), U in memory

Only one triangle is computed, of a Gram matrix and of a form. The lower entries of a form are added
to its upper ones first. So ``gram`` and ``quad`` take n k² multiply-adds together. An upper
triangular T takes no more, as |a_i T|² is then itself such a form. ``moments`` and ``contract``
work on the products u_a u_b with a <= b.
"""
cimport cython
from libc.string cimport memcpy, memset

from kernel_settings cimport CACHE_ENTRIES, L1_BYTES
from levinv._kernels.linalg cimport gemm_nn
from levinv._kernels.tiles cimport TILE, tiles, tiles_allocate, tiles_fail, tiles_free, tiles_limit

# Rows at this distance (in doubles) share a set of the L1 cache, which has eight ways.
cdef Py_ssize_t SET_DOUBLES = L1_BYTES // 64


cdef Py_ssize_t padded(Py_ssize_t k) noexcept nogil:
    """Width of a packed block of k columns."""
    cdef Py_ssize_t width = whole_tiles(k)
    return width + TILE if width % SET_DOUBLES == 0 else width


cdef Py_ssize_t block_rows(Py_ssize_t n, Py_ssize_t width, Py_ssize_t least) noexcept nogil:
    """Rows of a block, a multiple of TILE: with ``width`` doubles a row they fit into the L1 cache.
    At least ``least`` (or all n rows), since every block loads and stores the sums once.
    """
    return whole_tiles(min(max(L1_BYTES // (8 * width), least), n))


cdef double* allocate(Py_ssize_t size) except NULL:
    cdef double* memory = tiles_allocate(size)
    if memory == NULL:
        raise MemoryError(f"could not allocate {size * 8} bytes of workspace")
    return memory


cdef const double* entries(const double[::1] vector) noexcept nogil:
    """Pointer to the entries, NULL if the vector is None."""
    if vector is None:
        return NULL
    return &vector[0]


cdef Rows describe(const double[:, :] A, const double[::1] scale) noexcept nogil:
    """The rows scale_i a_i."""
    cdef Rows rows
    rows.data = &A[0, 0]
    rows.n, rows.d, rows.k = A.shape[0], A.shape[1], A.shape[1]
    rows.row_stride = A.strides[0] // <Py_ssize_t> sizeof(double)
    rows.column_stride = A.strides[1] // <Py_ssize_t> sizeof(double)
    rows.scale = entries(scale)
    rows.transform = NULL
    rows.upper = False
    return rows


cdef Py_ssize_t workspace_of(const double[:, ::1] transform) noexcept nogil:
    """Doubles of workspace that :func:`transform_by` needs."""
    return 0 if transform is None else transform.shape[0] * padded(transform.shape[1])


cdef void transform_by(Rows* rows, const double[:, ::1] transform,
                       double* packed) noexcept nogil:
    """Multiply the rows by a transform, if there is one."""
    if transform is not None:
        rows.k = transform.shape[1]
        pack(transform, packed, padded(rows.k))
        rows.transform = packed
        rows.upper = upper_triangular(transform)


cdef void pack(const double[:, ::1] matrix, double* out, Py_ssize_t width) noexcept nogil:
    """``matrix`` with rows of ``width`` entries, the rest zero."""
    pack_entries(&matrix[0, 0], matrix.shape[0], matrix.shape[1], out, width)


cdef void pack_entries(const double* matrix, Py_ssize_t rows, Py_ssize_t columns, double* out,
                       Py_ssize_t width) noexcept nogil:
    """The same for a matrix that is no memoryview."""
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(columns):
            out[i * width + j] = matrix[i * columns + j]
        for j in range(columns, width):
            out[i * width + j] = 0.0


cdef void load(const Rows* rows, const double* scale, Py_ssize_t first, Py_ssize_t count,
               double* block) noexcept nogil:
    """block <- diag(scale) times rows of A, packed; zero rows up to a multiple of TILE."""
    cdef Py_ssize_t width = padded(rows.d), whole = whole_tiles(count)
    load_rows(rows, scale, first, count, block, width)
    memset(block + count * width, 0, (whole - count) * width * sizeof(double))


cdef void load_rows(const Rows* rows, const double* scale, Py_ssize_t first, Py_ssize_t count,
                    double* block, Py_ssize_t width) noexcept nogil:
    """block <- diag(scale) times rows of A, zero beyond column d of ``width``, whole tiles."""
    cdef Py_ssize_t d = rows.d, i, j
    cdef const double* source = rows.data + first * rows.row_stride
    cdef const double* factor = scale
    cdef double s
    if factor != NULL:
        factor += first
    if rows.column_stride == 1:
        tiles().scaled(source, rows.row_stride, count, d, factor, width, block)
    elif rows.row_stride == 1:
        tiles().turned(source, rows.column_stride, count, d, factor, width, block)
    else:
        for i in range(count):
            s = 1.0 if factor == NULL else factor[i]
            for j in range(d):
                block[i * width + j] = s * source[j * rows.column_stride]
            for j in range(d, width):
                block[i * width + j] = 0.0
            source += rows.row_stride


cdef const double* rows_of(const Rows* rows, Py_ssize_t first, Py_ssize_t count, double* block,
                           double* product) noexcept nogil:
    """The rows u_i, packed; ``block`` or ``product`` holds them."""
    cdef Py_ssize_t whole = whole_tiles(count)
    load(rows, rows.scale, first, count, block)
    if rows.transform == NULL:
        return block
    tiles().nn(block, padded(rows.d), whole, rows.d, rows.transform, padded(rows.k), rows.upper,
               product)
    return product


cdef bint in_place(const Rows* rows) noexcept nogil:
    """Whether tiles may read A itself, but for its scale."""
    return (rows.transform == NULL and rows.column_stride == 1
            and rows.row_stride > 0 and rows.row_stride % SET_DOUBLES != 0)


cdef const double* next_block(const Rows* rows, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """``count`` rows of A to fetch ahead of their use; NULL, for example, if A is in the cache."""
    if rows.column_stride != 1 or first + count > rows.n or rows.n * rows.d < CACHE_ENTRIES:
        return NULL
    return rows.data + first * rows.row_stride


cdef bint columns_in_place(const Rows* rows) noexcept nogil:
    """The same for contiguous columns, with rows along the vectors."""
    return (rows.transform == NULL and rows.row_stride == 1 and rows.column_stride > 1
            and rows.column_stride % SET_DOUBLES != 0 and rows.n >= 2 * TILE)


cdef bint by_columns(const Rows* rows, const double* t, double* last, double* out) noexcept nogil:
    """out_i <- scale_i² |a_i t|² for contiguous columns; False if that overflows.

    ``last`` has room for 2 TILE rows.
    """
    cdef Py_ssize_t side = 2 * TILE, whole = rows.n // side * side, rest = rows.n - whole, i, j
    cdef Py_ssize_t width = padded(rows.k)
    tiles().columns(rows.data, rows.column_stride, whole, rows.k, t, width, out)
    if rest:
        memset(last, 0, side * (rows.k + 1) * sizeof(double))
        for j in range(rows.k):
            for i in range(rest):
                last[j * side + i] = rows.data[j * rows.column_stride + whole + i]
        tiles().columns(last, side, side, rows.k, t, width, last + side * rows.k)
        memcpy(out + whole, last + side * rows.k, rest * sizeof(double))
    return rows.scale == NULL or tiles().squared(rows.scale, rows.n, out)


cdef void add_gram(const Rows* rows, const double* weights, Py_ssize_t step, double* workspace,
                   double* c) noexcept nogil:
    """c (padded, symmetric) += sum_i weights_i u_i u_iᵀ; workspace: step rows of d, k, 1.

    Where tiles read A itself, the squares of the scales are weights, unless they underflow.
    """
    cdef Py_ssize_t k = rows.k, width = padded(rows.k), stride, first, count, i, j
    cdef double* product = workspace + step * padded(rows.d)
    cdef double* factors = product + step * width
    cdef const double* w
    cdef const double* u
    cdef const double* ahead
    # Tiles read a padded width. In the last rows they would read beyond the end of A.
    cdef Py_ssize_t readable = rows.n - (width - rows.d + rows.row_stride - 1) // rows.row_stride \
        if in_place(rows) else 0
    for first from 0 <= first < rows.n by step:
        count = min(step, rows.n - first)
        w = weights
        if weights != NULL:
            w = weights + first
        if first + count > readable:
            u, stride = rows_of(rows, first, count, workspace, product), width
        elif rows.scale == NULL:
            u, stride = rows.data + first * rows.row_stride, rows.row_stride
        elif tiles().factors(rows.scale + first, w, count, factors):
            u, stride, w = rows.data + first * rows.row_stride, rows.row_stride, factors
        else:
            u, stride = rows_of(rows, first, count, workspace, product), width
        ahead = next_block(rows, first + step, count)
        tiles().gram(u, stride, u, stride, w, count, k, width, c, ahead, rows.row_stride)
    for i in range(k):
        for j in range(i):
            c[j * width + i] = c[i * width + j]


cdef void triangular_quad(const Rows* rows, const double* t, bint square, Py_ssize_t step,
                          double* workspace, double* out) noexcept nogil:
    """out_i <- u_i t u_iᵀ, or |u_i t|², t upper triangular (padded); workspace: step rows of d, k,
    1.

    Tiles read A itself where they can. |u_i t|² is then scale_i² |a_i t|², unless that overflows.
    """
    cdef Py_ssize_t k = rows.k, width = padded(rows.k), first, count
    cdef double* product = workspace + step * padded(rows.d)
    cdef double* values = product + step * width
    cdef const double* u
    cdef const double* ahead
    cdef bint direct = square and in_place(rows)
    if square and columns_in_place(rows) and by_columns(rows, t, workspace, out):
        return
    for first from 0 <= first < rows.n by step:
        count = min(step, rows.n - first)
        if direct and count == step:
            ahead = next_block(rows, first + 2 * TILE, count)
            tiles().quad(rows.data + first * rows.row_stride, rows.row_stride, count, k, t, width,
                         square, values, ahead, rows.row_stride)
        elif direct:
            load(rows, NULL, first, count, workspace)
            tiles().quad(workspace, width, whole_tiles(count), k, t, width, square, values, NULL, 0)
        if not direct or (rows.scale != NULL
                          and not tiles().squared(rows.scale + first, count, values)):
            u = rows_of(rows, first, count, workspace, product)
            ahead = next_block(rows, first + step, count)
            tiles().quad(u, width, whole_tiles(count), k, t, width, square, values,
                         ahead, rows.row_stride)
        memcpy(out + first, values, count * sizeof(double))


def gram(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
         const double[::1] weights, double[:, ::1] out):
    """out += sum_i weights_i u_i u_iᵀ."""
    cdef Rows rows = describe(A, scale)
    cdef Py_ssize_t width = padded(out.shape[0])
    cdef Py_ssize_t step = block_rows(rows.n, padded(rows.d) + width, 64)
    cdef double* workspace = allocate(step * (padded(rows.d) + width + 1) + width * width
                                      + workspace_of(transform))
    cdef double* c = workspace + step * (padded(rows.d) + width + 1)
    with nogil:
        transform_by(&rows, transform, c + width * width)
        memset(c, 0, width * width * sizeof(double))
        add_gram(&rows, entries(weights), step, workspace, c)
        add_packed(c, width, out)
    tiles_free(workspace)


@cython.auto_pickle(False)
cdef class Form:
    """What :func:`quad` computes for rows of d entries: a transform and a form, packed once."""

    cdef double* transform            # T, or NULL
    cdef double* triangle             # upper triangular: the form; T itself if ``square``; or NULL
    cdef Py_ssize_t d, k
    cdef bint square                  # |u_i t|²
    cdef bint upper                   # T is upper triangular

    def __cinit__(self, Py_ssize_t d, const double[:, ::1] transform, const double[:, ::1] form):
        cdef Py_ssize_t k = d if transform is None else transform.shape[1], width = padded(k), i, j
        self.d, self.k = d, k
        self.upper = upper_triangular(transform)
        self.square = form is None and self.upper
        if self.square or form is not None:
            self.triangle = allocate(width * width)
        if transform is not None and not self.square:
            self.transform = allocate(d * width)
        with nogil:
            if self.transform != NULL:
                pack(transform, self.transform, width)
            if self.square:
                pack(transform, self.triangle, width)
            elif self.triangle != NULL:
                memset(self.triangle, 0, width * width * sizeof(double))
                for i in range(k):
                    self.triangle[i * width + i] = form[i, i]
                    for j in range(i + 1, k):
                        self.triangle[i * width + j] = form[i, j] + form[j, i]

    def __dealloc__(self):
        tiles_free(self.transform)
        tiles_free(self.triangle)


def quad(const double[:, :] A, const double[::1] scale, Form form not None, double[::1] out):
    """out_i <- u_iᵀ form u_i; without a form |u_i|²."""
    cdef Rows rows = describe(A, scale)
    cdef Py_ssize_t width = padded(form.k)
    cdef Py_ssize_t step = block_rows(rows.n, padded(rows.d) + width, 64)
    cdef double* workspace = allocate(step * (padded(rows.d) + width + 1))
    with nogil:
        if form.transform != NULL:
            rows.k = form.k
            rows.transform = form.transform
            rows.upper = form.upper
        if form.triangle != NULL:
            triangular_quad(&rows, form.triangle, form.square, step, workspace, &out[0])
        else:
            row_squares(&rows, step, workspace, &out[0])
    tiles_free(workspace)


cdef bint upper_triangular(const double[:, ::1] transform) noexcept nogil:
    """Whether there is a transform, and it is upper triangular."""
    cdef Py_ssize_t i, j
    if transform is None or transform.shape[0] != transform.shape[1]:
        return False
    for i in range(transform.shape[0]):
        for j in range(i):
            if transform[i, j] != 0.0:
                return False
    return True


cdef void row_squares(const Rows* rows, Py_ssize_t step, double* workspace,
                      double* out) noexcept nogil:
    """out_i <- |u_i|²."""
    cdef Py_ssize_t width = padded(rows.k), first, count
    cdef const double* u
    for first from 0 <= first < rows.n by step:
        count = min(step, rows.n - first)
        u = rows_of(rows, first, count, workspace, workspace + step * padded(rows.d))
        tiles().dots(u, width, u, width, count, rows.k, out + first)


def moments(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
            const double[:, :] Y, const double[::1] y_scale, double[:, ::1] out):
    """out[(a, b), m] += sum_i y_scale_i Y_im u_ia u_ib, a <= b (y_scale None: 1)."""
    cdef Rows rows = describe(A, scale), factors = describe(Y, y_scale)
    cdef Py_ssize_t k = rows.d if transform is None else transform.shape[1]
    cdef Py_ssize_t room = moments_room(rows.n, rows.d, k, Y.shape[1])
    cdef Py_ssize_t columns = padded(Y.shape[1])
    cdef Py_ssize_t size = padded(out.shape[0]) * columns
    cdef double* workspace = allocate(room + size + workspace_of(transform))
    cdef double* c = workspace + room
    with nogil:
        transform_by(&rows, transform, c + size)
        memset(c, 0, size * sizeof(double))
        add_moments(&rows, &factors, workspace, c)
        add_packed(c, columns, out)
    tiles_free(workspace)


cdef Py_ssize_t moments_width(Py_ssize_t d, Py_ssize_t k, Py_ssize_t m) noexcept nogil:
    """Doubles of a row of A, its image, its products and its factors."""
    return padded(d) + padded(k) + padded(k * (k + 1) // 2) + padded(m)


cdef Py_ssize_t moments_room(Py_ssize_t n, Py_ssize_t d, Py_ssize_t k, Py_ssize_t m) noexcept nogil:
    """Doubles of the workspace of :func:`add_moments`."""
    cdef Py_ssize_t wide = moments_width(d, k, m)
    return block_rows(n, wide, 32) * wide + TILE


cdef void add_moments(const Rows* rows, const Rows* factors, double* workspace,
                      double* c) noexcept nogil:
    """c (packed, a row for each pair a <= b) += sum_i u_ia u_ib times row i of the factors."""
    cdef Py_ssize_t k = rows.k, pairs = padded(k * (k + 1) // 2), columns = padded(factors.d)
    cdef Py_ssize_t step = block_rows(rows.n, moments_width(rows.d, k, factors.d), 32)
    cdef Py_ssize_t first, count
    cdef double* product = workspace + step * padded(rows.d)
    cdef double* weights = product + step * padded(k)
    cdef double* products = weights + step * columns
    cdef const double* u
    for first from 0 <= first < rows.n by step:
        count = min(step, rows.n - first)
        u = rows_of(rows, first, count, workspace, product)
        tiles().pairs(u, padded(k), count, k, pairs, products)
        load(factors, factors.scale, first, count, weights)
        tiles().tn(products, pairs, weights, columns, count, c)


cdef void add_packed(const double* packed, Py_ssize_t width, double[:, ::1] out) noexcept nogil:
    """out += a packed matrix."""
    cdef Py_ssize_t i, j
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] += packed[i * width + j]


def contract(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
             const double[:, ::1] forms, double[:, ::1] out):
    """out_im <- sum over a <= b of u_ia u_ib forms[(a, b), m] (off-diagonal pairs doubled by the
    caller).
    """
    cdef Rows rows = describe(A, scale)
    cdef Py_ssize_t k = rows.d if transform is None else transform.shape[1]
    cdef Py_ssize_t pairs = padded(forms.shape[0]), columns = padded(forms.shape[1])
    cdef Py_ssize_t wide = padded(rows.d) + padded(k) + pairs + columns
    cdef Py_ssize_t step = block_rows(rows.n, wide, 32), first, count, i, j
    cdef double* workspace = allocate(step * wide + TILE + pairs * columns
                                      + workspace_of(transform))
    cdef double* product = workspace + step * padded(rows.d)
    cdef double* image = product + step * padded(k)
    cdef double* products = image + step * columns
    cdef double* packed = products + step * pairs + TILE
    cdef const double* u
    with nogil:
        transform_by(&rows, transform, packed + pairs * columns)
        pack(forms, packed, columns)
        for first from 0 <= first < rows.n by step:
            count = min(step, rows.n - first)
            u = rows_of(&rows, first, count, workspace, product)
            tiles().pairs(u, padded(k), whole_tiles(count), k, pairs, products)
            tiles().nn(products, pairs, whole_tiles(count), forms.shape[0], packed,
                       columns, False, image)
            for i in range(count):
                for j in range(forms.shape[1]):
                    out[first + i, j] = image[i * columns + j]
    tiles_free(workspace)


cdef bint is_large(Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Whether n x k matrices are so far beyond the cache that BLAS multiplies by them faster."""
    return n * k > 8 * CACHE_ENTRIES


cdef void times(bint large, const double* u, Py_ssize_t ldu, Py_ssize_t rows, Py_ssize_t depth,
                const double* t, Py_ssize_t q, double* c) noexcept nogil:
    """c (rows x q) <- u t."""
    if large:
        gemm_nn(rows, q, depth, 1.0, u, ldu, t, q, 0.0, c, q)
    else:
        tiles().nn(u, ldu, rows, depth, t, q, False, c)


def squares(const double[:, ::1] U, const double[:, ::1] Y, double[:, ::1] out):
    """out <- (P∘P) Y with P = U Uᵀ, a block of rows of P at a time."""
    cdef Py_ssize_t n = U.shape[0], k = U.shape[1], whole = whole_tiles(n)
    cdef Py_ssize_t width = padded(k), across = padded(n), columns = padded(Y.shape[1])
    cdef bint large = is_large(n, k)
    cdef Py_ssize_t step = block_rows(n, across + columns, LARGE_ROWS if large else 16)
    cdef Py_ssize_t first, count, i, j
    cdef double* u = allocate(whole * width + k * across + n * columns + step * (across + columns))
    cdef double* transposed = u + whole * width
    cdef double* packed = transposed + k * across
    cdef double* projection = packed + n * columns
    cdef double* image = projection + step * across
    with nogil:
        pack(U, u, width)
        memset(u + n * width, 0, (whole - n) * width * sizeof(double))
        pack_transposed(U, transposed, across)
        pack(Y, packed, columns)
        for first from 0 <= first < n by step:
            count = min(step, n - first)
            times(large, u + first * width, width, whole_tiles(count), k, transposed, across,
                  projection)
            for i in range(whole_tiles(count) * across):
                projection[i] = projection[i] * projection[i]
            times(large, projection, across, whole_tiles(count), n, packed, columns, image)
            for i in range(count):
                for j in range(Y.shape[1]):
                    out[first + i, j] = image[i * columns + j]
    tiles_free(u)


cdef void pack_transposed(const double[:, ::1] matrix, double* out,
                          Py_ssize_t width) noexcept nogil:
    """The transpose of ``matrix`` with rows of ``width`` entries, the rest zero."""
    cdef Py_ssize_t i, j
    memset(out, 0, matrix.shape[1] * width * sizeof(double))
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            out[j * width + i] = matrix[i, j]


def all_finite(const double[::1] values):
    """Whether no value is nan or inf."""
    cdef Py_ssize_t n = values.shape[0], i
    cdef double total = 0.0
    with nogil:
        for i in range(n):
            total = total + 0.0 * values[i]
    return total == 0.0


def limit_tiles(int version):
    """Use no instruction set beyond 0 (SSE2), 1 (AVX2) or 2 (AVX-512) in this module: for tests."""
    tiles_limit(version)


def fail_allocation(long which):
    """Make an allocation of a workspace fail, in any kernel (1: the next, 0: none). For tests.

    Returns the number that is left of the previous count.
    """
    return tiles_fail(which)
