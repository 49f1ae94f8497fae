"""The images of a data set as its reader lists them, before any of them is opened.

The workflow imports this module while it is parsed; a layout's reader is imported when it is
called.
"""

import hashlib
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import InputError
from rsfiqa.io.home import expand_home
from rsfiqa.io.many_files import ask_each
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.prepare.scores import check_scores
from rsfiqa.products.image_ids import check_image_id
from rsfiqa.products.paths import images_folder, shard_names
from rsfiqa.scale import MosScale


def mos_scale_of(options: PrepareOptions) -> MosScale | None:
    """The scale of a data set's MOS; None if its images have no scores.

    Raises:
        InputError: the options that give the scale are missing, wrong, or given for a layout that
            does not take them.
    """
    layout = options.layout
    if DATASETS[layout].scale_from_options:
        return _scale_from(options)
    if options.mos_range is not None or options.lower_better:
        takers = ", ".join(name for name, spec in DATASETS.items() if spec.scale_from_options)
        raise InputError(
            f"{layout}: mos_range and lower_better are for {takers}, found"
            f" {options.mos_range} and {options.lower_better}; remove them"
        )
    return DATASETS[layout].scale


def _scale_from(options: PrepareOptions) -> MosScale:
    layout = options.layout
    if options.mos_range is None:
        raise InputError(
            f"{layout}: mos_range must be given, found none; set it to the lowest and highest"
            " possible MOS, such as [1, 5]"
        )
    low, high = options.mos_range
    if not -math.inf < low < high < math.inf:
        raise InputError(
            f"{layout}: mos_range must rise, found [{low:g}, {high:g}]; set it to the lowest and"
            " highest possible MOS, and lower_better for DMOS"
        )
    return MosScale(low, high, options.lower_better)


def read_entries(folder: Path, options: PrepareOptions, seed: int) -> list[Entry]:
    """The images of a data set, sorted by image_id.

    Args:
        folder: products of the data set; generated images are written below it.
        options: layout and root.
        seed: of generated images.

    Raises:
        InputError: root is missing, the files do not fit the layout, or two images have the same
            image_id; see `check_image_id`, `mos_scale_of` and `check_scores`.
    """
    entries = _sorted(_read(folder, options, seed))
    check_scores(entries, mos_scale_of(options), options)
    return entries


def _read(folder: Path, options: PrepareOptions, seed: int) -> list[Entry]:
    spec = DATASETS[options.layout]
    read = spec.load_reader()
    if not spec.needs_root:
        return read(images_folder(folder), seed=seed)
    if options.root is None:
        raise InputError(
            f"{options.layout}: needs root, found none; set it to where the data set is"
        )
    return read(Path(os.path.abspath(expand_home(options.root))))


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    """The entries by image_id, which must differ and fit into products."""
    by_id: dict[str, Entry] = {}
    for entry in entries:
        check_image_id(entry.image_id, entry.location)
        first = by_id.setdefault(entry.image_id, entry)
        if first is not entry:
            raise InputError(
                f"{entry.location}: image ids must differ after Unicode normalization (NFC), found"
                f" '{entry.image_id}' in {first.location} already; rename or remove one"
            )
    return [by_id[image_id] for image_id in sorted(by_id)]


@dataclass(frozen=True)
class Listing:
    """The images of a data set before any of them is opened.

    Attributes:
        images: number of images.
        sha256: of all that the data set lists, and of the size and time of each file; empty where
            images are generated.
    """

    images: int
    sha256: str = ""

    def shards(self, shard_size: int) -> list[str]:
        """The names of the shards into which the images are divided."""
        return shard_names(-(-self.images // shard_size))


def read_listing(folder: Path, options: PrepareOptions) -> Listing:
    """The listing of a data set; none of its images is opened or generated.

    Args:
        folder: products of the data set.
        options: layout and root.

    Raises:
        InputError: as `read_entries`.
    """
    if generated := DATASETS[options.layout].generated:
        return Listing(generated)
    return listing_of(read_entries(folder, options, seed=0), options)


def listing_of(entries: Sequence[Entry], options: PrepareOptions) -> Listing:
    """The listing of the entries of a data set, as `read_listing` returns it."""
    generated = DATASETS[options.layout].generated
    return Listing(len(entries), "" if generated else listing_digest(entries))


def listing_digest(entries: Sequence[Entry]) -> str:
    """SHA-256 of the entries, and of the size and time of their files.

    It changes with any score, group, subset, statement, name or file. A million images take
    25 seconds.
    """
    digest = hashlib.sha256()
    for entry, facts in zip(entries, ask_each(_size_and_time, entries), strict=True):
        listed = (
            entry.image_id,
            str(entry.path),
            entry.group,
            entry.mos,
            entry.mos_std,
            entry.distortion,
            entry.severity,
            entry.subset,
            entry.statements,
        )
        digest.update(f"{listed!r} {facts}\n".encode())
    return digest.hexdigest()


def _size_and_time(entry: Entry) -> tuple[int, int] | None:
    """Bytes of an image's file and its time of modification in ns; None without the file."""
    try:
        status = entry.path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def joins_near_duplicates(options: PrepareOptions) -> bool:
    """Whether near-duplicates of this data set become one group."""
    if options.near_duplicates == "auto":
        return DATASETS[options.layout].near_duplicates
    return options.near_duplicates == "join"


def recorded_options(
    options: PrepareOptions, *, shard_size: int, images: int, seed: int
) -> dict[str, Any]:
    """The options that shape a manifest, as it records them.

    Without root: the same data in another place are the same data.

    Raises:
        InputError: as `mos_scale_of`.
    """
    spec, scale = DATASETS[options.layout], mos_scale_of(options)
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
    return recorded
