"""Distortions of known family and level, for copies of photographs and parts of them."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from PIL import Image
from skimage.filters import gaussian

SEVERITIES = (1, 2, 3, 4, 5)  # slight to severe


NOISE = (5, 10, 18, 30, 50)  # standard deviation, of 255


BLUR = (0.6, 1.0, 1.6, 2.5, 4.0)  # standard deviation in pixels


JPEG = (50, 30, 18, 10, 5)  # quality


WEBP = (40, 20, 9, 3, 0)  # quality; SSIM like that of JPEG at the same level


OVEREXPOSURE = (0.5, 0.9, 1.4, 2.0, 2.8)  # stops


UNDEREXPOSURE = (0.7, 1.3, 2.0, 2.8, 3.7)  # stops


CONTRAST_HIGH = (1.25, 1.55, 1.95, 2.5, 3.5)  # factor on the distance from the mean


CONTRAST_LOW = (0.75, 0.55, 0.4, 0.25, 0.12)


SATURATION_HIGH = (1.35, 1.75, 2.3, 3.0, 4.0)  # factor on the chroma


SATURATION_LOW = (0.8, 0.6, 0.4, 0.2, 0.0)  # share of the chroma that is left


OVERSHARPENING = (0.7, 1.4, 2.4, 4.0, 7.0)  # of the difference from a blurred copy, added


HALO = 1.0  # standard deviation of that copy, pixels


PIXELATION = (2, 3, 4, 6, 9)  # pixels, side of a block


QUANTIZATION = (20, 12, 8, 5, 3)  # values that each channel keeps


GAMMA = 2.2  # of sRGB, nearly


GREY = 128  # of OpenCV's a and b


MARGIN = 12  # pixels around a part; three standard deviations of the strongest blur


BLOCK = 16  # pixels; side of the largest block of JPEG and WebP


Distort = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def _uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    return _uint8(image + random.normal(0, NOISE[severity - 1], image.shape))


def _blur(image: np.ndarray, severity: int, _: np.random.Generator) -> np.ndarray:
    return _uint8(gaussian(image, BLUR[severity - 1], preserve_range=True, channel_axis=2))


def _jpeg(image: np.ndarray, severity: int, _: np.random.Generator) -> np.ndarray:
    return _coded(image, format="JPEG", quality=JPEG[severity - 1])


def _webp(image: np.ndarray, severity: int, _: np.random.Generator) -> np.ndarray:
    return _coded(image, format="WEBP", quality=WEBP[severity - 1])


def _coded(image: np.ndarray, **how: Any) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **how)
    return np.array(Image.open(buffer))


def _exposure(
    image: np.ndarray, severity: int, _: np.random.Generator, *, stops: tuple[float, ...], sign: int
) -> np.ndarray:
    return _uint8(image * 2.0 ** (sign * stops[severity - 1] / GAMMA))


def _contrast(
    image: np.ndarray, severity: int, _: np.random.Generator, *, factors: tuple[float, ...]
) -> np.ndarray:
    mean = image.mean()
    return _uint8(mean + (image - mean) * factors[severity - 1])


def _saturation(
    image: np.ndarray, severity: int, _: np.random.Generator, *, factors: tuple[float, ...]
) -> np.ndarray:
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 1:] = GREY + (lab[..., 1:] - GREY) * factors[severity - 1]
    return cv2.cvtColor(_uint8(lab), cv2.COLOR_LAB2RGB)


def _oversharpening(image: np.ndarray, severity: int, _: np.random.Generator) -> np.ndarray:
    detail = image - gaussian(image, HALO, preserve_range=True, channel_axis=2)
    return _uint8(image + OVERSHARPENING[severity - 1] * detail)


def _pixelation(image: np.ndarray, severity: int, _: np.random.Generator) -> np.ndarray:
    side = PIXELATION[severity - 1]
    height, width = image.shape[:2]
    wide = cv2.copyMakeBorder(image, 0, -height % side, 0, -width % side, cv2.BORDER_REPLICATE)
    size = (wide.shape[1] // side, wide.shape[0] // side)
    blocks = cv2.resize(wide, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(blocks.repeat(side, 0).repeat(side, 1)[:height, :width])


def _quantization(image: np.ndarray, severity: int, _: np.random.Generator) -> np.ndarray:
    step = 255 / (QUANTIZATION[severity - 1] - 1)
    return _uint8(np.rint(image / step) * step)


# Names are families of rsfiqa.captions. Each takes uint8 (H, W, 3), a level of LEVELS and a
# generator, and gives uint8 (H, W, 3).
DISTORTIONS: Mapping[str, Distort] = MappingProxyType(
    {
        "noise": _noise,
        "blur": _blur,
        "compression": _jpeg,
        "overexposure": partial(_exposure, stops=OVEREXPOSURE, sign=1),
        "underexposure": partial(_exposure, stops=UNDEREXPOSURE, sign=-1),
        "contrast_high": partial(_contrast, factors=CONTRAST_HIGH),
        "contrast_low": partial(_contrast, factors=CONTRAST_LOW),
        "saturation_high": partial(_saturation, factors=SATURATION_HIGH),
        "saturation_low": partial(_saturation, factors=SATURATION_LOW),
        "oversharpening": _oversharpening,
        "pixelation": _pixelation,
        "quantization": _quantization,
    }
)


# how the families of DISTORTIONS that come about in more than one way do so
VARIANTS: Mapping[str, tuple[Distort, ...]] = MappingProxyType({"compression": (_jpeg, _webp)})


# those among which the seed of a copy chooses; their order is part of the extract stage's output
AUGMENTATION_FAMILIES = ("noise", "blur", "compression", "underexposure", "saturation_low")


def random_distortion(image: np.ndarray, seed: int) -> np.ndarray:
    """The image, uint8 (H, W, 3), with a distortion and a level that the seed chooses."""
    random = np.random.default_rng(seed)
    family, severity = draw_distortion(random)
    return DISTORTIONS[family](image, severity, random)


def draw_distortion(random: np.random.Generator) -> tuple[str, int]:
    """A family of `OF_COPIES` and a level."""
    return AUGMENTATION_FAMILIES[random.integers(len(AUGMENTATION_FAMILIES))], int(
        random.choice(SEVERITIES)
    )


def distort_region(
    image: np.ndarray, mask: np.ndarray, family: str, severity: int, random: np.random.Generator
) -> np.ndarray:
    """The image uint8 (H, W, 3) with a part of it distorted, blended over the part's border.

    Args:
        image: sRGB.
        mask: bool (H, W), the part.
        family: of `DISTORTIONS`; where it has several `WAYS`, one is drawn.
        severity: of `LEVELS`.
        random: chooses the way, makes the noise.
    """
    ways = VARIANTS.get(family, (DISTORTIONS[family],))
    distorted = ways[random.integers(len(ways))]
    box = (_around(np.any(mask, axis=1)), _around(np.any(mask, axis=0)))
    part = np.ascontiguousarray(image[box])
    worse = distorted(part, severity, random).astype(np.float32)
    fraction = gaussian(mask[box].astype(np.float32), 1.0)[..., None]
    result = image.copy()
    result[box] = np.rint(part + fraction * (worse - part))
    return result


def _around(inside: np.ndarray) -> slice:
    """Where a bool (N,) holds, with what blurring needs, from and to borders of coders' blocks."""
    where = np.flatnonzero(inside)
    start, end = max(0, where[0] - MARGIN), where[-1] + 1 + MARGIN
    return slice(start // BLOCK * BLOCK, -(-end // BLOCK) * BLOCK)
