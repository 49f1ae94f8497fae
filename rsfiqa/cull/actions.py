"""What is done to files, and how each action is taken back.

An action may have been cut short at any point, or not begun, when it is taken back; and taking
back may itself have been cut short.
"""

import base64
import errno
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rsfiqa.cull import files


class NotBegunError(OSError):
    """Nothing of an action was done."""


class Action(Protocol):
    """An action on files, and the line of the journal that describes it."""

    @property
    def target(self) -> Path:
        """The file or folder that it makes or changes."""

    def do(self) -> None:
        """Do it.

        Raises:
            NotBegunError: it cannot be done, and no part was.
            FileExistsError: likewise.
            OSError: it cannot be done; perhaps a part was.
        """

    def undo(self) -> str | None:
        """Take it back; why it must be left as it is, or None.

        Raises:
            OSError: it cannot be done.
        """

    def to_json(self) -> dict[str, Any]:
        """For the journal; see `from_json`."""


@dataclass(frozen=True)
class MakeFolder:
    """Make a folder."""

    target: Path

    def do(self) -> None:
        """Make it, unless it is there."""
        self.target.mkdir(exist_ok=True)

    def undo(self) -> None:
        """Remove it if it is empty."""
        if not files.exists(self.target):
            return
        try:
            self.target.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise

    def to_json(self) -> dict[str, Any]:
        """For the journal."""
        return {"do": "folder", "target": str(self.target)}


@dataclass(frozen=True)
class Move:
    """Move a file or a link.

    Attributes:
        source: where it is.
        target: a new name.
        link: the text of a link; None for a file. A relative one leads to the same file from the
            new place, and is itself again when it is taken back.
    """

    source: Path
    target: Path
    link: str | None = None

    @classmethod
    def of(cls, source: Path, target: Path) -> "Move":
        """The move of what is there now."""
        return cls(source, target, str(source.readlink()) if source.is_symlink() else None)

    def do(self) -> None:
        """Move it; nothing is replaced."""
        if self.link is not None:
            self.target.symlink_to(self.source.parent / self.link)
            self.source.unlink()
        else:
            files.reserve(self.target)
            files.relocate(self.source, self.target)

    def undo(self) -> str | None:
        """Move it back, as it is now."""
        files.remove_partial(self.target)
        files.remove_partial(self.source)
        if not files.exists(self.target):
            gone = f"{self.target} is gone"
            return None if files.exists(self.source) else gone
        if files.exists(self.source):
            return self._settle()
        self.source.parent.mkdir(parents=True, exist_ok=True)
        if self.link is not None and self.target.is_symlink():
            self.source.symlink_to(self.link)
            self.target.unlink()
        else:
            files.reserve(self.source)
            files.relocate(self.target, self.source)
        return None

    def _settle(self) -> str | None:
        """Leave one of two that are there, as after a move that was cut short."""
        is_needless = files.is_empty(self.target) if self.link is None else self._is_link_twice()
        if is_needless or files.is_same(self.source, self.target):
            self.target.unlink()
        elif files.is_empty(self.source) and not self.target.is_symlink():
            files.relocate(self.target, self.source)
        else:
            return f"there is another {self.source} now"
        return None

    def _is_link_twice(self) -> bool:
        """Whether the link is in both places; else one of them holds something else."""
        return (
            self.source.is_symlink()
            and str(self.source.readlink()) == self.link
            and self.target.is_symlink()
            and self.target.readlink() == self.source.parent / self.link
        )

    def to_json(self) -> dict[str, Any]:
        """For the journal."""
        return {
            "do": "move",
            "source": str(self.source),
            "target": str(self.target),
            "link": self.link,
        }


@dataclass(frozen=True)
class Copy:
    """Copy a file, or what a link leads to.

    Attributes:
        source: stays.
        target: a new name.
        state: size in bytes and time of the last change in nanoseconds.
    """

    source: Path
    target: Path
    state: tuple[int, int]

    @classmethod
    def of(cls, source: Path, target: Path) -> "Copy":
        """The copy of what is there now."""
        return cls(source, target, _state(source))

    def is_current(self) -> bool:
        """Whether the source is still what was copied."""
        return self.source.is_file() and _state(self.source) == self.state

    def do(self) -> None:
        """Copy it; nothing is replaced."""
        files.reserve(self.target)
        files.copy(self.source, self.target)

    def undo(self) -> str | None:
        """Delete the copy, unless it has changed."""
        files.remove_partial(self.target)
        if not files.exists(self.target):
            return None
        own = (
            files.is_empty(self.target)
            or (self.target.is_file() and _state(self.target) == self.state)
            or (files.exists(self.source) and files.is_same(self.source, self.target))
        )
        if not own:
            return f"{self.target} has changed since"
        self.target.unlink()
        return None

    def to_json(self) -> dict[str, Any]:
        """For the journal."""
        return {
            "do": "copy",
            "source": str(self.source),
            "target": str(self.target),
            "state": list(self.state),
        }


@dataclass(frozen=True)
class Link:
    """Make a symbolic link."""

    source: Path
    target: Path

    def do(self) -> None:
        """Make it; nothing is replaced."""
        self.target.symlink_to(self.source)

    def undo(self) -> str | None:
        """Delete the link, unless it leads elsewhere."""
        if not files.exists(self.target):
            return None
        if not (self.target.is_symlink() and self.target.readlink() == self.source):
            return f"{self.target} has changed since"
        self.target.unlink()
        return None

    def to_json(self) -> dict[str, Any]:
        """For the journal."""
        return {"do": "link", "source": str(self.source), "target": str(self.target)}


@dataclass(frozen=True)
class Write:
    """Write a sidecar.

    Attributes:
        target: the file; not a link.
        old: its content, None if it does not exist.
        digest: SHA-256 of the new content.
        new: content; empty where it is read from the journal, which does not keep it.
    """

    target: Path
    old: bytes | None
    digest: str
    new: bytes = b""

    @classmethod
    def of(cls, target: Path, old: bytes | None, new: bytes) -> "Write":
        """The replacement of a content by another."""
        return cls(target, old, hashlib.sha256(new).hexdigest(), new)

    def do(self) -> None:
        """Write it, unless another program has written it since it was read."""
        if files.read(self.target) != self.old:
            raise NotBegunError(errno.EBUSY, "changes while it is merged", str(self.target))
        files.write(self.target, self.new)

    def undo(self) -> str | None:
        """Restore the old content, unless it has changed."""
        files.remove_partial(self.target)
        current = files.read(self.target)
        if current == self.old:
            return None
        if current is None or hashlib.sha256(current).hexdigest() != self.digest:
            return f"{self.target} {'is gone' if current is None else 'has changed since'}"
        if self.old is None:
            self.target.unlink()
        else:
            files.write(self.target, self.old)
        return None

    def to_json(self) -> dict[str, Any]:
        """For the journal."""
        old = None if self.old is None else base64.b64encode(self.old).decode()
        return {"do": "write", "target": str(self.target), "old": old, "digest": self.digest}


def from_json(line: dict[str, Any]) -> Action:
    """An action of the journal.

    Raises:
        KeyError: not an action.
        ValueError: likewise.
    """
    target = Path(line["target"])
    match line["do"]:
        case "folder":
            return MakeFolder(target)
        case "move":
            return Move(Path(line["source"]), target, line["link"])
        case "copy":
            size, time = line["state"]
            return Copy(Path(line["source"]), target, (size, time))
        case "link":
            return Link(Path(line["source"]), target)
        case "write":
            old = None if line["old"] is None else base64.b64decode(line["old"])
            return Write(target, old, line["digest"])
    raise ValueError(line["do"])


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
