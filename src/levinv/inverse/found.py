"""What an inversion has found so far: the best x, and the records of its stages.

The records are the evidence of the result: see :mod:`levinv.inverse.verdict.evidence`.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levinv._typing import Floats
from levinv.inverse.stages.magnitudes import Scaling
from levinv.inverse.stages.signs import Signs
from levinv.inverse.values import MagnitudeWork, Recovered, Refined


@dataclass(frozen=True, eq=False)
class SignSearch:
    """Stage 2 on one component."""

    misfit: float = np.inf                   # the smallest of all candidates
    restarts: int = 0
    fitting: int | None = None               # sign vectors that fit, where all were enumerated
    starts: tuple[Signs, ...] = ()           # what each start found


@dataclass(frozen=True, eq=False)
class Found:
    """What the search found, and the records of its stages."""

    best: Refined | None = None
    log_weight: Floats | None = None         # (n,) of the last magnitudes
    magnitudes: Scaling | None = None        # the last of stage 1, where outliers may be looked for
    magnitude_work: MagnitudeWork | None = None
    recovered: Recovered | None = None       # the last of stage 3
    signs: tuple[SignSearch, ...] | None = None
    proofs: tuple[str, ...] = ()             # why no row weights have the scores
    remarks: tuple[str, ...] = ()            # what else the message says
    stopped: bool = False                    # by the callback
