"""Rows of a dask array, on whatever runs its tasks: threads, processes or a cluster.

A is cut into blocks of rows A_1, ..., A_p that stay where they are. Every primitive is one graph. A
task for each block does to the block what :class:`levinv.storage.dense.DenseRows` does to all rows,
and

    sum_i weights_i u_i u_iᵀ = sum_j (the same over the rows of A_j)

is added up in a tree, the last few parts where the sum is asked for, in an order that the number of
blocks alone decides: results do not depend on which task ends first. What has an entry for each row
is gathered. So d x d matrices move, and vectors with an entry for each row, whose parts travel with
the tasks of their blocks: a task that is lost with its worker can be run again anywhere. Vectors
that many passes need are sent once (``keep``).

The blocks are computed anew for each primitive unless the caller has A persisted.

R of a QR factorisation is that of the blocks' triangles on top of one another, long rows first, in
the same tree.
"""
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import dask
import numpy as np
import numpy.typing as npt
import scipy.sparse

from levinv._parallel import sharing
from levinv._source import aligned
from levinv._typing import Booleans, Floats, RowIndex
from levinv.storage.blocked import Passes, part_of, triangle_of
from levinv.storage.dense import DenseRows
from levinv.storage.protocol import Rows

TOGETHER = 8                          # parts that one task adds up: a level of the tree takes some
                                      # 10 ms on a cluster
MOVED = 1 << 20                       # entries of some rows that are worth having in memory
RESULT_ENTRIES = 1 << 24              # of the largest (n, d) array that is gathered

Result = TypeVar("Result")
Vectors: TypeAlias = dict[str, Floats | None]               # by the names of parameters


