"""A table of scores of the user's own: `path, mos[, mos_std, group, subset]`.

Paths are relative to the table's folder.
"""

import csv
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from rsfiqa.datasets.entry import Entry, inside
from rsfiqa.errors import InputError, first_line
from rsfiqa.products.image_ids import image_id_of

MAX_CELL = 1 << 17  # characters; a quote that is never closed makes a longer one
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # float takes 1_000 too


def read(path: Path) -> list[Entry]:
    """The images of a CSV file; other columns are ignored.

    Headings are compared without regard to case, with blanks and hyphens as underscores: `MOS Std`
    is mos_std. Without a `group`, an image is its own group.

    Raises:
        InputError: see `read_rows`, `number` and `inside`.
    """
    return [
        _entry(path.parent, row, location)
        for location, row in read_rows(path, {"path", "mos"}, heading=_heading)
    ]


def _heading(text: str) -> str:
    return re.sub(r"[\s-]+", "_", text.strip().casefold())


def _entry(folder: Path, row: Mapping[str, str], location: str) -> Entry:
    relative = inside(folder, row["path"], location)
    image_id = image_id_of(relative)
    mos_std = row.get("mos_std")
    return Entry(
        image_id=image_id,
        path=folder / relative,
        group=unicodedata.normalize("NFC", row.get("group", "")) or image_id,
        location=location,
        mos=number(row["mos"], "mos", location),
        mos_std=number(mos_std, "mos_std", location, least=0) if mos_std else None,
        subset=row.get("subset", "").casefold() or None,
    )


def read_rows(
    path: Path, required: Collection[str], *, heading: Callable[[str], str] = str.strip
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The rows that are not empty: location (`scores.csv line 12`) and cells by column.

    Cells are stripped of surrounding whitespace. Missing cells at the end of a row are empty:
    spreadsheets leave them out.

    Args:
        path: the file.
        required: names of columns.
        heading: turns a cell of the first line into the name of its column.

    Raises:
        InputError: the file does not exist, is not UTF-8 or not CSV, lacks a required column or
            has two of one name; a row has a cell without a heading.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; set root to the data set's table")
    csv.field_size_limit(MAX_CELL)  # of the process: whoever read a file before set another
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # strict: a quote that is never closed would swallow the rows after it
            reader = csv.reader(file, strict=True)
            first = next(reader, [])
            columns = [heading(cell) for cell in first]
            if missing := sorted(set(required) - set(columns)):
                raise InputError(
                    f"{path}: must have the columns {', '.join(sorted(required))}, found"
                    f" {', '.join(map(str.strip, first)) or 'none'}; add {', '.join(missing)} to"
                    " the first line, separated by commas"
                )
            check_headings(path.name, filter(None, columns))
            while columns and not columns[-1]:
                columns.pop()
            for row in reader:
                location = f"{path.name} line {reader.line_num}"
                if any(cells := [cell.strip() for cell in row]):
                    yield location, _row(columns, cells, location)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: must be UTF-8, found byte {error.object[error.start]:#04x}; save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise InputError(
            f"{path}: must be CSV, found: {first_line(error)} in line {reader.line_num}; correct"
            " the quotes there, or save it as CSV again"
        ) from error


def _row(columns: Sequence[str], cells: Sequence[str], location: str) -> dict[str, str]:
    """The cells of a row by column, "" for those that are missing."""
    if any(cells[len(columns) :]):
        raise InputError(
            f"{location}: a row must have no more cells than the first line has headings"
            f" ({len(columns)}), found {len(cells)}: {','.join(cells)}; write numbers with a"
            " decimal point, and quote a cell that holds a comma"
        )
    return dict(zip_longest(columns, cells[: len(columns)], fillvalue=""))


def check_headings(location: str, headings: Iterable[str]) -> None:
    """Raise if two columns have one name, as only one of them would be read.

    Args:
        location: of the headings, for messages.
        headings: names of the columns.

    Raises:
        InputError: names the heading.
    """
    for name, count in Counter(headings).items():
        if count > 1:
            raise InputError(
                f"{location}: headings must differ, found '{name}' {count} times; rename or remove"
                " one of the columns"
            )


def number(text: str, column: str, location: str, *, least: float = -math.inf) -> float:
    """The finite number in a cell.

    Args:
        text: content of the cell.
        column: its name, for messages.
        location: its row, for messages.
        least: lowest number that makes sense.

    Raises:
        InputError: it is not a number, not finite or too low.
    """
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{location}: '{column}' must be a number, found '{text}'; correct or remove the row"
        )
    if value < least:
        raise InputError(
            f"{location}: '{column}' must be at least {least:g}, found '{text}'; correct or remove"
            " the row"
        )
    return value
