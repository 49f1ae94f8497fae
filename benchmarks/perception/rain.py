"""Rain: a distortion that no family is trained on, for ladders."""

import cv2
import numpy as np

DENSITY = (0.0006, 0.0012, 0.0024, 0.0045, 0.009)  # drops per pixel at severities 1 to 5
LENGTH = (9, 13, 17, 23, 31)  # of a streak, pixels
OPACITY = (0.35, 0.45, 0.55, 0.65, 0.8)
SLANT = 0.25  # pixels across per pixel down
WIDTH = 0.7  # standard deviation of a streak's cross section, pixels


def rain(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """The image uint8 (H, W, 3) behind bright streaks that fall from the upper left.

    Args:
        image: uint8 (H, W, 3).
        severity: 1 to 5.
        random: draws where the drops are.
    """
    drops = (random.random(image.shape[:2]) < DENSITY[severity - 1]).astype(np.float32)
    streaks = cv2.GaussianBlur(
        cv2.filter2D(drops, -1, _streak(LENGTH[severity - 1])), (0, 0), WIDTH
    )
    cover = OPACITY[severity - 1] * np.clip(2 * streaks, 0, 1)[..., None]
    result: np.ndarray = np.rint(image + cover * (255.0 - image)).astype(np.uint8)
    return result


def _streak(length: int) -> np.ndarray:
    """A slanted line: float32 (length, length), 1 on the line."""
    kernel = np.zeros((length, length), np.float32)
    across = round(SLANT * length / 2)
    middle = length // 2
    cv2.line(kernel, (middle - across, 0), (middle + across, length - 1), 1.0)
    return kernel
