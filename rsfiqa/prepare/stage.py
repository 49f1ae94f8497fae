"""The prepare stage: list the images of a data set in a manifest."""

import logging
import time
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from tqdm import tqdm

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import ImageError, InputError, first_line, first_names
from rsfiqa.images.load import read_size
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import write_json
from rsfiqa.io.provenance import Provenance, refuse_other_options
from rsfiqa.prepare.entries import (
    Listing,
    joins_near_duplicates,
    listing_of,
    mos_scale_of,
    read_entries,
    recorded_options,
)
from rsfiqa.prepare.groups import check_groups
from rsfiqa.prepare.near_duplicates import find_near_duplicates
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.prepare.statements import write_statements
from rsfiqa.products import failures, manifest
from rsfiqa.products.finished import (
    provenance_of_table,
    remove_superfluous_shards,
    superfluous_shards,
)
from rsfiqa.products.manifest import ManifestRow
from rsfiqa.products.paths import (
    dataset_name,
    failures_path,
    manifest_path,
    shard_names,
    stats_path,
)
from rsfiqa.products.versions import VERSIONS
from rsfiqa.scale import MosScale

log = logging.getLogger("rsfiqa")


THREADS = 8  # most of the time they wait for the disk, and hashing releases the GIL


def run(
    folder: Path,
    options: PrepareOptions,
    *,
    shard_size: int,
    max_failed_fraction: float,
    seed: int,
    replace: bool = True,
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
        replace: replace a manifest that was made with other options, and remove products that
            were made of images in another place; else refuse to.

    Raises:
        InputError: see `mos_scale_of`, `read_entries` and `check_groups`; or too many images
            failed, none is usable, or the manifest was made with other options or from another
            root and must not be replaced.
    """
    started = time.time()
    if not replace:
        _refuse_other_options(folder, options, shard_size, seed)
    scale = mos_scale_of(options)
    entries = read_entries(folder, options, seed)
    listing = listing_of(entries, options)
    if not replace:
        _refuse_other_root(folder, entries, listing.shards(shard_size))
    rows, reasons = _rows_and_failures(entries, scale, shard_size)
    path = manifest_path(folder)
    failures.check_failed_fraction(path, reasons, len(entries), max_failed_fraction)
    if not rows:
        raise InputError(
            f"{path}: a data set needs at least one usable image, found none of {len(entries)};"
            " check root and layout"
        )
    pairs = find_near_duplicates(rows) if joins_near_duplicates(options) else None
    check_groups(rows, DATASETS[options.layout], pairs)
    stats_path(path).unlink(missing_ok=True)  # its presence marks a finished manifest
    failures.write(failures_path(path), "prepare", reasons)
    recorded = recorded_options(options, shard_size=shard_size, images=len(entries), seed=seed)
    provenance = Provenance(
        "manifest", manifest.VERSION, "prepare", VERSIONS["prepare"], options=recorded
    )
    table = manifest.to_table(rows)
    write_statements(folder, options.layout, entries, table)
    manifest.write(path, table, provenance)
    remove_superfluous_shards(folder, shard_names(recorded["shards"]))
    _write_stats(path, provenance, listing, started, len(reasons))


def _refuse_other_options(
    folder: Path, options: PrepareOptions, shard_size: int, seed: int
) -> None:
    """Raise if the manifest at hand was made with other options."""
    path = manifest_path(folder)
    provenance = provenance_of_table(path) if path.is_file() else None
    if provenance is None:  # also if it is damaged: there is nothing to lose
        return
    recorded = provenance.options
    given: dict[str, Any] = {"layout": options.layout}
    if recorded.get("layout") == options.layout:
        given = recorded_options(options, shard_size=shard_size, images=0, seed=seed)
    names = given.keys() - {"shards", "mos"}  # they follow from the data and the layout
    refuse_other_options(
        path,
        {name: recorded.get(name) for name in names},
        {name: value for name, value in given.items() if name in names},
        f"datasets.{dataset_name(folder)}",
    )


def _refuse_other_root(folder: Path, entries: Sequence[Entry], shards: Sequence[str]) -> None:
    """Raise if finished shards would be removed because the images come from another place.

    Images that were removed from the place of the others remove their shards.
    """
    lost = superfluous_shards(folder, shards)
    path = manifest_path(folder)
    if not lost or not path.is_file():
        return
    table, _ = manifest.read(path)
    pairs = zip(table["path"].to_pylist(), table["image_id"].to_pylist(), strict=True)
    recorded = {_folder_of(Path(location), image_id) for location, image_id in pairs}
    given = {_folder_of(entry.path, entry.image_id) for entry in entries}
    if recorded.isdisjoint(given):
        found = min(map(str, given), default="no image")
        raise InputError(
            f"{path}: root must lead to {min(map(str, recorded))}, of whose images the products of"
            f" shard {first_names(lost)} were made, found {found}; correct root, or give --replace"
            " to remove them"
        )


def _folder_of(path: Path, image_id: str) -> Path:
    """The folder to which the image_id of an image is relative."""
    return path.parents[len(PurePath(image_id).parts) - 1]


class _FileFacts(NamedTuple):
    width: int
    height: int
    sha256: str


def _rows_and_failures(
    entries: Sequence[Entry], scale: MosScale | None, shard_size: int
) -> tuple[list[ManifestRow], dict[str, str]]:
    """The rows of the usable images, and by image_id why the others failed."""
    rows, reasons = [], {}
    for number, (entry, facts) in enumerate(zip(entries, _examine_all(entries), strict=True)):
        if isinstance(facts, str):
            reasons[entry.image_id] = facts
            log.warning("%s: %s", entry.image_id, facts)
        else:
            rows.append(_row(entry, facts, number // shard_size, _quality(entry, scale)))
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


def _quality(entry: Entry, scale: MosScale | None) -> float | None:
    """The quality of an image in [0, 1]; None without a score."""
    return None if scale is None or entry.mos is None else scale.to_quality(entry.mos)


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


def _write_stats(
    path: Path, provenance: Provenance, listing: Listing, started: float, failed: int
) -> None:
    ended = time.time()
    images = listing.images
    rate = images / max(ended - started, 1e-9)
    stats = {
        "provenance": provenance.to_json(),
        "listing": listing.sha256,
        "started": started,
        "ended": ended,
        "images": images,
        "failed": failed,
        "images_per_s": rate,
    }
    write_json(stats_path(path), stats)
    log.info("prepare: %d images, %d failed, %.1f images/s", images, failed, rate)
