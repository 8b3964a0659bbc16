"""How the rows of A are stored, behind the primitives that every solver is written in.

``of(A, workers)`` chooses by the type of A; :class:`levinv.storage.protocol.Rows` says what every kind
offers.
"""
import scipy.sparse

from levinv import _validate
from levinv._source import Source
from levinv._typing import MatrixLike
from levinv.storage.dense import DenseRows
from levinv.storage.protocol import Rows
from levinv.storage.sparse import SparseRows
from levinv.storage.streamed import StreamedRows

__all__ = ["DenseRows", "Rows", "SparseRows", "StreamedRows", "of"]


def of(A: MatrixLike, workers: int = 1) -> Rows:
    """The rows of a matrix that :func:`levinv._validate.matrix` has passed."""
    if _validate.is_dask(A):
        from levinv.storage.dask_rows import DaskRows  # dask is there if an array of its is
        return DaskRows(A, workers)
    if scipy.sparse.issparse(A):
        return SparseRows(A, workers)
    return (StreamedRows if isinstance(A, Source) else DenseRows)(A, workers)
