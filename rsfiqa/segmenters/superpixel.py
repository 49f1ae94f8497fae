"""Regions without weights: SEEDS superpixels, merged over their adjacency graph by Ward linkage."""

import warnings
from typing import TYPE_CHECKING

import cv2
import numpy as np
from sklearn.cluster import AgglomerativeClustering

from rsfiqa.images import resize
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.partition import (
    SMALLEST,
    merge_small_regions,
    number_by_area,
    shared_borders,
)

if TYPE_CHECKING:
    pass


TEXTURE = 0.5  # weight of a superpixel's spread of lightness beside its mean color


SMOOTHING = 1.0  # pixels; sensor noise would fray the borders


def superpixel_regions(image: np.ndarray, *, superpixels: int, regions: int) -> np.ndarray:
    """A label map of at most `regions` regions that follow color borders: int (H, W).

    Args:
        image: uint8, sRGB, shape (H, W, 3), no side below 16 pixels.
        superpixels: how many are merged, about.
        regions: how many remain, at most.

    SEEDS (Van den Bergh et al. 2012) from OpenCV; neighbours are then merged bottom-up by Ward's
    criterion on mean CIELAB color and spread of lightness, so that large even areas become one
    region and small distinct objects survive.
    """
    smooth = cv2.GaussianBlur(image, (0, 0), SMOOTHING)
    labels = _seeds(smooth, superpixels)
    count = int(labels.max()) + 1
    if count <= regions:
        return labels
    lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    ward = AgglomerativeClustering(
        n_clusters=regions, linkage="ward", connectivity=shared_borders(labels) > 0
    )
    with warnings.catch_warnings():
        # a superpixel may be enclosed by one other; scikit-learn then completes the graph itself
        warnings.filterwarnings("ignore", "the number of connected components")
        return ward.fit_predict(_describe(lab, labels))[labels]


def _seeds(image: np.ndarray, superpixels: int) -> np.ndarray:
    """SEEDS labels int32 (H, W), 0..S-1 without gaps in the numbering."""
    height, width = image.shape[:2]
    # OpenCV loops for ever or crashes where a superpixel would have no width of 2 pixels for each
    # of 2 levels, or where a row or column of the image would hold none
    least, most = -(-2 * max(height, width) // min(height, width)), height * width // 16
    superpixels = min(max(superpixels, least), most)
    levels = 3 if min(height, width) >= 128 else 1
    seeds = cv2.ximgproc.createSuperpixelSEEDS(width, height, 3, superpixels, levels, 1, 5)
    seeds.iterate(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), 4)
    return number_by_area(seeds.getLabels()).astype(np.int32)


def _describe(lab: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean L, a, b and weighted spread of L of each superpixel: float64 (S, 4)."""
    flat, count = labels.ravel(), int(labels.max()) + 1
    areas = np.bincount(flat, minlength=count)
    means = [np.bincount(flat, lab[..., i].ravel(), count) / areas for i in range(3)]
    squares = np.bincount(flat, np.square(lab[..., 0], dtype=np.float64).ravel(), count) / areas
    spread = np.sqrt(np.maximum(squares - means[0] ** 2, 0))
    return np.stack([*means, TEXTURE * spread], axis=1)


def segment_image(image: np.ndarray, options: SegmentOptions) -> np.ndarray:
    """The partition of one image uint8 (H, W, 3) by superpixels: uint16, long side bounded."""
    small = resize.reduce(image, options.long_side)
    if min(small.shape[:2]) < SMALLEST:
        return np.zeros(small.shape[:2], np.uint16)
    labels = superpixel_regions(small, superpixels=options.superpixels, regions=options.max_regions)
    return merge_small_regions(
        labels, max_regions=options.max_regions, min_area_fraction=options.min_area_fraction
    )
