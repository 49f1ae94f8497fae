"""The identity of an image in every product."""

import os
import unicodedata
from pathlib import PurePath

from rsfiqa.errors import InputError

SEPARATORS = ("\n", "\0")  # of image_ids in products: safetensors and digests, HDF5


def image_id_of(relative: PurePath) -> str:
    r"""The image_id of a path relative to its data set: POSIX, NFC.

    Bytes that are not UTF-8 are escaped, such as `\xe9`.
    """
    name = os.fsencode(relative.as_posix()).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", name)


def check_image_id(image_id: str, location: str) -> None:
    """Raise if a product cannot hold an image_id.

    Args:
        image_id: of an image.
        location: where it was read, for the message.

    Raises:
        InputError: it holds a line feed or a null character.
    """
    if any(character in image_id for character in SEPARATORS):
        raise InputError(
            f"{location}: an image's path must hold no line break and no null character, found"
            f" '{image_id}'; rename or remove the image"
        )
