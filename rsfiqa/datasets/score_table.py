"""Reader for releases that keep their scores in one table with a row per image."""

import logging
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rsfiqa.datasets import csv_table
from rsfiqa.datasets.csv_table import number
from rsfiqa.datasets.entry import Entry, inside
from rsfiqa.datasets.release import file_in, folder_in
from rsfiqa.products.image_ids import image_id_of

log = logging.getLogger("rsfiqa")


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """The table of a release and the meaning of its columns.

    Attributes:
        file: the table, relative to the release's folder; .xlsx (its first sheet) or CSV.
        images: folders that may hold the images; the first that exists is used.
        name: column with the image's file name.
        pattern: turns a cell of `name` into a file name; `{}` stands for the cell.
        mos: column with the score.
        mos_std: column with the standard deviation of the opinions; the table may lack it.
        mos_std_unit: MOS points per unit of that column.
        group: column with the reference or prompt; without one, each image is its own group.
        subset: column with the part of the official split.
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

    def read(self, root: Path) -> list[Entry]:
        """The images that the table lists, whether or not their files exist.

        Raises:
            InputError: the folder or the table does not exist, or a row cannot be read.
        """
        path = file_in(root, self.file)
        images = folder_in(root, *self.images)
        if len(self.images) > 1:
            log.info("%s: images are taken from %s", path.name, images)
        required = {self.name, self.mos} | {col for col in (self.group, self.subset) if col}
        optional = {self.mos_std} if self.mos_std else set()
        rows = _read_rows(path, required, optional)
        return [self._entry(row, images, location) for location, row in rows]

    def _entry(self, row: Mapping[str, str], images: Path, location: str) -> Entry:
        cell = row[self.name]
        relative = inside(images, self.pattern.format(cell) if cell else "", location)
        image_id = image_id_of(relative)
        group = row[self.group] if self.group else ""
        return Entry(
            image_id=image_id,
            path=images / relative,
            group=unicodedata.normalize("NFC", group) or image_id,
            location=location,
            mos=number(row[self.mos], self.mos, location),
            mos_std=self._deviation(row, location),
            subset=row[self.subset] or None if self.subset else None,
        )

    def _deviation(self, row: Mapping[str, str], location: str) -> float | None:
        if self.mos_std is None or not row.get(self.mos_std):
            return None
        deviation = number(row[self.mos_std], self.mos_std, location, least=0)
        return deviation * self.mos_std_unit


def _read_rows(
    path: Path, required: Collection[str], optional: Collection[str]
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The rows of a CSV file or of the first sheet of a workbook."""
    if path.suffix != ".xlsx":
        return csv_table.read_rows(path, required)
    from rsfiqa.datasets import spreadsheet  # openpyxl takes 80 ms to import

    return spreadsheet.read_rows(path, required, optional=optional)
