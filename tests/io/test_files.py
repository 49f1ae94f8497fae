import errno
import hashlib
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.dataset
import pytest

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.atomic import HOST, atomic
from rsfiqa.io.checksum import append_checksum, sha256_of, verify_checksum
from rsfiqa.io.json_files import write_json
from rsfiqa.io.parquet import PARQUET_KEY, read_provenance, read_table, write_table
from rsfiqa.io.provenance import Provenance, check_input

SCHEMA = pa.schema([("number", pa.int64())])
TABLE = pa.table({"number": range(1000)}, schema=SCHEMA)


@pytest.fixture
def path(tmp_path, provenance):
    path = tmp_path / "a.parquet"
    write_table(path, TABLE, provenance("numbers"))
    return path


def test_the_new_file_takes_the_place_of_the_old_one_at_the_end(tmp_path):
    path = tmp_path / "a"
    path.write_text("old", "utf-8")
    with atomic(path) as partial:
        partial.write_text("new", "utf-8")
        assert path.read_text("utf-8") == "old"
    assert path.read_text("utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a"
    path.write_text("old", "utf-8")
    with pytest.raises(error), atomic(path) as partial:
        partial.write_text("half", "utf-8")
        raise error
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_has_left_is_removed(tmp_path):
    path = tmp_path / "a"
    code = (
        "import sys, os, pathlib; from rsfiqa.io.atomic import atomic\n"
        "with atomic(pathlib.Path(sys.argv[1])) as p: p.touch(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=False)
    (left,) = tmp_path.iterdir()
    with atomic(path) as partial:
        assert list(tmp_path.iterdir()) == []
        partial.touch()
        own = partial.name
    assert left.name.startswith(f".a.{own.split('.')[2].split('-')[0]}-")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [".a.00000000-1.partial", ".b.{host}-999999999.partial"])
def test_what_others_write_stays(tmp_path, name):
    other = tmp_path / name.format(host=HOST)
    other.touch()
    (tmp_path / f".a.{HOST}-1.partial").touch()  # process 1 runs
    write_json(tmp_path / "a", {})
    assert other.exists()
    assert (tmp_path / f".a.{HOST}-1.partial").exists()


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, atomic(tmp_path / "a") as partial:
        partial.touch()
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a")


def test_folders_are_made(tmp_path):
    write_json(tmp_path / "a/b/c.json", {"x": 1})
    assert (tmp_path / "a/b/c.json").read_text("utf-8") == '{\n  "x": 1\n}\n'


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    code = (
        "import sys, pathlib; from rsfiqa.io.atomic import atomic\n"
        "with atomic(pathlib.Path(sys.argv[1])) as p: p.touch(0o600)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a"], umask=umask, check=True)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a") == expected


def test_provenance_survives_json(provenance):
    origin = provenance("x", 2, options={"b": [1, None]}, models={"m": "1"}, inputs={"i": "2"})
    assert Provenance.from_json(origin.to_json()) == origin


@pytest.mark.parametrize(("product", "schema"), [("letters", 1), ("numbers", 2)])
def test_another_product_or_schema(path, product, schema):
    message = (
        rf"a.parquet: expected {product} of schema {schema}, found numbers of schema 1; make it"
        r" again with this version of rsfiqa$"
    )
    with pytest.raises(InputError, match=message):
        read_table(path, product, SCHEMA, schema)


def test_inputs_at_hand(path, provenance):
    origin = provenance("captions", inputs={"regions": "a" * 64})
    check_input(origin, path, {"regions": "a" * 64, "captions": "c" * 64}, "caption")
    message = (
        r"made from another regions file \(a{12}, at hand is b{12}\); run the caption stage again$"
    )
    with pytest.raises(InputError, match=message):
        check_input(origin, path, {"regions": "b" * 64}, "caption")


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
        with pytest.raises(InputError) as found:
            read_table(path, "numbers", SCHEMA, 1)
        assert "\n" not in str(found.value)
        flip(path, offset)
    read_table(path, "numbers", SCHEMA, 1)


def test_a_table_of_an_earlier_version_has_no_seal(tmp_path, provenance):
    path = tmp_path / "a.parquet"
    metadata = {PARQUET_KEY: provenance("numbers").to_json().encode()}
    pa.parquet.write_table(TABLE.replace_schema_metadata(metadata), path)
    assert read_table(path, "numbers", SCHEMA, 1)[0].equals(TABLE)


def test_a_seal_by_hand(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"headtail")
    append_checksum(path, 4)
    digest = hashlib.sha256(b"headtail").digest()
    assert path.read_bytes() == b"head" + b"rsfiqa sha256 " + digest + b"tail"
    verify_checksum(path, 4, has_checksum=True)
    for tail, has_checksum in ((4, False), (3, True), (100, True)):
        with pytest.raises(ValueError, match="checksum differs"):
            verify_checksum(path, tail, has_checksum=has_checksum)


def test_other_tools_read_a_sealed_table(path):
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


def test_the_first_line_of_an_error():
    assert first_line(ValueError("\none\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
