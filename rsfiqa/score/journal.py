"""The journal of a run: finished rows on disk, from which an interrupted run resumes."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from rsfiqa.errors import InputError
from rsfiqa.images.location import display_path, file_state, stored_path
from rsfiqa.io.locked import open_locked
from rsfiqa.products import region_scores, score_tables
from rsfiqa.products.region_scores import RegionRow
from rsfiqa.products.scores import (
    SCHEMA,
    VERSION,
    FileState,
    Row,
    as_input_error,
    check_label,
)
from rsfiqa.score.inside import kind_of
from rsfiqa.score.ranking import Ranking, unranked

REPLACES = "replaces"  # key of a line: location of the picture in the table, before it was moved
REGIONS = "regions"  # and rows of its regions
State = tuple[int | None, str | None]  # size and time of a file
Moved = tuple[str, int | None, str | None]  # name, size and time: alike before and after a move


class Journal:
    """Finished rows that are not in the table yet; a context manager.

    Each row is flushed before the next one. Rows stay in the file, because a million of them take
    100 MB of memory, and their places are read again when they are needed, so that memory does not
    grow with the pictures of a run. The file is locked with flock, which the system releases when
    the process ends. Its first line names the table and the checkpoint.

    Pictures are identified by their location, size and time. Rows of the table and of the journal
    count as done as long as the file has not changed.

    Args:
        output: the table.
        label: of the checkpoint; rows of another one are refused.
        inside: what the row of a picture records of the given region; None for whole pictures.
            Rows of another box, or of whole pictures, are refused.
        shard: whether the table is a shard of a larger run: percentiles, which depend on the other
            shards, stay empty; another run that writes it is waited for, because it may be the
            orphan of a killed scheduler; the journal of another checkpoint is discarded, and only
            the pictures of the run are published.
        prepare: called when no other run can write the table any more, and before it is read.

    Raises:
        InputError: the table is of another checkpoint or not a table of scores, another run writes
            it, or it cannot be written.
    """

    def __init__(
        self,
        output: Path,
        label: str,
        inside: Callable[[str], str | None] = lambda _: None,
        *,
        shard: bool = False,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self.output, self.label, self._inside, self._shard = output, label, inside, shard
        self._kind = kind_of(inside(""))
        self.path = journal_path(output)
        self._done: dict[str, int] = {}  # hash of the state of each picture, by location
        self._offsets: dict[str, int] = {}  # of rows in the journal, by location
        self._end = 0  # of the rows in the journal that these dictionaries know
        self._is_behind = False  # whether there are others
        self._replaced: dict[str, str] = {}  # locations in the journal by those in the table
        self._regions_path = region_scores.regions_path(output)
        self._with_regions: set[str] = set()  # locations whose regions are in the journal
        self._without_regions: set[str] = set()  # and those of the table without regions anywhere
        with as_input_error(output):
            self._file = self._open()
        try:
            with as_input_error(output):
                prepare()
                self._read_table()
            self._read()
        except BaseException:
            if not os.fstat(self._file.fileno()).st_size:  # it is new
                self.path.unlink(missing_ok=True)
            with suppress(OSError):  # the disk may be full
                self._file.close()
            raise

    def _read_table(self) -> None:
        known = self._table_regions()
        for row in self._table_rows():
            check_label(self.output, row["checkpoint"], self.label, "give another name")
            if (kind := kind_of(row["inside"])) != self._kind:
                raise InputError(
                    f"{self.output}: must hold scores of {self._kind}, found those of {kind}; give"
                    " another name"
                )
            if row["status"] == "ok":
                self._done[row["location"]] = hash((*_state(row), row["inside"]))
                if known is not None and row["location"] not in known:
                    self._without_regions.add(row["location"])

    def _table_regions(self) -> set[str] | None:
        """The pictures in the table of regions; None if there is to be none."""
        if self._regions_path is None:
            return None
        return region_scores.locations(self._regions_path, self.label)

    def _table_rows(self) -> Iterator[Row]:
        if self.output.is_file():
            yield from score_tables.read(self.output)

    def _open(self) -> IO[bytes]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return open_locked(self.path, self.output, wait=self._shard)

    def _read(self) -> None:
        """Index the rows of an earlier run; an incomplete last row is removed."""
        header = self._header()
        self._end = len(header)
        self._file.seek(0)
        first = self._file.readline()
        if first != header:
            if (
                not header.startswith(first) and not self._shard
            ):  # an incomplete header of a run that was killed
                self._refuse(first)
            self._file.truncate(0)
            with as_input_error(self.output):
                self._file.write(header)
                self._file.flush()
            return
        self._index_rest()
        self._file.truncate(self._end)

    def _index_rest(self) -> None:
        """Index the rows that are not yet, up to an incomplete one."""
        self._file.seek(self._end)
        for line in self._file:
            if (row := _parse(line)) is None:
                break
            self._index(row, self._end)
            self._end += len(line)
        self._is_behind = False

    def _catch_up(self) -> None:
        if self._is_behind:
            self._index_rest()

    def _header(self) -> bytes:
        owner = {"table": display_path(self.output.name), "checkpoint": self.label}
        owner |= {"of": self._kind}
        return json.dumps({"journal of scores": VERSION, **owner}).encode() + b"\n"

    def _refuse(self, first: bytes) -> None:
        """Reject a journal that is not that of this table, version and checkpoint.

        Raises:
            InputError: always.
        """
        try:
            owner = json.loads(first)
            kind = owner.get("of", self._kind)
            found = f"{owner['table']} of {kind}, checkpoint {owner['checkpoint']}"
            found += f", of version {owner['journal of scores']}"
        except (AttributeError, ValueError, TypeError, KeyError, RecursionError):
            found = "other content"
        raise InputError(
            f"{self.path}: must be the journal of {self.output.name}, checkpoint {self.label}, of"
            f" version {VERSION} of the table of {self._kind}, found {found}; finish that run"
            " first, or move the journal away"
        )

    def _index(self, row: Row, offset: int) -> None:
        location = row["location"]
        replaced = cast(dict[str, Any], row).get(REPLACES)
        if replaced is not None and (_exists(replaced) or not _exists(location)):
            return  # it was moved again before the rows were published
        self._offsets[location] = offset
        self._without_regions.discard(location)
        if REGIONS in row:
            self._with_regions.add(location)
        else:
            self._with_regions.discard(location)
        if replaced is not None:
            self._replaced[replaced] = location
        if row["status"] == "failed":
            self._done.pop(location, None)
        else:
            self._done[location] = hash((*_state(row), row["inside"]))

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        with as_input_error(self.output):
            self._file.close()

    def is_done(self, path: str) -> bool:
        """Whether a picture is scored as it is now; a failed one may have been repaired.

        One that is gone keeps its row: the disk that holds it may come back.
        """
        self._catch_up()
        state = file_state(path)
        location = state["location"]
        if state["size"] is None:
            return location in self._done
        return (
            self._done.get(location) == hash((*_state(state), self._inside(path)))
            and location not in self._without_regions
        )

    def add(self, row: Row, regions: Sequence[RegionRow]) -> None:
        """Append a finished row.

        Args:
            row: of a picture.
            regions: of the picture; kept if the table is in Parquet.
        """
        if self._regions_path is None or row["status"] == "failed":
            self._append(row)
        else:
            self._append(row, **{REGIONS: list(regions)})

    def _append(self, row: Row, **further: Any) -> None:
        with as_input_error(self.output):
            self._file.write(json.dumps({**row, **further}).encode() + b"\n")
            self._file.flush()
        self._is_behind = True

    def adopt_moved(self, paths: Sequence[str]) -> None:
        """Take over rows of pictures that were moved, by name, size and time.

        A picture whose new place has a row already, of another picture before, is scored again.

        Args:
            paths: of pictures that are not done.
        """
        self._catch_up()
        if not self._done:
            return
        states = [(path, file_state(path)) for path in paths]
        places = {state["location"] for _, state in states}
        keys = {_key(state) for _, state in states}
        taken, gone = set[str](), list[Row]()
        for row in self._table_rows():
            if row["location"] in places:
                taken.add(row["location"])
            if (
                row["status"] == "ok"
                and row["location"] not in self._without_regions
                and _key(row) in keys
                and not _exists(row["location"])
            ):
                gone.append(row)
        wanted = _by_key(
            [(path, state) for path, state in states if state["location"] not in taken]
        )
        moved = [row for row in gone if _key(row) in wanted]
        count = Counter(map(_key, moved))
        for row in moved:
            found = wanted[_key(row)]
            if count[_key(row)] == 1 and found is not None:
                path, state = found
                if row["inside"] != self._inside(path):
                    continue
                renamed: Row = {**row, **state, "path": display_path(path)}
                self._append(renamed, **{REPLACES: row["location"]})

    def publish(self, locations: Sequence[str]) -> None:
        """Write the tables and delete the journal; without a new row they stay as they are.

        Percentiles are known now, and those of earlier rows change. The table of regions comes
        first: a run that is killed between both finds the journal, and writes both again.

        Args:
            locations: of the pictures of this run, in the order of the table.
        """
        with as_input_error(self.output):
            self._catch_up()
            if self._offsets or not self.output.is_file():
                self._write_regions(locations)
                self._write_table(locations)
            self.path.unlink()

    def _final_rows(self, locations: Sequence[str]) -> Iterator[Row]:
        """The rows of the table to be written, without percentiles."""
        used: set[str] = set()
        yield from map(self._renewed(used), self._table_rows())
        yield from self._new_rows(locations, used)

    def _write_table(self, locations: Sequence[str]) -> None:
        used = set[str]()
        ranked = unranked if self._shard else Ranking.of(self._final_rows(locations)).ranked
        rows = map(ranked, self._new_rows(locations, used))
        if self.output.is_file():
            renewed = self._renewed(used)
            score_tables.update(self.output, lambda row: ranked(renewed(row)), rows, self.label)
        else:
            score_tables.write(self.output, rows, self.label)

    def _write_regions(self, locations: Sequence[str]) -> None:
        if self._regions_path is None:
            return
        ok = {row["location"] for row in self._final_rows(locations) if row["status"] == "ok"}
        moved = {
            replaced: (self._row(location)["path"], location)
            for replaced, location in self._replaced.items()
            if location in ok and location not in self._with_regions
        }
        rows = (
            region
            for location in self._published(locations)
            if location in self._with_regions
            for region in self._line(location)[REGIONS]
        )
        keep = ok - self._with_regions
        region_scores.update(self._regions_path, keep, moved, rows, self.label)

    def _renewed(self, used: set[str]) -> score_tables.Renew:
        """Gives the row of the journal that takes the place of a row; notes its location."""

        def renew(row: Row) -> Row:
            location = self._replaced.get(row["location"], row["location"])
            if location not in self._offsets:
                return row
            used.add(location)
            return self._row(location)

        return renew

    def _new_rows(self, locations: Iterable[str], used: set[str]) -> Iterator[Row]:
        """The rows of these pictures in order, then those of others from interrupted runs."""
        for location in self._published(locations):
            if location in self._offsets and location not in used:
                yield self._row(location)

    def _published(self, locations: Iterable[str]) -> Iterable[str]:
        """The pictures whose rows in the journal are published: these, then others; each once."""
        return dict.fromkeys(locations if self._shard else [*locations, *self._offsets])

    def _row(self, location: str) -> Row:
        line = self._line(location)
        return cast(Row, {name: line[name] for name in SCHEMA.names})

    def _line(self, location: str) -> dict[str, Any]:
        self._file.seek(self._offsets[location])
        line: dict[str, Any] = json.loads(self._file.readline())
        return line


def journal_path(output: Path) -> Path:
    """The journal of a table."""
    return output.with_name(f".{output.name}.journal")


def _exists(location: str) -> bool:
    """Whether a picture is at its location; not in a folder that is closed."""
    return os.path.exists(stored_path(location))  # noqa: PTH110 a closed folder is no error


def _parse(line: bytes) -> Row | None:
    """A row of the journal; None if it is incomplete."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    complete = line.endswith(b"\n") and row.keys() >= set(SCHEMA.names)
    return row if complete else None


def _state(row: Row | FileState) -> State:
    return row["size"], row["modified"]


def _key(row: Row | FileState) -> Moved:
    return Path(row["location"]).name, row["size"], row["modified"]


def _by_key(
    pictures: Iterable[tuple[str, FileState]],
) -> dict[Moved, tuple[str, FileState] | None]:
    """Pictures by what a move leaves; None where several are alike."""
    found: dict[Moved, tuple[str, FileState] | None] = {}
    for path, state in pictures:
        if state["size"] is not None:
            found[_key(state)] = None if _key(state) in found else (path, state)
    return found
