import pytest

from rsfiqa.datasets.spreadsheet import read_rows
from rsfiqa.errors import InputError


def test_the_header_may_stand_anywhere(workbook, tmp_path):
    rows = [["Scores of 2011"], [None], [None, " name ", "score"], [None, "a", 1], [None, "b", 2.5]]
    path = workbook(tmp_path / "scores.xlsx", first=rows)
    found = [
        (location, row["name"], row["score"])
        for location, row in read_rows(path, {"name", "score"})
    ]
    assert found == [("scores.xlsx row 4", "a", "1"), ("scores.xlsx row 5", "b", "2.5")]


def test_whole_numbers_are_without_a_point_and_empty_rows_left_out(workbook, tmp_path):
    path = workbook(
        tmp_path / "scores.xlsx", first=[["name", "x"], [1600.0], [None, "?"], ["b", 1]]
    )
    assert [row["name"] for _, row in read_rows(path, {"name"})] == ["1600", "b"]


def test_the_first_sheet_unless_another_is_asked_for(workbook, tmp_path):
    path = workbook(tmp_path / "scores.xlsx", one=[["name"], ["a"]], two=[["name"], ["b"]])
    assert [row["name"] for _, row in read_rows(path, {"name"})] == ["a"]
    assert [row["name"] for _, row in read_rows(path, {"name"}, "two")] == ["b"]


def test_a_missing_column_is_an_error(workbook, tmp_path):
    path = workbook(tmp_path / "scores.xlsx", first=[["name"], ["a"]])
    message = r"must have the columns mos, name in one row, found none such in 2 rows; dow"
    with pytest.raises(InputError, match=message):
        list(read_rows(path, {"name", "mos"}))


def test_a_heading_that_is_read_must_not_stand_twice(workbook, tmp_path):
    path = workbook(tmp_path / "scores.xlsx", first=[["name", "x", "std", "x", "std"], ["a"]])
    assert len(list(read_rows(path, {"name"}))) == 1
    for columns in ({"required": {"name", "std"}}, {"required": {"name"}, "optional": {"std"}}):
        message = "scores.xlsx row 1: headings must differ, found 'std' 2 times; rename or remove"
        with pytest.raises(InputError, match=message):
            list(read_rows(path, **columns))


def test_a_damaged_workbook_is_an_error_or_a_workbook(workbook, tmp_path, refused):
    rows = [["name", "mos"], *([f"{i}.png", i / 7] for i in range(50))]
    path = workbook(tmp_path / "scores.xlsx", first=rows)
    assert refused(path, lambda: list(read_rows(path, {"name", "mos"}))) > 20


@pytest.mark.parametrize("content", [b"", b"name,mos\na,1\n", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_workbook_is_an_error(tmp_path, content):
    path = tmp_path / "scores.xlsx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"scores.xlsx: must be an Excel workbook, found: .+; dow"):
        list(read_rows(path, {"name"}))
