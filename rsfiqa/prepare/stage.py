"""The prepare stage: a data set as it lies on disk becomes a manifest."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from rsfiqa.datasets import (
    agiqa3k,
    bid,
    csiq,
    csv_table,
    demo,
    flive,
    kadid10k,
    kodak,
    koniq10k,
    live,
    livec,
    pipal,
    spaq,
    tid2013,
)
from rsfiqa.datasets import folder as bare_folder
from rsfiqa.datasets.entry import Entry
from rsfiqa.errors import ImageError, InputError, first_line
from rsfiqa.images.load import read_size
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import write_json
from rsfiqa.io.parquet import read_provenance
from rsfiqa.io.provenance import Provenance
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import failures, manifest
from rsfiqa.products.paths import failures_path, names, stats_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.splits import TEST

log = logging.getLogger("rsfiqa")


READERS: dict[str, Callable[[Path], list[Entry]]] = {
    "live": live.read,
    "csiq": csiq.read,
    "tid2013": tid2013.read,
    "kadid10k": kadid10k.read,
    "livec": livec.read,
    "koniq10k": koniq10k.read,
    "spaq": spaq.read,
    "flive": flive.read,
    "agiqa3k": agiqa3k.read,
    "pipal": pipal.read,
    "bid": bid.read,
    "kodak": kodak.read,
    "csv": csv_table.read,
    "folder": bare_folder.read,
}


MOS_RANGES = {
    "live": live.MOS_RANGE,
    "csiq": csiq.MOS_RANGE,
    "tid2013": tid2013.MOS_RANGE,
    "kadid10k": kadid10k.MOS_RANGE,
    "livec": livec.MOS_RANGE,
    "koniq10k": koniq10k.MOS_RANGE,
    "spaq": spaq.MOS_RANGE,
    "flive": flive.MOS_RANGE,
    "agiqa3k": agiqa3k.MOS_RANGE,
    "pipal": pipal.MOS_RANGE,
    "bid": bid.MOS_RANGE,
    "demo": demo.MOS_RANGE,
    "kodak": None,
    "folder": None,
}


LOWER_BETTER = frozenset({"live", "csiq"})  # published sets with DMOS


THREADS = 8  # they wait for the disk; hashing releases the interpreter's lock


def run(
    folder: Path, options: PrepareOptions, *, shard_size: int, max_failed_fraction: float, seed: int
) -> None:
    """Write manifest.parquet of a data set, its failures and statistics; the demo's images too.

    Images that are missing or that no header can be read of become rows of the failures table.
    Damage behind the header is found by the stages that decode the image. It always reads
    everything again; the same data give the same bytes.

    Args:
        folder: the data set's products, `results/<dataset>`.
        options: layout, place and MOS range of the data set.
        shard_size: images per shard, counted over all images sorted by image_id, so that the
            number of shards is known before any image is opened.
        max_failed_fraction: see `failures.check_failed_fraction`.
        seed: of the demo's noise.

    Raises:
        InputError: options or data that do not fit; two images with one image_id; a group on
            both sides of an official split; the same bytes in two groups of a CSV (the groups of
            a published set are joined instead, because its content is not the user's to mend).
    """
    started = time.time()
    mos_range = _mos_range(options)
    lower_better = options.lower_better or options.layout in LOWER_BETTER
    entries = _unique(_read(folder, options, seed))
    rows, reasons = [], {}
    for number, (entry, found) in enumerate(zip(entries, _examine_all(entries), strict=True)):
        if isinstance(found, str):
            reasons[entry.image_id] = found
            log.warning("%s: %s", entry.image_id, found)
        else:
            row = _row(entry, found, options.layout, mos_range, lower_better=lower_better)
            rows.append({**row, "shard": number // shard_size})
    path = folder / "manifest.parquet"
    failures.check_failed_fraction(path, reasons, len(entries), max_failed_fraction)
    if not rows:
        raise InputError(
            f"{path}: a data set needs at least one usable image, found none of {len(entries)};"
            " check root and layout"
        )
    if options.layout == "csv":
        _refuse_leaks(rows)
    elif mos_range:
        _join_groups(rows)
    _check_subsets(rows, options.layout)
    failures.write(failures_path(path), "prepare", reasons)
    table = pa.Table.from_pylist(rows, schema=manifest.SCHEMA)
    provenance = _provenance(
        options, mos_range, shard_size, len(entries), seed, lower_better=lower_better
    )
    manifest.write(path, table, provenance)
    _write_stats(path, started, len(entries), len(reasons))


def _mos_range(options: PrepareOptions) -> tuple[float, float] | None:
    """The range that belongs to the layout; options that would be ignored are refused."""
    if options.layout == "csv":
        if options.mos_range is None:
            raise InputError(
                "csv: mos_range must be given, found none; set it to the lowest and highest"
                " possible MOS, such as [1, 5]"
            )
        low, high = options.mos_range
        if not -np.inf < low < high < np.inf:
            raise InputError(
                f"csv: mos_range must rise, found [{low:g}, {high:g}]; set it to the lowest and"
                " highest possible MOS (lower_better says that it is DMOS)"
            )
        return low, high
    if options.mos_range is not None or options.lower_better:
        raise InputError(
            f"{options.layout}: mos_range and lower_better are for csv, found"
            f" {options.mos_range} and {options.lower_better}; remove them"
        )
    return MOS_RANGES[options.layout]


def _read(folder: Path, options: PrepareOptions, seed: int) -> list[Entry]:
    if options.layout == "demo":
        return demo.make(Path(os.path.abspath(folder)) / "images", seed=seed)
    if options.root is None:
        raise InputError(
            f"{options.layout}: needs root, found none; set it to where the data set is"
        )
    root = Path(os.path.abspath(Path(options.root).expanduser()))
    return READERS[options.layout](root)


def _unique(entries: Iterable[Entry]) -> list[Entry]:
    """The entries sorted by image_id, each of which stands there once."""
    seen: dict[str, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.image_id, entry)
        if other is not entry:
            raise InputError(
                f"{entry.location}: image ids must differ after Unicode normalization (NFC), found"
                f" '{entry.image_id}' in {other.location} already; rename or remove one"
            )
    return [seen[image_id] for image_id in sorted(seen)]


def _examine_all(entries: Sequence[Entry]) -> list[tuple[int, int, str] | str]:
    with ThreadPool(THREADS) as pool:
        found = pool.imap(_examine, entries, chunksize=16)
        bar = tqdm(found, "prepare", len(entries), unit="image", disable=None, mininterval=0.5)
        return list(bar)


def _examine(entry: Entry) -> tuple[int, int, str] | str:
    """Width, height and SHA-256 of an image, or why it cannot be used."""
    try:
        str(entry.path).encode()
        return (*read_size(entry.path), sha256_of(entry.path))
    except UnicodeEncodeError:
        return "file name is not UTF-8"
    except (ImageError, OSError) as error:
        return first_line(error)


def _row(
    entry: Entry,
    found: tuple[int, int, str],
    layout: str,
    mos_range: tuple[float, float] | None,
    *,
    lower_better: bool,
) -> dict[str, Any]:
    """A row of the manifest, but for its shard."""
    width, height, digest = found
    quality = None
    if mos_range is not None and entry.mos is not None:
        low, high = mos_range
        if not low <= entry.mos <= high:
            way_out = "set mos_range" if layout == "csv" else "get the release again"
            raise InputError(
                f"{entry.location}: MOS must lie in [{low:g}, {high:g}], found {entry.mos:g} for"
                f" '{entry.image_id}'; {way_out}"
            )
        quality = (entry.mos - low) / (high - low)
        if lower_better:
            quality = 1.0 - quality
    return {
        "image_id": entry.image_id,
        "path": str(entry.path),
        "width": width,
        "height": height,
        "mos": entry.mos,
        "mos_std": entry.mos_std,
        "quality": quality,
        "group": entry.group,
        "distortion": entry.distortion,
        "severity": entry.severity,
        "subset": entry.subset,
        "sha256": digest,
    }


def _refuse_leaks(rows: Iterable[dict[str, Any]]) -> None:
    """Raise where the same bytes stand in two groups: a split could put them on both sides."""
    seen: dict[str, dict[str, Any]] = {}
    for row in rows:
        other = seen.setdefault(row["sha256"], row)
        if other["group"] != row["group"]:
            raise InputError(
                f"{row['path']}: images of different groups must differ, found the same bytes in"
                f" {other['path']}; give both the same group, or remove one"
            )


def _join_groups(rows: Sequence[dict[str, Any]]) -> None:
    """Make one group of those that share the same bytes, under the first of their names."""
    names, group = np.unique([row["group"] for row in rows], return_inverse=True)
    digests, digest = np.unique([row["sha256"] for row in rows], return_inverse=True)
    if len(digests) == len(rows):
        return
    nodes = len(names) + len(digests)  # groups and contents; each image is an edge
    edges = (np.ones(len(rows), np.int8), (group, len(names) + digest))
    _, component = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    _, first = np.unique(component[: len(names)], return_index=True)
    for row, own in zip(rows, group, strict=True):
        joined = str(names[first[component[own]]])
        if joined != row["group"]:
            log.warning(
                "%s: group %s joins %s, they hold the same bytes",
                row["image_id"],
                row["group"],
                joined,
            )
        row["group"] = joined


def _check_subsets(rows: Iterable[dict[str, Any]], layout: str) -> None:
    """Raise where a group, perhaps joined from the same bytes, is on both sides of a split."""
    csv = layout == "csv"
    way_out = "mend the columns group and subset" if csv else "move one of the two images away"
    seen: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["subset"] is None:
            continue
        other = seen.setdefault(row["group"], row)
        if (other["subset"] == TEST) != (row["subset"] == TEST):
            raise InputError(
                f"{row['path']}: a group must lie on one side of the official split, found"
                f" '{row['group']}' in '{other['subset']}' ({other['image_id']}) and in"
                f" '{row['subset']}'; {way_out}"
            )


def plan_shards(folder: Path, options: PrepareOptions, shard_size: int) -> list[str]:
    """The names of the shards that `run` makes or has made with these options.

    Read from the manifest if it fits them, else counted from the listing of the data set; either
    way without opening an image.

    Raises:
        InputError: as `run`, where the listing does not fit its layout.
    """
    path = folder / "manifest.parquet"
    wanted = {"layout": options.layout, "shard_size": shard_size}
    if path.is_file():
        found = read_provenance(path).options
        if wanted.items() <= found.items():
            return names(found["shards"])
    count = demo.COUNT if options.layout == "demo" else len(_read(folder, options, seed=0))
    return names(-(-count // shard_size))


def _provenance(
    options: PrepareOptions,
    mos_range: tuple[float, float] | None,
    shard_size: int,
    listed: int,
    seed: int,
    *,
    lower_better: bool,
) -> Provenance:
    """What made the manifest, without root: the same data elsewhere are the same data."""
    recorded: dict[str, Any] = {
        "layout": options.layout,
        "mos_range": list(mos_range) if mos_range else None,
        "lower_better": lower_better,
        "shard_size": shard_size,
        "shards": -(-listed // shard_size),
    }
    if options.layout == "demo":
        recorded |= {"mos": demo.MOS_NOTE, "seed": seed}
    return Provenance(
        "manifest", manifest.VERSION, "prepare", VERSIONS["prepare"], options=recorded
    )


def _write_stats(path: Path, started: float, images: int, failed: int) -> None:
    ended = time.time()
    stats = {
        "started": started,
        "ended": ended,
        "images": images,
        "failed": failed,
        "images_per_s": images / max(ended - started, 1e-9),
    }
    write_json(stats_path(path), stats)
    rate = stats["images_per_s"]
    log.info("prepare: %d images, %d failed, %.1f images/s", images, failed, rate)
