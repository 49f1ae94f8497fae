"""Segmenter without weights: SEEDS superpixels, merged over their adjacency graph (Ward)."""

import warnings

import cv2
import numpy as np
from sklearn.cluster import AgglomerativeClustering

from rsfiqa.images import resize
from rsfiqa.products.regions import ImageRegions, region_table
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.base import MIN_SIDE, Segmenter
from rsfiqa.segmenters.partition import merge_small_regions, number_by_area, shared_borders

TEXTURE = 0.5  # weight of a superpixel's standard deviation of lightness beside its mean color
SMOOTHING = 1.0  # pixels, sigma; sensor noise would fray the borders


class SuperpixelSegmenter(Segmenter):
    """Superpixels merged into regions.

    Args:
        options: long_side, max_regions, min_area_fraction and superpixels are used.
    """

    def __init__(self, options: SegmentOptions) -> None:
        self.options = options

    def segment(self, image: np.ndarray, image_id: str = "") -> ImageRegions:
        """See `Segmenter`."""
        labels = segment_image(image, self.options)
        return ImageRegions(image_id, labels, region_table(labels))


def segment_image(image: np.ndarray, options: SegmentOptions) -> np.ndarray:
    """The label map of an image uint8 (H, W, 3): uint16 (h, w), longest side `long_side`."""
    small = resize.reduce(image, options.long_side)
    if min(small.shape[:2]) < MIN_SIDE:
        return np.zeros(small.shape[:2], np.uint16)
    labels = superpixel_regions(small, superpixels=options.superpixels, regions=options.max_regions)
    return merge_small_regions(
        labels, max_regions=options.max_regions, min_area_fraction=options.min_area_fraction
    )


def superpixel_regions(image: np.ndarray, *, superpixels: int, regions: int) -> np.ndarray:
    """A label map of at most `regions` regions that follow color borders: int (H, W).

    SEEDS superpixels (Van den Bergh et al. 2012) of OpenCV. Neighbours are merged bottom-up by
    Ward's criterion on mean CIELAB color and standard deviation of lightness, so that large even
    areas become one region and small distinct objects remain.

    Args:
        image: uint8 (H, W, 3), sRGB, no side below 16 pixels.
        superpixels: approximate number before merging.
        regions: largest number after merging.
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
        # a superpixel can be enclosed by another one; scikit-learn then completes the graph itself
        warnings.filterwarnings("ignore", "the number of connected components")
        merged: np.ndarray = ward.fit_predict(_features(lab, labels))[labels]
    return merged


def _seeds(image: np.ndarray, superpixels: int) -> np.ndarray:
    """SEEDS labels int32 (H, W), numbered 0..S-1 without gaps."""
    height, width = image.shape[:2]
    # OpenCV hangs or crashes if a superpixel is less than 2 pixels wide at each of 2 levels, or if
    # there are fewer superpixels than rows or columns of blocks
    least, most = -(-2 * max(height, width) // min(height, width)), height * width // 16
    superpixels = min(max(superpixels, least), most)
    levels = 3 if min(height, width) >= 128 else 1
    seeds = cv2.ximgproc.createSuperpixelSEEDS(width, height, 3, superpixels, levels, 1, 5)
    seeds.iterate(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), 4)
    return number_by_area(seeds.getLabels()).astype(np.int32)


def _features(lab: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean L, a, b and weighted standard deviation of L of each superpixel: float64 (S, 4)."""
    flat, count = labels.ravel(), int(labels.max()) + 1
    areas = np.bincount(flat, minlength=count)
    means = [np.bincount(flat, lab[..., i].ravel(), count) / areas for i in range(3)]
    squares = np.bincount(flat, np.square(lab[..., 0], dtype=np.float64).ravel(), count) / areas
    deviation = np.sqrt(np.maximum(squares - means[0] ** 2, 0))
    return np.stack([*means, TEXTURE * deviation], axis=1)
