"""The definitions, literally: slow, n x n, nothing shared with the library.

Arrays of floats are computed in double precision, arrays of mpmath numbers (``exact``) with the digits of
``mpmath.mp``; the formulas are the same.
"""
import mpmath
import numpy as np


def exact(array):
    """The same numbers as mpmath numbers; doubles convert without error."""
    array = np.asarray(array)
    return np.array([mpmath.mpf(float(value)) for value in array.ravel()], dtype=object).reshape(array.shape)


def inverse(matrix):
    if matrix.dtype != object:
        return np.linalg.inv(matrix)
    return np.array((mpmath.matrix(matrix.tolist()) ** -1).tolist(), dtype=object).reshape(matrix.shape)


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
    """Largest error of the entries of ``found``, relative to each (``expected`` may be exact numbers)."""
    errors = np.abs(exact(found) - expected)
    sizes = np.abs(expected)
    return max(float(error / size) if size else float(error > 0) * np.inf
               for error, size in zip(errors.ravel(), sizes.ravel(), strict=True))
