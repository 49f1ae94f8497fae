"""KADID-10k: 10,125 images, 81 pristine ones under 25 distortions at 5 severities.

The images lie in `images`, named by reference, distortion and severity, such as I01_01_01.png,
together with the references (I01.png). `dmos.csv` lists the distorted images only: dist_img,
ref_img, dmos, var. In spite of its name, dmos is a MOS in [1, 5], higher is better. In spite of its
name, var is the standard deviation of the 30 ratings: 4.57 with 0.496 are 17 fives and 13 fours.
"""

from dataclasses import replace
from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.release import distortion_of
from rsfiqa.datasets.score_table import ScoreTable

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
        InputError: see `ScoreTable.read` and `distortion_of`.
    """
    entries = []
    for entry in TABLE.read(root):
        distortion, severity = distortion_of(entry.path.name, DISTORTIONS, entry.location)
        entries.append(replace(entry, distortion=distortion, severity=severity))
    return entries
