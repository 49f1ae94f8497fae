"""Decoding of opened files within bounded memory: huge images are reduced by their decoder."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rsfiqa.images.convert import reduction
from rsfiqa.images.opening import OpenedImage, opened

# Bytes per pixel of the size that is decoded, as measured (RAW: as LibRaw allocates); for the
# others it is the 4 of Pillow's image.
BYTES_PER_PIXEL = {
    "AVIF": 10, "HEIC": 8, "JPEG2000": 16, "JXL": 8, "RAW": 16, "TIFF": 8, "WEBP": 16
}  # fmt: skip
COEFFICIENT = 2  # bytes; a progressive JPEG needs all coefficients at once


def decode(file: OpenedImage, path: Path) -> Image.Image:
    """The first frame of an opened file, decoded; a huge one can be smaller than in the file.

    JPEG, JPEG 2000 and camera RAW are reduced by their decoders to a half, JPEG also to a quarter
    or an eighth.
    """
    image = file.image
    if (factor := reduction(image.size)) == 1:
        image.load()
    elif file.format == "JPEG":
        image.draft(None, (image.width // factor, image.height // factor))
        image.load()
    elif file.format == "JPEG2000":
        return _decode_jpeg_2000(image, path)
    elif file.format == "WEBP":
        return _decode_webp(image, path)
    else:
        image.load()
    return image


def _decode_jpeg_2000(image: Image.Image, path: Path) -> Image.Image:
    """An image at half its size, or as it is if the file has no such resolution."""
    image.reduce = 1  # type: ignore[assignment,method-assign]
    try:
        image.load()
    except OSError:
        image = Image.open(io.BytesIO(path.read_bytes()), formats=("JPEG2000",))
        image.load()
    return image


def _decode_webp(image: Image.Image, path: Path) -> Image.Image:
    """An image through OpenCV, which needs a quarter of Pillow's memory for it."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[1::-1] != image.size:  # an animation, or damage
        image.load()
        return image
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    decoded = Image.fromarray(cv2.cvtColor(pixels, order, dst=pixels))
    decoded.info = image.info
    return decoded


def decoding_bytes(path: Path) -> int:
    """Number of bytes of memory that decoding an image takes, about.

    Raises:
        ImageError: as `load.read_size`.
    """
    with opened(path) as file:
        image, coefficients = file.image, 0.0
        pixels = image.width * image.height
        factor = reduction(image.size)
        if file.format == "JPEG" and image.info.get("progressive"):
            coefficients = COEFFICIENT * pixels * _samples_per_pixel(image)
        if file.format == "JPEG" and factor > 1:
            image.draft(None, (image.width // factor, image.height // factor))
            pixels = image.width * image.height
        elif file.format in ("JPEG2000", "RAW") and factor > 1:
            pixels //= 4
        return int(pixels * BYTES_PER_PIXEL.get(file.format, 4) + coefficients)


def _samples_per_pixel(image: Image.Image) -> float:
    """How many coefficients a JPEG has for each pixel: 3 in color, 1.5 with chroma at half size."""
    layers = getattr(image, "layer", [])
    areas = [across * down for _, across, down, *_ in layers]
    return sum(areas) / max(areas) if areas else 1.0
