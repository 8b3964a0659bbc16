"""Designs to measure on, and hard ones whose scores are known to 50 digits."""
import mpmath
import numpy as np


def design(n, d):
    """A Gaussian n x d matrix."""
    return np.random.default_rng(1).normal(size=(n, d))


def linear_model(n, d):
    """A, b and a point x of ordinary slacks, all Gaussian."""
    rng = np.random.default_rng(2)
    A, x = rng.normal(size=(n, d)), rng.normal(size=d)
    return A, A @ x - rng.normal(size=n), x


def conditioned(condition, n=200, d=6):
    """Condition number to order, the same for the columns scaled to unit norm up to a small
    factor.
    """
    rng = np.random.default_rng(3)
    u, v = (np.linalg.qr(rng.normal(size=(size, d)))[0] for size in (n, d))
    return u * np.geomspace(1.0, 1.0 / condition, d) @ v.T


def polynomial(degree=9, n=200):
    """A polynomial regression in the monomials, as first written down; condition number 4e6."""
    return np.vander(np.linspace(0.0, 1.0, n), degree + 1)


def graded(n=200, d=6):
    """Rows of norms between 1e-8 and 1e8, as near the boundary of a polytope."""
    rng = np.random.default_rng(4)
    return 10.0 ** rng.uniform(-8.0, 8.0, size=(n, 1)) * rng.normal(size=(n, d))


HARD = {
    "condition 10": conditioned(1e1),
    "condition 1e4": conditioned(1e4),
    "condition 1e7": conditioned(1e7),
    "condition 1e9": conditioned(1e9),
    "polynomial": polynomial(),
    "graded rows": graded(),
}


def known_scores(B, digits=50):
    """Leverage scores of full-rank B, right to double precision."""
    with mpmath.workdps(digits):
        exact = np.array([mpmath.mpf(float(entry)) for entry in B.ravel()],
                         dtype=object).reshape(B.shape)
        inverse = np.array((mpmath.matrix((exact.T @ exact).tolist()) ** -1).tolist(), dtype=object)
        return ((exact @ inverse.reshape(B.shape[1], -1)) * exact).sum(axis=1).astype(float)
