"""BIQ2021: 12,000 photographs of 512 x 512, each rated by 30 people in a laboratory.

Three subsets, told by the file names: ss01 is a private archive (2,000), ss02 was distorted on
purpose by ISO, shutter and focus (2,000), ss03 is from Unsplash (8,000). MOS lies in [0, 1], higher
is better, without deviations. The two tables are the official split; their lines may end in extra
commas, and the case of a name may differ from that of its file: ss02 (1014).JPG.

The split parts near-duplicates, such as two exports of one photograph; the prepare stage groups
them.
"""

from dataclasses import replace
from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.release import files_by_lowercase_path
from rsfiqa.datasets.score_table import ScoreTable
from rsfiqa.splits import TEST

TABLES = {"Train (Images and MOS).csv": "train", "Test (Images and MOS).csv": TEST}
IMAGES = "Images"


def read(root: Path) -> list[Entry]:
    """The images of both tables, each its own group, with the subset `train` or `test`.

    Raises:
        InputError: see `ScoreTable.read`.
    """
    entries = [
        replace(entry, subset=subset)
        for file, subset in TABLES.items()
        for entry in _table(file).read(root)
    ]
    files = files_by_lowercase_path(root / IMAGES)
    return [replace(e, path=files.get(e.image_id.lower(), e.path)) for e in entries]


def _table(file: str) -> ScoreTable:
    return ScoreTable(file=file, images=(IMAGES,), name="Image Name", mos="MOS")
