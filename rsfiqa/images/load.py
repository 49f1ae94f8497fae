"""Loading of image files as upright 8-bit sRGB; every other module gets its pixels from here."""

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from rsfiqa.errors import ImageError, InputError
from rsfiqa.images.capture_time import capture_time
from rsfiqa.images.convert import HUGE, Converted, convert, upright_size
from rsfiqa.images.decode import decode, decoding_bytes
from rsfiqa.images.opening import decoding, has_more_frames, opened, orientation_of
from rsfiqa.images.resize import fit_labels, reduce

_one_huge = Lock()


@dataclass(frozen=True)
class LoadedImage:
    """An image and what the file says about it.

    Attributes:
        pixels: uint8 (h, w, 3), upright sRGB.
        size: width and height in pixels of the upright image in the file; larger than those of
            `pixels` if the image was reduced while it was loaded.
        converted: loading did more than decode: it applied the EXIF orientation or a color profile,
            scaled to 8 bits, converted from another color mode, blended with white, or took one
            frame of several.
        broken_profile: the embedded color profile could not be used; the pixels count as sRGB.
        damage: why the file is damaged, though nearly all of it was decoded; None if it is not.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    converted: bool
    broken_profile: bool = False
    damage: str | None = None


@dataclass(frozen=True)
class ReducedImage:
    """An image that was reduced while it was loaded.

    Attributes:
        pixels: uint8 (h, w, 3), upright sRGB.
        size: width and height in pixels of the upright image in the file.
        taken: when it was taken; see `capture_time`.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    taken: datetime | None


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of the upright image (after EXIF), from the header alone.

    Raises:
        ImageError: no such file, empty, not an image, a format that needs a package that is not
            installed, or more than 178 megapixels.
    """
    with opened(path) as file:
        return file.size


def load_rgb(path: Path) -> np.ndarray:
    """The upright image as 8-bit sRGB: uint8, shape (H, W, 3).

    Of an animation it is the first frame. More than 8 bits are scaled, not clipped; transparent
    pixels are blended with white; an embedded color profile is applied. An image of more than 24
    megapixels is reduced by the smallest integer factor that brings it below: by block averages,
    for JPEG, JPEG 2000 and camera RAW in part by the decoder, which divides by powers of two.

    Raises:
        ImageError: as `read_size`, or damaged pixel data, such as half of a JPEG.
    """
    return load_image(path).pixels


def load_image(path: Path) -> LoadedImage:
    """The pixels as of `load_rgb`, with what the file says about them.

    Raises:
        ImageError: as `load_rgb`.
    """
    with opened(path, examined=True) as file:
        converted = convert(decode(file, path), file.orientation)
        return _loaded(converted, file.size, file.is_changed, file.damage)


def load_reduced(path: Path, least: int) -> ReducedImage:
    """An image for which a smaller size will do, and the time at which it was taken.

    A JPEG is decoded at half, a quarter or an eighth of its size, with sides of `least` pixels or
    more; a damaged one, and other formats, as by `load_image`. Only one huge image is decoded at a
    time, whatever the number of threads.

    Raises:
        ImageError: as `load_rgb`.
    """
    with opened(path) as file:
        taken, size = capture_time(file.image), file.size
        with _one_huge if size[0] * size[1] > HUGE else nullcontext():
            try:
                if file.format == "JPEG":
                    file.image.draft(None, (least, least))
                    pixels = convert(file.image, file.orientation).pixels
                else:
                    pixels = convert(decode(file, path), file.orientation).pixels
            except Exception:  # cut short, perhaps, which is mended where all of it is examined
                pixels = load_rgb(path)
    return ReducedImage(pixels, size, taken)


def decoded_pixels(path: Path) -> int:
    """Memory that loading an image takes at once, in pixels of 4 bytes.

    Raises:
        ImageError: as `read_size`.
    """
    return decoding_bytes(path) // 4


def from_pil(image: Image.Image) -> LoadedImage:
    """As `load_image`, for an image that Pillow has opened or made.

    Raises:
        ImageError: damaged pixel data.
    """
    with decoding():
        image.load()  # turns a TIFF
        orientation = orientation_of(image)
        size = upright_size(image.size, orientation)
        return _loaded(convert(image, orientation), size, has_more_frames(image))


def _loaded(
    converted: Converted, size: tuple[int, int], changed: bool, damage: str | None = None
) -> LoadedImage:
    return LoadedImage(
        converted.pixels, size, changed or converted.changed, converted.broken_profile, damage
    )


def load_with_labels(
    path: Path, labels: np.ndarray, long_side: int
) -> tuple[np.ndarray, np.ndarray]:
    """An image uint8 (H, W, 3) and its label map, resized to the image's (H, W).

    Args:
        path: image file.
        labels: label map of the image, of any size.
        long_side: pixels to which the image is reduced; never below the size of the label map, so
            that every region survives.

    Raises:
        ImageError: as `load_rgb`.
    """
    image = reduce(load_rgb(path), max(long_side, *labels.shape))
    return image, fit_labels(labels, image.shape[:2])


def reload_rgb(path: str) -> np.ndarray:
    """An image uint8 (H, W, 3) that could be read when its data set was prepared.

    Raises:
        InputError: it cannot be read any more.
    """
    try:
        return load_rgb(Path(path))
    except ImageError as error:
        raise InputError(f"{path}: {error}; prepare the data set again") from error
