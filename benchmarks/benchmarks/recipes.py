"""Leverage scores as users write them without levinv."""
import numpy as np
import scipy.linalg


def scipy_cholesky(B):
    factor = scipy.linalg.cholesky(B.T @ B, lower=True, check_finite=False)
    whitened = scipy.linalg.solve_triangular(factor, B.T, lower=True, check_finite=False)
    return (whitened ** 2).sum(axis=0)


def numpy_inverse(B):
    return np.einsum("ij,ij->i", B @ np.linalg.inv(B.T @ B), B)


def numpy_qr(B):
    return (np.linalg.qr(B)[0] ** 2).sum(axis=1)
