"""Distortions of an editor's sliders: contrast, saturation, number of tones."""

import cv2
import numpy as np

NEUTRAL = 0.5  # Cr and Cb of grey; OpenCV adds it to floating-point values of any range


def contrast_high(image: np.ndarray, gain: float, _random: np.random.Generator) -> np.ndarray:
    """Values moved away from the image's mean, so that shadows and highlights are clipped.

    Args:
        image: uint8 (H, W, 3).
        gain: on the difference from the mean, less 1.
    """
    return _with_contrast(image, 1 + gain)


def contrast_low(image: np.ndarray, loss: float, _random: np.random.Generator) -> np.ndarray:
    """Values moved towards the image's mean.

    Args:
        image: uint8 (H, W, 3).
        loss: fraction of the difference from the mean, in [0, 1].
    """
    return _with_contrast(image, 1 - loss)


def saturation_high(image: np.ndarray, gain: float, _random: np.random.Generator) -> np.ndarray:
    """More color at the same luma; full colors are clipped.

    Args:
        image: uint8 (H, W, 3).
        gain: on the chroma, less 1.
    """
    return _with_chroma(image, 1 + gain)


def saturation_low(image: np.ndarray, loss: float, _random: np.random.Generator) -> np.ndarray:
    """Less color at the same luma.

    Args:
        image: uint8 (H, W, 3).
        loss: fraction of the chroma, in [0, 1]; 1 is grey.
    """
    return _with_chroma(image, 1 - loss)


def banding(image: np.ndarray, bits: float, _random: np.random.Generator) -> np.ndarray:
    """Too few tones: smooth areas break up into bands.

    Args:
        image: uint8 (H, W, 3).
        bits: lost of the eight of each channel.
    """
    step = 255 / (max(round(2 ** (8 - bits)), 2) - 1)
    table = np.rint(np.rint(np.arange(256) / step) * step).astype(np.uint8)
    result: np.ndarray = table[image]
    return result


def _with_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    mean = image.mean()
    table = np.clip(np.rint(mean + factor * (np.arange(256) - mean)), 0, 255).astype(np.uint8)
    result: np.ndarray = table[image]
    return result


def _with_chroma(image: np.ndarray, factor: float) -> np.ndarray:
    luma_chroma = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2YCrCb)
    luma_chroma[..., 1:] = NEUTRAL + factor * (luma_chroma[..., 1:] - NEUTRAL)
    rgb = cv2.cvtColor(luma_chroma, cv2.COLOR_YCrCb2RGB)
    rounded: np.ndarray = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return rounded
