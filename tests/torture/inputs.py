"""Seeded problems: a design A, a point x, a response b, the exact slack A x - b and the exact
scores there, made nasty by one kind or two.

Scales are powers of two and entries mostly multiples of 2⁻¹², so that what is meant to be dependent
or zero is exactly that in double.
"""
from dataclasses import dataclass, field

import mpmath
import numpy as np
import scipy.sparse

from . import truth

GRID = 2.0 ** 12
SIXTEEN_ORDERS = 27                # powers of two, each way


@dataclass
class Problem:
    """One problem and what is known of it."""

    A: np.ndarray
    x: np.ndarray
    wanted: np.ndarray             # the slack aimed at
    rng: np.random.Generator
    kinds: tuple = ()
    b: np.ndarray = None
    slack: np.ndarray = None       # exact A x - b
    exact: object = None           # truth.Exact at x, or None where the scores are not defined
    scores: np.ndarray = None      # the target
    changed: bool = False          # target other than the scores at x
    extreme: bool = False          # may be refused: sizes beyond 1e±100, or a start there
    sparse: bool = False
    dtype: object = None
    of_b: list = field(default_factory=list)      # changes of b, and
    of_scores: list = field(default_factory=list)     # of the target, made at the end

    @property
    def n(self):
        return self.A.shape[0]

    @property
    def d(self):
        return self.A.shape[1]

    @property
    def matrix(self):
        """A as it is handed over."""
        A = self.A.copy() if self.dtype is None else self.A.astype(self.dtype)
        if not self.sparse:
            return A
        return scipy.sparse.csr_array(A.astype(np.float32) if A.dtype == np.float16 else A)


# --- designs --------------------------------------------------------------------------------------

def design(rng, n, d):
    kind = rng.choice(["gaussian", "gaussian", "integer", "sparse", "one-hot", "cauchy"])
    if kind == "integer":
        A = rng.integers(-3, 4, (n, d)).astype(float)
    elif kind == "sparse":
        A = rng.integers(-3, 4, (n, d)) * (rng.random((n, d)) < rng.uniform(0.3, 0.9)).astype(float)
    elif kind == "one-hot":
        A = rng.standard_normal((n, d))
        levels = int(rng.integers(1, d + 1))
        A[:, :levels] = 0.0
        A[np.arange(n), rng.integers(0, levels, n)] = 1.0
    else:
        A = rng.standard_normal((n, d)) if kind == "gaussian" else rng.standard_cauchy((n, d))
    if rng.random() < 0.8:
        A = np.round(A * GRID) / GRID
    return A


# --- kinds ----------------------------------------------------------------------------------------

