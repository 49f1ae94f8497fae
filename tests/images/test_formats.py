"""Which format the first bytes of a file stand for."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from rsfiqa.images.formats import BUILT_IN, EXTRA, HEAD, missing_package, sniff


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_what_pillow_writes(name, mode):
    file = io.BytesIO()
    Image.new(mode, (40, 30), "gray").save(file, name)
    assert sniff(file.getvalue()[:HEAD]) == name


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "I", "F"])
def test_every_kind_of_portable_map(mode):
    file = io.BytesIO()
    Image.new(mode, (4, 3)).save(file, "PPM")
    assert sniff(file.getvalue()) == "PPM"


@pytest.mark.parametrize("options", [{"big_tiff": True}, {"compression": "tiff_lzw"}])
def test_every_kind_of_tiff(options):
    file = io.BytesIO()
    Image.fromarray(np.zeros((3, 4), np.uint16)).save(file, "TIFF", **options)
    assert sniff(file.getvalue()) == "TIFF"


def boxes(*brands: bytes) -> bytes:
    """The first box of an ISO file: the major brand, then the compatible ones."""
    body = brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body + b"\0\0\0\x08mdat"


def tiff(tags: dict[int, int], order: str = "<") -> bytes:
    """A TIFF header and its first directory of numbers."""
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "IH", 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (boxes(b"heic", b"mif1", b"heic"), "HEIC"),
        (boxes(b"mif1", b"mif1", b"heic"), "HEIC"),
        (boxes(b"msf1", b"hevc"), "HEIC"),
        (boxes(b"avif", b"mif1"), "AVIF"),
        (boxes(b"mif1", b"miaf", b"avif"), "AVIF"),
        (boxes(b"crx ", b"crx "), "RAW"),  # Canon CR3
        (boxes(b"isom", b"mp42"), None),  # a video
        (b"\xff\x0a\xfa\x1f", "JXL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JXL"),
        (b"II*\0\x10\0\0\0CR\x02\0", "RAW"),
        (tiff({256: 160, 50706: 0x0401}), "RAW"),  # DNG
        (tiff({254: 1, 259: 6, 330: 9999}, ">"), "RAW"),  # NEF: a thumbnail comes first
        (tiff({259: 65535}), "RAW"),  # PEF
        (tiff({262: 32803}), "RAW"),
        (tiff({254: 0, 259: 5, 262: 2}), "TIFF"),
        (b"MM\0*\0\x10\0\0", "TIFF"),  # its directory lies further on
        (b"FUJIFILMCCD-RAW 0201", "RAW"),
        (b"IIU\0\x18\0\0\0", "RAW"),
        (b"", None),
        (b"BM is a text", None),
        (b"P3 is a text", None),
        (b"P5#made by hand\n4 3 255\n", "PPM"),
        (b"P4X", None),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"path,mos\na.jpg,3\n", None),
        (b"%PDF-1.7", None),
        (b"\0\0\0\x02ftyp", None),
    ],
)
def test_other_formats(head, name):
    assert sniff(head) == name


def test_every_beginning_of_a_header_has_an_answer():
    heads = [tiff({259: 1, 50706: 1}), tiff({254: 1, 330: 4}, ">"), boxes(b"mif1", b"heic")]
    for head in heads:
        for end in range(len(head)):
            assert sniff(head[:end]) in (None, "TIFF", "RAW", "HEIC")


def test_built_in_formats_need_no_package():
    assert {missing_package(name) for name in BUILT_IN} == {None}
    packages = {package for _, package in EXTRA.values()}
    assert {missing_package(name) for name in EXTRA} <= {None, *packages}
