"""What the reader of a layout returns for one image, before any image is opened."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rsfiqa.errors import InputError

if TYPE_CHECKING:
    from rsfiqa.products.statements import Statement


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of a data set.

    Attributes:
        image_id: path relative to the data set, POSIX, NFC; see `image_id_of`.
        path: absolute path where the file should be.
        group: reference, prompt or scene; no split divides a group.
        location: where the entry was read, for messages, such as `scores.csv line 12`.
        mos: opinion score in the data set's own units and direction.
        mos_std: standard deviation of the opinions, in the same units.
        distortion: name of the distortion, if the data set has one per image.
        severity: of the distortion, 1 (faint) upwards; 0 for a pristine image.
        subset: part of the official split, such as `train` or `test`.
        statements: what people said is wrong with it, if the data set has such statements.
    """

    image_id: str
    path: Path
    group: str
    location: str
    mos: float | None = None
    mos_std: float | None = None
    distortion: str | None = None
    severity: int | None = None
    subset: str | None = None
    statements: "tuple[Statement, ...]" = ()


def inside(folder: Path, text: str, location: str) -> Path:
    """An image's path, relative to the folder of images.

    Only the text is checked: symbolic links may lead elsewhere.

    Args:
        folder: of the images.
        text: the path that a table gives, relative to the folder.
        location: where it was read, for messages.

    Raises:
        InputError: it is empty or leaves the folder.
    """
    path = Path(os.path.normpath(folder / text))
    if path == folder or not path.is_relative_to(folder):
        raise InputError(
            f"{location}: the image's path must stay inside {folder}, found '{text}'; move or link"
            " the images there"
        )
    return path.relative_to(folder)
