"""The loss: value, gradient, Hessian and Hessian products, at a new point or at the last one.

Findings:

- The tall form makes two passes over the rows. It forms the products u_a u_b in cache, block by
  block. Each pass is one product of d(d+1)/2 x d in register tiles.
- The short form uses blocks of rows of P. It is cheaper below n of about 0.4 d² (0.55 d² at d = 20,
  0.35 d² at d = 80). At 200 x 40 it is seven times as fast.
- In A's own columns, without the transform to an orthonormal basis, a Gram matrix or a form takes
  half the time. A product with a vector needs three Gram matrices and two forms.
"""
import timeit

import numpy as np

from levinv import ScoreLoss
from levinv.forward.score_hessian import ScoreHessian

from . import problems


class Loss:
    params = [[(100, 40), (2000, 20), (2000, 50), (20000, 50)]]
    param_names = ["shape"]

    def setup(self, shape):
        A, b, scores, self.x = problems.loss(*shape)
        self.loss = ScoreLoss(A, b, scores)
        self.elsewhere = self.x + 1e-9
        self.loss.hess(self.x)

    def new_point(self):
        """The loss keeps the results of its last point. So two points alternate."""
        self.x, self.elsewhere = self.elsewhere, self.x
        return self.x

    def time_fun_at_a_new_point(self, shape):
        self.loss.fun(self.new_point())

    def time_fun_and_grad_at_a_new_point(self, shape):
        self.loss.fun_and_grad(self.new_point())

    def time_hess_at_a_new_point(self, shape):
        self.loss.hess(self.new_point())

    def time_hessp_at_a_new_point(self, shape):
        self.loss.hessp(self.new_point(), self.x)

    def time_grad(self, shape):
        self.loss.grad(self.x)

    def time_hess(self, shape):
        self.loss.hess(self.x)

    def time_hessp(self, shape):
        self.loss.hessp(self.x, self.x)

    def track_hess_over_floor(self, shape):
        """Time of the Hessian over the time of 2 n d³ flops in products of square matrices."""
        n, d = shape
        side = min(round((n * d ** 3) ** (1 / 3)), 3000)
        square = np.ones((side, side))
        floor = min(timeit.repeat(lambda: square @ square, number=1, repeat=3))
        took = min(timeit.repeat(lambda: self.loss.hess(self.x), number=1, repeat=5))
        return took / (floor * n * d ** 3 / side ** 3)


class Accuracy:
    """Largest error against the formula with n x n matrices, relative to the largest entry."""

    params = [[(100, 40), (2000, 20)]]
    param_names = ["shape"]

    def setup(self, shape):
        A, b, scores, self.x = problems.loss(*shape)
        self.loss = ScoreLoss(A, b, scores)
        self.known = problems.known_hessian(A, b, scores, self.x)

    def error(self, found):
        return float(np.abs(found - self.known).max() / np.abs(self.known).max())

    def track_hess(self, shape):
        return self.error(self.loss.hess(self.x))

    def track_hessp(self, shape):
        return self.error(np.column_stack([self.loss.hessp(self.x, p) for p in np.eye(shape[1])]))


class Forms:
    """Where the short form of the Hessian becomes slower than the tall form."""

    params = [["short", "tall"], [(50, 20), (100, 20), (200, 20), (400, 20), (200, 40), (800, 40)]]
    param_names = ["form", "shape"]

    def setup(self, form, shape):
        A, b, scores, x = problems.loss(*shape)
        self.form = getattr(ScoreHessian, f"_{form}")
        self.at = ScoreLoss(A, b, scores)._score_hessian(x)

    def time_hess(self, form, shape):
        self.form(self.at)
