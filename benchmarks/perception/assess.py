"""What a scorer says of one picture, in the numbers that the parts compare."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.perception.measures import NONE
from rsfiqa import Scorer
from rsfiqa.images import border, resize
from rsfiqa.images.load import LoadedImage
from rsfiqa.score.result import Score
from rsfiqa.score.sources import Source


@dataclass(frozen=True, eq=False)
class Assessment:
    """What a scorer says of one picture of R regions.

    Attributes:
        score: MOS units of the checkpoint.
        quality: the score on the scale that maps MOS to [0, 1], not clipped; higher is better.
        overall: rating of each region in [1, 5], float (R,).
        weight: contribution of each region to the score, float (R,), sums to 1.
        center: center of the box of each region, float (R, 2): x and y in fractions of the image.
        worst: number of the worst region.
        named: families that the worst region names, in their order.
        text: of the worst region.
    """

    score: float
    quality: float
    overall: np.ndarray
    weight: np.ndarray
    center: np.ndarray
    worst: int
    named: tuple[str, ...]
    text: str

    @property
    def first(self) -> str:
        """The family that the worst region names first; `NONE` if it names none."""
        return self.named[0] if self.named else NONE

    @property
    def worst_overall(self) -> float:
        """Overall rating of the worst region, in [1, 5]."""
        return float(self.overall[self.worst])

    @property
    def weighted_overall(self) -> float:
        """Mean of the regions' overall ratings by their weights, in [1, 5]."""
        return float(self.weight @ self.overall)


def assess(scorer: Scorer, source: Source) -> Assessment:
    """What the scorer says of an image, from any source."""
    return summarize(scorer, scorer.score(source))


def summarize(scorer: Scorer, score: Score) -> Assessment:
    """The assessment that a score holds.

    Args:
        scorer: made the score.
        score: of the image.
    """
    worst = score.worst
    return Assessment(
        score=score.score,
        quality=float(scorer.scale.to_quality(score.score)),
        overall=np.array([region.ratings["overall"] for region in score.regions]),
        weight=np.array([region.weight for region in score.regions]),
        center=centers([region.box for region in score.regions], score.size),
        worst=next(i for i, region in enumerate(score.regions) if region is worst),
        named=tuple(family for family, _ in worst.distortions),
        text=worst.text,
    )


def centers(boxes: Sequence[border.Box], size: tuple[int, int]) -> np.ndarray:
    """The centers of boxes: float (R, 2), x and y in fractions of the image.

    Args:
        boxes: x0, y0, x1, y1 in pixels, x1 and y1 exclusive.
        size: width and height of the image.
    """
    x0, y0, x1, y1 = np.array(boxes, np.float64).T
    return np.stack([(x0 + x1) / 2, (y0 + y1) / 2], axis=1) / size


def region_inputs(
    scorer: Scorer, image: LoadedImage, score: Score | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and label map of an image as the scorer's captioner gets them, without a border.

    Args:
        scorer: segments.
        image: loaded image.
        score: of the image, whose label map is used where there is no border.
    """
    whole = (0, 0, *image.pixels.shape[1::-1])
    content = border.content_box(image.pixels)
    pixels = border.crop(image.pixels, content)
    labels = score.labels if score and content == whole else scorer.segment(pixels)
    small = resize.reduce(pixels, max(scorer.card.backbone["long_side"], *labels.shape))
    return small, resize.fit_labels(labels, small.shape[:2])


def names_one_of(assessment: Assessment, families: Sequence[str]) -> bool:
    """Whether the worst region names one of these families."""
    return not set(families).isdisjoint(assessment.named)
