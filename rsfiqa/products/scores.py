"""Scores of pictures: one table, and the journal from which a run that was broken off goes on."""

import csv
import fcntl
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.atomic import atomic
from rsfiqa.io.parquet import write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.vocabulary import RATINGS

VERSION = 1


FORMATS = (".parquet", ".csv", ".jsonl")


AT_ONCE = 1000  # rows


Row = dict[str, Any]


SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("score", pa.float64()),  # in MOS units of the checkpoint's training set; null if failed
        ("quality", pa.float64()),  # the same in [0, 1], higher is better
        ("direction", pa.string()),  # higher or lower is better, of score
        ("low", pa.float64()),  # range of score
        ("high", pa.float64()),
        ("checkpoint", pa.string()),  # its data set and the beginning of its SHA-256
        ("worst_box", pa.list_(pa.int32())),  # x0, y0, x1, y1 of the region that costs most
        ("worst_caption", pa.string()),
        *((f"worst_{name}", pa.float64()) for name in RATINGS),  # 1 bad to 5 excellent
        ("worst_quality", pa.float64()),  # of the region, in MOS units
        ("worst_weight", pa.float64()),  # of the region, in [0, 1]
        ("flags", pa.list_(pa.string())),  # tiny, huge, upscaled, converted
        ("status", pa.string()),  # ok or failed
        ("reason", pa.string()),  # why it failed
    ]
)


def check(output: Path) -> None:
    """Refuse a name that no table can have, before anything is scored.

    Raises:
        InputError: another suffix, or a folder.
    """
    if output.suffix not in FORMATS:
        raise InputError(f"{output}: must end in {', '.join(FORMATS)}; give such a name")
    if output.is_dir():
        raise InputError(f"{output}: must be a file, found a folder; give another name")


class Journal:
    """Finished rows, each handed to the disk before the next; use it as a context manager.

    It lies beside the table until that is written, and starts from the rows of an earlier table.
    Rows stay in the file: a million of them take 100 MB of memory otherwise, and more.

    Args:
        output: the table.
        label: of the checkpoint; rows of another are refused.

    Attributes:
        failed: paths whose last row is a failure.

    Raises:
        InputError: the table is of another checkpoint or something else, another run writes it, or
            it cannot be written.
    """

    def __init__(self, output: Path, label: str) -> None:
        self.output, self.label = output, label
        self.path = output.with_name(f".{output.name}.journal")
        self.failed: set[str] = set()
        self._places: dict[str, int] = {}  # path: offset of its row
        with guarded(output):
            self._file = self._opened()
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _opened(self) -> IO[bytes]:
        if not self.path.is_file() and self.output.is_file():
            with atomic(self.path) as partial, partial.open("wb") as kept:
                kept.writelines(_line(row) for row in read(self.output))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise InputError(
                f"{self.output}: must be written by one run at a time, found another; wait for it"
            ) from error
        return file

    def _read(self) -> None:
        """Find the rows; what follows the last whole one was cut short and is taken off."""
        end = 0
        self._file.seek(0)
        for line in self._file:
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            if row["checkpoint"] != self.label:
                raise InputError(
                    f"{self.output}: must be of checkpoint {self.label}, found {row['checkpoint']};"
                    f" give another name, or delete it and {self.path.name}"
                )
            self._note(row, end)
            end += len(line)
        self._file.truncate(end)

    def _note(self, row: Row, place: int) -> None:
        self._places[row["path"]] = place
        (self.failed.add if row["status"] == "failed" else self.failed.discard)(row["path"])

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        with guarded(self.output):
            self._file.close()

    def __contains__(self, path: str) -> bool:
        """Whether a picture is done; one that failed is not, its file may have been mended."""
        return path in self._places and path not in self.failed

    def add(self, row: Row) -> None:
        """Keep a finished row."""
        with guarded(self.output):
            place = self._file.seek(0, 2)
            self._file.write(_line(row))
            self._file.flush()
        self._note(row, place)

    def rows(self, paths: Iterable[str]) -> Iterator[Row]:
        """The rows of these paths in their order, then those of other paths that earlier runs had.

        Args:
            paths: all of them finished.
        """
        for path in dict.fromkeys([*paths, *self._places]):
            self._file.seek(self._places[path])
            yield json.loads(self._file.readline())

    def publish(self, paths: Iterable[str]) -> None:
        """Write the table and take the journal away."""
        with guarded(self.output):
            write(self.output, self.rows(paths), self.label)
            self.path.unlink()


@contextmanager
def guarded(output: Path) -> Iterator[None]:
    """Turn what the disk refuses into an error of one line."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written ({error.strerror or first_line(error)}); make room or"
            " change permissions, and the same command goes on"
        ) from error


def _line(row: Row) -> bytes:
    return json.dumps(row).encode() + b"\n"


def write(output: Path, rows: Iterable[Row], label: str) -> None:
    """Write a table in the format that its name ends in, atomically.

    Args:
        output: .parquet, .csv or .jsonl.
        rows: of `SCHEMA`.
        label: of the checkpoint.
    """
    if output.suffix == ".parquet":
        origin = Provenance("scores", VERSION, "score", VERSION, {"checkpoint": label})
        write_table(output, pa.Table.from_batches(_batches(iter(rows)), SCHEMA), origin)
        return
    with atomic(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        if output.suffix == ".jsonl":
            file.writelines(json.dumps(row) + "\n" for row in rows)
            return
        writer = csv.DictWriter(file, SCHEMA.names)
        writer.writeheader()
        for row in rows:
            lists = {name: " ".join(map(str, row[name] or [])) for name in ("worst_box", "flags")}
            writer.writerow(row | lists)


def _batches(rows: Iterator[Row]) -> Iterator[pa.RecordBatch]:
    while part := list(islice(rows, AT_ONCE)):
        yield pa.RecordBatch.from_pylist(part, SCHEMA)


def read(output: Path) -> Iterator[Row]:
    """The rows of a table, as they were written.

    Raises:
        InputError: it is something else.
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
            for batch in file.iter_batches(AT_ONCE):
                yield from batch.select(SCHEMA.names).to_pylist()
        return
    with output.open(encoding="utf-8", newline="") as file:
        if output.suffix == ".jsonl":
            for line in file:
                row = json.loads(line)
                yield {name: row[name] for name in SCHEMA.names}
        else:
            for row in csv.DictReader(file):
                yield _typed(row)


def _typed(row: dict[str, str]) -> Row:
    """A row of CSV with the types of `SCHEMA`."""
    found: Row = {}
    for field in SCHEMA:
        text = row[field.name]
        if pa.types.is_list(field.type):
            words = text.split()
            found[field.name] = [int(word) for word in words] if "box" in field.name else words
        elif pa.types.is_floating(field.type):
            found[field.name] = float(text) if text else None
        else:
            found[field.name] = text or None
    return found