class DaskRows(Passes):
    """The rows of a float64 dask array whose columns are in one chunk and of whose chunks none is
    empty (see :mod:`levinv.storage`).

    ``workers`` has no effect: how many tasks run at a time is up to their scheduler.
    """

    in_memory = False
    copy_limit = 0

    def __init__(self, A: "dask.array.Array", workers: int = 1):
        self.A = A
        self.shape: tuple[int, int] = A.shape
        self.workers = workers
        ends = np.cumsum(A.chunks[0]).tolist()
        chunks = [slice(first, last) for first, last in zip([0, *ends[:-1]], ends, strict=True)]
        self._blocks = list(zip(chunks, A.to_delayed().ravel(), strict=True))

    @property
    def flops(self) -> int:
        """Of a Gram matrix and a form."""
        return 4 * self.shape[0] * self.shape[1] ** 2

    def _tasks(self, primitive: str, vectors: Vectors, shared: dict[str, Any]) -> list[Any]:
        """For each block a task that calls a primitive with the block's parts of vectors that have
        an entry for each row, and with what all blocks share; both by their names.
        """
        call = dask.delayed(_call, pure=False)
        shared = dask.delayed(shared, pure=False, traverse=False)
        return [call(block, primitive,
                     {name: part_of(vector, chunk) for name, vector in vectors.items()}, shared)
                for chunk, block in self._blocks]

    def _gathered(self, primitive: str, vectors: Vectors | None = None,
                  **shared: Any) -> npt.NDArray[Any]:
        """What a primitive gives for each row."""
        return np.concatenate(dask.compute(*self._tasks(primitive, vectors or {}, shared)))

    def _combined(self, combine: Callable[[Sequence[Floats]], Floats], primitive: str,
                  vectors: Vectors | None = None, **shared: Any) -> Floats:
        """What a primitive gives for all rows together."""
        # what comes over a network may be read-only
        return _put_together(combine, self._tasks(primitive, vectors or {}, shared)).copy()

    def keep(self, vector: Floats | Booleans | None) -> Any:
        """As :meth:`levinv.storage.blocked.Passes.keep`: its parts are sent once."""
        if vector is None:
            return None
        sent = dask.delayed(aligned, pure=False)
        return dask.persist(*(sent(part) for part in self._split(vector)))

    def fold(self, function: Callable[..., Result],
             combine: Callable[[Result, Result], Result], vectors: Sequence[Any],
             *shared: Any) -> Result:
        """As :meth:`levinv.storage.blocked.Passes.fold`."""
        folded = dask.delayed(_folded, pure=False)
        vectors = [self._split(vector) for vector in vectors]
        shared = dask.delayed(shared, pure=False, traverse=False)
        result: Result = _put_together(
            functools.partial(functools.reduce, combine),
            [folded(block, function, combine, [vector[j] for vector in vectors], shared)
             for j, (_, block) in enumerate(self._blocks)])
        return result

    def _split(self, vector: Any) -> Sequence[Any]:
        """The blocks' parts of a vector, of None, or of what :meth:`keep` made of one."""
        return vector if isinstance(vector, tuple) else [part_of(vector, chunk)
                                                         for chunk, _ in self._blocks]

    def matvec(self, v: Floats) -> Floats:
        """A v for a vector (d,) or columns (d, m)."""
        return self._gathered("matvec", v=v)

    def abs_matvec(self, v: Floats) -> Floats:
        """|A| v with entrywise absolute values: bounds the rounding errors of A v."""
        return self._gathered("abs_matvec", v=v)

    def rmatvec(self, y: Floats) -> Floats:
        """Aᵀ y for a vector (n,) or columns (n, m)."""
        return self._combined(_add, "rmatvec", {"y": y})

    def row_norms(self) -> Floats:
        """Euclidean norms of the rows, (n,), without overflow."""
        return self._gathered("row_norms")

    def column_norms(self) -> Floats:
        """Euclidean norms of the columns, (d,)."""
        return self._combined(_hypot, "column_norms")

    def column_max(self) -> Floats:
        """Largest absolute entry of each column, (d,)."""
        return self._combined(_maximum, "column_max")

    def nonzero(self) -> Booleans:
        """Whether a row has an entry other than zero, (n,) boolean."""
        return self._gathered("nonzero")

    def block(self, index: RowIndex) -> Floats:
        """Rows ``index`` as a new (len(index), d) array; only the blocks that hold them are
        asked.
        """
        index = np.arange(self.shape[0])[index]
        out = np.empty((len(index), self.shape[1]))
        call = dask.delayed(_call, pure=False)
        places, tasks = [], []
        for chunk, block in self._blocks:
            inside = np.flatnonzero((index >= chunk.start) & (index < chunk.stop))
            if len(inside):
                places.append(inside)
                tasks.append(call(block, "block", {"index": index[inside] - chunk.start}, {}))
        for place, rows in zip(places, dask.compute(*tasks), strict=True):
            out[place] = rows
        return out

    def part(self, index: RowIndex) -> Rows:
        """Rows ``index``: in memory if they are few, else where they are."""
        count = len(range(self.shape[0])[index]) if isinstance(index, slice) else (
            np.count_nonzero(index) if index.dtype == bool else len(index))
        if count * self.shape[1] <= MOVED:
            return DenseRows(self.block(index))
        return DaskRows(self.A[index])

    def with_columns_times(self, factors: Floats) -> "DaskRows":
        """A diag(factors), as rows of the same kind."""
        return DaskRows(self.A * factors)

    def scaled(self, factors: Floats) -> Floats:
        """diag(factors) A as an (n, d) array in memory, up to RESULT_ENTRIES entries."""
        self._refuse_long("an array of the shape of A")
        return self._gathered("scaled", {"factors": factors})

    def as_sparse(self) -> scipy.sparse.csr_array:
        """A in CSR, up to RESULT_ENTRIES entries."""
        self._refuse_long("a linear program over its rows (give x0 inside the cell)")
        return scipy.sparse.csr_array(self.block(slice(None)))

    def _refuse_long(self, wanted: str) -> None:
        n, d = self.shape
        if n * d > RESULT_ENTRIES:
            raise ValueError(f"A must have at most {RESULT_ENTRIES} entries if it is a dask array "
                             f"and {wanted} is asked for, which is made in memory; got shape "
                             f"{self.shape}")

    def gram(self, scale: Floats | None = None, transform: Floats | None = None,
             weights: Floats | None = None) -> Floats:
        """sum_i weights_i u_i u_iᵀ, (k, k)."""
        return self._combined(_add, "gram", {"scale": scale, "weights": weights},
                              transform=transform)

    def quad(self, scale: Floats | None = None, transform: Floats | None = None,
             form: Floats | None = None) -> Floats:
        """u_iᵀ form u_i, (n,)."""
        return self._gathered("quad", {"scale": scale}, transform=transform, form=form)

    def moments(self, scale: Floats | None, transform: Floats | None, Y: Floats) -> Floats:
        """sum_i Y_im u_i u_iᵀ for each column of Y (n, m): symmetric (k, k, m)."""
        return self._combined(_add, "moments", {"scale": scale, "Y": Y}, transform=transform)

    def contract(self, scale: Floats | None, transform: Floats | None, forms: Floats) -> Floats:
        """u_iᵀ forms[:, :, m] u_i for symmetric forms (k, k, m): (n, m)."""
        return self._gathered("contract", {"scale": scale}, transform=transform, forms=forms)

    def third_moments(self, scale: Floats, transform: Floats | None,
                      inverse_slack: Floats) -> Floats:
        """As :meth:`levinv.storage.dense.DenseRows.third_moments`."""
        return self._combined(_add, "third_moments",
                              {"scale": scale, "inverse_slack": inverse_slack}, transform=transform)

    def tall_hessian(self, scale: Floats, transform: Floats | None, inverse_slack: Floats,
                     forms: Floats, scores: Floats, residual: Floats,
                     diagonal: Floats) -> Floats:
        """As :meth:`levinv.storage.dense.DenseRows.tall_hessian`."""
        vectors: Vectors = {"scale": scale, "inverse_slack": inverse_slack, "scores": scores,
                            "residual": residual, "diagonal": diagonal}
        return self._combined(_add, "tall_hessian", vectors, transform=transform, forms=forms)

    def triangle(self, scale: Floats | None = None, transform: Floats | None = None) -> Floats:
        """Upper triangular R, (min(n, k), k), with RᵀR = gram(scale, transform)."""
        return self._combined(_stacked, "triangle", {"scale": scale}, transform=transform)


