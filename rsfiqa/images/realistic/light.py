"""Distortions of the light: exposure, white balance, haze."""

import cv2
import numpy as np

from rsfiqa.images.realistic.linear import to_light, to_pixels

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB (Rec. 709)
AIR = np.array([1, 1.02, 1.06], np.float32)  # color of its light
HAZE_CELLS = 4  # of the field of distances, on each side of the image


def overexposure(image: np.ndarray, stops: float, _random: np.random.Generator) -> np.ndarray:
    """Too much light: highlights are clipped, channel by channel.

    Args:
        image: uint8 (H, W, 3).
        stops: of light too much.
    """
    return to_pixels(to_light(image) * np.float32(2.0**stops))


def underexposure(image: np.ndarray, stops: float, _random: np.random.Generator) -> np.ndarray:
    """Too little light.

    Args:
        image: uint8 (H, W, 3).
        stops: of light that are missing.
    """
    return to_pixels(to_light(image) * np.float32(2.0**-stops))


def color_cast(image: np.ndarray, stops: float, random: np.random.Generator) -> np.ndarray:
    """A wrong white balance: amber or blue, sometimes green or magenta, at the same luminance.

    Args:
        image: uint8 (H, W, 3).
        stops: by which red is raised and blue lowered, or the reverse.
        random: draws the color.
    """
    warmth = random.choice((-1, 1)) * stops
    tint = random.uniform(-0.5, 0.5) * stops
    gains = np.exp2(np.array([warmth, tint, -warmth])).astype(np.float32)
    light = to_light(image)
    cast = light * gains
    before, after = (x.mean(axis=(0, 1)) @ LUMINANCE + np.float32(1e-6) for x in (light, cast))
    return to_pixels(cast * (before / after))


def haze(image: np.ndarray, depth: float, random: np.random.Generator) -> np.ndarray:
    """Haze: with distance, the light of the air takes the place of that of the scene.

    Distances are a smooth random field that rises towards the top of the image.

    Args:
        image: uint8 (H, W, 3).
        depth: mean optical depth.
        random: draws the distances and the light of the air.
    """
    height, width = image.shape[:2]
    cells = random.uniform(0.6, 1.4, (HAZE_CELLS, HAZE_CELLS))
    cells *= np.linspace(1.4, 0.6, HAZE_CELLS)[:, None]
    distance = cv2.resize(cells.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    transmission = np.exp(-depth * distance)[..., None]
    air = np.float32(random.uniform(0.55, 0.8)) * AIR
    return to_pixels(to_light(image) * transmission + air * (1 - transmission))
