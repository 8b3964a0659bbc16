"""Rows of a dask array; its scheduler runs the tasks on threads, processes or a cluster.

A is cut into blocks of rows A_1, ..., A_p, which stay where they are. Every primitive is one graph.
One task for each block calls the primitive of :class:`levinv.storage.dense.DenseRows` for it.
Vectors with an entry for each row are gathered. Sums such as

    sum_i weights_i u_i u_iᵀ = sum_j (the same over the rows of A_j)

are added in a tree, whose last level is in the caller's process. The number of blocks alone decides
the order of the additions: results do not depend on which task ends first. R of a QR factorisation
is computed in the same tree, from the stacked triangles of the blocks, long rows first.

Therefore only d x d matrices and vectors with an entry for each row are transferred. The parts of
vectors are sent with the tasks of their blocks, so that a task lost with its worker can run again
anywhere. Vectors that many passes need are sent once (``keep``).

The blocks are computed anew for each primitive unless the caller persists A.
"""
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import dask
import numpy as np
import numpy.typing as npt
import scipy.sparse

from levinv._parallel import sharing
from levinv._source import aligned
from levinv._tolerances import COPY_ENTRIES, PASS_ENTRIES, TASK_PARTS
from levinv._typing import Booleans, Floats, RowIndex
from levinv.storage.blocked import Result, Rows, part_of, triangle_of
from levinv.storage.dense import DenseRows

Vectors: TypeAlias = dict[str, Floats | None]               # by the names of parameters


class DaskRows(Rows):
    """The rows of a float64 dask array with one chunk of columns and no empty chunks of rows.

    ``workers`` has no effect: the scheduler decides how many tasks run at a time.
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
        return 4 * self.shape[0] * self.shape[1] ** 2

    def _tasks(self, primitive: str, vectors: Vectors, shared: dict[str, Any]) -> list[Any]:
        """One task for each block. It calls a primitive with keyword arguments: the block's parts
        of the ``vectors``, which have an entry for each row, and those in ``shared``.
        """
        call = dask.delayed(_call, pure=False)
        shared = dask.delayed(shared, pure=False, traverse=False)
        return [call(block, primitive,
                     {name: part_of(vector, chunk) for name, vector in vectors.items()}, shared)
                for chunk, block in self._blocks]

    def _gathered(self, primitive: str, vectors: Vectors | None = None,
                  **shared: Any) -> npt.NDArray[Any]:
        """The result of a primitive: an entry for each row."""
        return np.concatenate(dask.compute(*self._tasks(primitive, vectors or {}, shared)))

    def _combined(self, combine: Callable[[Sequence[Floats]], Floats], primitive: str,
                  vectors: Vectors | None = None, **shared: Any) -> Floats:
        """The result of a primitive, combined from those of the blocks."""
        # A copy: arrays that come over a network may be read-only.
        return _in_a_tree(combine, self._tasks(primitive, vectors or {}, shared)).copy()

    def keep(self, vector: Floats | Booleans | None) -> Any:
        if vector is None:
            return None
        sent = dask.delayed(aligned, pure=False)
        return dask.persist(*(sent(part) for part in self._split(vector)))

    def fold(self, function: Callable[..., Result],
             combine: Callable[[Result, Result], Result], vectors: Sequence[Any],
             *shared: Any) -> Result:
        folded = dask.delayed(_folded, pure=False)
        vectors = [self._split(vector) for vector in vectors]
        shared = dask.delayed(shared, pure=False, traverse=False)
        result: Result = _in_a_tree(
            functools.partial(functools.reduce, combine),
            [folded(block, function, combine, [vector[j] for vector in vectors], shared)
             for j, (_, block) in enumerate(self._blocks)])
        return result

    def _split(self, vector: Any) -> Sequence[Any]:
        """The blocks' parts of a vector, of None, or of a result of :meth:`keep`."""
        return vector if isinstance(vector, tuple) else [part_of(vector, chunk)
                                                         for chunk, _ in self._blocks]

    def _times(self, v: Floats, absolute: bool) -> Floats:
        return self._gathered("abs_matvec" if absolute else "matvec", v=v)

    def rmatvec(self, y: Floats) -> Floats:
        return self._combined(_add, "rmatvec", {"y": y})

    def row_norms(self) -> Floats:
        return self._gathered("row_norms")

    def column_norms(self) -> Floats:
        return self._combined(_hypot, "column_norms")

    def column_max(self) -> Floats:
        return self._combined(_maximum, "column_max")

    def nonzero(self) -> Booleans:
        return self._gathered("nonzero")

    def block(self, index: RowIndex) -> Floats:
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
        # Few rows are copied into memory; many remain in a dask array.
        count = len(range(self.shape[0])[index]) if isinstance(index, slice) else (
            np.count_nonzero(index) if index.dtype == bool else len(index))
        if count * self.shape[1] <= PASS_ENTRIES:
            return DenseRows(self.block(index))
        return DaskRows(self.A[index])

    def with_columns_times(self, factors: Floats) -> "DaskRows":
        return DaskRows(self.A * factors)

    def scaled(self, factors: Floats) -> Floats:
        self._refuse_long("an array of the shape of A")
        return self._gathered("scaled", {"factors": factors})

    def as_sparse(self) -> scipy.sparse.csr_array:
        self._refuse_long("a linear program over its rows (give x0 inside the cell)")
        return scipy.sparse.csr_array(self.block(slice(None)))

    def _refuse_long(self, wanted: str) -> None:
        n, d = self.shape
        if n * d > COPY_ENTRIES:
            raise ValueError(f"A must have at most {COPY_ENTRIES} entries if it is a dask array "
                             f"and {wanted} is asked for, which is made in memory; got shape "
                             f"{self.shape}")

    def gram(self, scale: Floats | None = None, transform: Floats | None = None,
             weights: Floats | None = None) -> Floats:
        return self._combined(_add, "gram", {"scale": scale, "weights": weights},
                              transform=transform)

    def quad(self, scale: Floats | None = None, transform: Floats | None = None,
             form: Floats | None = None) -> Floats:
        return self._gathered("quad", {"scale": scale}, transform=transform, form=form)

    def moments(self, scale: Floats | None, transform: Floats | None, Y: Floats) -> Floats:
        return self._combined(_add, "moments", {"scale": scale, "Y": Y}, transform=transform)

    def contract(self, scale: Floats | None, transform: Floats | None, forms: Floats) -> Floats:
        return self._gathered("contract", {"scale": scale}, transform=transform, forms=forms)

    def third_moments(self, scale: Floats, transform: Floats | None,
                      inverse_slack: Floats) -> Floats:
        return self._combined(_add, "third_moments",
                              {"scale": scale, "inverse_slack": inverse_slack}, transform=transform)

    def tall_hessian(self, scale: Floats, transform: Floats | None, inverse_slack: Floats,
                     forms: Floats, scores: Floats, residual: Floats,
                     diagonal: Floats) -> Floats:
        vectors: Vectors = {"scale": scale, "inverse_slack": inverse_slack, "scores": scores,
                            "residual": residual, "diagonal": diagonal}
        return self._combined(_add, "tall_hessian", vectors, transform=transform, forms=forms)

    def triangle(self, scale: Floats | None = None, transform: Floats | None = None) -> Floats:
        return self._combined(_stacked, "triangle", {"scale": scale}, transform=transform)


