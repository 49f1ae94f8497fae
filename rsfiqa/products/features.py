"""Grid features of one shard from a frozen backbone, in safetensors.

image_id       uint8, separated by line feeds, sorted
grid_features  (N, 2, C, G, G)  float16, mean and standard deviation of each channel in each cell
mirrored       (N, 2, C, G, G)  float16, of the mirrored image, each cell at the place that it has
                                in the image itself
distorted      (N, 2, C, G, G)  float16, of a distorted view of the image
channels       (S,)             int64, channels of each of the S stages, C in all

The augmented views `mirrored` and `distorted` are for training; without them, they are
(0, 2, C, G, G).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsfiqa.errors import ImageError
from rsfiqa.io import arrays
from rsfiqa.io.provenance import Provenance

VERSION = 5

AUGMENTED_VIEWS = ("mirrored", "distorted")
VIEWS = ("grid_features", *AUGMENTED_VIEWS)


@dataclass(frozen=True)
class Features:
    """Grid features of N images.

    Attributes:
        image_ids: N of them, sorted.
        grid_features: float16 (N, 2, C, G, G); C = sum of `channels`.
        mirrored: float16 (N, 2, C, G, G) or (0, 2, C, G, G), of the mirrored images, each cell at
            the place that it has in the image itself.
        distorted: float16 (N, 2, C, G, G) or (0, 2, C, G, G), of a distorted view of each image.
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
        InputError: missing, damaged or of another schema.
    """
    content, provenance = arrays.read(path, "features", VERSION)
    features = Features(
        image_ids=arrays.decode_strings(content["image_id"]),
        **{name: content[name] for name in VIEWS},
        channels=tuple(int(count) for count in content["channels"]),
    )
    return features, provenance


def to_float16(grid_features: np.ndarray) -> np.ndarray:
    """Features as they are stored: float16, of the same shape.

    Raises:
        ImageError: a value is NaN or beyond the range of float16.
    """
    largest = np.finfo(np.float16).max
    if not (np.abs(grid_features) <= largest).all():
        raise ImageError(
            f"features must lie within float16 ({largest:g}), found {np.abs(grid_features).max():g}"
        )
    return grid_features.astype(np.float16)
