"""Formats of pictures, recognized by the first bytes of a file."""

import re
import struct
from collections.abc import Iterator
from importlib.util import find_spec

MAX_PIXELS = 178_956_970  # Pillow refuses more as a decompression bomb; above half it warns
HEAD = 4096  # bytes of a file that `sniff` needs; camera RAW is told from TIFF by its first tags

# Formats that Pillow decodes by itself. None of them is handed to an external program (EPS).
BUILT_IN = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# Formats that need a package of the extra `formats`: module and distribution.
EXTRA = {
    "HEIC": ("pillow_heif", "pillow-heif"),
    "JXL": ("pillow_jxl", "pillow-jxl-plugin"),
    "RAW": ("rawpy", "rawpy"),
}


def _suffixes(*lists: str) -> frozenset[str]:
    return frozenset(f".{suffix}" for names in lists for suffix in names.split())


# Suffixes of pictures that any installation decodes and that cannot be a heat map of this package:
# files with them count as pictures without a look into them.
PLAIN_SUFFIXES = _suffixes(
    "jpg jpeg jpe jfif mpo bmp dib webp gif ppm pgm pbm pnm pfm",
    "avif avifs jp2 j2k jpc jpf jpx j2c",
)
# Suffixes that promise a picture, by which folders are searched.
SUFFIXES = PLAIN_SUFFIXES | _suffixes(
    "png apng tif tiff heic heics heif heifs hif jxl",
    "3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mrw nef nrw orf pef raf rw2 rwl sr2 srf srw x3f",
)

MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",  # a bare codestream
    b"\0\0\0\x0cJXL \r\n\x87\n": "JXL",
    b"\xff\x0a": "JXL",  # a bare codestream
    b"FUJIFILMCCD-RAW": "RAW",  # RAF
    b"FOVb": "RAW",  # X3F
    b"\0MRM": "RAW",
    b"IIRO": "RAW",  # ORF
    b"IIRS": "RAW",
    b"MMOR": "RAW",
    b"IIU\0": "RAW",  # RW2
    b"II\x1a\0\0\0HEAPCCDR": "RAW",  # CRW
}
TIFF = re.compile(rb"II[*+]\0|MM\0[*+]|II\0\*|MM\*\0")  # the last two: swapped, but read
PPM = re.compile(rb"P[1-6](\s+\d|\s*#)|Pf\s+\d")
BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})  # sizes in bytes
AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

# Tags of the first directory of a TIFF file, and the values that only camera RAW has.
COMPRESSION, PHOTOMETRIC, SUBFILE_TYPE, SUB_IFDS, DNG_VERSION = 259, 262, 254, 330, 50706
RAW_COMPRESSION = frozenset({32767, 32769, 34713, 65000, 65535})  # Sony, Nikon, Kodak, Pentax
RAW_PHOTOMETRIC = frozenset({32803, 34892})  # color filter array, linear RAW
REDUCED = 1  # a subfile type: the first directory holds a thumbnail


def sniff(head: bytes) -> str | None:
    """The format of a picture by the first `HEAD` bytes of its file; None if it is no picture.

    It is a name in `BUILT_IN` or `EXTRA`. RAW stands for the formats of all cameras.
    """
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    if TIFF.match(head):
        return "RAW" if _is_camera_raw(head) else "TIFF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in BMP_HEADERS:
        return "BMP"
    if PPM.match(head):
        return "PPM"
    return _sniff_boxes(head)


def missing_package(name: str) -> str | None:
    """The package that has to be installed before files of a format can be read, or None."""
    module, package = EXTRA.get(name, ("", ""))
    return package if module and find_spec(module) is None else None


def _sniff_boxes(head: bytes) -> str | None:
    """The format of a file of ISO boxes, by the brands that it names first."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major, *compatible = [head[at : at + 4] for at in (8, *range(16, end - 3, 4))]
    if major == b"crx ":
        return "RAW"  # CR3
    brands = {major, *compatible}
    if major in AVIF_BRANDS or (major in (b"mif1", b"msf1") and brands & AVIF_BRANDS):
        return "AVIF"
    return "HEIC" if brands & HEIC_BRANDS else None


def _is_camera_raw(head: bytes) -> bool:
    """Whether a TIFF file holds what a sensor recorded, by its first directory."""
    if head[8:10] == b"CR":  # CR2
        return True
    tags = dict(_tags(head))
    return (
        DNG_VERSION in tags
        or tags.get(COMPRESSION) in RAW_COMPRESSION
        or tags.get(PHOTOMETRIC) in RAW_PHOTOMETRIC
        or (tags.get(SUBFILE_TYPE) == REDUCED and SUB_IFDS in tags)
    )


def _tags(head: bytes) -> Iterator[tuple[int, int]]:
    """Tags and first values of the first directory, as far as it lies in the bytes given."""
    order = "<" if head.startswith(b"II") else ">"
    if head[2:4] not in (b"*\0", b"\0*") or len(head) < 10:  # camera RAW is never a BigTIFF
        return
    (start,) = struct.unpack_from(order + "I", head, 4)
    if start + 2 > len(head):
        return
    (count,) = struct.unpack_from(order + "H", head, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(head) - 11), 12):
        tag, kind = struct.unpack_from(order + "HH", head, at)
        yield tag, struct.unpack_from(order + ("H" if kind == 3 else "I"), head, at + 8)[0]
