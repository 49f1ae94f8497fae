"""Flags of unusual images."""

import cv2
import numpy as np

from rsfiqa.images.border import has_border
from rsfiqa.images.convert import HUGE
from rsfiqa.images.load import LoadedImage

FLAGS = ("tiny", "huge", "upscaled", "converted", "damaged", "broken_profile", "border")
TINY = 64  # pixels of the shorter side
# Ratio of the detail in the finest octave to that in the next one, below which an image counts as
# upscaled. The 24 photographs of Kodak enlarged by 2 lie between 0.35 and 0.50.
UPSCALED_RATIO = 0.55
MIN_DETAIL = 0.5  # grey levels; with less detail in the next octave the ratio says nothing
CENTER_SIDE = 1024  # pixels of the central crop in which detail is measured


def flags_of(image: LoadedImage, *, bordered: bool | None = None) -> list[str]:
    """The names in `FLAGS` that hold, in their order.

    Args:
        image: the image.
        bordered: whether it has a border, if that is known.
    """
    width, height = image.size
    holds = (
        min(width, height) < TINY,
        width * height > HUGE,
        is_upscaled(image.pixels),
        image.converted,
        image.damage is not None,
        image.broken_profile,
        has_border(image.pixels) if bordered is None else bordered,
    )
    return [name for name, it_holds in zip(FLAGS, holds, strict=True) if it_holds]


def is_upscaled(image: np.ndarray) -> bool:
    """Whether an image uint8 (H, W, 3) has no detail beyond half of its resolution.

    This holds for images enlarged by 2 or more, and for images blurred as much. A photograph
    straight from a camera has about as much detail in the finest octave as in the next.
    """
    height, width = image.shape[:2]
    top, left = (max(side - CENTER_SIDE, 0) // 2 for side in (height, width))
    center = image[top : top + CENTER_SIDE, left : left + CENTER_SIDE]
    fine, half = _octave(cv2.cvtColor(center, cv2.COLOR_RGB2GRAY).astype(np.float32))
    coarse, _ = _octave(half)
    return coarse > MIN_DETAIL and fine < UPSCALED_RATIO * coarse


def _octave(grey: np.ndarray) -> tuple[float, np.ndarray]:
    """Standard deviation of the detail that halving an image float (H, W) loses; the half image."""
    height, width = grey.shape
    half = cv2.resize(grey, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    detail = grey - cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
    return float(detail.std()), half
