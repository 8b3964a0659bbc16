"""w(s) = 1/s², the weighting of the papers: the rows are divided by the slack.

    τ(s) = -2 log|s|,   τ'(s) = -2/s,   τ''(s) = 2/s²,

so that c = 2 and F = diag(1/s) A. The scores are the leverage scores of F. At s = 0 the
weight is infinite. The row's score is then 1 and its derivatives are 0; the other rows have the
scores and the derivatives of the quotient by it.
"""
import numpy as np

from levinv._typing import Floats


class InverseSquare:
    """w(s) = 1/s²."""

    def magnitude(self, slack: Floats) -> Floats:
        """|s|, (n,)."""
        magnitude: Floats = np.abs(slack)
        return magnitude

    def times_slope(self, values: Floats | float, slack: Floats) -> Floats:
        """values / s, (n,); 0 where s = 0."""
        return values / (slack if slack.all() else np.where(slack == 0, np.inf, slack))

    def curvature(self, slack: Floats) -> float:
        """2."""
        return 2.0


INVERSE_SQUARE = InverseSquare()
