"""Hand-crafted features of each region that indicate distortions, on scales that add up."""

import cv2
import numpy as np

from rsfiqa.captioners.rule_based.statistics import (
    BLOCK,
    MAX_STEP,
    RegionStatistics,
    difference,
    magnitude,
    region_statistics,
)

PIXEL_BLOCKS = range(2, 13)  # pixels, sides of the square blocks of a pixelated image
ALIGNED = 0.85  # fraction of all steps that lie at the borders of such blocks
RARE = 0.002  # fraction of a region's pixels; values that fewer pixels have come from its border
KERNEL = np.ones((5, 5), np.uint8)  # pixels over which regions may be blended at their borders

FEATURES = (
    *("noise", "blur", "blocks", "blocks_4", "blocks_8", "lightness", "contrast"),
    *("darkest", "dark", "light", "lightest", "whites", "blacks", "clipped_high", "clipped_low"),
    *("clipped_color", "chroma", "median_chroma", "high_chroma", "chroma_over_contrast"),
    *("side", "pixelated", "values", "gap", "commonest", "commonest_16", "even", "nearly_even"),
    *("curvature", "gradient", "smooth_gradient", "sharpness"),
)


def pixel_features(
    image: np.ndarray, labels: np.ndarray, statistics: RegionStatistics | None = None
) -> np.ndarray:
    """Features of each region, float64 (R, S), in the order of `FEATURES`.

    Args:
        image: sRGB, uint8 (H, W, 3).
        labels: label map of the image, (H, W), 0..R-1.
        statistics: statistics of the same regions, if they are known.
    """
    if statistics is None:
        statistics = region_statistics(image, labels)
    flat, count = labels.ravel().astype(np.intp), int(labels.max()) + 1
    areas = np.bincount(flat, minlength=count)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(flat, values.ravel(), count) / areas

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    curvature = mean(np.abs(cv2.Laplacian(grey, cv2.CV_32F)))
    smooth = mean(_gradient(cv2.GaussianBlur(grey, (0, 0), 2)))
    even, nearly_even, side = _steps(image, labels, count)
    low, high = image.min(axis=2), image.max(axis=2)
    features = {
        "noise": np.log(statistics.noise + 0.3),
        "blur": statistics.blur,
        "blocks": np.log(statistics.blockiness),
        "blocks_4": np.log(_blocks(grey, labels, count, 4)),
        "blocks_8": np.log(_blocks(grey, labels, count, BLOCK)),
        "lightness": statistics.lightness,
        "contrast": np.log(statistics.contrast + 0.5),
        **_tones(image, statistics, flat, areas),
        "whites": np.sqrt(mean(low >= 250)),
        "blacks": np.sqrt(mean(high <= 4)),
        "clipped_high": np.sqrt(mean(high >= 254)),
        "clipped_low": np.sqrt(mean(low <= 1)),
        "clipped_color": np.sqrt(mean((low <= 1) & (high >= 60))),
        "chroma": np.log(statistics.chroma + 1),
        "side": np.log(side),
        "pixelated": (side > 1).astype(float),
        **_values(image, flat, count),
        "even": np.sqrt(even),
        "nearly_even": np.sqrt(nearly_even),
        "curvature": np.log(curvature + 0.3),
        "gradient": np.log(mean(_gradient(grey)) + 0.3),
        "smooth_gradient": np.log(smooth + 0.3),
        "sharpness": np.log((curvature + 0.3) / (smooth + 0.3)),
    }
    return np.stack([features[name] for name in FEATURES], axis=1)


