"""SPAQ: 11,125 photographs of 66 smartphones.

Fang, Zhu, Zeng, Ma and Wang, Perceptual Quality Assessment of Smartphone Photography, CVPR 2020.
Images in `TestImage`, scores in `Annotations/MOS and Image attribute scores.xlsx` (Image name,
MOS, and five attributes); MOS on [0, 100], higher is better, without deviations.
"""

from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.score_table import ScoreTable, read_scores

MOS_RANGE = (0.0, 100.0)
TABLE = ScoreTable(
    file="Annotations/MOS and Image attribute scores.xlsx",
    images=("TestImage",),
    name="Image name",
    mos="MOS",
)


def read(root: Path) -> list[Entry]:
    """All images; each is a group by itself.

    Raises:
        InputError: see `read_scores`.
    """
    return read_scores(root, TABLE)
