"""The rows of one matrix on top of those of another, without a copy of either."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from levinv._typing import Booleans, Floats, RowIndex
from levinv.storage.blocked import Result, Rows, triangle_of
from levinv.storage.dense import DenseRows


class JoinedRows(Rows):
    """The rows of ``top`` and then those of ``bottom``, which have the same columns.

    It has the primitives that :mod:`levinv.forward.basis` and the quotients of
    :mod:`levinv.forward.quotient` use.
    """

    def __init__(self, top: Rows, bottom: Rows):
        self.top, self.bottom = top, bottom
        self.shape = top.shape[0] + bottom.shape[0], top.shape[1]
        self.workers = top.workers
        self.in_memory = top.in_memory
        self.copy_limit = top.copy_limit

    @property
    def flops(self) -> int:
        return self.top.flops + self.bottom.flops

    def _parts(self, vector: Floats | None) -> tuple[Floats | None, Floats | None]:
        """The parts of a vector (n,) that belong to the two matrices."""
        n = self.top.shape[0]
        return (None, None) if vector is None else (vector[:n], vector[n:])

    def _times(self, v: Floats, absolute: bool) -> Floats:
        return np.concatenate([part.abs_matvec(v) if absolute else part.matvec(v)
                               for part in (self.top, self.bottom)])

    def rmatvec(self, y: Floats) -> Floats:
        n = self.top.shape[0]
        return self.top.rmatvec(y[:n]) + self.bottom.rmatvec(y[n:])

    def row_norms(self) -> Floats:
        return np.concatenate([self.top.row_norms(), self.bottom.row_norms()])

    def column_norms(self) -> Floats:
        return np.hypot(self.top.column_norms(), self.bottom.column_norms())

    def column_max(self) -> Floats:
        return np.maximum(self.top.column_max(), self.bottom.column_max())

    def nonzero(self) -> Booleans:
        return np.concatenate([self.top.nonzero(), self.bottom.nonzero()])

    def block(self, index: RowIndex) -> Floats:
        rows, n = np.arange(self.shape[0])[index], self.top.shape[0]
        out, above = np.empty((len(rows), self.shape[1])), rows < n
        if above.any():
            out[above] = self.top.block(rows[above])
        if not above.all():
            out[~above] = self.bottom.block(rows[~above] - n)
        return out

    def part(self, index: RowIndex) -> Rows:
        return DenseRows(self.block(index), self.workers)

    def with_columns_times(self, factors: Floats) -> "JoinedRows":
        return JoinedRows(self.top.with_columns_times(factors),
                          self.bottom.with_columns_times(factors))

    def scaled(self, factors: Floats) -> Floats:
        n = self.top.shape[0]
        return np.vstack([self.top.scaled(factors[:n]), self.bottom.scaled(factors[n:])])

    def as_sparse(self) -> scipy.sparse.csr_array:
        return scipy.sparse.vstack([self.top.as_sparse(), self.bottom.as_sparse()], format="csr")

    def fold(self, function: Callable[..., Result], combine: Callable[[Result, Result], Result],
             vectors: Sequence[Any], *shared: Any) -> Result:
        tops, bottoms = zip(*(self._parts(vector) for vector in vectors), strict=True)
        return combine(self.top.fold(function, combine, tops, *shared),
                       self.bottom.fold(function, combine, bottoms, *shared))

    def gram(self, scale: Floats | None = None, transform: Floats | None = None,
             weights: Floats | None = None) -> Floats:
        (s, t), (v, w) = self._parts(scale), self._parts(weights)
        return self.top.gram(s, transform, v) + self.bottom.gram(t, transform, w)

    def quad(self, scale: Floats | None = None, transform: Floats | None = None,
             form: Floats | None = None) -> Floats:
        s, t = self._parts(scale)
        return np.concatenate([self.top.quad(s, transform, form),
                               self.bottom.quad(t, transform, form)])

    def triangle(self, scale: Floats | None = None, transform: Floats | None = None) -> Floats:
        s, t = self._parts(scale)
        rows = np.vstack([self.top.triangle(s, transform), self.bottom.triangle(t, transform)])
        return triangle_of(rows[np.argsort(-np.linalg.norm(rows, axis=1), kind="stable")])
