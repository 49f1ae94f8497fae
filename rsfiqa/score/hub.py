"""Checkpoints on the Hugging Face hub."""

import os
from pathlib import Path

from rsfiqa.encoders.files import HUB_NAME
from rsfiqa.errors import InputError, first_line
from rsfiqa.io.home import expand_home
from rsfiqa.products.paths import card_path, weights_path


def checkpoint_folder(source: str | os.PathLike[str], revision: str | None = None) -> Path:
    """The folder of a checkpoint, downloaded if `source` is a name on the hub.

    Args:
        source: folder, or owner/name of a repository.
        revision: branch, tag or commit of the repository.

    Raises:
        InputError: neither a folder nor a repository that can be reached.
    """
    folder = expand_home(os.fspath(source))
    if folder.is_dir():
        return folder
    name = os.fspath(source)
    if not HUB_NAME.fullmatch(name):
        raise InputError(
            f"{name}: must be a folder or owner/name of a repository on the hub, found neither;"
            " correct it"
        )
    from huggingface_hub import snapshot_download

    files = [path(Path()).name for path in (card_path, weights_path)]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=files))
    except (OSError, ValueError) as error:  # of the network, of the hub
        raise InputError(
            f"{name}: must be on the hub or in its cache, found neither ({first_line(error)});"
            " download it where there is a network, and give the folder"
        ) from error
