import numpy as np
import pyarrow as pa
import pytest

from rsfiqa.errors import InputError
from rsfiqa.io.parquet import write_table
from rsfiqa.products import captions
from rsfiqa.products.captions import CaptionRow, Distortion
from rsfiqa.vocabulary import RATINGS


def row(image_id: str, region: int, **changes) -> dict:
    ratings = dict.fromkeys(RATINGS, 3)
    expected = {f"{name}_expected": 2.75 for name in RATINGS}
    return {
        "image_id": image_id,
        "region": region,
        "content": "sky",
        "text": "A sky.",
        "distortions": [{"family": "blur", "severity": 2}],
        "raw": None,
        "status": "ok",
        **ratings,
        **expected,
        **changes,
    }


def test_what_is_read_is_what_was_written_sorted(tmp_path, provenance):
    failed = dict.fromkeys(RATINGS) | {"distortions": [], "status": "failed"}
    rows = [row("b", 0), row("a", 10), row("a", 2, **failed), row("B", 0)]
    table = pa.Table.from_pylist(rows, schema=captions.SCHEMA)
    captions.write(tmp_path / "a.parquet", table, provenance("captions"))
    found, origin = captions.read(tmp_path / "a.parquet")
    assert found.to_pylist() == [rows[3], rows[2], rows[1], rows[0]]
    assert origin == provenance("captions")


def test_no_captions(tmp_path, provenance):
    captions.write(tmp_path / "a.parquet", captions.SCHEMA.empty_table(), provenance("captions"))
    assert captions.read(tmp_path / "a.parquet")[0].num_rows == 0


def test_one_image_is_a_small_part_of_the_file(tmp_path, provenance):
    rows = pa.Table.from_pylist([row("a", i) for i in range(2500)], schema=captions.SCHEMA)
    captions.write(tmp_path / "a.parquet", rows, provenance("captions"))
    assert pa.parquet.read_metadata(tmp_path / "a.parquet").num_row_groups == 3


@pytest.mark.parametrize(("column", "kind"), [("color", pa.float32()), ("text", pa.binary())])
def test_other_types_are_refused(tmp_path, provenance, column, kind):
    table = pa.Table.from_pylist([row("a", 0)], schema=captions.SCHEMA)
    index = captions.SCHEMA.get_field_index(column)
    table = table.set_column(index, column, table[column].cast(kind))
    write_table(tmp_path / "a.parquet", table, provenance("captions"))
    with pytest.raises(InputError, match=r"columns must be|must be|type"):
        captions.read(tmp_path / "a.parquet")


def test_missing_columns_cannot_be_written(tmp_path, provenance):
    table = captions.SCHEMA.empty_table().drop_columns(["text"])
    with pytest.raises(ValueError, match="schema"):
        captions.write(tmp_path / "a.parquet", table, provenance("captions"))
    assert list(tmp_path.iterdir()) == []


def test_another_schema(tmp_path, provenance):
    write_table(tmp_path / "a.parquet", captions.SCHEMA.empty_table(), provenance("captions", 99))
    with pytest.raises(InputError, match=r"expected captions of schema 1, found captions of sch"):
        captions.read(tmp_path / "a.parquet")


def caption(region: int, **changes) -> CaptionRow:
    usual = {
        "content": "sky",
        "ratings": dict(zip(RATINGS, (1, 2, 3, 4, 5), strict=True)),
        "expectations": dict.fromkeys(RATINGS, 2.75),
        "text": "A sky.",
        "distortions": [Distortion(family="blur", severity=2)],
    }
    return CaptionRow(region=region, **usual | changes)


def test_rows_are_columns_of_the_schema():
    table = captions.to_table({"b": [caption(0), CaptionRow.failed(1, "no JSON")], "a": []})
    assert table.schema == captions.SCHEMA
    ratings = dict(zip(RATINGS, (1, 2, 3, 4, 5), strict=True))
    assert table.to_pylist() == [
        row("b", 0, **ratings),
        row(
            "b",
            1,
            content="",
            text="",
            distortions=[],
            raw="no JSON",
            status="failed",
            **dict.fromkeys(RATINGS),
            **{f"{name}_expected": None for name in RATINGS},
        ),
    ]
    assert captions.to_table({}).num_rows == 0


def test_ratings_are_expectations_words_or_nan():
    some = dict.fromkeys(RATINGS) | {"color": 1.5}
    rows = [caption(0, expectations=some), caption(1), CaptionRow.failed(2, "")]
    ratings = captions.ratings_array(captions.to_table({"a": rows}))
    assert ratings.dtype == np.float32
    np.testing.assert_array_equal(ratings, [[1.5, 2, 3, 4, 5], [2.75] * 5, [np.nan] * 5])


def test_rows_have_the_ratings_of_their_table():
    unknown = dict.fromkeys(RATINGS)
    rows = [
        caption(0),
        caption(1, expectations=unknown),
        caption(2, expectations=unknown | {"blur": 1.5}, ratings=unknown | {"color": 4}),
        CaptionRow.failed(3, "no JSON"),
    ]
    expected = captions.ratings_array(captions.to_table({"a": rows}))
    np.testing.assert_array_equal(captions.ratings_of(rows), expected, strict=True)
    assert captions.ratings_of([]).shape == (0, len(RATINGS))


def test_a_rating_may_be_missing_by_itself():
    rows = [
        {"color": 3, "color_expected": 2.75, "noise": 4, "overall_expected": 1.5},
        {"color": 5, "blur": 1, "blur_expected": 1.25},
        {"status": "failed"},
    ]
    actual = captions.ratings_array(pa.Table.from_pylist(rows, schema=captions.SCHEMA))
    nan = np.nan  # color, noise, artifact, blur, overall
    expected = [[2.75, 4, nan, nan, 1.5], [5, nan, nan, 1.25, nan], [nan] * 5]
    np.testing.assert_array_equal(actual, np.array(expected, np.float32), strict=True)
