"""What makes a problem nasty: designs, and changes of a problem, by name in KINDS and SHAPES.

Scales are powers of two and entries mostly multiples of 2⁻¹², so that what is meant to be dependent
or zero is exactly that in double.
"""
import numpy as np

GRID = 2.0 ** 12
SIXTEEN_ORDERS = 27                # powers of two, each way


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
    """Small integers throughout: coincidences by which other x have the same scores."""
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
