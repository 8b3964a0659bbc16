"""What an audit returns."""
from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from levinv import _validate
from levinv._typing import Booleans, Floats
from levinv.auditing import words
from levinv.auditing.limits import GIVEN_AWAY, holds
from levinv.inverse.result import InversionResult

if TYPE_CHECKING:
    from levinv.auditing.audit import Problem

DECIMALS = range(13)            # attacked one after the other for the page and the plots
MOST_DECIMALS = 17          # that a double has: more round nothing


@dataclass(frozen=True, eq=False)
class Published:
    """How the scores are published: exact, rounded or with noise."""

    noise: float | Floats          # 0 where they are exact
    decimals: int | None

    @classmethod
    def rounded(cls, decimals: int) -> Published:
        """Rounded to so many decimals."""
        return cls(rounding_noise(decimals), decimals)

    @property
    def exact(self) -> bool:
        """Whether as doubles, nothing added."""
        return (self.decimals is None and not isinstance(self.noise, np.ndarray)
                and self.noise == 0)

    def apply(self, scores: Floats, rng: np.random.Generator) -> Floats:
        """The scores as they are published."""
        if self.decimals is not None:
            return np.round(scores, self.decimals)
        return scores if self.exact else scores + self.noise * rng.standard_normal(len(scores))


def rounding_noise(decimals: int) -> float:
    """Standard deviation of what rounding to so many decimals changes."""
    return 10.0 ** -decimals / math.sqrt(12)


class Attacked(TypedDict):
    """What was predicted and found at one number of decimals."""

    decimals: int
    predicted_error: float
    recovered_error: float
    success: bool
    prediction_holds: bool


