"""Requests that nobody should send to a service, made from a seed."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

BOUNDARY = "----rsfiqa"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
CHUNK = 2**16
BOMB = 2**26  # bytes that a compressed picture unfolds to, at most


@dataclass(frozen=True)
class Request:
    """A request to /score.

    Attributes:
        kind: what is wrong with it.
        body: in parts; sent as they are.
        headers: besides Host, in their order.
        path: of the request.
    """

    kind: str
    body: list[bytes]
    headers: list[tuple[str, str]] = field(default_factory=list)
    path: str = "/score"


def form(content: bytes, name: str = "a.jpg", field_name: str = "image") -> bytes:
    """The body of a form with one file."""
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data;"
        f' name="{field_name}"; filename="{name}"\r\n\r\n'
    )
    return head.encode("utf-8", "replace") + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def sized(kind: str, body: bytes, content_type: str = FORM, path: str = "/score") -> Request:
    """A request whose length is stated as it is."""
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    return Request(kind, [body], headers, path)


def hostile(count: int, seed: int = 0) -> Iterator[Request]:
    """So many requests, all kinds in turn."""
    random = np.random.default_rng(seed)
    files = _files(random)
    makers = tuple(MAKERS.values())
    for i in range(count):
        yield makers[i % len(makers)](random, files[i % len(files)])


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels of one color, of which the first `BOMB` at most are there."""
    rows = zlib.compress(bytes(min((side + 1) * side, BOMB)))  # of one byte per pixel

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _files(random: np.random.Generator) -> list[bytes]:
    """A small picture in several formats."""
    pixels = random.integers(0, 256, (48, 64, 3)).astype(np.uint8)
    files = []
    for name in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "PPM"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, name)
        files.append(buffer.getvalue())
    return files


