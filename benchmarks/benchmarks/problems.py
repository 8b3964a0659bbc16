"""The problems of all benchmarks, with their answers.

An answer is x, or scores to 50 digits, or a formula with n x n matrices that shares no code with
levinv.
"""
import mpmath
import numpy as np
from scipy.special import expit

from levinv import leverage_scores

FIRTH_STEP = 2.0        # largest change of a coefficient in a step of Fisher scoring


def design(n, d):
    """A Gaussian n x d matrix."""
    return np.random.default_rng(1).normal(size=(n, d))


def slack(n):
    """Slacks of one magnitude."""
    return np.random.default_rng(0).uniform(0.5, 2.0, size=n)


def linear_model(n, d):
    """A, b and a point x; A, x and the slacks are Gaussian."""
    rng = np.random.default_rng(2)
    A, x = rng.normal(size=(n, d)), rng.normal(size=d)
    return A, A @ x - rng.normal(size=n), x


def loss(n, d):
    """A, b, targets and a point x at which the residuals are as large as the scores."""
    rng = np.random.default_rng(n)
    A, x = design(n, d), rng.standard_normal(d)
    signed = rng.choice([-1.0, 1.0], n) * rng.uniform(0.5, 2.0, n)
    return A, A @ x - signed, rng.random(n) * d / n, x


def inversion(n, d, seed=0):
    """A, b, the scores and signs at a point x, and x; slacks are exponential with random signs."""
    rng = np.random.default_rng([seed, n, d])
    A, x = rng.standard_normal((n, d)), rng.standard_normal(d)
    signs = rng.choice([-1.0, 1.0], n)
    slack = rng.exponential(size=n) * signs
    return A, A @ x - slack, leverage_scores(A, slack=slack), signs, x


def gaussian_inversion(n, d, seed):
    """Like :func:`inversion`, with Gaussian b, as in the literature on phase retrieval."""
    rng = np.random.default_rng([seed, d])
    A, b, x = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
    slack = A @ x - b
    return A, b, leverage_scores(A, slack=slack), np.sign(slack), x


def separated(n, d):
    """A design whose first column is 1, and responses that the last column separates: it is 1 in a
    few rows, whose response is 1 each time. Maximum likelihood diverges.
    """
    rng = np.random.default_rng([n, d])
    A = np.column_stack([np.ones(n), rng.standard_normal((n, d - 1))])
    y = (rng.random(n) < expit(A @ rng.standard_normal(d) * 2.0 / np.sqrt(d))).astype(float)
    A[:, -1] = 0.0
    A[np.flatnonzero(y)[:max(3, n // 50)], -1] = 1.0
    return A, y


def known_firth(A, y):
    """The coefficients of Firth's logistic regression: Fisher scoring with an inverse in NumPy."""
    x = np.zeros(A.shape[1])
    while True:
        p = expit(A @ x)
        w = p * (1.0 - p)
        inverse = np.linalg.inv(A.T @ (w[:, None] * A))
        hat = w * np.einsum("ij,ij->i", A @ inverse, A)
        step = inverse @ (A.T @ (y - p + hat * (0.5 - p)))
        x = x + step / max(1.0, np.abs(step).max() / FIRTH_STEP)
        if np.abs(step).max() <= 1e-12 * np.abs(x).max():
            return x


def many(count, n, d):
    """A, b, x, scores and signs of the slacks of Gaussian problems, stacked."""
    rng = np.random.default_rng([n, d])
    A, b = rng.standard_normal((count, n, d)), rng.standard_normal((count, n))
    x = rng.standard_normal((count, d))
    slack = np.einsum("kij,kj->ki", A, x) - b
    return A, b, x, leverage_scores(A, slack=slack), np.sign(slack)


def polytope(n, d):
    """A, b and a point inside {A x > b}; slacks are exponential."""
    rng = np.random.default_rng([n, d])
    A, x = rng.standard_normal((n, d)), rng.standard_normal(d)
    return A, A @ x - rng.exponential(size=n), x


def away_from_zero(n, d):
    """A, b and x = 0; all slacks are between 1 and 2."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)), -rng.uniform(1.0, 2.0, n), np.zeros(d)


def conditioned(condition, n=200, d=6):
    """A matrix with a given condition number.

    It changes by a small factor only when the columns are scaled to unit norm.
    """
    rng = np.random.default_rng(3)
    u, v = (np.linalg.qr(rng.normal(size=(size, d)))[0] for size in (n, d))
    return u * np.geomspace(1.0, 1.0 / condition, d) @ v.T


def polynomial(degree=9, n=200):
    """A polynomial regression in the monomials; its condition number is 4e6."""
    return np.vander(np.linspace(0.0, 1.0, n), degree + 1)


def graded(n=200, d=6):
    """Rows with norms between 1e-8 and 1e8, as near the boundary of a polytope."""
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
    """Leverage scores of B, which has full rank, correct to double precision."""
    with mpmath.workdps(digits):
        exact = np.array([mpmath.mpf(float(entry)) for entry in B.ravel()],
                         dtype=object).reshape(B.shape)
        inverse = np.array((mpmath.matrix((exact.T @ exact).tolist()) ** -1).tolist(), dtype=object)
        return ((exact @ inverse.reshape(B.shape[1], -1)) * exact).sum(axis=1).astype(float)


def projection(B):
    """The projection P, n x n, by Householder QR."""
    q = np.linalg.qr(B)[0]
    return q @ q.T


def known_jacobian(A, b, x):
    """The Jacobian of the scores, 2 (P∘P - diag sigma) B."""
    B = A / (A @ x - b)[:, None]
    P = projection(B)
    return 2.0 * (P * P - np.diag(np.diag(P))) @ B


def known_hessian(A, b, scores, x):
    """Hessian of ½|sigma(x) - c|², as printed at the top of levinv.forward.score_hessian."""
    B = A / (A @ x - b)[:, None]
    P = projection(B)
    Q, sigma = P * P, np.diag(P)
    r = sigma - scores
    G = 8.0 * P * ((P * r) @ P) - 4.0 * (r[:, None] + r) * Q
    G[np.diag_indices_from(G)] += 6.0 * (r * sigma - Q @ r)
    J = 2.0 * (Q - np.diag(sigma)) @ B
    return J.T @ J + B.T @ G @ B


def known_gradient(A, b, scores, x):
    """Gradient of ½|sigma(x) - c|², 2 Bᵀ (Q - diag sigma) r, with U from Householder QR:
    (Q r)_i = u_iᵀ (Uᵀ diag(r) U) u_i.
    """
    B = A / (A @ x - b)[:, None]
    u = np.linalg.qr(B)[0]
    sigma = (u * u).sum(axis=1)
    r = sigma - scores
    product = ((u @ (u.T @ (r[:, None] * u))) * u).sum(axis=1)
    return 2.0 * B.T @ (product - sigma * r)
