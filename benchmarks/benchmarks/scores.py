"""Leverage scores: levinv and the recipes that it replaces.

Findings:

- Calls of dgemm on blocks of rows are not faster than the fastest recipe, NumPy's inverse: they
  compute both halves of symmetric results. Tiles of the lower triangle that stay in registers take
  half of the time up to 100 columns, with OpenBLAS at AVX-512 too. From some 400 columns on BLAS-3
  in strips is as fast (benchmarks/crossovers.py prints where they cross on a machine).
- With tiles, the time depends on memory access. Below d of about 16, blocks must fit into the L1
  cache. Tiles that go across rows need prefetching: at 200000 x 40 it reduces a form from 10.4 to
  4.3 ms. Rows that are not scaled are read in place.
- At 100 x 5 the arithmetic takes one microsecond. The rest of the call takes longer.
"""
import numpy as np

from levinv import leverage_scores

from . import problems
from .recipes import numpy_inverse, numpy_qr, scipy_cholesky

SHAPES = [(100, 5), (2000, 20), (20000, 50), (200000, 20), (3000, 300)]


class Time:
    params = [SHAPES]
    param_names = ["shape"]

    def setup(self, shape):
        n, d = shape
        self.A = problems.design(n, d)
        self.slack = problems.slack(n)
        self.column_major = np.asfortranarray(self.A)
        side = round((n * d * d) ** (1 / 3))
        self.square = problems.design(side, side)

    def time_levinv(self, shape):
        leverage_scores(self.A)

    def time_levinv_slack(self, shape):
        leverage_scores(self.A, slack=self.slack)

    def time_levinv_column_major(self, shape):
        leverage_scores(self.column_major)

    def time_levinv_qr(self, shape):
        leverage_scores(self.A, method="qr")

    def time_scipy_cholesky(self, shape):
        scipy_cholesky(self.A)

    def time_numpy_inverse(self, shape):
        numpy_inverse(self.A)

    def time_numpy_qr(self, shape):
        numpy_qr(self.A)

    def time_floor(self, shape):
        """A product of square matrices with 2 n d² flops, as many as one full Gram matrix."""
        self.square @ self.square


class Accuracy:
    params = [list(problems.HARD)]
    param_names = ["problem"]
    unit = "largest error of a score"

    def setup(self, problem):
        self.B = problems.HARD[problem]
        self.known = problems.known_scores(self.B)

    def error(self, recipe):
        try:
            return float(np.abs(recipe(self.B) - self.known).max())
        except np.linalg.LinAlgError:
            return np.nan

    def track_levinv(self, problem):
        return self.error(leverage_scores)

    def track_levinv_qr(self, problem):
        return self.error(lambda B: leverage_scores(B, method="qr"))

    def track_scipy_cholesky(self, problem):
        return self.error(scipy_cholesky)

    def track_numpy_inverse(self, problem):
        return self.error(numpy_inverse)

    def track_numpy_qr(self, problem):
        return self.error(numpy_qr)


class Many:
    """One A, 1000 slacks: in one call, and in a call for each."""

    params = [[(20, 3), (100, 5), (100, 10), (200, 20), (500, 50)]]
    param_names = ["shape"]

    def setup(self, shape):
        self.A = problems.design(*shape)
        self.slacks = np.random.default_rng(0).uniform(0.5, 2.0, (1000, shape[0]))

    def time_together(self, shape):
        leverage_scores(self.A, slack=self.slacks)

    def time_one_by_one(self, shape):
        for slack in self.slacks:
            leverage_scores(self.A, slack=slack)