def some(p, most=None):
    """A few rows."""
    count = int(p.rng.integers(1, max(2, (most or p.n // 2) + 1)))
    return p.rng.choice(p.n, min(count, p.n), replace=False)


def duplicate_rows(p):
    for i in some(p):
        p.A[i] = p.A[p.rng.integers(p.n)] * p.rng.choice([1.0, -1.0, 2.0, 0.25])


def zero_rows(p):
    p.A[some(p)] = 0.0


def near_parallel(p):
    for i in some(p):
        j = p.rng.integers(p.n)
        p.A[i] = p.A[j] * (1 + 10.0 ** -p.rng.integers(4, 16) * p.rng.standard_normal(p.d))


def columns_scaled(p):
    factors = 2.0 ** p.rng.integers(-SIXTEEN_ORDERS, SIXTEEN_ORDERS + 1, p.d)
    p.A *= factors
    p.x /= factors


def rows_scaled(p):
    factors = 2.0 ** p.rng.integers(-SIXTEEN_ORDERS, SIXTEEN_ORDERS + 1, p.n)
    p.A *= factors[:, None]
    p.wanted *= factors


def wide_slacks(p):
    decades = p.rng.choice([2, 4, 8, 16, 50, 99, 150])
    p.wanted = 10.0 ** p.rng.uniform(-decades, decades, p.n) * p.rng.choice([-1.0, 1.0], p.n)
    if decades > 4 or p.rng.random() < 0.5:
        p.x[:] = 0.0
    p.extreme |= decades > 50


def zero_slacks(p):
    p.wanted[some(p, most=p.rng.choice([1, p.d, p.n]))] = 0.0
    if p.rng.random() < 0.5:
        p.x[:] = 0.0


def tiny_slacks(p):
    """Close to zero beside the others: scores that round to 1."""
    p.wanted[some(p, most=p.d)] *= 10.0 ** -p.rng.integers(3, 20)
    p.x[:] = 0.0


def components(p):
    cut = int(p.rng.integers(0, p.n + 1))
    column = int(p.rng.integers(0, p.d + 1))
    p.A[:cut, column:] = 0.0
    p.A[cut:, :column] = 0.0


def coloops(p):
    count = min(p.d, p.n)
    if p.rng.random() < 0.5:
        count = int(p.rng.integers(1, count + 1))
    for j in range(count):
        p.A[:, j] = 0.0
        p.A[j, :] = 0.0
        p.A[j, j] = p.rng.choice([1.0, -3.0, 0.5])


def response_in_range(p):
    y = p.rng.integers(-3, 4, p.d).astype(float)
    p.A = np.round(p.A * 8) / 8 if np.abs(p.A).max() < 1e6 else p.A
    whole = p.rng.random() < 0.7
    p.x = p.rng.integers(-8, 9, p.d) / 8

    def change(p):
        rows = np.ones(p.n, dtype=bool) if whole else p.rng.random(p.n) < 0.5
        p.b = np.where(rows, p.A @ y, p.b)
    p.of_b.append(change)


def sparse_response(p):
    keep = p.rng.random(p.n) < p.rng.uniform(0, 0.6)
    p.of_b.append(lambda p: setattr(p, "b", np.where(keep, p.b, 0.0)))


def integer_problem(p):
    """Small integers throughout: x that is none of "almost every"."""
    p.A = p.rng.integers(-2, 3, p.A.shape).astype(float)
    p.x = p.rng.integers(-2, 3, p.d).astype(float)
    p.wanted = p.rng.integers(-2, 3, p.n).astype(float)


def scores_zero_and_one(p):
    rows = some(p)

    def change(p):
        p.scores[rows] = p.rng.choice([0.0, 1.0], len(rows))
    p.of_scores.append(change)
    p.changed = True


def boundary(p):
    """c(S) = rank(S), or a little beyond or within, for the rows S parallel to one."""
    i, beyond = int(p.rng.integers(p.n)), p.rng.choice([0.0, 1e-15, 1e-12, 1e-9, 1e-6, 0.1, -1e-9])
    count = int(p.rng.integers(1, 4))
    for j in p.rng.choice(p.n, min(count, p.n), replace=False):
        p.A[j] = p.A[i] * p.rng.choice([1.0, -2.0])

    def change(p):
        if not p.A[i].any():
            return
        unit = p.A[i] / np.abs(p.A[i]).max()
        rows = np.array([j for j in range(p.n) if p.A[j].any() and np.array_equal(
            np.abs(p.A[j] / np.abs(p.A[j]).max()), np.abs(unit))])
        share = p.rng.uniform(0.2, 1.0, len(rows))
        rest = np.setdiff1d(np.flatnonzero(p.A.any(axis=1)), rows)
        before = p.scores[rows].sum()
        p.scores[rows] = share / share.sum() * (1.0 + beyond)
        total = p.scores[rest].sum()
        if total > 0:
            p.scores[rest] *= max(total + before - 1.0 - beyond, 0.0) / total
        p.scores = np.minimum(p.scores, 1.0)
    p.of_scores.append(change)
    p.changed = True


def sums_off(p):
    off = p.rng.choice([1e-16, 1e-15, 1e-13, 1e-10, 1e-7, 1e-3, 0.3])
    rows = some(p, most=p.n)
    sign = p.rng.choice([-1, 1])

    def change(p):
        p.scores[rows] = np.clip(p.scores[rows] * (1 + sign * off), 0.0, 1.0)
    p.of_scores.append(change)
    p.changed |= bool(off > 3e-16)


def shuffled_scores(p):
    p.of_scores.append(lambda p: setattr(p, "scores", p.rng.permutation(p.scores)))
    p.changed = True


def denormals(p):
    what = p.rng.choice(["A", "entries", "b", "slack", "scores", "column", "row"])
    if what == "A":
        p.A *= 2.0 ** -1040
        p.extreme = True
    elif what == "entries":
        p.A[p.rng.random(p.A.shape) < 0.2] = 5e-324 * p.rng.integers(1, 1000)
    elif what == "column":
        p.A[:, p.rng.integers(p.d)] *= 2.0 ** -1040
    elif what == "row":
        i = p.rng.integers(p.n)
        p.A[i] *= 2.0 ** -1040
    elif what == "slack":
        p.wanted[some(p)] = 5e-324 * p.rng.integers(1, 1000)
        p.x[:] = 0.0
    elif what == "b":
        p.of_b.append(lambda p: setattr(p, "b", p.b * 2.0 ** -1040))
        p.extreme = True
    else:
        rows = some(p)

        def change(p):
            p.scores[rows] = 1e-310
        p.of_scores.append(change)
        p.changed = True


def extreme_units(p):
    p.extreme = True
    factor = 10.0 ** p.rng.choice([-320, -300, -200, -90, 90, 140, 200, 300])
    what = p.rng.choice(["A", "b", "column", "row"])
    if what == "A":
        p.A *= factor
    elif what == "column":
        p.A[:, p.rng.integers(p.d)] *= factor
    elif what == "row":
        p.A[p.rng.integers(p.n)] *= factor
    else:
        p.wanted *= factor
        p.x[:] = 0.0


def rank_deficient(p):
    j, k = p.rng.integers(p.d, size=2)
    p.A = np.round(p.A * 64) / 64
    p.A[:, j] = 0.0 if j == k else p.rng.choice([-2.0, 1.0, 0.5]) * p.A[:, k]


def ill_conditioned(p):
    u = np.linalg.qr(p.rng.standard_normal(p.A.shape if p.n >= p.d else p.A.T.shape))[0]
    v = np.linalg.qr(p.rng.standard_normal((min(p.n, p.d),) * 2))[0]
    values = np.geomspace(1, 10.0 ** -p.rng.uniform(4, 15), u.shape[1])
    A = (u * values) @ v
    p.A = A if p.n >= p.d else A.T
    p.A = np.ascontiguousarray(p.A)


def sparse_storage(p):
    p.sparse = True


def other_dtype(p):
    p.A = np.clip(np.round(p.A * 4), -100, 100)
    p.dtype = p.rng.choice([np.int64, np.int8, np.float32, np.float16])


def plain(p):
    """Nothing."""


SHAPES = {"n = d": lambda rng: (k := int(rng.integers(1, 6)), k),
          "n = d + 1": lambda rng: ((k := int(rng.integers(1, 6))) + 1, k),
          "d = 1": lambda rng: (int(rng.integers(1, 15)), 1),
          "n < d": lambda rng: ((k := int(rng.integers(1, 5))), k + int(rng.integers(1, 4)))}

KINDS = {f.__name__: f for f in (
    plain, duplicate_rows, zero_rows, near_parallel, columns_scaled, rows_scaled, wide_slacks,
    zero_slacks, tiny_slacks, components, coloops, response_in_range, sparse_response,
    integer_problem, scores_zero_and_one, boundary, sums_off, shuffled_scores, denormals,
    extreme_units, rank_deficient, ill_conditioned, sparse_storage, other_dtype)}


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


def finish(p):
    """Response, exact slack, exact scores and target."""
    if p.dtype is not None:
        p.A = np.clip(p.A, -100, 100).astype(p.dtype).astype(float)
    p.A = np.ascontiguousarray(p.A)
    if not (np.isfinite(p.A).all() and np.isfinite(p.x).all()):
        p.A, p.x = np.nan_to_num(p.A), np.nan_to_num(p.x)
    p.b = np.where(np.isfinite(p.A @ p.x - p.wanted), p.A @ p.x - p.wanted, 0.0)
    for change in p.of_b:
        change(p)
    for array in (p.A, p.b):
        largest = np.abs(array).max()
        p.extreme |= bool(largest > 1e99 or 0 < largest < 1e-99)
    for axis in (0, 1):
        largest = np.abs(p.A).max(axis=axis)
        p.extreme |= bool(np.any((largest > 0) & (largest < 1e-305 * max(1.0, largest.max()))))
    p.slack = truth.slack(p.A, p.b, p.x)
    try:
        p.exact = truth.Exact(p.A, p.slack)
        p.scores = p.exact.rounded.copy()
    except truth.UndefinedError:
        p.scores = limit_scores(p)
        p.changed = True
    for change in p.of_scores:
        change(p)
    return p


def limit_scores(p):
    """Scores as dependent slacks go to zero at different rates."""
    with mpmath.workdps(60):
        rates = p.rng.uniform(0.5, 2.0, p.n)
        smallest = min((abs(s) for s in p.slack if s), default=mpmath.mpf(1))
        slack = [s or smallest * mpmath.mpf(10) ** -200 * mpmath.mpf(r)
                 for s, r in zip(p.slack, rates, strict=True)]
    return truth.Exact(p.A, np.array(slack, dtype=object)).rounded


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
