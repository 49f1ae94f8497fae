"""AGIQA-3K: images of six text-to-image models, with their prompts.

2,982 images, `data.csv` beside them; perceptual quality on [0, 5], higher is better. Images of
one prompt are one group. Any part of the set will do: data.csv says what belongs to it.
"""

from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.score_table import ScoreTable, read_scores

MOS_RANGE = (0.0, 5.0)
TABLE = ScoreTable(
    file="data.csv", name="name", mos="mos_quality", mos_std="std_quality", group="prompt"
)


def read(root: Path) -> list[Entry]:
    """The images that data.csv lists.

    Raises:
        InputError: see `read_scores`.
    """
    return read_scores(root, TABLE)