def _call(block: Floats, primitive: str, vectors: Vectors,
          shared: dict[str, Any]) -> npt.NDArray[Any]:
    given = {name: None if value is None else aligned(value)
             for name, value in (vectors | shared).items()}
    with sharing(1):                             # tasks are what runs in parallel
        result: npt.NDArray[Any] = getattr(DenseRows(aligned(np.asarray(block))),
                                           primitive)(**given)
        return result


def _folded(block: Floats, function: Callable[..., Result],
            combine: Callable[[Result, Result], Result], vectors: Sequence[Any],
            shared: Sequence[Any]) -> Result:
    with sharing(1):
        vectors = [None if vector is None else aligned(vector) for vector in vectors]
        return DenseRows(aligned(np.asarray(block))).fold(function, combine, vectors, *shared)


def _put_together(combine: Callable[[Sequence[Result]], Result], parts: list[Any]) -> Result:
    """``combine`` of the parts, tasks, in a tree; the last level here: it would take as long there
    as a few parts take to come.
    """
    there = dask.delayed(combine, pure=False)
    while len(parts) > TOGETHER:
        parts = [there(parts[i:i + TOGETHER]) for i in range(0, len(parts), TOGETHER)]
    return combine(dask.compute(*parts))


def _add(parts: Sequence[Floats]) -> Floats:
    return functools.reduce(np.add, parts)


def _maximum(parts: Sequence[Floats]) -> Floats:
    return functools.reduce(np.maximum, parts)


def _hypot(parts: Sequence[Floats]) -> Floats:
    return functools.reduce(np.hypot, parts)


def _stacked(parts: Sequence[Floats]) -> Floats:
    rows = np.vstack(parts)
    order = np.argsort(-np.linalg.norm(rows, axis=1), kind="stable")
    with sharing(1):
        return triangle_of(rows[order])
