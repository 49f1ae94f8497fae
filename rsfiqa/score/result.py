"""Results of a scorer: the score of an image and of its regions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from rsfiqa.images.border import Box, scaled_box
from rsfiqa.products.scores import IMAGE_RATINGS
from rsfiqa.scale import itu_level
from rsfiqa.score.reason import region_reason, worst_of


@dataclass(frozen=True, eq=False)
class Region:
    """One region of a scored image.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the upright image, x1 and y1 exclusive.
        content: what the region shows.
        text: the sentence of the caption, with the word of the region's predicted quality; empty if
            the caption failed.
        ratings: color, noise, artifact, blur and overall in [1, 5], higher is better. Overall is
            the predicted quality of the region, the others are the captioner's: NaN if it failed.
        distortions: family and severity (1 to 5), in the order of the caption: the classifier
            names the costliest first, the others the most severe.
        area: fraction of the scored part of the image that it covers, in (0, 1].
        score: predicted score of the region in MOS units of the checkpoint.
        quality: the score mapped to [0, 1] and clipped; higher is better.
        weight: contribution to the score of the image, in [0, 1]; the weights of an image sum to 1.
        cost: points that the region takes from the image: its weight times what its score falls
            short of the best end of the scale, MOS points. Not clipped, so that the costs of an
            image add up to what its own score falls short; below 0 beyond the best end.
    """

    box: Box
    content: str
    text: str
    ratings: dict[str, float]
    distortions: list[tuple[str, int]]
    area: float
    score: float
    quality: float
    weight: float
    cost: float

    def __eq__(self, other: object) -> bool:
        """Whether all is equal; ratings of failed captions are."""
        return _equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # it holds lists

    @property
    def word(self) -> str:
        """The word for the quality, bad to excellent; see `itu_level`."""
        return itu_level(self.quality)

    @property
    def reason(self) -> str:
        """Its distortions in plain words, up to two, without a place."""
        return region_reason(self, self.word)

    def to_dict(self) -> dict[str, Any]:
        """All attributes as JSON knows them; a rating that is missing is None."""
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "box": list(self.box),
            "ratings": known_ratings(self.ratings),
            "distortions": [
                {"family": family, "severity": severity} for family, severity in self.distortions
            ],
        }


@dataclass(frozen=True, eq=False)
class Score:
    """The score of one image.

    Attributes:
        score: in MOS units of the checkpoint; sum of the regions' weights times scores. What it
            falls short of the best end of the scale is the sum of their costs.
        quality: the score mapped to [0, 1] and clipped; higher is better.
        regions: by decreasing area.
        labels: uint16 (h, w), region of each pixel of the reduced image; in a border, of the
            nearest pixel that is scored.
        attention_grid: float32 (G, G), attention of each cell of the image; sums to 1.
        cost_grid: float32 (G, G), cost of each cell of the image: attention times what the scores
            of the regions in it fall short, MOS points; sums to the costs of the regions.
        size: width and height in pixels of the upright image.
        content: the part that was scored, x0, y0, x1, y1 in pixels of the upright image; all but
            its border.
        reason: what costs the image most, and where in the scored part, in one plain sentence.
        inside: the region that was given, one of `regions`; None if none was.
    """

    score: float
    quality: float
    regions: list[Region]
    labels: np.ndarray
    attention_grid: np.ndarray
    cost_grid: np.ndarray
    size: tuple[int, int]
    content: Box
    reason: str
    inside: Region | None = None

    def __eq__(self, other: object) -> bool:
        """Whether all is equal, arrays element by element."""
        return _equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    @property
    def word(self) -> str:
        """The word for the quality, bad to excellent; see `itu_level`."""
        return itu_level(self.quality)

    @cached_property
    def ratings(self) -> dict[str, float]:
        """Color, noise, artifact and blur in [1, 5]: the regions' ratings, weighted.

        Regions whose caption failed do not count; NaN if all failed.
        """
        return mean_ratings(self.regions)

    @cached_property
    def worst(self) -> Region:
        """The region to blame, see `worst_of`."""
        return worst_of(self.regions)

    def to_dict(self) -> dict[str, Any]:
        """What is known of the image and its regions as JSON knows it, without maps."""
        return {
            "score": self.score,
            "quality": self.quality,
            "word": self.word,
            "reason": self.reason,
            "ratings": known_ratings(self.ratings),
            "size": list(self.size),
            "content": list(self.content),
            "regions": [region.to_dict() for region in self.regions],
            "inside": None if self.inside is None else self.inside.to_dict(),
        }

    @cached_property
    def scored_labels(self) -> np.ndarray:
        """`labels` as int32 (h, w), with -1 in a border, where no region is."""
        height, width = self.labels.shape
        x0, y0, x1, y1 = scaled_box(self.content, self.size, (width, height))
        labels = np.full(self.labels.shape, -1, np.int32)
        labels[y0:y1, x0:x1] = self.labels[y0:y1, x0:x1]
        return labels

    @cached_property
    def attention(self) -> np.ndarray:
        """Attention of each pixel of the upright image: float32 (H, W), sums to 1."""
        grid = len(self.attention_grid)
        columns, rows = ((np.arange(side) * grid) // side for side in self.size)
        attention = self.attention_grid[rows[:, None], columns].astype(np.float32)
        x0, y0, x1, y1 = self.content
        attention[:y0] = attention[y1:] = attention[:, :x0] = attention[:, x1:] = 0
        attention /= attention.sum(dtype=np.float64)
        return attention

    @cached_property
    def cost_map(self) -> np.ndarray:
        """Cost of each pixel of the upright image: float32 (H, W), MOS points, smooth.

        Sums to the costs of the regions.
        """
        return smooth_map(self.cost_grid, self.size, self.content)


def smooth_map(grid: np.ndarray, size: tuple[int, int], content: Box) -> np.ndarray:
    """A grid interpolated over the pixels of an image: float32 (H, W), with the same sum.

    Args:
        grid: float (G, G), a sum over each cell.
        size: width and height of the image, pixels.
        content: the part that was scored, in pixels of the image; 0 outside.
    """
    above, below = (
        _interpolated(np.maximum(part, 0).astype(np.float32), size, content)
        for part in (grid, -grid)  # each scaled to its own sum, so that no sign changes
    )
    smooth: np.ndarray = above - below
    return smooth


def _interpolated(grid: np.ndarray, size: tuple[int, int], content: Box) -> np.ndarray:
    """As `smooth_map`, of a grid without negative values."""
    whole: np.ndarray = cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC).clip(0)
    x0, y0, x1, y1 = content
    if not whole[y0:y1, x0:x1].any():  # an image of few pixels falls between the cells
        whole[y0:y1, x0:x1] = 1
    whole[:y0] = whole[y1:] = whole[:, :x0] = whole[:, x1:] = 0
    whole *= grid.sum(dtype=np.float64) / whole.sum(dtype=np.float64)
    return whole


def mean_ratings(regions: Sequence[Region]) -> dict[str, float]:
    """Color, noise, artifact and blur of an image: the mean of its regions by their weights."""
    weights = np.array([region.weight for region in regions])
    return {
        name: _weighted_mean(np.array([region.ratings[name] for region in regions]), weights)
        for name in IMAGE_RATINGS
    }


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """The mean of the values that are no NaN; NaN without one."""
    known = ~np.isnan(values)
    total = weights[known].sum()
    return float(values[known] @ weights[known] / total) if total > 0 else math.nan


def known_ratings(ratings: Mapping[str, float]) -> dict[str, float | None]:
    """Ratings for JSON and tables, which have no NaN: None where the caption failed."""
    return {name: None if math.isnan(value) else value for name, value in ratings.items()}


def _equal(first: "Region | Score", second: object) -> bool:
    """Whether two results are of one class and have the same content; NaN equals NaN."""
    return type(first) is type(second) and all(
        _equal_values(getattr(first, field.name), getattr(second, field.name))
        for field in fields(first)
    )


def _equal_values(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    if isinstance(first, dict):
        return first.keys() == second.keys() and np.array_equal(
            list(first.values()), list(second.values()), equal_nan=True
        )
    return bool(first == second)
