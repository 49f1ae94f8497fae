"""Distortions of known family and level, for copies of photographs."""

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image
from skimage.filters import gaussian

LEVELS = (1, 2, 3, 4, 5)  # slight to severe
NOISE = (5, 10, 18, 30, 50)  # standard deviation, of 255
BLUR = (0.6, 1.0, 1.6, 2.5, 4.0)  # standard deviation in pixels
COMPRESSION = (50, 30, 18, 10, 5)  # JPEG quality
UNDEREXPOSURE = (0.7, 1.3, 2.0, 2.8, 3.7)  # stops
SATURATION = (0.8, 0.6, 0.4, 0.2, 0.0)  # share of the chroma that is left
GAMMA = 2.2  # of sRGB, nearly
GREY = 128  # of OpenCV's a and b


def _uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _noise(image: np.ndarray, level: int, random: np.random.Generator) -> np.ndarray:
    return _uint8(image + random.normal(0, NOISE[level - 1], image.shape))


def _blur(image: np.ndarray, level: int, _: np.random.Generator) -> np.ndarray:
    return _uint8(gaussian(image, BLUR[level - 1], preserve_range=True, channel_axis=2))


def _compression(image: np.ndarray, level: int, _: np.random.Generator) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=COMPRESSION[level - 1])
    return np.array(Image.open(buffer))


def _underexposure(image: np.ndarray, level: int, _: np.random.Generator) -> np.ndarray:
    return _uint8(image * 2.0 ** (-UNDEREXPOSURE[level - 1] / GAMMA))


def _saturation_low(image: np.ndarray, level: int, _: np.random.Generator) -> np.ndarray:
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 1:] = GREY + (lab[..., 1:] - GREY) * SATURATION[level - 1]
    return cv2.cvtColor(_uint8(lab), cv2.COLOR_LAB2RGB)


# Names are families of rsfiqa.captions. Each takes uint8 (H, W, 3), a level of LEVELS and a
# generator, and gives uint8 (H, W, 3).
DISTORTIONS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "noise": _noise,
    "blur": _blur,
    "compression": _compression,
    "underexposure": _underexposure,
    "saturation_low": _saturation_low,
}


def distort(image: np.ndarray, seed: int) -> np.ndarray:
    """The image, uint8 (H, W, 3), with a distortion and a level that the seed chooses."""
    random = np.random.default_rng(seed)
    family = list(DISTORTIONS)[random.integers(len(DISTORTIONS))]
    return DISTORTIONS[family](image, int(random.choice(LEVELS)), random)
