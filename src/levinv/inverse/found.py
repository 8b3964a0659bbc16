"""What an inversion has found so far: the best x, and the records of its stages.

:mod:`levinv.inverse.verdict.evidence` turns the records into the evidence of the result.
"""
from dataclasses import dataclass

import numpy as np

from levinv._typing import Floats
from levinv.inverse.stages.signs import SignCandidate
from levinv.inverse.values import Magnitudes, MagnitudeWork, Recovered, Refined


@dataclass(frozen=True, eq=False)
class SignSearch:
    """Stage 2 on one component."""

    misfit: float = np.inf                   # the smallest of all candidates
    restarts: int = 0
    fitting: int | None = None               # sign vectors that fit, if all were enumerated
    starts: tuple[SignCandidate, ...] = ()   # the result of each start


@dataclass(frozen=True, eq=False)
class Found:
    """What the search found, and the records of its stages."""

    best: Refined | None = None
    log_weight: Floats | None = None         # (n,) of the last magnitudes
    magnitudes: Magnitudes | None = None        # last of stage 1, if robust signs can use it
    magnitude_work: MagnitudeWork | None = None
    recovered: Recovered | None = None       # last of stage 3
    signs: tuple[SignSearch, ...] | None = None
    proofs: tuple[str, ...] = ()             # that no row weights have the scores
    remarks: tuple[str, ...] = ()            # further reasons for the message
    stopped: bool = False                    # by the callback
