"""Distortions of the file: lossy compression."""

import io
from typing import Any

import cv2
import numpy as np
from PIL import Image

BLOCK = 8  # pixels; side of a coding block of JPEG
SECOND_LOSS = 0.85  # of the loss of the first compression
AVIF_SPEED = 9  # of 10; slower encoders save bytes, but have the same artifacts


def jpeg(image: np.ndarray, loss: float, random: np.random.Generator) -> np.ndarray:
    """JPEG compression, with or without reduced color resolution.

    Args:
        image: uint8 (H, W, 3).
        loss: 100 less the quality.
        random: draws the color resolution.
    """
    return _encoded(image, "JPEG", loss, subsampling=int(random.choice((0, 2))))


def double_jpeg(image: np.ndarray, loss: float, random: np.random.Generator) -> np.ndarray:
    """JPEG compression of an image that was compressed and cropped before: two grids of blocks.

    Args:
        image: uint8 (H, W, 3).
        loss: 100 less the quality of the first; the second loses less, so both grids show.
        random: draws the crop.
    """
    top, left = (int(offset) for offset in random.integers(1, BLOCK, 2))
    padded = cv2.copyMakeBorder(image, top, 0, left, 0, cv2.BORDER_REFLECT)
    first = _encoded(padded, "JPEG", loss)[top:, left:]
    return _encoded(np.ascontiguousarray(first), "JPEG", SECOND_LOSS * loss)


def webp(image: np.ndarray, loss: float, _random: np.random.Generator) -> np.ndarray:
    """Lossy WebP compression.

    Args:
        image: uint8 (H, W, 3).
        loss: 100 less the quality.
    """
    return _encoded(image, "WEBP", loss, method=2)


def avif(image: np.ndarray, loss: float, _random: np.random.Generator) -> np.ndarray:
    """AVIF compression.

    Args:
        image: uint8 (H, W, 3).
        loss: 100 less the quality.
    """
    return _encoded(image, "AVIF", loss, speed=AVIF_SPEED, max_threads=1)


def _encoded(image: np.ndarray, codec: str, loss: float, **parameters: Any) -> np.ndarray:
    buffer = io.BytesIO()
    quality = int(np.clip(round(100 - loss), 0, 100))
    Image.fromarray(image).save(buffer, format=codec, quality=quality, **parameters)
    return np.asarray(Image.open(buffer).convert("RGB"))
