"""Many small inversions: problems a second, and how many are recovered.

What was learned. At n = 60, d = 8 one core solves about twenty-five thousand a second, a hundred
times as many as invert_scores one by one, and two cores twice as many. A third of the time is
stage 1, a quarter the polish, a tenth the signs; at d = 20 half is the Jacobian of the polish, the
only part of order n d³. AVX2 makes it one and a half times as fast as SSE2, AVX-512 no faster: rows
are short.
"""
import time

import numpy as np

from levinv import invert_many, invert_scores, leverage_scores


def problems(count, n, d):
    """A, b, x and scores of Gaussian problems, and the signs of their slacks."""
    rng = np.random.default_rng([n, d])
    A, b = rng.standard_normal((count, n, d)), rng.standard_normal((count, n))
    x = rng.standard_normal((count, d))
    slack = np.einsum("kij,kj->ki", A, x) - b
    scores = np.array([leverage_scores(A[i], slack=slack[i]) for i in range(count)])
    return A, b, x, scores, np.sign(slack)


class Many:
    """invert_many on one thread."""

    params = [[(20, 4), (60, 8), (100, 10), (200, 20)], [False, True]]
    param_names = ["shape", "signs known"]

    def setup(self, shape, known):
        self.A, self.b, self.x, self.scores, signs = problems(500, *shape)
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


class OneByOne:
    """invert_scores on a few of the same problems, for comparison."""

    params = [[(60, 8)], [False, True]]
    param_names = ["shape", "signs known"]

    def setup(self, shape, known):
        self.A, self.b, self.x, self.scores, self.signs = problems(10, *shape)

    def time_invert_scores(self, shape, known):
        for i in range(len(self.x)):
            invert_scores(self.A[i], self.b[i], self.scores[i], rng=0,
                          signs=self.signs[i] if known else None)
