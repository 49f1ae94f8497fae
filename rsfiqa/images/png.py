"""Damage of PNG files: checksums that are wrong, chunks that viewers skip, an end that is cut."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np

from rsfiqa.errors import ImageError
from rsfiqa.images.jpeg import MISSING

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BLOCK = 1 << 20  # bytes that are read at a time
# Chunks that change what is shown; the others hold text, times and further frames.
SHOWN = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"eXIf", b"IDAT")
LARGEST = 1 << 29  # bytes of pixels that are mended; more would not fit into the memory promised
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
# Passes of interlaced pixels: first column and row, steps of columns and rows.
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


class Header(NamedTuple):
    """The fields of the chunk IHDR."""

    width: int
    height: int
    depth: int
    color: int
    compression: int
    filter: int
    interlaced: int


@dataclass(frozen=True)
class Chunk:
    """A chunk of a file: its type, where its data begin, their length, whether all is there."""

    kind: bytes
    start: int
    length: int
    is_whole: bool


def check(file: BinaryIO) -> str | None:
    """Why a PNG file is damaged, or None; the file is read once, in blocks.

    Bytes after the end, text of any length and unknown chunks are no damage.
    """
    last = b""
    for chunk in _chunks(file):
        last = chunk.kind
        if not chunk.is_whole:
            return f"the chunk {_name(last)} is damaged"
    return None if last == b"IEND" else "the end chunk is missing"


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")


def _chunks(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks of a file up to its end chunk; the last one may be cut."""
    at = len(SIGNATURE)
    file.seek(at)
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        checksum, left = zlib.crc32(kind), length
        while left and (block := file.read(min(left, BLOCK))):
            checksum = zlib.crc32(block, checksum)
            left -= len(block)
        yield Chunk(kind, at + 8, length - left, file.read(4) == struct.pack(">I", checksum))
        at += 12 + length
        if kind == b"IEND" or left:
            return


def mend(file: BinaryIO) -> io.BytesIO:
    """The file as viewers read it: without chunks that they skip, and with all of its rows.

    Rows that are missing are transparent or black.

    Raises:
        ImageError: no header, or more than `MISSING` of the pixels are missing.
    """
    chunks = [chunk for chunk in _chunks(file) if chunk.kind in SHOWN]
    if not chunks or chunks[0].kind != b"IHDR" or chunks[0].length != 13:
        raise ImageError("unreadable header (PNG without IHDR)")
    mended = io.BytesIO()
    mended.write(SIGNATURE)
    for chunk in chunks:
        critical = chunk.kind[:1].isupper()
        if chunk.kind != b"IDAT" and (chunk.is_whole or critical):
            _write(mended, chunk.kind, _data(file, chunk))
    header = Header._make(struct.unpack(">IIBBBBB", _data(file, chunks[0])))
    coded = (_data(file, chunk) for chunk in chunks if chunk.kind == b"IDAT")
    _write(mended, b"IDAT", zlib.compress(_pixels(coded, header).data, 1))
    _write(mended, b"IEND", b"")
    mended.seek(0)
    return mended


def _data(file: BinaryIO, chunk: Chunk) -> bytes:
    file.seek(chunk.start)
    return file.read(chunk.length)


def _write(file: io.BytesIO, kind: bytes, data: bytes) -> None:
    checksum = zlib.crc32(kind + data)
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum))


def _pixels(coded: Iterator[bytes], header: Header) -> np.ndarray:
    """Filtered rows, uint8, of full length; zero from where the data end or are damaged."""
    bits = header.depth * CHANNELS.get(header.color, 4)
    passes = ADAM7 if header.interlaced else ((0, 0, 1, 1),)
    shapes = [
        (max(0, -(-(header.height - y) // dy)), 1 + -(-columns * bits // 8))
        for x, y, dx, dy in passes
        if (columns := max(0, -(-(header.width - x) // dx)))
    ]
    size = sum(rows * row_bytes for rows, row_bytes in shapes)
    if size > LARGEST:
        raise ImageError(f"damaged, and more than {LARGEST >> 20} MB of pixels")
    pixels = np.zeros(size, np.uint8)
    missing = 1 - _inflate(coded, pixels) / max(size, 1)
    if missing > MISSING:
        raise ImageError(f"damaged or cut short (about {missing:.0%} of the picture is missing)")
    end = 0
    for rows, row_bytes in shapes:
        filters = pixels[end : (end := end + rows * row_bytes)][::row_bytes]
        filters[filters > 4] = 0  # there are five; decoders refuse others
    return pixels


def _inflate(coded: Iterator[bytes], pixels: np.ndarray) -> int:
    """Fill an array with what can be inflated, and count the bytes."""
    inflate, filled = zlib.decompressobj(), 0
    for data in coded:
        for at in range(0, len(data), 256):  # what precedes an error within a piece is lost
            try:
                piece = inflate.decompress(data[at : at + 256], max(1, len(pixels) - filled))
            except zlib.error:
                return filled
            piece = piece[: len(pixels) - filled]
            pixels[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
            if filled == len(pixels):
                return filled
    return filled
