"""The figures (numbers) of an audit, and quantities derived from them."""
from __future__ import annotations

import enum
import functools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np

from levinv import _validate
from levinv._noise import rounding_noise
from levinv._tolerances import EPS, GIVEN_AWAY, LARGEST_DEPARTURE, SIGNIFICANT
from levinv._typing import Booleans, Floats, RowIndex
from levinv.inverse.result import InversionResult

DECIMALS = range(13)            # numbers of decimals that the page and the plots compare
MOST_DECIMALS = sys.float_info.dig + 2          # rounding to more does not change a double


class Level(enum.StrEnum):
    """What an audit concludes: how much of x the published scores give away."""

    GIVEN_AWAY = "given away"
    PARTLY_GIVEN_AWAY = "partly given away"
    IN_DOUBT = "in doubt"
    NOT_GIVEN_AWAY = "not given away"


@dataclass(frozen=True, eq=False)
class Publication:
    """The rounding or noise that is applied to the scores before they are published."""

    noise: float | Floats          # standard deviation; 0 if the scores are exact
    decimals: int | None           # None if the scores are not rounded

    @property
    def exact(self) -> bool:
        """Whether the scores are published as doubles, without rounding or noise."""
        return self.decimals is None and not np.any(self.noise)


@dataclass(frozen=True)
class Setting:
    """What the scores are of, and what an attacker has besides A."""

    weighting: str                 # its name
    mode: float                    # signs are those of the linear predictor less the mode
    offset: bool                   # whether b or an offset is given
    prior: bool                    # whether prior weights are given
    penalty: bool                  # whether the fit has a penalty

    @property
    def regression(self) -> bool:
        """Whether the weights are those of a named model; otherwise they are a function of the
        residual or slack A x - b.
        """
        return not self.weighting.startswith("weights ")


class AttackedDecimals(TypedDict):
    """The prediction and the result of the attack at one number of decimals."""

    decimals: int
    predicted_error: float
    recovered_error: float
    success: bool
    prediction_holds: bool


