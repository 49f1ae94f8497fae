"""Kodak Lossless True Color Image Suite: 24 pristine photographs, without scores.

The files are kodim01.png to kodim24.png, or 01.png to 24.png. No split was published: this project
takes every third photograph as the test part.
"""

from dataclasses import replace
from pathlib import Path

from rsfiqa.datasets import folder
from rsfiqa.datasets.entry import Entry
from rsfiqa.errors import InputError
from rsfiqa.splits import TEST

TRAIN = (
    *("kodim01", "kodim02", "kodim04", "kodim05", "kodim07", "kodim08", "kodim10", "kodim11"),
    *("kodim13", "kodim14", "kodim16", "kodim17", "kodim19", "kodim20", "kodim22", "kodim23"),
)
HELD_OUT = (
    *("kodim03", "kodim06", "kodim09", "kodim12"),
    *("kodim15", "kodim18", "kodim21", "kodim24"),
)


def read(root: Path) -> list[Entry]:
    """The photographs, each its own group, with the subset `train` or `test`.

    Raises:
        InputError: the folder does not exist or holds none of them.
    """
    entries = [entry for entry in folder.read(root) if _name(entry) in (*TRAIN, *HELD_OUT)]
    if not entries:
        raise InputError(
            f"{root}: must hold kodim01.png to kodim24.png or 01.png to 24.png, found none; set"
            " root to their folder"
        )
    return [_with_subset(entry) for entry in entries]


def _name(entry: Entry) -> str:
    stem = entry.path.stem
    return f"kodim{stem}" if stem.isdigit() else stem


def _with_subset(entry: Entry) -> Entry:
    name = _name(entry)
    return replace(entry, group=name, subset=TEST if name in HELD_OUT else "train")
