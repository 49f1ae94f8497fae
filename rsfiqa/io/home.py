"""Paths that users give, relative to home folders."""

import os
from pathlib import Path


def expand_home(path: str | Path) -> Path:
    """The path with `~` or `~name` in front expanded, unchanged where there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of Path raises for an unknown user


def absolute_folder(text: str) -> str:
    """The absolute path of a folder that exists, however it is spelt; other text as it is."""
    folder = expand_home(text)
    return os.path.abspath(folder) if folder.is_dir() else text