@dataclass(frozen=True, eq=False)
class AuditFigures:
    """The data of an AuditReport, which describes the attributes."""

    setting: Setting
    x: Floats
    sizes: Floats
    scores: Floats
    published: Publication
    signs_known: bool
    names: list[str]
    row_labels: list[str] | None
    unique: bool
    decided: bool
    null_space: Floats
    alternatives: Floats
    up_to_signs: bool
    direction_error: float
    standard_errors: Floats
    errors_per_noise: Floats
    singular_values: Floats
    row_influence: Floats
    departure: float
    attack: InversionResult
    recovered_x: Floats
    least_squares_x: Floats
    share: Floats = field(repr=False)         # root mean squares of A's columns
    attack_on: Callable[[Publication], InversionResult] = field(repr=False)
    departure_with: Callable[[float], float] = field(repr=False)    # this noise in every score

    @property
    def prediction_holds(self) -> bool:
        return self._holds(self.departure, self.attack, self.recovered_error, self.predicted_error)

    def _holds(self, departure: float, attack: InversionResult, missed: float,
               predicted: float) -> bool:
        # If x is not unique, an attack that finds another x does not contradict the prediction.
        return bool(departure <= LARGEST_DEPARTURE and attack.success
                    and (not self.determined or as_predicted(missed, predicted)))

    @property
    def weighting(self) -> str:
        return self.setting.weighting

    @property
    def determined(self) -> bool:
        """Whether exact scores determine x, at least up to signs."""
        return self.unique or self.up_to_signs

    @property
    def ratios_given_away(self) -> bool:
        """Whether the coefficients of a model are known to within 10 % up to one common factor."""
        return self.setting.regression and self.direction_error <= GIVEN_AWAY

    @property
    def recovered_error(self) -> float:
        return self.relative_size(self.recovered_x - self.x, np.isfinite(self.standard_errors))

    @property
    def predicted_error(self) -> float:
        return self.relative_size(self.standard_errors, np.isfinite(self.standard_errors))

    @property
    def least_squares_error(self) -> float:
        return self.relative_size(self.least_squares_x - self.x)

    def relative_size(self, change: Floats, counted: RowIndex = slice(None)) -> float:
        """``|D change| / |D x|`` over the coefficients in ``counted``, where D holds the root mean
        squares of A's columns; inf if no coefficient counts. If x is 0, ``sizes`` replaces it.
        """
        share = self.share[counted]
        size = (np.linalg.norm(share * self.x[counted])
                or np.linalg.norm(share * self.sizes[counted]))
        return float(np.linalg.norm(share * change[counted]) / size) if size else math.inf

    @property
    def relative_errors(self) -> Floats:
        return self.standard_errors / self.sizes

    @property
    def given_away(self) -> Booleans:
        errors = (self.relative_errors if self.prediction_holds
                  else np.abs(self.recovered_x - self.x) / self.sizes)
        return errors <= GIVEN_AWAY

    @property
    def level(self) -> Level:
        known = self.given_away
        # Standard errors are a lower bound even at noise where the prediction fails.
        safe = (self.relative_errors.min() > GIVEN_AWAY and not known.any()
                and not self.ratios_given_away)
        if not (self.prediction_holds or known.all() or safe):
            return Level.IN_DOUBT
        if known.all() and self.determined:
            return Level.GIVEN_AWAY
        partly = known.any() or self.ratios_given_away
        return Level.PARTLY_GIVEN_AWAY if partly else Level.NOT_GIVEN_AWAY

    def safe_noise(self, target: float) -> float:
        """Smallest standard deviation of noise at which every coefficient's relative standard error
        is at least ``target``.

        Parameters
        ----------
        target : float
            For example 0.1, if nobody is to know any coefficient to within 10 %.

        Returns
        -------
        float
            0 if no noise is needed, inf if no noise is enough. It is computed by the linear
            prediction (see :meth:`departure_at`).

        Raises
        ------
        ValueError
            If the target is not above 0.
        """
        target = _validate.positive_number(target, "target")
        least = float(np.min(self.errors_per_noise / self.sizes))
        return target / least if least > 0 else math.inf

    def safe_decimals(self, target: float) -> float | None:
        """Largest number of decimals in the scores at which every coefficient's relative standard
        error is above ``target``, by the prediction and with the errors of :meth:`safe_noise`.

        Returns
        -------
        int, inf or None
            inf if exact scores are safe; None if even 0 decimals are not safe.
        """
        noise = self.safe_noise(target)
        if noise == 0:
            return math.inf
        if math.isinf(noise):
            return None
        decimals = math.ceil(-math.log10(noise * math.sqrt(12))) - 1
        return math.inf if decimals > MOST_DECIMALS else decimals if decimals >= 0 else None

    def departure_at(self, noise: float) -> float:
        """The ``departure`` at another standard deviation of the noise, a float above 0; inf if
        errors of that size lead to an x at which the scores are not defined.
        """
        return self.departure_with(_validate.positive_number(noise, "noise"))

    @functools.cached_property
    def decimals_attacked(self) -> list[AttackedDecimals]:
        attacked: list[AttackedDecimals] = []
        known = np.isfinite(self.errors_per_noise)
        for decimals in DECIMALS:
            noise = rounding_noise(decimals)
            attack = self.attack_on(Publication(noise, decimals))
            predicted = self.relative_size(noise * self.errors_per_noise, known)
            recovered = self.relative_size(nearest(attack, self.x, self.share) - self.x, known)
            holds = self._holds(self.departure_with(noise), attack, recovered, predicted)
            attacked.append({"decimals": decimals, "predicted_error": predicted,
                             "recovered_error": recovered, "success": bool(attack.success),
                             "prediction_holds": holds})
        return attacked

    def row_label(self, row: int) -> str:
        """The label of a row, or its number if rows have no labels."""
        return str(row) if self.row_labels is None else self.row_labels[row]


def nearest(attack: InversionResult, x: Floats, share: Floats) -> Floats:
    """The solution of an attack that is nearest to x. Each alternative changes the part of x on one
    component of A's rows, so that they can also be taken together.
    """
    best: Floats = attack.x
    for other in attack.alternatives:
        together = best + (other - attack.x)
        best = min(best, other, together, key=lambda found: float(
            np.linalg.norm(share * (found - x))))
    return best


def as_predicted(missed: float, predicted: float) -> bool:
    """Whether the error of an attack is at most about as predicted, or is only rounding."""
    return missed <= max(SIGNIFICANT * predicted, math.sqrt(EPS))
