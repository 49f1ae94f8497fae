"""LIVE Image Quality Assessment Database, release 2: 779 images, 29 pristine ones, 5 distortions.

The release holds 982 images such as `jp2k/img1.bmp`. `refnames_all.mat` names the reference of
each. `dmos_realigned.mat`, a separate download, holds the scores after the authors' realignment of
the sessions: dmos_new, dmos_std and orgs. The 203 images with orgs = 1 are pristine ones, hidden
among the others, and are skipped. DMOS reaches from -2.64 to 111.77, lower is better. There are no
severities: the authors chose the parameters of each distortion image by image.
"""

from pathlib import Path

import numpy as np

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.matlab import variable
from rsfiqa.errors import InputError

FOLDER = "databaserelease2"
# in the order of the MATLAB files: the folder, the number of images, the name of the distortion
DISTORTIONS = (
    ("jp2k", 227, "jpeg2000"),
    ("jpeg", 233, "jpeg"),
    ("wn", 174, "white_noise"),
    ("gblur", 174, "gaussian_blur"),
    ("fastfading", 174, "fast_fading"),
)
IMAGES = tuple(
    (f"{folder}/img{number}.bmp", distortion)
    for folder, count, distortion in DISTORTIONS
    for number in range(1, count + 1)
)


def read(root: Path) -> list[Entry]:
    """The distorted images; images of one reference are one group.

    Raises:
        InputError: a file is missing or damaged, or the files disagree.
    """
    if (root / FOLDER).is_dir():
        root = root / FOLDER
    scores = root / "dmos_realigned.mat"
    columns = _columns(scores, root / "refnames_all.mat")
    return [
        Entry(
            image_id=image_id,
            path=root / image_id,
            group=str(reference),
            location=f"{scores.name} {image_id}",
            mos=float(mean),
            mos_std=float(deviation),
            distortion=distortion,
        )
        for (image_id, distortion), mean, deviation, pristine, reference in zip(
            IMAGES, *columns, strict=True
        )
        if not pristine
    ]


def _columns(scores: Path, references: Path) -> list[np.ndarray]:
    """dmos_new, dmos_std, orgs and refnames_all, in the order of `IMAGES`."""
    columns = [
        *(variable(scores, name, folder=FOLDER) for name in ("dmos_new", "dmos_std", "orgs")),
        variable(references, "refnames_all", folder=FOLDER),
    ]
    if any(len(column) != len(IMAGES) for column in columns):
        raise InputError(
            f"{scores.parent}: dmos_new, dmos_std, orgs and refnames_all must be {len(IMAGES)},"
            f" found {', '.join(str(len(column)) for column in columns)}; download the release"
            " again"
        )
    return columns
