"""The formulas of arXiv 2404.13785 exactly as printed, errors included.

They are for reproduction and comparison, not for use. Every docstring names what is wrong, if
anything, and the part of levinv that is right; docs/errata.md is the list. As in the paper,
A(x) = diag(Ax - b)⁻¹ A, and σ(x) = A(x) (A(x)ᵀA(x))⁻¹ A(x)ᵀ is the leverage score *matrix*. The
printed formulas need all of it (n x n), so n has to be small.

``leverage``: σ(x) and its derivatives; ``loss``: the loss; ``methods``: the algorithms;
``constants``: the constants of the analysis.
"""
from levinv.papers.constants import (
    averaged_descent_gap,
    contraction_factor,
    convexifying_ridge,
    curvature_bound,
    hessian_lipschitz,
    leverage_lipschitz,
    newton_iterations,
    row_norm_bound,
)
from levinv.papers.leverage import (
    leverage_column_second_derivative,
    leverage_derivative,
    leverage_entry_second_derivative,
    leverage_matrix,
    leverage_second_derivative,
    scaled_rows,
)
from levinv.papers.loss import gradient, hessian, hessian_terms
from levinv.papers.methods import (
    averaged_descent,
    first_order_method,
    printed_average,
    second_order_method,
    weighted_average,
)

__all__ = [        # noqa: RUF022 (the order of the reference page)
    "scaled_rows", "leverage_matrix", "leverage_derivative", "leverage_entry_second_derivative",
    "leverage_column_second_derivative", "leverage_second_derivative", "gradient", "hessian_terms",
    "hessian", "first_order_method", "second_order_method", "averaged_descent", "printed_average",
    "weighted_average", "row_norm_bound", "curvature_bound", "convexifying_ridge",
    "leverage_lipschitz", "hessian_lipschitz", "contraction_factor", "newton_iterations",
    "averaged_descent_gap",
]
