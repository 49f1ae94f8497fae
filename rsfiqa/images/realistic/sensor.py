"""Distortions of the sensor: noise, as a camera's own processing leaves it."""

import cv2
import numpy as np

from rsfiqa.images.realistic.linear import MIDDLE_GREY, to_light, to_pixels

READ_NOISE = 0.15  # noise in the dark, as a fraction of that at middle grey
GAINS = (1.9, 1.0, 1.6)  # white balance in daylight, which amplifies the noise of red and blue
# Bilinear demosaicking interpolates each channel from the pixels that have its filter.
GREEN = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
RED_BLUE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4
CHROMA_BLUR = 1.2  # standard deviation in pixels; cameras blur the noise of color at least
DAYLIGHT_NOISE = 0.025  # at middle grey, of a photograph in good light


def sensor_noise(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Photon and read noise, correlated by demosaicking, with the noise of color blurred.

    Args:
        image: uint8 (H, W, 3).
        strength: standard deviation of the noise at middle grey, as a fraction of its light.
        random: draws the noise.
    """
    light = to_light(image)
    noisy = to_pixels(light + mosaic_noise(light, strength, random))
    return _with_blurred_chroma(noisy, CHROMA_BLUR)


def denoised(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Strong noise that a camera has removed in part: smeared texture and colored blotches.

    Args:
        image: uint8 (H, W, 3).
        strength: of the noise before, as of `sensor_noise`.
        random: draws the noise.
    """
    light = to_light(image)
    noisy = to_pixels(light + mosaic_noise(light, strength, random))
    tolerance = 12 + 130 * strength  # grey levels; about twice the noise
    smooth = cv2.bilateralFilter(noisy, 7, tolerance, 2.5)
    kept = random.uniform(0.15, 0.4)
    mixed = cv2.addWeighted(noisy, kept, smooth, 1 - kept, 0)
    return _with_blurred_chroma(mixed, 3 * CHROMA_BLUR)


def low_light(image: np.ndarray, stops: float, random: np.random.Generator) -> np.ndarray:
    """A photograph in too little light that was made as bright as it should be afterwards.

    Noise is strongest in the shadows, which lose their color and gradation.

    Args:
        image: uint8 (H, W, 3).
        stops: of light that were missing.
        random: draws the noise.
    """
    light = to_light(image) * np.float32(2.0**-stops)
    strength = DAYLIGHT_NOISE * 2.0 ** (stops / 2)  # photons are fewer
    dark = light + mosaic_noise(light, strength, random, level=2.0**-stops)
    lifted = to_light(to_pixels(dark)) * np.float32(2.0**stops)  # from a file of 8 bits
    return _with_blurred_chroma(to_pixels(lifted), CHROMA_BLUR)


def salt_and_pepper(image: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    """Single pixels that are black, white or of one full color.

    Args:
        image: uint8 (H, W, 3).
        fraction: of values that are lost, in [0, 1].
        random: draws the pixels.
    """
    shape = image.shape[:2] if random.integers(2) else image.shape
    drawn = random.random(shape, np.float32)
    drawn = drawn if drawn.ndim == 3 else drawn[..., None]
    pepper = np.where(drawn < fraction / 2, np.uint8(0), image)
    result: np.ndarray = np.where(drawn > 1 - fraction / 2, np.uint8(255), pepper)
    return result


def mosaic_noise(
    light: np.ndarray, strength: float, random: np.random.Generator, level: float = 1.0
) -> np.ndarray:
    """The noise of a sensor with a Bayer mosaic after bilinear demosaicking: float32 (H, W, 3).

    Demosaicking is linear, so that of the noise is added to the image, which stays as sharp as it
    is.

    Args:
        light: in [0, 1], float32 (H, W, 3).
        strength: standard deviation at middle grey, as a fraction of its light.
        random: draws the noise.
        level: light of white; that at which the strength holds is middle grey times this.
    """
    grey = MIDDLE_GREY * level
    variance = (strength * grey) ** 2 * (np.clip(light, 0, None) / grey + READ_NOISE**2)
    noise = random.standard_normal(light.shape[:2], np.float32)
    result = np.empty_like(light)
    for channel, sites in enumerate(_bayer_sites(light.shape[:2])):
        raw = np.where(sites, noise * np.sqrt(variance[..., channel] * GAINS[channel]), 0)
        kernel = GREEN if channel == 1 else RED_BLUE
        result[..., channel] = cv2.filter2D(raw.astype(np.float32), -1, kernel)
    return result


def _bayer_sites(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels with a red, green and blue filter: bool (H, W) each, in the order RGGB."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    red = (rows % 2 == 0) & (columns % 2 == 0)
    blue = (rows % 2 == 1) & (columns % 2 == 1)
    return red, ~(red | blue), blue


def _with_blurred_chroma(image: np.ndarray, sigma: float) -> np.ndarray:
    luma_chroma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    luma_chroma[..., 1:] = cv2.GaussianBlur(luma_chroma[..., 1:], (0, 0), sigma)
    rgb: np.ndarray = cv2.cvtColor(luma_chroma, cv2.COLOR_YCrCb2RGB)
    return rgb
