"""Tables in Excel workbooks (.xlsx), read like those in CSV files."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from rsfiqa.errors import DAMAGED, InputError, first_line


def read_rows(
    path: Path, required: Collection[str], sheet: str | None = None
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Where each row stands (`scores.xlsx row 12`) and its cells as text, without outer blanks.

    The header is the first row that has the required columns, wherever it starts. Rows without
    any of the required cells are left out: sheets end in empty rows and in remarks.

    Args:
        path: the workbook.
        required: columns that must be there.
        sheet: its name; by default the first.

    Raises:
        InputError: not a workbook, no such sheet, or a required column is missing.
    """
    lines = _lines(path, sheet)
    columns: list[str] | None = None
    for number, cells in enumerate(lines, 1):
        if columns is None:
            if set(required) <= set(cells):
                columns = cells
            continue
        row = dict(zip(columns, cells, strict=False))
        if any(row.get(column) for column in required):
            yield f"{path.name} row {number}", row
    if columns is None:
        raise InputError(
            f"{path}: must have the columns {', '.join(sorted(required))} in one row, found none"
            f" such in {len(lines)} rows; get the release again"
        )


def _lines(path: Path, sheet: str | None) -> Sequence[list[str]]:
    """All rows of a sheet as text."""
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            names = book.sheetnames
            wanted = sheet or names[0]
            if wanted in names:
                rows = book[wanted].iter_rows(values_only=True)
                return [[_text(cell) for cell in row] for row in rows]
        finally:
            book.close()
    except (*DAMAGED, BadZipFile, ParseError, InvalidFileException) as error:
        raise InputError(
            f"{path}: must be an Excel workbook, found: {first_line(error)}; get the release again"
        ) from error
    raise InputError(
        f"{path}: must have the sheet {wanted}, found {', '.join(names)}; get the release again"
    )


def _text(cell: object) -> str:
    """A cell as text: nothing for an empty one, 1600 for 1600.0."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
