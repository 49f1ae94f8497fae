import pyarrow as pa
import pytest

from rsfiqa.errors import InputError
from rsfiqa.io.parquet import write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import manifest
from rsfiqa.scale import MosScale


def provenance(**changes) -> Provenance:
    fields = {"product": "manifest", "schema": manifest.VERSION, "stage": "prepare", "version": 1}
    return Provenance(**{**fields, **changes})


@pytest.fixture
def table():
    """Five images in shards of two."""
    rows = [
        {
            "image_id": f"{i}.png",
            "path": f"/data/{i}.png",
            "shard": i // 2,
            "width": 4,
            "height": 3,
            "mos": 1.5,
            "quality": 0.125,
            "group": "x",
            "sha256": "0" * 64,
        }
        for i in range(5)
    ]
    return pa.Table.from_pylist(rows, schema=manifest.SCHEMA)


@pytest.fixture
def path(tmp_path, table):
    path = tmp_path / "manifest.parquet"
    manifest.write(path, table, provenance(options={"mos_range": [1, 5], "shards": 3}))
    return path


def test_what_is_read_is_what_was_written(path, table):
    found, origin = manifest.read(path)
    assert found.replace_schema_metadata().equals(table)
    assert origin == provenance(options={"mos_range": [1, 5], "shards": 3})
    assert manifest.scale_of(origin) == MosScale(1, 5)


def test_one_shard(path):
    found, _ = manifest.read(path, "00001")
    assert found["image_id"].to_pylist() == ["2.png", "3.png"]


def test_shard_names(path):
    assert manifest.shard_names(path) == ["00000", "00001", "00002"]


def test_an_empty_manifest_has_no_shards(tmp_path, table):
    path = tmp_path / "a.parquet"
    manifest.write(path, table.slice(0, 0), provenance(options={"shards": 0}))
    assert manifest.shard_names(path) == []


def test_a_shard_whose_images_all_failed_is_empty(tmp_path, table):
    path = tmp_path / "a.parquet"
    manifest.write(path, table, provenance(options={"shards": 4}))
    assert manifest.read(path, "00003")[0].num_rows == 0


def test_a_shard_that_there_is_not(path):
    with pytest.raises(InputError, match="shard must be one of 00000, 00001, 00002, found 00003"):
        manifest.read(path, "00003")


def test_columns_of_other_types_are_cast(tmp_path, table):
    wide = table.set_column(2, "shard", table["shard"].cast(pa.int64()))
    manifest.write(tmp_path / "a.parquet", wide, provenance())
    found, _ = manifest.read(tmp_path / "a.parquet")
    assert found.schema.field("shard").type == pa.int32()


def test_other_columns_cannot_be_written(tmp_path, table):
    with pytest.raises(ValueError, match="schema"):
        manifest.write(tmp_path / "a.parquet", table.drop_columns(["sha256"]), provenance())
    assert list(tmp_path.iterdir()) == []


def test_other_columns_are_refused(tmp_path, table):
    path = tmp_path / "a.parquet"
    write_table(path, table.drop_columns(["sha256"]), provenance())
    with pytest.raises(InputError, match=r"columns must be \['image_id', .* make it again"):
        manifest.read(path)


@pytest.mark.parametrize("changes", [{"product": "regions"}, {"schema": manifest.VERSION + 1}])
def test_another_product_or_schema_is_refused(tmp_path, table, changes):
    path = tmp_path / "a.parquet"
    write_table(path, table, provenance(**changes))
    with pytest.raises(InputError, match=r"expected manifest of schema 2, found \w+ of schema \d"):
        manifest.read(path)


def test_a_missing_manifest(tmp_path):
    with pytest.raises(InputError, match=r"no such file; run the stage that writes it first"):
        manifest.read(tmp_path / "manifest.parquet")


def test_the_scale_of_dmos():
    options = {"mos_range": [-3, 112], "lower_better": True}
    assert manifest.scale_of(provenance(options=options)) == MosScale(-3, 112, lower_better=True)


def test_images_without_scores_have_no_scale():
    assert manifest.scale_of(provenance()) is None
    assert manifest.scale_of(provenance(options={"mos_range": None})) is None


def test_rows_become_a_table_and_rows_again(table):
    rows = manifest.to_rows(table)
    assert manifest.to_table(rows).equals(table)
    assert set(rows[0]) == set(manifest.ManifestRow.__annotations__) == set(manifest.SCHEMA.names)


def test_a_manifest_of_the_first_schema_is_refused_in_one_line(tmp_path, table):
    path = tmp_path / "a.parquet"
    names = ["level" if name == "severity" else name for name in table.column_names]
    write_table(path, table.rename_columns(names), provenance(schema=1))
    with pytest.raises(InputError) as caught:
        manifest.read(path)
    assert str(caught.value) == (
        f"{path}: expected manifest of schema 2, found manifest of schema 1; make it again with"
        " this version of rsfiqa"
    )


def test_a_shard_is_a_small_part_of_a_long_manifest(tmp_path, make_manifest):
    names = [f"{i:05d}.png" for i in range(45_000)]
    path = make_manifest(tmp_path, names) / "manifest.parquet"
    assert pa.parquet.read_metadata(path).num_row_groups == 3
    assert manifest.read(path, "00019")[0]["image_id"].to_pylist() == names[19_000:20_000]
    assert manifest.read(path, "00044")[0]["image_id"].to_pylist() == names[44_000:]
