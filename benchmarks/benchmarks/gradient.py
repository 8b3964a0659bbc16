"""Gradient inversion: time, Newton steps, and the error of the sub-sampled Hessian against the
sample size.

Findings:

- Newton takes 6 to 14 steps from the centre of the largest ball to a random point. Each step takes
  at most 13 iterations of conjugate gradients. The linear program that finds the centre takes as
  long as the steps together.
- A factored Hessian is faster up to d of about 8, for all n.
- The error of the sub-sampled Hessian is 1.1 to 1.9 times √(d log d / k). It is smaller if k is not
  small compared with n. With 10 d log d rows, the method takes at most four more steps than with
  the exact Hessian.
"""
import numpy as np

from levinv import GradientLoss, VolumetricBarrier, invert_gradient
from levinv.forward.barrier import FullRankMap
from levinv.inverse.barrier_gradient import newton, subsampled
from levinv.inverse.barrier_gradient.problem import Problem, evaluate
from levinv.inverse.result import Progress

from . import problems


class Invert:
    """Whole inversions of problems with known x; a linear program finds the starting point."""

    params = [[(60, 5), (600, 20), (2000, 30), (20000, 20)],
              ["newton", "approximate-newton", "least-squares"]]
    param_names = ["shape", "method"]

    def setup(self, shape, method):
        self.A, self.b, self.x = problems.polytope(*shape)
        self.g = VolumetricBarrier(self.A, self.b).grad(self.x)

    def invert(self, method):
        return invert_gradient(self.A, self.b, self.g, signs=1, method=method, rng=0)

    def time_invert(self, shape, method):
        self.invert(method)

    def track_success(self, shape, method):
        return int(self.invert(method).success)

    def track_newton_steps(self, shape, method):
        return self.invert(method).nit

    def track_cg_iterations(self, shape, method):
        return sum(step.get("cg_iterations", 0) for step in self.invert(method).evidence["steps"])

    def track_error(self, shape, method):
        return float(np.linalg.norm(self.invert(method).x - self.x) / np.linalg.norm(self.x))


class Derivatives:
    """The barrier and the objective of 2408.11267 at a point."""

    params = [[(2000, 10), (2000, 30), (20000, 20)], ["grad", "hess", "hessp"]]
    param_names = ["shape", "what"]

    def setup(self, shape, what):
        self.A, self.b, self.x = problems.polytope(*shape)
        self.barrier = VolumetricBarrier(self.A, self.b)
        self.loss = GradientLoss(self.A, self.b, np.zeros(shape[1]))
        self.given = (self.x, self.x) if what == "hessp" else (self.x,)
        for objective in self.barrier, self.loss:        # the objective keeps the projection at x
            objective.grad(self.x)

    def time_barrier(self, shape, what):
        getattr(self.barrier, what)(*self.given)

    def time_loss(self, shape, what):
        getattr(self.loss, what)(*self.given)


class Direction:
    """One Newton direction: factored Hessian, conjugate gradients, sub-sampled Hessian."""

    params = [["direct", "conjugate gradients", "sub-sampled"],
              [(2000, 5), (2000, 10), (2000, 20), (2000, 50), (20000, 20)]]
    param_names = ["solver", "shape"]

    def setup(self, solver, shape):
        A, b, x = problems.polytope(*shape)
        self.state = state_at(A, b, x)
        self.before = newton.DIRECT_DIMENSION
        newton.DIRECT_DIMENSION = shape[1] if solver == "direct" else 0
        self.solve = newton.newton_direction
        if solver == "sub-sampled":
            size = subsampled.default_size(shape[1])
            self.solve = subsampled.sampling_direction(size, np.random.default_rng(0))

    def teardown(self, solver, shape):
        newton.DIRECT_DIMENSION = self.before

    def time_direction(self, solver, shape):
        self.solve(self.state)


class SampleSize:
    """Error of the sub-sampled Hessian, over √(d log d / k): it should not depend on k."""

    params = [[5, 20], [120, 240, 480, 960, 1920]]
    param_names = ["d", "k"]

    def setup(self, d, k):
        self.state = state_at(*problems.away_from_zero(20000, d))

    def track_spectral_error(self, d, k):
        rng, exact = np.random.default_rng(1), self.state.hessian()
        samples = [subsampled.subsampled_hessian(self.state, k, rng)[0] for _ in range(20)]
        return float(np.mean([subsampled.spectral_error(sample, exact) for sample in samples]))

    def track_ratio_to_the_law(self, d, k):
        return self.track_spectral_error(d, k) / np.sqrt(d * np.log(d) / k)


def state_at(A, b, x):
    """The state of the solver at x, for the gradient 0."""
    n, d = A.shape
    problem = Problem(FullRankMap(A, b), b, np.zeros(d), np.sign(A @ x - b), np.ones(n, dtype=bool),
                      np.zeros(n), 1e-10, 100)
    return evaluate(problem, x, Progress(None, np.random.default_rng(0)))
