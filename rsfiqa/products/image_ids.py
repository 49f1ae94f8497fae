"""The identity of an image in every product."""

import os
import unicodedata
from pathlib import PurePath


def image_id_of(relative: PurePath) -> str:
    r"""The image_id of a path relative to its data set: POSIX, NFC.

    Bytes that are not UTF-8 are escaped, such as `\xe9`.
    """
    name = os.fsencode(relative.as_posix()).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", name)
