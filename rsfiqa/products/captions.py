"""Captions: what each region shows, how good it is and which distortions it has."""

from pathlib import Path

import pyarrow as pa

from rsfiqa.io.parquet import read_table, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.vocabulary import RATINGS

VERSION = 1


SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("region", pa.int32()),
        ("content", pa.string()),
        *((rating, pa.int8()) for rating in RATINGS),  # 1 (bad) to 5 (excellent), null if failed
        # expectation over the five words, in [1, 5]; null where there are no log-probabilities
        *((f"{rating}_expected", pa.float32()) for rating in RATINGS),
        ("text", pa.string()),  # the sentence that is embedded
        (
            "distortions",  # empty for none; severity 1 to 5
            pa.list_(pa.struct([("family", pa.string()), ("severity", pa.int8())])),
        ),
        ("raw", pa.string()),  # the model's answer; null for measured captions
        ("status", pa.string()),  # ok or failed
    ]
)


def write(path: Path, table: pa.Table, provenance: Provenance) -> None:
    """Write captions sorted by image, then region; row groups of 1,000 keep one image cheap."""
    table = table.cast(SCHEMA).sort_by([("image_id", "ascending"), ("region", "ascending")])
    write_table(path, table, provenance, row_group_size=1000)


def read(path: Path) -> tuple[pa.Table, Provenance]:
    """The captions of one shard, sorted by image, then region.

    Raises:
        InputError: missing, damaged or another schema.
    """
    return read_table(path, "captions", SCHEMA, VERSION)
