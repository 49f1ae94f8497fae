"""Features of a frozen backbone, computed once for all trainings, in safetensors.

image_id  uint8, line-separated, sorted
cells     (N, 2, C, G, G)  float16, mean and standard deviation of each channel in each cell
mirrored  (N, 2, C, G, G)  float16, likewise of the mirrored image, each cell in its place
distorted (N, 2, C, G, G)  float16, likewise of a distorted copy of the image
channels  (S,)             int64, channels of each of the S stages, C in all

The copies, for training, are (0, 2, C, G, G) where they were not wanted.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsfiqa.errors import ImageError
from rsfiqa.io import arrays
from rsfiqa.io.provenance import Provenance

VERSION = 5


VIEWS = ("grid_features", "mirrored", "distorted")


@dataclass(frozen=True)
class Features:
    """Cells of the images in order.

    Attributes:
        image_ids: N of them.
        grid_features: float16 (N, 2, C, G, G); C = sum of `channels`.
        mirrored: likewise of the mirrored images, each cell in its place; or (0, 2, C, G, G).
        distorted: likewise of distorted copies of the images; or (0, 2, C, G, G).
        channels: of each stage of the backbone.
    """

    image_ids: list[str]
    grid_features: np.ndarray
    mirrored: np.ndarray
    distorted: np.ndarray
    channels: tuple[int, ...]


def write(path: Path, features: Features, provenance: Provenance) -> None:
    """Write the features of one shard."""
    content = {
        "image_id": arrays.encode_strings(features.image_ids),
        **{name: getattr(features, name).astype(np.float16) for name in VIEWS},
        "channels": np.array(features.channels, np.int64),
    }
    arrays.write(path, content, provenance)


def read(path: Path) -> tuple[Features, Provenance]:
    """The features of one shard.

    Raises:
        InputError: missing, damaged or another schema.
    """
    content, provenance = arrays.read(path, "features", VERSION)
    features = Features(
        image_ids=arrays.decode_strings(content["image_id"]),
        **{name: content[name] for name in VIEWS},
        channels=tuple(int(count) for count in content["channels"]),
    )
    return features, provenance


def half(grid_features: np.ndarray) -> np.ndarray:
    """Features as they are kept: float16, of the same shape.

    Raises:
        ImageError: one is no number, or too large for it.
    """
    largest = np.finfo(np.float16).max
    if not (np.abs(grid_features) <= largest).all():
        raise ImageError(
            f"features must lie within float16 ({largest:g}), found {np.abs(grid_features).max():g}"
        )
    return grid_features.astype(np.float16)
