"""What a region shows, in plain words: lightness, hue, texture and position."""

import numpy as np

from rsfiqa.captioners.rule_based.statistics import RegionStatistics
from rsfiqa.label_runs import LabelRuns

HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
HUE_ENDS = (45, 75, 105, 170, 220, 290, 325, 345)  # degrees in the CIELAB a-b plane
TONES, TEXTURES = ("dark", "mid-tone", "bright"), ("smooth", "textured", "busy")
TONE_ENDS = (30, 65)  # CIELAB L
TEXTURE_ENDS = (5, 12)  # standard deviation of CIELAB L
GREY_CHROMA = 6  # of the mean color; less has no hue
POSITIONS = np.array(
    [
        ["top left", "top", "top right"],
        ["left", "center", "right"],
        ["bottom left", "bottom", "bottom right"],
    ]
)


def describe(statistics: RegionStatistics) -> list[str]:
    """Lightness, hue and texture of each of R regions as words."""
    return [
        f"{TONES[tone]} {_hue(*color)} {TEXTURES[texture]} area"
        for tone, texture, color in zip(
            np.digitize(statistics.lightness, TONE_ENDS),
            np.digitize(statistics.contrast, TEXTURE_ENDS),
            zip(statistics.a, statistics.b, strict=True),
            strict=True,
        )
    ]


def _hue(a: float, b: float) -> str:
    if np.hypot(a, b) < GREY_CHROMA:
        return "grey"
    degrees = np.degrees(np.arctan2(b, a)) % 360
    return HUES[int(np.digitize(degrees, HUE_ENDS)) % len(HUES)]


def positions_of(labels: np.ndarray, runs: LabelRuns | None = None) -> list[str]:
    """Position of each region's centroid in thirds of the image, and its percentage of the area.

    Args:
        labels: label map, (H, W), 0..R-1.
        runs: of it, if they are known.
    """
    runs = runs or LabelRuns(labels)
    x, y = (runs.centroids / labels.shape[::-1]).T
    thirds = np.digitize(y, (1 / 3, 2 / 3)), np.digitize(x, (1 / 3, 2 / 3))
    percentages = np.rint(100 * runs.areas / labels.size).astype(int)
    return [
        f"{position}, {max(percentage, 1)} % of the image"
        for position, percentage in zip(POSITIONS[thirds], percentages, strict=True)
    ]
