"""Works of small calls: what a sampler or an optimiser does millions of times, in times of one
evaluation of the scores, and Forster's transform.
"""
import itertools
from types import SimpleNamespace

import numpy as np

from benchmarks import problems
from levinv import (
    LeverageMap,
    VolumetricBarrier,
    forster_weights,
    invert_scores,
    leverage_scores,
)

SLACKS = 1000
TOLERANCE = 1e-10       # of the scores of Forster's transform
HEAVY_TAILS = 1         # degrees of freedom of t for Forster's transform


def point_problem(n, d):
    A, b, x = problems.away_from_zero(n, d)
    return SimpleNamespace(A=A, b=b, x=x, slack=A @ x - b)


def slacks_problem(n, d):
    A, b, x = problems.polytope(n, d)
    factors = np.random.default_rng(0).uniform(0.5, 2.0, (SLACKS, n))
    return SimpleNamespace(A=A, slacks=factors * (A @ x - b))


def forster_problem(n, d):
    return SimpleNamespace(A=np.random.default_rng([n, d]).standard_t(HEAVY_TAILS, (n, d)))


def known_signs_problem(n, d):
    A, b, scores, signs, x = problems.inversion(n, d)
    return SimpleNamespace(A=A, b=b, scores=scores, signs=signs, x=x)


def one_evaluation(problem):
    slack = problem.A @ problem.x - problem.b
    return lambda: leverage_scores(problem.A, slack=slack, workers=problem.threads)


def _new_points(problem):
    """x and a point beside it alternately, so that nothing is known at the next one."""
    return itertools.cycle([problem.x, problem.x + 1e-9])


def map_scores(problem):
    forward, points = LeverageMap(problem.A, problem.b), _new_points(problem)
    return lambda: forward.scores(next(points))


def map_product(problem):
    forward = LeverageMap(problem.A, problem.b)
    forward.scores(problem.x)
    return lambda: forward.jvp(problem.x, problem.x)


def barrier_at_new_point(problem):
    barrier, points = VolumetricBarrier(problem.A, problem.b), _new_points(problem)
    return lambda: barrier.fun_grad_hess(next(points))


def slacks_together(problem):
    return lambda: leverage_scores(problem.A, slack=problem.slacks, workers=problem.threads)


def slacks_one_by_one(problem):
    return lambda: np.array([leverage_scores(problem.A, slack=slack) for slack in problem.slacks])


def polytopewalk_slacks(problem):
    """The Vaidya walk at x = 0 and b = slack has the scores plus d/n as weights."""
    from polytopewalk.dense import VaidyaWalk
    n, d = problem.A.shape
    walk, A, x = VaidyaWalk(), np.asfortranarray(problem.A), np.zeros(d)
    return lambda: np.array([walk.generateWeight(x, A, slack) for slack in problem.slacks]) - d / n


def known_slack_scores(problem):
    q = np.linalg.qr(problem.A / problem.slacks[:, :, None])[0]
    return (q * q).sum(axis=2)


def invert_with_signs(problem):
    return lambda: invert_scores(problem.A, problem.b, problem.scores, signs=problem.signs).x


def invert_without_signs(problem):
    return lambda: invert_scores(problem.A, problem.b, problem.scores, rng=0).x


def forster(problem):
    return lambda: forster_weights(problem.A, tol=TOLERANCE, workers=problem.threads)


def fixed_point(problem):
    """Tyler's iteration w_i = (d/n) / a_iᵀ (Aᵀ diag(w) A)⁻¹ a_i until the scores are d/n."""
    A = problem.A
    share = A.shape[1] / len(A)

    def call():
        weights = np.ones(len(A))
        while True:
            gram = A.T @ (weights[:, None] * A)
            forms = np.einsum("ij,ij->i", A @ np.linalg.inv(gram), A)
            if np.abs(weights * forms - share).max() <= TOLERANCE:
                return weights
            weights = share / forms

    return call


def statsmodels_tyler(problem):
    """``cov_tyler`` to the same accuracy of the scores; its weights from its matrix."""
    from statsmodels.robust.covariance import cov_tyler
    A = problem.A

    def weights(eps):
        matrix = cov_tyler(A, maxiter=10000, eps=eps).cov
        return 1.0 / np.einsum("ij,ij->i", A @ np.linalg.inv(matrix), A)

    eps = 1.0
    while not_isotropic(weights(eps), A) > TOLERANCE:
        eps /= 10.0
    return lambda: weights(eps)


def not_isotropic(weights, A):
    """The largest deviation of a score of diag(weights)^½ A from d/n."""
    q = np.linalg.qr(np.sqrt(weights)[:, None] * A)[0]
    return float(np.abs((q * q).sum(axis=1) - A.shape[1] / len(A)).max())
