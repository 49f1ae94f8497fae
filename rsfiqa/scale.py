"""Conversion between opinion scores and quality.

MOS is in the native units and direction of a data set. Quality lies in [0, 1], higher is better.
No other module computes one from the other.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rsfiqa.vocabulary import ITU_LEVELS

if TYPE_CHECKING:  # the registry of data sets is read where numpy is not needed
    import numpy as np

Number = TypeVar("Number", float, "np.ndarray[Any, Any]")


@dataclass(frozen=True)
class MosScale:
    """The scale of a data set's opinion scores; by default that of quality.

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
        """Change of the score per unit of quality, MOS points; negative if lower is better."""
        return self.low - self.high if self.lower_better else self.high - self.low

    @property
    def worst(self) -> float:
        """The score of quality 0."""
        return self.high if self.lower_better else self.low

    @property
    def best(self) -> float:
        """The score of quality 1."""
        return self.low if self.lower_better else self.high

    @property
    def direction(self) -> Literal["higher", "lower"]:
        """Which scores are better."""
        return "lower" if self.lower_better else "higher"

    def clip(self, mos: float) -> float:
        """The nearest score within the scale, native units."""
        return min(max(mos, self.low), self.high)

    def __contains__(self, mos: float) -> bool:
        return self.low <= mos <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, {self.direction} is better"

    def to_quality(self, mos: Number) -> Number:
        """Quality of a score: 0 for the worst possible score, 1 for the best.

        Args:
            mos: a score or an array of scores, native units.
        """
        quality = (mos - self.low) / (self.high - self.low)
        return 1.0 - quality if self.lower_better else quality

    def to_mos(self, quality: Number) -> Number:
        """Score of a quality, native units.

        Args:
            quality: a number or an array; predictions may lie outside [0, 1].
        """
        return self.worst + self.span * quality

    def shortfall(self, mos: Number) -> Number:
        """How far a score falls short of the best end of the scale, MOS points; not clipped.

        Args:
            mos: a score or an array of scores, native units; below 0 for one beyond the best end.
        """
        return mos - self.low if self.lower_better else self.high - mos


def itu_level(quality: float) -> str:
    """The word for a quality on the five-step scale of ITU-R BT.500, bad to excellent.

    Each word covers a fifth of [0, 1]; a quality outside takes the nearest word.
    """
    step = int(min(max(quality, 0.0), 1.0) * len(ITU_LEVELS))
    return ITU_LEVELS[min(step, len(ITU_LEVELS) - 1)]


def itu_rating(quality: float) -> float:
    """A quality as a rating in [1, 5], linear; a quality outside [0, 1] is clipped."""
    return 1.0 + (len(ITU_LEVELS) - 1) * min(max(quality, 0.0), 1.0)
