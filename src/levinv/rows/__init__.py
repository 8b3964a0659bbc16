"""How the rows of A are stored, behind the primitives that every solver is written in.

``of(A, workers)`` chooses by the type of A. Whatever holds the rows offers ``shape``, ``workers``
(threads that share a pass) and, for rows u_i = scale_i a_i T (``scale`` and ``transform``
optional):

    matvec(v), rmatvec(y)                 A v and Aᵀ y, for a vector or columns
    abs_matvec(v)                         |A| v
    gram(scale, transform, weights)       sum_i weights_i u_i u_iᵀ
    quad(scale, transform, form)          u_iᵀ form u_i, or |u_i|² without a form
    moments(scale, transform, Y)          sum_i Y_im u_i u_iᵀ, every column m in one pass
    contract(scale, transform, forms)     u_iᵀ forms_m u_i, every m in one pass
    third_moments(...), tall_hessian(...) what the explicit Hessian needs
    fold(function, combine, vectors, *shared)
                                          what a function makes of blocks of rows, put together
    keep(vector)                          a vector to be used in several of them
    triangle(scale, transform)            R of a QR factorisation of the u_i, in one pass
    row_norms(), column_norms()           |a_i| and the norms of the columns
    column_max()                          largest |a_ij| of each column
    nonzero()                             which rows are not zero
    block(index)                          a few rows, as an array
    part(index)                           some rows, as rows
    with_columns_times(factors)           A diag(factors), as rows
    scaled(factors)                       diag(factors) A as an (n, d) array: for results that are
                                          one, and for short problems
    squares(basis, Y)                     (P∘P) Y with P = basis basisᵀ, for short problems
    as_sparse()                           A in CSR, as linear programs take it
    flops                                 of a Gram matrix and a form: are threads worth it?
    in_memory                             whether a pass costs its arithmetic and no more
    copy_limit                            entries of the largest array that may be made of the rows

A row whose scale is 0 takes no part: that is how rows are left out without a copy of A.
"""
import scipy.sparse

from levinv import _validate
from levinv._source import Source
from levinv.rows.dense import DenseRows
from levinv.rows.sparse import SparseRows
from levinv.rows.streamed import StreamedRows

__all__ = ["DenseRows", "SparseRows", "StreamedRows", "of"]


def of(A, workers=1):
    """The rows of a matrix that :func:`levinv._validate.matrix` has passed."""
    if _validate.is_dask(A):
        from levinv.rows.distributed import DaskRows     # dask is there if an array of its is
        return DaskRows(A, workers)
    if scipy.sparse.issparse(A):
        return SparseRows(A, workers)
    return (StreamedRows if isinstance(A, Source) else DenseRows)(A, workers)
