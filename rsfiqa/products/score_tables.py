"""Tables of scores on disk, in Parquet, CSV or JSON lines.

Others may have filtered, sorted or extended them: rows may be missing and further columns there.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar, cast

import pyarrow as pa

from rsfiqa.errors import InputError, first_line, first_names
from rsfiqa.io.atomic import atomic
from rsfiqa.io.json_files import parse_json
from rsfiqa.io.parquet import read_rewritten, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.scores import SCHEMA, VERSION, Row, check_row

BATCH = 1000  # rows in memory
SHARD = re.compile(r"\d{5}\.parquet")
LARGEST_CELL = 1 << 24  # characters of CSV; somebody's own column may hold texts

T = TypeVar("T")
Renew = Callable[[Row], Row]


def read(path: Path) -> Iterator[Row]:
    """The rows of a table, without columns that others added.

    Raises:
        InputError: no file, something else, or a table of another version.
    """
    if path.is_dir():
        raise InputError(
            f"{path}: must be a table of scores, found a folder; give a table that rsfiqa score"
            " wrote"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file; write it with rsfiqa score PATH... -o {path}")
    with _as_content_error(path), _as_read_error(path):
        for number, row in enumerate(_rows(path), 1):
            yield check_row(row, number)


def write(output: Path, rows: Iterable[Row], label: str) -> None:
    """Write a table atomically, in the format of its suffix.

    Args:
        output: ends in one of `FORMATS`.
        rows: of the table.
        label: of the checkpoint.
    """
    if output.suffix == ".parquet":
        _write_parquet(output, _to_table(rows), label)
    elif output.suffix == ".jsonl":
        _write_lines(output, map(_to_line, rows))
    else:
        _write_csv(output, SCHEMA.names, map(_to_cells, rows))


def update(output: Path, renew: Renew, rows: Iterable[Row], label: str) -> None:
    """Write a table anew, atomically: known rows in their place and then further ones.

    Columns that others added stay as they are, and are empty in further rows.

    Args:
        output: the table.
        renew: gives the row that takes the place of a row; the same one if it stays.
        rows: further ones.
        label: of the checkpoint.

    Raises:
        InputError: see `read`.
    """
    with _as_content_error(output):
        if output.suffix == ".parquet":
            table = read_rewritten(output, "scores", SCHEMA, VERSION)
            _write_parquet(output, _updated_table(table, renew, rows), label)
        elif output.suffix == ".jsonl":
            lines = (_updated_line(line, renew) for line in _lines(output))
            _write_lines(output, chain(lines, map(_to_line, rows)))
        else:
            header, cells, bom = _open_csv(output)
            updated = (_updated_cells(header, row, renew) for row in cells)
            blank = [""] * len(header)
            new = (_replaced_cells(header, blank, None, row) for row in rows)
            _write_csv(output, header, chain(updated, new), bom=bom)


def shards(folder: Path) -> list[Path]:
    """The tables of a run in the workflow, `<shard>.parquet`, sorted; what lies beside is not."""
    return sorted(path for path in folder.glob("*.parquet") if SHARD.fullmatch(path.name))


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """Some columns of a table in Parquet, checked as in `read`.

    Raises:
        InputError: see `read`.
    """
    with _as_content_error(path), _as_read_error(path):
        return read_rewritten(path, "scores", SCHEMA, VERSION).select(columns)


def replace_column(path: Path, name: str, column: pa.Array, label: str) -> None:
    """Write a table in Parquet anew, atomically, with other values of a column.

    Args:
        path: of the table.
        name: of the column.
        column: its values.
        label: of the checkpoint.

    Raises:
        InputError: see `read`.
    """
    with _as_content_error(path):
        table = read_rewritten(path, "scores", SCHEMA, VERSION)
        place = table.column_names.index(name)
        _write_parquet(path, table.set_column(place, SCHEMA.field(name), column), label)


@contextmanager
def _as_content_error(path: Path) -> Iterator[None]:
    """Turn an error of a table's content into an `InputError`; not those of the disk."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error, pa.ArrowException) as error:
        raise InputError(
            f"{path}: must be scores, found other content ({first_line(error)}); give a table that"
            " rsfiqa score wrote"
        ) from error


@contextmanager
def _as_read_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or first_line(error)}); change permissions"
        ) from error


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        table = read_rewritten(path, "scores", SCHEMA, VERSION)
        yield from _table_rows(table)
    elif path.suffix == ".jsonl":
        yield from (_from_line(line) for line in _lines(path))
    elif path.suffix == ".csv":
        header, cells, _ = _open_csv(path)
        yield from (_from_cells(header, row) for row in cells)
    else:
        raise ValueError(f"the suffix {path.suffix!r}")


def _check_columns(found: Container[str]) -> None:
    if missing := [name for name in SCHEMA.names if name not in found]:
        raise ValueError(f"no column {first_names(missing)}")


# Parquet


def _table_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.select(SCHEMA.names).cast(SCHEMA).to_batches(BATCH):
        yield from map(_without_nan, batch.to_pylist())


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in row.items()
    }


