"""The table of groups: pictures that show the same, the best of each first."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from rsfiqa.errors import InputError
from rsfiqa.io.atomic import atomic
from rsfiqa.io.parquet import PARQUET_KEY, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import scores

VERSION = 1

Relation = Literal["single", "best", "same_bytes", "enlarged", "reduced", "similar", "failed"]

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # as given
        ("group", pa.int64()),  # from 1, in the order of the first pictures; null if failed
        ("members", pa.int64()),  # number of pictures of the group; null if failed
        ("rank", pa.int64()),  # in the group, 1 for the best; null if failed
        ("best", pa.bool_()),
        ("relation", pa.string()),  # to the best picture, or to one before it; see Relation
        ("reason", pa.string()),  # sentence
        ("score", pa.float64()),  # null if unknown
        ("width", pa.int32()),  # pixels, upright
        ("height", pa.int32()),
        ("taken", pa.string()),  # by the camera's clock, ISO 8601 without zone; null if unknown
        ("location", pa.string()),  # absolute path
    ]
)


class GroupRow(TypedDict):
    """A row of `SCHEMA`."""

    path: str
    group: int | None
    members: int | None
    rank: int | None
    best: bool
    relation: Relation
    reason: str
    score: float | None
    width: int | None
    height: int | None
    taken: str | None
    location: str


def check(output: Path) -> None:
    """Reject a path that cannot be the table, so that it replaces nothing but an earlier one.

    Raises:
        InputError: see `scores.check`; or the file is another one.
    """
    scores.check(output)
    if output.is_file() and output.stat().st_size and not _is_table(output):
        raise InputError(
            f"{output}: must be an earlier table of groups, found another file; give another name"
        )


def _is_table(path: Path) -> bool:
    """Whether a file begins as a table of groups does."""
    if path.suffix == ".parquet":
        try:
            text = (pq.read_metadata(path).metadata or {}).get(PARQUET_KEY)
            return text is not None and Provenance.from_json(text).product == "groups"
        except (OSError, ValueError, TypeError):  # errors of Arrow and JSON are ValueErrors
            return False
    with path.open("rb") as file:
        head = file.readline(4096).decode("utf-8", "replace")
    if path.suffix == ".csv":
        return head.strip() == ",".join(SCHEMA.names)
    return head.startswith('{"path": ') and '"group": ' in head and '"relation": ' in head


def write(output: Path, rows: Sequence[GroupRow]) -> None:
    """Write a table atomically, in the format of its suffix.

    Args:
        output: ends in .parquet, .csv or .jsonl.
        rows: of the table.
    """
    if output.suffix == ".parquet":
        table = pa.Table.from_pylist(list(rows), SCHEMA)
        write_table(output, table, Provenance("groups", VERSION, "group", VERSION, {}))
        return
    with atomic(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        if output.suffix == ".jsonl":
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            writer = csv.writer(file)
            writer.writerow(SCHEMA.names)
            writer.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
