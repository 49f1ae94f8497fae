"""A bare folder of pictures that are to be scored."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from rsfiqa.datasets.entry import Entry, image_id_of
from rsfiqa.errors import InputError
from rsfiqa.images.load import SUFFIXES


def read(root: Path) -> list[Entry]:
    """Every picture below a folder by its suffix, sorted; each is a group by itself.

    Hidden files and folders are left out: such are the `._name.jpg` that macOS puts beside a
    picture. Links to folders are not followed.

    Raises:
        InputError: no such folder, or one that may not be read.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; set root to the folder of pictures")
    entries = []
    for path in pictures_below(root):
        relative = path.relative_to(root)
        image_id = image_id_of(relative)
        location = ascii(relative.as_posix())  # shows Unicode forms that look alike
        entries.append(Entry(image_id=image_id, path=path, group=image_id, location=location))
    return sorted(entries, key=lambda entry: (entry.image_id, entry.path))


def pictures_below(root: Path) -> Iterator[Path]:
    """Every picture below a folder by its suffix, files of a folder before those of its folders.

    Hidden files and folders are left out, links to folders are not followed.

    Raises:
        InputError: a folder that may not be read.
    """
    for place, folders, files in os.walk(root, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path


def _refuse(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename}: the folder cannot be listed ({error.strerror}); mend its permissions"
        " or move it away"
    ) from error
