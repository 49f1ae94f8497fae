"""Hand-crafted features of each region that the classifier is given beside those of a backbone.

They are those of the rule-based captioner, and further ones: which way colors are shifted, in the
lightest and the darkest pixels, too, where most things are gray; haze as the lowest channel
nearby; edges by direction, since motion leaves those along its path; and detail at half the size,
since noise and sharpening differ from texture by scale.
"""

from functools import reduce

import cv2
import numpy as np

from rsfiqa.captioners.rule_based import features as rule_based
from rsfiqa.captioners.rule_based.statistics import (
    ImagePlanes,
    RegionStatistics,
    difference,
    region_statistics,
)
from rsfiqa.label_runs import LabelRuns

FURTHER = (
    *("a", "b", "spread_a", "spread_b", "light_a", "light_b", "dark_a", "dark_b"),
    *("quarter", "median", "three_quarters", "haze", "haze_light", "saturation", "color_noise"),
    *("coherence", "cross", "peaked", "half_coherence", "half_cross", "half_peaked"),
    *("half_curvature", "half_gradient", "half_sharpness", "detail"),
)
FEATURES = (*rule_based.FEATURES, *FURTHER)
NEARBY = np.ones((15, 15), np.uint8)  # pixels in which haze is the lowest channel
LIGHT, DARK = 0.9, 0.1  # quantiles of lightness from which pixels are the lightest, the darkest
LEAST_ENERGY = 0.5  # of gradients, squared grey levels; below it they have no direction


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
    known = rule_based.pixel_features(image, labels, statistics, planes)
    return np.hstack([known, further_features(planes, statistics)])


def further_features(planes: ImagePlanes, statistics: RegionStatistics) -> np.ndarray:
    """Features of each region, float64 (R, len(FURTHER)), in the order of `FURTHER`.

    Args:
        planes: of the image and its label map.
        statistics: of the regions.
    """
    runs = planes.runs
    half_runs = LabelRuns(runs.labels[::2, ::2], runs.count)
    own, coarse = _edges(planes.grey, runs), _edges(_half(planes.grey), half_runs)
    features = {
        **_colors(planes, statistics),
        **_haze(planes.image, runs),
        **{name: own[name] for name in ("coherence", "cross", "peaked")},
        **{f"half_{name}": coarse[name] for name in ("coherence", "cross", "peaked")},
        "half_curvature": np.log(coarse["curvature"] + 0.3),
        "half_gradient": np.log(coarse["gradient"] + 0.3),
        "half_sharpness": np.log((coarse["curvature"] + 0.3) / (coarse["gradient"] + 0.3)),
        "detail": np.log((own["gradient"] + 0.3) / (coarse["gradient"] + 0.3)),
    }
    return np.stack([features[name] for name in FURTHER], axis=1)


def _colors(planes: ImagePlanes, statistics: RegionStatistics) -> dict[str, np.ndarray]:
    """Shift and spread of colors, and quartiles of lightness, each (R,)."""
    runs, light = planes.runs, planes.lightness
    cumulative = runs.histogram(light).cumsum(axis=1)
    levels = {
        fraction: np.argmax(cumulative >= fraction * runs.areas[:, None], axis=1)
        for fraction in (DARK, 0.25, 0.5, 0.75, LIGHT)
    }
    masks = {
        "light": light >= levels[LIGHT].astype(np.uint8)[runs.labels],
        "dark": light <= levels[DARK].astype(np.uint8)[runs.labels],
    }
    counts = {place: runs.sums(mask) for place, mask in masks.items()}
    found = {
        name: levels[fraction] * (100 / 255)
        for name, fraction in (("quarter", 0.25), ("median", 0.5), ("three_quarters", 0.75))
    }
    noise = np.zeros(light.shape, np.float32)
    for name, values in zip("ab", planes.a_b, strict=True):
        mean = getattr(statistics, name)
        found[name] = mean
        found[f"spread_{name}"] = np.sqrt(np.maximum(runs.means(values * values) - mean**2, 0))
        for place, mask in masks.items():
            found[f"{place}_{name}"] = runs.sums(values * mask) / counts[place]
        noise += np.abs(cv2.Laplacian(values, cv2.CV_32F))
    return found | {"color_noise": np.log(runs.means(noise) + 0.3)}


def _haze(image: np.ndarray, runs: LabelRuns) -> dict[str, np.ndarray]:
    """The lowest channel nearby, alone and over the light around it, and saturation, each (R,)."""
    channels = cv2.split(image)
    low = reduce(cv2.min, channels)
    high = reduce(cv2.max, channels).astype(np.float32)
    veil = runs.means(cv2.erode(low, NEARBY).astype(np.float32))
    return {
        "haze": np.sqrt(veil),
        "haze_light": veil / (runs.means(high) + 1),
        "saturation": runs.means((high - low) / np.maximum(high, 1)),
    }


def _half(grey: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels, as many as labels[::2, ::2]: float32 (ceil(H / 2), ceil(W / 2))."""
    height, width = grey.shape
    padded = np.pad(grey, ((0, height % 2), (0, width % 2)), "edge")
    means: np.ndarray = (
        padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
    ) / 4
    return means


def _edges(grey: np.ndarray, runs: LabelRuns) -> dict[str, np.ndarray]:
    """Gradients and curvature of a grey image in each region, each (R,).

    `coherence`, [0, 1], is how far gradients share one direction, `cross` how far they are
    diagonal rather than level or upright (both 0.5 in white noise, since the differences along
    rows and columns share a pixel), and `peaked` how few of them hold the energy.
    """
    areas = np.maximum(runs.areas, 1)
    x, y = difference(grey, 1, 0), difference(grey, 0, 1)
    xx, yy, xy = (runs.sums(each) / areas for each in (x * x, y * y, x * y))
    energy = xx + yy
    gradient = runs.sums(np.sqrt(x * x + y * y)) / areas
    return {
        "coherence": np.hypot(xx - yy, 2 * xy) / (energy + LEAST_ENERGY),
        "cross": 2 * xy / (energy + LEAST_ENERGY),
        "peaked": np.log((energy + LEAST_ENERGY) / (gradient * gradient + LEAST_ENERGY)),
        "gradient": gradient,
        "curvature": runs.sums(np.abs(cv2.Laplacian(grey, cv2.CV_32F))) / areas,
    }
