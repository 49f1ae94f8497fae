"""Damage of JPEG files that decoders pass over: they fill what is missing with grey, and go on."""

import re
import struct
from collections.abc import Iterator

import numpy as np
import simplejpeg

from rsfiqa.errors import ImageError, first_line

MISSING = 0.1  # largest fraction of the rows that may be missing from a picture that is used
END = b"\xff\xd9"
CUT = "Premature end of JPEG file"
# Warnings of libjpeg that mean damage; the others are about harmless header fields.
DAMAGED = ("Corrupt JPEG data", CUT, "Inconsistent progression sequence")
FILLED = 128  # grey level of blocks without data
ZEROS = re.compile(rb"\0{32,}")

SEQUENTIAL = (0xC0, 0xC1)  # frames that are coded in one pass, with Huffman tables
TABLES, SCAN = 0xC4, 0xDA
MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")  # neither stuffed bytes nor restart markers


def check(data: bytes) -> tuple[bytes, str | None]:
    """The bytes to decode, and why the picture is damaged, or None.

    Raises:
        ImageError: more than `MISSING` of the picture is missing.
    """
    warning = _warning(data)
    if warning is None:
        zeros = _zeroed(data)
        return data, f"{zeros} bytes are zeroed" if zeros else None
    if warning.startswith(CUT):
        data += END
        if (warning := _warning(data)) is None:
            return data, "the end marker is missing"
    if (missing := _missing(data)) > MISSING:
        raise ImageError(f"damaged or cut short (about {missing:.0%} of the picture is missing)")
    return data, f"about {missing:.0%} of the picture is missing" if missing else warning


def _warning(data: bytes) -> str | None:
    """What libjpeg says of damage while it decodes; None if it says nothing.

    An eighth of the size is enough: all coefficients are decoded for it.
    """
    try:
        _decode(data, strict=True)
    except Exception as error:  # also KeyError; errors that are fatal Pillow meets itself
        message = first_line(error)
        return message if message.startswith(DAMAGED) else None
    return None


def _decode(data: bytes, *, strict: bool) -> np.ndarray:
    *_, colors, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    space = "CMYK" if colors in ("CMYK", "YCCK") else "GRAY"
    pixels: np.ndarray = simplejpeg.decode_jpeg(
        data, space, min_height=1, min_width=1, min_factor=8, strict=strict
    )
    return pixels


def _missing(data: bytes) -> float:
    """Fraction of the rows, counted from the bottom, that the decoder has filled."""
    try:
        pixels = _decode(data, strict=False)
    except ValueError:  # no pixels at all
        return 1.0
    whole = (pixels != FILLED).any(axis=(1, 2)).nonzero()[0]
    return 1 - (whole[-1] + 1) / len(pixels) if len(whole) else 1.0


def _zeroed(data: bytes) -> int:
    """Number of bytes in runs of zeros that no encoder writes, as a failing disk leaves them.

    Decoders read most such runs as coefficients and fall into step again. An encoder cannot have
    written a run if zeros stand for a coefficient other than zero: a block has 63 of them.
    """
    first_symbols: dict[int, int] = {}  # by table: what the code of zeros alone means
    frame, zeros = 0, 0
    for marker, start, end in _segments(data):
        body = data[start:end]
        if 0xC0 <= marker <= 0xCF and marker not in (TABLES, 0xC8, 0xCC):
            frame = marker
        elif marker == TABLES:
            first_symbols |= _first_symbols(body)
        elif marker == SCAN and frame in SEQUENTIAL and len(body) > 2:
            tables = [selector & 15 for selector in body[2 : 1 + 2 * body[0] : 2]]
            if any(first_symbols.get(table, 0) & 15 for table in tables):
                follows = MARKER.search(data, end)
                coded = data[end : follows.start() if follows else None]
                zeros += sum(len(run) for run in ZEROS.findall(coded))
    return zeros


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, first and last offset of the body of each segment, up to the end of the picture."""
    at = 2
    while (found := MARKER.search(data, at)) and len(data) >= found.end() + 2:
        marker, start = data[found.end() - 1], found.end() + 2
        if marker == END[1]:
            return
        (length,) = struct.unpack_from(">H", data, found.end())
        at = max(found.end() + length, start)
        yield marker, start, at


def _first_symbols(body: bytes) -> dict[int, int]:
    """By AC table of a DHT segment: its first symbol, whose code consists of zeros."""
    found, at = {}, 0
    while at + 18 <= len(body):
        kind, counts = body[at], body[at + 1 : at + 17]
        if kind >> 4 == 1:
            found[kind & 15] = body[at + 17]
        at += 17 + sum(counts)
    return found
