"""Signs of distortions that can be measured in each region, on scales on which they add up."""

import cv2
import numpy as np

from rsfiqa.captioners.rule_based.statistics import BLOCK, RegionStatistics, difference

SIDES = range(2, 13)  # pixels, of blocks that are looked for


ALIGNED = 0.85  # share of all steps at the borders of such blocks; pixelation leaves no others


RARE = 0.002  # share of a region's pixels; fewer with a value are due to its border


KERNEL = np.ones((5, 5), np.uint8)  # over which a region may be blended with its neighbours


FEATURES = (
    *("noise", "blur", "blocks", "blocks_4", "blocks_8", "lightness", "contrast"),
    *("darkest", "dark", "light", "lightest", "whites", "blacks", "clipped_high", "clipped_low"),
    *("clipped_color", "chroma", "median_chroma", "high_chroma", "chroma_over_contrast"),
    *("side", "pixelated", "values", "gap", "commonest", "commonest_16", "even", "nearly_even"),
    *("curvature", "gradient", "smooth_gradient", "sharpness"),
)


def region_features(
    image: np.ndarray, labels: np.ndarray, statistics: RegionStatistics
) -> np.ndarray:
    """The signs of each region, float64 (R, S), in the order of `SIGNS`.

    Args:
        image: uint8 (H, W, 3).
        labels: its label map (H, W), 0..R-1.
        statistics: of the same.
    """
    flat, count = labels.ravel().astype(np.intp), int(labels.max()) + 1
    areas = np.bincount(flat, minlength=count)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(flat, values.ravel(), count) / areas

    def percentiles(values: np.ndarray, *fractions: float) -> list[np.ndarray]:
        """Of uint8 (H, W), one (R,) for each share."""
        cumulated = _histogram(values, flat, count).cumsum(axis=1)
        return [np.argmax(cumulated >= fraction * areas[:, None], axis=1) for fraction in fractions]

    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    chroma = np.hypot(lab[..., 1].astype(np.float32) - 128, lab[..., 2].astype(np.float32) - 128)
    darkest, dark, light, lightest = (
        found * (100 / 255) for found in percentiles(lab[..., 0], 0.01, 0.05, 0.95, 0.99)
    )
    median, high_chroma = percentiles(chroma.astype(np.uint8), 0.5, 0.95)
    low, high = image.min(axis=2), image.max(axis=2)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    curvature = mean(np.abs(cv2.Laplacian(grey, cv2.CV_32F)))
    smooth = mean(_slope(cv2.GaussianBlur(grey, (0, 0), 2)))
    even, nearly_even, side = _steps(image, labels, count)
    found = {
        "noise": np.log(statistics.noise + 0.3),
        "blur": statistics.blur,
        "blocks": np.log(statistics.blockiness),
        "blocks_4": np.log(_blocks(grey, labels, count, 4)),
        "blocks_8": np.log(_blocks(grey, labels, count, BLOCK)),
        "lightness": statistics.lightness,
        "contrast": np.log(statistics.contrast + 0.5),
        "darkest": darkest,
        "dark": dark,
        "light": light,
        "lightest": lightest,
        "whites": np.sqrt(mean(low >= 250)),
        "blacks": np.sqrt(mean(high <= 4)),
        "clipped_high": np.sqrt(mean(high >= 254)),
        "clipped_low": np.sqrt(mean(low <= 1)),
        "clipped_color": np.sqrt(mean((low <= 1) & (high >= 60))),
        "chroma": np.log(statistics.chroma + 1),
        "median_chroma": np.log(median + 1),
        "high_chroma": np.log(high_chroma + 1),
        "chroma_over_contrast": np.log((median + 1) / (statistics.contrast + 1)),
        "side": np.log(side),
        "pixelated": (side > 1).astype(float),
        **_values(image, flat, count),
        "even": np.sqrt(even),
        "nearly_even": np.sqrt(nearly_even),
        "curvature": np.log(curvature + 0.3),
        "gradient": np.log(mean(_slope(grey)) + 0.3),
        "smooth_gradient": np.log(smooth + 0.3),
        "sharpness": np.log((curvature + 0.3) / (smooth + 0.3)),
    }
    return np.stack([found[name] for name in FEATURES], axis=1)


