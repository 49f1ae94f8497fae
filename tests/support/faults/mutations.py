"""Image files with damage of every kind, loaded in a process that may not end, hang or swell."""

import io
import multiprocessing
import random
import resource
import struct
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from rsfiqa.errors import ImageError
from rsfiqa.images import load
from rsfiqa.images.formats import missing_package
from tests.support.pictures import dng

SIZE = (56, 40)  # pixels
SECONDS = 20.0  # for one file; one whose header promises 178 megapixels takes 5
MEMORY = 4 << 30  # bytes of address space of the process that loads


def problems(count: int, folder: Path, seed: int = 0) -> list[str]:
    """What goes wrong with so many mutated files: other exceptions, crashes, hangs.

    Args:
        count: number of files.
        folder: for the file that is tried, and for copies of those that fail.
        seed: of the mutations.
    """
    found: list[str] = []
    done = 0
    while done < count:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(
            target=_load_all, args=(done, count, folder, seed, sender), daemon=True
        )
        process.start()
        sender.close()
        done, problem = _watch(receiver, done, count)
        process.kill()
        process.join()
        if problem:
            found.append(problem)
    return found


def _watch(receiver: Connection, done: int, count: int) -> tuple[int, str | None]:
    """Wait for files, one by one: the number of the next one, and what ended the process."""
    start = 60.0  # seconds for the imports of the process
    while done < count:
        if not receiver.poll(SECONDS + start):
            return done + 1, f"file {done}: takes more than {SECONDS:g} s"
        start = 0.0
        try:
            problem = receiver.recv()
        except EOFError:
            return done + 1, f"file {done}: the process crashed"
        done += 1
        if problem:
            return done, problem
    return done, None


