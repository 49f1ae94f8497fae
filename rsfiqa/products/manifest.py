"""The manifest: one row per image of a data set, sorted by image_id, divided into shards."""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TypedDict, cast

import pyarrow as pa
import pyarrow.compute as pc

from rsfiqa.errors import InputError
from rsfiqa.io.parquet import read_provenance, read_table, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.image_ids import image_id_of
from rsfiqa.products.paths import shard_names as first_shards
from rsfiqa.scale import MosScale

VERSION = 2


ROW_GROUP = 20_000  # rows; reading one shard costs a few row groups, however many there are


SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("path", pa.string()),
        ("shard", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mos", pa.float32()),
        ("mos_std", pa.float32()),
        ("quality", pa.float32()),
        ("group", pa.string()),
        ("distortion", pa.string()),
        ("severity", pa.int8()),
        ("subset", pa.string()),
        ("sha256", pa.string()),
    ]
)


class ManifestRow(TypedDict):
    """One image of a manifest.

    Attributes:
        image_id: path relative to the data set, POSIX, NFC.
        path: absolute path of the file.
        shard: number of the shard.
        width: pixels, of the upright image (after EXIF).
        height: pixels, likewise.
        mos: opinion score in native units and direction.
        mos_std: standard deviation of the opinions, native units.
        quality: MOS mapped to [0, 1], higher is better.
        group: reference, prompt or scene; no split divides a group.
        distortion: name of the distortion, if the data set has one per image.
        severity: of the distortion, 1 (faint) upwards; 0 for a pristine image.
        subset: part of the official split, if there is one.
        sha256: of the bytes of the file.
    """

    image_id: str
    path: str
    shard: int
    width: int
    height: int
    mos: float | None
    mos_std: float | None
    quality: float | None
    group: str
    distortion: str | None
    severity: int | None
    subset: str | None
    sha256: str


def to_table(rows: Sequence[ManifestRow]) -> pa.Table:
    """The table of these rows."""
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def to_rows(table: pa.Table) -> list[ManifestRow]:
    """The rows of a table that `read` returned."""
    return cast(list[ManifestRow], table.to_pylist())


def write(path: Path, table: pa.Table, provenance: Provenance) -> None:
    """Write a manifest, whose rows must be sorted by image_id and have their shard."""
    write_table(path, table.cast(SCHEMA), provenance, row_group_size=ROW_GROUP)


def read(path: Path, shard: str | None = None) -> tuple[pa.Table, Provenance]:
    """The manifest, or its rows of one shard.

    Raises:
        InputError: missing, damaged or of another schema; the shard does not exist; a row's path
            leads out of the data set.
    """
    filters = None
    if shard is not None:
        names = shard_names(path)
        if shard not in names:
            raise InputError(f"{path}: shard must be one of {', '.join(names)}, found {shard}")
        filters = pc.field("shard") == int(shard)  # row groups of other shards are not read
    table, provenance = read_table(path, "manifest", SCHEMA, VERSION, filters=filters)
    pairs = zip(table["image_id"].to_pylist(), table["path"].to_pylist(), strict=True)
    for image_id, image_path in pairs:
        _check_path(path, image_id, PurePath(image_path))
    return table, provenance


def _check_path(manifest: Path, image_id: str, path: PurePath) -> None:
    """Raise if a row's image lies outside its data set or is not the one of its image_id."""
    end = f"/{image_id}".casefold()  # a table may list i01.bmp for I01.BMP
    same = image_id_of(path).casefold().endswith(end)
    if not (path.is_absolute() and same) or ".." in path.parts:
        raise InputError(
            f"{manifest}: an image's path must be absolute, without '..', and end in its image_id,"
            f" found '{path}' for '{image_id}'; run the prepare stage again"
        )


def shard_names(path: Path) -> list[str]:
    """The names of all shards; only the footer of the file is read."""
    return first_shards(read_provenance(path).options["shards"])


def scale_of(provenance: Provenance) -> MosScale | None:
    """The scale of the MOS in a manifest; None if the images have no scores."""
    low, high = provenance.options.get("mos_range") or (None, None)
    if low is None or high is None:
        return None
    return MosScale(low, high, bool(provenance.options.get("lower_better", False)))
