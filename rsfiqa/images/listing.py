"""Image files that command-line arguments name."""

import glob
import os
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

from rsfiqa.errors import InputError, first_names, printable
from rsfiqa.images import lists
from rsfiqa.images.formats import HEAD, PLAIN_SUFFIXES, SUFFIXES, missing_package, sniff
from rsfiqa.images.location import display_path, locate
from rsfiqa.io.home import expand_home
from rsfiqa.io.many_files import ask_each

LIST_SUFFIXES = frozenset({".txt", ".lst"})  # text files with one path per line
HEATMAP = "rsfiqa heat map"  # the software that a PNG names which this package drew
HEATMAP_MARK = f"tEXtSoftware\0{HEATMAP}".encode()
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
KINDS = 6  # of skipped files that a summary names

SizeAndTime = tuple[int, int]  # bytes, and the time of modification in microseconds


class Found(NamedTuple):
    """A file, and why it is left out; None if it is not.

    Its size and time are given if they were asked for to recognize it.
    """

    path: str
    reason: str | None = None
    state: SizeAndTime | None = None


@dataclass
class Listing:
    """The files that arguments name.

    Attributes:
        paths: of pictures, each once.
        states: size and time of each of them, where they are known.
        locations: of each of them, as of `locate`; set by `expand_paths` alone.
        skipped: files that are left out, with their reasons.
    """

    paths: list[str] = field(default_factory=list)
    states: list[SizeAndTime | None] = field(default_factory=list)
    locations: list[str] = field(default_factory=list)
    skipped: list[Found] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """Add a file to those that it belongs to."""
        if found.reason is None:
            self.paths.append(found.path)
            self.states.append(found.state)
        else:
            self.skipped.append(found)

    def check_any(self, arguments: Sequence[str], kinds: str = "files or a folder") -> None:
        """Refuse arguments that name no picture at all.

        Args:
            arguments: that were listed.
            kinds: what may be given instead, in words.

        Raises:
            InputError: names the arguments, and what was skipped.
        """
        if self.paths:
            return
        named = ["standard input" if word == "-" else display_path(word) for word in arguments]
        found = f"none ({self.summary()})" if self.skipped else "none"
        raise InputError(
            f"{first_names(named)}: must name pictures, found {found}; give {kinds} of some"
        )

    def summary(self) -> str:
        """What was skipped, in one line: the number of files of each kind."""
        counts = Counter(found.reason for found in self.skipped).most_common()
        kinds = [f"{count} ({reason})" for reason, count in counts[:KINDS]]
        if rest := sum(count for _, count in counts[KINDS:]):
            kinds.append(f"{rest} (other)")
        return printable(", ".join(kinds))


def expand_paths(arguments: Sequence[str]) -> Listing:
    """The image files that arguments name, each once, in the order of the arguments.

    An argument that exists is that file or folder, whatever characters its name contains. Heat maps
    that this package drew are left out everywhere; of folders, everything that is no picture.

    Args:
        arguments: image files, folders (searched recursively, sorted, without hidden files), glob
            patterns, text files with one path per line, or - for such a list on standard input;
            CSV or Parquet files with a column of paths, see `lists.read`.

    Raises:
        InputError: an empty argument, a pattern without a match, a folder or a list that is missing
            or cannot be read.
    """
    listing = Listing()
    known: set[str] = set()  # two arguments can name one file in different ways
    for argument in arguments:
        if not argument:
            raise InputError("paths: must name pictures, found an empty name; leave it out")
        try:
            for found in _expand(argument):
                if (location := locate(found.path)) in known:
                    continue
                known.add(location)
                listing.add(found)
                if found.reason is None:
                    listing.locations.append(location)
        except OSError as error:
            raise InputError(
                f"{argument}: cannot be read ({error.strerror}); mend its permissions"
            ) from error
    return listing


def _expand(argument: str) -> Iterator[Found]:
    if argument == "-":
        yield from map(_named, _lines(sys.stdin.buffer.read()))
        return
    path = Path(argument)
    if not _exists(path):
        path = expand_home(argument)
    if path.is_dir():
        yield from walk(path)
    elif path.suffix.lower() in LIST_SUFFIXES and _is_list(path):
        yield from map(_named, _lines(path.read_bytes()))
    elif path.suffix.lower() in lists.SUFFIXES and _is_list(path):
        yield from map(_named, lists.read(path))
    elif _exists(path):
        yield _named(str(path))
    elif glob.has_magic(str(path)):
        yield from _matches(argument, path)
    elif argument.endswith(os.sep) or not path.suffix:
        raise InputError(
            f"{argument}: must be pictures or a folder of them, found nothing of this name; correct"
            " the name"
        )
    elif path.suffix.lower() in LIST_SUFFIXES | lists.SUFFIXES:
        raise InputError(
            f"{argument}: must be a list of pictures, found no such file; correct the name"
        )
    else:
        yield _named(str(path))  # of a file that has gone, which fails alone


def _is_list(path: Path) -> bool:
    """Whether a file with the suffix of a list is one, and no picture."""
    return path.is_file() and not sniff(_head(str(path)))


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _named(path: str) -> Found:
    """A file that is named, not found in a folder: whatever it is, unless it is a heat map."""
    if path.lower().endswith(".png"):
        try:
            if is_heatmap(_head(path)):
                return Found(path, "heat map of rsfiqa")
        except (OSError, ValueError):
            pass  # why it cannot be read is said when it is scored
    return Found(path)


