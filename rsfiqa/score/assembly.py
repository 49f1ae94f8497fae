"""From what a model predicts to the score of an image; the same for every scorer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rsfiqa.captioners.reported import in_black_and_white, reported_distortions
from rsfiqa.captioners.sentence import revised_sentence
from rsfiqa.images import border
from rsfiqa.images.appearance import is_blank, is_colorless
from rsfiqa.images.border import Box
from rsfiqa.images.load import LoadedImage
from rsfiqa.products.captions import Distortion
from rsfiqa.products.regions import ImageRegions
from rsfiqa.scale import MosScale, itu_level, itu_rating
from rsfiqa.score import inside
from rsfiqa.score.array_model import ArrayPrediction
from rsfiqa.score.pipeline import CaptionedRegions, Captions, RegionPipeline
from rsfiqa.score.reason import BLANK, picture_distortions, picture_reason
from rsfiqa.score.result import Region, Score, mean_ratings
from rsfiqa.vocabulary import RATINGS


@dataclass(frozen=True, eq=False)
class ScoredRegions:
    """The regions of an image with their captions, and what is predicted of them.

    Attributes:
        regions: label map and table of regions.
        captions: one per region.
        ratings: float32 (R, 5), as the model gets them.
        predicted: of the image.
    """

    regions: ImageRegions
    captions: Captions
    ratings: np.ndarray
    predicted: ArrayPrediction


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image without its border, and what is known of it before the model.

    Attributes:
        size: width and height in pixels of the upright image in the file.
        loaded_size: width and height in pixels as it was loaded.
        box: its part within the border, in pixels as it was loaded.
        pixels: uint8 (H, W, 3), of that part.
        labels: label map to use instead of the segmenter's.
        captions: of the regions, if they are known.
        is_blank: whether it is one color all over.
        is_colorless: whether it is black and white.
        given: number of the region that was given; None for none, and for the whole image.
        whole: whether the region that was given is the whole image.
    """

    size: tuple[int, int]
    loaded_size: tuple[int, int]
    box: Box
    pixels: np.ndarray
    labels: np.ndarray | None
    captions: Captions | None
    is_blank: bool
    is_colorless: bool
    given: int | None = None
    whole: bool = False


class ImageScorer(ABC):
    """What scorers have in common: a subclass predicts.

    Attributes:
        scale: MOS scale of the training set.
        lower_better: a low score means a good image.
        region_pipeline: divides images into regions.
    """

    scale: MosScale
    lower_better: bool
    region_pipeline: RegionPipeline

    @abstractmethod
    def scored_regions(self, prepared: PreparedImage) -> ScoredRegions:
        """What is predicted of an image."""

    @abstractmethod
    def segment(self, pixels: np.ndarray) -> np.ndarray:
        """The label map uint16 (h, w) of an image uint8 (H, W, 3)."""

    def score_loaded(
        self,
        image: LoadedImage,
        captioned: CaptionedRegions | None = None,
        mask: np.ndarray | None = None,
    ) -> Score:
        """The score of an image that is loaded, without its border.

        The pipeline keeps borders: the opinion scores of its data sets are those of whole images.

        Args:
            image: loaded image.
            captioned: its regions and captions, if they are known.
            mask: bool (H, W), pixels of the upright image that are a region of their own.
        """
        prepared = self.prepare(image, captioned, mask)
        return assemble(prepared, self.scored_regions(prepared), self.scale)

    def prepare(
        self,
        image: LoadedImage,
        captioned: CaptionedRegions | None = None,
        mask: np.ndarray | None = None,
    ) -> PreparedImage:
        """What is scored of an image; see `score_loaded`."""
        return prepare(image, self.segment, captioned, mask)


