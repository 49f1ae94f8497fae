"""Kodak Lossless True Color Image Suite: 24 pristine photographs, without scores.

kodim01.png to kodim24.png, or 01.png to 24.png. No split was published; eight of them, every third,
are kept for tests of this project, and nothing is trained on them.
"""

from dataclasses import replace
from pathlib import Path

from rsfiqa.datasets import folder
from rsfiqa.datasets.entry import Entry
from rsfiqa.errors import InputError
from rsfiqa.splits import TEST

TRAINED = (
    *("kodim01", "kodim02", "kodim04", "kodim05", "kodim07", "kodim08", "kodim10", "kodim11"),
    *("kodim13", "kodim14", "kodim16", "kodim17", "kodim19", "kodim20", "kodim22", "kodim23"),
)
KEPT = (
    *("kodim03", "kodim06", "kodim09", "kodim12"),
    *("kodim15", "kodim18", "kodim21", "kodim24"),
)


def read(root: Path) -> list[Entry]:
    """The photographs, each a group by its name; subset says which are kept for tests.

    Raises:
        InputError: no such folder, or one without any of them.
    """
    found = [entry for entry in folder.read(root) if _name(entry) in (*TRAINED, *KEPT)]
    if not found:
        raise InputError(
            f"{root}: must hold kodim01.png to kodim24.png or 01.png to 24.png, found none; set"
            " root to their folder"
        )
    return [_placed(entry) for entry in found]


def _name(entry: Entry) -> str:
    stem = entry.path.stem
    return f"kodim{stem}" if stem.isdigit() else stem


def _placed(entry: Entry) -> Entry:
    name = _name(entry)
    return replace(entry, group=name, subset=TEST if name in KEPT else "train")
