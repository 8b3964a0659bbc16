"""The definitions, literally: slow, n x n, nothing shared with the library.

Arrays of floats are computed in double precision, arrays of mpmath numbers (``exact``) with the
digits of ``mpmath.mp``; the formulas are the same.
"""
import itertools

import mpmath
import numpy as np
import scipy.linalg


def exact(array):
    """The same numbers as mpmath numbers; doubles convert without error."""
    array = np.asarray(array)
    return np.array([mpmath.mpf(float(value)) for value in array.ravel()],
                    dtype=object).reshape(array.shape)


def inverse(matrix):
    if matrix.dtype != object:
        return np.linalg.inv(matrix)
    return np.array((mpmath.matrix(matrix.tolist()) ** -1).tolist(),
                    dtype=object).reshape(matrix.shape)


def projection(B):
    """P = B (BᵀB)⁻¹ Bᵀ."""
    return B @ inverse(B.T @ B) @ B.T


def scores(B):
    return np.diag(projection(B)).copy()


def svd_scores(B, rank):
    """Scores of the column space of a matrix of known rank."""
    return (np.linalg.svd(B, full_matrices=False)[0][:, :rank] ** 2).sum(axis=1)


def jacobian(A, slack):
    """2 (P∘P - diag σ) B for B = diag(1/slack) A."""
    B = A / slack[:, None]
    P = projection(B)
    return 2 * (P * P - np.diag(np.diag(P))) @ B


def limit_at_zero_slack(A, slack):
    """Scores and Jacobian as floats, zeros in the slack approached to within 1e-200."""
    with mpmath.workdps(1100):
        A, slack = exact(A), exact(slack)
        slack[slack == 0] = mpmath.mpf(10) ** -200
        return scores(A / slack[:, None]).astype(float), jacobian(A, slack).astype(float)


def central_difference(function, x, direction, step):
    """Derivative of ``function`` at x along ``direction``, error O(step⁴)."""
    def slope(h):
        return (function(x + h * direction) - function(x - h * direction)) / (2 * h)

    return (4 * slope(step) - slope(2 * step)) / 3


def worst_relative_error(found, expected):
    """Largest error of the entries of ``found``, relative to each (``expected`` may be exact
    numbers).
    """
    errors = np.abs(exact(found) - expected)
    sizes = np.abs(expected)
    return max(float(error / size) if size else float(error > 0) * np.inf
               for error, size in zip(errors.ravel(), sizes.ravel(), strict=True))


def row_components(A):
    """Label of each row's component, -1 for zero rows: reachability in the nonzeros of A
    A_basis⁻¹.
    """
    n, d = A.shape
    basis = scipy.linalg.qr(A.T, pivoting=True, mode="r")[1][:d]
    tableau = np.abs(A @ np.linalg.inv(A[basis]))
    pattern = tableau > 1e-9 * tableau.max(axis=1, keepdims=True)
    label = np.full(n, -1)
    for i in np.flatnonzero(A.any(axis=1)):
        if label[i] < 0:
            reached = np.arange(n) == i
            while True:
                wider = (pattern & pattern[reached].any(axis=0)).any(axis=1)
                if wider[reached].all() and wider.sum() == reached.sum():
                    break
                reached |= wider
            label[reached] = label.max() + 1
    return label


def unique_by_enumeration(A, b, x):
    """Enumerate the signs: is x the only point whose slack has these magnitudes up to scale on each
    component?

    A has full column rank.
    """
    n, d = A.shape
    label = row_components(A)
    slack = A @ x - b
    if (np.bincount(label[label >= 0]) == 1).any():
        return False
    for c in range(label.max() + 1):
        rows = np.flatnonzero(label == c)
        magnitude = np.abs(slack[rows])
        solutions = []
        for signs in itertools.product((1.0, -1.0), repeat=len(rows)):
            # A x - κ ε m = b on the component; κ > 0
            system = np.column_stack([A[rows], -magnitude * signs])
            values = np.linalg.svd(system, compute_uv=False)
            rank = int((values > 1e-9 * values[0]).sum())
            y = np.linalg.lstsq(system, b[rows], rcond=1e-9)[0]
            if np.linalg.norm(system @ y - b[rows]) > 1e-8 * max(1.0, np.linalg.norm(b[rows])):
                continue
            if rank < np.linalg.matrix_rank(A[rows]) + 1:
                return False                     # the scale is free
            if y[-1] > 1e-9:
                solutions.append(A[rows] @ y[:d] - b[rows])
        if any(np.linalg.norm(s - solutions[0]) > 1e-7 * np.linalg.norm(solutions[0])
               for s in solutions):
            return False
    return True


def other_solutions(A, b, x):
    """All other x whose slack has the magnitudes of that of x up to a factor, (k, d), and the
    number of those at infinity: all signs of as many rows as [A b] has columns.
    """
    M, slack = np.column_stack([A, b]), A @ x - b
    rows = []
    for i in range(len(M)):
        if np.linalg.matrix_rank(M[[*rows, i]]) > len(rows):
            rows.append(i)
    assert len(rows) == M.shape[1]
    signs = np.array([(1.0, *rest) for rest in itertools.product((1.0, -1.0),
                                                                 repeat=len(rows) - 1)])
    z = np.linalg.solve(M[rows], (signs * slack[rows]).T).T
    z = z[np.all(np.abs(np.abs(z @ M.T) - np.abs(slack)) <= 1e-7 * np.abs(slack), axis=1)]
    far = np.abs(z[:, -1]) <= 1e-8 * np.linalg.norm(z, axis=1)
    found = -z[~far, :-1] / z[~far, -1:]
    away = np.linalg.norm(found - x, axis=1) > 1e-6 * (1.0 + np.linalg.norm(x))
    return found[away], int(far.sum())


def loss_hessian_terms(A, slack, c, row):
    """D_{i,1} ... D_{i,6} of the loss's Hessian for one row i, n x n matrices throughout."""
    B = A / slack[:, None]
    P = projection(B)
    sigma = np.diag(P)[row]
    r = sigma - c[row]
    q = (P[row] ** 2)[:, None]
    b = B[row][:, None]
    diag = np.diag(P[row])
    second = -(4 * sigma + 4 * r) * b @ q.T @ B
    return np.array([4 * B.T @ q @ q.T @ B, second, second.T,
                     (4 * sigma ** 2 + 6 * r * sigma) * b @ b.T,
                     8 * r * B.T @ diag @ P @ diag @ B, -6 * r * B.T @ np.diag(P[row] ** 2) @ B])