def _tones(
    image: np.ndarray, statistics: RegionStatistics, flat: np.ndarray, areas: np.ndarray
) -> dict[str, np.ndarray]:
    """Percentiles of lightness and chroma in each region, each (R,)."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    chroma = np.hypot(lab[..., 1].astype(np.float32) - 128, lab[..., 2].astype(np.float32) - 128)

    def percentiles(values: np.ndarray, *fractions: float) -> list[np.ndarray]:
        cumulative = _histogram(values, flat, len(areas)).cumsum(axis=1)
        return [
            np.argmax(cumulative >= fraction * areas[:, None], axis=1) for fraction in fractions
        ]

    darkest, dark, light, lightest = (
        values * (100 / 255) for values in percentiles(lab[..., 0], 0.01, 0.05, 0.95, 0.99)
    )
    median, high = percentiles(chroma.astype(np.uint8), 0.5, 0.95)
    return {
        "darkest": darkest,
        "dark": dark,
        "light": light,
        "lightest": lightest,
        "median_chroma": np.log(median + 1),
        "high_chroma": np.log(high + 1),
        "chroma_over_contrast": np.log((median + 1) / (statistics.contrast + 1)),
    }


def _histogram(values: np.ndarray, flat: np.ndarray, count: int) -> np.ndarray:
    """Number of pixels of each region with each value of uint8 (H, W): int64 (R, 256)."""
    both = flat * 256 + values.ravel()
    return np.bincount(both, minlength=256 * count).reshape(count, 256)


def _gradient(grey: np.ndarray) -> np.ndarray:
    """Magnitude of the gradient of a grey image, (H, W)."""
    return magnitude(difference(grey, 1, 0), difference(grey, 0, 1))


def _blocks(grey: np.ndarray, labels: np.ndarray, count: int, side: int) -> np.ndarray:
    """Step at the borders of blocks over steps elsewhere, in both directions: (R,); 1 is none."""
    sums = np.zeros((2, count))
    for unclipped, regions in (
        (np.abs(np.diff(grey, axis=1)), labels[:, 1:]),
        (np.abs(np.diff(grey, axis=0)).T, labels[1:].T),
    ):
        steps = np.minimum(unclipped, MAX_STEP)
        border = np.arange(1, steps.shape[1] + 1) % side == 0
        for i, chosen in enumerate((border, ~border)):
            flat = regions[:, chosen].ravel().astype(np.intp)
            total = np.bincount(flat, steps[:, chosen].ravel(), count)
            sums[i] += (total + 40) / (np.bincount(flat, minlength=count) + 20)
    ratio: np.ndarray = (sums[0] + 0.4) / (sums[1] + 0.4)
    return ratio


def _steps(
    image: np.ndarray, labels: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fractions of equal and nearly equal neighbors, and the side of pixelation blocks.

    Each (R,). The side is that of the largest square blocks at whose borders nearly all steps lie,
    1 if there are none. The border of a region, which may be blended with others, is left out.
    """
    ids = labels.astype(np.float32)
    inner = (cv2.erode(ids, KERNEL) == labels) & (cv2.dilate(ids, KERNEL) == labels)
    pixels = image.astype(np.int16)
    equal, near, total = np.zeros(count), np.zeros(count), np.zeros(count)
    aligned = np.ones((len(PIXEL_BLOCKS), count))
    for steps, regions, inside in (
        (np.abs(np.diff(pixels, axis=1)).sum(axis=2), labels[:, 1:], inner[:, 1:] & inner[:, :-1]),
        (np.abs(np.diff(pixels, axis=0)).sum(axis=2).T, labels[1:].T, (inner[1:] & inner[:-1]).T),
    ):
        column = np.broadcast_to(np.arange(steps.shape[1]), steps.shape)[inside]
        flat, size = regions[inside].astype(np.intp), steps[inside]
        total += np.bincount(flat, minlength=count)
        equal += np.bincount(flat, size == 0, count)
        near += np.bincount(flat, size <= 3, count)
        aligned = np.minimum(aligned, _alignment(flat, column, size, (count, steps.shape[1])))
    total = np.maximum(total, 1)
    sides = np.array(PIXEL_BLOCKS)[:, None] * (aligned >= ALIGNED)
    return equal / total, near / total, np.maximum(sides.max(axis=0), 1)


def _alignment(
    regions: np.ndarray, columns: np.ndarray, steps: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Largest fraction of all steps that lies on columns one block apart, (blocks, R).

    Args:
        regions: region of each step, int (n,).
        columns: column of each step, int (n,).
        steps: size of each step, (n,).
        shape: number of regions and of columns.
    """
    count, width = shape
    by_column = np.bincount(regions * width + columns, steps, count * width).reshape(count, width)
    total = np.maximum(by_column.sum(axis=1), 1)
    return np.stack(
        [
            np.max([by_column[:, start::side].sum(axis=1) for start in range(side)], axis=0) / total
            for side in PIXEL_BLOCKS
        ]
    )


def _values(image: np.ndarray, flat: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Number, spacing and concentration of a region's pixel values: channel medians, each (R,)."""
    channels = []
    for channel in range(3):
        pixels = _histogram(image[..., channel], flat, count).astype(float)
        fraction = pixels / pixels.sum(axis=1, keepdims=True)
        used = fraction > RARE
        number = used.sum(axis=1)
        gap = [
            float(np.median(np.diff(np.flatnonzero(row)))) if n > 1 else 0.0
            for row, n in zip(used, number, strict=True)
        ]
        ordered = np.sort(fraction, axis=1)
        channels.append((number, gap, ordered[:, -1], ordered[:, -16:].sum(axis=1)))
    number, gap, commonest, sixteen = np.median(np.array(channels), axis=0)
    return {
        "values": np.log(number + 1),
        "gap": np.log(gap + 0.5),
        "commonest": np.sqrt(commonest),
        "commonest_16": sixteen,
    }
