"""Results as the plain objects that strict JSON has: no arrays, no NaN, no infinity."""
import math
from typing import Any

import numpy as np

PLAIN = frozenset((bool, int, str, type(None)))
ARRAYS = np.ndarray, np.generic
COLLECTIONS = list, tuple, set, frozenset


def plain(value: Any) -> Any:
    """``value`` with arrays as lists and every number that is not finite as None."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind in PLAIN:
        return value
    if isinstance(value, dict):
        return {key if type(key) is str else str(key):
                entry if type(entry) in PLAIN else plain(entry) for key, entry in value.items()}
    if isinstance(value, ARRAYS):
        return plain(value.tolist())
    if isinstance(value, COLLECTIONS):
        return [entry if type(entry) in PLAIN else plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else str(value)
