"""LIVE In the Wild Image Quality Challenge (LIVEC, CLIVE): ChallengeDB_release.

1,162 photographs; MOS on [0, 100], higher is better. The scores have no reference or scene, so
that each image is a group by itself. Two of them, 246.bmp and 333.bmp, are the same bytes under
two scores (52.0 and 51.1): both are kept, as in published results, and prepare joins their groups.
"""

from pathlib import Path

from rsfiqa.datasets.entry import Entry, inside
from rsfiqa.datasets.matlab import variable
from rsfiqa.errors import InputError

MOS_RANGE = (0.0, 100.0)
FOLDER = "ChallengeDB_release"
TRAINING = 7  # t1.bmp to t7.bmp come first: they taught the subjects and are not part of the set


def read(root: Path) -> list[Entry]:
    """The images of ChallengeDB_release, or of the folder that holds it.

    Raises:
        InputError: a file is missing, damaged or does not fit the others.
    """
    if (root / FOLDER).is_dir():
        root = root / FOLDER
    names, means, deviations = (
        variable(root / f"Data/{name}.mat", name, folder=FOLDER)
        for name in ("AllImages_release", "AllMOS_release", "AllStdDev_release")
    )
    if not len(names) == len(means) == len(deviations):
        raise InputError(
            f"{root}: names, MOS and deviations must be as many, found {len(names)}, {len(means)}"
            f" and {len(deviations)}; get the release again"
        )
    entries = []
    for name, mean, deviation in zip(names, means, deviations, strict=True):
        image_id = inside(root / "Images", str(name), "AllImages_release.mat").as_posix()
        entries.append(
            Entry(
                image_id=image_id,
                path=root / "Images" / image_id,
                group=image_id,
                location=f"AllMOS_release.mat {image_id}",
                mos=float(mean),
                mos_std=float(deviation),
            )
        )
    return entries[TRAINING:]
