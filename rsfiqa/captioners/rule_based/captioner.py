"""The rule-based captioner: regressions on hand-crafted features, ratings and a sentence."""

import numpy as np

from rsfiqa.captioners.by_image import ImageCaptioner, caption_row
from rsfiqa.captioners.content import describe, positions_of
from rsfiqa.captioners.rule_based.features import pixel_features
from rsfiqa.captioners.rule_based.regression import Prediction, predict
from rsfiqa.captioners.rule_based.statistics import region_statistics
from rsfiqa.products.captions import CaptionRow
from rsfiqa.vocabulary import FAMILIES, RATINGS, rating_at


class RuleBasedCaptioner(ImageCaptioner):
    """Captions of regions from hand-crafted features; see `Captioner`."""

    def caption(self, image: np.ndarray, labels: np.ndarray) -> list[CaptionRow]:
        """As `Captioner.caption`."""
        return caption(image, labels)


def caption(image: np.ndarray, labels: np.ndarray) -> list[CaptionRow]:
    """The captions of all regions of an image, in the order of their numbers.

    Args:
        image: sRGB, uint8 (H, W, 3).
        labels: label map of the image, (H, W), 0..R-1.
    """
    statistics = region_statistics(image, labels)
    contents = describe(statistics)
    prediction = predict(pixel_features(image, labels, statistics))
    ratings, positions = rate(prediction), positions_of(labels)
    return [
        caption_row(
            region,
            contents[region],
            positions[region],
            prediction.distortions(region),
            {name: float(values[region]) for name, values in ratings.items()},
        )
        for region in range(len(positions))
    ]


def rate(prediction: Prediction) -> dict[str, np.ndarray]:
    """Continuous ratings in [1, 5], float64 (R,) for each of `RATINGS`.

    A rating falls with the expected severity of the families that it describes. The overall rating
    is midway between the mean and the lowest of the others, since observers rate by what disturbs
    them most.
    """
    expected = prediction.probabilities * prediction.severities
    ratings = {}
    for rating in RATINGS:
        if rating != "overall":
            families = [
                column
                for column, family in enumerate(prediction.families)
                if FAMILIES[family].rating == rating
            ]
            ratings[rating] = np.clip(rating_at(expected[:, families].sum(axis=1)), 1, 5)
    others = np.stack(list(ratings.values()))
    return ratings | {"overall": (others.mean(axis=0) + others.min(axis=0)) / 2}
