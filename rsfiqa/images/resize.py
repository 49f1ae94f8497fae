"""Resizing of images and label maps."""

import cv2
import numpy as np


def reduce(image: np.ndarray, long_side: int) -> np.ndarray:
    """The image uint8 (H, W, 3), area-averaged so that no side exceeds `long_side` pixels.

    An image that is small enough is returned as it is, without a copy.
    """
    shape = reduced_shape(image.shape[:2], long_side)
    if shape == image.shape[:2]:
        return image
    reduced: np.ndarray = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    return reduced


def reduced_shape(shape: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Height and width, in pixels, of an image of this shape after `reduce`."""
    height, width = shape
    scale = long_side / max(height, width)
    if scale >= 1:
        return height, width
    return max(1, round(height * scale)), max(1, round(width * scale))


def fit_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A label map (h, w) resized to `shape` (H, W) by nearest neighbour.

    Every region survives an enlargement; a reduction can drop small ones.
    """
    if labels.shape == shape:
        return labels
    resized: np.ndarray = cv2.resize(labels, shape[::-1], interpolation=cv2.INTER_NEAREST)
    return resized
