"""Planning of a million images half done, and what the pipeline itself costs per image.

The plan is Snakemake's, of 1,000 shards with the products of the
first half there. Then 200,000 rows go through every sharded stage with stub models, which give
products of the real kinds for nothing, so that what is measured is reading, checking and writing.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from benchmarks.figures import FOLDER, ROOT, parser, write
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import captions, embeddings, features, manifest, regions
from rsfiqa.products.paths import SUFFIX, failures_path, product_path, stats_path
from rsfiqa.products.paths import shard_names as shard_names_of
from rsfiqa.products.regions import ImageRegions
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime import shards
from rsfiqa.runtime.shards import Shard
from rsfiqa.vocabulary import RATINGS

IMAGES, SHARD_SIZE = 1_000_000, 1000
ROWS, FEW = 200_000, 20_000  # through all stages; and to see whether memory grows
REGIONS, SIDE, VECTOR, CHANNELS, GRID = 6, 64, 384, 64, 4  # of the stubs' products
LABELS = np.repeat(np.arange(REGIONS), SIDE)[:SIDE, None].repeat(SIDE, 1).astype(np.uint16)


def list_images(folder: Path, count: int) -> None:
    """Write the manifest of that many images, none of which is there."""
    numbers = np.arange(count)
    names = [f"{number // 1000:04d}/{number:07d}.jpg" for number in numbers]
    columns: dict[str, Any] = {
        "image_id": names,
        "path": [f"/data/{name}" for name in names],
        "shard": numbers // SHARD_SIZE,
        "width": np.full(count, 1024),
        "height": np.full(count, 768),
        "mos": (numbers % 5).astype(float),
        "quality": numbers % 5 / 5,
        "group": names,
        "sha256": [f"{number:064x}" for number in numbers],
    }
    empty = {name: pa.nulls(count) for name in manifest.SCHEMA.names if name not in columns}
    table = pa.table(columns | empty).select(manifest.SCHEMA.names)
    options = {
        "layout": "folder",
        "mos_range": None,
        "shard_size": SHARD_SIZE,
        "shards": -(-count // SHARD_SIZE),
    }
    origin = Provenance("manifest", manifest.VERSION, "prepare", VERSIONS["prepare"], options)
    manifest.write(folder / "manifest.parquet", table, origin)
    for beside in (failures_path, stats_path):
        beside(folder / "manifest.parquet").touch()


# ---- the plan


def planned(folder: Path) -> dict[str, float]:
    """Seconds and memory of Snakemake's dry run, with the products of half of the shards there."""
    data = folder / "results/big"
    in_child(lambda: list_images(data, IMAGES))
    names = shard_names_of(IMAGES // SHARD_SIZE)
    moment = time.time() - 10  # since the first product
    os.utime(data / "manifest.parquet", (moment, moment))
    for number, stage in enumerate(SUFFIX, 1):
        for name in names[: len(names) // 2]:
            path = product_path(data, stage, name)
            path.parent.mkdir(exist_ok=True)
            for file in (path, failures_path(path), stats_path(path)):
                file.touch()
                os.utime(file, (moment + number, moment + number))
    (folder / "pictures").mkdir()
    overlay = {
        "datasets": {"big": {"layout": "folder", "root": str(folder / "pictures")}},
        "shard_size": SHARD_SIZE,
        "benchmark": {"datasets": ["big"]},
    }
    (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay), "utf-8")
    profile = ["--workflow-profile", str(ROOT / "profiles/default"), "--directory", str(folder)]
    line = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *profile]
    line += ["--configfile", str(folder / "overlay.yaml"), "--dry-run"]
    began = time.monotonic()
    with (folder / "plan.log").open("wb") as shown:
        process = subprocess.Popen(line, stdout=shown, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    if status:
        sys.exit(f"the plan failed: {(folder / 'plan.log').read_text('utf-8')[-2000:]}")
    return {
        "images_planned": IMAGES,
        "shards_planned": len(names),
        "plan_s": seconds,
        "plan_cpu_s": used.ru_utime + used.ru_stime,
        "plan_mb": used.ru_maxrss / 1024,
    }


# ---- the stages


def stub_regions(shard: Shard) -> list[ImageRegions]:
    """The same six stripes for each image."""
    table = regions.region_table(LABELS)
    return [ImageRegions(row["image_id"], LABELS, table) for row in shard.images]


def stub_captions(shard: Shard) -> pa.Table:
    """A sentence for each region."""
    reader = regions.Reader(shard.path_of("segment"))
    return pa.Table.from_pylist(
        [
            {
                "image_id": image_id,
                "region": region,
                "content": "a wall",
                **dict.fromkeys(RATINGS, 1 + region % 5),
                "text": f"A wall {region}.",
                "distortions": [{"family": "blur", "severity": 2}],
                "status": "ok",
            }
            for image_id in reader.image_ids
            for region in range(len(reader[image_id].table))
        ],
        schema=captions.SCHEMA,
    )


def stub_embeddings(shard: Shard) -> embeddings.Embeddings:
    """A vector for each caption."""
    table, _ = captions.read(shard.path_of("caption"))
    image_ids, counts = np.unique(table["image_id"].to_numpy().astype(str), return_counts=True)
    vectors = np.zeros((table.num_rows, VECTOR), np.float16)
    return embeddings.Embeddings(
        [str(image_id) for image_id in image_ids], np.cumsum([0, *counts]), vectors, truncated=0
    )


def stub_features(shard: Shard) -> features.Features:
    """Features of one view for each image."""
    shape = (len(shard.images), 2, CHANNELS, GRID, GRID)
    none = np.zeros((0, *shape[1:]), np.float16)
    names = [row["image_id"] for row in shard.images]
    return features.Features(names, np.zeros(shape, np.float16), none, none, (CHANNELS,))


STUBS: dict[str, tuple[Callable[[Shard], Any], Any, dict[str, str]]] = {
    "segment": (stub_regions, regions, {}),
    "caption": (stub_captions, captions, {"regions": "segment"}),
    "embed": (stub_embeddings, embeddings, {"captions": "caption"}),
    "extract": (stub_features, features, {}),
}


def staged(data: Path) -> dict[str, float]:
    """Processor seconds of every stage over all shards of a data set."""
    found = {}
    for stage, (make, product, inputs) in STUBS.items():
        began = time.process_time()
        shards.run(
            stage,
            data,
            schema=product.VERSION,
            options={},
            make=make,
            write=product.write,
            inputs=inputs,
            max_failed_fraction=0,
        )
        found[stage] = time.process_time() - began
    return found


def start_s(stage: str) -> float:
    """Processor seconds until a stage's process can begin: its libraries, without its model."""
    line = [sys.executable, "-c", f"import rsfiqa.cli, rsfiqa.{stage}.stage"]
    _, status, used = os.wait4(subprocess.Popen(line, cwd=ROOT).pid, 0)
    if status:
        sys.exit(f"rsfiqa.{stage} cannot be imported")
    return used.ru_utime + used.ru_stime


def in_child(work: Callable[[], dict[str, float] | None]) -> dict[str, float]:
    """What work gives, and the peak of memory in MB of a process that does nothing else."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        found = work() or {}
        found["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        os.write(writing, yaml.safe_dump(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        content = file.read()
    os.waitpid(child, 0)
    if not content:
        sys.exit("the stages failed")
    return dict(yaml.safe_load(content))


def overhead(folder: Path) -> dict[str, float]:
    """Milliseconds per image of the pipeline itself, by stage; memory with few and many shards.

    The start of a process for each stage and shard is measured apart: it counts less, the larger a
    shard is.
    """
    found = {}
    for count in (FEW, ROWS):
        data = folder / str(count)
        in_child(lambda: list_images(data, count))  # noqa: B023
        found[count] = in_child(lambda: staged(data))  # noqa: B023
    few, many = found[FEW], found[ROWS]
    figures = {f"{stage}_overhead_ms": 1000 * many[stage] / ROWS for stage in STUBS}
    milliseconds, starts = sum(figures.values()), sum(map(start_s, STUBS))
    return {
        "rows": ROWS,
        "overhead_ms_per_image": milliseconds,
        "start_s": starts,
        "overhead_with_starts_ms": milliseconds + 1000 * starts / SHARD_SIZE,
        **figures,
        "few_shards_mb": few["mb"],
        "many_shards_mb": many["mb"],
        "memory_growth": many["mb"] / few["mb"] - 1,
    }


def main(arguments: Sequence[str]) -> None:
    """Measure and write the figures."""
    parser(__name__, __doc__).parse_args(arguments)
    folder = FOLDER / "scale"
    shutil.rmtree(folder, ignore_errors=True)
    figures = planned(folder / "plan") | overhead(folder / "stages")
    shutil.rmtree(folder)
    write("bench-scale", figures, "python -m benchmarks scale")
