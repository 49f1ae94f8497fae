"""The captioner `classifier` in NumPy, for scoring without torch; equal to torch's to 1e-4."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from rsfiqa.architecture import CLIP
from rsfiqa.captioners.classifier.features import pixel_features
from rsfiqa.captioners.classifier.perceived import Perceived, rows_of
from rsfiqa.captioners.classifier.pooling import MIN_VARIANCE, MIN_WIDTH, pooled_masks
from rsfiqa.captioners.rule_based.statistics import (
    ImagePlanes,
    RegionStatistics,
    region_statistics,
)
from rsfiqa.errors import InputError, first_line
from rsfiqa.products.captions import CaptionRow
from rsfiqa.runtime.layers import gelu, linear, sigmoid, softplus

NETWORK, HEAD = "network.", "head."  # prefixes of tensors in the file


@dataclass(frozen=True, eq=False)
class ArrayPerception:
    """A perception of `classifier.network.Perception`, in float32.

    Attributes:
        families: names of the families.
        network: weights of the backbone by name.
        head: weights of the head by name.
    """

    families: tuple[str, ...]
    network: Mapping[str, np.ndarray]
    head: Mapping[str, np.ndarray]

    def perceive(self, features: np.ndarray) -> Perceived:
        """As `Perception.perceive`, from `region_features`."""
        head = self.head
        standardised = ((features - head["mean"]) / head["std"]).clip(-CLIP, CLIP)
        hidden = np.hstack([self._layer("shared.1", standardised), self._of_pixels(features)])
        presence, severity, residual = (
            linear(hidden, head[f"{name}.weight"], head[f"{name}.bias"])
            for name in ("presence", "severity", "residual")
        )
        probability, severity = sigmoid(presence), softplus(severity)
        cost = probability * severity * softplus(head["price"])
        unexplained = softplus(residual[:, 0])
        mean, std = head["scale"]
        quality = head["base"] - cost.sum(1) - unexplained
        return Perceived(
            families=self.families,
            probability=probability,
            severity=severity,
            cost=std * cost,
            unexplained=std * unexplained,
            quality=mean + std * quality,
        )

    def _of_pixels(self, features: np.ndarray) -> np.ndarray:
        """The hidden units of the features of the pixels, see `PerceptionHead`: float32 (R, H)."""
        edges = self.head["edges"]
        own, image = (each[:, -(len(edges) // 3) :] for each in np.split(features, 2, axis=1))
        values = np.hstack([own, image, own - image])
        width = np.diff(edges).clip(MIN_WIDTH)
        encoded = ((values[..., None] - edges[:, :-1]) / width).clip(0, 1)
        return self._layer("pixels.3", self._layer("pixels.0", encoded.reshape(len(values), -1)))

    def _layer(self, name: str, values: np.ndarray) -> np.ndarray:
        """A layer with its activation: float32 (R, H)."""
        return gelu(linear(values, self.head[f"{name}.weight"], self.head[f"{name}.bias"]))

    def caption(
        self,
        image: np.ndarray,
        labels: np.ndarray,
        maps: Sequence[np.ndarray],
        squares: Sequence[np.ndarray],
    ) -> list[CaptionRow]:
        """As `ClassifierCaptioner.caption_maps`.

        Args:
            image: sRGB, uint8 (H, W, 3).
            labels: label map of the image, uint16 (H, W), 0..R-1.
            maps: feature maps (C_s, h_s, w_s) of the image.
            squares: of their values.
        """
        planes = ImagePlanes(image, labels)
        statistics = region_statistics(image, labels, planes)
        features = region_features(maps, squares, planes, statistics)
        return rows_of(labels, statistics, self.perceive(features), planes.runs)


def read(path: Path) -> ArrayPerception:
    """Read a perception, as `classifier.weights.write` writes it.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    try:
        with safe_open(path, "np") as file:
            record = file.metadata() or {}
            state = {
                name: file.get_tensor(name).astype(np.float32)
                for name in file.keys()  # noqa: SIM118
            }
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path}: must be the weights of a perception, found none ({first_line(error)});"
            " give another file"
        ) from error
    if "families" not in record:
        raise InputError(
            f"{path}: must be the weights of a perception, found other weights; give another file"
        )
    network, head = (
        {name.removeprefix(part): v for name, v in state.items() if name.startswith(part)}
        for part in (NETWORK, HEAD)
    )
    return ArrayPerception(tuple(json.loads(record["families"])), network, head)


def region_features(
    maps: Sequence[np.ndarray],
    squares: Sequence[np.ndarray],
    planes: ImagePlanes,
    statistics: RegionStatistics,
) -> np.ndarray:
    """As `network.region_features`: float32 (R, 2 * (2 * C + S)).

    Args:
        maps: feature maps (C_s, h_s, w_s) of the image.
        squares: of their values.
        planes: of the image and its label map.
        statistics: of the regions.
    """
    labels = planes.runs.labels
    of_maps = _map_features(maps, squares, labels)
    of_pixels = pixel_features(planes.image, labels, statistics, planes).astype(np.float32)
    areas = (planes.runs.areas / labels.size).astype(np.float32)
    regions = np.hstack([of_maps[:-1], of_pixels])
    image = np.concatenate([of_maps[-1], areas @ of_pixels])
    return np.hstack([regions, np.broadcast_to(image, regions.shape)])


def _map_features(
    maps: Sequence[np.ndarray], squares: Sequence[np.ndarray], labels: np.ndarray
) -> np.ndarray:
    """As `network.label_map_features`: float32 (R + 1, 2 * C)."""
    found = []
    for values, square in zip(maps, squares, strict=True):
        fractions = pooled_masks(labels, (values.shape[1], values.shape[2]))
        weight = np.vstack([fractions, np.ones_like(fractions[:1])])
        weight /= weight.sum(axis=1, keepdims=True).clip(1e-6)
        mean, mean_square = (weight @ each.reshape(len(each), -1).T for each in (values, square))
        found += [mean, np.sqrt(np.maximum(mean_square - np.square(mean), MIN_VARIANCE))]
    return np.hstack(found)
