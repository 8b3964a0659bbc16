"""Derivatives of the scores: products with the Jacobian and its transpose, the Jacobian itself."""
import itertools

import numpy as np

from levinv import LeverageMap

from . import problems


class Time:
    params = [[(100, 5), (2000, 20), (20000, 50), (200000, 20), (3000, 300)]]
    param_names = ["shape"]

    def setup(self, shape):
        n, d = shape
        self.A, self.b, self.x = problems.linear_model(n, d)
        self.leverage = LeverageMap(self.A, self.b)
        # The map keeps the results of its last point. So two points alternate.
        self.points = itertools.cycle([1.01 * self.x, self.x])
        rng = np.random.default_rng(0)
        self.v, self.y = rng.normal(size=d), rng.normal(size=n)
        self.leverage.scores(self.x)

    def time_map(self, shape):
        LeverageMap(self.A, self.b)

    def time_scores_at_a_new_point(self, shape):
        self.leverage.scores(next(self.points))

    def time_scores_and_vjp_at_a_new_point(self, shape):
        x = next(self.points)
        self.leverage.scores(x)
        self.leverage.vjp(x, self.y)

    def time_jvp(self, shape):
        self.leverage.jvp(self.x, self.v)

    def time_vjp(self, shape):
        self.leverage.vjp(self.x, self.y)

    def time_jacobian(self, shape):
        self.leverage.jacobian(self.x)

    def peakmem_jacobian(self, shape):
        self.leverage.jacobian(self.x)


class Formula:
    """Sizes at which n x n matrices are affordable. Each call builds a new map."""

    params = [[(100, 5), (1000, 20), (300, 100), (3000, 20)]]
    param_names = ["shape"]

    def setup(self, shape):
        self.A, self.b, self.x = problems.linear_model(*shape)

    def time_levinv(self, shape):
        LeverageMap(self.A, self.b).jacobian(self.x)

    def time_formula(self, shape):
        problems.known_jacobian(self.A, self.b, self.x)

    def track_error(self, shape):
        """Largest error of an entry against the formula, relative to the largest entry."""
        known = problems.known_jacobian(self.A, self.b, self.x)
        found = LeverageMap(self.A, self.b).jacobian(self.x)
        return float(np.abs(found - known).max() / np.abs(known).max())
