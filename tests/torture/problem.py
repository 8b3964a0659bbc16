"""One problem of the torture, and its truth: exact slacks, exact scores, the target."""
from dataclasses import dataclass, field

import mpmath
import numpy as np
import scipy.sparse

from . import truth


@dataclass
class Problem:
    """One problem and what is known of it."""

    A: np.ndarray
    x: np.ndarray
    wanted: np.ndarray             # the slack aimed at
    rng: np.random.Generator = None               # for the changes below; not needed later
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
