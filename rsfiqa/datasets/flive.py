"""FLIVE (LIVE-FB, PaQ-2-PiQ): 39,810 photographs out of four older collections.

Ying, Niu, Gupta, Mahajan, Ghadiyaram and Bovik, From Patches to Pictures (PaQ-2-PiQ): Mapping the
Perceptual Space of Picture Quality, CVPR 2020. `labels_image.csv` (name, mos) beside the folder
`database` that the authors' notebook fills, or inside it; names such as
voc_emotic_ava/AVA__149.jpg. MOS on [0, 100], higher is better; one image has 0.

The official split stands in two more tables, read where they are there: images with a side above
640 pixels, in `labels>640.csv`, are the test part; `labels<=640_padded.csv` parts the others by
is_valid. GitHub keeps them without < and >. Patches are left out: their scores are of crops.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rsfiqa.datasets.csv_table import read_rows
from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.score_table import ScoreTable, read_scores
from rsfiqa.errors import InputError

MOS_RANGE = (0.0, 100.0)
TABLE = ScoreTable(file="labels_image.csv", images=("database", "."), name="name", mos="mos")
LARGE = ("labels>640.csv", "labels640.csv")
SMALL = ("labels<=640_padded.csv", "labels=640_padded.csv")
SUBSETS = {"true": "validation", "false": "training"}  # by is_valid


def read(root: Path) -> list[Entry]:
    """All images; each is a group by itself. Without the tables of the split, no subset.

    Raises:
        InputError: see `read_scores`; a table of the split that cannot be read.
    """
    entries = read_scores(root, TABLE)
    subsets = {row["name_image"]: "test" for _, row in _rows(root, LARGE, {"name_image"})}
    for location, row in _rows(root, SMALL, {"name_image", "is_valid"}):
        subset = SUBSETS.get(row["is_valid"].lower())
        if subset is None:
            raise InputError(
                f"{location}: 'is_valid' must be True or False, found '{row['is_valid']}'; get the"
                " release again"
            )
        subsets.setdefault(row["name_image"], subset)
    return [replace(entry, subset=subsets.get(entry.image_id)) for entry in entries]


def _rows(
    root: Path, names: Sequence[str], required: Collection[str]
) -> Iterable[tuple[str, Mapping[str, str]]]:
    """The rows of the first of these tables that is there; none if there is none."""
    for name in names:
        if (root / name).is_file():
            return read_rows(root / name, required)
    return ()
