"""Outlines of regions as SVG paths, and where their numbers stand."""

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.ndimage import find_objects

# Tolerances of outlines in pixels, tried in turn until the outlines of a picture are small enough.
TOLERANCES = (1.0, 2.0, 4.0, 8.0)
OUTLINES_SIZE = 24_000  # bytes; the outlines of a photograph take about 18,000
MIN_CORNERS = 3


def outlines(labels: np.ndarray, count: int = 0) -> list[str]:
    """The outlines of the regions 0..R-1 of a label map, as detailed as fits.

    Args:
        labels: label map (H, W); negative where no region is.
        count: R; 0 for that of the label map.
    """
    boxes = find_objects(labels.astype(np.int32) + 1, count)  # None for a region without a pixel
    every = [
        _contours(labels[box] == region, (box[1].start, box[0].start)) if box else []
        for region, box in enumerate(boxes)
    ]
    for tolerance in TOLERANCES:
        paths = [_paths(contours, tolerance) for contours in every]
        if sum(map(len, paths)) <= OUTLINES_SIZE:
            break
    return paths


def outline(mask: np.ndarray, tolerance: float = TOLERANCES[0]) -> str:
    """SVG path data of all borders of a mask bool (H, W), including holes, in pixels.

    Args:
        mask: of the region.
        tolerance: largest distance in pixels between the outline and the border of the mask.
    """
    return _paths(_contours(mask, (0, 0)), tolerance)


def _contours(mask: np.ndarray, corner: tuple[int, int]) -> Sequence[np.ndarray]:
    """The borders of a mask at x and y of a picture, in half pixels of the picture."""
    # doubled, so that borders run along the edges of pixels and thin regions keep their width
    doubled = mask.repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    offset = (2 * corner[0], 2 * corner[1])
    return cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=offset)[0]


def _paths(contours: Sequence[np.ndarray], tolerance: float) -> str:
    return "".join(_path(_simplified(contour, 2 * tolerance)[:, 0]) for contour in contours)


def anchor(mask: np.ndarray) -> tuple[float, float]:
    """The point of a mask bool (H, W) that is farthest from its border, x and y in percent."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), mask.shape)
    height, width = mask.shape
    return round(100 * (float(x) + 0.5) / width, 2), round(100 * (float(y) + 0.5) / height, 2)


def _simplified(contour: np.ndarray, tolerance: float) -> np.ndarray:
    """The contour with fewer corners; unchanged if it would lose its area."""
    polygon = cv2.approxPolyDP(contour, tolerance, closed=True)
    return polygon if len(polygon) >= MIN_CORNERS else contour


def _path(corners: np.ndarray) -> str:
    points = [f"{(x + 0.5) / 2:g} {(y + 0.5) / 2:g}" for x, y in corners.tolist()]
    return f"M{'L'.join(points)}Z"
