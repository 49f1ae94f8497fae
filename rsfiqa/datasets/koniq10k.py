"""KonIQ-10k: 10,073 photographs out of YFCC100m, each rated by about 120 people.

Hosu, Lin, Sziranyi and Saupe, KonIQ-10k: An ecologically valid database for deep learning of blind
image quality assessment, IEEE TIP 2020. `koniq10k_distributions_sets.csv` (in `metadata` of the
authors' repository subpic/koniq) beside the images, which come in two sizes: `1024x768` and
`512x384`; where both are there, the larger are taken. MOS on [0, 100] (from z-scores), higher is
better. SD is that of the ratings on five categories; the four steps between them are taken as 25
MOS points each. `set` is the official split: training (7,058), validation (1,000), test (2,015).
"""

from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.score_table import ScoreTable, read_scores

MOS_RANGE = (0.0, 100.0)
TABLE = ScoreTable(
    file="koniq10k_distributions_sets.csv",
    images=("1024x768", "512x384"),
    name="image_name",
    mos="MOS",
    mos_std="SD",
    mos_std_unit=25.0,
    subset="set",
)


def read(root: Path) -> list[Entry]:
    """All images; each is a group by itself.

    Raises:
        InputError: see `read_scores`.
    """
    return read_scores(root, TABLE)
