"""The table of scores, in Parquet, CSV or JSON lines."""

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

import pyarrow as pa
import pyarrow.parquet as pq

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.atomic import atomic
from rsfiqa.io.parquet import write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.scale import MosScale
from rsfiqa.vocabulary import RATINGS

VERSION = 2

FORMATS = (".parquet", ".csv", ".jsonl")
BATCH = 1000  # rows in memory

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("score", pa.float64()),  # MOS units of the checkpoint's training set; null if failed
        ("quality", pa.float64()),  # score mapped to [0, 1], higher is better
        ("direction", pa.string()),  # of score: higher or lower is better
        ("low", pa.float64()),  # range of score
        ("high", pa.float64()),
        ("checkpoint", pa.string()),  # data sets and first digits of the SHA-256
        ("worst_box", pa.list_(pa.int32())),  # x0, y0, x1, y1 of the region that costs most, pixels
        ("worst_caption", pa.string()),
        *((f"worst_{name}", pa.float64()) for name in RATINGS),  # 1 (bad) to 5 (excellent)
        ("worst_score", pa.float64()),  # of the region, MOS units
        ("worst_weight", pa.float64()),  # of the region, in [0, 1]
        ("flags", pa.list_(pa.string())),  # of images.flags.FLAGS
        ("status", pa.string()),  # ok or failed
        ("reason", pa.string()),  # of the failure, or of the flag damaged
    ]
)


class Row(TypedDict):
    """A row of `SCHEMA`."""

    path: str
    score: float | None
    quality: float | None
    direction: Literal["higher", "lower"]
    low: float
    high: float
    checkpoint: str
    worst_box: list[int] | None
    worst_caption: str | None
    worst_color: float | None
    worst_noise: float | None
    worst_artifact: float | None
    worst_blur: float | None
    worst_overall: float | None
    worst_score: float | None
    worst_weight: float | None
    flags: list[str]
    status: Literal["ok", "failed"]
    reason: str | None


def failed_row(path: str, scale: MosScale, label: str) -> Row:
    """The row of an image that could not be scored, without the reason.

    Args:
        path: of the image, as displayed.
        scale: of the scores.
        label: of the checkpoint.
    """
    known = {
        "path": path,
        "direction": scale.direction,
        "low": scale.low,
        "high": scale.high,
        "checkpoint": label,
        "flags": [],
        "status": "failed",
    }
    return cast(Row, dict.fromkeys(SCHEMA.names) | known)


def check(output: Path) -> None:
    """Reject a path that cannot be a table, before anything is scored.

    Raises:
        InputError: another suffix, or a folder.
    """
    if output.suffix not in FORMATS:
        raise InputError(f"{output}: must end in {', '.join(FORMATS)}; give such a name")
    if output.is_dir():
        raise InputError(f"{output}: must be a file, found a folder; give another name")


@contextmanager
def as_input_error(output: Path) -> Iterator[None]:
    """Turn an error of the disk or of permissions into an `InputError` that names `output`."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written ({error.strerror or first_line(error)}); make room or"
            " change permissions, and the same command goes on"
        ) from error


def write(output: Path, rows: Iterable[Row], label: str) -> None:
    """Write a table atomically, in the format of its suffix.

    Args:
        output: ends in one of `FORMATS`.
        rows: of the table.
        label: of the checkpoint.
    """
    if output.suffix == ".parquet":
        provenance = Provenance("scores", VERSION, "score", VERSION, {"checkpoint": label})
        write_table(output, pa.Table.from_batches(_batches(iter(rows)), SCHEMA), provenance)
        return
    with atomic(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        if output.suffix == ".jsonl":
            file.writelines(json.dumps(row) + "\n" for row in rows)
            return
        writer = csv.DictWriter(file, SCHEMA.names)
        writer.writeheader()
        for row in rows:
            lists = {
                "worst_box": " ".join(map(str, row["worst_box"] or [])),
                "flags": " ".join(row["flags"] or []),
            }
            writer.writerow({**row, **lists})


def _batches(rows: Iterator[Row]) -> Iterator[pa.RecordBatch]:
    while part := list(islice(rows, BATCH)):
        yield pa.RecordBatch.from_pylist(part, SCHEMA)


def read(output: Path) -> Iterator[Row]:
    """The rows of a table, as they were written.

    Raises:
        InputError: the file is something else, or a table of another version.
    """
    try:
        yield from _rows(output)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{output}: must be scores, found other content ({first_line(error)}); give another"
            " name"
        ) from error


def _rows(output: Path) -> Iterator[Row]:
    if output.suffix == ".parquet":
        with pq.ParquetFile(output) as file:
            for batch in file.iter_batches(BATCH):
                yield from batch.select(SCHEMA.names).to_pylist()
        return
    with output.open(encoding="utf-8", newline="") as file:
        if output.suffix == ".jsonl":
            for line in file:
                row = json.loads(line)
                yield cast(Row, {name: row[name] for name in SCHEMA.names})
        else:
            for row in csv.DictReader(file):
                yield _from_csv(row)


def _from_csv(row: dict[str, str]) -> Row:
    """A row of CSV with the types of `SCHEMA`."""
    typed: dict[str, Any] = {}
    for field in SCHEMA:
        text = row[field.name]
        if pa.types.is_list(field.type):
            items = text.split()
            is_number = pa.types.is_integer(field.type.value_type)
            typed[field.name] = [int(item) for item in items] if is_number else items
        elif pa.types.is_floating(field.type):
            typed[field.name] = float(text) if text else None
        else:
            typed[field.name] = text or None
    return cast(Row, typed)