def _lines(content: bytes) -> Iterator[str]:
    """The names in a list: a line each, or separated by null bytes as of `find -print0`."""
    content = _to_utf_8(content)
    separator = b"\0" if b"\0" in content else b"\n"
    for line in content.split(separator):
        name = os.fsdecode(line.removesuffix(b"\r") if separator == b"\n" else line)
        if name.startswith("~") and not _exists(Path(name)):
            name = str(expand_home(name))
        if name:
            yield name


def _to_utf_8(content: bytes) -> bytes:
    """A list without byte order mark, and not in UTF-16, as editors on Windows save it."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            text = content[len(mark) :]
            return text if encoding == "utf-8" else text.decode(encoding, "replace").encode()
    if b".\0" in content and not any(content[1:64:2]):
        return content.decode("utf-16-le", "replace").encode()
    return content


def walk(root: Path) -> Iterator[Found]:
    """Every file below a folder, with the reason if it is left out; sorted within each folder.

    Files of a folder come before those of its subfolders. A file whose suffix promises a picture
    counts as one, so that a damaged picture is not overlooked; others are recognized by their
    content. A heat map of this package is none, nor is a format whose package is missing.
    Hidden files and folders are skipped, links to folders are not followed.

    Raises:
        InputError: a folder that cannot be listed.
    """
    yield from ask_each(_with_reason, _files(root))


def _files(root: Path) -> Iterator[Found]:
    """Every file below a folder, as of `walk`, with the reasons that a name alone gives."""
    for parent, folders, files in os.walk(root, onerror=_refuse):
        folders.sort()
        prefix = str(Path(parent, "x"))[:-1]  # joining a million names takes seconds
        for name in sorted(files):
            yield Found(prefix + name, "hidden" if name.startswith(".") else None)
        for name in folders:
            if name.startswith("."):
                yield Found(str(Path(parent, name)), "hidden")
            elif Path(parent, name).is_symlink():
                yield Found(str(Path(parent, name)), "link to a folder")
        folders[:] = [name for name in folders if not name.startswith(".")]


def _with_reason(found: Found) -> Found:
    """A file with its reason, by its content if its name gives none."""
    return found if found.reason else _recognized(found.path)


def expand_folder(root: Path) -> Listing:
    """The pictures below a folder, and what is left out, as of `walk`."""
    listing = Listing()
    for found in walk(root):
        listing.add(found)
    return listing


def _recognized(path: str) -> Found:
    """A file of a folder; it is not left out if it is a picture or promises to be one."""
    name = path[path.rfind("/") + 1 :]  # pathlib takes seconds for a million
    suffix = name[dot:].lower() if (dot := name.rfind(".")) > 0 else ""
    try:
        if suffix in PLAIN_SUFFIXES:
            return Found(path, state=size_and_time(path))
        head, state = _head_and_state(path)
    except OSError:
        return Found(path, None if suffix in SUFFIXES else "unreadable")
    return Found(path, _reason(head, suffix), state)


def _reason(head: bytes, suffix: str) -> str | None:
    """Why a file of a folder is left out, by its first bytes and the suffix of its name."""
    if is_heatmap(head):
        return "heat map of rsfiqa"
    if (kind := sniff(head)) is not None:
        package = missing_package(kind)
        return f"{kind}, which needs {package}" if package else None
    return None if suffix in SUFFIXES else f"no picture, {suffix or 'no suffix'}"


def _head(path: str) -> bytes:
    """The first bytes of a file; none of a pipe or device, which would not end."""
    return _head_and_state(path)[0]


def _head_and_state(path: str) -> tuple[bytes, SizeAndTime]:
    """The first bytes of a file, as of `_head`, and its size and time."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        head = os.read(descriptor, HEAD) if stat.S_ISREG(status.st_mode) else b""
    finally:
        os.close(descriptor)
    return head, _of_status(status)


def size_and_time(path: str) -> SizeAndTime:
    """Those of a file.

    Raises:
        OSError: there is none.
    """
    return _of_status(os.stat(path))  # noqa: PTH116 a million of them


def _of_status(status: os.stat_result) -> SizeAndTime:
    return status.st_size, status.st_mtime_ns // 1000


def is_heatmap(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a heat map that this package drew."""
    return HEATMAP_MARK in head


def _matches(argument: str, pattern: Path) -> Iterator[Found]:
    """The files that match a glob pattern, sorted; `argument` names it in the error."""
    matches = sorted(_glob(*_split(pattern)))
    if not matches:
        raise InputError(f"{argument}: must match a file, found none; check the pattern")
    yield from (_named(match) for match in matches if not Path(match).is_dir())


def _split(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """The longest part of a pattern that exists, such as a folder `[2024]`, and the further parts.

    It holds no wildcard, whatever its characters.
    """
    parts = pattern.parts
    for end in range(len(parts) - 1, 0, -1):
        if (folder := Path(*parts[:end])).is_dir():
            return folder, parts[end:]
    return Path(), parts


def _glob(folder: Path, parts: Sequence[str]) -> Iterator[str]:
    """The files below a folder that match the parts of a pattern.

    Links to folders are followed, but no folder is visited twice: links can form loops.
    """
    if "**" not in parts:
        pattern = Path(glob.escape(str(folder)), *parts)
        yield from glob.glob(str(pattern))  # noqa: PTH207 without hidden files
        return
    at = parts.index("**")
    visited: set[str] = set()
    for top in sorted(_glob(folder, parts[:at])) if at else [str(folder)]:
        for parent, folders, _ in os.walk(top, followlinks=True):
            if (real := os.path.realpath(parent)) in visited:
                folders.clear()
                continue
            visited.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from _glob(Path(parent), parts[at + 1 :] or ["*"])


def _refuse(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename}: the folder cannot be listed ({error.strerror}); mend its permissions"
        " or move it away"
    ) from error
