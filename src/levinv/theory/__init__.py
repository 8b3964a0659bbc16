"""The constants of the analysis in 2404.13785: corrected, with proofs and the printed values.

``curvature`` has the constants of a region, ``convergence`` the numbers of steps. From data to a
guarantee, on a ball about x in which no slack comes below β::

    β = slack_bound(A, b, x, radius)                  the region
    curvature_bound(β)                                how indefinite the Hessian can be there
    ρ = convexifying_ridge(A, β, l)                   the ridge that makes L l-strongly convex there
    Λ = smoothness(A, β, ridge=ρ)                     L's largest curvature
    M = hessian_lipschitz(A, β)                       how fast the Hessian changes
    is_good_start(r, l, M), contraction_factor(r, l, M), newton_iterations(r, ε, l, M)
    descent_iterations(r, ε, l, Λ), averaged_descent_iterations(ε, l, loss_lipschitz(A, β, ...))

The bounds are worst cases: real problems behave far better. :mod:`levinv.papers` has the printed
statements; docs/errata.md compares the two, with a test for each.
"""
from levinv.theory.convergence import (
    averaged_descent_iterations,
    contraction_factor,
    descent_iterations,
    is_good_start,
    newton_iterations,
)
from levinv.theory.curvature import (
    convexifying_ridge,
    curvature_bound,
    hessian_lipschitz,
    leverage_lipschitz,
    loss_lipschitz,
    slack_bound,
    smoothness,
)

__all__ = [
    "averaged_descent_iterations", "contraction_factor", "convexifying_ridge", "curvature_bound",
    "descent_iterations", "hessian_lipschitz", "is_good_start", "leverage_lipschitz",
    "loss_lipschitz", "newton_iterations", "slack_bound", "smoothness",
]
