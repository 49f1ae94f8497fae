"""What makes a picture unusual: tiny, huge, upscaled, converted."""

import cv2
import numpy as np

from rsfiqa.images.load import HUGE, Picture

TINY = 64  # pixels of the shorter side


UPSCALED = 0.55  # of detail, by octaves: Kodak's 24 photographs enlarged by 2 lie at 0.35 to 0.50


SHARP = 0.5  # grey levels; less detail tells nothing


LOOKED_AT = 1024  # pixels of the middle, for detail


def flags_of(picture: Picture) -> list[str]:
    """Those of tiny, huge, upscaled and converted that hold, in this order."""
    width, height = picture.size
    found = {
        "tiny": min(width, height) < TINY,
        "huge": width * height > HUGE,
        "upscaled": upscaled(picture.pixels),
        "converted": picture.converted,
    }
    return [name for name, holds in found.items() if holds]


def upscaled(image: np.ndarray) -> bool:
    """Whether an image uint8 (H, W, 3) lacks detail beyond half of its resolution.

    So do images that were enlarged by 2 or more, and those that are blurred as much. Photographs
    have about as much detail in the finest octave as in the next.
    """
    height, width = image.shape[:2]
    top, left = (max(side - LOOKED_AT, 0) // 2 for side in (height, width))
    middle = image[top : top + LOOKED_AT, left : left + LOOKED_AT]
    fine, half = _octave(cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY).astype(np.float32))
    coarse, _ = _octave(half)
    return coarse > SHARP and fine < UPSCALED * coarse


def _octave(grey: np.ndarray) -> tuple[float, np.ndarray]:
    """What halving an image float (H, W) loses, as a standard deviation; and the halved image."""
    height, width = grey.shape
    half = cv2.resize(grey, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    lost = grey - cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
    return float(lost.std()), half