def prepare(
    image: LoadedImage,
    segment: Callable[[np.ndarray], np.ndarray],
    captioned: CaptionedRegions | None = None,
    mask: np.ndarray | None = None,
) -> PreparedImage:
    """What is scored of an image.

    Args:
        image: loaded image.
        segment: gives the label map of pixels, where a region is given and the others are unknown.
        captioned: its regions and captions, if they are known.
        mask: bool (H, W), pixels of the upright image that are a region of their own.
    """
    box = border.content_box(image.pixels)
    pixels = border.crop(image.pixels, box)
    labels, captions = (captioned.labels, captioned.captions) if captioned else (None, None)
    height, width = image.pixels.shape[:2]
    sizes = image.size, (width, height)
    look = is_blank(pixels), is_colorless(pixels)
    if mask is None:
        return PreparedImage(*sizes, box, pixels, labels, captions, *look)
    labels = segment(pixels) if labels is None else labels
    labels, given = inside.with_region(labels, mask, (height, width), box)
    return PreparedImage(*sizes, box, pixels, labels, None, *look, given, whole=given is None)


def assemble(prepared: PreparedImage, scored: ScoredRegions, scale: MosScale) -> Score:
    """The score of an image.

    Args:
        prepared: the image.
        scored: its regions.
        scale: of the checkpoint.
    """
    size, predicted = prepared.size, scored.predicted
    height, width = scored.regions.labels.shape
    content = _box(np.array(prepared.box) * np.tile(np.divide(size, prepared.loaded_size), 2))
    corner = np.tile(content[:2], 2)
    factors = (np.tile(content[2:], 2) - corner) / np.tile([width, height], 2)
    labels, count = scored.regions.labels, len(scored.captions)
    areas = np.bincount(labels.ravel(), minlength=count) / labels.size
    boxes = [_box(corner + box * factors) for box in scored.regions.table["box"]]
    places = list(zip(boxes, areas.tolist(), strict=True))
    named = [row.distortions for row in scored.captions]
    reported = reported_distortions(named, scored.ratings, predicted.region_quality, areas)
    if prepared.is_blank:
        reported = [[] for _ in reported]
    elif prepared.is_colorless:
        reported = [in_black_and_white(own) for own in reported]
    regions = [_region(scored, r, places[r], reported[r], scale) for r in range(count)]
    costs = abs(scale.span) * (predicted.attention - predicted.quality_map)
    score, quality = scale.to_mos(predicted.quality), min(max(predicted.quality, 0.0), 1.0)
    reason = BLANK if prepared.is_blank else picture_reason(regions, labels, itu_level(quality))
    given = None if prepared.given is None else regions[prepared.given]
    if prepared.whole:
        given = _whole(regions, content, score, quality, reason)
    return Score(
        score=score,
        quality=quality,
        regions=regions,
        labels=border.pad_labels(labels, content, size),
        attention_grid=border.pad_grid(predicted.attention, content, size),
        cost_grid=border.pad_grid(costs, content, size),
        size=size,
        content=content,
        reason=reason,
        inside=given,
    )


def _whole(
    regions: Sequence[Region], content: Box, score: float, quality: float, reason: str
) -> Region:
    """All regions of an image as one, which has the score of the image."""
    return Region(
        box=content,
        content="the whole picture",
        text=f"The whole picture: {reason}. Overall {itu_level(quality)}.",
        ratings=mean_ratings(regions) | {"overall": itu_rating(quality)},
        distortions=picture_distortions(regions),
        area=1.0,
        score=score,
        quality=quality,
        weight=1.0,
        cost=sum(region.cost for region in regions),
    )


def _region(
    scored: ScoredRegions,
    r: int,
    place: tuple[Box, float],
    reported: list[Distortion],
    scale: MosScale,
) -> Region:
    """Region `r`, whose caption gets the overall rating and word of its predicted quality."""
    (box, area), row, predicted = place, scored.captions[r], scored.predicted
    quality, weight = float(predicted.region_quality[r]), float(predicted.region_weight[r])
    score, level = scale.to_mos(quality), itu_level(quality)
    ratings = dict(zip(RATINGS, scored.ratings[r].tolist(), strict=True))
    return Region(
        box=box,
        content=row.content,
        text=revised_sentence(row.text, row.distortions, reported, level),
        ratings=ratings | {"overall": itu_rating(quality)},
        distortions=[(one["family"], one["severity"]) for one in reported],
        area=area,
        score=score,
        quality=min(max(quality, 0.0), 1.0),
        weight=weight,
        cost=weight * scale.shortfall(score),
    )


def _box(sides: np.ndarray) -> Box:
    x0, y0, x1, y1 = (int(side) for side in np.rint(sides))
    return x0, y0, x1, y1
