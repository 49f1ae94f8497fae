"""The images of a data set as its reader lists them, before any of them is opened.

The workflow imports this module while it is parsed; a layout's reader is imported when it is
called.
"""

import math
import os
from collections.abc import Iterable
from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import InputError
from rsfiqa.io.home import expand_home
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.prepare.scores import check_scores
from rsfiqa.products.paths import images_folder, manifest_path, shard_names
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
            image_id; see `mos_scale_of` and `check_scores`.
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
    """The entries by image_id, which must differ."""
    by_id: dict[str, Entry] = {}
    for entry in entries:
        first = by_id.setdefault(entry.image_id, entry)
        if first is not entry:
            raise InputError(
                f"{entry.location}: image ids must differ after Unicode normalization (NFC), found"
                f" '{entry.image_id}' in {first.location} already; rename or remove one"
            )
    return [by_id[image_id] for image_id in sorted(by_id)]


def plan_shards(folder: Path, options: PrepareOptions, shard_size: int) -> list[str]:
    """The names of the shards that the prepare stage makes, or has made, with these options.

    They are read from the manifest if it has the same layout and shard size. Otherwise the images
    are counted; none is opened or generated.

    Args:
        folder: products of the data set.
        options: layout and root.
        shard_size: images per shard.

    Raises:
        InputError: see `read_entries`.
    """
    path = manifest_path(folder)
    if path.is_file():
        from rsfiqa.io.parquet import read_provenance  # pyarrow takes 60 ms to import

        recorded = read_provenance(path).options
        if {"layout": options.layout, "shard_size": shard_size}.items() <= recorded.items():
            return shard_names(recorded["shards"])
    count = DATASETS[options.layout].generated or len(read_entries(folder, options, seed=0))
    return shard_names(-(-count // shard_size))
