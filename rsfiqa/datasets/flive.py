"""FLIVE (LIVE-FB, PaQ-2-PiQ): 39,810 photographs from four older collections.

`labels_image.csv` (name, mos) lies beside the folder `database`, which the authors' notebook fills,
or in it; a name is such as voc_emotic_ava/AVA__149.jpg. MOS lies in [0, 100], higher is better; one
image has 0. Patches are not read: their scores are of crops.

The official split is given by two further tables, which may be missing. Images with a side above
640 pixels, listed in `labels>640.csv`, are the test part; `labels<=640_padded.csv` divides the
others by is_valid. On GitHub, the names of both lack < and >.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rsfiqa.datasets.csv_table import read_rows
from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.score_table import ScoreTable
from rsfiqa.errors import InputError

TABLE = ScoreTable(file="labels_image.csv", images=("database", "."), name="name", mos="mos")
LARGE = ("labels>640.csv", "labels640.csv")
SMALL = ("labels<=640_padded.csv", "labels=640_padded.csv")
SUBSETS = {"true": "validation", "false": "training"}  # by is_valid


def read(root: Path) -> list[Entry]:
    """All images, each its own group; without the tables of the split, they have no subset.

    Raises:
        InputError: see `ScoreTable.read`; or a table of the split cannot be read.
    """
    entries = TABLE.read(root)
    subsets = {row["name_image"]: "test" for _, row in _rows(root, LARGE, {"name_image"})}
    for location, row in _rows(root, SMALL, {"name_image", "is_valid"}):
        subset = SUBSETS.get(row["is_valid"].lower())
        if subset is None:
            raise InputError(
                f"{location}: 'is_valid' must be True or False, found '{row['is_valid']}';"
                " download the release again"
            )
        subsets.setdefault(row["name_image"], subset)
    return [replace(entry, subset=subsets.get(entry.image_id)) for entry in entries]


def _rows(
    root: Path, names: Sequence[str], required: Collection[str]
) -> Iterable[tuple[str, Mapping[str, str]]]:
    """The rows of the first of these tables that exists, or no rows."""
    for name in names:
        if (root / name).is_file():
            return read_rows(root / name, required)
    return ()
