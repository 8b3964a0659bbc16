"""Assembly of the loss's Hessian (see levinv.forward.score_hessian for the formulas).

    row_terms   the paper's six terms D_{i,1} ... D_{i,6}, summed over a range of rows i
    short       fused exact form, blocks of rows of P: O(n² d) flops
    tall        fused exact form, products u_a u_b against third moments: 2 n d³ flops, linear in n

Throughout u_i are rows of U (P = U Uᵀ), b_i rows of B = diag(1/s) A.
"""
from libc.string cimport memset

from levinv._kernels.dense cimport (LARGE_ROWS, Rows, allocate, block_rows, describe, is_large,
                                    load, pack, pack_transposed, padded, rows_of, times,
                                    transform_by, whole_tiles, workspace_of)
from levinv._kernels.linalg cimport gemm, gemv
from levinv._kernels.tiles cimport TILE, tiles, tiles_free


def row_terms(const double[:, ::1] U, const double[:, ::1] B, const double[::1] scores,
              const double[::1] residual, Py_ssize_t first, Py_ssize_t last,
              double[:, :, ::1] out):
    """out[k - 1] += sum over first <= i < last of D_{i,k}, k = 1 ... 6.

    With q_i = P_i∘P_i and r_i the residual: D1 = 4 Bᵀq_i q_iᵀB, D2 = -4 (sigma_i + r_i) b_i q_iᵀB,
    D3 = D2ᵀ, D4 = (4 sigma_i² + 6 r_i sigma_i) b_i b_iᵀ, D5 = 8 r_i V_iᵀV_i with V_i =
    Uᵀdiag(P_i)B, D6 = -6 r_i Bᵀdiag(q_i)B.
    """
    cdef Py_ssize_t n = U.shape[0], k = U.shape[1], d = B.shape[1], i, l, a, b
    cdef double* workspace = allocate(n + d + n * d + k * d)
    cdef double* projection = workspace
    cdef double* squares = projection + n
    cdef double* weighted = squares + d
    cdef double* image = weighted + n * d
    cdef double p, second, fourth
    with nogil:
        for i in range(first, last):
            gemv(False, n, k, &U[0, 0], k, &U[i, 0], projection)
            for l in range(n):
                for a in range(d):
                    weighted[l * d + a] = projection[l] * B[l, a]
            gemm(k, d, n, 1.0, &U[0, 0], k, weighted, d, 0.0, image, d)
            gemm(d, d, k, 8.0 * residual[i], image, d, image, d, 1.0, &out[4, 0, 0], d)
            gemm(d, d, n, -6.0 * residual[i], weighted, d, weighted, d, 1.0, &out[5, 0, 0], d)
            for a in range(d):
                squares[a] = 0.0
            for l in range(n):
                p = projection[l]
                for a in range(d):
                    squares[a] = squares[a] + p * weighted[l * d + a]
            second = -4.0 * (scores[i] + residual[i])
            fourth = 4.0 * scores[i] * scores[i] + 6.0 * residual[i] * scores[i]
            for a in range(d):
                for b in range(d):
                    out[0, a, b] = out[0, a, b] + 4.0 * squares[a] * squares[b]
                    out[1, a, b] = out[1, a, b] + second * B[i, a] * squares[b]
                    out[2, a, b] = out[2, a, b] + second * squares[a] * B[i, b]
                    out[3, a, b] = out[3, a, b] + fourth * B[i, a] * B[i, b]
    tiles_free(workspace)


