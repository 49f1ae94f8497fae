"""AGIQA-3K: images of six text-to-image models, with their prompts.

2,982 images, `data.csv` beside them; perceptual quality on [0, 5], higher is better. Images of
one prompt are one group. Any part of the set will do: data.csv says what belongs to it.
"""

from pathlib import Path

from rsfiqa.datasets.csv_table import number, read_rows
from rsfiqa.datasets.entry import Entry, image_id_of, inside
from rsfiqa.errors import InputError

MOS_RANGE = (0.0, 5.0)
COLUMNS = frozenset({"name", "prompt", "mos_quality", "std_quality"})


def read(root: Path) -> list[Entry]:
    """The images that data.csv lists.

    Raises:
        InputError: no such folder or table, or a row that cannot be read.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; set root to the folder with data.csv")
    entries = []
    for origin, row in read_rows(root / "data.csv", COLUMNS):
        relative = inside(root, row["name"], origin)
        image_id = image_id_of(relative)
        entries.append(
            Entry(
                image_id=image_id,
                path=root / relative,
                group=row["prompt"] or image_id,
                origin=origin,
                mos=number(row["mos_quality"], "mos_quality", origin),
                mos_std=number(row["std_quality"], "std_quality", origin),
            )
        )
    return entries
