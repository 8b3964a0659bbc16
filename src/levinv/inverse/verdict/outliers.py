"""Outliers: rows whose score the x that fits all others does not have.

With W = diag(1/noise), J the Jacobian at the fitted x and h_i the leverage of row i in W J, the
residual e = sigma(x) - c has standard deviation noise_i √(1 - h_i): fitting x takes the part h_i
of a row's error. The *studentised residual*

    t_i = e_i / (noise_i √(1 - h_i))

is standard normal. Of m rows the largest exceeds z, the normal quantile at 1 - level/(2 m)
(Bonferroni), with probability at most the level. A row left out of the fit is predicted by it:
there the deviation is noise_i √(1 + h_i), with h_i formed from the other rows, and t_i is the same
number.

Where the residual is not explained, or a row exceeds z, the rows that exceed it, a quarter of the
degrees of freedom at most, are left out and x is fitted again, from where it was, until the set
does not change: the concentration steps of least trimmed squares. If noise then explains the
others, rows are put back one by one, the least |t_i| first, as long as it does; the rest are the
outliers. If only one row is wrong, its |t_i| is the largest from the start: with K = I - H and e =
K_j δ, |t_i| = |K_ij δ|/√K_ii is at most √K_jj |δ| (Cauchy-Schwarz), as K is a projection. With more
rows left out anything is explained, and nothing is said.

Exact scores are treated likewise, with rounding for noise; a row is explained if its error is one
that the tolerance allows.

References: Cook and Weisberg, Residuals and Influence in Regression (1982), section 2.2; Rousseeuw
and Van Driessen, "Computing LTS regression for large data sets" (2006).
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.special

from levinv._typing import Booleans, Floats, Integers
from levinv.inverse.stages.whitened_jacobian import leverages

if TYPE_CHECKING:
    from levinv.inverse.stages.refine import Polished

MOST_OUTLIERS = 20
PART_OF_FREEDOM = 0.25
MOST_FITS = 20
WORTH_IT = 0.9         # of the residual: a fit that leaves more has left out the wrong rows
MOST_ITERATIONS = 20   # of a fit without outliers, which starts close or not at all
TELLING = 1e-3         # least 1 - h_i: below, the residual is zero whatever the score is


@dataclass(frozen=True)
class Outliers:
    """The rows left out and the fit to the others."""

    rows: Integers             # indices, increasing
    deviations: Floats         # their studentised residuals
    fit: Polished              # without them


def bonferroni(level: float, count: int) -> float:
    """The normal quantile that the largest of ``count`` residuals exceeds with probability
    ``level`` at most.
    """
    return -float(scipy.special.ndtri(0.5 * level / max(count, 1)))


def studentised(fit: Polished, weight: Floats, left_out: Booleans) -> Floats:
    """Studentised residuals, (n,); ``weight`` is 1/noise, 0 in rows that take no part."""
    leverage = leverages(fit.point, weight, fit.linearisation, left_out)
    variance = np.where(left_out, 1.0 + leverage, 1.0 - leverage)
    whitened = fit.point.residual * weight
    return np.divide(whitened, np.sqrt(np.maximum(variance, TELLING)),
                     out=np.zeros_like(whitened), where=variance > TELLING)


def most_outliers(freedom: int) -> int:
    """Rows that may be left out."""
    return min(MOST_OUTLIERS, int(PART_OF_FREEDOM * freedom))


def find_outliers(fit: Polished, weight: Floats, freedom: int, *,
                  explained: Callable[[Polished, Booleans], bool],
                  suspect: Callable[[Polished, Floats], Booleans],
                  refit: Callable[[Floats, Booleans], Polished | None],
                  left_out: Booleans | None = None) -> Outliers | None:
    """Leave out rows until the others are explained.

    Parameters
    ----------
    fit : Polished
        To the rows not left out.
    weight : (n,) array
        1/noise, 0 in rows that take no part.
    freedom : int
        Degrees of freedom of the residual.
    explained : callable
        ``explained(fit, left_out)``: whether the residual of the rows not left out, (n,) boolean,
        is explained as a whole.
    suspect : callable
        ``suspect(fit, deviations)``: the rows, (n,) boolean, whose studentised residual by itself
        is not.
    refit : callable
        ``refit(x, left_out)``: Polished from x, or None.
    left_out : (n,) boolean array, optional
        Rows to begin without.

    Returns
    -------
    Outliers or None
        No rows if all are explained; None if leaving out a few explains nothing.
    """
    left_out = np.zeros(len(weight), dtype=bool) if left_out is None else left_out
    most = most_outliers(freedom)

    def judged(fit: Polished, left_out: Booleans) -> tuple[Floats, Booleans, bool]:
        """Studentised residuals, the rows suspected, and whether the rows kept are explained."""
        deviations = studentised(fit, weight, left_out)
        wrong = suspect(fit, deviations)
        return deviations, wrong, explained(fit, left_out) and not (wrong & ~left_out).any()

    deviations, wrong, settled = judged(fit, left_out)
    for _ in range(MOST_FITS):
        if settled or not most:
            break
        before, left_out, size = left_out, np.zeros(len(weight), dtype=bool), fit.point.size
        left_out[np.argsort(-np.abs(deviations), kind="stable")[:most]] = True
        left_out &= wrong
        again = None if np.array_equal(left_out, before) else refit(fit.point.x, left_out)
        if again is None:
            return None
        fit = again
        deviations, wrong, settled = judged(fit, left_out)
        if not settled and fit.point.size > WORTH_IT * size:
            return None
    if not settled:
        return None
    suspected = np.flatnonzero(left_out & ~wrong)
    for row in suspected[np.argsort(np.abs(deviations[suspected]), kind="stable")]:
        fewer = left_out.copy()
        fewer[row] = False
        again = refit(fit.point.x, fewer)
        if again is not None:
            found = judged(again, fewer)
            if found[2]:
                left_out, fit, deviations = fewer, again, found[0]
    rows = np.flatnonzero(left_out)
    return Outliers(rows, deviations[rows], fit)
