"""Files that no library here writes: a camera RAW file, color profiles."""

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)  # white of the space in which profiles are connected
# Columns of the matrices from linear RGB to XYZ, adapted to D50 (Bradford).
ADOBE_RGB = (
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
)
DISPLAY_P3 = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)


def dng(values: np.ndarray) -> bytes:
    """A camera RAW file of an RGGB sensor.

    Args:
        values: uint16 (H, W), what the sensor recorded, black is 0 and white 65535.
    """
    height, width = values.shape
    matrix = [3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570]
    rationals = b"".join(struct.pack("<ii", round(10000 * x), 10000) for x in matrix)
    entries: list[tuple[int, int, int, bytes]] = [
        (254, 4, 1, struct.pack("<I", 0)),
        (256, 4, 1, struct.pack("<I", width)),
        (257, 4, 1, struct.pack("<I", height)),
        (258, 3, 1, struct.pack("<H", 16)),
        (259, 3, 1, struct.pack("<H", 1)),
        (262, 3, 1, struct.pack("<H", 32803)),  # color filter array
        (271, 2, 5, b"Test\0"),
        (272, 2, 5, b"Test\0"),
        (273, 4, 1, b"PIXL"),
        (274, 3, 1, struct.pack("<H", 1)),
        (277, 3, 1, struct.pack("<H", 1)),
        (278, 4, 1, struct.pack("<I", height)),
        (279, 4, 1, struct.pack("<I", 2 * width * height)),
        (33421, 3, 2, struct.pack("<HH", 2, 2)),
        (33422, 1, 4, bytes([0, 1, 1, 2])),
        (50706, 1, 4, bytes([1, 4, 0, 0])),
        (50708, 2, 5, b"Test\0"),
        (50717, 4, 1, struct.pack("<I", 65535)),
        (50721, 10, 9, rationals),
        (50728, 5, 3, struct.pack("<6I", 1, 1, 1, 1, 1, 1)),
    ]
    at = 8 + 2 + 12 * len(entries) + 4
    pixels = at + sum(len(data) for *_, data in entries if len(data) > 4)
    directory, rest = struct.pack("<H", len(entries)), b""
    for tag, kind, count, data in entries:
        value = struct.pack("<I", pixels) if data == b"PIXL" else data
        if len(value) > 4:
            value, rest = struct.pack("<I", at + len(rest)), rest + value
        directory += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + rest + values.tobytes()


def rgb_profile(columns: tuple[tuple[float, ...], ...], gamma: float = 2.2) -> bytes:
    """A profile of an RGB space: the XYZ of its primaries, and its gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = [(b"wtpt", _xyz(D50))]
    for name, column in zip(b"rgb", columns, strict=True):
        tags += [(bytes([name]) + b"XYZ", _xyz(column)), (bytes([name]) + b"TRC", curve)]
    return _profile(b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    """A profile of grey pixels of a gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    return _profile(b"GRAY", b"XYZ ", [(b"wtpt", _xyz(D50)), (b"kTRC", curve)])


def cmyk_profile() -> bytes:
    """A profile of CMYK in which cyan ink prints as a pale blue (L*a*b* 80, -10, -20).

    Its table has the corners of the space alone: each ink multiplies the lightness.
    """
    inks = {0: (0.8, -10, -20), 1: (0.5, 70, 0), 2: (0.9, 0, 90), 3: (0.1, 0, 0)}
    corners = []
    for corner in range(16):  # cyan varies slowest
        lightness, a, b = 1.0, 0.0, 0.0
        for ink, (factor, da, db) in inks.items():
            if corner >> (3 - ink) & 1:
                lightness, a, b = lightness * factor, a + da, b + db
        corners += [round(255 * lightness), round(a + 128), round(b + 128)]
    identity = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table += struct.pack(">9i", *(65536 * x for x in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table += 4 * identity + bytes(min(max(x, 0), 255) for x in corners) + 3 * identity
    return _profile(b"CMYK", b"Lab ", [(b"wtpt", _xyz(D50)), (b"A2B0", table)])


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


def _profile(space: bytes, connection: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """An ICC profile of version 2."""
    tags = [(b"desc", b"desc" + bytes(4) + struct.pack(">I", 5) + b"Test\0" + bytes(78)), *tags]
    directory, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags:
        directory += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    header = struct.pack(
        ">I4sI4s4s4s", start + len(body), bytes(4), 0x02200000, kind, space, connection
    )
    header += bytes(12) + b"acsp" + bytes(28) + _xyz(D50)[8:] + bytes(48)
    return header + directory + body
