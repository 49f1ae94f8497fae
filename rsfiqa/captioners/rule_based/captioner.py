"""Captions without a language model: signs mapped to distortions, ratings and a sentence."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from rsfiqa.captioners.rule_based.features import region_features
from rsfiqa.captioners.rule_based.statistics import RegionStatistics, region_statistics
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS, SEVERITY_WORDS

# a rating sees these families
FAMILIES_OF = {
    "color": (
        *("overexposure", "underexposure", "contrast_high", "contrast_low"),
        *("saturation_high", "saturation_low"),
    ),
    "noise": ("noise",),
    "artifact": ("compression", "oversharpening", "pixelation", "quantization"),
    "blur": ("blur",),
}


NONE = "none"  # beside the families


LIKELY = 0.4  # probability of a second distortion that is named


FALL = 0.8  # of a rating, for a level: from excellent to bad in five levels


HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")


HUE_ENDS = (45, 75, 105, 170, 220, 290, 325, 345)  # degrees in the CIELAB a-b plane


MENTIONED = 2  # distortions named in the sentence, the worst ones


def caption(image: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """One row of the captions' schema per region, without image_id.

    Args:
        image: uint8, sRGB, shape (H, W, 3).
        labels: the image's label map, shape (H, W), 0..R-1.
    """
    statistics = region_statistics(image, labels)
    found = recognise(region_features(image, labels, statistics))
    ratings = rate(found)
    places = _places(labels)
    return [
        _row(region, _content(statistics, region), places[region], found.named(region), ratings)
        for region in range(len(places))
    ]


@dataclass(frozen=True)
class Recognised:
    """What the signs say of each region.

    Attributes:
        none: probability that it has no distortion, float64 (R,).
        likely: probability of each family as its main distortion, float64 (R, F).
        severity: level that each family would have, float64 (R, F) in [1, 5].
    """

    none: np.ndarray
    likely: np.ndarray
    severity: np.ndarray

    def named(self, region: int) -> list[tuple[str, int]]:
        """Families and levels of a region, the worst first: the likeliest, and what is `LIKELY`."""
        likely = self.likely[region]
        if self.none[region] >= likely.max():
            return []
        severities = np.rint(self.severity[region]).astype(int)
        chosen = [i for i in range(len(likely)) if likely[i] >= min(LIKELY, likely.max())]
        chosen.sort(key=lambda i: (-severities[i], -likely[i]))
        return [(list(FAMILIES)[i], int(severities[i])) for i in chosen]


def recognise(found: np.ndarray) -> Recognised:
    """What signs float64 (R, S) say: multinomial logistic regression, and a line for each level."""
    learnt = _learnt()
    standard = (found - learnt["mean"]) / learnt["scale"]
    families = [name for name in FAMILIES if name in learnt["family"]]
    likely = softmax(_lines(standard, learnt["family"], (NONE, *families)), axis=1)
    severity = np.clip(_lines(standard, learnt["severity"], families), 1, 5)
    return Recognised(likely[:, 0], likely[:, 1:], severity)


def _lines(
    standard: np.ndarray, weights: dict[str, list[float]], names: Sequence[str]
) -> np.ndarray:
    """Weighted sums of standardised signs (R, S), one for each name: float64 (R, len(names))."""
    each = np.array([weights[name] for name in names])
    return standard @ each[:, :-1].T + each[:, -1]


@cache
def _learnt() -> dict[str, Any]:
    """Weights that benchmarks/calibrate.py has written."""
    return json.loads((Path(__file__).parent / "weights.json").read_text("utf-8"))


def rate(found: Recognised) -> dict[str, np.ndarray]:
    """Ratings in [1, 5], continuous: float64 (R,) for each of `captions.RATINGS`.

    A rating falls with the expected level of its families; overall lies midway between the mean
    and the worst rating, since observers judge by what disturbs them most.
    """
    expected = found.likely * found.severity
    ratings = {}
    for name, families in FAMILIES_OF.items():
        severity = expected[:, [list(FAMILIES).index(family) for family in families]].sum(axis=1)
        ratings[name] = np.clip(5 - FALL * severity, 1, 5)
    parts = np.stack(list(ratings.values()))
    return ratings | {"overall": (parts.mean(axis=0) + parts.min(axis=0)) / 2}


def _row(
    region: int,
    content: str,
    place: str,
    distortions: list[tuple[str, int]],
    ratings: dict[str, np.ndarray],
) -> dict[str, Any]:
    words = {name: int(np.rint(ratings[name][region])) for name in RATINGS}
    named = [f"{SEVERITY_WORDS[s]} {f.replace('_', ' ')}" for f, s in distortions[:MENTIONED]]
    problems = ", ".join(named) or "no distortion"
    return {
        "region": region,
        "content": f"{content}, {place}",
        **words,
        **{f"{name}_expected": float(ratings[name][region]) for name in RATINGS},
        "text": f"A {content} with {problems}. Overall {ITU_LEVELS[words['overall'] - 1]}.",
        "distortions": [{"family": f, "severity": s} for f, s in distortions],
        "raw": None,
        "status": "ok",
    }


def _content(statistics: RegionStatistics, region: int) -> str:
    light = ("dark", "mid-tone", "bright")[int(np.digitize(statistics.lightness[region], (30, 65)))]
    rough = ("smooth", "textured", "busy")[int(np.digitize(statistics.contrast[region], (5, 12)))]
    return f"{light} {_hue(statistics, region)} {rough} area"


def _hue(statistics: RegionStatistics, region: int) -> str:
    a, b = statistics.a[region], statistics.b[region]
    if np.hypot(a, b) < 6:
        return "grey"
    degrees = np.degrees(np.arctan2(b, a)) % 360
    return HUES[int(np.digitize(degrees, HUE_ENDS)) % len(HUES)]


def _places(labels: np.ndarray) -> list[str]:
    """Where each region's centroid lies, in thirds of the image, and its share of the image."""
    flat, (height, width) = labels.ravel(), labels.shape
    areas = np.bincount(flat)
    rows, columns = np.divmod(np.arange(labels.size), width)
    y = np.bincount(flat, rows) / areas / height
    x = np.bincount(flat, columns) / areas / width
    down, across = np.digitize(y, (1 / 3, 2 / 3)), np.digitize(x, (1 / 3, 2 / 3))
    names = np.array(
        [
            ["top left", "top", "top right"],
            ["left", "center", "right"],
            ["bottom left", "bottom", "bottom right"],
        ]
    )
    fractions = np.rint(100 * areas / labels.size).astype(int)
    places = zip(names[down, across], fractions, strict=True)
    return [f"{place}, {max(fraction, 1)} % of the image" for place, fraction in places]
