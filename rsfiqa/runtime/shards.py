"""What all stages that work shard by shard have in common: skip, record, publish."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import pyarrow as pa
from tqdm import tqdm

from rsfiqa.errors import ImageError, InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import failures, manifest
from rsfiqa.products.paths import (
    PRODUCT,
    failures_path,
    manifest_path,
    product_path,
    stats_path,
)
from rsfiqa.products.versions import VERSIONS

log = logging.getLogger("rsfiqa")


T = TypeVar("T")


@dataclass
class Shard:
    """One unit of work: the images of a shard, and what is to be recorded of it."""

    folder: Path
    name: str
    stage: str
    images: list[dict[str, Any]]  # rows of the manifest, sorted by image_id
    reasons: dict[str, str] = field(default_factory=dict)  # image_id: why it failed
    counts: dict[str, float] = field(default_factory=dict)  # for the statistics

    @property
    def path(self) -> Path:
        """Where this stage's product goes."""
        return product_path(self.folder, self.stage, self.name)

    def path_of(self, stage: str) -> Path:
        """Where another stage's product of the same shard lies."""
        return product_path(self.folder, stage, self.name)

    @contextmanager
    def guarded(self, image_id: str) -> Iterator[None]:
        """Turn an `ImageError` in the block into a row of the failures table."""
        try:
            yield
        except ImageError as error:
            self.reasons[image_id] = str(error)
            log.warning("%s: %s", image_id, error)

    def progress(self, items: Iterable[T], total: int | None = None) -> Iterable[T]:
        """The items, with a bar and a rate on stderr where it is a terminal.

        Args:
            items: one per image.
            total: how many, where `items` has no length.
        """
        name = f"{self.stage} {self.name}"
        return tqdm(items, name, total, unit="image", disable=None, mininterval=0.5)


def run(
    stage: str,
    folder: Path,
    *,
    schema: int,
    options: Mapping[str, Any],
    make: Callable[[Shard], T],
    write: Callable[[Path, T, Provenance], None],
    inputs: Mapping[str, str] = MappingProxyType({}),
    models: Mapping[str, str] = MappingProxyType({}),
    shards: Sequence[str] = (),
    max_failed_fraction: float,
) -> None:
    """Run a stage over shards of a data set's folder; shards that are done already are skipped.

    Args:
        stage: its word, which is also the folder of its product.
        folder: holds manifest.parquet.
        schema: version of the product's schema.
        options: what shapes the product; recorded, and compared to decide what is done.
        make: the product's content of one shard; notes failures in `shard.reasons`.
        write: publishes the content.
        inputs: product and stage that this stage reads beside the manifest.
        models: name and SHA-256 of model files.
        shards: names; none means all.
        max_failed_fraction: see `failures.check_failed_fraction`.
    """
    source = manifest_path(folder)
    for name in shards or manifest.shard_names(source):
        images, _ = manifest.read(source, name)
        digests = {"manifest": images_digest(images)}
        for product, origin in inputs.items():
            path = product_path(folder, origin, name)
            if not path.is_file():
                raise InputError(f"{path}: no such file; run the {origin} stage first")
            digests[product] = sha256_of(path)
        provenance = Provenance(
            product=PRODUCT[stage],
            schema=schema,
            stage=stage,
            version=VERSIONS[stage],
            options=dict(options),
            models=dict(models),
            inputs=digests,
        )
        shard = Shard(folder, name, stage, images.to_pylist())
        if _is_done(shard, provenance):
            log.info("%s %s: done already", stage, name)
        else:
            _run_one(shard, provenance, max_failed_fraction, make, write)


def images_digest(images: pa.Table) -> str:
    """A SHA-256 that changes with the images of a shard or their bytes, not with their scores."""
    lines = zip(images["image_id"].to_pylist(), images["sha256"].to_pylist(), strict=True)
    return hashlib.sha256("\n".join(f"{a}\t{b}" for a, b in lines).encode()).hexdigest()


def _is_done(shard: Shard, provenance: Provenance) -> bool:
    path = stats_path(shard.path)
    if not (shard.path.is_file() and failures_path(shard.path).is_file() and path.is_file()):
        return False
    try:
        return bool(read_json(path)["provenance"] == provenance.to_json())
    except (ValueError, KeyError, TypeError):  # damaged: the shard is made again
        return False


def _run_one(
    shard: Shard,
    provenance: Provenance,
    max_failed_fraction: float,
    make: Callable[[Shard], T],
    write: Callable[[Path, T, Provenance], None],
) -> None:
    stats_path(shard.path).unlink(missing_ok=True)  # it marks a finished shard
    started, cpu = time.time(), time.process_time()
    content = make(shard)
    failures.check_failed_fraction(
        shard.path, shard.reasons, len(shard.images), max_failed_fraction
    )
    write(shard.path, content, provenance)
    failures.write(failures_path(shard.path), shard.stage, shard.reasons)
    ended = time.time()
    stats = {
        "provenance": provenance.to_json(),
        "started": started,
        "ended": ended,
        "cpu_s": time.process_time() - cpu,
        "images": len(shard.images),
        "failed": len(shard.reasons),
        "images_per_s": len(shard.images) / max(ended - started, 1e-9),
        **shard.counts,
    }
    write_json(stats_path(shard.path), stats)
    log.info(
        "%s %s: %d images, %d failed, %.1f images/s",
        shard.stage,
        shard.name,
        len(shard.images),
        len(shard.reasons),
        stats["images_per_s"],
    )
