"""Captions: content, ratings and distortions of each region."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
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
        ("raw", pa.string()),  # response of a language model; null for other captioners
        ("status", pa.string()),  # ok or failed
    ]
)


class Distortion(TypedDict):
    """A distortion of a region.

    Attributes:
        family: of `vocabulary.FAMILIES` or `vocabulary.REALISTIC_FAMILIES`.
        severity: 1 (faint) to 5 (extreme).
    """

    family: str
    severity: int


@dataclass(frozen=True, kw_only=True)
class CaptionRow:
    """The caption of one region.

    Attributes:
        region: number of the region in its label map, from 0.
        content: what the region shows; empty if the caption failed.
        ratings: 1 (bad) to 5 (excellent) for each of `RATINGS`; None if the caption failed.
        expectations: expected rating in [1, 5] for each of `RATINGS`; None if unknown.
        text: the sentence that is embedded; empty if the caption failed.
        distortions: the classifier's costliest first, others' most severe first; empty for none.
        raw: response of a language model; None for other captioners.
        status: failed if a language model gave no valid response.
    """

    region: int
    content: str
    ratings: Mapping[str, int | None]
    expectations: Mapping[str, float | None]
    text: str
    distortions: list[Distortion]
    raw: str | None = None
    status: Literal["ok", "failed"] = "ok"

    @classmethod
    def failed(cls, region: int, raw: str) -> "CaptionRow":
        """The caption of a region for which a language model gave no valid response."""
        unknown = dict.fromkeys(RATINGS)
        return cls(
            region=region,
            content="",
            ratings=unknown,
            expectations=unknown,
            text="",
            distortions=[],
            raw=raw,
            status="failed",
        )


def to_table(captions: Mapping[str, Iterable[CaptionRow]]) -> pa.Table:
    """A table of `SCHEMA`, in the order given.

    Args:
        captions: captions of the regions of each image, by image_id.
    """
    rows = [_columns(image_id, row) for image_id, rows in captions.items() for row in rows]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _columns(image_id: str, row: CaptionRow) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "region": row.region,
        "content": row.content,
        **row.ratings,
        **{f"{rating}_expected": value for rating, value in row.expectations.items()},
        "text": row.text,
        "distortions": row.distortions,
        "raw": row.raw,
        "status": row.status,
    }


def ratings_array(table: pa.Table) -> np.ndarray:
    """Ratings of captions in [1, 5], in the order of `RATINGS`: float32 (R, 5).

    A rating is its expectation where that is known, else the number of its word; NaN if the
    caption failed.
    """
    columns = []
    for rating in RATINGS:
        expected = table[f"{rating}_expected"].to_numpy().astype(np.float32)
        word = table[rating].cast(pa.float32()).to_numpy()  # null becomes NaN
        columns.append(np.where(np.isnan(expected), word, expected))
    return np.column_stack(columns).astype(np.float32)


def ratings_of(rows: Sequence[CaptionRow]) -> np.ndarray:
    """As `ratings_array`, of the rows of one image."""
    ratings = np.full((len(rows), len(RATINGS)), np.nan, np.float32)
    for row, found in zip(rows, ratings, strict=True):
        for column, name in enumerate(RATINGS):
            expected, word = row.expectations[name], row.ratings[name]
            value = word if expected is None else expected
            if value is not None:
                found[column] = value
    return ratings


def write(path: Path, table: pa.Table, provenance: Provenance) -> None:
    """Write captions sorted by image, then region."""
    table = table.cast(SCHEMA).sort_by([("image_id", "ascending"), ("region", "ascending")])
    write_table(path, table, provenance, row_group_size=1000)  # small groups: one image is cheap


def read(path: Path) -> tuple[pa.Table, Provenance]:
    """The captions of one shard, sorted by image, then region.

    Raises:
        InputError: the file is missing, damaged or of another schema.
    """
    return read_table(path, "captions", SCHEMA, VERSION)
