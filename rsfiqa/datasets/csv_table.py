"""A table of scores of the user's own: `path, mos[, mos_std, group, subset]`.

Paths are relative to the table's folder.
"""

import csv
import math
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from rsfiqa.datasets.entry import Entry, inside
from rsfiqa.errors import InputError, first_line
from rsfiqa.products.image_ids import image_id_of


def read(path: Path) -> list[Entry]:
    """The images of a CSV file; other columns are ignored.

    Without a `group`, an image is its own group.

    Raises:
        InputError: see `read_rows`, `number` and `inside`.
    """
    entries = []
    for location, row in read_rows(path, {"path", "mos"}):
        relative = inside(path.parent, row["path"], location)
        image_id = image_id_of(relative)
        entries.append(
            Entry(
                image_id=image_id,
                path=path.parent / relative,
                group=unicodedata.normalize("NFC", row.get("group", "")) or image_id,
                location=location,
                mos=number(row["mos"], "mos", location),
                mos_std=number(row["mos_std"], "mos_std", location) if row.get("mos_std") else None,
                subset=row.get("subset") or None,
            )
        )
    return entries


def read_rows(path: Path, required: Collection[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The rows that are not empty: location (`scores.csv line 12`) and cells by column.

    Cells are stripped of surrounding whitespace.

    Raises:
        InputError: the file does not exist, is not UTF-8 or not CSV, or lacks a required column.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; set root to the data set's table")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns = [name.strip() for name in next(reader, [])]
            _check_columns(path, columns, required)
            for cells in reader:
                if any(cells):
                    padded = [cell.strip() for cell in cells] + [""] * len(columns)
                    row = dict(zip(columns, padded, strict=False))
                    yield f"{path.name} line {reader.line_num}", row
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: must be UTF-8, found byte {error.object[error.start]:#04x}; save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise InputError(
            f"{path}: must be CSV, found: {first_line(error)}; save it as CSV again"
        ) from error


def _check_columns(path: Path, columns: Collection[str], required: Collection[str]) -> None:
    if missing := sorted(set(required) - set(columns)):
        raise InputError(
            f"{path}: must have the columns {', '.join(sorted(required))}, found"
            f" {', '.join(columns) or 'none'}; add {', '.join(missing)} to the first line,"
            " separated by commas"
        )


def number(text: str, column: str, location: str) -> float:
    """The finite number in a cell.

    Args:
        text: content of the cell.
        column: its name, for messages.
        location: its row, for messages.

    Raises:
        InputError: it is not a number, or not finite.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{location}: '{column}' must be a number, found '{text}'; correct or remove the row"
        )
    return value
