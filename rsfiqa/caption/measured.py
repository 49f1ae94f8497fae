"""Captions without a model: measures mapped to ratings, distortions and a sentence."""

from typing import Any

import numpy as np

from rsfiqa.caption.measures import Measures, measure
from rsfiqa.captions import LEVELS, RATINGS, SEVERITY_WORDS

# The value of a measure at which severity reaches 1, 2, 3, 4, 5 (falling where low is bad): midway
# between the medians over 16 Kodak photographs distorted at five levels. Exposure, contrast and
# saturation belong to the scene as much as to the camera, so theirs begin beyond what pristine
# photographs show.
SEVERITY = {
    "noise": (3.0, 4.6, 7.6, 12.0, 18.5),  # grey levels
    "blur": (0.33, 0.45, 0.57, 0.70, 0.79),
    "compression": (1.2, 1.41, 1.58, 1.92, 2.6),  # blockiness
    "overexposure": (0.05, 0.15, 0.30, 0.50, 0.80),  # share of clipped pixels
    "underexposure": (22.0, 16.0, 11.0, 7.0, 4.0),  # mean L
    "contrast_low": (12.0, 9.0, 6.5, 4.0, 2.0),  # spread of L over the whole image
    "saturation_low": (6.0, 4.0, 2.8, 1.5, 0.5),  # mean chroma over the whole image
}
# a rating sees the worst of its families
FAMILIES_OF = {
    "color": ("overexposure", "underexposure", "contrast_low", "saturation_low"),
    "noise": ("noise",),
    "artifact": ("compression",),
    "blur": ("blur",),
}
HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
HUE_ENDS = (45, 75, 105, 170, 220, 290, 325, 345)  # degrees in the CIELAB a-b plane
MENTIONED = 2  # distortions named in the sentence, the worst ones


def caption(image: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """One row of the captions' schema per region, without image_id.

    Args:
        image: uint8, sRGB, shape (H, W, 3).
        labels: the image's label map, shape (H, W), 0..R-1.
    """
    measures = measure(image, labels)
    severities = severity(measures)
    ratings = rate(severities)
    places = _places(labels)
    return [
        _row(region, _content(measures, region), places[region], severities, ratings)
        for region in range(len(places))
    ]


def severity(measures: Measures) -> dict[str, np.ndarray]:
    """How bad each family is, continuous: float64 (R,) in [0, 5.5]; below 0.5 is none."""
    found = {
        "noise": measures.noise,
        "blur": measures.blur,
        "compression": measures.blockiness,
        "overexposure": measures.bright,
        "underexposure": measures.lightness,
        "contrast_low": np.full_like(measures.contrast, measures.image_contrast),
        "saturation_low": np.full_like(measures.chroma, measures.image_chroma),
    }
    return {family: _interpolate(found[family], SEVERITY[family]) for family in SEVERITY}


def _interpolate(values: np.ndarray, bounds: tuple[float, ...]) -> np.ndarray:
    """Severity k - 0.5 at the k-th bound, linear between them, 0 as far before the first."""
    x = np.array([2 * bounds[0] - bounds[1], *bounds, 2 * bounds[-1] - bounds[-2]])
    y = np.array([0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    sign = 1 if x[-1] > x[0] else -1
    return np.interp(sign * values, sign * x, y)


def rate(severities: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Ratings in [1, 5], continuous: float64 (R,) for each of `captions.RATINGS`.

    A rating is 5 less the worst severity of its families; overall lies midway between the mean
    and the worst rating, since observers judge by what disturbs them most.
    """
    ratings = {
        name: np.clip(5 - np.max([severities[family] for family in families], axis=0), 1, 5)
        for name, families in FAMILIES_OF.items()
    }
    parts = np.stack(list(ratings.values()))
    return ratings | {"overall": (parts.mean(axis=0) + parts.min(axis=0)) / 2}


def _row(
    region: int,
    content: str,
    place: str,
    severities: dict[str, np.ndarray],
    ratings: dict[str, np.ndarray],
) -> dict[str, Any]:
    levels = {family: int(np.rint(min(values[region], 5))) for family, values in severities.items()}
    worst = sorted((family for family in levels if levels[family]), key=lambda f: (-levels[f], f))
    words = {name: int(np.rint(ratings[name][region])) for name in RATINGS}
    named = [f"{SEVERITY_WORDS[levels[f]]} {f.replace('_', ' ')}" for f in worst[:MENTIONED]]
    problems = ", ".join(named) or "no distortion"
    return {
        "region": region,
        "content": f"{content}, {place}",
        **words,
        **{f"{name}_expected": float(ratings[name][region]) for name in RATINGS},
        "text": f"A {content} with {problems}. Overall {LEVELS[words['overall'] - 1]}.",
        "distortions": [{"family": f, "severity": levels[f]} for f in worst],
        "raw": None,
        "status": "ok",
    }


def _content(measures: Measures, region: int) -> str:
    light = ("dark", "mid-tone", "bright")[int(np.digitize(measures.lightness[region], (30, 65)))]
    rough = ("smooth", "textured", "busy")[int(np.digitize(measures.contrast[region], (5, 12)))]
    return f"{light} {_hue(measures, region)} {rough} area"


def _hue(measures: Measures, region: int) -> str:
    a, b = measures.a[region], measures.b[region]
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
    shares = np.rint(100 * areas / labels.size).astype(int)
    places = zip(names[down, across], shares, strict=True)
    return [f"{place}, {max(share, 1)} % of the image" for place, share in places]
