"""Lists of pictures in tables: CSV and Parquet files with a column of paths."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rsfiqa.errors import InputError, first_line
from rsfiqa.images.location import stored_path
from rsfiqa.io.home import expand_home

SUFFIXES = frozenset({".csv", ".parquet"})
COLUMNS = ("location", "path")  # the first that there is; a table of scores has both
ROWS = 10_000  # of Parquet in memory


def read(path: Path) -> Iterator[str]:
    """The paths of a list, in its order; other columns are ignored, as are empty cells.

    Paths are relative to the folder of the list, and `~` is expanded. A column `location`, which
    holds the absolute paths in a table of scores, is preferred to `path`.

    Args:
        path: of a CSV file in UTF-8, separated by commas or semicolons, or of a Parquet file.

    Raises:
        InputError: neither column, a column of another type, or not CSV or Parquet.
    """
    texts = _of_parquet(path) if path.suffix.lower() == ".parquet" else _of_csv(path)
    folder = str(path.parent)
    for text in texts:
        if text:
            name = str(expand_home(text)) if text.startswith("~") else text
            joined = os.path.join(folder, name) if folder != "." else name  # noqa: PTH118
            yield str(stored_path(joined)) if "\\x" in joined else joined


def _column(path: Path, found: Sequence[str]) -> str:
    """The name of the column that holds the paths."""
    for name in COLUMNS:
        if name in found:
            return name
    if not found:
        raise InputError(
            f"{path}: a list of pictures must have a column called path, found an empty first line;"
            " write path into it and a picture into each further one"
        )
    raise InputError(
        f"{path}: a list of pictures must have a column called path, found {', '.join(found)};"
        " rename the one that holds them"
    )


def _of_parquet(path: Path) -> Iterator[str | None]:
    try:
        with pq.ParquetFile(path) as file:
            name = _column(path, file.schema_arrow.names)
            _check_text(path, file.schema_arrow.field(name))
            for batch in file.iter_batches(ROWS, columns=[name]):
                yield from batch[0].to_pylist()
    except InputError:
        raise
    except (OSError, ValueError) as error:  # errors of Arrow are ValueErrors
        raise InputError(
            f"{path}: must be Parquet, found other content ({first_line(error)}); write it again"
        ) from error


def _check_text(path: Path, field: pa.Field) -> None:
    """Raise where a column holds no text."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise InputError(f"{path}: {field.name} must hold text, found {kind}; store the paths")


def _of_csv(path: Path) -> Iterator[str]:
    """Bytes that are not UTF-8 stay as they are, as in names of files."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            separator = ";" if ";" in file.readline() else ","
            file.seek(0)
            reader = csv.reader(file, delimiter=separator, strict=True)
            header = [cell.strip().casefold() for cell in next(reader, [])]
            column = header.index(_column(path, header))
            yield from (row[column] if column < len(row) else "" for row in reader)
    except csv.Error as error:
        raise InputError(
            f"{path}: must be CSV, found: {first_line(error)} in line {reader.line_num}; correct"
            " the quotes there, or save it as CSV again"
        ) from error
