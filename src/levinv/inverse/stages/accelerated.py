"""Anderson acceleration of a fixed-point iteration.

A fixed-point iteration t <- t + f(t) has the last points t_0 ... t_k and their f_0 ... f_k. If f
were linear, Σ g_j f_j with Σ g_j = 1 would be its value at Σ g_j t_j. So the next point is

    Σ g_j (t_j + f_j) with the g that minimise |Σ g_j f_j|,

a least-squares problem in the differences of successive f_j (Anderson, J. ACM 12, 1965; Walker and
Ni, SIAM Journal on Numerical Analysis 49, 2011). It takes no derivatives. The differences are at unit norm, and
the problem is solved by their Gram matrix: g need not be accurate.
"""
import numpy as np

from levinv._tolerances import EPS, PATIENCE
from levinv._typing import Floats

KEPT = PATIENCE // 4


class Accelerator:
    """The last points of the iteration; few differences are kept, since n may be large."""

    def __init__(self, n: int) -> None:
        self._changes = np.empty((KEPT, n))              # of f, at unit norm
        self._moves = np.empty((KEPT, n))                # of t + f, likewise scaled
        self._last: tuple[Floats, Floats] | None = None
        self._count = 0

    def next(self, t: Floats, f: Floats) -> Floats:
        """The point after t."""
        if self._last is not None:
            place = self._count % KEPT
            change = f - self._last[1]
            size = float(np.linalg.norm(change))
            if size > 0.0:
                self._changes[place] = change / size
                self._moves[place] = (t - self._last[0] + change) / size
                self._count += 1
        self._last = t, f
        kept = min(self._count, KEPT)
        if not kept:
            return t + f
        changes = self._changes[:kept]
        g = np.linalg.lstsq(changes @ changes.T, changes @ f, rcond=kept * EPS)[0]
        following: Floats = t + f - g @ self._moves[:kept]
        return following
