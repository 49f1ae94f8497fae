"""Whether a picture has any color, and whether it shows anything."""

import cv2
import numpy as np

SAMPLED = 512  # pixels of the longer side that are looked at
COLORED = 10  # levels by which the channels of a pixel differ in a picture that has colors
NEARLY_ALL = 0.99  # of the pixels: a black-and-white portrait may have its eyes colored
THUMBNAIL = 32  # pixels of each side, whose means leave no noise
BLANK = 4  # levels between which all of it lies in a picture that shows nothing


def is_colorless(pixels: np.ndarray) -> bool:
    """Whether an image uint8 (H, W, 3) is black and white, slightly toned at most.

    A photograph of dull things in dull light has more than 1 % of pixels with a color; old prints
    and scans of black-and-white photographs have fewer.
    """
    red, green, blue = cv2.split(_sampled(pixels))
    low, high = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    return bool(np.mean(high - low <= COLORED) >= NEARLY_ALL)


def is_blank(pixels: np.ndarray) -> bool:
    """Whether an image uint8 (H, W, 3) is one color all over, apart from noise."""
    thumbnail = cv2.resize(_sampled(pixels), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    flat = thumbnail.reshape(-1, 3)
    return bool((flat.max(axis=0) - flat.min(axis=0)).max() <= BLANK)


def _sampled(pixels: np.ndarray) -> np.ndarray:
    """Every n-th pixel of every n-th row, so that a large picture takes no time."""
    step = max(1, -(-max(pixels.shape[:2]) // SAMPLED))
    return np.ascontiguousarray(pixels[::step, ::step])
