"""Bits that flip in products, and products that end early: each is to be noticed on reading."""

import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from rsfiqa import checkpoints
from rsfiqa.errors import InputError
from rsfiqa.io.parquet import read_table
from rsfiqa.products import (
    captions,
    embeddings,
    failures,
    features,
    manifest,
    regions,
    results,
)
from rsfiqa.products.paths import failures_path, predictions_path, product_path
from tests.support.faults.work import NAME, Work

FLIPS, CUTS = 12, 4  # of each kind of product


def noticed(work: Work, folder: Path) -> dict[str, tuple[int, int]]:
    """How many flips and cuts were tried, and how many were noticed."""
    shutil.copytree(work.results, folder)
    found: dict[str, list[bool]] = {"flips": [], "cuts": []}
    for path, read in products(folder).items():
        whole, chance = path.read_bytes(), random.Random(path.name)
        read()  # as it is, nothing is to be noticed
        for _ in range(FLIPS):
            changed = bytearray(whole)
            changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
            found["flips"].append(refuses(read, path))
        for _ in range(CUTS):
            path.write_bytes(whole[: chance.randrange(len(whole))])
            found["cuts"].append(refuses(read, path))
        path.write_bytes(whole)
    return {name: (len(each), sum(each)) for name, each in found.items()}


def products(root: Path) -> dict[Path, Callable[[], object]]:
    """A product of each kind, and what reads all of it."""
    data = root / NAME
    checkpoint = next(root.glob("train/*/*/card.json")).parent
    table = root / f"benchmark/{NAME}.{NAME}.full.parquet"

    def of(stage: str) -> Path:
        return product_path(data, stage, "00000")

    def read_regions() -> None:
        reader = regions.Reader(of("segment"))
        for image_id in reader.image_ids:
            reader[image_id]

    return {
        data / "manifest.parquet": lambda: manifest.read(data / "manifest.parquet"),
        failures_path(of("segment")): lambda: failures.read(failures_path(of("segment"))),
        of("segment"): read_regions,
        of("caption"): lambda: captions.read(of("caption")),
        of("embed"): lambda: embeddings.read(of("embed")),
        of("extract"): lambda: features.read(of("extract")),
        checkpoint / "model.safetensors": lambda: checkpoints.read(checkpoint),
        checkpoint / "card.json": lambda: checkpoints.read(checkpoint),
        checkpoint / "split.parquet": lambda: read_table(
            checkpoint / "split.parquet", "split", checkpoints.SPLIT, checkpoints.VERSION
        ),
        table: lambda: results.read(table),
        predictions_path(table): lambda: results.read_predictions(table),
    }


def refuses(read: Callable[[], object], path: Path) -> bool:
    """Whether reading ends in a message of one line."""
    try:
        read()
    except InputError as error:
        return "\n" not in str(error)
    except Exception as error:  # a user would see a trace
        print(f"flips: {path.name}: {error!r}", file=sys.stderr)
    else:
        print(f"flips: {path.name}: not noticed", file=sys.stderr)
    return False
