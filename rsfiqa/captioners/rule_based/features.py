"""Hand-crafted features of each region that indicate distortions, on scales that add up."""

from collections.abc import Sequence
from functools import reduce

import cv2
import numpy as np

from rsfiqa.captioners.rule_based.statistics import (
    BLOCK,
    MAX_STEP,
    ImagePlanes,
    RegionStatistics,
    difference,
    magnitude,
    region_statistics,
)
from rsfiqa.label_runs import LabelRuns

BLOCK_SIDES = {"blocks_4": 4, "blocks_8": BLOCK}  # pixels, by the name of their feature
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
    image: np.ndarray,
    labels: np.ndarray,
    statistics: RegionStatistics | None = None,
    planes: ImagePlanes | None = None,
) -> np.ndarray:
    """Features of each region, float64 (R, S), in the order of `FEATURES`.

    Args:
        image: sRGB, uint8 (H, W, 3).
        labels: label map of the image, (H, W), 0..R-1.
        statistics: statistics of the same regions, if they are known.
        planes: of image and label map, if they are known.
    """
    planes = planes or ImagePlanes(image, labels)
    if statistics is None:
        statistics = region_statistics(image, labels, planes)
    runs, grey = planes.runs, planes.grey
    channels = cv2.split(image)
    low, high = reduce(cv2.min, channels), reduce(cv2.max, channels)
    curvature = runs.means(np.abs(cv2.Laplacian(grey, cv2.CV_32F)))
    smooth = runs.means(_gradient(planes.smooth))
    even, nearly_even, side = _steps(channels, labels)
    features = {
        "noise": np.log(statistics.noise + 0.3),
        "blur": statistics.blur,
        "blocks": np.log(statistics.blockiness),
        **_blocks(grey, runs),
        "lightness": statistics.lightness,
        "contrast": np.log(statistics.contrast + 0.5),
        **_tones(planes, statistics),
        "whites": np.sqrt(runs.means(low >= 250)),
        "blacks": np.sqrt(runs.means(high <= 4)),
        "clipped_high": np.sqrt(runs.means(high >= 254)),
        "clipped_low": np.sqrt(runs.means(low <= 1)),
        "clipped_color": np.sqrt(runs.means((low <= 1) & (high >= 60))),
        "chroma": np.log(statistics.chroma + 1),
        "side": np.log(side),
        "pixelated": (side > 1).astype(float),
        **_values(channels, runs),
        "even": np.sqrt(even),
        "nearly_even": np.sqrt(nearly_even),
        "curvature": np.log(curvature + 0.3),
        "gradient": np.log(runs.means(_gradient(grey)) + 0.3),
        "smooth_gradient": np.log(smooth + 0.3),
        "sharpness": np.log((curvature + 0.3) / (smooth + 0.3)),
    }
    return np.stack([features[name] for name in FEATURES], axis=1)


