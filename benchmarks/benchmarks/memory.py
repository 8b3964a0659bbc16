"""Peak memory of the process.

It includes the problem and the libraries. `peakmem_nothing` measures these alone.
"""
from levinv import ScoreLoss, invert_scores, leverage_scores

from . import problems
from .recipes import numpy_inverse, scipy_cholesky


class Scores:
    """A takes 80 MB."""

    def setup(self):
        self.A = problems.design(200000, 50)

    def peakmem_nothing(self):
        pass

    def peakmem_levinv(self):
        leverage_scores(self.A)

    def peakmem_levinv_qr(self):
        leverage_scores(self.A, method="qr")

    def peakmem_scipy_cholesky(self):
        scipy_cholesky(self.A)

    def peakmem_numpy_inverse(self):
        numpy_inverse(self.A)


class Hessian:
    """The tall and the short form: A takes 8 and 6.4 MB, P would take 3200 and 128 MB."""

    params = [[(20000, 50), (4000, 200)]]
    param_names = ["shape"]

    def setup(self, shape):
        A, b, scores, self.x = problems.loss(*shape)
        self.loss = ScoreLoss(A, b, scores)

    def peakmem_nothing(self, shape):
        pass

    def peakmem_hess(self, shape):
        self.loss.hess(self.x)

    def peakmem_hessp(self, shape):
        self.loss.hessp(self.x, self.x)


class Invert:
    """A takes 32 MB."""

    def setup(self):
        self.A, self.b, self.scores, self.signs, _ = problems.inversion(200000, 20)

    def peakmem_nothing(self):
        pass

    def peakmem_known_signs(self):
        invert_scores(self.A, self.b, self.scores, signs=self.signs)
