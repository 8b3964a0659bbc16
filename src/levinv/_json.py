"""Results as objects of strict JSON, which has no arrays, no NaN and no infinity."""
import math
from typing import Any

import numpy as np

UNCHANGED = frozenset((bool, int, str, type(None)))
ARRAYS = np.ndarray, np.generic
COLLECTIONS = list, tuple, set, frozenset


def plain(value: Any) -> Any:
    """``value`` with arrays as lists, and with None for numbers that are not finite."""
    if type(value) in UNCHANGED:
        return value
    if isinstance(value, ARRAYS):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, COLLECTIONS):
        return [plain(entry) for entry in value]
    return value if isinstance(value, bool | int | str) else str(value)
