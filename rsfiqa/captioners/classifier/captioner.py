"""The captioner of the network that perceives distortions: families, ratings and a sentence."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.by_image import PENALTY, ImageCaptioner, caption_row
from rsfiqa.captioners.classifier.network import Perceived, Perception
from rsfiqa.captioners.classifier.weights import packaged
from rsfiqa.captioners.content import describe, positions_of
from rsfiqa.captioners.rule_based.statistics import RegionStatistics, region_statistics
from rsfiqa.io.json_files import read_json
from rsfiqa.products.captions import CaptionRow, Distortion
from rsfiqa.vocabulary import RATINGS, REALISTIC_FAMILIES, SEVERITIES

# Probability from which each family is named; written by recipes.thresholds.
THRESHOLDS = Path(__file__).with_name("thresholds.json")
# Where quality is low, the family that costs most is named from this share of its threshold.
SUSPECTED, LOW = 0.5, 0.5


class ClassifierCaptioner(ImageCaptioner):
    """Captions of regions from the packaged perception; see `Captioner`."""

    def __init__(self, options: CaptionOptions, *, log: Path) -> None:
        super().__init__(options, log=log)
        self.perception: Perception = packaged()

    @property
    def model_digests(self) -> Mapping[str, str]:
        """SHA-256 of the perception's weights."""
        return {"perception": self.perception.backbone.sha256}

    @property
    def backbone_sha256(self) -> str:
        """As `Captioner.backbone_sha256`."""
        return self.perception.backbone.sha256

    def caption(self, image: np.ndarray, labels: np.ndarray) -> list[CaptionRow]:
        """As `Captioner.caption`."""
        with torch.autocast("cpu", enabled=False):
            return self._caption(image, labels, None)

    def caption_maps(
        self, image: np.ndarray, labels: np.ndarray, maps: Sequence[Tensor]
    ) -> list[CaptionRow]:
        """As `Captioner.caption_maps`."""
        return self._caption(image, labels, maps)

    def _caption(
        self, image: np.ndarray, labels: np.ndarray, maps: Sequence[Tensor] | None
    ) -> list[CaptionRow]:
        statistics = region_statistics(image, labels)
        perceived = self.perception.perceive(image, labels, maps=maps, statistics=statistics)
        return rows_of(labels, statistics, perceived)


def rows_of(
    labels: np.ndarray, statistics: RegionStatistics, perceived: Perceived
) -> list[CaptionRow]:
    """The captions of all regions of an image, in the order of their numbers.

    Args:
        labels: label map of the image, (H, W), 0..R-1.
        statistics: of the regions.
        perceived: of the regions.
    """
    contents, positions = describe(statistics), positions_of(labels)
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
        name: np.clip(5 - PENALTY * expected[:, [each == name for each in of]].sum(1), 1, 5)
        for name in RATINGS
    }
    return ratings | {"overall": np.clip(1 + 4 * perceived.quality, 1, 5)}


@cache
def thresholds() -> Mapping[str, float]:
    """The probability from which each family is named, by its name."""
    return {name: float(value) for name, value in read_json(THRESHOLDS).items()}


def named(perceived: Perceived, region: int) -> list[Distortion]:
    """The distortions of a region that are named, the one that costs most first."""
    probability, cost = perceived.probability[region], perceived.cost[region]
    known = thresholds()
    least = np.array([known[family] for family in perceived.families])
    order = np.argsort(-cost, kind="stable")
    found = [family for family in order if probability[family] >= least[family]]
    if not found and perceived.quality[region] < LOW:
        found = [i for i in order[:1] if probability[i] >= SUSPECTED * least[i]]
    severities = np.clip(np.rint(perceived.severity[region]), SEVERITIES[0], SEVERITIES[-1])
    return [Distortion(family=perceived.families[i], severity=int(severities[i])) for i in found]
