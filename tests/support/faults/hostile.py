"""Pictures that are made to do harm: every format and mode, turned, cut, with lying headers."""

import io
import itertools
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from rsfiqa.products import captions, failures, manifest, regions
from rsfiqa.products.paths import failures_path, product_path
from tests.support.faults.work import Work, run

MODES = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "jpg": ("L", "RGB", "CMYK"),
    "bmp": ("1", "L", "P", "RGB"),
    "gif": ("L", "P"),
    "tif": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"),
    "webp": ("RGB", "RGBA"),
    "ppm": ("1", "L", "RGB"),
    "jp2": ("L", "RGB", "RGBA"),
    "avif": ("RGB", "RGBA"),
}
TURNED = frozenset({"png", "jpg", "tif", "webp", "avif"})  # can hold an orientation
CUTS = (0.0, 0.02, 0.25, 0.5, 0.9, 0.99)  # of the file that are kept
LIES = 6  # files of each kind with other bytes in the header
FLIPS = 2  # with other bytes anywhere
HEADER = 48  # bytes
TRIED = 500


def survived(work: Work, folder: Path) -> tuple[int, int]:
    """How many hostile pictures were tried, and how many survived.

    One survives if each stage has either used it or given a reason in one line, and the score
    command has given it a score or a reason.
    """
    pictures, results = folder / "pictures", folder / "results"
    pictures.mkdir(parents=True)
    for name, content in drawn():
        (pictures / name).write_bytes(content)
    data = str(results / "hostile")
    everything = "--max-failed-fraction=1"
    checkpoint = next(work.results.glob("train/*/*/card.json")).parent
    table, named = folder / "scores.parquet", folder / "named.txt"  # folders are read by suffix
    named.write_text("\n".join(str(path) for path in sorted(pictures.iterdir())), "utf-8")
    rsfiqa = [sys.executable, "-m", "rsfiqa"]
    layout = ["--layout=csv", f"--root={listed(pictures)}", "--mos-range=1", "--mos-range=5"]
    lines = [
        ["prepare", data, *layout, "--shard-size=100", everything],
        ["segment", data, everything],
        ["caption", data, everything],
        ["score", str(named), "-o", str(table), f"--checkpoint={checkpoint}"],
    ]
    for line in lines:
        ended = run([*rsfiqa, *line])
        if ended.status not in (0, 3) or "Traceback" in ended.output:
            print(f"hostile: {line[0]} ended with {ended.status}: {ended.output[-2000:]}")
            return TRIED, 0
    names = {path.name for path in pictures.iterdir() if path.suffix != ".csv"}
    survived = accounted(results / "hostile") & scored(table)
    for name in sorted(names - survived):
        print(f"hostile: {name} was lost", file=sys.stderr)
    return len(names), len(names & survived)


def listed(pictures: Path) -> Path:
    """A table of the pictures, each with its own group and score."""
    names = sorted(path.name for path in pictures.iterdir())
    rows = [f"{name},3,all" for name in names]  # some have the same bytes
    path = pictures / "scores.csv"
    path.write_text("\n".join(["path,mos,group", *rows]), "utf-8")
    return path


def accounted(folder: Path) -> set[str]:
    """The pictures that have captions, or a reason in one line why not."""
    reasons = failures.read(folder / "manifest.failures.parquet").to_pylist()
    found: set[str] = set()
    for shard in manifest.shard_names(folder / "manifest.parquet"):
        for stage in ("segment", "caption"):
            path = failures_path(product_path(folder, stage, shard))
            reasons += failures.read(path).to_pylist()
        reader = regions.Reader(product_path(folder, "segment", shard))
        table, _ = captions.read(product_path(folder, "caption", shard))
        found |= set(table["image_id"].to_pylist()) & set(reader.image_ids)
    return found | {row["image"] for row in reasons if row["reason"] and "\n" not in row["reason"]}


def scored(table: Path) -> set[str]:
    """The pictures that have a finite score, or a reason in one line why not."""
    return {
        Path(row["path"]).name
        for row in pq.read_table(table).to_pylist()
        if (row["score"] is None and row["reason"] and "\n" not in row["reason"])
        or (row["score"] is not None and np.isfinite(row["score"]))
    }


def drawn() -> Iterator[tuple[str, bytes]]:
    """Names and contents of `TRIED` pictures, the same each time."""
    kinds = [list(_of_kind(suffix, mode)) for suffix in MODES for mode in MODES[suffix]]
    inturn = itertools.chain(*itertools.zip_longest(*kinds))  # each kind before many of one
    return itertools.islice(filter(None, inturn), TRIED)


def _of_kind(suffix: str, mode: str) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(f"{suffix} {mode}")
    name = f"{suffix}-{mode.replace(';', '')}"
    whole = _saved(suffix, mode, 1)
    yield f"{name}.{suffix}", whole
    for number in range(LIES):
        lying = bytearray(whole)
        for _ in range(1 + number):
            lying[chance.randrange(min(HEADER, len(lying)))] = chance.choice((0, 1, 127, 255))
        yield f"{name}-lies{number}.{suffix}", bytes(lying)
    for cut in CUTS:
        yield f"{name}-cut{cut:g}.{suffix}", whole[: int(cut * len(whole))]
    for number in range(FLIPS):
        flipped = bytearray(whole)
        for _ in range(20):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        yield f"{name}-flipped{number}.{suffix}", bytes(flipped)
    for orientation in range(2, 9) if suffix in TURNED else ():
        yield f"{name}-turned{orientation}.{suffix}", _saved(suffix, mode, orientation)
    yield f"{name}-other.{'png' if suffix == 'jpg' else 'jpg'}", whole  # a lying name


def _saved(suffix: str, mode: str, orientation: int) -> bytes:
    noise = np.random.default_rng([len(suffix), len(mode)]).integers(0, 256, (40, 56, 3), np.uint8)
    image = Image.fromarray(noise)
    if mode == "I;16":
        image = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    elif mode in ("LA", "RGBA"):
        image = image.convert("RGBA").convert(mode)
    else:
        image = image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    written = io.BytesIO()
    options = {"exif": exif} if suffix in TURNED and orientation > 1 else {}
    kind = {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}.get(suffix, suffix.upper())
    image.save(written, kind, **options)
    return written.getvalue()