def short(const double[:, ::1] U, const double[:, ::1] B, const double[:, ::1] UK,
          const double[::1] residual, const double[::1] square_diagonal,
          const double[::1] curvature_diagonal, double[:, ::1] out):
    """out += 4 WᵀW + Bᵀ G B, a block of rows of P at a time.

    UK = U K_r, W = (Q - diag(sigma)) B and G = P∘(8 U K_r Uᵀ - 4 (r_i + r_l) P). The diagonals of
    Q - diag(sigma) and of G are given as ``square_diagonal`` and ``curvature_diagonal``, because
    the caller can compute them without cancellation.
    """
    cdef Py_ssize_t n = U.shape[0], k = U.shape[1], d = B.shape[1]
    cdef Py_ssize_t whole = whole_tiles(n), across = padded(n)
    cdef Py_ssize_t width = padded(k), columns = padded(d)
    cdef bint large = is_large(n, k)
    cdef Py_ssize_t step = block_rows(n, 2 * across + columns, LARGE_ROWS if large else 16)
    cdef Py_ssize_t first, count
    cdef Py_ssize_t i, l
    cdef double* u = allocate(2 * whole * width + k * across + n * columns + 2 * columns * columns
                              + step * (2 * across + columns))
    cdef double* turned = u + whole * width
    cdef double* transposed = turned + whole * width
    cdef double* packed = transposed + k * across
    cdef double* square = packed + n * columns
    cdef double* mixed = square + columns * columns
    cdef double* projection = mixed + columns * columns
    cdef double* curvature = projection + step * across
    cdef double* image = curvature + step * across
    cdef double p
    with nogil:
        pack(U, u, width)
        pack(UK, turned, width)
        for i in range(n * width, whole * width):
            u[i] = turned[i] = 0.0
        pack_transposed(U, transposed, across)
        pack(B, packed, columns)
        memset(square, 0, 2 * columns * columns * sizeof(double))
        for first from 0 <= first < n by step:
            count = min(step, n - first)
            times(large, u + first * width, width, whole_tiles(count), k, transposed, across,
                  projection)
            times(large, turned + first * width, width, whole_tiles(count), k, transposed, across,
                  curvature)
            for i in range(count):
                for l in range(n):
                    p = projection[i * across + l]
                    curvature[i * across + l] = p * (
                        8.0 * curvature[i * across + l]
                        - 4.0 * (residual[first + i] + residual[l]) * p)
                    projection[i * across + l] = 2.0 * p * p
                projection[i * across + first + i] = 2.0 * square_diagonal[first + i]
                curvature[i * across + first + i] = curvature_diagonal[first + i]
            times(large, projection, across, whole_tiles(count), n, packed, columns, image)
            tiles().gram(image, columns, image, columns, NULL, count, d, columns, square, NULL, 0)
            times(large, curvature, across, whole_tiles(count), n, packed, columns, image)
            if large:
                gemm(columns, columns, count, 1.0, packed + first * columns, columns, image,
                     columns, 1.0, mixed, columns)
            else:
                tiles().tn(packed + first * columns, columns, image, columns, count, mixed)
        for i in range(d):
            for l in range(d):
                out[i, l] += square[max(i, l) * columns + min(i, l)] + mixed[i * columns + l]
    tiles_free(u)


def tall(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
         const double[::1] inverse_slack, const double[:, ::1] forms, const double[::1] scores,
         const double[::1] residual, const double[::1] diagonal, double[:, ::1] out,
         double[:, ::1] cross):
    """out += 4 WᵀW + Bᵀ diag(diagonal) B and cross += Bᵀ diag(r) X, where X = Q B and W = X -
    diag(sigma) B.

    ``forms`` are third moments with off-diagonal pairs doubled. Rows of scale 0 take no part; their
    inverse slack has to be 0 as well.
    """
    cdef Rows rows = describe(A, scale)
    cdef Py_ssize_t k = rows.d if transform is None else transform.shape[1]
    cdef Py_ssize_t pairs = padded(forms.shape[0]), width = padded(rows.d), i, j
    cdef Py_ssize_t wide = 4 * width + padded(k) + pairs
    cdef Py_ssize_t step = block_rows(rows.n, wide, 32), first, count, whole
    cdef double* workspace = allocate(step * wide + TILE + pairs * width + 2 * width * width
                                      + workspace_of(transform))
    cdef double* product = workspace + step * width
    cdef double* scaled = product + step * padded(k)
    cdef double* image = scaled + step * width
    cdef double* weighted = image + step * width
    cdef double* products = weighted + step * width
    cdef double* packed = products + step * pairs + TILE
    cdef double* square = packed + pairs * width
    cdef double* mixed = square + width * width
    cdef const double* u
    with nogil:
        transform_by(&rows, transform, mixed + width * width)
        pack(forms, packed, width)
        memset(square, 0, 2 * width * width * sizeof(double))
        for first from 0 <= first < rows.n by step:
            count = min(step, rows.n - first)
            whole = whole_tiles(count)
            u = rows_of(&rows, first, count, workspace, product)
            tiles().pairs(u, padded(k), whole, k, pairs, products)
            load(&rows, &inverse_slack[0], first, count, scaled)
            tiles().nn(products, pairs, whole, forms.shape[0], packed, width, False,
                       image)
            for i in range(count):
                if scale[first + i] == 0.0:
                    for j in range(width):
                        image[i * width + j] = 0.0
            tiles().scaled(scaled, width, count, rows.d, &residual[first], width, weighted)
            tiles().tn(weighted, width, image, width, count, mixed)
            for i in range(count):
                for j in range(width):
                    image[i * width + j] = 2.0 * (image[i * width + j]
                                                  - scores[first + i] * scaled[i * width + j])
            tiles().gram(image, width, image, width, NULL, count, rows.d, width, square, NULL, 0)
            tiles().gram(scaled, width, scaled, width, &diagonal[first], count, rows.d, width,
                         square, NULL, 0)
        for i in range(rows.d):
            for j in range(rows.d):
                out[i, j] += square[max(i, j) * width + min(i, j)]
                cross[i, j] += mixed[i * width + j]
    tiles_free(workspace)
