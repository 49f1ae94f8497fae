"""What the colors of maps of cost mean: the same in heat maps and on pages."""

import cv2
import numpy as np

from rsfiqa.scale import MosScale

# Least cost of the brightest color, as a multiple of that of a cell of a uniformly worst image.
# Attention is uneven, so single cells exceed it: in 34 photographs the costliest is at 2.8 to 4.5
# where the score is below 32 of 100, at 0.7 to 1.8 where it lies between 71 and 79, and at 1.1 at
# most from 80 on.
BRIGHTEST = 4


def brightest_cost(costs: np.ndarray, scale: MosScale) -> float:
    """Cost of the brightest color of a map, MOS points per grid cell.

    That of the costliest cell, but at least `BRIGHTEST` times that of a cell of a uniformly worst
    image, so that maps of good images stay dark.

    Args:
        costs: float (G, G), cost of each grid cell, MOS points.
        scale: of the score.
    """
    return max(float(costs.max()), BRIGHTEST * abs(scale.span) / costs.size)


def total_cost(costs: np.ndarray, scale: MosScale) -> float:
    """Cost of the whole image, MOS points, clipped to the scale as the score is that is shown.

    Args:
        costs: float (G, G), cost of each grid cell, MOS points.
        scale: of the score.
    """
    return min(max(float(costs.sum(dtype=np.float64)), 0.0), abs(scale.span))


def brightness(values: np.ndarray, peak: float, size: tuple[int, int]) -> np.ndarray:
    """A map over the pixels of an image: float32 (H, W) in [0, 1], smooth.

    Args:
        values: float (G, G), of grid cells; in the middle of a cell its own is shown, 0 for one
            below 0.
        peak: value of the brightest color.
        size: width and height, pixels.
    """
    values = np.maximum(values, 0).astype(np.float32)  # else overshoot lights up the cells beside
    smooth = cv2.resize(values, size, interpolation=cv2.INTER_CUBIC)
    fraction: np.ndarray = np.clip(smooth / max(peak, 1e-9), 0, 1)
    return fraction
