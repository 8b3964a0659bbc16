"""From where on a coefficient counts as given away, and up to where a prediction is relied on."""
from __future__ import annotations

GIVEN_AWAY = 0.1            # relative error up to which a coefficient is
LARGEST_DEPARTURE = 0.3     # from the linear prediction
LARGEST_MISS = 4.0          # error of an attack, times the one predicted, that is to be expected;
NOTHING = 1e-8              # smaller ones are arithmetic


def holds(departure: float, success: bool, missed: float, predicted: float, unique: bool) -> bool:
    """Whether a prediction is to be relied on. Where x is not unique, an attack that finds another
    one says nothing against it.
    """
    return bool(departure <= LARGEST_DEPARTURE and success
                and (not unique or as_predicted(missed, predicted)))


def as_predicted(missed: float, predicted: float) -> bool:
    """Whether an attack errs as it is expected to."""
    return missed <= max(LARGEST_MISS * predicted, NOTHING)
