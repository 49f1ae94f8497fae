"""What every layout gives for one image, before the image itself has been looked at."""

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePath

from rsfiqa.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of a data set.

    Attributes:
        image_id: relative POSIX path, NFC.
        path: where the file should be, absolute.
        group: reference, prompt or scene; images of one group are never split apart.
        origin: where this record was read, for messages: `scores.csv line 12`.
        mos: in the data set's own units and direction.
        mos_std: standard deviation of the opinions, in the same units.
        distortion: its name, where the data set has one per image.
        level: 1 (slight) upwards; 0 for a pristine image.
        subset: official split, `train` or `test` say.
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


def image_id_of(relative: PurePath) -> str:
    r"""The identity of an image by its path: POSIX, NFC; bytes that are not UTF-8 as `\xe9`."""
    name = os.fsencode(relative.as_posix()).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", name)


def inside(folder: Path, text: str, location: str) -> Path:
    """A path given by a table, relative to the table's folder.

    Only the text is judged: symbolic links may lead elsewhere.

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
