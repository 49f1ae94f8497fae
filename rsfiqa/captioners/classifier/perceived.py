"""What the classifier perceives in regions, and the captions made of it."""

from dataclasses import dataclass

import numpy as np

from rsfiqa.captioners.by_image import caption_row
from rsfiqa.captioners.content import describe, positions_of
from rsfiqa.captioners.rule_based.statistics import RegionStatistics
from rsfiqa.label_runs import LabelRuns
from rsfiqa.products.captions import CaptionRow, Distortion
from rsfiqa.vocabulary import RATINGS, REALISTIC_FAMILIES, SEVERITIES, rating_at

LEAST_EXPECTED = 0.5  # expected severity of a family that is named: that which rounds to faint


@dataclass(frozen=True, eq=False)
class Perceived:
    """What the network perceives in the R regions of an image.

    `quality` == intercept - `cost`.sum(1) - `unexplained`, not clipped. The intercept is
    mean + std * `head.base`, with mean and standard deviation of the opinions trained on.

    Attributes:
        families: names of the F families.
        probability: float32 (R, F), that a family is present.
        severity: float32 (R, F), of each family where it is present, 0 to about 5.
        cost: float32 (R, F), quality that each family takes away.
        unexplained: float32 (R,), quality lost that no family explains.
        quality: float32 (R,), on the scale on which opinions span [0, 1], higher is better.
    """

    families: tuple[str, ...]
    probability: np.ndarray
    severity: np.ndarray
    cost: np.ndarray
    unexplained: np.ndarray
    quality: np.ndarray


def rows_of(
    labels: np.ndarray,
    statistics: RegionStatistics,
    perceived: Perceived,
    runs: LabelRuns | None = None,
) -> list[CaptionRow]:
    """The captions of all regions of an image, in the order of their numbers.

    Args:
        labels: label map of the image, (H, W), 0..R-1.
        statistics: of the regions.
        perceived: of the regions.
        runs: of the label map, if they are known.
    """
    contents, positions = describe(statistics), positions_of(labels, runs)
    ratings = rate(perceived)
    return [
        caption_row(
            region,
            contents[region],
            positions[region],
            named(perceived, region),
            {name: float(values[region]) for name, values in ratings.items()},
        )
        for region in range(len(positions))
    ]


def rate(perceived: Perceived) -> dict[str, np.ndarray]:
    """Continuous ratings in [1, 5], float64 (R,) for each of `RATINGS`.

    A rating falls with the expected severity of the families that it describes; the overall rating
    is the quality of the region.
    """
    expected = perceived.probability * perceived.severity
    of = [REALISTIC_FAMILIES[family].rating for family in perceived.families]
    ratings = {
        name: np.clip(rating_at(expected[:, [each == name for each in of]].sum(1)), 1, 5)
        for name in RATINGS
    }
    return ratings | {"overall": np.clip(1 + 4 * perceived.quality, 1, 5)}


def named(perceived: Perceived, region: int) -> list[Distortion]:
    """The distortions of a region that are named, the one that costs most first."""
    expected = perceived.probability[region] * perceived.severity[region]
    severities = np.clip(np.rint(perceived.severity[region]), SEVERITIES[0], SEVERITIES[-1])
    return [
        Distortion(family=perceived.families[i], severity=int(severities[i]))
        for i in np.argsort(-perceived.cost[region], kind="stable")
        if expected[i] >= LEAST_EXPECTED
    ]
