"""Conversion of pixels to upright 8-bit sRGB, whatever their mode, depth and color profile."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageCms

from rsfiqa.errors import ImageError
from rsfiqa.images import profiles

HUGE = 24_000_000  # pixels; larger images are reduced while they are converted, to save memory
BAND = 1 << 20  # pixels that are converted at a time
BACKGROUND = (255, 255, 255)  # under transparent pixels; white, as in a browser
ORIENTATION = 0x0112  # EXIF tag
TRANSPOSED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Values of white. The lowest that is not exceeded is meant, because a container of 16 bits says
# nothing: cameras and scanners store 12 bits in it, and some programs 8. By another reading, no
# pixel of such a picture would be brighter than 1/16.
INTEGER_WHITE = (255.0, 1023.0, 4095.0, 65535.0, 2.0**31 - 1, 2.0**32 - 1)
FLOAT_WHITE = (1.0, 255.0, 65535.0)
OVERSHOOT = 1.5  # factor by which floating-point values may exceed white, after resampling


@dataclass(frozen=True)
class Converted:
    """Pixels, and what was done to get them.

    Attributes:
        pixels: uint8 (h, w, 3), upright sRGB.
        changed: more was done than to reduce: another mode, depth, orientation or profile.
        broken_profile: the embedded color profile could not be used.
    """

    pixels: np.ndarray
    changed: bool
    broken_profile: bool


def reduction(size: tuple[int, int]) -> int:
    """The smallest integer by which both sides are divided for at most `HUGE` pixels."""
    return math.ceil(math.sqrt(size[0] * size[1] / HUGE))


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height after an EXIF orientation is applied."""
    return size[::-1] if orientation in TRANSPOSED else size


def convert(image: Image.Image, orientation: int) -> Converted:
    """An image of Pillow as upright 8-bit sRGB.

    More than 8 bits are scaled by the value of white (see `INTEGER_WHITE`), transparent pixels are
    blended with white, an embedded profile is applied, `orientation` is that of EXIF. An image of
    more than `HUGE` pixels is reduced by the smallest integer factor that brings it below: each
    pixel is the mean of a block.

    Raises:
        ImageError: a mode or values that cannot be scaled.
    """
    image.load()
    to_rgb, is_plain, broken = _steps(image)
    factor = reduction(image.size)
    pixels = _reduced(image, factor, to_rgb) if factor > 1 else np.array(to_rgb(image))
    if orientation in UPRIGHT:
        pixels = np.array(Image.fromarray(pixels).transpose(UPRIGHT[orientation]))
    return Converted(pixels, not is_plain or orientation in UPRIGHT, broken)


def _reduced(
    image: Image.Image, factor: int, to_rgb: Callable[[Image.Image], Image.Image]
) -> np.ndarray:
    """Means of blocks of `factor` squared pixels: uint8 (h, w, 3).

    They are computed in bands of rows, which avoids a converted copy of the whole image. Incomplete
    blocks at the right and the bottom are dropped.
    """
    width, height = image.width // factor, image.height // factor
    if not width or not height:
        raise ImageError(f"{image.width} x {image.height} pixels: too long and narrow")
    rows = max(1, BAND // (image.width * factor))
    reduced = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = to_rgb(image.crop((0, top * factor, width * factor, bottom * factor)))
        size = (width, bottom - top)
        reduced[top:bottom] = cv2.resize(np.asarray(band), size, interpolation=cv2.INTER_AREA)
    return reduced


def _steps(image: Image.Image) -> tuple[Callable[[Image.Image], Image.Image], bool, bool]:
    """What makes RGB of bands of an image; whether it only copies; whether the profile is broken.

    `image` is loaded. All that depends on the whole image is determined here.
    """
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    white = _white(image) if deep else 0.0
    transparent = not deep and image.has_transparency_data
    transform, source, broken = _transform(image, deep)

    def to_rgb(band: Image.Image) -> Image.Image:
        if deep:
            band = _to_8_bits(band, white)
        elif transparent:
            return _on_white(band, transform, source)
        return _opaque(band, transform, source)

    plain = image.mode in ("RGB", "L") and not transparent and transform is None
    return to_rgb, plain, broken


def _transform(
    image: Image.Image, deep: bool
) -> tuple[ImageCms.ImageCmsTransform | None, str, bool]:
    """The transform to sRGB or None, the mode that it takes, and whether the profile is broken."""
    if image.mode == "LAB":
        return profiles.lab_to_srgb(), "LAB", False
    grey = deep or image.mode in ("1", "L", "LA", "La")
    candidates = ["CMYK"] if image.mode == "CMYK" else ["L", "RGB"] if grey else ["RGB"]
    if not (profile := image.info.get("icc_profile")):
        return None, "RGB", False
    for mode in candidates:  # grey pictures often carry a profile for RGB
        try:
            return profiles.transform_to_srgb(profile, mode), mode, False
        except profiles.BrokenProfileError:
            continue
    return None, "RGB", True


def _opaque(
    image: Image.Image, transform: ImageCms.ImageCmsTransform | None, source: str
) -> Image.Image:
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    if source == "L" and image.mode == "1":
        image = image.convert("L")
    image = image if image.mode == source else image.convert(source)
    return ImageCms.applyTransform(image, transform)  # type: ignore[return-value]


def _on_white(
    image: Image.Image, transform: ImageCms.ImageCmsTransform | None, source: str
) -> Image.Image:
    if image.mode in ("La", "RGBa"):  # premultiplied
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    blended = image.convert("RGBA")
    if transform is not None:
        color = _opaque(blended.convert("RGB"), transform, source)
        blended = Image.merge("RGBA", (*color.split(), blended.getchannel("A")))
    background = Image.new("RGBA", image.size, (*BACKGROUND, 255))
    return Image.alpha_composite(background, blended).convert("RGB")


def _to_8_bits(image: Image.Image, white: float) -> Image.Image:
    return Image.fromarray(_scaled(np.asarray(image), white))


def _white(image: Image.Image) -> float:
    """The value of white in an image of more than 8 bits."""
    rows = max(1, BAND // image.width)
    brightest = 0.0
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        brightest = max(brightest, _brightest(np.asarray(band)))
    return _white_of(brightest, is_float=image.mode == "F")


def _scaled(values: np.ndarray, white: float) -> np.ndarray:
    """Values as uint8, those above white as 255, those below 0 and no numbers as 0."""
    scaled = np.nan_to_num(values.astype(np.float32), posinf=white, neginf=0) * (255 / white)
    pixels: np.ndarray = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return pixels


def _brightest(values: np.ndarray) -> float:
    """The largest finite value of an array; 0 if there is none above."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return float(values.max(initial=0))


def _white_of(brightest: float, *, is_float: bool) -> float:
    """The value of white of pixels whose largest value is `brightest`.

    Raises:
        ImageError: no range of pixels goes so far.
    """
    for white in FLOAT_WHITE if is_float else INTEGER_WHITE:
        if brightest <= white * (OVERSHOOT if is_float else 1):
            return white
    raise ImageError(f"pixels must lie in [0, 1], [0, 255] or [0, 65535], found {brightest:g}")
