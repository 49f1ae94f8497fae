"""The journal of a table's culling: every action is on the disk before it is done.

A line is a group of actions: those of one picture and its sidecars. Lines stand in runs, which
begin with a header and end with a mark; a run that was killed has no mark.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rsfiqa.cull.actions import Action, from_json
from rsfiqa.errors import InputError
from rsfiqa.io.atomic import write_bytes
from rsfiqa.io.locked import open_locked

VERSION = 1
HEADER = {"journal of culled pictures": VERSION}
END = {"end": True}
LEFT = "left"  # in place of the number of a run that is taken back, except some actions


@dataclass
class Run:
    """A run of the command.

    Attributes:
        offset: of its header in the journal, bytes.
        is_finished: it was not interrupted.
        is_left: it has been taken back, except these actions, which cannot be.
        offsets: of the groups, bytes.
        groups: their actions, in order.
    """

    offset: int
    is_finished: bool = False
    is_left: bool = False
    offsets: list[int] = field(default_factory=list)
    groups: list[list[Action]] = field(default_factory=list)


class Journal:
    """The journal of a table; a context manager that holds its lock.

    Args:
        table: whose pictures are culled.

    Attributes:
        runs: what is in it, the oldest first.

    Raises:
        InputError: another run holds it, it is of another version, or it holds something else.
    """

    def __init__(self, table: Path) -> None:
        self.path = journal_path(table)
        self._file = self._open()
        try:
            self.runs = _parse(self.path, self._file.read())
        except BaseException:
            self._file.close()
            raise
        self._end = self._complete()

    def _open(self) -> IO[bytes]:
        file = open_locked(self.path, self.path)
        file.seek(0)
        return file

    def _complete(self) -> int:
        """Remove an incomplete last line; the number of bytes that stay."""
        self._file.seek(0)
        end = sum(len(line) for line in self._file if line.endswith(b"\n"))
        self._file.truncate(end)
        return end

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        if not self.runs:
            self.path.unlink(missing_ok=True)
        self._file.close()

    @property
    def is_interrupted(self) -> bool:
        """Whether the last run was killed."""
        return bool(self.runs) and not self.runs[-1].is_finished

    def begin(self) -> None:
        """Begin a run, or continue one that was interrupted."""
        if self.is_interrupted:
            return
        if not self._end:
            self._append(HEADER)
        offset = self._append({"run": len(self.runs) + 1})
        self.runs.append(Run(offset))

    def add(self, group: Sequence[Action]) -> None:
        """Note the actions of a group before they are done."""
        offset = self._append({"group": [action.to_json() for action in group]})
        self.runs[-1].offsets.append(offset)
        self.runs[-1].groups.append(list(group))

    def finish(self) -> None:
        """End the run; one without actions leaves no trace."""
        if self.runs[-1].groups:
            self._append(END)
            self.runs[-1].is_finished = True
        else:
            self.drop_run(self.runs[-1])

    def drop_group(self) -> None:
        """Forget the last group of the run, which has been taken back."""
        self.runs[-1].groups.pop()
        self._truncate(self.runs[-1].offsets.pop())

    def drop_run(self, run: Run, left: Sequence[Action] = ()) -> None:
        """Forget a run, except the actions that could not be taken back.

        Nothing can be added after that, unless it was the last run and nothing is left.
        """
        later = [other.offset for other in self.runs if other.offset > run.offset]
        if not later and not left:
            self.runs.pop()
            self._truncate(run.offset)
            return
        kept = [_line({"group": [action.to_json()]}) for action in left]
        if kept:
            kept = [_line({"run": LEFT}), *kept, _line(END)]
        self._file.seek(0)
        found = self._file.read()
        content = b"".join([found[: run.offset], *kept, found[min(later, default=self._end) :]])
        write_bytes(self.path, content)
        self.runs = _parse(self.path, content)

    def _append(self, line: dict[str, Any]) -> int:
        """Write a line to the disk; its offset. An incomplete one is removed."""
        offset = self._end
        try:
            self._file.write(_line(line))
            self._file.flush()
            os.fdatasync(self._file.fileno())
        except OSError as error:
            self._discard(offset)
            error.filename = error.filename or str(self.path)
            raise
        self._end = offset + len(_line(line))
        return offset

    def _discard(self, offset: int) -> None:
        """Forget what is buffered but cannot be written, and what was written of it."""
        os.ftruncate(self._file.fileno(), offset)
        descriptor = os.dup(self._file.fileno())  # shares the lock
        with suppress(OSError):  # the buffer still does not fit
            self._file.close()
        self._file = os.fdopen(descriptor, "ab+")
        os.ftruncate(descriptor, offset)

    def _truncate(self, offset: int) -> None:
        self._file.truncate(offset)
        os.fdatasync(self._file.fileno())
        self._end = offset


def journal_path(table: Path) -> Path:
    """The journal of a table."""
    return table.with_name(f".{table.name}.cull")


def read_runs(table: Path) -> list[Run]:
    """The runs in the journal of a table, without its lock.

    Raises:
        InputError: it is of another version or holds something else.
    """
    path = journal_path(table)
    return _parse(path, path.read_bytes()) if path.is_file() else []


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _parse(path: Path, content: bytes) -> list[Run]:
    """The runs of a journal; an incomplete last line is passed over.

    Raises:
        InputError: it is of another version or holds something else.
    """
    runs: list[Run] = []
    try:
        for offset, line in _lines(content):
            found = json.loads(line)
            if offset == 0 and found != HEADER:
                raise ValueError(line)  # noqa: TRY301 the file is wrong
            if "run" in found:
                runs.append(Run(offset, is_left=found["run"] == LEFT))
            elif "group" in found:
                runs[-1].offsets.append(offset)
                runs[-1].groups.append([from_json(action) for action in found["group"]])
            elif found == END:
                runs[-1].is_finished = True
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(
            f"{path}: must be a journal of rsfiqa cull, version {VERSION}, found other content;"
            " move it away, and no earlier run can be undone"
        ) from error
    return runs


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The complete lines and their offsets."""
    offset = 0
    for line in content.splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield offset, line
        offset += len(line)
