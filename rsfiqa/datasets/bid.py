"""BID (Blurred Image Database): 586 photographs, blurred as photographs are.

Ciancio and others, No-Reference Blur Assessment of Digital Pictures Based on Multifeature
Classifiers, IEEE TIP 2011. `DatabaseGrades.xlsx` (Image Number, Average Subjective Grade, std)
beside the images DatabaseImage0001.JPG, or beside the folder `ImageDatabase` that holds them;
grades on [0, 5], higher is better. Not all numbers are in use.
"""

from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.score_table import ScoreTable, read_scores

MOS_RANGE = (0.0, 5.0)
TABLE = ScoreTable(
    file="DatabaseGrades.xlsx",
    images=("ImageDatabase", "."),
    name="Image Number",
    pattern="DatabaseImage{:0>4}.JPG",
    mos="Average Subjective Grade",
    mos_std="std",
)


def read(root: Path) -> list[Entry]:
    """All images; each is a group by itself.

    Raises:
        InputError: see `read_scores`.
    """
    return read_scores(root, TABLE)
