"""Which of the distortions that captions name a score tells, so that they explain it."""

from collections.abc import Sequence

import numpy as np

from rsfiqa.products.captions import Distortion
from rsfiqa.scale import itu_level
from rsfiqa.vocabulary import EXCELLENT, FAMILIES, RATINGS, REALISTIC_FAMILIES, UNGRADED

# Highest severity that is told beside a level, which a higher one would contradict; of what is
# excellent, nothing is told.
MOST_SEVERE = {"bad": 5, "poor": 5, "fair": 5, "good": 2, "excellent": 0}
# How much of its rating a distortion must take to be told, by the quality of the region: in a poor
# one something is wrong, and the likeliest cause is told.
POOR, GOOD = 0.4, 0.6
POOR_LOSS, GOOD_LOSS = 0.5, 1.4
# Half of what the region loses and half of what the image loses count, so that a picture has one
# reason wherever its worst region lies, and most of what the region loses at least, so that what it
# alone has is told.
CONTEXT, OWN = 0.5, 0.8


def told(
    named: Sequence[Sequence[Distortion]],
    ratings: np.ndarray,
    quality: np.ndarray,
    areas: np.ndarray,
) -> list[list[Distortion]]:
    """The distortions that are told of each region, in their order, with lower severities.

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
    counts = np.maximum(loss + CONTEXT * (mean - loss), OWN * loss)
    least = np.interp(quality, (POOR, GOOD), (POOR_LOSS, GOOD_LOSS))
    return [
        explaining(
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


def explaining(distortions: Sequence[Distortion], level: str) -> list[Distortion]:
    """The distortions as they are told in a region of this overall level, with lower severities.

    Args:
        distortions: of the region.
        level: of `ITU_LEVELS`.
    """
    most = MOST_SEVERE[level]
    return [{**one, "severity": min(one["severity"], most)} for one in distortions] if most else []


def _rating_of(family: str) -> int:
    """Number of the rating that a family lowers, in `RATINGS`."""
    known = FAMILIES if family in FAMILIES else REALISTIC_FAMILIES
    return RATINGS.index(known[family].rating)
