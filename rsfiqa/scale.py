"""Opinion scores and quality: the one place where the two scales meet.

MOS is in the native units and direction of a data set. Quality lies in [0, 1], higher is better.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from rsfiqa.vocabulary import ITU_LEVELS

Number = TypeVar("Number", float, np.ndarray)


@dataclass(frozen=True)
class MosScale:
    """The scale of a data set's opinion scores.

    Attributes:
        low: lowest possible score.
        high: highest possible score, above `low`.
        lower_better: a low score means a good image (DMOS).
    """

    low: float = 0.0
    high: float = 1.0
    lower_better: bool = False

    @property
    def span(self) -> float:
        """Points of the score for one unit of quality; negative where lower is better."""
        return self.low - self.high if self.lower_better else self.high - self.low

    @property
    def worst(self) -> float:
        """The score of quality 0."""
        return self.high if self.lower_better else self.low

    @property
    def direction(self) -> Literal["higher", "lower"]:
        """Which scores are better."""
        return "lower" if self.lower_better else "higher"

    def __contains__(self, mos: float) -> bool:
        return self.low <= mos <= self.high

    def to_quality(self, mos: Number) -> Number:
        """Quality of a score in native units."""
        quality = (mos - self.low) / (self.high - self.low)
        return 1.0 - quality if self.lower_better else quality

    def to_mos(self, quality: Number) -> Number:
        """Score in native units of a quality, which may lie outside [0, 1]."""
        return self.worst + self.span * quality


def itu_level(quality: float) -> str:
    """The word of the five-step scale of ITU-R BT.500: fifths of [0, 1], bad to excellent."""
    return ITU_LEVELS[min(max(int(quality * len(ITU_LEVELS)), 0), len(ITU_LEVELS) - 1)]
