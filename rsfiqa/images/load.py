"""The only door through which pixels enter: upright 8-bit sRGB, or a stated reason why not."""

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rsfiqa.errors import ImageError, first_line
from rsfiqa.images.resize import fit_labels, reduce

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm"})


# What a file may hold, whatever its name says: no format that an outside program would read (EPS),
# and none that photographs do not come in.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")


MAX_PIXELS = 178_956_970  # Pillow refuses more as a decompression bomb; above half it warns


HUGE = 24_000_000  # pixels; larger images are reduced while they are read, for memory's sake


BAND = 1 << 20  # pixels that are converted at a time then


BACKGROUND = (255, 255, 255)  # transparent parts are shown on white, as a browser shows them


Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2


# Once and for all: `warnings.catch_warnings` around each open is not safe in threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


ROTATED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height


ORIENTATION = 0x0112


def _open(path: Path) -> Image.Image:
    try:
        if not path.is_file():
            raise ImageError("no such file")
        if path.stat().st_size == 0:
            raise ImageError("empty file (0 bytes)")
        return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError("not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"more than {MAX_PIXELS // 1_000_000} megapixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"unreadable header ({first_line(error)})") from error


@dataclass(frozen=True)
class Picture:
    """One image as it was read.

    Attributes:
        pixels: uint8 (h, w, 3), upright sRGB.
        size: width and height in pixels of the upright image as it is stored; more than those of
            `pixels` where it is huge.
        converted: more was done than to decode it: turned, scaled to 8 bits, laid on white, one
            frame of several taken.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    converted: bool


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of the upright image (after EXIF), from the header alone.

    Raises:
        ImageError: missing, empty, not an image, or more than 178 megapixels.
    """
    with _open(path) as image:
        if image.format == "TIFF":  # Pillow gives the upright size of this format alone
            return image.size
        return _turned(image.size, _orientation(image))


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return size[::-1] if orientation in ROTATED else size


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError):
        return 1


def read_rgb(path: Path) -> np.ndarray:
    """The upright image as 8-bit sRGB: uint8, shape (H, W, 3).

    The first frame of an animation; 16-bit grey is scaled, not clipped; transparent parts lie on
    white. An image of more than 24 megapixels is reduced by the least whole factor that brings it
    to that: by averages of square blocks, or, as far as a power of two goes, by the decoder of
    JPEG.

    Raises:
        ImageError: as `read_size`, or damaged pixel data (a JPEG cut short, say).
    """
    return read(path).pixels


def read(path: Path) -> Picture:
    """As `read_rgb`, with what is to be known of the file.

    Raises:
        ImageError: as `read_rgb`.
    """
    with _open(path) as image:
        size = image.size
        _draft(image)
        return replace(picture_of(image), size=_turned(size, _orientation(image)))


def decoded_pixels(path: Path) -> int:
    """How many pixels are in memory at once while an image is read, 4 bytes each.

    Raises:
        ImageError: as `read_size`.
    """
    with _open(path) as image:
        _draft(image)
        return image.width * image.height


def _draft(image: Image.Image) -> None:
    """Have a JPEG that is huge decoded at a half, a quarter or an eighth of its size."""
    if (factor := _factor(image)) > 1:
        image.draft(None, (image.width // factor, image.height // factor))


def picture_of(image: Image.Image) -> Picture:
    """As `read`, of an image that Pillow has opened.

    Raises:
        ImageError: damaged pixel data.
    """
    size, mode = image.size, image.mode
    pixels = rgb_of(image)  # which refuses what is damaged
    orientation = _orientation(image)  # Pillow has turned a TIFF already
    several = getattr(image, "n_frames", 1) > 1
    converted = mode not in ("RGB", "L") or orientation != 1 or several
    return Picture(pixels, _turned(size, orientation), converted)


def rgb_of(image: Image.Image) -> np.ndarray:
    """As `read_rgb`, of an image that Pillow has opened.

    Raises:
        ImageError: damaged pixel data.
    """
    try:
        image.load()
        if (factor := _factor(image)) > 1:
            return _reduced(image, factor)
        upright = image if _orientation(image) == 1 else ImageOps.exif_transpose(image)
    except Exception as error:  # damaged files also raise TypeError, struct.error, KeyError
        raise ImageError(f"damaged or cut short ({first_line(error)})") from error
    return _to_rgb(upright)


def _factor(image: Image.Image) -> int:
    """By which both sides are to be divided for the image to have no more than `HUGE` pixels."""
    return math.ceil(math.sqrt(image.width * image.height / HUGE))


def _reduced(image: Image.Image, factor: int) -> np.ndarray:
    """The upright image, each pixel the mean of `factor` by `factor`: uint8 (h, w, 3).

    Band by band, so that no whole copy is made; the last rows and columns that fill no block are
    left out.
    """
    width, height = image.width // factor, image.height // factor
    rows = max(1, BAND // (image.width * factor))
    found = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        below = min(top + rows, height)
        band = image.crop((0, top * factor, width * factor, below * factor))
        size = (width, below - top)
        found[top:below] = cv2.resize(_to_rgb(band), size, interpolation=cv2.INTER_AREA)
    if (orientation := _orientation(image)) == 1:
        return found
    small = Image.fromarray(found)
    small.getexif()[ORIENTATION] = orientation
    return np.array(ImageOps.exif_transpose(small))


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        grey = np.nan_to_num(np.asarray(image, np.float32))
        if image.mode != "F":
            grey = grey / 257.0  # 65535 / 255
        return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        below = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        image = Image.alpha_composite(below, image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def read_with_labels(
    path: Path, labels: np.ndarray, long_side: int
) -> tuple[np.ndarray, np.ndarray]:
    """An image uint8 (H, W, 3) and its label map (H, W) at the image's size.

    Args:
        path: of the image.
        labels: its label map.
        long_side: the image is reduced to it, but not below the label map: no region vanishes.

    Raises:
        ImageError: as `read_rgb`.
    """
    image = reduce(read_rgb(path), max(long_side, *labels.shape))
    return image, fit_labels(labels, image.shape[:2])
