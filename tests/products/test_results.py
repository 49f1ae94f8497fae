from dataclasses import fields

import pyarrow as pa
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import results
from rsfiqa.products.paths import predictions_path
from rsfiqa.products.results import ResultRow

ROW = ResultRow(
    train="a",
    test="b",
    split="all-00",
    variant="full",
    srcc=0.5,
    krcc=0.25,
    plcc_raw=0.5,
    plcc=float("inf"),
    rmse=1.5,
    n=2,
)
PREDICTION = {"image_id": "x", "split": "all-00", "mos": 3.0, "quality": 0.5, "predicted": 1.25}


def test_what_is_read_is_what_was_written(tmp_path, provenance):
    path = tmp_path / "a.b.full.parquet"
    results.write(path, [ROW], pa.Table.from_pylist([PREDICTION]), provenance("results"))
    rows, made_by = results.read(path)
    assert rows == [ROW]
    assert made_by == provenance("results")
    assert results.read_predictions(path).to_pylist() == [PREDICTION]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "a.b.full.parquet",
        "a.b.full.predictions.parquet",
    ]


def test_predictions_of_one_split(tmp_path, provenance):
    path = tmp_path / "a.b.full.parquet"
    other = PREDICTION | {"split": "all-01"}
    predictions = pa.Table.from_pylist([PREDICTION, other])
    results.write(path, [ROW], predictions, provenance("results"))
    assert results.read_predictions(path, "all-01").to_pylist() == [other]


def test_a_row_has_the_columns_of_the_schema():
    assert [field.name for field in fields(ResultRow)] == results.SCHEMA.names


def test_results_are_not_predictions(tmp_path, provenance):
    path = tmp_path / "a.parquet"
    results.write(path, [], results.PREDICTIONS.empty_table(), provenance("results"))
    with pytest.raises(InputError, match=r"columns must be \['train', .* found \['image_id'"):
        results.read(predictions_path(path))
