import pyarrow as pa
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import results
from rsfiqa.products.paths import predictions_path

ROW = {
    "train": "a",
    "test": "b",
    "split": "all-00",
    "variant": "full",
    "srcc": 0.5,
    "krcc": 0.25,
    "plcc_raw": 0.5,
    "plcc": float("inf"),
    "rmse": 1.5,
    "n": 2,
}
PREDICTION = {"image_id": "x", "split": "all-00", "mos": 3.0, "quality": 0.5, "predicted": 1.25}


def test_what_is_read_is_what_was_written(tmp_path, provenance):
    path = tmp_path / "a.b.full.parquet"
    rows, predictions = pa.Table.from_pylist([ROW]), pa.Table.from_pylist([PREDICTION])
    results.write(path, rows, predictions, provenance("results"))
    table, origin = results.read(path)
    assert table.to_pylist() == [ROW]
    assert origin == provenance("results")
    assert results.read_predictions(path).to_pylist() == [PREDICTION]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "a.b.full.parquet",
        "a.b.full.predictions.parquet",
    ]


def test_results_are_not_predictions(tmp_path, provenance):
    path = tmp_path / "a.parquet"
    results.write(
        path, results.SCHEMA.empty_table(), results.PREDICTIONS.empty_table(), provenance("results")
    )
    with pytest.raises(InputError, match=r"columns must be \['train', .* found \['image_id'"):
        results.read(predictions_path(path))
