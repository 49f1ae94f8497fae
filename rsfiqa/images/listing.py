"""Which pictures somebody means by paths, and how those are shown."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from rsfiqa.errors import InputError
from rsfiqa.images.load import SUFFIXES

LISTS = frozenset({".txt", ".lst"})  # of paths, a line each


def expand_paths(arguments: Sequence[str]) -> list[str]:
    """The pictures that paths name: sorted within a folder, each once, in the arguments' order.

    Args:
        arguments: a picture, a folder (with all below, hidden ones left out), a pattern, a text
            file of paths, or - for such a list on standard input.

    Raises:
        InputError: a pattern that matches nothing, a folder or a list that may not be read.
    """
    found: dict[str, str] = {}  # a picture may be named in several ways
    for argument in arguments:
        try:
            for path in _expand(argument):
                found.setdefault(os.path.abspath(path), path)
        except OSError as error:
            raise InputError(
                f"{argument}: cannot be read ({error.strerror}); mend its permissions"
            ) from error
    return list(found.values())


def _expand(argument: str) -> Iterator[str]:
    path = Path(argument).expanduser()
    if argument == "-":
        yield from _lines(sys.stdin.buffer)
    elif path.is_dir():
        yield from map(str, pictures_below(path))
    elif path.suffix.lower() in LISTS and path.is_file():
        with path.open("rb") as file:
            yield from _lines(file)
    elif path.is_file() or not glob.has_magic(argument):
        yield str(path)
    else:
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 ** and ~ alike
        if not matches:
            raise InputError(f"{argument}: must match a file, found none; check the pattern")
        for match in matches:
            if Path(match).is_file():
                yield match


def _lines(file: Iterable[bytes]) -> Iterator[str]:
    for line in file:
        if name := line.rstrip(b"\r\n"):
            yield os.fsdecode(name)


def display_path(path: str) -> str:
    r"""A path as text; bytes that are not UTF-8 appear as \xe9, say."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def pictures_below(root: Path) -> Iterator[Path]:
    """Every picture below a folder by its suffix, files of a folder before those of its folders.

    Hidden files and folders are left out, links to folders are not followed.

    Raises:
        InputError: a folder that may not be read.
    """
    for place, folders, files in os.walk(root, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path


def _refuse(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename}: the folder cannot be listed ({error.strerror}); mend its permissions"
        " or move it away"
    ) from error
