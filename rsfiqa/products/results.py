"""Benchmark results, one row per (train set, test set, split, variant), and predictions."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rsfiqa.io.parquet import read_table, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.paths import predictions_path

VERSION = 1


SCHEMA = pa.schema(
    [
        ("train", pa.string()),
        ("test", pa.string()),
        ("split", pa.string()),
        ("variant", pa.string()),
        ("srcc", pa.float64()),
        ("krcc", pa.float64()),
        ("plcc_raw", pa.float64()),
        ("plcc", pa.float64()),  # after the 4-parameter logistic
        ("rmse", pa.float64()),  # after the 4-parameter logistic, in MOS points of the test set
        ("n", pa.int64()),
    ]
)


PREDICTIONS = pa.schema(
    [
        ("image_id", pa.string()),
        ("split", pa.string()),
        ("mos", pa.float64()),  # native units and direction of the test set
        ("quality", pa.float64()),  # MOS mapped to [0, 1], higher is better
        ("predicted", pa.float64()),  # on the train set's quality scale, not cut to [0, 1]
    ]
)


def write(path: Path, rows: pa.Table, predictions: pa.Table, provenance: Provenance) -> None:
    """Write the results of one variant on one pair of sets, predictions first."""
    write_table(predictions_path(path), predictions.cast(PREDICTIONS), provenance)
    write_table(path, rows.cast(SCHEMA), provenance)


def read(path: Path) -> tuple[pa.Table, Provenance]:
    """The results in one file.

    Raises:
        InputError: missing, damaged or another schema.
    """
    return read_table(path, "results", SCHEMA, VERSION)


def read_predictions(path: Path, split: str | None = None) -> pa.Table:
    """The predictions beside a table of results: of one split, or of all."""
    table, _ = read_table(predictions_path(path), "results", PREDICTIONS, VERSION)
    return table if split is None else table.filter(pc.equal(table["split"], split))
