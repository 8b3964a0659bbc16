"""Checks of single values, and the indices that error messages name.

These checks need no other module of the package, so that the lowest modules can use them.
:mod:`levinv._validate` re-exports them, together with the checks of arrays.
"""
import numbers
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt


def positive_int(value: object, name: str) -> int:
    """An int of at least 1."""
    checked = _integer(value, name)
    if checked < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return checked


def index(value: object, name: str, n: int) -> int:
    """An int in 0..n-1."""
    checked = _integer(value, name)
    if not 0 <= checked < n:
        raise ValueError(f"{name} must be in 0..{n - 1}, got {value}")
    return checked


def _integer(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    return int(value)


def positive_number(value: object, name: str, *, zero: bool = False) -> float:
    """A finite float above 0, or with ``zero`` at least 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}")
    value = float(value)
    if not (np.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise ValueError(f"{name} must be {'at least' if zero else 'above'} 0 and finite, got "
                         f"{value}")
    return value


def finite_number(value: object, name: str) -> float:
    """A finite float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}")
    value = float(value)
    if not np.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return value


def scalar(value: object) -> object:
    """The number in a real array without dimensions; any other value unchanged."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and not np.ma.is_masked(value):
        return value.item()
    return value


def choice(value: str, name: str, allowed: Collection[str]) -> str:
    """One of the ``allowed`` strings."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def options(value: Any, allowed: Collection[str]) -> dict[str, Any]:
    """A dict of options whose keys are all ``allowed``; None gives an empty dict."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"options must be a dict, got {type(value).__name__}")
    for key in value:
        if key not in allowed:
            known = ", ".join(map(repr, allowed)) if allowed else "none"
            raise ValueError(f"options has an unknown key {key!r}; known for this method: {known}")
    return value


def generator(value: Any, name: str) -> np.random.Generator:
    """A numpy Generator from None, a seed or a Generator."""
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be None, a non-negative int or a numpy Generator, got "
                          f"{value!r}") from None


def first_index(mask: npt.NDArray[np.bool_]) -> int | tuple[int, ...]:
    """The index of the first True entry: an int for a vector, a tuple for an array."""
    place = tuple(int(i) for i in np.unravel_index(np.argmax(mask), mask.shape))
    return place[0] if len(place) == 1 else place


def listed(index: npt.NDArray[np.intp]) -> str:
    """The first few of the indices, for a message."""
    return ", ".join(map(str, index[:5])) + (", ..." if len(index) > 5 else "")
