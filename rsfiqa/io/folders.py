"""Folders that cannot be made, such as those in whose place there is a file."""

import os
from pathlib import Path

from rsfiqa.errors import InputError


def blocking_file(path: Path) -> Path | None:
    """What is no folder among a path and its parents, so that nothing can be written beneath it.

    A file, a device, or a link that leads nowhere; None if there is none.
    """
    return next((part for part in (path, *path.parents) if _blocks(part)), None)


def _blocks(path: Path) -> bool:
    # not those of pathlib, which raise where a folder may not be searched
    return os.path.lexists(path) and not os.path.isdir(path)  # noqa: PTH112


def check_folder(folder: Path) -> None:
    """Reject a folder that cannot be made.

    Raises:
        InputError: something else has its name or a parent's, or one of them is too long.
    """
    if (found := blocking_file(folder)) is not None:
        raise InputError(f"{found}: {blocked(found)}")
    folder = folder.absolute()
    place = next(part for part in (folder, *folder.parents) if os.path.lexists(part))
    length = max(len(os.fsencode(part)) for part in ("", *folder.relative_to(place).parts))
    if length > (longest := os.pathconf(place, "PC_NAME_MAX")):
        raise InputError(
            f"{folder}: must have names of at most {longest} bytes, found one of {length}; give a"
            " shorter one"
        )


def blocked(found: Path) -> str:
    """What is wrong with a `blocking_file`, and the way out."""
    kind = "a file" if os.path.isfile(found) else "something else"  # noqa: PTH113
    return f"must be a folder, found {kind}; give another name"
