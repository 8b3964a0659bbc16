"""Assembly of the loss's Hessian (see levinv.forward.second_order for the formulas).

    row_terms   the paper's six terms D_{i,1} ... D_{i,6}, summed over a range of rows i
    short       fused exact form, blocks of rows of P: O(n² d) flops
    tall        fused exact form, products u_a u_b against third moments: 2 n d³ flops, linear in n

Throughout u_i are rows of U (P = U Uᵀ), b_i rows of B = diag(1/s) A.
"""
from levinv._kernels.linalg cimport gemm, gemv
from levinv._kernels.dense cimport allocate, block_rows, load, row_products, rows_of

from libc.stdlib cimport free


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
            gemm(True, False, k, d, n, 1.0, &U[0, 0], k, weighted, d, 0.0, image, d)
            gemm(True, False, d, d, k, 8.0 * residual[i], image, d, image, d, 1.0, &out[4, 0, 0], d)
            gemm(True, False, d, d, n, -6.0 * residual[i], weighted, d, weighted, d, 1.0, &out[5, 0, 0], d)
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
    free(workspace)


def short(const double[:, ::1] U, const double[:, ::1] B, const double[:, ::1] UK,
          const double[::1] residual, const double[::1] square_diagonal,
          const double[::1] curvature_diagonal, double[:, ::1] out):
    """out += 4 WᵀW + Bᵀ G B, a block of rows of P at a time.

    UK = U K_r; W = (Q - diag(sigma)) B has the given ``square_diagonal`` in place of the diagonal
    of its matrix, and G = P∘(8 U K_r Uᵀ - 4 (r_i + r_l) P) the given ``curvature_diagonal``: both
    free of cancellation.
    """
    cdef Py_ssize_t n = U.shape[0], k = U.shape[1], d = B.shape[1]
    cdef Py_ssize_t step = block_rows(n, 2 * n), blocks, index, first, rows, i, l
    cdef double* workspace = allocate(2 * step * n + step * d)
    cdef double* projection = workspace
    cdef double* curvature = projection + step * n
    cdef double* image = curvature + step * n
    cdef double p
    with nogil:
        blocks = (n + step - 1) // step
        for index in range(blocks):
            first = index * step
            rows = min(step, n - first)
            gemm(False, True, rows, n, k, 1.0, &U[first, 0], k, &U[0, 0], k, 0.0, projection, n)
            gemm(False, True, rows, n, k, 8.0, &UK[first, 0], k, &U[0, 0], k, 0.0, curvature, n)
            for i in range(rows):
                for l in range(n):
                    p = projection[i * n + l]
                    curvature[i * n + l] = p * (curvature[i * n + l] - 4.0 * (residual[first + i] + residual[l]) * p)
                    projection[i * n + l] = p * p
                projection[i * n + first + i] = square_diagonal[first + i]
                curvature[i * n + first + i] = curvature_diagonal[first + i]
            gemm(False, False, rows, d, n, 1.0, projection, n, &B[0, 0], d, 0.0, image, d)
            gemm(True, False, d, d, rows, 4.0, image, d, image, d, 1.0, &out[0, 0], d)
            gemm(False, False, rows, d, n, 1.0, curvature, n, &B[0, 0], d, 0.0, image, d)
            gemm(True, False, d, d, rows, 1.0, &B[first, 0], d, image, d, 1.0, &out[0, 0], d)
    free(workspace)


def third_moments(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
                  const double[::1] inverse_slack, double[:, ::1] out):
    """out[(a, b), j] += sum_l u_la u_lb B_lj, a <= b."""
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], pairs = out.shape[0]
    cdef Py_ssize_t k = d if transform is None else transform.shape[1]
    cdef Py_ssize_t step = block_rows(n, 2 * d + k + pairs), blocks, index, first, rows
    cdef double* workspace = allocate(step * (2 * d + k + pairs))
    cdef double* product = workspace + step * d
    cdef double* products = product + step * k
    cdef double* scaled = products + step * pairs
    cdef const double* u
    with nogil:
        blocks = (n + step - 1) // step
        for index in range(blocks):
            first = index * step
            rows = min(step, n - first)
            u = rows_of(A, scale, transform, first, rows, workspace, product)
            row_products(u, rows, k, products)
            load(A, inverse_slack, first, rows, scaled)
            gemm(True, False, pairs, d, rows, 1.0, products, pairs, scaled, d, 1.0, &out[0, 0], d)
    free(workspace)


def tall(const double[:, :] A, const double[::1] scale, const double[:, ::1] transform,
         const double[::1] inverse_slack, const double[:, ::1] forms, const double[::1] scores,
         const double[::1] residual, const double[::1] diagonal, double[:, ::1] out,
         double[:, ::1] cross):
    """out += 4 WᵀW + Bᵀ diag(diagonal) B and cross += Bᵀ diag(r) X, where X = Q B and W = X -
    diag(sigma) B.

    ``forms`` are third moments with off-diagonal pairs doubled; rows of scale 0 take no part.
    """
    cdef Py_ssize_t n = A.shape[0], d = A.shape[1], pairs = forms.shape[0]
    cdef Py_ssize_t k = d if transform is None else transform.shape[1]
    cdef Py_ssize_t step = block_rows(n, 4 * d + k + pairs), blocks, index, first, rows, i, j
    cdef double* workspace = allocate(step * (4 * d + k + pairs))
    cdef double* product = workspace + step * d
    cdef double* products = product + step * k
    cdef double* scaled = products + step * pairs
    cdef double* image = scaled + step * d
    cdef double* weighted = image + step * d
    cdef const double* u
    with nogil:
        blocks = (n + step - 1) // step
        for index in range(blocks):
            first = index * step
            rows = min(step, n - first)
            u = rows_of(A, scale, transform, first, rows, workspace, product)
            row_products(u, rows, k, products)
            load(A, inverse_slack, first, rows, scaled)
            gemm(False, False, rows, d, pairs, 1.0, products, pairs, &forms[0, 0], d, 0.0, image, d)
            for i in range(rows):
                if inverse_slack[first + i] == 0.0:
                    for j in range(d):
                        image[i * d + j] = 0.0
                for j in range(d):
                    weighted[i * d + j] = residual[first + i] * scaled[i * d + j]
            gemm(True, False, d, d, rows, 1.0, weighted, d, image, d, 1.0, &cross[0, 0], d)
            for i in range(rows):
                for j in range(d):
                    weighted[i * d + j] = diagonal[first + i] * scaled[i * d + j]
                    image[i * d + j] = image[i * d + j] - scores[first + i] * scaled[i * d + j]
            gemm(True, False, d, d, rows, 4.0, image, d, image, d, 1.0, &out[0, 0], d)
            gemm(True, False, d, d, rows, 1.0, weighted, d, scaled, d, 1.0, &out[0, 0], d)
    free(workspace)
