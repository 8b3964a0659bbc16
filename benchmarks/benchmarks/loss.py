"""The loss: value, gradient, Hessian and products with it, at a point that is new or remembered.

What was learned. Products u_a u_b are formed in cache, block by block, and each of the two passes
is one GEMM of d(d+1)/2 x d: the tall form stays within about twice the 2 n d³ flops of a square
product (2000 x 20: 2.2x, 2000 x 50: 1.9x, one thread). Below n of about d²/4 blocks of rows of P
are cheaper (100 x 40: ten times).
"""
import numpy as np

from levinv import ScoreLoss
from levinv.forward.second_order import SecondOrder

from . import problems


class Loss:
    params = [[(100, 40), (2000, 20), (2000, 50), (20000, 50)]]
    param_names = ["shape"]

    def setup(self, shape):
        n, d = shape
        rng = np.random.default_rng(n)
        A = problems.design(n, d)
        self.x = rng.standard_normal(d)
        slack = rng.choice([-1.0, 1.0], n) * rng.uniform(0.5, 2.0, n)
        self.loss = ScoreLoss(A, A @ self.x - slack, rng.random(n) * d / n)
        self.elsewhere = self.x + 1e-9
        self.loss.hess(self.x)
        side = round((n * d ** 3) ** (1 / 3))
        self.square = np.ones((min(side, 3000),) * 2)
        self.parts = (n * d ** 3) / len(self.square) ** 3

    def time_fun_and_grad_at_a_new_point(self, shape):
        self.x, self.elsewhere = self.elsewhere, self.x
        self.loss.fun_and_grad(self.x)

    def time_grad(self, shape):
        self.loss.grad(self.x)

    def time_hessp(self, shape):
        self.loss.hessp(self.x, self.x)

    def time_hess(self, shape):
        self.loss.hess(self.x)

    def track_hess_over_floor(self, shape):
        """Time of the Hessian over that of 2 n d³ flops in square products."""
        import timeit
        floor = (min(timeit.repeat(lambda: self.square @ self.square, number=1, repeat=3))
                 * self.parts)
        return min(timeit.repeat(lambda: self.loss.hess(self.x), number=1, repeat=5)) / floor


class Forms:
    """The crossover of the two forms."""

    params = [["short", "tall"], [(50, 20), (100, 20), (200, 20), (400, 20), (200, 40), (800, 40)]]
    param_names = ["form", "shape"]

    def setup(self, form, shape):
        Loss.setup(self, shape)
        self.form = getattr(SecondOrder, f"_{form}")
        self.at = self.loss._second_order(self.x)

    def time_hess(self, form, shape):
        self.form(self.at)
