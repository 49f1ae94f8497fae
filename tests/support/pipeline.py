"""The real stages in process, on tiny pictures, once for all tests that look at what they make."""

import csv
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from rsfiqa import splits
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.caption import stage as caption
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.embed import stage as embed
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders.files import PACKAGED
from rsfiqa.extract import stage as extract
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import captions, manifest
from rsfiqa.products.paths import checkpoint_folder, product_path
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.train import stage as train
from rsfiqa.train.options import TrainOptions

SEED, TEST_FRACTION = 0, 1 / 3
BROKEN = "broken.png"  # its header can be read, its pixels cannot
HOSTILE = """<script>alert("&'")</script>.png"""  # tested in split-00
CAPTION = '"><img src="https://example.org/x" onerror=alert(2)>'  # of the regions of HOSTILE
SPLITS: dict[str, Any] = {"seed": SEED, "test_fraction": TEST_FRACTION}
EXTRACT = ExtractOptions(grid=4)
TRAIN = TrainOptions(min_images=2, epochs=2, ensemble_heads=2, width=8, hidden=8)


def made(factory: pytest.TempPathFactory) -> Path:
    """The folder of results: two data sets, checkpoints and results.

    `tiny` has 13 pictures of 6 groups in 2 shards, one of them damaged; MOS in [1, 5]. `other` has
    6 pictures; DMOS in [0, 100]. `tiny` is trained and tested on 2 splits, full, without captions
    and by the probe, and trained on as a whole with 2 seeds and tested on `other`.
    """
    return _made(factory.getbasetemp() / "pipeline")


@cache
def _made(root: Path) -> Path:
    rows = [(_name(i), 5 - i / 3, 0.5, f"g{i % 6}") for i in range(12)]
    _prepare(root, "tiny", [*rows, (BROKEN, 3, 0.5, "g5")], mos_range=(1, 5))
    rows = [(_name(i), 15 * i, 4, f"g{i}") for i in (0, 2, 3, 4, 5, 6)]
    _prepare(root, "other", rows, mos_range=(0, 100), lower_better=True)
    for name in ("tiny", "other"):
        _products(root / name)
    for variant, kinds in (("full", ("split", "all")), ("no_mllm", ("split",))):
        for split in (splits.split_name(kind, i) for kind in kinds for i in range(2)):
            folder = checkpoint_folder(root, "tiny", variant, split)
            train.run(root / "tiny", folder, TRAIN, variant=variant, split=split, **SPLITS)
    for test, methods in (("tiny", ("full", "no_mllm", "probe")), ("other", ("full",))):
        benchmark.run(root, train="tiny", test=test, methods=methods, number=2, **SPLITS)
    return root


def _name(i: int) -> str:
    return HOSTILE if i == 1 else f"{i:02d}.png"


def _prepare(root: Path, name: str, rows: list[tuple[Any, ...]], **options: Any) -> None:
    """Draw the pictures of a CSV, each noisier than the one before, and list them."""
    folder = root / "pictures" / name
    for i, row in enumerate(rows):
        path = folder / row[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng([len(name), i]).normal(128, 4 + 5 * i, (48, 64, 3))
        picture = np.clip(noise, 0, 255).astype(np.uint8)
        picture[: 16 + i] = 255 - picture[: 16 + i] // 2
        Image.fromarray(picture).save(path)
        if path.name == BROKEN:
            path.write_bytes(path.read_bytes()[:200])
    table = folder / "scores.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "mos", "mos_std", "group"), *rows])
    described = PrepareOptions(layout="csv", root=str(table), **options)
    prepare.run(root / name, described, shard_size=7, max_failed_fraction=0.0, seed=SEED)


def _products(folder: Path) -> None:
    """Everything that a training needs of a data set, from default options."""
    some: dict[str, Any] = {"max_failed_fraction": 0.5}
    segment.run(folder, SegmentOptions(max_regions=4), **some)
    caption.run(folder, CaptionOptions(), **some)
    for name in manifest.shard_names(folder / "manifest.parquet"):
        _deface(product_path(folder, "caption", name))
    embed.run(folder, EmbedOptions(encoder=PACKAGED), **some)
    extract.run(folder, EXTRACT, **some)


def _deface(path: Path) -> None:
    """Give the regions of HOSTILE a caption that would break a careless page."""
    table, provenance = captions.read(path)
    rows = table.to_pylist()
    for row in rows:
        if row["image_id"] == HOSTILE:
            noise = [{"family": "noise", "severity": 2}]
            row |= {"content": CAPTION, "text": CAPTION, "distortions": noise}
    captions.write(path, pa.Table.from_pylist(rows, schema=captions.SCHEMA), provenance)
