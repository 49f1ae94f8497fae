"""A region that the user gives, by a box or a mask, whose quality is asked for."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import border, opening
from rsfiqa.io.checksum import sha256_of
from rsfiqa.segmenters.partition import number_by_area

SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".jpg", ".jpeg")  # of masks
HALF = 0.5  # of a pixel that must be inside, and of a mask's brightest pixel
KEPT = 8  # masks in memory: one for all pictures, or those of the pictures in turn


@dataclass(frozen=True)
class GivenBox:
    """A box, the same in each picture.

    Attributes:
        sides: x0, y0, x1, y1 in pixels of the upright picture, x1 and y1 exclusive; or, if none is
            above 1, in fractions of its width and height.
    """

    sides: tuple[float, float, float, float]

    @classmethod
    def of(cls, sides: Sequence[float] | str, subject: str) -> "GivenBox":
        """The box with these sides.

        Args:
            sides: see the attribute; or the same as text, with commas between them.
            subject: what messages call it.

        Raises:
            InputError: not four numbers in order.
        """
        try:
            numbers = sides.split(",") if isinstance(sides, str) else sides
            x0, y0, x1, y1 = map(float, numbers)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{subject}: must be four numbers x0,y0,x1,y1, found {sides!r}; change it"
            ) from error
        found = cls((x0, y0, x1, y1))
        if not (0 <= x0 < x1 < np.inf and 0 <= y0 < y1 < np.inf):
            raise InputError(
                f"{subject}: must be x0,y0,x1,y1 with 0 <= x0 < x1 and 0 <= y0 < y1, found"
                f" {found}; change it"
            )
        return found

    def __str__(self) -> str:
        return ",".join(f"{side:g}" for side in self.sides)

    def key(self, path: str) -> str:  # noqa: ARG002 - it is the same for all
        """What a row records of the region in a picture."""
        return f"box {self}"

    def mask(self, path: str, size: tuple[int, int]) -> np.ndarray:  # noqa: ARG002
        """The pixels inside: bool (H, W).

        Args:
            path: of the picture.
            size: its width and height in pixels, upright.

        Raises:
            ImageError: the box exceeds the picture, or holds no pixel of it.
        """
        scale = np.tile(size, 2) if max(self.sides) <= 1 else 1
        x0, y0, x1, y1 = np.rint(np.multiply(self.sides, scale)).astype(int)
        if x1 > size[0] or y1 > size[1] or x0 == x1 or y0 == y1:
            raise ImageError(
                f"the box {self} must lie in the picture and hold a pixel of it, found a picture of"
                f" {size[0]}x{size[1]}"
            )
        mask = np.zeros(size[::-1], bool)
        mask[y0:y1, x0:x1] = True
        return mask


@dataclass(frozen=True)
class GivenMasks:
    """A mask for all pictures, or a folder of one for each.

    Attributes:
        place: image file, or folder of masks that have the pictures' names, whatever their suffix.

    Raises:
        InputError: there is no such file or folder.
    """

    place: Path

    def __post_init__(self) -> None:
        if not self.place.exists():
            raise InputError(
                f"--mask: must be a file or a folder, found none at {self.place}; correct the path"
            )

    def key(self, path: str) -> str:
        """What a row records of the region in a picture; of a missing mask, that alone."""
        try:
            return f"mask {_digest(self._file(path))}"
        except (ImageError, OSError):
            return "mask"

    def mask(self, path: str, size: tuple[int, int]) -> np.ndarray:
        """The pixels inside: bool (H, W).

        Args:
            path: of the picture.
            size: its width and height in pixels, upright.

        Raises:
            ImageError: no mask, one that cannot be read, is black or has another size.
        """
        file = self._file(path)
        mask = read_mask(file)
        if mask.shape != size[::-1]:
            height, width = mask.shape
            raise ImageError(
                f"the mask {file} must have the size of the picture, {size[0]}x{size[1]}, found"
                f" {width}x{height}"
            )
        return mask

    def _file(self, path: str) -> Path:
        """The mask of a picture: the longest end of its path that a file of the folder has.

        Raises:
            ImageError: there is none.
        """
        if self.place.is_file():
            return self.place
        own = Path(path).absolute()
        for start in range(1, len(own.parts)):
            below = self.place.joinpath(*own.parts[start:])
            names = [below.name + SUFFIXES[0], *(below.stem + suffix for suffix in SUFFIXES)]
            for name in names:
                if (file := below.with_name(name)).is_file() and file.absolute() != own:
                    return file
        raise ImageError(f"no mask of this name in {self.place}")


Inside = GivenBox | GivenMasks


def given_box(box: Sequence[float] | None, mask: object) -> GivenBox:
    """The box of a caller in Python; the whole image if there is none but a mask.

    Raises:
        InputError: both, or not four numbers in order.
    """
    if box is not None and mask is not None:
        raise InputError("box: must be given without mask, found both; leave one out")
    return GivenBox.of((0.0, 0.0, 1.0, 1.0) if box is None else box, "box")


def check_mask(mask: np.ndarray | str | os.PathLike[str], size: tuple[int, int]) -> np.ndarray:
    """The mask of a caller in Python: bool (H, W).

    Args:
        mask: any type that is not 0 inside; or the path of a mask, see `read_mask`.
        size: width and height of the image, upright.

    Raises:
        ImageError: a file that cannot be read.
        InputError: another shape, or nothing inside.
    """
    if isinstance(mask, str | os.PathLike):
        mask = read_mask(Path(mask))
    values = np.asarray(mask)
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise InputError("mask: must be numbers or bool, found NaN; write 0 outside")
    pixels = values != 0
    if pixels.shape != size[::-1]:
        raise InputError(
            f"mask: must be an array (H, W) in the shape of the image, {size[::-1]}, found"
            f" {pixels.shape}; resize it"
        )
    if not pixels.any():
        raise InputError("mask: must have a pixel that is not 0, found none; draw one")
    found_mask: np.ndarray = pixels
    return found_mask


def given(box: Sequence[float] | str | None, mask: Path | None) -> Inside | None:
    """The region that options name; None for the whole picture.

    Raises:
        InputError: both, or a wrong one.
    """
    if box is not None and mask is not None:
        raise InputError("--box: must be given without --mask, found both; leave one out")
    if box is not None:
        return GivenBox.of(box, "--box")
    return None if mask is None else GivenMasks(mask)


def _digest(file: Path) -> str:
    found = file.stat()
    return _cached_digest(file, found.st_size, found.st_mtime_ns)


@lru_cache(KEPT)
def _cached_digest(file: Path, *_: int) -> str:
    return sha256_of(file)[:12]


def read_mask(file: Path) -> np.ndarray:
    """The pixels inside a mask: bool (H, W).

    Those are inside that are brighter than half of the brightest pixel; of an image with
    transparency, those that are more opaque than transparent; of one with a palette, all but its
    first color. So masks of 0 and 1 serve as well as those of 0 and 255.

    Raises:
        ImageError: it cannot be read, or nothing is inside.
    """
    try:
        found = file.stat()
    except OSError as error:
        raise ImageError(f"the mask {file} cannot be read ({error.strerror})") from error
    return _cached_mask(file, found.st_size, found.st_mtime_ns)


@lru_cache(KEPT)
def _cached_mask(file: Path, *_: int) -> np.ndarray:
    """As `read_mask`, of a file of this size and time."""
    try:
        with opening.opened(file) as found, opening.decoding():
            values = _values(ImageOps.exif_transpose(found.image))
    except ImageError as error:
        raise ImageError(f"the mask {file} cannot be read ({error})") from error
    mask: np.ndarray = values > HALF * values.max()
    if not mask.any():
        raise ImageError(f"the mask {file} must have a pixel that is not black, found none")
    return mask


def _values(image: Image.Image) -> np.ndarray:
    """How much each pixel is inside: (H, W), 0 for not at all."""
    if image.mode == "P" and "transparency" not in image.info:
        return np.asarray(image) > 0
    if image.mode == "P":
        image = image.convert("RGBA")
    if image.mode in ("LA", "RGBA", "PA"):
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() < alpha.max():
            return alpha
    is_single = len(image.getbands()) == 1
    return np.asarray(image if is_single else image.convert("L"))


def kind_of(key: str | None) -> str:
    """What the rows of one table have in common: the box, or that they are of masks."""
    if key is None:
        return "whole pictures"
    return "regions by --mask" if key.startswith("mask") else f"regions by --{key}"


def with_region(
    labels: np.ndarray, mask: np.ndarray, shape: tuple[int, int], box: border.Box
) -> tuple[np.ndarray, int | None]:
    """A label map in which the given pixels are a region, and the number of that region.

    The other regions keep the rest of their pixels; those that are covered are gone. Pixels that
    are all of the image are no region of it: its regions stay, and the number is None.

    Args:
        labels: label map (h, w) of the image without its border.
        mask: bool (H, W), of the upright picture.
        shape: height and width of the pixels that were read.
        box: of the content among them.

    Raises:
        ImageError: no pixel of the label map is inside, for a region that is too small or lies in
            the border.
    """
    pixels = cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    content = np.ascontiguousarray(border.crop(pixels, box))
    inside = cv2.resize(content, labels.shape[::-1], interpolation=cv2.INTER_AREA) >= HALF
    if not inside.any():
        raise ImageError(
            "the given region is too small, or lies in the border, which is not scored"
        )
    if inside.all():
        return labels, None
    numbered = number_by_area(np.where(inside, labels.max() + 1, labels.astype(np.int32)))
    return numbered.astype(labels.dtype), int(numbered[inside][0])
