"""Thumbnails of pictures, as data URIs in a page or as files beside it."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import cv2

from rsfiqa.errors import ImageError
from rsfiqa.images import load
from rsfiqa.images.resize import reduce
from rsfiqa.io.atomic import atomic

# Long side in pixels and JPEG quality, tried in turn until a thumbnail is small enough.
SETTINGS = ((256, 82), (256, 70), (256, 50), (192, 50), (128, 50))
LARGEST = 19_000  # bytes; a thousand of them take 25 MB in base64
AHEAD = 64  # files that are read before their turn

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Thumbnail:
    """A small copy of a picture.

    Attributes:
        source: data URI, or the file's path below the folder of thumbnails.
        size: width and height of the picture, pixels.
    """

    source: str
    size: tuple[int, int]


def embedded(paths: Iterable[Path]) -> Iterator[Thumbnail | None]:
    """Thumbnails as data URIs; None for a file that cannot be read."""
    return _in_order(_embedded, paths)


def files(
    folder: Path, paths: Iterable[Path], reused: Callable[[str], bool]
) -> Iterator[Thumbnail | None]:
    """Thumbnails as files; None for a picture that cannot be read.

    A file is named by the path, size and time of its picture, so that the next run finds it.

    Args:
        folder: of the thumbnails.
        paths: of the pictures.
        reused: whether a file of this name, below the folder, exists.
    """
    return _in_order(lambda path: _written(folder, path, reused), paths)


def _embedded(path: Path) -> Thumbnail | None:
    try:
        data, size = encode(path)
    except ImageError:
        return None
    return Thumbnail(f"data:image/jpeg;base64,{base64.b64encode(data).decode()}", size)


def _written(folder: Path, path: Path, reused: Callable[[str], bool]) -> Thumbnail | None:
    try:
        name = name_of(path)
        if reused(name):
            return Thumbnail(name, load.read_size(path))
        data, size = encode(path)
    except (ImageError, OSError):
        return None
    with atomic(folder / name) as partial:
        partial.write_bytes(data)
    return Thumbnail(name, size)


def name_of(path: Path) -> str:
    """The file of a picture's thumbnail, in one of 256 folders.

    Raises:
        OSError: no such picture.
    """
    state = path.stat()
    identity = b"\0".join(
        [os.fsencode(path), str(state.st_size).encode(), str(state.st_mtime_ns).encode()]
    )
    digest = hashlib.sha256(identity).hexdigest()
    return f"{digest[:2]}/{digest[2:18]}.jpg"


def encode(path: Path) -> tuple[bytes, tuple[int, int]]:
    """A picture as a small JPEG, and its width and height in pixels.

    Raises:
        ImageError: it cannot be read.
    """
    image = load.load_reduced(path, SETTINGS[0][0])
    for side, quality in SETTINGS:
        pixels = reduce(image.pixels, side)[..., ::-1]
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) <= LARGEST:
            break
    return data.tobytes(), image.size


def _in_order(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The results of a function, computed by threads a few items ahead."""
    iterator = iter(items)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = [pool.submit(function, item) for item in islice(iterator, AHEAD)]
        while pending:
            yield pending.pop(0).result()
            pending += [pool.submit(function, item) for item in islice(iterator, 1)]
