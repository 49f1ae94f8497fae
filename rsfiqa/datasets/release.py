"""Files and file names of a published release."""

import re
from collections.abc import Sequence
from pathlib import Path

from rsfiqa.errors import InputError

IMAGE_NAME = re.compile(r"i\d+_(\d+)_(\d+)\.\w+", re.IGNORECASE)  # reference, distortion, severity


def file_in(root: Path, name: str) -> Path:
    """The file `name` in the folder of a release.

    Raises:
        InputError: the folder or the file does not exist.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; set root to the folder with {name}")
    if not (root / name).is_file():
        raise InputError(f"{root / name}: no such file; set root to the folder with {name}")
    return root / name


def folder_in(root: Path, *names: str) -> Path:
    """The first of these subfolders that exists.

    Raises:
        InputError: none of them exists.
    """
    for name in names:
        if (root / name).is_dir():
            return root / name
    others = f" or {', '.join(names[1:])}" if names[1:] else ""
    raise InputError(
        f"{root / names[0]}: no such folder; unpack the images there{others}, or set root to the"
        " folder that holds it"
    )


def files_by_lowercase_path(folder: Path) -> dict[str, Path]:
    """The files below a folder by their relative path in lower case.

    Some releases write I01.BMP on disk and i01.bmp in the table.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix().lower(): path for path in files}


def distortion_of(name: str, distortions: Sequence[str], location: str) -> tuple[str, int]:
    """The distortion and the severity in a file name: `I03_08_4.bmp` is the eighth at severity 4.

    Args:
        name: file name of the image.
        distortions: names of the distortions in the order of the release's numbers.
        location: where the name was read, for messages.

    Raises:
        InputError: the name has another form, or the release has no distortion of that number.
    """
    match = IMAGE_NAME.fullmatch(name)
    number = int(match[1]) if match else 0
    if match is None or not 1 <= number <= len(distortions):
        raise InputError(
            f"{location}: an image must be called I<reference>_<distortion 1 to {len(distortions)}>"
            f"_<severity>, found '{name}'; download the release again"
        )
    return distortions[number - 1], int(match[2])
