"""What levinv needs of a fitted regression.

The fit minimises the negative log likelihood of a generalised linear model plus ½ Σ_j λ_j x_j².
With the weights w_i = v_i exp(τ(η_i)) of Fisher scoring and H = Aᵀ diag(w) A + diag(λ), its hat
values are w_i a_iᵀ H⁻¹ a_i: the leverage scores of diag(√w) A above the d rows diag(√λ).
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from levinv import storage
from levinv._tolerances import EPS, TINY
from levinv._typing import Booleans, Floats, MatrixLike
from levinv.forward.basis import column_space
from levinv.weighting.protocol import Weighting


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fitted regression of n rows and d coefficients."""

    kind: str                          # of the fit, in messages
    design: MatrixLike                 # (n, d) A, an ndarray or a sparse array in CSR
    names: list[str]                   # of the columns
    labels: Any                        # the rows' labels, an index of pandas; None: they have none
    framed: bool                       # whether results for all rows are a data frame
    weighting: Weighting
    offset: Floats | None              # (n,)
    prior_weights: Floats | None       # (n,) v, at least 0
    params: Floats                     # (d,)
    linear_predictor: Floats           # (n,) η
    mean: Floats                       # (n,) μ
    variance: Floats                   # (n,) V(μ), the variance for v = 1 and dispersion 1
    response: Floats | None            # (n,)
    dispersion: float | None           # None: it is estimated by Pearson's statistic
    counts: Floats | None = None       # (n,) observations in each row; None: 1
    ridge: Floats | None = None        # (d,) λ; None: 0

    def weights(self) -> tuple[Floats | None, float]:
        """The weights w divided by the largest, (n,), and that one; None: all are the same."""
        t = self.weighting.log_weight(self.linear_predictor)
        if np.isnan(t).any() or np.isposinf(t).any():
            row = int(np.argmax(np.isnan(t) | np.isposinf(t)))
            raise ValueError(f"fit must have finite weights, got {t[row]} for the log weight of "
                             f"row {row}")
        used = np.ones(len(t), dtype=bool)
        if self.prior_weights is not None:
            used = self.prior_weights > 0
            if not used.any():
                raise ValueError("fit must have a row of positive weight")
            with np.errstate(divide="ignore"):
                t = t + np.log(self.prior_weights)
        top = float(t.max())
        if self.prior_weights is None and float(t.min()) == top:
            return None, float(np.exp(top))
        weights: Floats = np.exp(t - top)
        if (weights[used] < TINY).any() and (rank(self.design, weights >= TINY / EPS ** 2)
                                             < rank(self.design, used)):
            # otherwise hat values of rows that are lost are below the rounding error of the others
            raise ValueError("fit must have weights within 300 orders of magnitude, or more rows "
                             f"of large weight, got log weights from {t[used].min():.4g} to "
                             f"{top:.4g}")
        return weights, float(np.exp(top))

    def augmented(self, weights: Floats | None, largest: float) -> tuple[MatrixLike, Floats | None]:
        """A above the rows diag(√λ), (n + d, d), and the weights of all rows."""
        if self.ridge is None:
            return self.design, weights
        penalty = np.sqrt(self.ridge / largest)
        rows = (scipy.sparse.vstack([self.design, scipy.sparse.diags_array(penalty)], format="csr")
                if scipy.sparse.issparse(self.design) else
                np.vstack([self.design, np.diag(penalty)]))
        own = np.ones(self.design.shape[0]) if weights is None else weights
        return rows, np.concatenate([own, np.ones(len(penalty))])


def rank(design: MatrixLike, active: Booleans | None = None) -> int:
    """The rank of the active rows of a design."""
    return int(column_space(storage.of(design), active).transform.shape[1])
