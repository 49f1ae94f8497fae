"""Benchmark results, one row per (train set, test set, split, method), and predictions."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
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
        ("variant", pa.string()),  # of the model, or a baseline
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
        ("predicted", pa.float64()),  # on the train set's quality scale, not clipped to [0, 1]
    ]
)


@dataclass(frozen=True)
class ResultRow:
    """The metrics of one method on one split; see `SCHEMA`."""

    train: str
    test: str
    split: str
    variant: str
    srcc: float
    krcc: float
    plcc_raw: float
    plcc: float
    rmse: float
    n: int


def write(
    path: Path, rows: Iterable[ResultRow], predictions: pa.Table, provenance: Provenance
) -> None:
    """Write the results of one method on one pair of data sets, predictions first.

    Args:
        path: of the table of results; predictions are written beside it.
        rows: one per split.
        predictions: of all splits, by `PREDICTIONS`.
        provenance: of both tables; its inputs are SHA-256 of the tested images and their scores,
            by split.
    """
    write_table(predictions_path(path), predictions.cast(PREDICTIONS), provenance)
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMA)
    write_table(path, table, provenance)


def read(path: Path) -> tuple[list[ResultRow], Provenance]:
    """The results in one file.

    Raises:
        InputError: missing, damaged or of another schema.
    """
    table, provenance = read_table(path, "results", SCHEMA, VERSION)
    return [ResultRow(**row) for row in table.to_pylist()], provenance


def read_predictions(path: Path, split: str | None = None) -> pa.Table:
    """The predictions beside a table of results.

    Args:
        path: of the table of results.
        split: whose predictions to read; None for all splits.

    Raises:
        InputError: missing, damaged or of another schema.
    """
    table, _ = read_table(predictions_path(path), "results", PREDICTIONS, VERSION)
    return table if split is None else table.filter(pc.equal(table["split"], split))
