"""The embed stage: captions to vectors."""

from functools import cache
from pathlib import Path

import numpy as np

from rsfiqa import encoders
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders import TextEncoder
from rsfiqa.encoders.files import weight_hashes
from rsfiqa.products import captions, embeddings
from rsfiqa.runtime import shards
from rsfiqa.runtime.shards import Shard


def run(
    folder: Path,
    options: EmbedOptions,
    *,
    max_failed_fraction: float,
    only: tuple[str, ...] = (),
    replace: bool = True,
) -> None:
    """Write the embeddings of all shards of a data set.

    Args:
        folder: folder of the data set.
        options: of the stage.
        max_failed_fraction: see `failures.check_failed_fraction`.
        only: names of the shards to process; empty for all.
        replace: see `shards.run`.

    Raises:
        InputError: no such encoder; and as `shards.run`.
    """

    @cache  # loaded once, and only if a shard is not finished
    def encoder() -> TextEncoder:
        return encoders.load(options)

    def make(shard: Shard) -> embeddings.Embeddings:
        return embed_shard(shard, encoder())

    shards.run(
        "embed",
        folder,
        schema=embeddings.VERSION,
        options=options.recorded(),
        make=make,
        write=embeddings.write,
        inputs={"captions": "caption"},
        models=weight_hashes(options.encoder),
        shards=only,
        max_failed_fraction=max_failed_fraction,
        replace=replace,
    )


def embed_shard(shard: Shard, encoder: TextEncoder) -> embeddings.Embeddings:
    """The vectors of a shard's captions; equal texts are encoded once."""
    table, _ = captions.read(shard.path_of("caption"))
    texts = table["text"].to_pylist()
    unique = sorted(set(texts))
    shard.counts |= {"captions": len(texts), "unique": len(unique)}
    if not unique:  # no image of the shard could be loaded
        empty = np.zeros((0, encoder.dimension), np.float16)
        return embeddings.Embeddings([], np.zeros(1, np.int64), empty, truncated=0)
    rows = {text: row for row, text in enumerate(unique)}
    index = [rows[text] for text in texts]
    image_ids, counts = np.unique(table["image_id"].to_numpy().astype(str), return_counts=True)
    has_text = np.array(texts) != ""  # a failed caption has none; its vector is zero
    return embeddings.Embeddings(
        image_ids=[str(image_id) for image_id in image_ids],
        offsets=np.cumsum([0, *counts]),
        vectors=encoder.encode(unique)[index] * has_text[:, None],
        truncated=int(encoder.exceeds_limit(unique)[index].sum()),
    )