@dataclass(frozen=True, eq=False)
class AuditReport:
    """What published leverage scores give away; made by :func:`levinv.audit`.

    Attributes
    ----------
    verdict : str
        In words: the first line of the report.
    unique : bool
        Whether x is the only one with these scores (unrounded): ``null_space`` is empty, and the
        signs of A x - b are known or determined.
    null_space : (d, k) ndarray
        Orthonormal columns: the directions in which x can move with every score unchanged.
    standard_errors : (d,) ndarray
        Of each coefficient as an attacker can know it: the Cramér-Rao bound. inf where the scores
        do not determine a coefficient. For exact scores that of their rounding to double;
        arithmetic loses more.
    relative_errors : (d,) ndarray
        The same divided by ``sizes``.
    sizes : (d,) ndarray
        The coefficients' magnitudes. A coefficient of 0 is measured by the one that moves A x by as
        much as the slacks A x - b are (root mean squares).
    recovered_x : (d,) ndarray
        What the attack found.
    recovered_error, predicted_error : float
        Of x as a whole, relative: ``|D (recovered_x - x)| / |D x|``, D the root mean squares of
        A's columns, which make coefficients comparable; and the same of the standard errors. Over
        the coefficients that the scores determine; inf if they determine none.
    row_influence : (n,) ndarray
        In [0, 1]: how much of what the scores tell comes from each row's, the diagonal of
        W J (Jᵀ W² J)⁺ Jᵀ W, J the Jacobian of the scores with respect to x and W = diag(1/noise).
        Sums to the number of directions that the scores determine.
    singular_values : (r,) ndarray
        How many noise levels the scores move (root of the sum of squares) when x moves such that
        the slacks move by relative amounts whose squares sum to 1. Decreasing.
    departure : float
        Of the scores from the linear prediction for errors of the size predicted, relative.
    prediction_holds : bool
        Whether standard errors are to be relied on: the departure is at most 0.3, the attack
        matched the scores, and its error is at most 4 times the one predicted. Where it does not,
        noise is too large, or rounding is coarser than most scores and no longer resembles noise.
    given_away : (d,) ndarray of bool
        The coefficients known to within 10 %: by their standard errors where the prediction holds,
        otherwise those that the attack found.
    least_squares_x : (d,) ndarray
        What A and b tell without any scores, if x comes from a regression.
    least_squares_error : float
        Its error, as ``recovered_error``.
    names : list of str
        Of the coefficients.
    row_labels : list of str or None
        Labels of A's rows, where they have any.
    attack : InversionResult
        All that the attack found.
    decimals_attacked : list of dict
        What 0 to 12 decimals would give away: ``decimals``, ``predicted_error``,
        ``recovered_error``, ``success``, ``prediction_holds``. Made when first asked for.
    errors_per_noise : (d,) ndarray
        Standard errors at noise of standard deviation 1 in every score.
    signs_known : bool
        Whether the attacker was given the signs.
    decided : bool
        Whether arithmetic could tell what the scores determine.
    x, scores : ndarray
        As audited; the scores before rounding and noise.

    Examples
    --------
    >>> from levinv import audit
    >>> from levinv.data import load_diabetes
    >>> import numpy as np
    >>> A, b, names = load_diabetes()
    >>> x = np.linalg.lstsq(A[:200], b[:200], rcond=None)[0]
    >>> report = audit(A, b, x, decimals=3)
    >>> print(report.verdict.partition(".")[0])
    GIVEN AWAY
    >>> report.safe_decimals(0.01), float(f"{report.safe_noise(0.01):.2g}")
    (0, 0.15)
    >>> report.names[2], [report.row_label(row) for row in np.argsort(-report.row_influence)[:3]]
    ('x[2]', ['28', '352', '349'])
    """

    x: Floats
    sizes: Floats
    scores: Floats
    published: Published
    signs_known: bool
    names: list[str]
    row_labels: list[str] | None
    unique: bool
    decided: bool                      # whether arithmetic could tell what the scores determine
    null_space: Floats
    standard_errors: Floats
    errors_per_noise: Floats           # standard errors at noise 1 in every score
    singular_values: Floats
    row_influence: Floats
    departure: float
    attack: InversionResult
    recovered_x: Floats
    least_squares_x: Floats
    share: Floats = field(repr=False)         # root mean squares of A's columns
    problem: Problem = field(repr=False)

    @property
    def prediction_holds(self) -> bool:
        """Whether the standard errors are to be relied on."""
        return holds(self.departure, self.attack.success, self.recovered_error,
                     self.predicted_error, self.unique)

    @property
    def recovered_error(self) -> float:
        """Relative error of what the attack found."""
        return self.relative_size(self.recovered_x - self.x, np.isfinite(self.standard_errors))

    @property
    def predicted_error(self) -> float:
        """Relative error predicted for x as a whole."""
        return self.relative_size(self.standard_errors, np.isfinite(self.standard_errors))

    @property
    def least_squares_error(self) -> float:
        """Relative error of least squares of b on A."""
        return self.relative_size(self.least_squares_x - self.x)

    def relative_size(self, change: Floats, counted: Booleans | None = None) -> float:
        """``|D change| / |D x|``, D the root mean squares of A's columns, over the coefficients
        counted; inf where there are none. An x of 0 is measured by ``sizes``.
        """
        counted = np.ones(len(self.x), dtype=bool) if counted is None else counted
        share = self.share[counted]
        size = (np.linalg.norm(share * self.x[counted])
                or np.linalg.norm(share * self.sizes[counted]))
        return float(np.linalg.norm(share * change[counted]) / size) if size else math.inf

    @property
    def relative_errors(self) -> Floats:
        """Standard errors in units of the coefficients, (d,)."""
        return self.standard_errors / self.sizes

    @property
    def given_away(self) -> Booleans:
        """Which coefficients are known to within 10 %, (d,) boolean."""
        errors = (self.relative_errors if self.prediction_holds
                  else np.abs(self.recovered_x - self.x) / self.sizes)
        return errors <= GIVEN_AWAY

    @property
    def verdict(self) -> str:
        """What the audit comes to, in words."""
        return words.verdict(self)

    def safe_noise(self, target: float) -> float:
        """Least standard deviation of noise that keeps every coefficient's relative standard error
        above ``target``; 0 if no noise is needed.

        Parameters
        ----------
        target : float
            0.1: nobody is to know any coefficient to within 10 % (one standard error).

        Returns
        -------
        float
            By the linear prediction: see :meth:`departure_at`.

        Raises
        ------
        ValueError
            If the target is not above 0.
        """
        target = _validate.positive_number(target, "target")
        least = float(np.min(self.errors_per_noise / self.sizes))
        return target / least if least > 0 else math.inf

    def safe_decimals(self, target: float) -> float | None:
        """Largest number of decimals in the scores that keeps every coefficient's relative standard
        error above ``target``.

        Parameters
        ----------
        target : float

        Returns
        -------
        int, inf or None
            inf if exact scores are safe; None if not even 0 decimals are. By the linear prediction,
            as :meth:`safe_noise`.

        Raises
        ------
        ValueError
            If the target is not above 0.
        """
        noise = self.safe_noise(target)
        if noise == 0:
            return math.inf
        decimals = -math.inf
        if math.isfinite(noise):
            decimals = math.ceil(-math.log10(noise * math.sqrt(12))) - 1
        return (math.inf if decimals > MOST_DECIMALS else decimals if decimals >= 0 else None)

    def departure_at(self, noise: float) -> float:
        """``departure`` at noise of another standard deviation (a float above 0); inf where the
        scores are not defined at errors of that size.
        """
        return self.problem.departure(_validate.positive_number(noise, "noise"))

    @functools.cached_property
    def decimals_attacked(self) -> list[Attacked]:
        """Predictions and attacks at 0 to 12 decimals, a list of dicts: ``decimals``,
        ``predicted_error``, ``recovered_error``, ``success``, ``prediction_holds``. Computed when
        first asked for: thirteen inversions.
        """
        return [self._attacked(decimals) for decimals in DECIMALS]

    def _attacked(self, decimals: int) -> Attacked:
        attack = self.problem.attack(Published.rounded(decimals))
        noise = rounding_noise(decimals)
        known = np.isfinite(self.errors_per_noise)
        predicted = self.relative_size(noise * self.errors_per_noise, known)
        recovered = self.relative_size(attack.x - self.x, known)
        return {"decimals": decimals, "predicted_error": predicted,
                "recovered_error": recovered, "success": bool(attack.success),
                "prediction_holds": holds(self.problem.departure(noise), attack.success, recovered,
                                          predicted, self.unique)}

    def row_label(self, row: int) -> str:
        """A row's label, or its number."""
        return str(row) if self.row_labels is None else self.row_labels[row]

    def to_text(self) -> str:
        """The report for a terminal."""
        return words.text(self)

    def to_html(self) -> str:
        """The report as one page of HTML that needs nothing else: no network and no scripts.

        Thirteen more attacks are made for it (``decimals_attacked``). Pictures are drawn by
        matplotlib (``pip install "levinv[plot]"``); without it the page has none and says so, since
        its tables hold the same figures.
        """
        from levinv.auditing import page
        return page.html(self)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain numbers, strings, lists and dicts, None for what is not finite."""
        return words.as_dict(self)

