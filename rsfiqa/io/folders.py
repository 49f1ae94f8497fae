"""Files that stand where a path has a folder."""

from pathlib import Path

from rsfiqa.errors import InputError


def blocking_file(path: Path) -> Path | None:
    """The file among a path and its parents, beneath which nothing can be written; None if none."""
    return next((part for part in (path, *path.parents) if part.is_file()), None)


def check_folder(folder: Path) -> None:
    """Reject a folder that cannot be made because a file has its name or that of a parent.

    Raises:
        InputError: names the file.
    """
    if (found := blocking_file(folder)) is not None:
        raise InputError(f"{found}: must be a folder, found a file; give another name")
