"""Lists of pictures in CSV and Parquet."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.images.listing import expand_paths

NAMES = ("a.jpg", "b/c, d.jpg", "gone.jpg")


def in_folder(folder: Path) -> list[str]:
    return [str(folder / name) for name in NAMES]


@pytest.mark.parametrize(
    "content",
    [
        'mos,path\n1,a.jpg\n2,"b/c, d.jpg"\n3,\n4,gone.jpg\n',
        "\ufeffPath;mos\r\na.jpg;1\r\nb/c, d.jpg;2\r\n\r\ngone.jpg;3\r\n",
    ],
)
def test_csv_with_a_column_of_paths_relative_to_its_folder(tmp_path, content):
    (tmp_path / "list.csv").write_text(content, "utf-8", newline="")
    assert expand_paths([str(tmp_path / "list.csv")]).paths == in_folder(tmp_path)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_parquet_with_a_column_of_paths(tmp_path, kind):
    texts = pa.array([*NAMES, None, "a.jpg"], pa.string()).cast(kind)
    pq.write_table(pa.table({"n": range(5), "path": texts}), tmp_path / "list.parquet")
    assert expand_paths([str(tmp_path / "list.parquet")]).paths == in_folder(tmp_path)


def test_a_table_of_scores_lists_its_pictures_by_their_location(tmp_path):
    (tmp_path / "s.csv").write_text("path,location\nx/a.jpg,/data/a.jpg\n")
    assert expand_paths([str(tmp_path / "s.csv")]).paths == ["/data/a.jpg"]


def test_names_in_any_encoding_and_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / name).touch()
    (tmp_path / "raw.csv").write_bytes(b"path\ncaf\xe9.jpg\n~/b.jpg\n")
    (tmp_path / "escaped.csv").write_bytes(b"path\ncaf\\xe9.jpg\n")
    raw = expand_paths([str(tmp_path / "raw.csv")]).paths
    assert raw == [str(tmp_path / name), "/home/me/b.jpg"]
    assert expand_paths([str(tmp_path / "escaped.csv")]).paths == raw[:1]


def test_lists_that_cannot_be_read(tmp_path):
    (tmp_path / "columns.csv").write_text("file,mos\na.jpg,1\n")
    (tmp_path / "empty.csv").write_text("")
    pq.write_table(pa.table({"path": [1, 2]}), tmp_path / "numbers.parquet")
    (tmp_path / "text.parquet").write_text("path\n")
    (tmp_path / "quotes.csv").write_text('path\na.jpg\n"b.jpg\n')
    for name, message in (
        ("columns.csv", "must have a column called path, found file, mos; rename"),
        ("empty.csv", "must have a column called path, found an empty first line; write path in"),
        ("numbers.parquet", "path must hold text, found int64"),
        ("text.parquet", "must be Parquet, found other content"),
        ("quotes.csv", "must be CSV, found: unexpected end of data in line 3"),
    ):
        with pytest.raises(InputError, match=message):
            expand_paths([str(tmp_path / name)])


@pytest.mark.parametrize("suffix", ["txt", "csv", "parquet"])
def test_a_picture_with_the_suffix_of_a_list_is_a_picture(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (30, 20)).save(path, "jpeg")
    assert expand_paths([str(path)]).paths == [str(path)]
