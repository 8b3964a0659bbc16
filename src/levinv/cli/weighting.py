"""The weighting of --weighting FAMILY[:LINK] or power:Q, and the vectors that belong to it."""
import argparse
from typing import Any

from levinv.cli.files import read_vector
from levinv.cli.status import InputError, input_errors
from levinv.weighting.names import FAMILIES, glm, power
from levinv.weighting.protocol import Weighting


def weighting_of(arguments: argparse.Namespace) -> Weighting | None:
    """The weighting that is asked for; None for the papers' 1/s²."""
    given: str | None = arguments.weighting
    parameters = {name: getattr(arguments, name) for name in ("alpha", "power")}
    if given is None:
        for name, value in parameters.items():
            if value is not None:
                raise InputError(f"--{name} needs --weighting")
        return None
    family, colon, link = given.partition(":")
    with input_errors():
        if family != "power":
            return glm(family, link if colon else None, **parameters)
        if any(value is not None for value in parameters.values()):
            raise InputError("--alpha and --power must not be given with --weighting power:Q")
        try:
            q = float(link)
        except ValueError:
            raise InputError(f"--weighting power:Q needs a number Q, got {given!r}; the families "
                             f"are {', '.join(FAMILIES)}") from None
        return power(q)


def model_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments b, weighting, offset and prior_weights of the library."""
    vectors = {name: None if path is None else read_vector(path) for name, path in (
        ("b", arguments.b), ("offset", arguments.offset),
        ("prior_weights", arguments.prior_weights))}
    return {"weighting": weighting_of(arguments), **vectors}
