import os

import pyarrow as pa
import pyarrow.dataset
import pytest

from rsfiqa.errors import InputError
from rsfiqa.io.parquet import PARQUET_KEY, read_provenance, read_table, write_table

SCHEMA = pa.schema([("number", pa.int64())])
TABLE = pa.table({"number": range(1000)}, schema=SCHEMA)


@pytest.fixture
def path(tmp_path, provenance):
    path = tmp_path / "a.parquet"
    write_table(path, TABLE, provenance("numbers"))
    return path


@pytest.mark.parametrize(
    ("product", "schema", "way_out"),
    [
        ("letters", 1, "give another file"),
        ("numbers", 2, "make it again with this version of rsfiqa"),
    ],
)
def test_another_product_or_schema(path, product, schema, way_out):
    message = (
        rf"a.parquet: expected {product} of schema {schema}, found numbers of schema 1; {way_out}$"
    )
    with pytest.raises(InputError, match=message):
        read_table(path, product, SCHEMA, schema)


def test_a_table_comes_back_with_its_provenance(path, provenance):
    table, origin = read_table(path, "numbers", SCHEMA, 1)
    assert table["number"].to_pylist() == list(range(1000))
    assert origin == read_provenance(path) == provenance("numbers")


def test_the_same_table_gives_the_same_bytes(path, provenance):
    again = path.with_name("b.parquet")
    write_table(again, TABLE, provenance("numbers"))
    assert again.read_bytes() == path.read_bytes()


def test_other_columns(path):
    with pytest.raises(InputError, match=r"columns must be \['x'\], found \['number'\]; make it"):
        read_table(path, "numbers", pa.schema([("x", pa.int64())]), 1)


def test_a_flipped_byte_anywhere_is_noticed(tmp_path, provenance, flip):
    path = tmp_path / "a.parquet"
    write_table(path, TABLE.slice(0, 20), provenance("numbers"))
    for offset in range(0, path.stat().st_size, 5):
        flip(path, offset)
        with pytest.raises(InputError) as result:
            read_table(path, "numbers", SCHEMA, 1)
        assert "\n" not in str(result.value)
        flip(path, offset)
    read_table(path, "numbers", SCHEMA, 1)


def test_a_table_of_an_earlier_version_has_no_checksum(tmp_path, provenance):
    path = tmp_path / "a.parquet"
    metadata = {PARQUET_KEY: provenance("numbers").to_json().encode()}
    pa.parquet.write_table(TABLE.replace_schema_metadata(metadata), path)
    assert read_table(path, "numbers", SCHEMA, 1)[0].equals(TABLE)


def test_other_tools_read_a_table_with_a_checksum(path):
    assert pa.parquet.read_table(path)["number"].to_pylist() == list(range(1000))
    assert pa.dataset.dataset(path).count_rows() == 1000


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_a_truncated_table(path, size):
    os.truncate(path, size)
    with pytest.raises(
        InputError, match=r"a.parquet: not Parquet or damaged \(.*\); delete it and run"
    ):
        read_table(path, "numbers", SCHEMA, 1)


def test_a_table_by_somebody_else(tmp_path):
    pa.parquet.write_table(TABLE, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"not written by rsfiqa; delete it and run again$"):
        read_provenance(tmp_path / "a.parquet")
