"""The prepare stage: list the images of a data set in a manifest."""

import logging
import time
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import ImageError, InputError, first_line
from rsfiqa.images.load import read_size
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import write_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.prepare.entries import mos_scale_of, read_entries
from rsfiqa.prepare.groups import check_groups
from rsfiqa.prepare.near_duplicates import find_near_duplicates, joins_near_duplicates
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.prepare.statements import write_statements
from rsfiqa.products import failures, manifest
from rsfiqa.products.manifest import ManifestRow
from rsfiqa.products.paths import failures_path, manifest_path, stats_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.scale import MosScale

log = logging.getLogger("rsfiqa")


THREADS = 8  # most of the time they wait for the disk, and hashing releases the GIL


def run(
    folder: Path, options: PrepareOptions, *, shard_size: int, max_failed_fraction: float, seed: int
) -> None:
    """Write the manifest of a data set, its failures and statistics; generate the demo's images.

    Statements of people are written beside it, if the data set has them.

    Images that do not exist or whose header cannot be read become rows of the failures table;
    damage behind the header is found by the stages that decode the image. Everything is read
    again on each call; the same data give the same bytes.

    Args:
        folder: products of the data set, `results/<dataset>`.
        options: layout, root and, for csv, the scale of the MOS.
        shard_size: images per shard, counted over all images sorted by image_id, failed or not,
            so that the number of shards is known before any image is opened.
        max_failed_fraction: see `failures.check_failed_fraction`.
        seed: of the demo's noise.

    Raises:
        InputError: see `mos_scale_of`, `read_entries` and `check_groups`; or a MOS lies outside
            its scale, too many images failed, or none is usable.
    """
    started = time.time()
    scale = mos_scale_of(options)
    entries = read_entries(folder, options, seed)
    rows, reasons = _rows_and_failures(entries, options.layout, scale, shard_size)
    path = manifest_path(folder)
    failures.check_failed_fraction(path, reasons, len(entries), max_failed_fraction)
    if not rows:
        raise InputError(
            f"{path}: a data set needs at least one usable image, found none of {len(entries)};"
            " check root and layout"
        )
    pairs = find_near_duplicates(rows) if joins_near_duplicates(options) else None
    check_groups(rows, DATASETS[options.layout], pairs)
    failures.write(failures_path(path), "prepare", reasons)
    table = manifest.to_table(rows)
    write_statements(folder, options.layout, entries, table)
    manifest.write(path, table, _provenance(options, scale, shard_size, len(entries), seed))
    _write_stats(path, started, len(entries), len(reasons))


class _FileFacts(NamedTuple):
    width: int
    height: int
    sha256: str


def _rows_and_failures(
    entries: Sequence[Entry], layout: str, scale: MosScale | None, shard_size: int
) -> tuple[list[ManifestRow], dict[str, str]]:
    """The rows of the usable images, and by image_id why the others failed."""
    rows, reasons = [], {}
    for number, (entry, facts) in enumerate(zip(entries, _examine_all(entries), strict=True)):
        if isinstance(facts, str):
            reasons[entry.image_id] = facts
            log.warning("%s: %s", entry.image_id, facts)
        else:
            rows.append(_row(entry, facts, number // shard_size, _quality(entry, scale, layout)))
    return rows, reasons


def _examine_all(entries: Sequence[Entry]) -> list[_FileFacts | str]:
    with ThreadPool(THREADS) as pool:
        examined = pool.imap(_examine, entries, chunksize=16)
        bar = tqdm(examined, "prepare", len(entries), unit="image", disable=None, mininterval=0.5)
        return list(bar)


def _examine(entry: Entry) -> _FileFacts | str:
    """Size and checksum of an image, or why it cannot be used."""
    try:
        str(entry.path).encode()
        return _FileFacts(*read_size(entry.path), sha256_of(entry.path))
    except UnicodeEncodeError:
        return "file name is not UTF-8"
    except (ImageError, OSError) as error:
        return first_line(error)


def _quality(entry: Entry, scale: MosScale | None, layout: str) -> float | None:
    """The quality of an image in [0, 1]; None without a score."""
    if scale is None or entry.mos is None:
        return None
    if entry.mos not in scale:
        from_options = DATASETS[layout].scale_from_options
        repair = "set mos_range" if from_options else "download the release again"
        raise InputError(
            f"{entry.location}: MOS must lie in [{scale.low:g}, {scale.high:g}], found"
            f" {entry.mos:g} for '{entry.image_id}'; {repair}"
        )
    return scale.to_quality(entry.mos)


def _row(entry: Entry, facts: _FileFacts, shard: int, quality: float | None) -> ManifestRow:
    return {
        "image_id": entry.image_id,
        "path": str(entry.path),
        "shard": shard,
        "width": facts.width,
        "height": facts.height,
        "mos": entry.mos,
        "mos_std": entry.mos_std,
        "quality": quality,
        "group": entry.group,
        "distortion": entry.distortion,
        "severity": entry.severity,
        "subset": entry.subset,
        "sha256": facts.sha256,
    }


def _provenance(
    options: PrepareOptions, scale: MosScale | None, shard_size: int, images: int, seed: int
) -> Provenance:
    """What made the manifest. Without root: the same data in another place are the same data."""
    spec = DATASETS[options.layout]
    recorded: dict[str, Any] = {
        "layout": options.layout,
        "mos_range": [scale.low, scale.high] if scale else None,
        "lower_better": scale.lower_better if scale else False,
        "shard_size": shard_size,
        "shards": -(-images // shard_size),
    }
    if joins_near_duplicates(options):
        recorded["near_duplicates"] = "join"
    if spec.pseudo_mos:
        recorded["mos"] = spec.pseudo_mos
    if spec.generated:
        recorded["seed"] = seed
    return Provenance(
        "manifest", manifest.VERSION, "prepare", VERSIONS["prepare"], options=recorded
    )


def _write_stats(path: Path, started: float, images: int, failed: int) -> None:
    ended = time.time()
    rate = images / max(ended - started, 1e-9)
    stats = {
        "started": started,
        "ended": ended,
        "images": images,
        "failed": failed,
        "images_per_s": rate,
    }
    write_json(stats_path(path), stats)
    log.info("prepare: %d images, %d failed, %.1f images/s", images, failed, rate)
