"""Segmenter without weights: SEEDS superpixels, merged over their adjacency graph (Ward)."""

import threading
from typing import Any

import cv2
import numpy as np

from rsfiqa.images import resize
from rsfiqa.products.regions import ImageRegions, region_table
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.base import MIN_SIDE, Segmenter
from rsfiqa.segmenters.partition import RegionGraph, number_by_area, rank_by_area
from rsfiqa.segmenters.ward import ward_clusters

TEXTURE = 0.5  # weight of a superpixel's standard deviation of lightness beside its mean color
SMOOTHING = 1.0  # pixels, sigma; sensor noise would fray the borders


_last = threading.local()  # the last algorithm of each thread, with its settings


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
    superpixels, graph, names = _clustered(small, options.superpixels, options.max_regions)
    # regions are numbered before they are merged, since numbers decide between equal areas
    clusters = graph.joined(names)
    numbers = rank_by_area(clusters.areas, clusters.first)
    merged = clusters.joined(numbers).merged(options.max_regions, options.min_area_fraction)
    labels: np.ndarray = merged[numbers][names].astype(np.uint16)[superpixels]
    return labels


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
    labels, _, names = _clustered(image, superpixels, regions)
    merged: np.ndarray = names[labels]
    return merged


def _clustered(
    image: np.ndarray, superpixels: int, regions: int
) -> tuple[np.ndarray, RegionGraph, np.ndarray]:
    """Superpixels int32 (H, W), their graph, and the cluster of each: int64 (S,)."""
    smooth = cv2.GaussianBlur(image, (0, 0), SMOOTHING)
    labels = _seeds(smooth, superpixels)
    graph = RegionGraph.of(labels)
    names = np.arange(len(graph.areas))
    if len(names) > regions:
        lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        names = ward_clusters(_features(lab, labels), graph.borders, regions)
    return labels, graph, names


def _seeds(image: np.ndarray, superpixels: int) -> np.ndarray:
    """SEEDS labels int32 (H, W), numbered 0..S-1 without gaps."""
    height, width = image.shape[:2]
    # OpenCV hangs or crashes if a superpixel is less than 2 pixels wide at each of 2 levels, or if
    # there are fewer superpixels than rows or columns of blocks
    least, most = -(-2 * max(height, width) // min(height, width)), height * width // 16
    superpixels = min(max(superpixels, least), most)
    levels = 3 if min(height, width) >= 128 else 1
    seeds = _seeds_of(width, height, superpixels, levels)
    seeds.iterate(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), 4)
    return number_by_area(seeds.getLabels()).astype(np.int32)


def _seeds_of(*settings: int) -> Any:
    """OpenCV's algorithm for width, height, superpixels and levels: this thread's last one or new.

    Its tables take as long to make as half of the iterations, which begin anew for each image.
    """
    if getattr(_last, "settings", None) != settings:
        width, height, superpixels, levels = settings
        _last.seeds = cv2.ximgproc.createSuperpixelSEEDS(
            width, height, 3, superpixels, levels, 1, 5
        )
        _last.settings = settings
    return _last.seeds


def _features(lab: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean L, a, b and weighted standard deviation of L of each superpixel: float64 (S, 4)."""
    flat, count = labels.ravel(), int(labels.max()) + 1
    areas = np.bincount(flat, minlength=count)
    means = [np.bincount(flat, lab[..., i].ravel(), count) / areas for i in range(3)]
    squares = np.bincount(flat, np.square(lab[..., 0], dtype=np.float64).ravel(), count) / areas
    deviation = np.sqrt(np.maximum(squares - means[0] ** 2, 0))
    return np.stack([*means, TEXTURE * deviation], axis=1)
