"""Tables of scores that others have filtered, sorted, extended or saved from other programs."""

import csv
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import score_tables
from rsfiqa.products.scores import FORMATS, SCHEMA, Row, check, failed_row
from rsfiqa.scale import MosScale

LABEL = "tiny 0123456789ab"


def make_row(name: str, **changes) -> Row:
    state = {"location": f"/p/{name}", "size": 7, "modified": "2026-01-02T03:04:05.000006Z"}
    row = failed_row(name, state, MosScale(1, 5), LABEL)
    known = {
        "score": 2.5,
        "quality": 0.375,
        "worst_box": [0, 1, 20, 30],
        "worst_caption": 'A "dark", grey area.\nOverall bad.',
        "worst_score": 1.5,
        "worst_weight": 0.25,
        "worst_cost": 0.875,
        "flags": ["tiny", "converted"],
        "status": "ok",
    }
    return cast(Row, row | known | changes)


ROWS = [
    make_row("a,b.jpg"),
    make_row("bä.jpg", score=1e-7, flags=[]),
    failed_row(
        "c.jpg", {"location": "/p/c.jpg", "size": None, "modified": None}, MosScale(1, 5), LABEL
    )
    | {"reason": "no such file"},
]


@pytest.fixture(params=FORMATS)
def table(request, tmp_path) -> Path:
    score_tables.write(tmp_path / f"s{request.param}", ROWS, LABEL)
    return tmp_path / f"s{request.param}"


def extend(path: Path) -> None:
    """Add a column `keep`, empty in the second row, before all others."""
    values = ["yes", None, "no"]
    if path.suffix == ".parquet":
        found = pq.read_table(path)
        pq.write_table(found.add_column(0, "keep", [values]), path)
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for row, value in zip(rows, values, strict=True):
            row.update({} if value is None else {"keep": value})
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    else:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
        cells = ["keep", *(value or "" for value in values)]
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([[c, *line] for c, line in zip(cells, lines, strict=True)])


def column(path: Path, name: str) -> list:
    if path.suffix == ".parquet":
        return pq.read_table(path)[name].to_pylist()
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".jsonl":
            return [json.loads(line).get(name) for line in file]
        return [row[name] or None for row in csv.DictReader(file)]


def update(path: Path, changed: list[Row], new: list[Row]) -> None:
    by_location = {row["location"]: row for row in changed}
    score_tables.update(path, lambda row: by_location.get(row["location"], row), new, LABEL)


def test_rows_are_read_as_they_were_written(table):
    assert list(score_tables.read(table)) == ROWS


def test_columns_of_others_stay(table):
    extend(table)
    assert list(score_tables.read(table)) == ROWS
    repaired, new = make_row("c.jpg"), make_row("d.jpg")
    update(table, [repaired], [new])
    assert list(score_tables.read(table)) == [*ROWS[:2], repaired, new]
    assert column(table, "keep") == ["yes", None, "no", None]


def test_an_update_without_changes_keeps_every_value(table):
    extend(table)
    before = table.read_bytes()
    update(table, [], [])
    if table.suffix == ".parquet":  # its metadata differ
        pq.write_table(pq.read_table(table), table)
        assert list(score_tables.read(table)) == ROWS
        assert column(table, "keep") == ["yes", None, "no"]
    else:
        assert table.read_bytes() == before


def test_types_of_others_stay(tmp_path):
    path = tmp_path / "s.parquet"
    score_tables.write(path, ROWS, LABEL)
    own = {
        "when": pa.array([datetime(2026, 1, 2, tzinfo=UTC)] * 3, pa.timestamp("ns", "UTC")),
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        "nested": pa.array([{"a": [1]}, None, {"a": []}]),
        "path2": pa.array([b"\xff", b"", None]),
    }
    found = pq.read_table(path)
    for name, values in own.items():
        found = found.append_column(name, values)
    pq.write_table(found, path)
    update(path, [make_row("c.jpg")], [make_row("d.jpg")])
    again = pq.read_table(path)
    for name, values in own.items():
        assert again[name].type == values.type
        assert again[name].to_pylist() == [*values.to_pylist(), None]


def test_equal_rows_and_their_own_columns_stay(tmp_path):
    path = tmp_path / "s.csv"  # joined with two raters
    score_tables.write(path, [ROWS[0], ROWS[0]], LABEL)
    path.write_bytes(path.read_bytes().replace(b"modified\r", b"modified,rater,rater\r"))
    path.write_bytes(path.read_bytes().replace(b"06Z\r", b"06Z,A,B\r"))
    update(path, [make_row("a,b.jpg", score=3.0)], [])
    assert column(path, "score") == ["3.0", "3.0"]
    assert path.read_text("utf-8").count(",A,B") == 2


