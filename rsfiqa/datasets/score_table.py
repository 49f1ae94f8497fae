"""Releases that keep one row per image in one table: which columns mean what."""

import logging
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from rsfiqa.datasets import csv_table, spreadsheet
from rsfiqa.datasets.csv_table import number
from rsfiqa.datasets.entry import Entry, image_id_of, inside
from rsfiqa.datasets.release import file_in, folder_in

log = logging.getLogger("rsfiqa")


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """The table of a release and its columns.

    Attributes:
        file: the table, relative to the release's folder; .xlsx (its first sheet) or CSV.
        images: folders that may hold the images; the first that is there does.
        name: column with the image's file name.
        pattern: what makes that cell a file name; `{}` stands for it.
        mos: column with the score.
        mos_std: column with the standard deviation of the opinions; it may be absent.
        mos_std_unit: what 1 in that column is in the units of the score.
        group: column with the reference or prompt; without one, each image is a group by itself.
        subset: column with the official split.
    """

    file: str
    name: str
    mos: str
    images: tuple[str, ...] = (".",)
    pattern: str = "{}"
    mos_std: str | None = None
    mos_std_unit: float = 1.0
    group: str | None = None
    subset: str | None = None


def read_scores(root: Path, table: ScoreTable) -> list[Entry]:
    """The images that the table lists, whether or not their files are there.

    Raises:
        InputError: no such folder or table, or a row that cannot be read.
    """
    path = file_in(root, table.file)
    images = folder_in(root, *table.images)
    if len(table.images) > 1:
        log.info("%s: images are taken from %s", path.name, images)
    required = {table.name, table.mos} | {col for col in (table.group, table.subset) if col}
    read_rows = spreadsheet.read_rows if path.suffix == ".xlsx" else csv_table.read_rows
    entries = []
    for location, row in read_rows(path, required):
        cell = row[table.name]
        relative = inside(images, table.pattern.format(cell) if cell else "", location)
        image_id = image_id_of(relative)
        group = row[table.group] if table.group else ""
        entries.append(
            Entry(
                image_id=image_id,
                path=images / relative,
                group=unicodedata.normalize("NFC", group) or image_id,
                location=location,
                mos=number(row[table.mos], table.mos, location),
                mos_std=_deviation(row.get(table.mos_std or ""), table, location),
                subset=row[table.subset] or None if table.subset else None,
            )
        )
    return entries


def _deviation(cell: str | None, table: ScoreTable, location: str) -> float | None:
    if not cell or table.mos_std is None:
        return None
    return number(cell, table.mos_std, location) * table.mos_std_unit
