"""The attacker inverts the published scores and knows only A, b and how they were published."""
from dataclasses import dataclass

import numpy as np

from levinv._tolerances import SAMPLE_SEED
from levinv._typing import Floats, MatrixLike
from levinv.auditing.publication import Publication
from levinv.auditing.sensitivity import departure
from levinv.forward.leverage_map import LeverageMap
from levinv.inverse.invert_scores import invert_scores
from levinv.inverse.result import InversionResult


@dataclass(frozen=True, eq=False)
class AuditedProblem:
    """The audited problem, for attacks on its scores at any rounding or noise."""

    A: MatrixLike
    b: Floats
    x: Floats
    scores: Floats                 # before rounding and noise
    signs: Floats | None           # None if the attacker does not know them
    scores_at: LeverageMap
    steps: Floats                  # of the sensitivity at noise 1 in every score

    def attack(self, publication: Publication) -> InversionResult:
        """The inversion of the scores as published, without a starting point."""
        published = publication.apply(self.scores, np.random.default_rng(SAMPLE_SEED))
        return invert_scores(self.A, self.b, np.clip(published, 0.0, 1.0), signs=self.signs,
                             noise=None if publication.exact else publication.noise,
                             rng=SAMPLE_SEED)

    def departure(self, noise: float) -> float:
        """The departure from the linear prediction at this standard deviation in every score."""
        return departure(self.scores_at, self.x, noise * self.steps,
                         np.full(len(self.scores), noise))
