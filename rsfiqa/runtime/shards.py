"""The loop over shards that every sharded stage runs: skip, process, record, publish."""

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
from rsfiqa.io.json_files import write_json
from rsfiqa.io.provenance import Provenance, check_input, refuse_other_options
from rsfiqa.products import failures, manifest
from rsfiqa.products.finished import recorded_provenance
from rsfiqa.products.manifest import ManifestRow
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
    """A shard that a stage processes, and the records of its run.

    Attributes:
        folder: folder of the data set.
        name: name of the shard, such as `00012`.
        stage: name of the stage.
        images: rows of the manifest, sorted by image_id.
        reasons: why an image failed, by image_id.
        counts: further numbers for the statistics file.
    """

    folder: Path
    name: str
    stage: str
    images: list[ManifestRow]
    reasons: dict[str, str] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Path of this stage's product."""
        return product_path(self.folder, self.stage, self.name)

    def path_of(self, stage: str) -> Path:
        """Path of another stage's product of the same shard."""
        return product_path(self.folder, stage, self.name)

    @contextmanager
    def record_failure(self, image_id: str) -> Iterator[None]:
        """Turn an `ImageError` in the block into a row of the failures table."""
        try:
            yield
        except ImageError as error:
            self.reasons[image_id] = str(error)
            log.warning("%s: %s", image_id, error)

    def progress(self, items: Iterable[T], total: int | None = None) -> Iterable[T]:
        """Iterate with a progress bar on stderr if that is a terminal.

        Args:
            items: one per image.
            total: number of items, for iterables without a length.
        """
        name = f"{self.stage} {self.name}"
        shown: Iterable[T] = tqdm(items, name, total, unit="image", disable=None, mininterval=0.5)
        return shown


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
    replace: bool = True,
) -> None:
    """Run a stage over shards of a data set; finished shards are skipped.

    Args:
        stage: name of the stage, also the folder of its product.
        folder: folder of the data set, which holds manifest.parquet.
        schema: version of the product's schema.
        options: options that shape the product. They are recorded, and a shard is finished only
            if its recorded options are the same.
        make: computes the product of a shard and adds failed images to `Shard.reasons`.
        write: writes the product.
        inputs: stage by product for each product that this stage reads beside the manifest.
        models: SHA-256 of each model file by name.
        shards: names of the shards to process; empty for all.
        max_failed_fraction: see `failures.check_failed_fraction`.
        replace: make shards again that were made with other options; else refuse to, also where
            only other shards than `shards` were.

    Raises:
        InputError: an input is missing, damaged or does not fit the manifest, too many images
            failed, or a shard was made with other options and must not be replaced.
    """
    source = manifest_path(folder)
    names = manifest.shard_names(source)
    if not replace:
        _refuse_others(stage, folder, names, options, models)
    for name in shards or names:
        images, _ = manifest.read(source, name)
        manifest_sha256 = images_digest(images)
        read = {"manifest": manifest_sha256} | _input_digests(folder, name, inputs, manifest_sha256)
        provenance = Provenance(
            product=PRODUCT[stage],
            schema=schema,
            stage=stage,
            version=VERSIONS[stage],
            options=dict(options),
            models=dict(models),
            inputs=read,
        )
        shard = Shard(folder, name, stage, manifest.to_rows(images))
        if _is_done(shard, provenance):
            log.info("%s %s: done already", stage, name)
        else:
            _run_one(shard, provenance, max_failed_fraction, make, write)


def images_digest(images: pa.Table) -> str:
    """SHA-256 of the image_ids and file hashes of a shard; independent of the scores."""
    lines = zip(images["image_id"].to_pylist(), images["sha256"].to_pylist(), strict=True)
    return hashlib.sha256("\n".join(f"{a}\t{b}" for a, b in lines).encode()).hexdigest()


def _input_digests(
    folder: Path, shard: str, inputs: Mapping[str, str], images_sha256: str
) -> dict[str, str]:
    """SHA-256 of the input files of a shard, by product.

    Raises:
        InputError: an input is missing, not finished, or was made of other images than those that
            the manifest lists, as where a picture has been removed or replaced since.
    """
    digests = {}
    for product, stage in inputs.items():
        path = product_path(folder, stage, shard)
        if not path.is_file():
            raise InputError(f"{path}: no such file; run the {stage} stage first")
        recorded = recorded_provenance(path)
        if recorded is None:
            raise InputError(
                f"{path}: must be finished, found no record beside it of how it was made; run the"
                f" {stage} stage again"
            )
        check_input(recorded, path, {"manifest": images_sha256}, stage)
        digests[product] = sha256_of(path)
    return digests


def _refuse_others(
    stage: str,
    folder: Path,
    names: Iterable[str],
    options: Mapping[str, Any],
    models: Mapping[str, str],
) -> None:
    """Raise if a finished shard has other options or weights than the present ones."""
    for name in names:
        path = product_path(folder, stage, name)
        recorded = recorded_provenance(path) if path.is_file() else None
        if recorded is None or recorded.version != VERSIONS[stage]:
            continue
        refuse_other_options(path, recorded.options, options, stage)
        if recorded.models != models:
            raise InputError(
                f"{path}: must be made with the weights {_named(recorded.models)}, with which it"
                f" was made, found {_named(models)}; give those, or --replace to make it again"
            )


def _named(models: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({models[name][:12]})" for name in sorted(models)) or "none"


def _is_done(shard: Shard, provenance: Provenance) -> bool:
    """Whether product and failures are there; a damaged record means that they are not finished."""
    paths = (shard.path, failures_path(shard.path))
    return all(path.is_file() for path in paths) and _matches(shard.path, provenance)


def _matches(product: Path, provenance: Provenance) -> bool:
    """Whether a finished product was made in this way."""
    recorded = recorded_provenance(product)
    return recorded is not None and recorded.to_json() == provenance.to_json()


def _run_one(
    shard: Shard,
    provenance: Provenance,
    max_failed_fraction: float,
    make: Callable[[Shard], T],
    write: Callable[[Path, T, Provenance], None],
) -> None:
    stats_path(shard.path).unlink(missing_ok=True)  # its presence marks a finished shard
    started, cpu = time.time(), time.process_time()
    content = make(shard)
    failures.check_failed_fraction(
        shard.path, shard.reasons, len(shard.images), max_failed_fraction
    )
    write(shard.path, content, provenance)
    failures.write(failures_path(shard.path), shard.stage, shard.reasons)
    ended = time.time()
    rate = len(shard.images) / max(ended - started, 1e-9)
    stats = {
        "provenance": provenance.to_json(),
        "started": started,
        "ended": ended,
        "cpu_s": time.process_time() - cpu,
        "images": len(shard.images),
        "failed": len(shard.reasons),
        "images_per_s": rate,
        **shard.counts,
    }
    write_json(stats_path(shard.path), stats)
    counts = (len(shard.images), len(shard.reasons), rate)
    log.info("%s %s: %d images, %d failed, %.1f images/s", shard.stage, shard.name, *counts)
