"""The compiled kernels for problems of small size (:mod:`levinv._kernels.many`, ``cells``), in the
version for this processor, and what they know of weightings.
"""
from __future__ import annotations

import functools
import math
from typing import TypeAlias

import numpy as np

from levinv._kernels.many import has_avx2
from levinv._tolerances import (
    BATCH_COLUMNS,
    BATCH_ROWS,
    BRANCH_NODES,
    LEAST_GAP,
    WEIGHT_RANGE,
)
from levinv._typing import Floats
from levinv.weighting.peaked import Cauchit, Cloglog, Logit, Peaked, Probit
from levinv.weighting.protocol import INVERSE_SQUARE, Exponential, Power, Weighting

if has_avx2():
    from levinv._kernels import cells_avx2 as cells
    from levinv._kernels import many_avx2 as kernel
else:
    from levinv._kernels import cells  # type: ignore[no-redef]
    from levinv._kernels import many as kernel  # type: ignore[no-redef]  # the same, for any CPU

__all__ = ["Compiled", "cells", "compiled_weighting", "fits_kernel", "kernel"]

# What the kernel knows: its number of a kind is the place in this list, 0 the papers' 1/s².
COMPILED: tuple[type[Weighting], ...] = (Power, Exponential, Logit, Probit, Cloglog, Cauchit)

# the number of the kind, (parameter, mode, spacing) and the table of branches
Compiled: TypeAlias = tuple[int, Floats, Floats]


def compiled_weighting(weighting: Weighting, has_prior: bool = False) -> Compiled | None:
    """What the kernel is told of a weighting; None if it does not know it."""
    if type(weighting) not in COMPILED:
        return None
    kind, parameter = COMPILED.index(type(weighting)) + 1, 1.0
    mode, spacing, table = 0.0, 1.0, np.zeros((2, 2))
    if isinstance(weighting, Power):
        parameter = weighting.q
        if weighting is INVERSE_SQUARE and not has_prior:
            kind = 0
    elif isinstance(weighting, Exponential):
        parameter = weighting.rate
    elif isinstance(weighting, Peaked):
        mode = weighting.mode
        spacing, table = _table_of_branches(weighting)
        parameter = weighting.sign if isinstance(weighting, Cloglog) else parameter
    return kind, np.array([parameter, mode, spacing]), table


@functools.lru_cache(maxsize=len(COMPILED))
def _table_of_branches(weighting: Peaked) -> tuple[float, Floats]:
    log_gap, spacing = np.linspace(math.log(LEAST_GAP), math.log(WEIGHT_RANGE), BRANCH_NODES // 4,
                                   retstep=True)
    table = np.log(np.abs(np.array(weighting.branches(np.exp(log_gap))) - weighting.mode))
    table.flags.writeable = False
    return float(spacing), table


def fits_kernel(n: int, d: int) -> bool:
    """Whether the kernel takes problems of this shape."""
    return d <= BATCH_COLUMNS and d < n <= BATCH_ROWS
