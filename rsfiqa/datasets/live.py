"""LIVE Image Quality Assessment Database, release 2: 29 pristine images, 5 distortions.

Sheikh, Sabir and Bovik, A statistical evaluation of recent full reference image quality assessment
algorithms, IEEE TIP 2006. 982 images as `jp2k/img1.bmp`; `refnames_all.mat` names the reference of
each; `dmos_realigned.mat` (a download of its own, the authors' better alignment of sessions) holds
dmos_new, dmos_std and orgs. Where orgs is 1, the image is the pristine one, hidden among the
others: 203 of them are left out, 779 remain. DMOS: lower is better. The realigned scores reach
from -2.64 to 111.77. Levels are left out: the parameters were chosen image by image.
"""

from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.matlab import variable
from rsfiqa.errors import InputError

MOS_RANGE = (-3.0, 112.0)
FOLDER = "databaserelease2"
# in the order of the MATLAB files: the folder, how many images, and what it is
DISTORTIONS = (
    ("jp2k", 227, "jpeg2000"),
    ("jpeg", 233, "jpeg"),
    ("wn", 174, "white_noise"),
    ("gblur", 174, "gaussian_blur"),
    ("fastfading", 174, "fast_fading"),
)


def read(root: Path) -> list[Entry]:
    """The distorted images; images of one reference are one group.

    Raises:
        InputError: a file is missing, damaged or does not fit the others.
    """
    if (root / FOLDER).is_dir():
        root = root / FOLDER
    scores = root / "dmos_realigned.mat"
    columns = [
        variable(scores, "dmos_new", folder=FOLDER),
        variable(scores, "dmos_std", folder=FOLDER),
        variable(scores, "orgs", folder=FOLDER),
        variable(root / "refnames_all.mat", "refnames_all", folder=FOLDER),
    ]
    images = [
        (f"{folder}/img{number}.bmp", distortion)
        for folder, count, distortion in DISTORTIONS
        for number in range(1, count + 1)
    ]
    if any(len(column) != len(images) for column in columns):
        raise InputError(
            f"{root}: dmos_new, dmos_std, orgs and refnames_all must be {len(images)}, found"
            f" {', '.join(str(len(column)) for column in columns)}; get the release again"
        )
    entries = []
    for (image_id, distortion), mean, deviation, pristine, reference in zip(
        images, *columns, strict=True
    ):
        if pristine:
            continue
        entries.append(
            Entry(
                image_id=image_id,
                path=root / image_id,
                group=str(reference),
                location=f"{scores.name} {image_id}",
                mos=float(mean),
                mos_std=float(deviation),
                distortion=distortion,
            )
        )
    return entries
