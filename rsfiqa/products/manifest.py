"""The manifest: one row per image of a data set, sorted by image_id, divided into shards."""

from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.compute as pc

from rsfiqa.datasets.entry import image_id_of
from rsfiqa.errors import InputError
from rsfiqa.io.parquet import read_provenance, read_table, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.paths import names

VERSION = 2


ROW_GROUP = 20_000  # rows that are read for one shard, however long the manifest is


SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),  # relative path, NFC
        ("path", pa.string()),  # where the file is, absolute
        ("shard", pa.int32()),
        ("width", pa.int32()),  # pixels, upright (after EXIF)
        ("height", pa.int32()),
        ("mos", pa.float32()),  # native units and direction; null if there is none
        ("mos_std", pa.float32()),
        ("quality", pa.float32()),  # MOS mapped to [0, 1], higher is better
        ("group", pa.string()),  # reference, prompt or scene: never split apart
        ("distortion", pa.string()),
        ("severity", pa.int8()),
        ("subset", pa.string()),  # official split, if there is one
        ("sha256", pa.string()),  # of the file's bytes
    ]
)


def write(path: Path, table: pa.Table, provenance: Provenance) -> None:
    """Write a manifest whose rows are sorted by image_id and numbered into shards already."""
    write_table(path, table.cast(SCHEMA), provenance, row_group_size=ROW_GROUP)


def read(path: Path, shard: str | None = None) -> tuple[pa.Table, Provenance]:
    """The manifest, or its rows of one shard.

    Raises:
        InputError: missing, damaged or another schema; a shard that it does not have; a path that
            leaves the data set.
    """
    filters = None
    if shard is not None:
        known = shard_names(path)
        if shard not in known:
            raise InputError(f"{path}: shard must be one of {', '.join(known)}, found {shard}")
        filters = pc.field("shard") == int(shard)  # row groups of other shards are not read
    table, provenance = read_table(path, "manifest", SCHEMA, VERSION, filters=filters)
    places = zip(table["image_id"].to_pylist(), table["path"].to_pylist(), strict=True)
    for image_id, place in places:
        _check_place(path, image_id, PurePath(place))
    return table, provenance


def _check_place(path: Path, image_id: str, place: PurePath) -> None:
    """Refuse a row whose image could lie outside its data set, or be another image than it says."""
    same = image_id_of(place).casefold().endswith(f"/{image_id}".casefold())  # I01.BMP is i01.bmp
    if not (place.is_absolute() and same) or ".." in place.parts:
        raise InputError(
            f"{path}: an image's path must be absolute, without '..', and end in its image_id,"
            f" found '{place}' for '{image_id}'; run the prepare stage again"
        )


def shard_names(path: Path) -> list[str]:
    """The names of all shards, from the footer alone, however long the manifest is."""
    return names(read_provenance(path).options["shards"])


def mos_range(provenance: Provenance) -> tuple[float, float] | None:
    """The lowest and highest possible MOS that `quality` was mapped from, in native units."""
    low, high = provenance.options.get("mos_range") or (None, None)
    return None if low is None or high is None else (low, high)
