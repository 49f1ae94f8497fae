"""Tables in Excel workbooks (.xlsx), read as those in CSV files are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from rsfiqa.datasets.csv_table import check_headings
from rsfiqa.errors import DAMAGED, InputError, first_line


def read_rows(
    path: Path,
    required: Collection[str],
    sheet: str | None = None,
    *,
    optional: Collection[str] = (),
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The rows of a sheet: location (`scores.xlsx row 12`) and cells as text by column.

    The header is the first row with all required columns. Rows whose required cells are all empty
    are skipped: sheets end in empty rows and remarks. Cells are stripped of surrounding whitespace.

    Args:
        path: the workbook.
        required: names of columns.
        sheet: name of the sheet; by default the first one.
        optional: names of further columns that are read if they are there.

    Raises:
        InputError: the file is not a workbook, the sheet or a required column is missing, or two
            columns that are read have one name.
    """
    lines = _lines(path, sheet)
    columns: list[str] | None = None
    for number, cells in enumerate(lines, 1):
        if columns is None:
            if set(required) <= set(cells):
                location = f"{path.name} row {number}"
                check_headings(location, (cell for cell in cells if cell in (*required, *optional)))
                columns = cells
            continue
        row = dict(zip(columns, cells, strict=False))
        if any(row.get(column) for column in required):
            yield f"{path.name} row {number}", row
    if columns is None:
        raise InputError(
            f"{path}: must have the columns {', '.join(sorted(required))} in one row, found none"
            f" such in {len(lines)} rows; download the release again"
        )


def _lines(path: Path, sheet: str | None) -> Sequence[list[str]]:
    """All rows of a sheet as text."""
    try:
        # opened here, since openpyxl leaves a damaged file open
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            names = book.sheetnames
            title = sheet or names[0]
            if title in names:
                rows = book[title].iter_rows(values_only=True)
                return [[_text(cell) for cell in row] for row in rows]
    except (*DAMAGED, BadZipFile, ParseError, InvalidFileException) as error:
        raise InputError(
            f"{path}: must be an Excel workbook, found: {first_line(error)}; download the"
            " release again"
        ) from error
    raise InputError(
        f"{path}: must have the sheet {title}, found {', '.join(names)}; download the release again"
    )


def _text(cell: object) -> str:
    """The text of a cell: "" for an empty one, "1600" for 1600.0."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
