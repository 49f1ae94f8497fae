"""Opening of image files by their content; whatever a decoder raises becomes an `ImageError`."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from rsfiqa.errors import ImageError, first_line
from rsfiqa.images import jpeg, jxl, png, raw
from rsfiqa.images.convert import ORIENTATION, upright_size
from rsfiqa.images.formats import EXTRA, HEAD, MAX_PIXELS, missing_package, sniff

TURNED = frozenset({"TIFF", "HEIC", "JXL", "RAW"})  # decoded upright; EXIF may still say otherwise
PILLOW_NAMES = {"HEIC": "HEIF"}  # where they differ from ours

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
# Set once for the process: `warnings.catch_warnings` around each open is not thread-safe. Pillow
# warns of large images, and of damaged metadata, none of which changes what is shown.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True)
class OpenedImage:
    """An image file whose header is read.

    Attributes:
        image: of Pillow, not decoded yet.
        format: see `formats`.
        size: width and height in pixels of the upright image in the file.
        orientation: EXIF orientation that is still to be applied, 1 for none.
        is_changed: opening did more than decode: it turned the image, or took one of several.
        damage: why the file is damaged, None if it is not or was not examined.
    """

    image: Image.Image
    format: str
    size: tuple[int, int]
    orientation: int
    is_changed: bool
    damage: str | None = None


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever is raised into an `ImageError`.

    Of damaged files Pillow and its plug-ins raise nearly every exception: OSError, SyntaxError,
    TypeError, KeyError, IndexError, OverflowError, struct.error, zlib.error, EOFError, MemoryError.
    """
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("damaged or too large (out of memory)") from error
    except Exception as error:
        raise ImageError(f"damaged or cut short ({first_line(error)})") from error


@contextmanager
def opened(path: Path, *, examined: bool = False) -> Iterator[OpenedImage]:
    """Open an image file, and close it.

    Args:
        path: of the file.
        examined: whether the whole file is searched for damage that the decoder passes over.

    Raises:
        ImageError: no such file, empty, not an image, a format that needs a package, more than 178
            megapixels, or too damaged.
    """
    name = _format(path)
    damage: str | None = None
    try:
        if name == "RAW":
            image = _checked(raw.open_raw(path))
        elif name == "JXL":
            image = _checked(jxl.open_jxl(path))
        elif name == "PNG":
            image, damage = _open_png(path, examined=examined)
        elif name == "JPEG" and examined:
            image, damage = _open_jpeg(path)
        else:
            image = _open(path, name)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"more than {MAX_PIXELS // 1_000_000} megapixels") from error
    except Exception as error:
        why = "not understood" if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise ImageError(f"unreadable header ({name}: {why})") from error
    with decoding(), image:
        orientation = orientation_of(image) if name not in TURNED else 1
        size = upright_size(image.size, orientation)
        changed = examined and (has_more_frames(image) or _is_turned(image, name))
        yield OpenedImage(image, name, size, orientation, changed, damage)


def _format(path: Path) -> str:
    """The format of a file that can be read."""
    try:
        if not path.is_file():
            raise ImageError("a folder, no picture" if path.is_dir() else "no such file")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError) as error:
        raise ImageError(f"unreadable header ({first_line(error)})") from error
    if not head:
        raise ImageError("empty file (0 bytes)")
    if (name := sniff(head)) is None:
        raise ImageError("not an image of a known format")
    if package := missing_package(name):
        raise ImageError(f"{name} needs {package}: pip install 'rsfiqa[formats]'")
    if name in EXTRA:
        _register(name)
    return name


@lru_cache(maxsize=len(EXTRA))
def _register(name: str) -> None:
    """Let Pillow open files of a format that comes with a package."""
    module = import_module(EXTRA[name][0])
    if name == "HEIC":
        module.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _open(file: Path | io.BytesIO, name: str) -> Image.Image:
    return Image.open(file, formats=(PILLOW_NAMES.get(name, name),))


def _checked(image: Image.Image) -> Image.Image:
    """The image, if it has no more pixels than Pillow would open."""
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise Image.DecompressionBombError
    return image


def _open_jpeg(path: Path) -> tuple[Image.Image, str | None]:
    """A JPEG file, and why it is damaged; it is completed where it is cut short."""
    data = path.read_bytes()
    image = _open(io.BytesIO(data), "JPEG")  # first, since it refuses too many pixels
    checked, damage = jpeg.check(data)
    return image if checked is data else _open(io.BytesIO(checked), "JPEG"), damage


def _open_png(path: Path, *, examined: bool) -> tuple[Image.Image, str | None]:
    """A PNG file, and why it is damaged; it is mended where Pillow refuses more than viewers."""
    with path.open("rb") as file:
        damage = png.check(file) if examined else None
        try:
            image = _open(path, "PNG")
        except Image.DecompressionBombError:
            raise
        except Exception:
            return _open(png.mend(file), "PNG"), damage
        try:
            if examined:
                image.load()
        except Exception:
            image.close()
            return _open(png.mend(file), "PNG"), damage
    return image, damage


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an image, 1 if it has none or its EXIF data are damaged."""
    try:
        orientation = int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # as many kinds as of damaged pixels, and no reason to refuse those
        return 1
    return orientation if orientation in range(1, 9) else 1


def _is_turned(image: Image.Image, name: str) -> bool:
    """Whether the decoder itself turns an image."""
    if name == "HEIC":
        return image.info.get("original_orientation") not in (None, 1)
    return name == "RAW" or (name == "TIFF" and orientation_of(image) != 1)


def has_more_frames(image: Image.Image) -> bool:
    """Whether a file holds further frames or pages; they are counted, not decoded.

    A file whose next frame is damaged has one.
    """
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:
        return True
