"""Results as objects of strict JSON, which has no arrays, no NaN and no infinity."""
import math
from typing import Any

import numpy as np

UNCHANGED = frozenset((bool, int, str, type(None)))
ARRAYS = np.ndarray, np.generic
COLLECTIONS = list, tuple, set, frozenset


def plain(value: Any) -> Any:
    """``value`` with arrays as lists, and with None for numbers that are not finite."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind in UNCHANGED:
        return value
    if isinstance(value, dict):
        return {key if type(key) is str else str(key):
                entry if type(entry) in UNCHANGED else plain(entry) for key, entry in value.items()}
    if isinstance(value, ARRAYS):
        return plain(value.tolist())
    if isinstance(value, COLLECTIONS):
        return [entry if type(entry) in UNCHANGED else plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else str(value)