def test_parquet_that_another_program_wrote(tmp_path):
    """Large strings and lists, an index, fewer rows in another order, integers with gaps."""
    path = tmp_path / "s.parquet"
    score_tables.write(path, ROWS, LABEL)
    found = pq.read_table(path).replace_schema_metadata({"pandas": "{}"})
    found = found.set_column(
        0, "path", pc.cast(found["path"], pa.large_string()).combine_chunks().dictionary_encode()
    )
    at = found.column_names.index
    found = found.set_column(
        at("flags"), "flags", found["flags"].cast(pa.large_list(pa.large_string()))
    )
    found = found.set_column(
        at("worst_box"), "worst_box", found["worst_box"].cast(pa.list_(pa.int64()))
    )
    found = found.set_column(at("size"), "size", found["size"].cast(pa.float64()))
    found = found.append_column("__index_level_0__", pa.array([0, 1, 2]))
    pq.write_table(found.take([2, 0]), path)
    assert list(score_tables.read(path)) == [ROWS[2], ROWS[0]]


def test_parquet_that_was_filtered_with_its_metadata(tmp_path):
    path = tmp_path / "s.parquet"
    score_tables.write(path, ROWS, LABEL)
    pq.write_table(pq.read_table(path).slice(1), path)
    assert list(score_tables.read(path)) == ROWS[1:]


def test_csv_that_another_program_wrote(tmp_path):
    """An index, a byte order mark, numbers with a point, lists as NumPy and Python print them."""
    path = tmp_path / "s.csv"
    score_tables.write(path, ROWS, LABEL)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row[""] = str(number)
        row["size"] = f"{row['size']}.0" if row["size"] else ""
        row["worst_box"] = f"[{row['worst_box'].replace(' ', '   ')}]" if row["worst_box"] else ""
        row["flags"] = str(row["flags"].split())
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["", *SCHEMA.names], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    assert list(score_tables.read(path)) == ROWS
    update(path, [], [make_row("d.jpg")])
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # Excel reads other letters wrongly else
    assert list(score_tables.read(path)) == [*ROWS, make_row("d.jpg")]


def test_json_lines_that_another_program_wrote(tmp_path):
    path = tmp_path / "s.jsonl"
    rows = [dict(reversed(row.items())) | {"score": row["score"] or float("nan")} for row in ROWS]
    path.write_text("\n\n".join(map(json.dumps, rows)), "utf-8")
    assert list(score_tables.read(path)) == ROWS
    update(path, [], [make_row("d.jpg")])
    assert len(list(score_tables.read(path))) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "done"}, "status 'done' in row 2"),
        ({"path": None}, "no path in row 2"),
        ({"score": None}, "no score in row 2"),
        ({"score": "good"}, "score 'good' in row 2"),
        ({"worst_box": [1, 2]}, "worst_box of 2 numbers in row 2"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path, change, message):
    path = tmp_path / "s.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + json.dumps(ROWS[0] | change) + "\n", "utf-8")
    with pytest.raises(InputError, match=rf"s.jsonl: must be scores, found other .*\({message}\)"):
        list(score_tables.read(path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.csv", b"", "no column path, score"),
        ("s.csv", b"\xff\xfe\0", "codec can't decode"),
        ("s.jsonl", b"[" * 100_000, "nested too deep"),
        ("s.jsonl", b'"text"\n', "str in a line"),
    ],
)
def test_other_content(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        list(score_tables.read(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_semicolons_are_named(tmp_path):
    """As a spreadsheet saves a table where the comma is the decimal point."""
    path = tmp_path / "s.csv"
    score_tables.write(path, ROWS, LABEL)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    before, message = (
        path.read_bytes(),
        r"^.*s.csv: must be separated by commas, found semicolons; ",
    )
    with pytest.raises(InputError, match=message):
        list(score_tables.read(path))
    with pytest.raises(InputError, match=message):
        score_tables.update(path, lambda row: row, ROWS, LABEL)
    assert path.read_bytes() == before


def test_a_row_of_more_cells_than_the_header_is_not_cut(tmp_path):
    path = tmp_path / "s.csv"
    score_tables.write(path, ROWS, LABEL)
    path.write_bytes(path.read_bytes() + b"x\r\n")
    with pytest.raises(InputError, match=rf"1 cells in row 4, {len(SCHEMA)} in the header"):
        list(score_tables.read(path))


def test_an_output_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "s.csv")
    with pytest.raises(InputError, match=r"s.csv: must be a file, found a device or pipe"):
        check(tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-02 03:04:05.000006+00", "2026-01-02T03:04:05.000006Z"),
        ("2026-01-02 03:04:05.5+00", "2026-01-02T03:04:05.500000Z"),
        ("2026-01-02 04:04:05+01:00", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05.000000Z"),
        ("253402300800", "253402300800"),
        ("2026-13-02", "2026-13-02"),
    ],
)
def test_times_that_duckdb_has_rewritten_are_the_same_times(table, written, read):
    """Otherwise each picture would count as changed since it was scored."""
    score_tables.write(table, [make_row("a.jpg", modified=written)], LABEL)
    assert [row["modified"] for row in score_tables.read(table)] == [read]
