"""LIVE In the Wild Image Quality Challenge (LIVEC, CLIVE): ChallengeDB_release.

1,162 photographs; MOS on [0, 100], higher is better. The scores have no reference or scene, so
that each image is a group by itself. Two of them, 246.bmp and 333.bmp, are the same bytes under
two scores (52.0 and 51.1): both are kept, as in published results, and prepare joins their groups.
"""

from pathlib import Path

import numpy as np
import scipy.io
from scipy.io.matlab import MatReadError

from rsfiqa.datasets.entry import Entry, inside
from rsfiqa.errors import InputError
from rsfiqa.files import first_line

MOS_RANGE = (0.0, 100.0)
TRAINING = 7  # t1.bmp to t7.bmp come first: they taught the subjects and are not part of the set


def read(root: Path) -> list[Entry]:
    """The images of ChallengeDB_release, or of the folder that holds it.

    Raises:
        InputError: a file is missing, damaged or does not fit the others.
    """
    if (root / "ChallengeDB_release").is_dir():
        root = root / "ChallengeDB_release"
    names = _variable(root, "AllImages_release")
    means = _variable(root, "AllMOS_release")
    deviations = _variable(root, "AllStdDev_release")
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
                origin=f"AllMOS_release.mat {image_id}",
                mos=float(mean),
                mos_std=float(deviation),
            )
        )
    return entries[TRAINING:]


def _variable(root: Path, name: str) -> np.ndarray:
    """A variable of the release, shape (N,), from the file that carries its name."""
    path = root / "Data" / f"{name}.mat"
    if not path.is_file():
        raise InputError(f"{path}: no such file; set root to the folder ChallengeDB_release")
    try:
        content = scipy.io.loadmat(path, variable_names=[name], squeeze_me=True)
        return np.atleast_1d(content[name])
    except (OSError, ValueError, TypeError, NotImplementedError, KeyError, MatReadError) as error:
        raise InputError(
            f"{path}: must be a MATLAB file with {name}, found: {first_line(error)}; get the"
            " release again"
        ) from error
