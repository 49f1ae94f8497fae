"""Textbook distortions of known family and severity, of whole images and of single regions.

Those that arise in a camera are in `images.realistic`.

Each distortion function takes an image uint8 (H, W, 3), a severity of `SEVERITIES` and a random
generator, and returns uint8 (H, W, 3). Which functions belong to a family stands in the registry
`FAMILIES`, which this module reads at each call.
"""

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from PIL import Image
from skimage.filters import gaussian

from rsfiqa.registry import resolve
from rsfiqa.vocabulary import FAMILIES, SEVERITIES, augmentation_families

# Parameters of severities 1 to 5.
NOISE = (5, 10, 18, 30, 50)  # standard deviation in grey levels
BLUR = (0.6, 1.0, 1.6, 2.5, 4.0)  # standard deviation in pixels
JPEG = (50, 30, 18, 10, 5)  # quality
WEBP = (40, 20, 9, 3, 0)  # quality; SSIM is about that of JPEG of the same severity
OVEREXPOSURE = (0.5, 0.9, 1.4, 2.0, 2.8)  # stops
UNDEREXPOSURE = (0.7, 1.3, 2.0, 2.8, 3.7)  # stops
CONTRAST_HIGH = (1.25, 1.55, 1.95, 2.5, 3.5)  # factor on the difference from the mean
CONTRAST_LOW = (0.75, 0.55, 0.4, 0.25, 0.12)
SATURATION_HIGH = (1.35, 1.75, 2.3, 3.0, 4.0)  # factor on the CIELAB chroma
SATURATION_LOW = (0.8, 0.6, 0.4, 0.2, 0.0)
OVERSHARPENING = (0.7, 1.4, 2.4, 4.0, 7.0)  # amount of an unsharp mask
PIXELATION = (2, 3, 4, 6, 9)  # side of a block in pixels
QUANTIZATION = (20, 12, 8, 5, 3)  # values per channel

UNSHARP_RADIUS = 1.0  # standard deviation in pixels
GAMMA = 2.2  # approximation of the sRGB transfer curve
NEUTRAL = 128  # a and b of grey in OpenCV's 8-bit CIELAB
BLEND = 1.0  # standard deviation in pixels of the blending over a region's border
MARGIN = 12  # pixels around a region; three standard deviations of the strongest blur
BLOCK = 16  # pixels; side of the largest coding block of JPEG and WebP

DistortionFunction = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def distort(
    image: np.ndarray, family: str, severity: int, random: np.random.Generator
) -> np.ndarray:
    """The image distorted by a family's first variant: uint8 (H, W, 3).

    Args:
        image: sRGB, uint8 (H, W, 3).
        family: name in `FAMILIES`.
        severity: of `SEVERITIES`.
        random: draws the noise.
    """
    return variants(family)[0](image, severity, random)


def distort_region(
    image: np.ndarray, mask: np.ndarray, family: str, severity: int, random: np.random.Generator
) -> np.ndarray:
    """The image with one region distorted, blended over the region's border: uint8 (H, W, 3).

    Args:
        image: sRGB, uint8 (H, W, 3).
        mask: bool (H, W), true in the region.
        family: name in `FAMILIES`.
        severity: of `SEVERITIES`.
        random: draws the variant of the family, then the noise.
    """
    functions = variants(family)
    function = functions[random.integers(len(functions))]
    box = (_padded_extent(np.any(mask, axis=1)), _padded_extent(np.any(mask, axis=0)))
    intact = np.ascontiguousarray(image[box])
    distorted = function(intact, severity, random).astype(np.float32)
    weight = gaussian(mask[box].astype(np.float32), BLEND)[..., None]
    result = image.copy()
    result[box] = np.rint(intact + weight * (distorted - intact))
    return result


def random_distortion(image: np.ndarray, seed: int) -> np.ndarray:
    """The image uint8 (H, W, 3) distorted by a family and severity that the seed determines."""
    random = np.random.default_rng(seed)
    family, severity = draw_distortion(random)
    return distort(image, family, severity, random)


def draw_distortion(random: np.random.Generator) -> tuple[str, int]:
    """A family of the augmentation and a severity, both drawn uniformly."""
    families = augmentation_families()
    return families[random.integers(len(families))], int(random.choice(SEVERITIES))


def variants(family: str) -> tuple[DistortionFunction, ...]:
    """The distortion functions of a family, imported when they are first needed."""
    return tuple(resolve(target) for target in FAMILIES[family].variants)


def noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Gaussian noise, independent in each channel."""
    return _to_uint8(image + random.normal(0, NOISE[severity - 1], image.shape))


def blur(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """Gaussian blur."""
    return _to_uint8(gaussian(image, BLUR[severity - 1], preserve_range=True, channel_axis=2))


def jpeg(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """JPEG compression."""
    return _encoded(image, format="JPEG", quality=JPEG[severity - 1])


def webp(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """Lossy WebP compression."""
    return _encoded(image, format="WEBP", quality=WEBP[severity - 1])


def overexposure(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """More light, with clipped highlights."""
    return _exposed(image, OVEREXPOSURE[severity - 1])


def underexposure(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """Less light."""
    return _exposed(image, -UNDEREXPOSURE[severity - 1])


def contrast_high(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """Values moved away from the mean of the image."""
    return _with_contrast(image, CONTRAST_HIGH[severity - 1])


def contrast_low(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """Values moved towards the mean of the image."""
    return _with_contrast(image, CONTRAST_LOW[severity - 1])


def saturation_high(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """More chroma at the same lightness."""
    return _with_chroma(image, SATURATION_HIGH[severity - 1])


def saturation_low(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """Less chroma at the same lightness; grey at severity 5."""
    return _with_chroma(image, SATURATION_LOW[severity - 1])


def oversharpening(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """Unsharp mask."""
    detail = image - gaussian(image, UNSHARP_RADIUS, preserve_range=True, channel_axis=2)
    return _to_uint8(image + OVERSHARPENING[severity - 1] * detail)


def pixelation(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """Square blocks replaced by their mean."""
    side = PIXELATION[severity - 1]
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(image, 0, -height % side, 0, -width % side, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // side, padded.shape[0] // side)
    blocks = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(blocks.repeat(side, 0).repeat(side, 1)[:height, :width])


def quantization(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    """Few evenly spaced values per channel, without dithering."""
    step = 255 / (QUANTIZATION[severity - 1] - 1)
    return _to_uint8(np.rint(image / step) * step)


def _to_uint8(image: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return rounded


def _encoded(image: np.ndarray, **parameters: Any) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **parameters)
    return np.array(Image.open(buffer))


def _exposed(image: np.ndarray, stops: float) -> np.ndarray:
    return _to_uint8(image * 2.0 ** (stops / GAMMA))


def _with_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    mean = image.mean()
    return _to_uint8(mean + (image - mean) * factor)


def _with_chroma(image: np.ndarray, factor: float) -> np.ndarray:
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 1:] = NEUTRAL + (lab[..., 1:] - NEUTRAL) * factor
    rgb: np.ndarray = cv2.cvtColor(_to_uint8(lab), cv2.COLOR_LAB2RGB)
    return rgb


def _padded_extent(inside: np.ndarray) -> slice:
    """Extent of the true values of a bool (N,), plus `MARGIN`, aligned to coding blocks.

    Whole blocks let a codec distort the region as it would distort the whole image.
    """
    positions = np.flatnonzero(inside)
    start, end = max(0, positions[0] - MARGIN), positions[-1] + 1 + MARGIN
    return slice(start // BLOCK * BLOCK, -(-end // BLOCK) * BLOCK)
