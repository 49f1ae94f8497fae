"""Which file a path names, and in which state it is."""

import os
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from rsfiqa.errors import printable
from rsfiqa.products.scores import TIME, FileState

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")  # a byte that is not UTF-8, in a displayed path
FOLDERS = 10_000  # resolved folders that are remembered


def display_path(path: str) -> str:
    r"""A path as valid text; bytes that are not UTF-8 are escaped, as in \xe9."""
    if path.isascii():
        return path
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def shown_path(path: str) -> str:
    """A path as a person reads it in one line of a terminal."""
    return printable(display_path(path))


def locate(path: str) -> str:
    """The absolute path of a picture, whatever folder and links the given one goes through.

    Links to folders are resolved. A link to a file keeps its name, since a row is expected of it.
    """
    folder, slash, name = path.rpartition("/")
    if name in ("", ".", ".."):
        return os.path.realpath(path)
    if not slash or (folder and not folder.startswith("/")):
        folder = f"{os.getcwd()}/{folder}"  # noqa: PTH109
    return f"{_resolve(folder)}/{name}"


@lru_cache(FOLDERS)
def _resolve(folder: str) -> str:
    """The folder without links, and without the slash of the root; empty for the root."""
    return os.path.realpath(folder or "/").rstrip("/")


def file_state(path: str) -> FileState:
    """The file of a picture as it is now; without size and time if there is none."""
    location = display_path(locate(path))
    try:
        found = Path(path).stat()
    except (OSError, ValueError):  # a name may be too long, or hold a null byte
        return {"location": location, "size": None, "modified": None}
    return {"location": location, "size": found.st_size, "modified": _format(found.st_mtime_ns)}


def _format(nanoseconds: int) -> str:
    """A time as ISO 8601 in UTC, microseconds cut off; seconds for years beyond the calendar."""
    try:
        time = EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return str(nanoseconds // 10**9)
    return time.strftime(TIME)


def stored_path(text: str) -> Path:
    """The file of a path as `display_path` gives it, which need not exist.

    An escape in the text stands for a byte that is not UTF-8, unless a file has that very name.
    """
    if "\\x" in text and not os.path.lexists(text):
        raw = ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), text.encode("utf-8"))
        if os.path.lexists(raw):
            return Path(os.fsdecode(raw))
    return Path(text)
