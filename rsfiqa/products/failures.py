"""The table of images that could not be used, beside each product."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from rsfiqa.errors import InputError
from rsfiqa.io.parquet import read_table, write_table
from rsfiqa.io.provenance import Provenance

VERSION = 1


SCHEMA = pa.schema([("image", pa.string()), ("stage", pa.string()), ("reason", pa.string())])


def write(path: Path, stage: str, reasons: Mapping[str, str]) -> None:
    """Write one row per image that failed in this stage, sorted by image."""
    rows = [{"image": image, "stage": stage, "reason": reasons[image]} for image in sorted(reasons)]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    write_table(path, table, Provenance("failures", VERSION, stage, VERSION))


def read(path: Path) -> pa.Table:
    """The failures of one shard or manifest: image, stage, reason."""
    return read_table(path, "failures", SCHEMA, VERSION)[0]


def check_failed_fraction(
    subject: Path, reasons: Mapping[str, str], total: int, allowed: float
) -> None:
    """Refuse to go on where too many images have failed.

    Raises:
        InputError: the share of failures is above `allowed`; names the first three.
    """
    if not reasons or len(reasons) <= allowed * total:
        return
    shown = "; ".join(f"{image}: {reasons[image]}" for image in sorted(reasons)[:3])
    raise InputError(
        f"{subject}: the share of failed images must not exceed {allowed:g} (max_failed_fraction),"
        f" found {len(reasons)} of {total} ({shown}); mend or remove them, or raise the share"
    )
