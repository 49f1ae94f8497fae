"""MMP-2k: 2,000 macro photographs, and what people said is wrong with each.

`MMP-2k.csv` holds file_name (images/2.jpg), the 17 ratings in the columns 1 to 17, their mean MOS
in [0, 100], higher is better, and a JSON list of statements: factor, magnitude and position. The
images, of 1024 pixels, lie in `image_1024`. The table decides which images belong to the set: a
part of it is read too. No split was published.
"""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from statistics import stdev
from typing import Any

from rsfiqa.datasets.csv_table import number, read_rows
from rsfiqa.datasets.entry import Entry, inside
from rsfiqa.datasets.release import file_in, folder_in
from rsfiqa.errors import InputError
from rsfiqa.products.image_ids import image_id_of
from rsfiqa.products.statements import Statement, parse_statement

TABLE = "MMP-2k.csv"
FOLDERS = ("image_1024", "images")
ANNOTATION = "distortion annotation"
RATINGS = tuple(str(rater) for rater in range(1, 18))
KEYS = ("factor", "magnitude", "position")


def read(root: Path) -> list[Entry]:
    """The images that the table lists, each its own group, with statements.

    Raises:
        InputError: the table or the folder of images does not exist, or a row cannot be read.
    """
    path = file_in(root, TABLE)
    images = folder_in(root, *FOLDERS)
    required = {"file_name", "MOS", ANNOTATION}
    return [_entry(row, images, location) for location, row in read_rows(path, required)]


def _entry(row: Mapping[str, str], images: Path, location: str) -> Entry:
    relative = inside(images, PurePosixPath(row["file_name"]).name, location)
    image_id = image_id_of(relative)
    return Entry(
        image_id=image_id,
        path=images / relative,
        group=image_id,
        location=location,
        mos=number(row["MOS"], "MOS", location),
        mos_std=_deviation(row, location),
        statements=_statements(row[ANNOTATION], location),
    )


def _deviation(row: Mapping[str, str], location: str) -> float | None:
    """Standard deviation of the ratings; None for a table without them."""
    ratings = [number(row[rater], rater, location) for rater in RATINGS if row.get(rater)]
    return stdev(ratings) if len(ratings) > 1 else None


def _statements(text: str, location: str) -> tuple[Statement, ...]:
    """The statements of a cell; an empty one is of an image with which nothing is wrong."""
    try:
        found: Any = json.loads(text or "[]")
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(map(_is_statement, found)):
        raise InputError(
            f"{location}: '{ANNOTATION}' must be a JSON list of objects with the texts"
            f" {', '.join(KEYS)}, found '{text}'; download the release again"
        )
    return tuple(
        parse_statement(one["factor"], one["magnitude"], one["position"], location) for one in found
    )


def _is_statement(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(key), str) for key in KEYS)
