"""The weighting of --weighting FAMILY[:LINK] or power:Q, or of --family and --link."""
import argparse
from typing import Any

from levinv.cli.status import InputError, input_errors
from levinv.weighting.names import FAMILIES, glm, power
from levinv.weighting.protocol import Weighting


def family_of(arguments: argparse.Namespace) -> tuple[str, str | None] | None:
    """The names of the family and the link; None if none are given."""
    given: str | None = arguments.weighting
    if given is not None:
        if arguments.family is not None or arguments.link is not None:
            raise InputError("--weighting FAMILY:LINK stands for --family and --link: give only "
                             "one of them")
        family, colon, link = given.partition(":")
        return family, link if colon else None
    if arguments.family is None:
        if arguments.link is not None:
            raise InputError("--link needs --family")
        return None
    return arguments.family, arguments.link


def parameters_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The parameters of a family."""
    return {name: getattr(arguments, name) for name in ("alpha", "power")}


def weighting_of(arguments: argparse.Namespace) -> Weighting | None:
    """The weighting that is asked for; None for the papers' 1/s²."""
    named, parameters = family_of(arguments), parameters_of(arguments)
    if named is None:
        for name, value in parameters.items():
            if value is not None:
                raise InputError(f"--{name} needs --weighting")
        return None
    family, link = named
    with input_errors():
        if family != "power":
            return glm(family, link, **parameters)
        if any(value is not None for value in parameters.values()):
            raise InputError("--alpha and --power must not be given with --weighting power:Q")
        try:
            q = float(link or "")
        except ValueError:
            raise InputError("--weighting power:Q needs a number Q, got "
                             f"{arguments.weighting!r}; the families are {', '.join(FAMILIES)}"
                             ) from None
        return power(q)
