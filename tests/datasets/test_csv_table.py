import csv

import pytest

from rsfiqa.datasets import csv_table
from rsfiqa.errors import InputError


@pytest.fixture
def table(tmp_path):
    """Write a table and give back its path."""

    def write(content: str | bytes):
        path = tmp_path / "scores.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_all_columns(table, tmp_path):
    path = table("path,note,mos,mos_std,group,subset\nsub/a.png,x,3.5,0.4,scene 1,train\n")
    (entry,) = csv_table.read(path)
    assert (entry.image_id, entry.path) == ("sub/a.png", tmp_path / "sub/a.png")
    assert (entry.mos, entry.mos_std, entry.group, entry.subset) == (3.5, 0.4, "scene 1", "train")
    assert entry.location == "scores.csv line 2"


def test_without_a_group_each_image_is_one(table):
    entries = csv_table.read(table("path,mos\nb.png,1\n./a.png,2\n"))
    assert [entry.group for entry in entries] == ["b.png", "a.png"]
    assert [entry.mos_std for entry in entries] == [None, None]
    assert [entry.subset for entry in entries] == [None, None]


def test_empty_optional_cells(table):
    (entry,) = csv_table.read(table("path,mos,mos_std,group,subset\na.png,1,,,\n"))
    assert (entry.mos_std, entry.group, entry.subset) == (None, "a.png", None)


def test_blanks_a_byte_order_mark_and_empty_lines_do_not_matter(table):
    path = table("\ufeffpath, mos\r\n\r\n a.png , 2 \r\n".encode())
    (entry,) = csv_table.read(path)
    assert (entry.image_id, entry.mos, entry.location) == ("a.png", 2, "scores.csv line 3")


def test_an_image_id_is_in_nfc_but_its_path_is_as_given(table, tmp_path):
    (entry,) = csv_table.read(table("path,mos\ncafe\u0301.png,1\n"))
    assert entry.image_id == "caf\u00e9.png"
    assert entry.path == tmp_path / "cafe\u0301.png"


def test_an_absolute_path_inside_the_folder_is_taken(table, tmp_path):
    (entry,) = csv_table.read(table(f"path,mos\n{tmp_path}/a.png,1\n"))
    assert entry.image_id == "a.png"


@pytest.mark.parametrize("outside", ["../a.png", "sub/../../a.png", "/etc/a.png", "."])
def test_a_path_that_leaves_the_folder_is_refused(table, outside):
    path = table(f"path,mos\n{outside},1\n")
    message = rf"scores.csv line 2: the image's path must stay inside .*, found '{outside}'; move"
    with pytest.raises(InputError, match=message):
        csv_table.read(path)


@pytest.mark.parametrize("value", ["good", "", "nan", "inf", "3,5", "1_000", "1,234.5", "1 000"])
def test_a_mos_that_is_no_number_is_refused(table, value):
    cell = f'"{value}"'
    message = (
        f"scores.csv line 3: 'mos' must be a number, found '{value}'; correct or remove the row"
    )
    with pytest.raises(InputError, match=message):
        csv_table.read(table(f"path,mos\na.png,1\nb.png,{cell}\n"))


def test_a_row_that_is_too_short_is_refused(table):
    with pytest.raises(InputError, match="line 2: 'mos' must be a number, found ''"):
        csv_table.read(table("path,mos\na.png\n"))


@pytest.mark.parametrize(
    ("header", "row", "counts"),
    [
        ("path,mos", "100.jpg,32,5611", r"\(2\), found 3: 100.jpg,32,5611;"),
        ("path,mos,", "100.jpg,32,5611", r"\(2\), found 3: 100.jpg,32,5611;"),
        ("path,mos,mos_std", "100.jpg,32,5611,4,5", r"\(3\), found 5: "),
        ("path,mos,note", "100.jpg,32.5,sharp, but dark", r"\(3\), found 4: "),
    ],
)
def test_a_row_with_more_cells_than_headings_is_refused(table, header, row, counts):
    message = (
        rf"scores.csv line 3: a row must have no more cells than the first line has headings"
        rf" {counts}.* write numbers with a decimal point, and quote a cell that holds a comma"
    )
    with pytest.raises(InputError, match=message):
        csv_table.read(table(f"{header}\na.png,1\n{row}\n"))


