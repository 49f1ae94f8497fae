"""Region statistics: noise, blur, blockiness, lightness and color of each region."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from rsfiqa.label_runs import LabelRuns

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


class ImagePlanes:
    """What statistics and features of regions are made of, computed once.

    Args:
        image: sRGB, uint8 (H, W, 3).
        labels: label map of the image, (H, W), 0..R-1.

    Attributes:
        image: the image.
        runs: of the label map.
    """

    def __init__(self, image: np.ndarray, labels: np.ndarray) -> None:
        self.image, self.runs = image, LabelRuns(labels)

    @cached_property
    def grey(self) -> np.ndarray:
        """Grey levels, float32 (H, W)."""
        grey: np.ndarray = cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return grey

    @cached_property
    def smooth(self) -> np.ndarray:
        """Smoothed grey levels, float32 (H, W)."""
        smooth: np.ndarray = cv2.GaussianBlur(self.grey, (0, 0), 2.0)
        return smooth

    @cached_property
    def lightness(self) -> np.ndarray:
        """CIELAB L of [0, 255], uint8 (H, W)."""
        return self._lab[0]

    @cached_property
    def a_b(self) -> tuple[np.ndarray, np.ndarray]:
        """CIELAB a and b, float32 (H, W) each."""
        a, b = (plane.astype(np.float32) - 128 for plane in self._lab[1:])
        return a, b

    @cached_property
    def chroma(self) -> np.ndarray:
        """CIELAB chroma, float32 (H, W)."""
        return magnitude(*self.a_b)

    @cached_property
    def _lab(self) -> Sequence[np.ndarray]:
        planes: Sequence[np.ndarray] = cv2.split(cv2.cvtColor(self.image, cv2.COLOR_RGB2LAB))
        return planes


def region_statistics(
    image: np.ndarray, labels: np.ndarray, planes: ImagePlanes | None = None
) -> RegionStatistics:
    """Statistics of each region.

    Args:
        image: sRGB, uint8 (H, W, 3).
        labels: label map of the image, (H, W), 0..R-1.
        planes: of both, if they are known.
    """
    planes = planes or ImagePlanes(image, labels)
    runs, grey, (a, b) = planes.runs, planes.grey, planes.a_b
    light = planes.lightness * np.float32(100 / 255)
    lightness = runs.means(light)
    steps = [np.minimum(np.abs(difference(grey, *axis)), MAX_STEP) for axis in ((1, 0), (0, 1))]
    return RegionStatistics(
        noise=_noise(planes),
        blur=_blur(grey, runs),
        blockiness=_blockiness(steps, runs),
        lightness=lightness,
        contrast=np.sqrt(np.maximum(runs.means(light * light) - lightness**2, 0)),
        a=runs.means(a),
        b=runs.means(b),
        chroma=runs.means(planes.chroma),
    )


def _shrunk(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean of each region, shrunk towards that of the image for small weights: (R,).

    Args:
        total: float (R,), sum of the weighted values of each region.
        weight: float (R,), sum of their weights.
    """
    whole = total.sum() / max(weight.sum(), 1e-9)
    means: np.ndarray = (total + PRIOR_WEIGHT * whole) / (weight + PRIOR_WEIGHT)
    return means


def _noise(planes: ImagePlanes) -> np.ndarray:
    """Immerkaer's estimate, on even areas only, since it takes texture for noise."""
    grey, smooth, runs = planes.grey, planes.smooth, planes.runs
    response = np.abs(cv2.filter2D(grey, -1, NOISE_MASK)) * (np.sqrt(np.pi / 2) / 6)
    gradient = magnitude(
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=0.125),
        cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=0.125),
    )
    even = (gradient < FLAT / 8) & (grey > 3) & (grey < 252)  # clipped pixels show no noise
    return _shrunk(runs.sums(response * even), runs.sums(even))


def _blur(grey: np.ndarray, runs: LabelRuns) -> np.ndarray:
    """Crete's blur metric: the variation that survives further blurring; the larger direction."""
    survived = []
    for size, (dx, dy) in (((9, 1), (1, 0)), ((1, 9), (0, 1))):
        before = np.abs(difference(grey, dx, dy))
        after = np.abs(difference(cv2.blur(grey, size), dx, dy))
        # of each step, weighted by the step
        total = runs.sums(np.minimum(after, before)) / 4
        survived.append(_shrunk(total, runs.sums(before) / 4))
    larger: np.ndarray = np.maximum(*survived)
    return larger


def _blockiness(steps: Sequence[np.ndarray], runs: LabelRuns) -> np.ndarray:
    """Mean step at the borders of JPEG blocks over the mean step elsewhere: (R,).

    Args:
        steps: float (H, W) of each direction, steps to the next pixel; zero at the far border.
        runs: of the regions.
    """
    labels, border, inside = runs.labels, np.zeros(runs.count), np.zeros(runs.count)
    chosen = slice(BLOCK - 1, -1, BLOCK)
    for values, at in zip(steps, ((slice(None), chosen), (chosen, slice(None))), strict=True):
        flat = labels[at].ravel().astype(np.intp)
        total = np.bincount(flat, values[at].ravel(), runs.count)
        weight = np.bincount(flat, minlength=runs.count)
        border += _shrunk(total, weight)
        inside += _shrunk(runs.sums(values) - total, runs.areas - weight)
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
