"""Units of the ablation: predictions of all variants of a condition on one split."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.ablation.conditions import Condition
from rsfiqa.errors import InputError
from rsfiqa.io.parquet import read_provenance, read_table, write_table
from rsfiqa.io.provenance import Provenance

PRODUCT, VERSION = "ablation", 1

SCHEMA = pa.schema(
    [
        ("variant", pa.string()),
        ("test", pa.string()),  # set tested on, or a fine-grained task
        ("image_id", pa.string()),  # of the image, or the name of a trial
        ("group", pa.string()),  # resampled together
        ("tag", pa.string()),  # of the image, such as ss02 of BIQ2021
        ("quality", pa.float64()),  # MOS mapped to [0, 1]; null for trials
        ("predicted", pa.float64()),  # null for trials
        ("hit", pa.float64()),  # 1 for a right trial, 0 for a wrong one; null for none
    ]
)


def unit_path(folder: Path, condition: str, split: str) -> Path:
    """The file of a unit."""
    return folder / condition / f"{split}.parquet"


def provenance_of(
    condition: Condition, split: str, inputs: Mapping[str, str], options: Mapping[str, Any]
) -> Provenance:
    """How a unit is made.

    Args:
        condition: of the unit.
        split: of the unit.
        inputs: digest of the products of each set that the condition reads.
        options: of the trainings.
    """
    described = {
        "condition": condition.name,
        "split": split,
        "train": list(condition.train),
        "tests": list(condition.tests),
        "n": condition.n,
        "variants": list(condition.variants),
        **options,
    }
    return Provenance(PRODUCT, VERSION, "benchmark", VERSION, described, inputs=dict(inputs))


def is_done(path: Path, provenance: Provenance) -> bool:
    """Whether a unit is there and was made in this way."""
    try:
        return read_provenance(path).to_json() == provenance.to_json()
    except InputError:  # missing or damaged: it is made again
        return False


def write(path: Path, rows: list[dict[str, Any]], provenance: Provenance) -> None:
    """Write a unit atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, pa.Table.from_pylist(rows, SCHEMA), provenance)


def read(path: Path) -> tuple[pa.Table, Provenance]:
    """A unit.

    Raises:
        InputError: missing, damaged or of another schema.
    """
    return read_table(path, PRODUCT, SCHEMA, VERSION)


def finished(folder: Path, condition: Condition) -> Iterator[tuple[str, pa.Table]]:
    """Split and table of each unit of a condition that is there.

    Raises:
        InputError: a unit is damaged, or was made with other images or options than the first.
    """
    first: Provenance | None = None
    for split in condition.splits:
        path = unit_path(folder, condition.name, split)
        if not path.is_file():
            continue
        table, provenance = read(path)
        first = first or provenance
        if provenance.options | {"split": ""} != first.options | {"split": ""} or (
            provenance.inputs != first.inputs
        ):
            raise InputError(
                f"{path}: units of a condition must have the same options and inputs, found others"
                f" than in {first.options['split']}; run python -m benchmarks ablation again"
            )
        yield split, table
