"""Features of a frozen backbone, computed once for all trainings, in safetensors.

image_id  uint8, line-separated, sorted
cells     (N, 2, C, G, G)  float16, mean and standard deviation of each channel in each cell
channels  (S,)             int64, channels of each of the S stages, C in all
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsfiqa import arrays
from rsfiqa.files import Provenance

VERSION = 1


@dataclass(frozen=True)
class Features:
    """Cells float16 (N, 2, C, G, G) of the images in order; C = sum of `channels`."""

    image_ids: list[str]
    cells: np.ndarray
    channels: tuple[int, ...]


def write(path: Path, features: Features, provenance: Provenance) -> None:
    """Write the features of one shard."""
    content = {
        "image_id": arrays.encode_strings(features.image_ids),
        "cells": features.cells.astype(np.float16),
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
        cells=content["cells"],
        channels=tuple(int(count) for count in content["channels"]),
    )
    return features, provenance
