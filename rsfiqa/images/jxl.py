"""JPEG XL files: their size from the header, because the plug-in of Pillow decodes on opening."""

import struct
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from rsfiqa.images.convert import upright_size

CODESTREAM = b"\xff\x0a"
# ISO/IEC 18181-1, size header: bits of a side by their selector, and the ratios of width to height.
SIDE_BITS = (9, 13, 18, 30)
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class JxlImageFile(ImageFile.ImageFile):
    """A file of which Pillow knows the size; it is decoded, upright, when it is loaded."""

    format = "JXL"
    format_description = "JPEG XL"

    def _open(self) -> None:
        self._size = _size(_codestream(self.fp.read()))  # type: ignore[union-attr]
        self._mode = "RGB"  # known after decoding

    def load(self) -> Any:
        """Decode the picture."""
        if self._im is None:
            with Image.open(self.filename, formats=("JXL",)) as decoded:
                decoded.load()
                self.im, self._mode, self._size = decoded.im, decoded.mode, decoded.size
                self.info.update(decoded.info)
        return Image.Image.load(self)


def open_jxl(path: Path) -> JxlImageFile:
    """The file as an image of Pillow that is not decoded yet."""
    return JxlImageFile(str(path))


def _codestream(content: bytes) -> bytes:
    """The first bytes of the codestream, which can lie in boxes.

    Raises:
        ValueError: there is none.
    """
    if content.startswith(CODESTREAM):
        return content[:32]
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        header = 8
        if size == 1 and at + 16 <= len(content):
            (size,), header = struct.unpack_from(">Q", content, at + 8), 16
        if kind in (b"jxlc", b"jxlp"):
            start = at + header + (4 if kind == b"jxlp" else 0)  # a number of the part
            return content[start : start + 32]
        if size < header:  # 0: up to the end of the file
            break
        at += size
    raise ValueError("no codestream")


def _size(codestream: bytes) -> tuple[int, int]:
    """Width and height of the upright image."""
    if not codestream.startswith(CODESTREAM):
        raise ValueError("no codestream")
    bits = _Bits(codestream[2:])
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio:
        across, down = RATIOS[ratio - 1]
        width = height * across // down
    else:
        width = _side(bits, small)
    default = bits.take(1)
    orientation = 1 + bits.take(3) if not default and bits.take(1) else 1
    return upright_size((width, height), orientation)


def _side(bits: "_Bits", small: int) -> int:
    return 8 * (1 + bits.take(5)) if small else 1 + bits.take(SIDE_BITS[bits.take(2)])


class _Bits:
    """Bits of bytes, the lowest of each byte first."""

    def __init__(self, content: bytes) -> None:
        self.left = int.from_bytes(content, "little")

    def take(self, count: int) -> int:
        taken = self.left & ((1 << count) - 1)
        self.left >>= count
        return taken
