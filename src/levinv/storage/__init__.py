"""How the rows of A are stored: in memory, sparse, in a file, in a dask array.

``of(A, workers)`` chooses by the type of A; only entry points call it. All other modules need
:class:`levinv.storage.blocked.Rows`, the primitives that every kind of storage offers.
"""
import scipy.sparse

from levinv import _validate
from levinv._source import Source, SparseSource
from levinv._typing import MatrixLike
from levinv.storage.blocked import Rows
from levinv.storage.dense import DenseRows, StreamedRows
from levinv.storage.sparse import SparseRows
from levinv.storage.stored_sparse import StoredSparseRows

__all__ = ["DenseRows", "Rows", "SparseRows", "StoredSparseRows", "StreamedRows", "of"]


def of(A: MatrixLike, workers: int = 1) -> Rows:
    """The rows of a matrix that :func:`levinv._validate.matrix` has checked."""
    if _validate.is_dask(A):
        from levinv.storage.dask_rows import DaskRows  # dask, already imported: A is its array
        return DaskRows(A, workers)
    if scipy.sparse.issparse(A):
        return SparseRows(A, workers)
    if isinstance(A, SparseSource):
        return StoredSparseRows(A, workers)
    return (StreamedRows if isinstance(A, Source) else DenseRows)(A, workers)
