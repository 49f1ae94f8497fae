"""PIPAL, training part: 200 pristine images with 116 distorted ones each, many by GANs.

`Train_Label` holds a file for each reference, with lines such as `A0001_00_00.bmp,1520.0648`:
reference, kind of distortion, number within the kind. The images lie in `Distortion_1` to
`Distortion_4`, or together in `Train_Distort` or `Train_Dist`. The scores are Elo ratings, higher
is better; they have no bounds, so [800, 2000] is this project's choice. The release neither names
nor orders the kinds of distortion: the number is kept as the name, and there is no severity.
"""

import re
from pathlib import Path

from rsfiqa.datasets.csv_table import number
from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.release import folder_in
from rsfiqa.errors import InputError

FOLDERS = (*(f"Distortion_{part}" for part in (1, 2, 3, 4)), "Train_Distort", "Train_Dist")
LINE = re.compile(r"((A\d+)_(\d+)_\d+\.bmp)\s*,\s*(\S+)")


def read(root: Path) -> list[Entry]:
    """The distorted images; images of one reference are one group.

    Raises:
        InputError: there are no labels or no images, or a line cannot be read.
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
            f"{location}: must be like A0001_00_00.bmp,1520.0648, found '{text.strip()}'; download"
            " the release again"
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