def _histogram(values: np.ndarray, flat: np.ndarray, count: int) -> np.ndarray:
    """How often each region has each value of uint8 (H, W): int64 (R, 256)."""
    both = flat * 256 + values.ravel()
    return np.bincount(both, minlength=256 * count).reshape(count, 256)


def _slope(grey: np.ndarray) -> np.ndarray:
    return cv2.magnitude(difference(grey, 1, 0), difference(grey, 0, 1))


def _blocks(grey: np.ndarray, labels: np.ndarray, count: int, side: int) -> np.ndarray:
    """Step at the borders of blocks over steps elsewhere, both ways: (R,); 1 is none."""
    sums = np.zeros((2, count))
    for steps, ids in (
        (np.abs(np.diff(grey, axis=1)), labels[:, 1:]),
        (np.abs(np.diff(grey, axis=0)).T, labels[1:].T),
    ):
        steps = np.minimum(steps, 20)  # larger ones are the picture's own edges
        border = np.arange(1, steps.shape[1] + 1) % side == 0
        for i, chosen in enumerate((border, ~border)):
            flat = ids[:, chosen].ravel().astype(np.intp)
            total = np.bincount(flat, steps[:, chosen].ravel(), count)
            sums[i] += (total + 40) / (np.bincount(flat, minlength=count) + 20)
    return (sums[0] + 0.4) / (sums[1] + 0.4)


def _steps(
    image: np.ndarray, labels: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of neighbours that are equal, and nearly so; side of the blocks that all steps border.

    Each (R,); a side of 1 where there are no such blocks. The border of a region, where it may be
    blended with others, is left out.
    """
    wide = labels.astype(np.float32)
    inner = (cv2.erode(wide, KERNEL) == labels) & (cv2.dilate(wide, KERNEL) == labels)
    pixels = image.astype(np.int16)
    equal, near, total = np.zeros(count), np.zeros(count), np.zeros(count)
    aligned = np.ones((len(SIDES), count))
    for steps, ids, inside in (
        (np.abs(np.diff(pixels, axis=1)).sum(axis=2), labels[:, 1:], inner[:, 1:] & inner[:, :-1]),
        (np.abs(np.diff(pixels, axis=0)).sum(axis=2).T, labels[1:].T, (inner[1:] & inner[:-1]).T),
    ):
        width = steps.shape[1]
        place = np.broadcast_to(np.arange(width), steps.shape)[inside]
        ids, size = ids[inside].astype(np.intp), steps[inside]
        total += np.bincount(ids, minlength=count)
        equal += np.bincount(ids, size == 0, count)
        near += np.bincount(ids, size <= 3, count)
        by_place = np.bincount(ids * width + place, size, count * width).reshape(count, width)
        every = np.maximum(by_place.sum(axis=1), 1)
        for i, side in enumerate(SIDES):
            most = np.max([by_place[:, start::side].sum(axis=1) for start in range(side)], axis=0)
            aligned[i] = np.minimum(aligned[i], most / every)
    total = np.maximum(total, 1)
    sides = np.array(SIDES)[:, None] * (aligned >= ALIGNED)
    return equal / total, near / total, np.maximum(sides.max(axis=0), 1)


def _values(image: np.ndarray, flat: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """How few values a region's pixels have: medians over the channels, each (R,)."""
    found = []
    for channel in range(3):
        times = _histogram(image[..., channel], flat, count).astype(float)
        fraction = times / times.sum(axis=1, keepdims=True)
        used = fraction > RARE
        number = used.sum(axis=1)
        gap = [
            float(np.median(np.diff(np.flatnonzero(row)))) if n > 1 else 0.0
            for row, n in zip(used, number, strict=True)
        ]
        ordered = np.sort(fraction, axis=1)
        found.append((number, gap, ordered[:, -1], ordered[:, -16:].sum(axis=1)))
    number, gap, commonest, sixteen = np.median(np.array(found), axis=0)
    return {
        "values": np.log(number + 1),
        "gap": np.log(gap + 0.5),
        "commonest": np.sqrt(commonest),
        "commonest_16": sixteen,
    }
