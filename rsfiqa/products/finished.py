"""Finished products: how they were made, and which of them the manifest has no more.

The statistics beside a product are written last, so that their presence marks a finished product.
They are read in a tenth of a millisecond, whatever the format of the product.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rsfiqa.errors import InputError
from rsfiqa.io.json_files import read_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.paths import SUFFIX, stats_path

log = logging.getLogger("rsfiqa")

STATS = ".stats.json"
SHARD_FILE = re.compile(r"(\d{5,})\.[a-z0-9.]+")


def statistics(product: Path) -> dict[str, Any]:
    """The statistics of a product; empty if it is not finished or they are damaged.

    Args:
        product: path of the product.
    """
    try:
        content = read_json(stats_path(product))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def recorded_provenance(product: Path) -> Provenance | None:
    """The provenance of a finished product; None if it is not finished or its record is damaged.

    Args:
        product: path of the product.
    """
    try:
        return Provenance.from_json(statistics(product)["provenance"])
    except (ValueError, KeyError, TypeError):
        return None


def provenance_of_table(path: Path) -> Provenance | None:
    """The provenance of a Parquet product, finished or not; None if it is missing or damaged.

    Args:
        path: of the product.
    """
    if recorded := recorded_provenance(path):
        return recorded
    from rsfiqa.io.parquet import read_provenance  # pyarrow takes 60 ms to import

    with suppress(InputError):
        return read_provenance(path)
    return None


def superfluous_files(folder: Path, shards: Sequence[str]) -> Iterator[Path]:
    """The files of shards that a data set has no more, sorted within each stage.

    Args:
        folder: of the data set.
        shards: names of the shards that it has.
    """
    kept = set(shards)
    for stage, suffix in SUFFIX.items():
        endings = tuple({suffix, ".failures.parquet", STATS})
        for path in sorted((folder / stage).glob("*")):
            match = SHARD_FILE.fullmatch(path.name)
            if match and match[1] not in kept and path.name.endswith(endings):
                yield path


def superfluous_shards(folder: Path, shards: Sequence[str]) -> list[str]:
    """The names of shards with finished products that a data set has no more, sorted.

    Args:
        folder: of the data set.
        shards: names of the shards that it has.
    """
    names = (path.name for path in superfluous_files(folder, shards))
    return sorted({name.removesuffix(STATS) for name in names if name.endswith(STATS)})


def remove_superfluous_shards(folder: Path, shards: Sequence[str]) -> None:
    """Remove the products of shards that a data set has no more, and say so.

    They hold the images of a division into other shards, and nothing reads them.

    Args:
        folder: of the data set.
        shards: names of the shards that it has.
    """
    removed = 0
    for path in superfluous_files(folder, shards):
        path.unlink()
        removed += 1
    if removed:
        log.info(
            "prepare: %s has %d shards now; %d files of further ones were removed",
            folder,
            len(shards),
            removed,
        )
