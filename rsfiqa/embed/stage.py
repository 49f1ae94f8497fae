"""Captions to vectors."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsfiqa.embed.options import EmbedOptions
from rsfiqa.products import captions, embeddings
from rsfiqa.runtime import shards
from rsfiqa.runtime.shards import Shard

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
from rsfiqa.encoders.sentence_transformer import encode, encoder_folder, load, weights_of


def run(
    folder: Path, options: EmbedOptions, *, max_failed_fraction: float, only: tuple[str, ...] = ()
) -> None:
    """Write the embeddings of all shards of a data set's folder, or of those named."""
    source = encoder_folder(options.encoder)
    encoder: list[SentenceTransformer] = []  # loaded once, and only if a shard is to be done

    def make(shard: Shard) -> embeddings.Embeddings:
        if not encoder:
            encoder.append(load(source, options))
        return embed_shard(shard, encoder[0], options.batch_size)

    shards.run(
        "embed",
        folder,
        schema=embeddings.VERSION,
        options=options.recorded(),
        make=make,
        write=embeddings.write,
        inputs={"captions": "caption"},
        models=weights_of(source),
        shards=only,
        max_failed_fraction=max_failed_fraction,
    )


def embed_shard(
    shard: Shard, encoder: "SentenceTransformer", batch_size: int
) -> embeddings.Embeddings:
    """The vectors of a shard's captions; equal texts are embedded once."""
    table, _ = captions.read(shard.path_of("caption"))
    texts = table["text"].to_pylist()
    unique = sorted(set(texts))
    shard.counts |= {"captions": len(texts), "unique": len(unique)}
    if not unique:  # no image of the shard could be read
        nothing = np.zeros((0, encoder.get_embedding_dimension() or 0), np.float16)
        return embeddings.Embeddings([], np.zeros(1, np.int64), nothing, truncated=0)
    vectors = encode(encoder, unique, batch_size)
    rows = {text: row for row, text in enumerate(unique)}
    image_ids, counts = np.unique(table["image_id"].to_numpy().astype(str), return_counts=True)
    limit = encoder.max_seq_length
    lengths = encoder.tokenizer(unique, padding=False, truncation=False)["input_ids"]
    long = {text for text, tokens in zip(unique, lengths, strict=True) if len(tokens) > limit}
    return embeddings.Embeddings(
        image_ids=[str(image_id) for image_id in image_ids],
        offsets=np.cumsum([0, *counts]),
        # a failed caption has no text, and its vector says nothing
        vectors=vectors[[rows[text] for text in texts]] * (np.array(texts) != "")[:, None],
        truncated=sum(text in long for text in texts),
    )