def _to_table(rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_batches(
        (pa.RecordBatch.from_pylist(part, SCHEMA) for part in _batches(rows)), SCHEMA
    )


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while part := list(islice(iterator, BATCH)):
        yield part


def _updated_table(table: pa.Table, renew: Renew, rows: Iterable[Row]) -> pa.Table:
    own = _to_table(renew(cast(Row, row)) for row in _table_rows(table))
    new = _to_table(rows)
    columns = {
        name: pa.concat_tables([own.select([name]), new.select([name])])[name]
        if name in SCHEMA.names
        else pa.chunked_array([*table[name].chunks, pa.nulls(len(new), table[name].type)])
        for name in table.column_names
    }
    return pa.table(columns)


def _write_parquet(output: Path, table: pa.Table, label: str) -> None:
    provenance = Provenance("scores", VERSION, "score", VERSION, {"checkpoint": label})
    write_table(output, table, provenance)


# JSON lines


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from (line for line in file if line.strip())


def _from_line(line: str) -> dict[str, Any]:
    row = parse_json(line)
    if not isinstance(row, dict):
        raise ValueError(f"{type(row).__name__} in a line")  # noqa: TRY004 the file is wrong
    _check_columns(row)
    return _without_nan({name: row[name] for name in SCHEMA.names})


def _to_line(row: Row) -> str:
    return json.dumps(row) + "\n"


def _updated_line(line: str, renew: Renew) -> str:
    row = cast(Row, _from_line(line))
    renewed = renew(row)
    ended = line if line.endswith("\n") else f"{line}\n"
    return ended if renewed is row else json.dumps({**json.loads(line), **renewed}) + "\n"


def _write_lines(output: Path, lines: Iterable[str]) -> None:
    with atomic(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines)


# CSV

Header = Sequence[str]
Cells = Sequence[str]


def _open_csv(path: Path) -> tuple[Header, Iterator[Cells], bool]:
    """Header and rows of CSV, and whether it begins with a byte order mark, as Excel's does.

    Raises:
        InputError: it is separated by semicolons.
    """
    csv.field_size_limit(LARGEST_CELL)
    with path.open("rb") as file:
        bom = file.read(3) == b"\xef\xbb\xbf"
    cells = _csv_rows(path)
    header = next(cells, [])
    if len(header) == 1 and ";" in header[0]:  # as spreadsheets save it in some countries
        raise InputError(
            f"{path}: must be separated by commas, found semicolons; save it with commas"
        )
    _check_columns(header)
    return header, cells, bom


def _csv_rows(path: Path) -> Iterator[Cells]:
    width = None
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, cells in enumerate(csv.reader(file)):
            if width is not None and cells and len(cells) != width:
                raise ValueError(f"{len(cells)} cells in row {number}, {width} in the header")
            width = len(cells) if width is None else width
            if cells:  # an empty line has none
                yield cells


def _from_cells(header: Header, cells: Cells) -> dict[str, Any]:
    """A row of CSV with the types of `SCHEMA`."""
    texts = dict(zip(reversed(header), reversed(cells), strict=True))  # the first of equal names
    return {field.name: _typed(texts[field.name], field.type) for field in SCHEMA}


def _typed(text: str, kind: pa.DataType) -> Any:
    """The value of a cell; lists may be written as other programs write them."""
    if pa.types.is_list(kind):
        if pa.types.is_integer(kind.value_type):
            return [int(item) for item in re.findall(r"-?\d+", text)] or None
        return re.findall(r"\w+", text)
    if text == "":
        return None
    if pa.types.is_floating(kind):
        return None if math.isnan(float(text)) else float(text)
    return int(float(text)) if pa.types.is_integer(kind) else text


def _to_cells(row: Row) -> Cells:
    lists = {
        "worst_box": " ".join(map(str, row["worst_box"] or [])),
        "flags": " ".join(row["flags"]),
    }
    values = {**row, **lists}
    return ["" if values[name] is None else str(values[name]) for name in SCHEMA.names]


def _updated_cells(header: Header, cells: Cells, renew: Renew) -> Cells:
    row = cast(Row, _from_cells(header, cells))
    renewed = renew(row)
    return cells if renewed is row else _replaced_cells(header, cells, row, renewed)


def _replaced_cells(header: Header, cells: Cells, before: Row | None, row: Row) -> Cells:
    """The cells with those values that differ from before; the others stay as they are written."""
    replaced = list(cells)
    old = {} if before is None else dict(before)
    for (name, value), cell in zip(_in_order(row), _to_cells(row), strict=True):
        if before is None or old[name] != value:
            replaced[header.index(name)] = cell
    return replaced


def _in_order(row: Row) -> list[tuple[str, Any]]:
    return [(name, cast(dict[str, Any], row)[name]) for name in SCHEMA.names]


def _write_csv(output: Path, header: Header, rows: Iterable[Cells], *, bom: bool = False) -> None:
    encoding = "utf-8-sig" if bom else "utf-8"
    with atomic(output) as partial, partial.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
