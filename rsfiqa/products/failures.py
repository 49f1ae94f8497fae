"""The table of images that a stage could not use, beside each product."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from rsfiqa.errors import InputError
from rsfiqa.io.parquet import read_table, write_table
from rsfiqa.io.provenance import Provenance

VERSION = 1


SCHEMA = pa.schema([("image", pa.string()), ("stage", pa.string()), ("reason", pa.string())])


def write(path: Path, stage: str, reasons: Mapping[str, str]) -> None:
    """Write the failures of a stage, sorted by image.

    Args:
        path: of the table.
        stage: that could not use the images.
        reasons: why, by image_id.
    """
    rows = [{"image": image, "stage": stage, "reason": reasons[image]} for image in sorted(reasons)]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    write_table(path, table, Provenance("failures", VERSION, stage, VERSION))


def read(path: Path) -> pa.Table:
    """The failures of one shard or of a manifest: image, stage, reason.

    Raises:
        InputError: missing, damaged or of another schema.
    """
    return read_table(path, "failures", SCHEMA, VERSION)[0]


def check_failed_fraction(
    subject: Path, reasons: Mapping[str, str], total: int, allowed: float
) -> None:
    """Raise if too many images failed.

    Args:
        subject: the product, for the message.
        reasons: why images failed, by image_id.
        total: number of images, failed or not.
        allowed: largest fraction of failed images, in [0, 1].

    Raises:
        InputError: more than that failed; names the first three.
    """
    if not reasons or len(reasons) / total <= allowed:  # 0.29 * 100 is below 29
        return
    examples = "; ".join(f"{image}: {reasons[image]}" for image in sorted(reasons)[:3])
    raise InputError(
        f"{subject}: the fraction of failed images must not exceed {allowed:g}"
        f" (max_failed_fraction), found {len(reasons)} of {total} ({examples}); repair or remove"
        " them, or raise the fraction"
    )
