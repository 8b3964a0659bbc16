"""The other libraries: for each kind of work, a function that makes the call to time.

A peer may do some work once for many calls: it compiles, or moves data to its own arrays. This is
done before the call that is timed. Each peer is imported where its calls are made, so that a
missing library can be left out.
"""
import dataclasses
import os
from collections.abc import Callable

import numpy as np
import scipy.optimize

from benchmarks import recipes
from levinv import ScoreLoss

from . import calls


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    distribution: str                   # the report states its version
    calls: dict[str, Callable]          # kind of work -> function of the problem -> call


def statsmodels_scores(problem):
    import statsmodels.api
    from statsmodels.stats.outliers_influence import OLSInfluence
    A = problem.A
    response = np.random.default_rng(0).standard_normal(len(A))
    return lambda: OLSInfluence(statsmodels.api.OLS(response, A).fit()).hat_matrix_diag


def polytopewalk_scores(problem):
    """The Vaidya walk in {A x <= b} has the scores plus d/n as weights.

    With x = 0 and b = 1 the rows of A are not scaled. polytopewalk uses column-major arrays.
    """
    from polytopewalk.dense import VaidyaWalk
    n, d = problem.A.shape
    walk, A, x, b = VaidyaWalk(), np.asfortranarray(problem.A), np.zeros(d), np.ones(n)
    return lambda: walk.generateWeight(x, A, b) - d / n


def pylspack_scores(problem):
    from pylspack.leverage_scores import ls_via_inv_gram
    return lambda: ls_via_inv_gram(problem.A)


def import_jax(threads):
    if threads == 1:
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false "
                                           "intra_op_parallelism_threads=1")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    jax.config.update("jax_enable_x64", True)
    return jax


def jax_call(problem, function, *arguments):
    """A compiled call with its arguments on the device. The first call compiles it."""
    jax = import_jax(problem.threads)
    jitted = jax.jit(function)
    arguments = [jax.numpy.asarray(argument) for argument in arguments]
    return lambda: jax.block_until_ready(jitted(*arguments))


def jax_inverse(A):
    import jax.numpy as jnp
    return jnp.einsum("ij,ij->i", A @ jnp.linalg.inv(A.T @ A), A)


def jax_cholesky(A):
    import jax
    factor = jax.numpy.linalg.cholesky(A.T @ A)
    return (jax.scipy.linalg.solve_triangular(factor, A.T, lower=True) ** 2).sum(axis=0)


def jax_loss(x, A, b, scores):
    return 0.5 * ((jax_inverse(A / (A @ x - b)[:, None]) - scores) ** 2).sum()


def jax_derivative(problem, name):
    jax = import_jax(problem.threads)
    return jax_call(problem, getattr(jax, name)(jax_loss), problem.x, problem.A, problem.b,
                    problem.scores)


def jax_gradient(problem):
    both = jax_derivative(problem, "value_and_grad")
    return lambda: both()[1]


def firthmodels_fit(problem):
    """Fisher scoring. The first column of A is the intercept."""
    from firthmodels import FirthLogisticRegression
    columns = np.ascontiguousarray(problem.A[:, 1:])

    def call():
        model = FirthLogisticRegression(gtol=problem.gtol, xtol=problem.xtol, max_iter=200)
        model.fit(columns, problem.y)
        return np.append(model.intercept_, model.coef_)

    return call


def least_squares(problem, starts, exact):
    """The best result of SciPy's trust-region reflective method from random starting points."""
    def invert(A, b, scores, seed):
        loss = ScoreLoss(A, b, scores)
        rng = np.random.default_rng(seed)
        found = [scipy.optimize.least_squares(
                     loss.residuals, rng.standard_normal(A.shape[1]), method="trf",
                     jac=loss.residuals_jac if exact else "2-point")
                 for _ in range(starts)]
        return min(found, key=lambda result: result.cost).x

    return lambda: np.array([invert(A, b, scores, seed)
                             for seed, (A, b, scores) in enumerate(problem.many)])


PEERS = [
    Peer("SciPy Cholesky", "scipy",
         {"scores": lambda problem: lambda: recipes.scipy_cholesky(problem.A)}),
    Peer("NumPy inverse", "numpy",
         {"scores": lambda problem: lambda: recipes.numpy_inverse(problem.A)}),
    Peer("NumPy QR", "numpy", {"scores": lambda problem: lambda: recipes.numpy_qr(problem.A)}),
    Peer("statsmodels", "statsmodels",
         {"scores": statsmodels_scores, "forster": calls.statsmodels_tyler}),
    Peer("polytopewalk", "polytopewalk",
         {"scores": polytopewalk_scores, "slacks": calls.polytopewalk_slacks}),
    Peer("pylspack", "pylspack", {"scores": pylspack_scores}),
    Peer("JAX inverse", "jax", {
        "scores": lambda problem: jax_call(problem, jax_inverse, problem.A),
        "hessian": lambda problem: jax_derivative(problem, "hessian"),
        "gradient": jax_gradient}),
    Peer("firthmodels", "firthmodels", {"firth": firthmodels_fit}),
    Peer("JAX Cholesky", "jax",
         {"scores": lambda problem: jax_call(problem, jax_cholesky, problem.A)}),
    *(Peer(f"least_squares, {jacobian} Jacobian, {starts} start{'s' * (starts > 1)}", "scipy",
           {"inversion": lambda problem, starts=starts, exact=exact:
                         least_squares(problem, starts, exact)})
      for exact, jacobian in ((True, "levinv's"), (False, "its own")) for starts in (1, 10)),
]
