"""Seeded problems: a design A, a point x, a response b, the exact slack A x - b and the exact
scores there, made nasty by one kind or two.
"""
import numpy as np

from . import truth
from .kinds import GRID, KINDS, SHAPES, design
from .problem import Problem, finish


def problem(rng, wide=True, kinds=None):
    """A problem of one kind or two."""
    names = [*KINDS, *(name for name in SHAPES if wide or name != "n < d")]
    if kinds is None:
        kinds = sorted(rng.choice(names, 1 if rng.random() < 0.3 else 2, replace=False).tolist())
    d = int(rng.integers(1, 6))
    n = int(rng.integers(d + 1, 3 * d + 6))
    for kind in kinds:
        if kind in SHAPES:
            n, d = SHAPES[kind](rng)
    x = rng.integers(-16, 17, d) / 8 if rng.random() < 0.7 else rng.standard_normal(d)
    wanted = np.round(rng.exponential(size=n) * GRID + 1) / GRID * rng.choice([-1.0, 1.0], n)
    if rng.random() < 0.3:
        wanted = np.abs(wanted)
    p = Problem(design(rng, n, d), x, wanted, rng, tuple(kinds))
    with np.errstate(all="ignore"):
        for kind in kinds:
            if kind in KINDS:
                KINDS[kind](p)
        return finish(p)


def huge(rng):
    """2e5 rows and one to three columns."""
    n, d = 200_000, int(rng.integers(1, 4))
    A = rng.standard_normal((n, d))
    style = rng.choice(["gaussian", "cauchy", "one-hot", "duplicates", "zero rows", "intercept"])
    if style == "cauchy":
        A = rng.standard_cauchy((n, d))
    elif style == "one-hot":
        A = np.zeros((n, d))
        A[np.arange(n), rng.integers(0, d, n)] = 1.0
    elif style == "duplicates":
        A = A[rng.integers(0, 50, n)]
    elif style == "zero rows":
        A[rng.random(n) < 0.5] = 0.0
    elif style == "intercept":
        A[:, 0] = 1.0
    x = rng.standard_normal(d)
    slack = np.maximum(rng.exponential(size=n), 1e-3) * rng.choice([-1.0, 1.0], n)
    b = A @ x - slack
    p = Problem(A, x, slack, rng, ("huge n", style))
    p.b, p.slack = b, A.astype(np.longdouble) @ x - b
    p.scores = truth.long_scores(A, p.slack).astype(float)
    return p
