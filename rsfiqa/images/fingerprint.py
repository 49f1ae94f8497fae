"""Fingerprints of pictures: what tells whether two of them show the same, in 1.1 kB each."""

from pathlib import Path

import cv2
import numpy as np

from rsfiqa.images.load import load_reduced
from rsfiqa.images.location import file_state
from rsfiqa.images.near_duplicates import BITS, difference_hash
from rsfiqa.products.fingerprints import Fingerprint

THUMBNAIL = 32  # pixels a side
LEAST = 96  # pixels a side at which a picture is decoded
MARGIN = 4  # pixels of a thumbnail by which two views may be shifted: an eighth of the picture
COARSE = 3.0  # standard deviation in pixels of a thumbnail of what is taken off as mere light


def fingerprint(path: str) -> Fingerprint:
    """The fingerprint of a picture.

    Raises:
        ImageError: the picture cannot be read.
    """
    state = file_state(path)  # before the file is read: if it changes meanwhile, it is outdated
    image = load_reduced(Path(path), LEAST)
    grey = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return {
        **state,
        "hash": np.packbits(difference_hash(image.pixels)).tobytes(),
        "thumbnail": thumbnail.tobytes(),
        "width": image.size[0],
        "height": image.size[1],
        "taken": image.taken.isoformat() if image.taken else None,
        "compared": None,
        "has_more": None,
    }


def unpack_hash(content: bytes) -> np.ndarray:
    """The difference hash of a fingerprint: bool (256,)."""
    return np.unpackbits(np.frombuffer(content, np.uint8), count=BITS).astype(bool)


def unpack_thumbnail(content: bytes) -> np.ndarray:
    """The grey values of a fingerprint: uint8 (32, 32)."""
    return np.frombuffer(content, np.uint8).reshape(THUMBNAIL, THUMBNAIL)


def structure(thumbnail: np.ndarray) -> np.ndarray:
    """What a thumbnail shows apart from light and horizon: float32 (32, 32).

    Smooth light is taken off, then the mean of each row and column: without that, any two sunsets
    are alike.

    Args:
        thumbnail: grey values, uint8 (32, 32).
    """
    values = thumbnail.astype(np.float32)
    fine = values - cv2.GaussianBlur(values, (0, 0), COARSE)
    rows, columns = fine.mean(axis=1, keepdims=True), fine.mean(axis=0, keepdims=True)
    result: np.ndarray = fine - rows - columns + fine.mean()
    return result


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of two structures at the best shift, in [-1, 1].

    The middle of either is looked for in the other, and the lower result counts. Brightness and
    contrast do not matter; a plain surface correlates with nothing.

    Args:
        first: float32 (32, 32), of `structure`.
        second: likewise.
    """
    found = []
    for whole, other in ((first, second), (second, first)):
        middle = other[MARGIN:-MARGIN, MARGIN:-MARGIN]
        if middle.std() < 1e-3:
            return 0.0
        found.append(cv2.matchTemplate(whole, middle, cv2.TM_CCOEFF_NORMED).max())
    return float(np.nan_to_num(min(found), posinf=0, neginf=0))
