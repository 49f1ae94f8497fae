"""LIVE In the Wild Image Quality Challenge Database (LIVEC, CLIVE): 1,162 photographs.

MOS lies in [0, 100], higher is better. The release names no reference or scene, so each image is
its own group. 246.bmp and 333.bmp hold the same bytes with two scores (52.0 and 51.1): both are
kept, as in published results, and the prepare stage joins their groups.
"""

from pathlib import Path

from rsfiqa.datasets.entry import Entry, inside
from rsfiqa.datasets.matlab import variable
from rsfiqa.errors import InputError

FOLDER = "ChallengeDB_release"
TRAINING = 7  # t1.bmp to t7.bmp come first; they trained the subjects, not part of the set


def read(root: Path) -> list[Entry]:
    """The images of ChallengeDB_release, or of the folder that holds it.

    Raises:
        InputError: a file is missing or damaged, or the files disagree.
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
            f" and {len(deviations)}; download the release again"
        )
    images = root / "Images"
    return [
        _entry(images, str(name), float(mean), float(deviation))
        for name, mean, deviation in zip(names, means, deviations, strict=True)
    ][TRAINING:]


def _entry(images: Path, name: str, mos: float, mos_std: float) -> Entry:
    image_id = inside(images, name, "AllImages_release.mat").as_posix()
    return Entry(
        image_id=image_id,
        path=images / image_id,
        group=image_id,
        location=f"AllMOS_release.mat {image_id}",
        mos=mos,
        mos_std=mos_std,
    )
