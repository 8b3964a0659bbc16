"""Outliers: rows whose given scores disagree with the x that fits all other rows.

With W = diag(1/noise), J the Jacobian at the fitted x and h_i the leverage of row i in W J, the
residual e = sigma(x) - c has standard deviation noise_i √(1 - h_i): fitting x takes the part h_i of
a row's error. The *studentised residual*

    t_i = e_i / (noise_i √(1 - h_i))

is standard normal. Of m rows the largest exceeds z, the normal quantile at 1 - level/(2 m)
(Bonferroni), with probability at most the level. The threshold is 1.1 z, because the noise is known
to 10 %. A row left out of the fit is predicted by it: its deviation is noise_i √(1 + h_i), with h_i
formed from the other rows, and t_i is the same number.

If noise does not explain the residual, or a row exceeds the threshold, the rows that exceed it are
left out and x is fitted again from its last value, until noise explains the rows kept. There is no
result if the same rows are left out again or the residual does not decrease. These are the
concentration steps of least trimmed squares. At most a quarter of the degrees of freedom are left
out, because more would explain any residual. Then rows are put back one by one, the smallest |t_i|
first, as long as noise explains the rows kept. The remaining rows are the outliers.

If only row j is wrong, |t_j| is the largest at once: with K = I - H and e = K_j δ,
|t_i| = |K_ij δ|/√K_ii is at most √K_jj |δ| (Cauchy-Schwarz), because K is a projection.

For exact scores rounding takes the place of noise, and a row is explained if the tolerance allows
its error.

References: Cook and Weisberg, Residuals and Influence in Regression (1982), section 2.2; Rousseeuw
and Van Driessen, "Computing LTS regression for large data sets" (2006).
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special

from levinv import _tolerances
from levinv._typing import Booleans, Floats, Integers
from levinv.inverse.stages.whitened_jacobian import leverages
from levinv.inverse.values import Presolved, Refined


@dataclass(frozen=True, eq=False)
class Outliers:
    """The rows left out and the fit to the others."""

    rows: Integers             # increasing indices
    deviations: Floats         # their studentised residuals
    fit: Refined               # without these rows


def bonferroni(level: float, count: int) -> float:
    """The normal quantile that the largest of ``count`` exceeds with probability ``level``."""
    return -float(scipy.special.ndtri(0.5 * level / max(count, 1)))


def outlier_threshold(presolved: Presolved) -> float:
    """Studentised residual beyond which a row with noise is an outlier."""
    rows = int(np.count_nonzero(presolved.reduced.active))
    return _tolerances.NOISE_UNCERTAINTY * bonferroni(_tolerances.CHI_SQUARED_LEVEL, rows)


def studentised(fit: Refined, weight: Floats, left_out: Booleans) -> Floats:
    """Studentised residuals, (n,); ``weight`` is 1/noise, 0 in rows that are not active."""
    leverage = leverages(fit.point, weight, fit.linearisation, left_out)
    variance = np.where(left_out, 1.0 + leverage, 1.0 - leverage)
    whitened = fit.point.residual * weight
    return np.divide(whitened, np.sqrt(np.maximum(variance, _tolerances.HEAVY_COMPLEMENT)),
                     out=np.zeros_like(whitened), where=variance > _tolerances.HEAVY_COMPLEMENT)


def most_outliers(degrees: int) -> int:
    """Largest number of rows that may be left out."""
    return min(_tolerances.MAX_OUTLIERS, int(_tolerances.OUTLIER_FRACTION * degrees))


def find_outliers(fit: Refined, weight: Floats, degrees: int, *,
                  explained: Callable[[Refined, Booleans], bool],
                  suspect: Callable[[Refined, Floats], Booleans],
                  refit: Callable[[Floats, Booleans], Refined | None],
                  left_out: Booleans | None = None) -> Outliers | None:
    """Leave out rows until the residual of the others is explained. The result holds no rows if all
    are explained; it is None if leaving out a few rows does not explain the others.

    ``fit`` is the fit without the rows ``left_out`` (n,) at first, ``weight`` (n,) is 1/noise, 0 in
    rows that are not active, and ``degrees`` are the residual's degrees of freedom.
    ``explained(fit, left_out)`` says whether the residual of all rows kept is explained,
    ``suspect(fit, deviations)`` which rows' own residual is not, (n,) boolean;
    ``refit(x, left_out)`` fits again from x and may fail with None.
    """
    left_out = np.zeros(len(weight), dtype=bool) if left_out is None else left_out
    most = most_outliers(degrees)

    def judged(fit: Refined, left_out: Booleans) -> tuple[Floats, Booleans, bool]:
        """Studentised residuals, the rows suspected, and whether the rows kept are explained."""
        deviations = studentised(fit, weight, left_out)
        wrong = suspect(fit, deviations)
        return deviations, wrong, explained(fit, left_out) and not (wrong & ~left_out).any()

    deviations, wrong, settled = judged(fit, left_out)
    for _ in range(_tolerances.MAX_OUTLIERS):
        if settled or not most:
            break
        before, left_out, norm = left_out, np.zeros(len(weight), dtype=bool), fit.point.norm
        left_out[np.argsort(-np.abs(deviations), kind="stable")[:most]] = True
        left_out &= wrong
        again = None if np.array_equal(left_out, before) else refit(fit.point.x, left_out)
        if again is None:
            return None
        fit = again
        deviations, wrong, settled = judged(fit, left_out)
        if not settled and fit.point.norm >= norm:
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
