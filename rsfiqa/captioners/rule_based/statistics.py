"""Region statistics: noise, blur, blockiness, lightness and color of each region."""

from dataclasses import dataclass

import cv2
import numpy as np

NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkaer 1996
FLAT = 12.0  # grey levels per 8 pixels of smoothed gradient; noise is estimated below it
BLOCK = 8  # pixels of a JPEG block
MAX_STEP = 20  # grey levels between neighbors; larger steps are edges of the image content
PRIOR_WEIGHT = 400.0  # pixels; with this many a region counts as much as the whole image


@dataclass(frozen=True)
class RegionStatistics:
    """One value per region, each float64 (R,)."""

    noise: np.ndarray  # standard deviation of grey noise, grey levels
    blur: np.ndarray  # fraction of variation that survives blurring, [0, 1]; Crete et al. 2007
    blockiness: np.ndarray  # step at 8-pixel block borders over steps elsewhere; 1 is none
    lightness: np.ndarray  # mean CIELAB L, [0, 100]
    contrast: np.ndarray  # standard deviation of CIELAB L
    a: np.ndarray  # mean CIELAB a
    b: np.ndarray  # mean CIELAB b
    chroma: np.ndarray  # mean CIELAB chroma


def region_statistics(image: np.ndarray, labels: np.ndarray) -> RegionStatistics:
    """Statistics of each region.

    Args:
        image: sRGB, uint8 (H, W, 3).
        labels: label map of the image, (H, W), 0..R-1.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    flat = labels.ravel().astype(np.intp)
    count = int(flat.max()) + 1
    areas = np.bincount(flat, minlength=count)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(flat, values.ravel(), count) / areas

    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    light, a, b = lab[..., 0] * (100 / 255), lab[..., 1] - 128, lab[..., 2] - 128
    lightness, chroma = mean(light), magnitude(a, b)
    return RegionStatistics(
        noise=_noise(grey, flat, count),
        blur=_blur(grey, flat, count),
        blockiness=_blockiness(grey, flat, count),
        lightness=lightness,
        contrast=np.sqrt(np.maximum(mean(light * light) - lightness**2, 0)),
        a=mean(a),
        b=mean(b),
        chroma=mean(chroma),
    )


def _weighted_means(
    values: np.ndarray, weights: np.ndarray, flat: np.ndarray, count: int
) -> np.ndarray:
    """Weighted mean of each region, shrunk towards that of the image for small weights: (R,)."""
    total = np.bincount(flat, (values * weights).ravel(), count)
    weight = np.bincount(flat, weights.ravel(), count)
    whole = total.sum() / max(weight.sum(), 1e-9)
    means: np.ndarray = (total + PRIOR_WEIGHT * whole) / (weight + PRIOR_WEIGHT)
    return means


def _noise(grey: np.ndarray, flat: np.ndarray, count: int) -> np.ndarray:
    """Immerkaer's estimate, on even areas only, since it takes texture for noise."""
    response = np.abs(cv2.filter2D(grey, -1, NOISE_MASK)) * (np.sqrt(np.pi / 2) / 6)
    smooth = cv2.GaussianBlur(grey, (0, 0), 2.0)
    gradient = magnitude(
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=0.125),
        cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=0.125),
    )
    even = (gradient < FLAT / 8) & (grey > 3) & (grey < 252)  # clipped pixels show no noise
    return _weighted_means(response, even.astype(np.float32), flat, count)


def _blur(grey: np.ndarray, flat: np.ndarray, count: int) -> np.ndarray:
    """Crete's blur metric: the variation that survives further blurring; the larger direction."""
    survived = []
    for size, (dx, dy) in (((9, 1), (1, 0)), ((1, 9), (0, 1))):
        before = np.abs(difference(grey, dx, dy))
        after = np.abs(difference(cv2.blur(grey, size), dx, dy))
        fraction = np.minimum(after, before) / np.maximum(before, 1e-6)
        survived.append(_weighted_means(fraction, before / 4, flat, count))
    larger: np.ndarray = np.maximum(*survived)
    return larger


def _blockiness(grey: np.ndarray, flat: np.ndarray, count: int) -> np.ndarray:
    """Mean step at the borders of JPEG blocks over the mean step elsewhere."""
    height, width = grey.shape
    horizontal, vertical = np.abs(difference(grey, 1, 0)), np.abs(difference(grey, 0, 1))
    columns = np.zeros((height, width), np.float32)
    columns[:, BLOCK - 1 : -1 : BLOCK] = 1
    rows = np.zeros((height, width), np.float32)
    rows[BLOCK - 1 : -1 : BLOCK] = 1
    horizontal, vertical = np.minimum(horizontal, MAX_STEP), np.minimum(vertical, MAX_STEP)
    border = _weighted_means(horizontal, columns, flat, count) + _weighted_means(
        vertical, rows, flat, count
    )
    inside = _weighted_means(horizontal, 1 - columns, flat, count) + _weighted_means(
        vertical, 1 - rows, flat, count
    )
    ratio: np.ndarray = (border + 0.2) / (inside + 0.2)
    return ratio


def difference(grey: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Forward difference along one axis, zero at the far border: float32 (H, W)."""
    result = np.zeros_like(grey)
    if dx:
        result[:, :-1] = np.diff(grey, axis=1)
    if dy:
        result[:-1] = np.diff(grey, axis=0)
    return result


def magnitude(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Length of the vectors (x, y), in the type and shape of both.

    Every step is rounded by IEEE 754. The last bit of cv2.magnitude depends on where the arrays
    lie in memory, and so differs from run to run.
    """
    length: np.ndarray = np.sqrt(x * x + y * y)
    return length
