"""Subspaces for phase retrieval: rows weighted to be isotropic, and the spectral start."""
import numpy as np

from levinv._tolerances import EPS, FEW_ROUNDS, TINY
from levinv._typing import Floats


def isotropic(matrix: Floats) -> tuple[Floats, Floats]:
    """Row weights with scores close to equal, and an orthonormal basis of the weighted rows."""
    weight = np.ones(len(matrix))
    basis = range_basis(matrix)
    for _ in range(FEW_ROUNDS):
        scores = np.einsum("ij,ij->i", basis, basis)
        weight = weight / np.sqrt(np.maximum(scores, EPS))
        basis = range_basis(matrix * weight[:, None])
    return weight, basis


def range_basis(matrix: Floats) -> Floats:
    """An orthonormal basis of the range."""
    u, values, _ = np.linalg.svd(matrix, full_matrices=False)
    return np.ascontiguousarray(u[:, values > max(matrix.shape) * EPS * values[0]])


def spectral_start(basis: Floats, target: Floats) -> Floats:
    """The top eigenvector of sum (m_i/|v_i|²)² v_i v_iᵀ, where m_i are the magnitudes."""
    lengths = np.maximum(np.linalg.norm(basis, axis=1), TINY)
    rows = basis / lengths[:, None]
    with np.errstate(divide="ignore"):                 # squares of the quotients may overflow
        ratio = np.log(target) - np.log(lengths)
    weight = np.exp(2.0 * (ratio - ratio.max()))
    _, vectors = np.linalg.eigh((rows * weight[:, None]).T @ rows)
    return target * np.where(basis @ vectors[:, -1] >= 0, 1.0, -1.0)
