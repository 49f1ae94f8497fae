"""Loading of image files as upright 8-bit sRGB; every other module gets its pixels from here."""

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rsfiqa.errors import ImageError, InputError, first_line
from rsfiqa.images.resize import fit_labels, reduce

# Formats that are decoded, whatever the suffix: formats of photographs, and none that Pillow hands
# to an external program (EPS).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 178_956_970  # Pillow refuses more as a decompression bomb; above half it warns
HUGE = 24_000_000  # pixels; larger images are reduced while they are loaded, to save memory
BAND = 1 << 20  # pixels that are converted at a time then
BACKGROUND = (255, 255, 255)  # under transparent pixels; white, as in a browser
ORIENTATION = 0x0112  # EXIF tag
TRANSPOSED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
# Set once for the process: `warnings.catch_warnings` around each open is not thread-safe.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class LoadedImage:
    """An image and what the file says about it.

    Attributes:
        pixels: uint8 (h, w, 3), upright sRGB.
        size: width and height in pixels of the upright image in the file; larger than those of
            `pixels` if the image was reduced while it was loaded.
        converted: loading did more than decode: it applied the EXIF orientation, scaled to 8 bits,
            converted from another color mode, blended with white, or took one frame of several.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    converted: bool


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


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of the upright image (after EXIF), from the header alone.

    Raises:
        ImageError: no such file, empty, not an image, or more than 178 megapixels.
    """
    with _open(path) as image:
        if image.format == "TIFF":  # the only format whose size Pillow gives upright
            return image.size
        return _upright_size(image.size, _orientation(image))


def _upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return size[::-1] if orientation in TRANSPOSED else size


def _orientation(image: Image.Image) -> int:
    try:
        orientation: int = image.getexif().get(ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError):
        return 1
    return orientation


def load_rgb(path: Path) -> np.ndarray:
    """The upright image as 8-bit sRGB: uint8, shape (H, W, 3).

    Of an animation it is the first frame. 16-bit grey is scaled, not clipped; transparent pixels
    are blended with white. An image of more than 24 megapixels is reduced by the smallest integer
    factor that brings it below: by block averages, for JPEG in part by the decoder, which divides
    by powers of two.

    Raises:
        ImageError: as `read_size`, or damaged pixel data, such as a truncated JPEG.
    """
    return load_image(path).pixels


def load_image(path: Path) -> LoadedImage:
    """The pixels as of `load_rgb`, with the size in the file and whether they were converted.

    Raises:
        ImageError: as `load_rgb`.
    """
    with _open(path) as image:
        size = image.size
        _draft(image)
        return replace(from_pil(image), size=_upright_size(size, _orientation(image)))


def decoded_pixels(path: Path) -> int:
    """Number of pixels that are in memory at once, at 4 bytes each, while an image is loaded.

    Raises:
        ImageError: as `read_size`.
    """
    with _open(path) as image:
        _draft(image)
        return image.width * image.height


def _draft(image: Image.Image) -> None:
    """Let the decoder reduce a huge JPEG to a half, a quarter or an eighth of its size."""
    if (factor := _factor(image)) > 1:
        image.draft(None, (image.width // factor, image.height // factor))


def from_pil(image: Image.Image) -> LoadedImage:
    """As `load_image`, for an image that Pillow has opened.

    Raises:
        ImageError: damaged pixel data.
    """
    size, mode = image.size, image.mode
    pixels = rgb_from_pil(image)  # first, since it refuses damaged data
    orientation = _orientation(image)  # 1 for a TIFF, which Pillow has turned by now
    has_more_frames = getattr(image, "n_frames", 1) > 1
    converted = mode not in ("RGB", "L") or orientation != 1 or has_more_frames
    return LoadedImage(pixels, _upright_size(size, orientation), converted)


def rgb_from_pil(image: Image.Image) -> np.ndarray:
    """As `load_rgb`, for an image that Pillow has opened.

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
    """The smallest integer by which both sides are divided for at most `HUGE` pixels."""
    return math.ceil(math.sqrt(image.width * image.height / HUGE))


def _reduced(image: Image.Image, factor: int) -> np.ndarray:
    """The upright image, each pixel the mean of a block of `factor` squared: uint8 (h, w, 3).

    It is computed in bands of rows, which avoids a converted copy of the whole image. Incomplete
    blocks at the right and the bottom are dropped.
    """
    width, height = image.width // factor, image.height // factor
    rows = max(1, BAND // (image.width * factor))
    reduced = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = image.crop((0, top * factor, width * factor, bottom * factor))
        size = (width, bottom - top)
        reduced[top:bottom] = cv2.resize(_to_rgb(band), size, interpolation=cv2.INTER_AREA)
    if (orientation := _orientation(image)) == 1:
        return reduced
    small = Image.fromarray(reduced)
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
        background = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        image = Image.alpha_composite(background, image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


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
