"""Image files that command-line arguments name, and how their paths are displayed."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from rsfiqa.errors import InputError
from rsfiqa.images.formats import SUFFIXES

LIST_SUFFIXES = frozenset({".txt", ".lst"})  # text files with one path per line


def expand_paths(arguments: Sequence[str]) -> list[str]:
    """The image files that arguments name, each once, in the order of the arguments.

    Args:
        arguments: image files, folders (searched recursively, sorted, without hidden files), glob
            patterns, text files with one path per line, or - for such a list on standard input.

    Raises:
        InputError: a pattern without a match, a folder or a list that cannot be read.
    """
    by_location: dict[str, str] = {}  # two arguments can name one file in different ways
    for argument in arguments:
        try:
            for path in _expand(argument):
                by_location.setdefault(os.path.abspath(path), path)
        except OSError as error:
            raise InputError(
                f"{argument}: cannot be read ({error.strerror}); mend its permissions"
            ) from error
    return list(by_location.values())


def _expand(argument: str) -> Iterator[str]:
    path = Path(argument).expanduser()
    if argument == "-":
        yield from _lines(sys.stdin.buffer)
    elif path.is_dir():
        yield from map(str, image_files_below(path))
    elif path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        with path.open("rb") as file:
            yield from _lines(file)
    elif path.is_file() or not glob.has_magic(argument):
        yield str(path)
    else:
        yield from _matches(argument, path)


def _lines(file: Iterable[bytes]) -> Iterator[str]:
    for line in file:
        if name := line.rstrip(b"\r\n"):
            yield os.fsdecode(name)


def _matches(argument: str, pattern: Path) -> Iterator[str]:
    """The files that match a glob pattern, sorted; `argument` names it in the error."""
    matches = sorted(glob.glob(str(pattern), recursive=True))  # noqa: PTH207 absolute too
    if not matches:
        raise InputError(f"{argument}: must match a file, found none; check the pattern")
    yield from (match for match in matches if Path(match).is_file())


def display_path(path: str) -> str:
    r"""A path as valid text; bytes that are not UTF-8 are escaped, as in \xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def image_files_below(root: Path) -> Iterator[Path]:
    """Every file with an image suffix below a folder, sorted within each folder.

    Files of a folder come before those of its subfolders. Hidden files and folders are skipped,
    links to folders are not followed.

    Raises:
        InputError: a folder that cannot be listed.
    """
    for parent, folders, files in os.walk(root, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path


def _refuse(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename}: the folder cannot be listed ({error.strerror}); mend its permissions"
        " or move it away"
    ) from error
