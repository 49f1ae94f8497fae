"""The journal of a run: finished rows on disk, from which an interrupted run resumes."""

import fcntl
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from rsfiqa.errors import InputError
from rsfiqa.io.atomic import atomic
from rsfiqa.products import scores
from rsfiqa.products.scores import SCHEMA, Row, as_input_error


class Journal:
    """Finished rows beside a table that is not written yet; a context manager.

    Each row is flushed before the next one. A new journal starts with the rows of an earlier table.
    Rows stay in the file, because a million of them take 100 MB of memory. The file is locked with
    flock, which the system releases when the process ends.

    Args:
        output: the table.
        label: of the checkpoint; rows of another one are refused.

    Attributes:
        failed: paths whose last row is a failure.

    Raises:
        InputError: the table is of another checkpoint or not a table of scores, another run writes
            it, or it cannot be written.
    """

    def __init__(self, output: Path, label: str) -> None:
        self.output, self.label = output, label
        self.path = output.with_name(f".{output.name}.journal")
        self.failed: set[str] = set()
        self._offsets: dict[str, int] = {}  # of rows in the file, by path
        with as_input_error(output):
            self._file = self._open()
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> IO[bytes]:
        if not self.path.is_file() and self.output.is_file():
            with atomic(self.path) as partial, partial.open("wb") as copy:
                copy.writelines(_line(row) for row in scores.read(self.output))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise InputError(
                f"{self.output}: must be written by one run at a time, found another; wait for it"
            ) from error
        return file

    def _read(self) -> None:
        """Index the rows; an incomplete last row is removed."""
        end = 0
        self._file.seek(0)
        for line in self._file:
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self._check(row)
            self._index(row, end)
            end += len(line)
        self._file.truncate(end)

    def _check(self, row: Row) -> None:
        if row.keys() != set(SCHEMA.names):
            raise InputError(
                f"{self.path}: must hold rows of this version of rsfiqa, found others; delete it"
                " or finish with the version that wrote it"
            )
        if row["checkpoint"] != self.label:
            raise InputError(
                f"{self.output}: must be of checkpoint {self.label}, found {row['checkpoint']};"
                f" give another name, or delete it and {self.path.name}"
            )

    def _index(self, row: Row, offset: int) -> None:
        self._offsets[row["path"]] = offset
        if row["status"] == "failed":
            self.failed.add(row["path"])
        else:
            self.failed.discard(row["path"])

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        with as_input_error(self.output):
            self._file.close()

    def __contains__(self, path: str) -> bool:
        """Whether an image is done; a failed one is not, because its file may be repaired."""
        return path in self._offsets and path not in self.failed

    def add(self, row: Row) -> None:
        """Append a finished row."""
        with as_input_error(self.output):
            offset = self._file.seek(0, 2)
            self._file.write(_line(row))
            self._file.flush()
        self._index(row, offset)

    def rows(self, paths: Iterable[str]) -> Iterator[Row]:
        """The rows of these paths in order, then those of other paths from earlier runs.

        Args:
            paths: all of them finished.
        """
        for path in dict.fromkeys([*paths, *self._offsets]):
            self._file.seek(self._offsets[path])
            yield json.loads(self._file.readline())

    def publish(self, paths: Iterable[str]) -> None:
        """Write the table and delete the journal."""
        with as_input_error(self.output):
            scores.write(self.output, self.rows(paths), self.label)
            self.path.unlink()


def _line(row: Row) -> bytes:
    return json.dumps(row).encode() + b"\n"
