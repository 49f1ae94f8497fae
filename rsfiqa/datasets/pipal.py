"""PIPAL, the training part: 200 pristine images, 116 distorted ones of each, many by GANs.

Gu and others, PIPAL: a Large-Scale Image Quality Assessment Dataset for Perceptual Image
Restoration, ECCV 2020. A file of `Train_Label` for each reference, with lines such as
`A0001_00_00.bmp,1520.0648`: reference, kind of distortion, its number within the kind. The images
lie in `Distortion_1` to `Distortion_4`, or together in `Train_Distort` or `Train_Dist`. The
scores are Elo ratings, higher is better; these have no ends, and [800, 2000] is this project's
scale for them. The kinds have no names in the release and no order: no level.
"""

import re
from pathlib import Path

from rsfiqa.datasets.csv_table import number
from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.release import folder_in
from rsfiqa.errors import InputError

MOS_RANGE = (800.0, 2000.0)
FOLDERS = (*(f"Distortion_{part}" for part in (1, 2, 3, 4)), "Train_Distort", "Train_Dist")
LINE = re.compile(r"((A\d+)_(\d+)_\d+\.bmp)\s*,\s*(\S+)")


def read(root: Path) -> list[Entry]:
    """The distorted images; images of one reference are one group.

    Raises:
        InputError: no such folder, no labels, or a line that cannot be read.
    """
    labels = sorted((root / "Train_Label").glob("*.txt"))
    if not labels:
        raise InputError(
            f"{root / 'Train_Label'}: must hold the labels A0001.txt and so on, found none; set"
            " root to the folder with Train_Label"
        )
    first = folder_in(root, *FOLDERS)
    files = {path.name: path for name in FOLDERS for path in sorted((root / name).rglob("*.bmp"))}
    return [
        _entry(text, f"{path.name} line {line}", files, first)
        for path in labels
        for line, text in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if text.strip()
    ]


def _entry(text: str, location: str, files: dict[str, Path], first: Path) -> Entry:
    match = LINE.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"{location}: must be like A0001_00_00.bmp,1520.0648, found '{text.strip()}'; get the"
            " release again"
        )
    name, reference, kind, score = match.groups()
    return Entry(
        image_id=name,
        path=files.get(name, first / name),
        group=reference,
        location=location,
        mos=number(score, "Elo", location),
        distortion=kind,
    )
