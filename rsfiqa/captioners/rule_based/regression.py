"""Regressions from hand-crafted features to distortion families and severities."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

import numpy as np
from scipy.special import softmax

from rsfiqa.products.captions import Distortion
from rsfiqa.vocabulary import FAMILIES, SEVERITIES

NONE = "none"  # the class without distortion, beside the families
LIKELY = 0.4  # probability from which a second distortion is named


class Weights(TypedDict):
    """Content of weights.json, which `recipes/` writes.

    mean and scale standardize the features. family and severity hold, by name of a family, one
    weight for each feature and the intercept; family has `NONE` too.
    """

    features: list[str]
    mean: list[float]
    scale: list[float]
    family: dict[str, list[float]]
    severity: dict[str, list[float]]


@dataclass(frozen=True)
class Prediction:
    """Distortions predicted for each region.

    Attributes:
        families: F families, in the order of the columns below.
        none: probability that the region has no distortion, float64 (R,).
        probabilities: of each family as the main distortion, float64 (R, F).
        severities: severity that each family would have, float64 (R, F) in [1, 5].
    """

    families: tuple[str, ...]
    none: np.ndarray
    probabilities: np.ndarray
    severities: np.ndarray

    def distortions(self, region: int) -> list[Distortion]:
        """The most likely distortion of a region and others that are `LIKELY`, by severity."""
        probabilities = self.probabilities[region]
        if self.none[region] >= probabilities.max():
            return []
        severities = np.rint(self.severities[region]).astype(int)
        threshold = min(LIKELY, probabilities.max())
        chosen = [i for i, probability in enumerate(probabilities) if probability >= threshold]
        chosen.sort(key=lambda i: (-severities[i], -probabilities[i]))
        return [Distortion(family=self.families[i], severity=int(severities[i])) for i in chosen]


def predict(features: np.ndarray) -> Prediction:
    """Multinomial logistic regression for the family, a linear regression for each severity.

    Families without weights are never predicted.

    Args:
        features: float64 (R, S), as `pixel_features` returns them.
    """
    weights = read_weights()
    families = tuple(family for family in FAMILIES if family in weights["family"])
    standardized = (features - weights["mean"]) / weights["scale"]
    classes = softmax(_linear(standardized, weights["family"], (NONE, *families)), axis=1)
    severities = _linear(standardized, weights["severity"], families)
    severities = np.clip(severities, SEVERITIES[0], SEVERITIES[-1])
    return Prediction(families, classes[:, 0], classes[:, 1:], severities)


def _linear(
    standardized: np.ndarray, weights: Mapping[str, list[float]], names: Sequence[str]
) -> np.ndarray:
    """One linear function of the features (R, S) for each name: float64 (R, len(names))."""
    table = np.array([weights[name] for name in names])
    predicted: np.ndarray = standardized @ table[:, :-1].T + table[:, -1]
    return predicted


@cache
def read_weights() -> Weights:
    """The weights that come with the package."""
    weights: Weights = json.loads((Path(__file__).parent / "weights.json").read_text("utf-8"))
    return weights
