"""The arguments that describe the weights of a problem: checked once, at the door."""
from __future__ import annotations

import numpy as np

from levinv import _validate
from levinv._typing import Floats, VectorLike
from levinv.weighting.model import INVERSE_SQUARE_MODEL, Model
from levinv.weighting.names import WeightingLike, as_weighting
from levinv.weighting.protocol import INVERSE_SQUARE


def model_and_response(weighting: WeightingLike, b: VectorLike | None, offset: VectorLike | None,
                       prior_weights: VectorLike | None, n: int,
                       axis: _validate.Axis | None = None) -> tuple[Model, Floats]:
    """The model of an inversion and b = -offset, (n,).

    Raises TypeError if neither b nor a weighting is given. Raises ValueError if both b and an
    offset are, if prior weights are not positive, if the scores do not depend on x, or if no way
    back from the scores is known.
    """
    chosen = as_weighting(weighting)
    response = right_hand_side(b, offset, weighting, n, axis)
    response = np.zeros(n) if response is None else response
    if chosen.kind == "constant":
        raise ValueError(f"weighting must depend on x, but the hat values of {chosen.name} are the "
                         "same for every x")
    if chosen.kind == "other":
        raise ValueError("weighting must be a power, exponential, monotone or have one peak, which "
                         f"{chosen.name} has not: no way back from its scores is known")
    if prior_weights is None:
        return (INVERSE_SQUARE_MODEL if chosen is INVERSE_SQUARE else Model(chosen)), response
    prior = _validate.nonnegative(prior_weights, "prior_weights", n, "row of A", axis)
    if not prior.all():
        raise ValueError("prior_weights must be above 0, got 0 at index "
                         f"{int(np.argmin(prior > 0))}: leave such rows out")
    if np.ptp(prior) == 0.0:
        return (INVERSE_SQUARE_MODEL if chosen is INVERSE_SQUARE else Model(chosen)), response
    return Model(chosen, np.log(prior)), response


def right_hand_side(b: VectorLike | None, offset: VectorLike | None, weighting: WeightingLike,
                    n: int, axis: _validate.Axis | None = None) -> Floats | None:
    """b = -offset, (n,), or None for 0."""
    if b is not None and offset is not None:
        raise ValueError("b and offset must not both be given: b is -offset")
    if b is not None:
        return _validate.vector(b, "b", n, "row of A", axis)
    if offset is not None:
        return -_validate.vector(offset, "offset", n, "row of A", axis)
    if weighting is None:
        raise TypeError("b must hold real numbers, got dtype object: None stands for 0 only if a "
                        "weighting is given")
    return None
