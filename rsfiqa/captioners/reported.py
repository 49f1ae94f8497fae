"""Which of the distortions in the captions a score reports: those that explain it."""

from collections.abc import Sequence

import numpy as np

from rsfiqa.products.captions import Distortion
from rsfiqa.scale import itu_level
from rsfiqa.vocabulary import (
    BLACK_AND_WHITE,
    EXCELLENT,
    FAMILIES,
    HIGH_SATURATION,
    LOW_SATURATION,
    RATINGS,
    REALISTIC_FAMILIES,
    UNGRADED,
)

# Highest severity that is reported beside a level, which a higher one would contradict; an
# excellent region has no distortion.
HIGHEST_SEVERITY = {"bad": 5, "poor": 5, "fair": 5, "good": 2, "excellent": 0}
# By how much a distortion must lower its rating to be reported, by the quality of the region: in a
# poor one something is wrong, and the likeliest cause is reported.
POOR_QUALITY, GOOD_QUALITY = 0.4, 0.6
POOR_LOSS, GOOD_LOSS = 0.5, 1.4
# Half of the region's loss and half of the image's mean loss count, so that a picture has one
# reason wherever its worst region lies; at least 0.8 of the region's loss counts, so that a
# distortion of that region alone is reported.
IMAGE_FRACTION, LEAST_REGION_FRACTION = 0.5, 0.8


def reported_distortions(
    named: Sequence[Sequence[Distortion]],
    ratings: np.ndarray,
    quality: np.ndarray,
    areas: np.ndarray,
) -> list[list[Distortion]]:
    """The distortions that are reported for each region, in their order, with lower severities.

    Args:
        named: distortions of each of R regions.
        ratings: float (R, 5), in the order of `RATINGS`, in [1, 5]; NaN where a caption failed,
            which counts neither as a loss of the region nor in the mean of the image.
        quality: float (R,), predicted, on the scale on which opinions span [0, 1].
        areas: float (R,), of the regions, in any unit.
    """
    known = np.isfinite(ratings)
    loss = np.where(known, EXCELLENT - ratings, 0)
    weights = areas[:, None] * known
    mean = (weights * loss).sum(axis=0) / np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    counts = np.maximum(loss + IMAGE_FRACTION * (mean - loss), LEAST_REGION_FRACTION * loss)
    least = np.interp(quality, (POOR_QUALITY, GOOD_QUALITY), (POOR_LOSS, GOOD_LOSS))
    return [
        cap_severities(
            [
                one
                for one in own
                if one["family"] in UNGRADED
                or counts[region, _rating_of(one["family"])] >= least[region]
            ],
            itu_level(float(quality[region])),
        )
        for region, own in enumerate(named)
    ]


def cap_severities(distortions: Sequence[Distortion], level: str) -> list[Distortion]:
    """The distortions with severities that fit an overall level; none beside *excellent*.

    Args:
        distortions: of a region.
        level: of `ITU_LEVELS`.
    """
    cap = HIGHEST_SEVERITY[level]
    return [{**one, "severity": min(one["severity"], cap)} for one in distortions] if cap else []


def in_black_and_white(distortions: Sequence[Distortion]) -> list[Distortion]:
    """The distortions of a region of a picture without color: not dull, and not too colorful."""
    return [
        {**one, "family": BLACK_AND_WHITE} if one["family"] == LOW_SATURATION else one
        for one in distortions
        if one["family"] != HIGH_SATURATION
    ]


def _rating_of(family: str) -> int:
    """Number of the rating that a family lowers, in `RATINGS`."""
    known = FAMILIES if family in FAMILIES else REALISTIC_FAMILIES
    return RATINGS.index(known[family].rating)