def _call(block: Floats, primitive: str, vectors: Vectors,
          shared: dict[str, Any]) -> npt.NDArray[Any]:
    given = {name: None if value is None else aligned(value)
             for name, value in (vectors | shared).items()}
    with sharing(1):                             # tasks run in parallel
        return np.asarray(getattr(DenseRows(aligned(np.asarray(block))), primitive)(**given))


def _folded(block: Floats, function: Callable[..., Result],
            combine: Callable[[Result, Result], Result], vectors: Sequence[Any],
            shared: Sequence[Any]) -> Result:
    with sharing(1):
        vectors = [None if vector is None else aligned(vector) for vector in vectors]
        return DenseRows(aligned(np.asarray(block))).fold(function, combine, vectors, *shared)


def _in_a_tree(combine: Callable[[Sequence[Result]], Result], parts: list[Any]) -> Result:
    """``combine`` of the tasks' results in a tree, whose last level, a few parts, runs here."""
    combined = dask.delayed(combine, pure=False)
    while len(parts) > TASK_PARTS:
        parts = [combined(parts[i:i + TASK_PARTS]) for i in range(0, len(parts), TASK_PARTS)]
    return combine(dask.compute(*parts))


_add, _maximum, _hypot = (functools.partial(functools.reduce, function)
                          for function in (np.add, np.maximum, np.hypot))


def _stacked(parts: Sequence[Floats]) -> Floats:
    rows = np.vstack(parts)
    order = np.argsort(-np.linalg.norm(rows, axis=1), kind="stable")
    with sharing(1):
        return triangle_of(rows[order])
