"""Caption embeddings of one shard, in safetensors.

image_id   uint8, line-separated, sorted
offsets    (N + 1,)      int64, rows of image i: offsets[i]:offsets[i+1]
vectors    (total R, D)  float16, one per region; zeros where the caption failed
truncated  (1,)          int64, captions longer than the encoder reads
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsfiqa.io import arrays
from rsfiqa.io.provenance import Provenance

VERSION = 1


@dataclass(frozen=True)
class Embeddings:
    """Vectors float16 (total R, D) of the regions of the images in order."""

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
        InputError: missing, damaged or another schema.
    """
    content, provenance = arrays.read(path, "embeddings", VERSION)
    embeddings = Embeddings(
        image_ids=arrays.decode_strings(content["image_id"]),
        offsets=content["offsets"],
        vectors=content["vectors"],
        truncated=int(content["truncated"][0]),
    )
    return embeddings, provenance
