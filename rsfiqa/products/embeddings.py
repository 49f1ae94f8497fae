"""Caption embeddings of one shard, in safetensors.

image_id   uint8, separated by line feeds, sorted
offsets    (N + 1,)      int64, rows of image i: offsets[i]:offsets[i+1]
vectors    (total R, T)  float16, one per region; zeros where the caption failed
truncated  (1,)          int64, captions longer than the encoder's limit
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsfiqa.errors import InputError
from rsfiqa.io import arrays
from rsfiqa.io.provenance import Provenance

VERSION = 1


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of the captions of N images.

    Attributes:
        image_ids: N of them, sorted.
        offsets: int64 (N + 1,), rows of image i: offsets[i]:offsets[i+1].
        vectors: float16 (total R, T), one per region.
        truncated: captions longer than the encoder's limit.
    """

    image_ids: list[str]
    offsets: np.ndarray
    vectors: np.ndarray
    truncated: int


def write(path: Path, embeddings: Embeddings, provenance: Provenance) -> None:
    """Write the embeddings of one shard."""
    content = {
        "image_id": arrays.encode_strings(embeddings.image_ids),
        "offsets": embeddings.offsets.astype(np.int64),
        "vectors": embeddings.vectors.astype(np.float16),
        "truncated": np.array([embeddings.truncated], np.int64),
    }
    arrays.write(path, content, provenance)


def read(path: Path) -> tuple[Embeddings, Provenance]:
    """The embeddings of one shard.

    Raises:
        InputError: missing, damaged or of another schema; vectors that belong to no image.
    """
    content, provenance = arrays.read(path, "embeddings", VERSION)
    embeddings = Embeddings(
        image_ids=arrays.decode_strings(content["image_id"]),
        offsets=content["offsets"],
        vectors=content["vectors"],
        truncated=int(content["truncated"][0]),
    )
    offsets, images = embeddings.offsets, len(embeddings.image_ids)
    if len(offsets) != images + 1 or offsets[-1] != len(embeddings.vectors):
        raise InputError(
            f"{path}: 'offsets' must divide the {len(embeddings.vectors)} vectors among {images}"
            f" images, found {len(offsets)} offsets up to {offsets[-1]}; run the embed stage again"
        )
    return embeddings, provenance
