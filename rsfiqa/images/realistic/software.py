"""Distortions of processing: sharpening and resampling."""

import cv2
import numpy as np

ENLARGEMENTS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def halo_sharpening(image: np.ndarray, amount: float, random: np.random.Generator) -> np.ndarray:
    """An unsharp mask of some pixels' radius, which draws halos along edges.

    Args:
        image: uint8 (H, W, 3).
        amount: of the difference from the blurred image that is added.
        random: draws the radius, 1 to 3 pixels.
    """
    blurred = cv2.GaussianBlur(image, (0, 0), random.uniform(1.0, 3.0))
    result: np.ndarray = cv2.addWeighted(image, 1 + amount, blurred, -amount, 0)
    return result


def upscaled(image: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """Reduced and smoothly enlarged again: without fine detail.

    Args:
        image: uint8 (H, W, 3).
        factor: of the reduction, at least 1.
        random: draws the interpolation.
    """
    return _resampled(image, factor, ENLARGEMENTS[random.integers(len(ENLARGEMENTS))])


def pixelated(image: np.ndarray, factor: float, _random: np.random.Generator) -> np.ndarray:
    """Reduced and enlarged by repeating pixels: stairs along edges.

    Args:
        image: uint8 (H, W, 3).
        factor: of the reduction, at least 1.
    """
    return _resampled(image, factor, cv2.INTER_NEAREST)


def _resampled(image: np.ndarray, factor: float, enlargement: int) -> np.ndarray:
    height, width = image.shape[:2]
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    result: np.ndarray = cv2.resize(small, (width, height), interpolation=enlargement)
    return result
