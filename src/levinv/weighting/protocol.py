"""The methods of a weighting.

levinv composes two maps. With s = A x - b and a weight w(s) > 0 for each row,

    x  ->  s  ->  t = τ(s) = log w(s)  ->  σ(t), the leverage scores of diag(exp(t/2)) A.

The second map is linear algebra and the same for all weightings (levinv.forward.projection). The
first is one scalar function τ with two derivatives. With L = ∂σ/∂t = diag(σ) - Q, Q = P∘P, and

    T(r) = ∂L[r] = diag(L r) - (D_r Q + Q D_r) + 2 P∘(P D_r P),    D_y = diag(y),

the derivatives in x follow from F = diag(-τ'(s)/2) A and the ratio c = τ''(s) / (τ'(s)/2)²:

    Jacobian of the scores                             -2 L F
    Hessian of ½|σ - a|², with r = σ - a               Fᵀ (4 L² + 4 T(r) + diag(c∘(L r))) F
    gradient of V = ½ log det(Aᵀ diag(w) A)            -Fᵀσ
    Hessian of V                                       Fᵀ (2 L + diag(c∘σ)/2) F

A weighting supplies -τ'/2 and c. (If τ' is zero and τ'' is not, c is infinite. The term with c is
then Aᵀ diag(τ''∘(L r)) A, or ½ Aᵀ diag(τ''∘σ) A.)
"""
from typing import Protocol

from levinv._typing import Floats


class Weighting(Protocol):
    """A weight function w = exp(τ) of the slack."""

    def magnitude(self, slack: Floats) -> Floats:
        """w^(-1/2) = exp(-τ(s)/2), (n,); 0 where the weight is infinite."""

    def times_slope(self, values: Floats | float, slack: Floats) -> Floats:
        """-τ'(s)/2 times values, (n,); 0 where the weight is infinite."""

    def curvature(self, slack: Floats) -> float:
        """c = τ''(s) / (τ'(s)/2)²."""
