"""Inversion: time, Newton steps, Laplacian products, success and error.

Findings:

- Stage 1 takes 8 to 14 Newton steps to full accuracy, for all data. Its cost is the cost of the
  products with the Laplacian: conjugate gradients need 40 to 80 in all, for n = 300 to 200 000. So
  the Laplacian is factored only if n is below about 8 d.
- With more rows full accuracy is not needed. If the signs are known, 0 to 3 steps (0 to 5 products)
  suffice for Gaussian and one-hot designs. Stage 4 then makes about ten steps of two evaluations.
- The inversion of 200 000 x 40 takes about 50 times the time of the scores. All passes over A
  together are about 30 Gram matrices and 30 quadratic forms.
- Stage 2 takes milliseconds on a subset of 8 (d + 1) rows.
"""
import numpy as np

from levinv import forster_weights, invert_scores
from levinv.inverse.stages import magnitudes

from . import problems


class Invert:
    """Whole inversions of problems with known x."""

    params = [[(60, 8), (442, 11), (300, 40), (20000, 20), (200000, 40)], [True, False]]
    param_names = ["shape", "signs known"]

    def setup(self, shape, known):
        self.A, self.b, self.scores, signs, self.x = problems.inversion(*shape)
        self.signs = signs if known else None

    def invert(self):
        return invert_scores(self.A, self.b, self.scores, signs=self.signs, rng=0)

    def time_invert(self, shape, known):
        self.invert()

    def track_error(self, shape, known):
        return float(np.linalg.norm(self.invert().x - self.x) / np.linalg.norm(self.x))

    def track_success(self, shape, known):
        return int(self.invert().success)

    def track_newton_steps(self, shape, known):
        return self.invert().evidence["scaling"]["iterations"]


class Solvers:
    """Where conjugate gradients become faster than a factored Laplacian in stage 1."""

    params = [["direct", "conjugate gradients"],
              [(100, 10), (200, 10), (400, 10), (200, 40), (400, 40), (800, 40)]]
    param_names = ["solver", "shape"]

    def setup(self, solver, shape):
        self.A, _, self.scores, _, _ = problems.inversion(*shape)
        self.before = magnitudes.DIRECT_ROWS, magnitudes.DIRECT_PER_RANK
        magnitudes.DIRECT_ROWS, magnitudes.DIRECT_PER_RANK = ((10 ** 6, 0) if solver == "direct"
                                                              else (0, 0))

    def teardown(self, solver, shape):
        magnitudes.DIRECT_ROWS, magnitudes.DIRECT_PER_RANK = self.before

    def time_forster_weights(self, solver, shape):
        forster_weights(self.A, self.scores)


class SignSearch:
    """The share of problems in which the signs are found, for n = 2.5 d."""

    params = [10, 20, 40]
    param_names = ["d"]
    timeout = 300

    def track_recovered(self, d):
        recovered = 0
        for seed in range(20):
            A, b, scores, _, x = problems.gaussian_inversion(5 * d // 2, d, seed)
            result = invert_scores(A, b, scores, rng=seed)
            recovered += np.linalg.norm(result.x - x) <= 1e-5 * np.linalg.norm(x)
        return recovered / 20
