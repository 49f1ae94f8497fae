"""Fingerprints of pictures, which tell near-duplicates, and a file that keeps them.

The file is a cache: it can be deleted at any time, and one that cannot be read is made again.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from rsfiqa.errors import InputError
from rsfiqa.io.parquet import read_table, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.scores import FileState

VERSION = 1  # raised where hashes, thumbnails or the comparison of copies change, too

SCHEMA = pa.schema(
    [
        ("location", pa.string()),  # absolute path
        ("size", pa.int64()),  # bytes
        ("modified", pa.string()),  # time of the last change, ISO 8601, UTC
        ("hash", pa.binary()),  # difference hash, packed bits
        ("thumbnail", pa.binary()),  # grey values of THUMBNAIL x THUMBNAIL pixels
        ("width", pa.int32()),  # pixels, upright
        ("height", pa.int32()),
        ("taken", pa.string()),  # by the camera's clock, ISO 8601 without zone; null if unknown
        ("compared", pa.string()),  # state of a smaller copy that it was compared with; or null
        ("has_more", pa.bool_()),  # whether it shows more detail than that one; or null
    ]
)


class Fingerprint(FileState):
    """A row of `SCHEMA`."""

    hash: bytes
    thumbnail: bytes
    width: int
    height: int
    taken: str | None
    compared: str | None
    has_more: bool | None


def cache_path(table: Path) -> Path:
    """Where the fingerprints of the pictures of a table are kept: a hidden file beside it."""
    return table.with_name(f".{table.name}.fingerprints")


def read(path: Path) -> dict[str, Fingerprint]:
    """The fingerprints of a file by location; none if there is no file that can be used."""
    try:
        table, _ = read_table(path, "fingerprints", SCHEMA, VERSION)
    except (InputError, OSError):
        return {}
    return {row["location"]: cast(Fingerprint, row) for row in table.to_pylist()}


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write fingerprints atomically, sorted by location."""
    table = pa.Table.from_pylist(sorted(rows, key=lambda row: row["location"]), SCHEMA)
    write_table(path, table, Provenance("fingerprints", VERSION, "group", VERSION, {}))


def state_of(row: FileState) -> str:
    """The file and its state, in one text."""
    return f"{row['location']} {row['size']} {row['modified']}"
