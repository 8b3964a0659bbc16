"""How scores are published: exact, rounded or with noise."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levinv._noise import rounding_noise
from levinv._typing import Floats


@dataclass(frozen=True, eq=False)
class Publication:
    """The rounding or noise that is applied to the scores before they are published."""

    noise: float | Floats          # standard deviation; 0 if the scores are exact
    decimals: int | None           # None if the scores are not rounded

    @classmethod
    def rounded(cls, decimals: int) -> Publication:
        """The publication of scores rounded to ``decimals`` decimals."""
        return cls(rounding_noise(decimals), int(decimals))

    @property
    def exact(self) -> bool:
        """Whether the scores are published as doubles, without rounding or noise."""
        return (self.decimals is None and not isinstance(self.noise, np.ndarray)
                and self.noise == 0)

    def apply(self, scores: Floats, rng: np.random.Generator) -> Floats:
        """The published scores."""
        if self.decimals is not None:
            return np.round(scores, self.decimals)
        return scores if self.exact else scores + self.noise * rng.standard_normal(len(scores))
