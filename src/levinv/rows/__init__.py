"""How the rows of A are stored, behind the primitives that every solver is written in.

Whatever holds the rows offers, for rows u_i = scale_i a_i T (``scale`` and ``transform`` optional):

    matvec(v), rmatvec(y)                 A v and Aᵀ y
    abs_matvec(v)                         |A| v
    gram(scale, transform, weights)       sum_i weights_i u_i u_iᵀ
    quad(scale, transform, form)          u_iᵀ form u_i, or |u_i|² without a form
    moments(scale, transform, Y)          sum_i Y_im u_i u_iᵀ, every column m in one pass
    contract(scale, transform, forms)     u_iᵀ forms_m u_i, every m in one pass
    row_norms()                           |a_i|
    column_max()                          largest |a_ij| of each column
    third_moments(...), tall_hessian(...) what the explicit Hessian needs
    block(index)                          a few rows, as an array

A row whose scale is 0 takes no part: that is how rows are left out without a copy of A.
"""
from levinv.rows.dense import DenseRows

__all__ = ["DenseRows"]
