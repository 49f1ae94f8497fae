"""KADID-10k: 81 pristine images, 25 distortions at 5 levels.

Lin, Hosu and Saupe, KADID-10k: A large-scale artificially distorted IQA database, QoMEX 2019.
10,125 images in `images`, called I01_01_01.png by reference, distortion and level, with the
references (I01.png) among them; `dmos.csv` lists the distorted ones only: dist_img, ref_img, dmos,
var. In spite of its name, dmos is on [1, 5] and higher is better. In spite of its name, var is the
standard deviation of the 30 ratings: 4.57 with 0.496 are 17 fives and 13 fours.
"""

from dataclasses import replace
from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.release import distortion_of
from rsfiqa.datasets.score_table import ScoreTable, read_scores

MOS_RANGE = (1.0, 5.0)
TABLE = ScoreTable(
    file="dmos.csv",
    images=("images",),
    name="dist_img",
    mos="dmos",
    mos_std="var",
    group="ref_img",
)
DISTORTIONS = (
    "gaussian_blur",
    "lens_blur",
    "motion_blur",
    "color_diffusion",
    "color_shift",
    "color_quantization",
    "color_saturation_1",
    "color_saturation_2",
    "jpeg2000",
    "jpeg",
    "white_noise",
    "white_noise_color_component",
    "impulse_noise",
    "multiplicative_noise",
    "denoise",
    "brighten",
    "darken",
    "mean_shift",
    "jitter",
    "non_eccentricity_patch",
    "pixelate",
    "quantization",
    "color_block",
    "high_sharpen",
    "contrast_change",
)


def read(root: Path) -> list[Entry]:
    """The distorted images; images of one reference are one group.

    Raises:
        InputError: see `read_scores` and `distortion_of`.
    """
    entries = []
    for entry in read_scores(root, TABLE):
        distortion, severity = distortion_of(entry.path.name, DISTORTIONS, entry.location)
        entries.append(replace(entry, distortion=distortion, severity=severity))
    return entries