def test_empty_cells_and_columns_at_the_margins_do_not_matter(table):
    entries = csv_table.read(table(",path,mos,,\n0,a.png,1,,\n1,b.png,2\n,,,\n2,c.png,3,\n"))
    assert [(entry.image_id, entry.mos) for entry in entries] == [
        ("a.png", 1),
        ("b.png", 2),
        ("c.png", 3),
    ]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("path,mos,mos", "mos"),
        ("path,mos, mos ", "mos"),
        ("path,MOS,mos", "mos"),
        ("path,mos,group,Group", "group"),
        ("path,mos,note,note", "note"),
    ],
)
def test_a_heading_that_stands_twice_is_refused(table, header, name):
    message = f"scores.csv: headings must differ, found '{name}' 2 times; rename or remove one"
    with pytest.raises(InputError, match=message):
        csv_table.read(table(f"{header}\na.png,1,2,3\n"))


def test_headings_may_differ_in_case_blanks_and_hyphens(table):
    (entry,) = csv_table.read(table("Path,MOS,mos-std,Group,SUBSET\na.png,1,0.5,x,Test\n"))
    assert (entry.mos, entry.mos_std, entry.group, entry.subset) == (1, 0.5, "x", "test")


def test_a_quote_that_is_never_closed_does_not_swallow_rows(table):
    message = "must be CSV, found: .* in line [34]; correct the quotes there"
    for rows in ('a.png,1,"good\nb.png,2,x\n', 'a.png,1,"good\nb.png,2,"x"\n'):
        with pytest.raises(InputError, match=message):
            csv_table.read(table(f"path,mos,note\n{rows}"))


def test_a_cell_may_hold_line_breaks_and_a_message_never_does(table):
    text = 'path,mos,note\na.png,1,"two\nlines"\nb.png,"2\n3",x\n'
    with pytest.raises(
        InputError, match=r"line 5: 'mos' must be a number, found '2\\n3'"
    ) as caught:
        csv_table.read(table(text))
    assert "\n" not in str(caught.value)


def test_a_deviation_below_zero_is_refused(table):
    with pytest.raises(InputError, match="line 2: 'mos_std' must be at least 0, found '-1'; cor"):
        csv_table.read(table("path,mos,mos_std\na.png,1,-1\n"))


def test_numbers_are_read_in_every_usual_form(table):
    entries = csv_table.read(table("path,mos\na,-1\nb,+.5\nc,1e-2\nd,2.\ne,1E+2\n"))
    assert [entry.mos for entry in entries] == [-1, 0.5, 0.01, 2, 100]


def test_a_deviation_that_is_no_number_is_refused(table):
    with pytest.raises(InputError, match="line 2: 'mos_std' must be a number, found 'x'"):
        csv_table.read(table("path,mos,mos_std\na.png,1,x\n"))


@pytest.mark.parametrize(
    ("header", "missing", "found"),
    [
        ("path,score", "mos", "path, score"),
        ("image,mos", "path", "image, mos"),
        ("path;mos", "mos, path", "path;mos"),
        ("", "mos, path", "none"),
    ],
)
def test_a_missing_column_is_named(table, header, missing, found):
    message = f"must have the columns mos, path, found {found}; add {missing} to the first line"
    with pytest.raises(InputError, match=message):
        csv_table.read(table(f"{header}\na.png,1\n" if header else ""))


def test_no_such_table(tmp_path):
    with pytest.raises(InputError, match=r"none.csv: no such file; set root"):
        csv_table.read(tmp_path / "none.csv")


def test_another_encoding_is_refused(table):
    with pytest.raises(InputError, match="must be UTF-8, found byte 0xe9; save it as UTF-8"):
        csv_table.read(table("path,mos\ncafé.png,1\n".encode("latin-1")))


def test_a_cell_without_end_is_refused(table):
    csv.field_size_limit(1 << 24)  # as another reader of the same process leaves it
    with pytest.raises(InputError, match="must be CSV, found: field larger than field limit"):
        csv_table.read(table('path,mos\n"' + "x" * 140_000 + ",1\n"))
