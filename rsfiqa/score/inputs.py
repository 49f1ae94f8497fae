"""What is known of an image before a device computes: regions and features of pixels."""

from dataclasses import dataclass, replace

import numpy as np

from rsfiqa.captioners.classifier.features import pixel_features
from rsfiqa.captioners.rule_based.statistics import (
    ImagePlanes,
    RegionStatistics,
    region_statistics,
)
from rsfiqa.images import resize
from rsfiqa.score.assembly import PreparedImage
from rsfiqa.score.pipeline import RegionPipeline


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """An image as backbone and captioner take it.

    Attributes:
        prepared: the image; without its pixels, which may be many.
        pixels: uint8 (H, W, 3), reduced to the backbone's size.
        labels: label map uint16 (h, w) of R regions.
        fitted: label map uint16 (H, W).
        statistics: of the regions.
        features: hand-crafted features of the regions, float32 (R, S).
    """

    prepared: PreparedImage
    pixels: np.ndarray
    labels: np.ndarray
    fitted: np.ndarray
    statistics: RegionStatistics
    features: np.ndarray


def make_inputs(prepared: PreparedImage, regions: RegionPipeline, long_side: int) -> ModelInputs:
    """Divide an image into regions, and compute their features.

    Args:
        prepared: the image.
        regions: divides it, where its regions are not known.
        long_side: of the backbone.
    """
    labels = prepared.labels
    if labels is None:
        labels = regions.segment(prepared.pixels)
    small = resize.reduce(prepared.pixels, long_side)
    fitted = resize.fit_labels(labels, small.shape[:2])
    planes = ImagePlanes(small, fitted)
    statistics = region_statistics(small, fitted, planes)
    found = pixel_features(small, fitted, statistics, planes).astype(np.float32)
    rest = replace(prepared, pixels=small[:0], labels=None)
    return ModelInputs(rest, small, labels, fitted, statistics, found)