def _fuzzed(random: np.random.Generator, file: bytes) -> Request:
    content = np.frombuffer(file, np.uint8).copy()
    places = random.integers(0, len(content), max(1, len(content) // 50))
    content[places] = random.integers(0, 256, len(places))
    return sized("fuzzed", form(content.tobytes()))


def _fuzzed_header(random: np.random.Generator, file: bytes) -> Request:
    content = np.frombuffer(file, np.uint8).copy()
    places = random.integers(4, min(200, len(content)), 6)
    content[places] = random.integers(0, 256, len(places))
    return sized("fuzzed header", form(content.tobytes()))


def _truncated(random: np.random.Generator, file: bytes) -> Request:
    return sized("truncated", form(file[: int(random.integers(0, len(file)))]))


def _random(random: np.random.Generator, _: bytes) -> Request:
    return sized("random bytes", form(random.bytes(int(random.integers(0, 4096)))))


def _bomb(random: np.random.Generator, _: bytes) -> Request:
    return sized("bomb", form(bomb(int(random.choice([12_000, 40_000, 2**31 - 1])))))


def _empty(*_: object) -> Request:
    return sized("empty", form(b""))


def _no_picture(random: np.random.Generator, _: bytes) -> Request:
    texts = (b"<svg/>", b"%PDF-1.7", b"%!PS-Adobe", b"PK\3\4", b"\x7fELF", b"<?php", b"MZ", b"RIFF")
    return sized("no picture", form(bytes(random.choice(texts)) * 20))


def _broken_form(random: np.random.Generator, file: bytes) -> Request:
    body = form(file)
    start, end = sorted(random.integers(0, len(body), 2).tolist())
    return sized("broken form", body[:start] + body[end:])


def _no_boundary(random: np.random.Generator, file: bytes) -> Request:
    types = ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; ;=;")
    charset = f"{FORM}; charset=zlib"
    return sized("boundary", form(file), str(random.choice([*types, charset])))


def _wrong_type(random: np.random.Generator, file: bytes) -> Request:
    types = ("text/plain", "image/jpeg", "application/xml", "a/b/c", "\xff", "application/json")
    return sized("content type", form(file), str(random.choice(types)))


def _many_fields(*_: object) -> Request:
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n'
    return sized("many fields", part.encode() * 2000)


def _many_files(_: np.random.Generator, file: bytes) -> Request:
    end = f"--{BOUNDARY}--\r\n".encode()
    return sized("many files", form(file).removesuffix(end) * 100 + end)


def _name(random: np.random.Generator, file: bytes) -> Request:
    names = ("../../etc/passwd", "\0", "a" * 100_000, "<script>alert(1)</script>", "\udce9", "")
    return sized("name", form(file[:20], str(random.choice(names))))


def _other_field(_: np.random.Generator, file: bytes) -> Request:
    return sized("other field", form(file, field_name="picture"))


def _json(random: np.random.Generator, file: bytes) -> Request:
    encoded = base64.b64encode(file).decode()
    bodies = (
        "[" * 100_000,
        '{"image": ' * 10_000,
        json.dumps({"image": encoded[:-3] + "\N{SNOWMAN}"}),
        json.dumps({"image": "https://example.org/a.jpg"}),
        json.dumps({"url": "file:///etc/passwd"}),
        json.dumps({"image": encoded[:50], "name": "\ud800"}),
        json.dumps({"image": [1, 2]}),
        '{"image": "' + "A" * 100_001 + '"}',
        '{"image": NaN}',
        "null",
        "",
    )
    body = bodies[int(random.integers(len(bodies)))].encode("utf-8", "surrogatepass")
    path = ("/score", "/score/batch")[int(random.integers(2))]
    return sized("json", body, "application/json", path)


def _huge_header(random: np.random.Generator, file: bytes) -> Request:
    body = form(file)
    filler = "a" * int(random.choice([70_000, 1_000_000]))
    headers = [("X-Filler", filler), ("Content-Type", FORM), ("Content-Length", str(len(body)))]
    return Request("huge header", [body], headers)


def _many_headers(_: np.random.Generator, file: bytes) -> Request:
    body = form(file)
    filler = [(f"X-{i}", "y" * 50) for i in range(5000)]
    return Request("many headers", [body], [*filler, ("Content-Length", str(len(body)))])


def _wrong_length(random: np.random.Generator, file: bytes) -> Request:
    body = form(file)
    lengths = ("-1", "1e9", "999999999999999999999", "10000000000", "x", "", str(len(body) // 2))
    headers = [("Content-Type", FORM), ("Content-Length", str(random.choice(lengths)))]
    return Request("wrong length", [body], headers)


def _wrong_chunks(random: np.random.Generator, _: bytes) -> Request:
    headers = [("Content-Type", FORM), ("Transfer-Encoding", "chunked")]
    bodies = (b"zzz\r\n", b"-5\r\nabc", b"ffffffffffffffffff\r\na", b"5\r\nab", b"0\r\n\r\n")
    return Request("wrong chunks", [bytes(random.choice(bodies))], headers)


def _endless(*_: object) -> Request:
    """More than 4 MB without a stated length."""
    headers = [("Content-Type", FORM), ("Transfer-Encoding", "chunked")]
    part = f"{CHUNK:x}\r\n".encode() + b"\0" * CHUNK + b"\r\n"
    start = form(b"").removesuffix(f"\r\n--{BOUNDARY}--\r\n".encode())
    return Request(
        "endless", [f"{len(start):x}\r\n".encode() + start + b"\r\n", *[part] * 80], headers
    )


def _compressed(_: np.random.Generator, file: bytes) -> Request:
    body = zlib.compress(form(file) + b"\0" * 10**7)
    headers = [("Content-Type", FORM), ("Content-Encoding", "gzip")]
    return Request("compressed", [body], [*headers, ("Content-Length", str(len(body)))])


def _no_http(random: np.random.Generator, _: bytes) -> Request:
    return Request("path", [], [("\x01", "\x02")], path="/" + "a" * int(random.integers(1, 70_000)))


Maker = Callable[[np.random.Generator, bytes], Request]
MAKERS: dict[str, Maker] = {
    made.__name__.removeprefix("_"): made
    for made in (
        *(_fuzzed, _fuzzed_header, _truncated, _random, _bomb, _empty, _no_picture),
        *(_broken_form, _no_boundary, _wrong_type, _many_fields, _many_files, _name),
        *(_other_field, _json, _huge_header, _many_headers, _wrong_length, _wrong_chunks),
        *(_endless, _compressed, _no_http),
    )
}
