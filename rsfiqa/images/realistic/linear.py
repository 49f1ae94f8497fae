"""sRGB and linear light: what adds up in a lens or on a sensor is light, not pixel values."""

import numpy as np

MIDDLE_GREY = 0.18  # of the light of white
STEPS = 4096  # of the square root of light, by which the inverse is looked up; error < 0.3 levels


def _decode(values: np.ndarray) -> np.ndarray:
    """The sRGB transfer curve (IEC 61966-2-1), from [0, 1] to [0, 1]."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _encode(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


_LIGHT = _decode(np.arange(256) / 255).astype(np.float32)
_PIXEL = np.rint(255 * _encode((np.arange(STEPS) / (STEPS - 1)) ** 2)).astype(np.uint8)


def to_light(image: np.ndarray) -> np.ndarray:
    """Light of sRGB pixels: float32 (H, W, 3), in [0, 1], 1 is white.

    Args:
        image: uint8 (H, W, 3).
    """
    light: np.ndarray = _LIGHT[image]
    return light


def to_pixels(light: np.ndarray) -> np.ndarray:
    """The sRGB pixels of light, clipped to [0, 1] as by a sensor: uint8 (H, W, 3).

    Args:
        light: float32 (H, W, 3).
    """
    steps = np.sqrt(np.clip(light, 0, 1)) * np.float32(STEPS - 1) + np.float32(0.5)
    pixels: np.ndarray = _PIXEL[steps.astype(np.uint16)]
    return pixels
