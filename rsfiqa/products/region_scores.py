"""The table of all regions of scored pictures, beside a table of scores in Parquet.

Others may have filtered, sorted or extended it; `location` and `region` identify a row.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypedDict, cast

import pyarrow as pa
import pyarrow.parquet as pq

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.parquet import check_rewritten, recorded_provenance, write_batches
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.scores import VERSION, check_label
from rsfiqa.vocabulary import RATINGS

PRODUCT = "region scores"
ROWS = 50_000  # in memory, and in a row group

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # of the picture, as in the table of scores
        ("region", pa.int32()),  # by falling area, from 1
        *((side, pa.int32()) for side in ("x0", "y0", "x1", "y1")),  # pixels, x1, y1 exclusive
        ("area", pa.float64()),  # fraction of the picture without its border
        ("weight", pa.float64()),  # in [0, 1]; those of a picture sum to 1
        ("quality", pa.float64()),  # score mapped to [0, 1] and clipped, higher is better
        ("score", pa.float64()),  # MOS units
        ("cost", pa.float64()),  # MOS points
        *((name, pa.float64()) for name in RATINGS),  # 1 (bad) to 5 (excellent)
        ("families", pa.list_(pa.string())),  # of distortions, in the order of the caption
        ("severities", pa.list_(pa.int8())),  # 1 to 5, one for each family
        ("caption", pa.string()),  # sentence about the region
        ("location", pa.string()),  # absolute path, which identifies the picture
    ]
)


class RegionRow(TypedDict):
    """A row of `SCHEMA`."""

    path: str
    region: int
    x0: int
    y0: int
    x1: int
    y1: int
    area: float
    weight: float
    quality: float
    score: float
    cost: float
    color: float | None
    noise: float | None
    artifact: float | None
    blur: float | None
    overall: float | None
    families: list[str]
    severities: list[int]
    caption: str
    location: str


def regions_path(table: Path) -> Path | None:
    """The table of regions beside a table of scores; None if that is not Parquet."""
    return table.with_suffix(".regions.parquet") if table.suffix == ".parquet" else None


def read(path: Path) -> Iterator[RegionRow]:
    """The rows, without columns that others added.

    Raises:
        InputError: no file, something else, damaged, or of another version.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; write it with rsfiqa score PATH... -o x.parquet")
    check_rewritten(path, PRODUCT, SCHEMA, VERSION)
    for batch in _batches(path):
        yield from cast(list[RegionRow], batch.select(SCHEMA.names).cast(SCHEMA).to_pylist())


def locations(path: Path, label: str) -> set[str]:
    """The pictures that have regions; none without a file.

    Args:
        path: of the table.
        label: of the checkpoint.

    Raises:
        InputError: see `read`; or a table of another checkpoint.
    """
    if not path.is_file():
        return set()
    _check(path, label)
    return {name for batch in _batches(path, ["location"]) for name in _texts(batch["location"])}


def read_distortions(path: Path, label: str) -> Iterator[tuple[str, float, list[str], list[int]]]:
    """Location of the picture, area, families and severities of each region.

    Args:
        path: of the table.
        label: of the checkpoint.

    Raises:
        InputError: see `locations`; or no file.
    """
    _check(path, label)
    names = ["location", "area", "families", "severities"]
    schema = pa.schema([SCHEMA.field(name) for name in names])
    for batch in _batches(path, names):
        columns = batch.select(names).cast(schema).to_pydict()
        for location, area, families, severities in zip(*columns.values(), strict=True):
            yield location, area, families or [], severities or []


def _check(path: Path, label: str) -> None:
    """Reject a table of another version or checkpoint."""
    check_rewritten(path, PRODUCT, SCHEMA, VERSION)
    if (recorded := recorded_provenance(path)) is not None:
        check_label(path, recorded.options["checkpoint"], label, "move it away")


def update(
    path: Path,
    keep: Container[str],
    moved: Mapping[str, tuple[str, str]],
    rows: Iterable[RegionRow],
    label: str,
) -> None:
    """Write the table anew, atomically: known rows that are kept, then further ones.

    Columns that others added stay as they are, and are empty in further rows.

    Args:
        path: of the table, which need not exist.
        keep: locations of pictures whose rows stay.
        moved: new path and location of pictures whose rows stay, by their location in the table.
        rows: further ones.
        label: of the checkpoint.

    Raises:
        InputError: see `read`.
    """
    schema, old = SCHEMA, iter(())
    if path.is_file():
        check_rewritten(path, PRODUCT, SCHEMA, VERSION)
        schema = _with_own_types(pq.read_schema(path).remove_metadata())
        old = (_kept(batch, keep, moved, schema) for batch in _batches(path))
    provenance = Provenance(PRODUCT, VERSION, "score", VERSION, {"checkpoint": label})
    write_batches(path, schema, _of_equal_size(old, _to_tables(rows, schema)), provenance)


def _with_own_types(found: pa.Schema) -> pa.Schema:
    """The columns of a file, those of `SCHEMA` with the types from there."""
    return pa.schema([SCHEMA.field(f.name) if f.name in SCHEMA.names else f for f in found])


def _batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(ROWS, columns=columns):
                yield pa.Table.from_batches([batch]).replace_schema_metadata(None)
    except (OSError, ValueError) as error:  # errors of Arrow are ValueErrors
        raise InputError(
            f"{path}: not Parquet or damaged ({first_line(error)}); restore it or delete it"
        ) from error


def _texts(column: pa.ChunkedArray) -> list[str]:
    return cast(list[str], column.to_pylist())


def _kept(
    table: pa.Table,
    keep: Container[str],
    moved: Mapping[str, tuple[str, str]],
    schema: pa.Schema,
) -> pa.Table:
    """Rows of pictures that stay, under their new location where they were moved."""
    found = _texts(table["location"])
    table = table.cast(schema).filter(pa.array([name in keep or name in moved for name in found]))
    found = _texts(table["location"])
    if moved.keys() & set(found):
        names = zip(_texts(table["path"]), found, strict=True)
        renamed = [moved.get(location, (path, location)) for path, location in names]
        for column, values in zip(("path", "location"), zip(*renamed, strict=True), strict=True):
            at = table.column_names.index(column)
            table = table.set_column(at, SCHEMA.field(column), pa.array(values, pa.string()))
    return table


def _to_tables(rows: Iterable[RegionRow], schema: pa.Schema) -> Iterator[pa.Table]:
    part: list[RegionRow] = []
    for row in rows:
        part.append(row)
        if len(part) == ROWS:
            yield pa.Table.from_pylist(part, schema)
            part = []
    yield pa.Table.from_pylist(part, schema)


def _of_equal_size(*sources: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables of `ROWS` rows, so that equal rows are equal bytes however they came together."""
    rest: list[pa.Table] = []
    for table in (table for source in sources for table in source):
        rest.append(table)
        if sum(map(len, rest)) >= ROWS:
            whole = pa.concat_tables(rest)
            yield whole.slice(0, ROWS)
            rest = [whole.slice(ROWS)]
    if rest:
        yield pa.concat_tables(rest)
