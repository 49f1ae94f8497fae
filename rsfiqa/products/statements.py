"""Statements: what people said is wrong with an image, how much, and where.

The only place that knows their words. An image of the manifest without a row is one that people
looked at and found nothing wrong with.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from rsfiqa.errors import InputError
from rsfiqa.io.parquet import read_table, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.vocabulary import SEVERITIES

VERSION = 1

SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("factor", pa.string()),  # of FACTORS
        ("severity", pa.int8()),  # 1 to 5
        ("position", pa.string()),  # of POSITIONS
    ]
)

# What people name, and the distortion families that it means: those of photographs and those of
# textbooks. People do not tell noise from compression.
FACTORS: dict[str, tuple[str, ...]] = {
    "defocus": ("defocus", "blur"),
    "motion_blur": ("motion_blur", "blur"),
    "noise_or_artifact": (
        *("noise", "compression", "oversharpening"),
        *("low_resolution", "pixelation", "quantization"),
    ),
    "underexposure": ("underexposure",),
    "overexposure": ("overexposure",),
}
# Names that releases use for them.
SYNONYMS = {"out of focus": "defocus", "noise and artifact": "noise_or_artifact"}

# The words of people on the scale of severities. In MMP-2k an image whose worst statement is mild,
# medium or strong has 12, 26 or 53 MOS points less than one with which nothing is wrong.
MAGNITUDES = {"mild": 1, "medium": 3, "strong": 5}

# Thirds of an image in relative coordinates: start and end.
FIRST, MIDDLE, LAST, WHOLE = (0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0), (0.0, 1.0)
# Horizontal and vertical extent by position: the image, its bands and its ninths.
POSITIONS = {
    "entire image": (WHOLE, WHOLE),
    "left": (FIRST, WHOLE),
    "right": (LAST, WHOLE),
    "top": (WHOLE, FIRST),
    "bottom": (WHOLE, LAST),
    "center": (MIDDLE, MIDDLE),
    "center left": (FIRST, MIDDLE),
    "center right": (LAST, MIDDLE),
    "center top": (MIDDLE, FIRST),
    "center bottom": (MIDDLE, LAST),
    "top left": (FIRST, FIRST),
    "top right": (LAST, FIRST),
    "bottom left": (FIRST, LAST),
    "bottom right": (LAST, LAST),
}


class Statement(NamedTuple):
    """What people said about an image.

    Attributes:
        factor: of `FACTORS`, what is wrong.
        severity: 1 to 5, how much.
        position: of `POSITIONS`, where.
    """

    factor: str
    severity: int
    position: str


class Box(NamedTuple):
    """A part of an image, in fractions of its width and height: in [0, 1]."""

    left: float
    top: float
    right: float
    bottom: float


def box_of(position: str) -> Box:
    """The part of the image that a position of `POSITIONS` names."""
    (left, right), (top, bottom) = POSITIONS[position]
    return Box(left, top, right, bottom)


def parse_statement(factor: str, magnitude: str, position: str, location: str) -> Statement:
    """A statement in the words of a release.

    Case and whitespace do not matter, nor does the order of the words of a position.

    Args:
        factor: of `FACTORS`, with spaces or underscores, or of `SYNONYMS`.
        magnitude: of `MAGNITUDES`, or a severity, 1 to 5.
        position: of `POSITIONS`.
        location: where it was read, for messages.

    Raises:
        InputError: names the part that is unknown.
    """
    factors = {_words(name): name for name in FACTORS} | SYNONYMS
    severities = MAGNITUDES | {str(severity): severity for severity in SEVERITIES}
    positions = {_sorted_words(name): name for name in POSITIONS}
    known_factor = factors.get(_words(factor))
    severity = severities.get(_words(magnitude))
    known_position = positions.get(_sorted_words(position))
    if known_factor is None:
        raise _unknown(location, "factor", factors, factor)
    if severity is None:
        raise _unknown(location, "magnitude", severities, magnitude)
    if known_position is None:
        raise _unknown(location, "position", POSITIONS, position)
    return Statement(known_factor, severity, known_position)


def _words(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").split())


def _sorted_words(text: str) -> str:
    return " ".join(sorted(_words(text).split()))


def _unknown(location: str, part: str, allowed: Iterable[str], found: str) -> InputError:
    return InputError(
        f"{location}: {part} must be one of {', '.join(allowed)}, found '{found}'; correct it, or"
        " download the release again"
    )


def to_table(statements: Mapping[str, Iterable[Statement]]) -> pa.Table:
    """A table of `SCHEMA`, sorted by image.

    Args:
        statements: about each image, by image_id.
    """
    rows = [
        {"image_id": image_id, **statement._asdict()}
        for image_id in sorted(statements)
        for statement in statements[image_id]
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def by_image(table: pa.Table) -> dict[str, list[Statement]]:
    """The statements about each image of a table that `read` returned, by image_id."""
    statements: dict[str, list[Statement]] = {}
    for row in table.to_pylist():
        statements.setdefault(row.pop("image_id"), []).append(Statement(**row))
    return statements


def write(path: Path, table: pa.Table, provenance: Provenance) -> None:
    """Write statements, which `to_table` has sorted."""
    write_table(path, table.cast(SCHEMA), provenance)


def read(path: Path) -> tuple[pa.Table, Provenance]:
    """The statements about the images of a data set, sorted by image.

    Raises:
        InputError: missing, damaged, of another schema, without an image, or with an unknown
            factor, severity or position.
    """
    table, provenance = read_table(path, "statements", SCHEMA, VERSION)
    if table["image_id"].null_count:
        raise InputError(
            f"{path}: image_id must be a text, found none in row"
            f" {table['image_id'].to_pylist().index(None)}; run the prepare stage again"
        )
    known = {"factor": FACTORS, "severity": SEVERITIES, "position": POSITIONS}
    for column, values in known.items():
        if unknown := set(table[column].to_pylist()) - set(values):
            raise InputError(
                f"{path}: {column} must be one of {', '.join(map(str, values))}, found"
                f" {min(map(str, unknown))}; run the prepare stage again"
            )
    return table, provenance