def _tones(planes: ImagePlanes, statistics: RegionStatistics) -> dict[str, np.ndarray]:
    """Percentiles of lightness and chroma in each region, each (R,)."""
    runs, lightness, chroma = planes.runs, planes.lightness, planes.chroma

    def percentiles(values: np.ndarray, *fractions: float) -> list[np.ndarray]:
        cumulative = runs.histogram(values).cumsum(axis=1)
        return [
            np.argmax(cumulative >= fraction * runs.areas[:, None], axis=1)
            for fraction in fractions
        ]

    darkest, dark, light, lightest = (
        values * (100 / 255) for values in percentiles(lightness, 0.01, 0.05, 0.95, 0.99)
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


def _gradient(grey: np.ndarray) -> np.ndarray:
    """Magnitude of the gradient of a grey image, (H, W)."""
    return magnitude(difference(grey, 1, 0), difference(grey, 0, 1))


def _blocks(grey: np.ndarray, runs: LabelRuns) -> dict[str, np.ndarray]:
    """Step at the borders of blocks over steps elsewhere, in both directions; 1 is none.

    The logarithm for each side of blocks, (R,).
    """
    sums = {side: np.zeros((2, runs.count)) for side in BLOCK_SIDES.values()}
    for axis in (1, 0):
        # from the pixel before, so that a step is the region's into which it leads
        steps = np.zeros_like(grey)
        own, first = np.moveaxis(steps, axis, 0), np.moveaxis(runs.labels, axis, 0)[0]
        np.minimum(np.abs(np.moveaxis(np.diff(grey, axis=axis), axis, 0)), MAX_STEP, out=own[1:])
        total = runs.sums(steps)
        number = runs.areas - np.bincount(first, minlength=runs.count)
        for side, found in sums.items():
            flat = np.moveaxis(runs.labels, axis, 0)[side::side].ravel().astype(np.intp)
            at_border = np.bincount(flat, own[side::side].ravel(), runs.count)
            borders = np.bincount(flat, minlength=runs.count)
            found[0] += (at_border + 40) / (borders + 20)
            found[1] += (total - at_border + 40) / (number - borders + 20)
    return {
        name: np.log((sums[side][0] + 0.4) / (sums[side][1] + 0.4))
        for name, side in BLOCK_SIDES.items()
    }


def _steps(
    channels: Sequence[np.ndarray], labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fractions of equal and nearly equal neighbors, and the side of pixelation blocks.

    Each (R,). The side is that of the largest square blocks at whose borders nearly all steps lie,
    1 if there are none. The border of a region, which may be blended with others, is left out.
    """
    inner = (cv2.erode(labels, KERNEL) == labels) & (cv2.dilate(labels, KERNEL) == labels)
    both = [
        _column_steps([np.ascontiguousarray(channel.T) for channel in channels], labels.T, inner.T),
        _column_steps(channels, labels, inner),
    ]
    equal, near, total = (sum(parts) for parts in zip(*(each[:3] for each in both), strict=True))
    aligned = np.minimum(*(_alignment(each[3]) for each in both))
    total = np.maximum(total, 1)
    sides = np.array(PIXEL_BLOCKS)[:, None] * (aligned >= ALIGNED)
    return equal / total, near / total, np.maximum(sides.max(axis=0), 1)


def _column_steps(
    channels: Sequence[np.ndarray], labels: np.ndarray, inner: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Steps from each row to the next: equal ones, nearly equal ones, all, and sizes by row.

    The first three are numbers (R,); sizes are sums (R, H - 1).

    Args:
        channels: uint8 (H, W) each.
        labels: label map, (H, W).
        inner: bool (H, W), the pixels that count.
    """
    count = int(labels.max()) + 1
    if len(labels) == 1:
        nothing = np.zeros(count)
        return nothing, nothing, nothing, nothing[:, None]
    runs = LabelRuns(np.ascontiguousarray(labels[1:]), count)
    inside = np.ascontiguousarray(inner[1:] & inner[:-1])
    sizes = np.zeros(inside.shape, np.uint16)
    for channel in channels:
        sizes += cv2.absdiff(channel[1:], channel[:-1])
    place = runs.regions * len(inside) + runs.rows
    by_row = np.bincount(
        place, runs.of_runs((sizes * inside).astype(np.uint32)), runs.count * len(inside)
    )
    return (
        runs.sums((sizes == 0) & inside),
        runs.sums((sizes <= 3) & inside),
        runs.sums(inside),
        by_row.reshape(runs.count, len(inside)),
    )


def _alignment(by_row: np.ndarray) -> np.ndarray:
    """Largest fraction of all steps that lies on rows one block apart: (blocks, R).

    Args:
        by_row: sums of steps, (R, H).
    """
    total = np.maximum(by_row.sum(axis=1), 1)
    found = []
    for side in PIXEL_BLOCKS:
        padded = np.pad(by_row, ((0, 0), (0, -by_row.shape[1] % side)))
        found.append(padded.reshape(len(by_row), -1, side).sum(axis=1).max(axis=1) / total)
    return np.stack(found)


def _values(channels: Sequence[np.ndarray], runs: LabelRuns) -> dict[str, np.ndarray]:
    """Number, spacing and concentration of a region's pixel values: channel medians, each (R,)."""
    found = []
    for channel in channels:
        fraction = runs.histogram(channel) / runs.areas[:, None]
        used = fraction > RARE
        ordered = np.sort(fraction, axis=1)
        gaps = np.array([_median_gap(np.flatnonzero(row)) for row in used])
        found.append((used.sum(axis=1), gaps, ordered[:, -1], ordered[:, -16:].sum(axis=1)))
    number, gap, commonest, sixteen = np.median(np.array(found), axis=0)
    return {
        "values": np.log(number + 1),
        "gap": np.log(gap + 0.5),
        "commonest": np.sqrt(commonest),
        "commonest_16": sixteen,
    }


def _median_gap(used: np.ndarray) -> float:
    """Median distance between values that are used, int (n,), rising; 0 for a single one."""
    gaps = np.sort(np.diff(used))
    return float(gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2 if len(gaps) else 0.0