def _load_all(first: int, count: int, folder: Path, seed: int, sender: Connection) -> None:
    """Load files one by one, and send for each what went wrong, or None."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    seeds = sorted(originals().items())
    for number in range(first, count):
        chance = random.Random(f"{seed} {number}")
        name, content = seeds[number % len(seeds)]
        path = folder / f"tried{number}.bin"
        path.write_bytes(mutated(content, chance))
        problem = None
        for read in (load.read_size, load.decoded_pixels, load.load_image):
            try:
                read(path)
            except ImageError as error:
                if not str(error) or "\n" in str(error):
                    problem = f"file {number} ({name}): the reason is {str(error)!r}"
            except BaseException as error:  # whatever it is, it is reported
                problem = f"file {number} ({name}): {read.__name__} raised {error!r}"
        if problem is None:
            path.unlink()
        sender.send(problem)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Content with one to three mutations; half of them lie in the first 200 bytes."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        if not content:
            break
        end = min(200, len(content)) if chance.random() < 0.5 else len(content)
        content = chance.choice(MUTATIONS)(content, chance.randrange(end), chance)
    return content


def _flip(content: bytes, at: int, chance: random.Random) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def _overwrite(content: bytes, at: int, chance: random.Random) -> bytes:
    extremes = (0, 1, 2, 127, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
    value = chance.choice(extremes)
    kind = chance.choice([form for form in ("<B", "<H", ">H", "<I", ">I") if _fits(form, value)])
    new = struct.pack(kind, value)
    return content[:at] + new + content[at + len(new) :]


def _fits(form: str, value: int) -> bool:
    return value < 1 << 8 * struct.calcsize(form)


def _cut(content: bytes, at: int, _chance: random.Random) -> bytes:
    return content[:at]


def _zero(content: bytes, at: int, chance: random.Random) -> bytes:
    size = chance.choice((4, 16, 64, 200))
    return content[:at] + bytes(min(size, len(content) - at)) + content[at + size :]


def _insert(content: bytes, at: int, chance: random.Random) -> bytes:
    return content[:at] + chance.randbytes(chance.choice((1, 4, 50))) + content[at:]


def _delete(content: bytes, at: int, chance: random.Random) -> bytes:
    return content[:at] + content[at + chance.choice((1, 4, 50)) :]


def _swap(content: bytes, at: int, chance: random.Random) -> bytes:
    """Exchange two pieces, such as chunks."""
    size = chance.choice((12, 25, 100))
    other = chance.randrange(len(content))
    first, second = sorted((at, other))
    one, two = content[first : first + size], content[second : second + size]
    between = content[first + size : second] if second > first + size else b""
    return content[:first] + two + between + one + content[second + size :]


MUTATIONS: tuple[Callable[[bytes, int, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _overwrite,
    _overwrite,
    _cut,
    _zero,
    _insert,
    _delete,
    _swap,
)


def originals() -> dict[str, bytes]:
    """Undamaged files by name: each format, mode, coding, several frames, profiles."""
    return dict(_originals())


def _originals() -> Iterator[tuple[str, bytes]]:
    noise = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    rgb = Image.fromarray(noise).resize(SIZE)
    deep = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    extras = {"exif": exif.tobytes()}
    profile = {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    for mode in ("L", "RGB", "CMYK"):
        yield f"JPEG {mode}", saved(rgb.convert(mode), "JPEG", **profile)
    yield "JPEG progressive", saved(rgb, "JPEG", progressive=True, **extras)
    yield "JPEG restarts", saved(rgb, "JPEG", restart_marker_rows=1, subsampling=0)
    yield "MPO", saved(rgb, "MPO", **frames)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"PNG {mode}", saved(rgb.convert("RGBA").convert(mode), "PNG", **profile)
    yield "PNG 16", saved(deep, "PNG", **extras)
    yield "PNG animated", saved(rgb, "PNG", **frames)
    for coding in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits", "zstd", "lzma"):
        yield f"TIFF {coding}", saved(rgb, "TIFF", compression=coding, **extras)
    for mode in ("1", "L", "P", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F"):
        yield f"TIFF {mode}", saved(_in_mode(rgb, mode), "TIFF", **profile)
    yield "TIFF 16", saved(deep, "TIFF")
    yield "TIFF group4", saved(rgb.convert("1"), "TIFF", compression="group4")
    yield "TIFF pages", saved(rgb, "TIFF", compression="tiff_lzw", **frames)
    yield "TIFF big", saved(rgb, "TIFF", big_tiff=True)
    for mode in ("1", "L", "P", "RGB"):
        yield f"BMP {mode}", saved(rgb.convert(mode), "BMP")
        yield f"GIF {mode}", saved(rgb.convert(mode), "GIF")
    yield "GIF animated", saved(rgb.convert("P"), "GIF", **frames, duration=100, transparency=3)
    for mode in ("1", "L", "RGB", "I", "F"):
        yield f"PPM {mode}", saved(_in_mode(rgb, mode), "PPM")
    yield "PPM text", b"P3 3 2 255 " + b" ".join(b"%d" % value for value in noise.flat[:18])
    kinds: tuple[dict[str, Any], ...] = ({"lossless": True}, {**extras, **profile}, frames)
    for options in kinds:
        yield f"WEBP {sorted(options)}", saved(rgb.convert("RGBA"), "WEBP", **options)
    for mode in ("L", "RGB", "RGBA"):
        yield f"JPEG2000 {mode}", saved(rgb.convert(mode), "JPEG2000")
    yield "JPEG2000 bare", saved(rgb, "JPEG2000", no_jp2=True, irreversible=True)
    for options in (extras, profile, frames):
        yield f"AVIF {sorted(options)}", saved(rgb, "AVIF", speed=10, **options)
    if missing_package("HEIC") is None:
        import pillow_heif

        pillow_heif.register_heif_opener()
        yield "HEIC", saved(rgb, "HEIF", **extras)
        yield "HEIC two", saved(rgb.convert("RGBA"), "HEIF", **frames)
    if missing_package("JXL") is None:
        import pillow_jxl  # noqa: F401 registers the format

        yield "JXL", saved(rgb, "JXL", **extras)
        yield "JXL lossless", saved(rgb.convert("L"), "JXL", lossless=True)
    if missing_package("RAW") is None:
        yield "RAW", dng(np.asarray(rgb.convert("L")).astype(np.uint16) * 200)


def saved(image: Image.Image, name: str, **options: Any) -> bytes:
    """The content of an image file."""
    file = io.BytesIO()
    for key, value in options.items():  # a save leaves settings on its images
        if key == "append_images":
            options[key] = [frame.copy() for frame in value]
    image.copy().save(file, name, **options)
    return file.getvalue()


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB"
        )
        assert converted is not None
        return converted
    return image.convert("L").convert(mode) if mode in ("I", "F") else image.convert(mode)
