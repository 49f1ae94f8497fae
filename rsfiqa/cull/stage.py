"""The cull command: what is chosen, what would be done, what is done, and how it is undone."""

import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rsfiqa.cull import execution, families, rating
from rsfiqa.cull.actions import Copy, MakeFolder, Move, Write
from rsfiqa.cull.conditions import Conditions, Severities, check_below
from rsfiqa.cull.journal import Journal, Run, journal_path, read_runs
from rsfiqa.cull.plan import Filing, Group, Kind, moved_by
from rsfiqa.cull.selection import GONE, Picture, Selection, read, select
from rsfiqa.errors import InputError
from rsfiqa.images.location import shown_path
from rsfiqa.io.folders import check_folder
from rsfiqa.io.terminal import counted
from rsfiqa.products import score_tables, scores
from rsfiqa.products.scores import scale_of

Naming = Literal["auto", "darktable", "lightroom"]
DONE = {"move": "moved", "copy": "copied", "link": "linked", "xmp": "rated"}

log = logging.getLogger("rsfiqa")


def choose(table: Path, conditions: Conditions, *, needs_families: bool = False) -> Selection:
    """The pictures of a table that meet the conditions; says of how many that is not known.

    Args:
        table: of scores.
        conditions: of the choice.
        needs_families: read the severities of families although no condition needs them.

    Raises:
        InputError: a wrong table, or conditions that do not fit it.
    """
    rows = read(table)
    if conditions.below is not None:
        check_below(conditions.below, scale_of(rows[0]))
    severities: Mapping[str, Severities] = {}
    if needs_families or any(flag.needs_regions for flag in conditions.flags):
        severities = families.read(table, rows[0]["checkpoint"], conditions)
    selection = select(table, rows, conditions, severities)
    if selection.unknown:
        log.info(
            "cull: %s of %s have no regions, which the condition needs; score them again: rsfiqa"
            " score PATH... -o %s",
            selection.unknown,
            counted(selection.scored, "scored picture"),
            table,
        )
    return selection


def show(
    table: Path, conditions: Conditions, *, output: Path | None = None, null: bool = False
) -> bool:
    """List the chosen pictures that are as they were scored; whether all are.

    Args:
        table: of scores.
        conditions: of the choice.
        output: table to write; None to print paths, one a line.
        null: end paths with null bytes instead of lines.

    Raises:
        InputError: a wrong table, condition or output.
    """
    if output is not None:
        _check_output(output)
    selection = choose(table, conditions)
    moved, kept, changed = moved_by(read_runs(table)), [], 0
    for picture in selection.chosen:
        reason = picture.change()
        if reason is None:
            kept.append(picture)
        elif reason != GONE or picture.path not in moved:
            changed += 1
            log.info("left out: %s %s", shown_path(str(picture.path)), reason)
    if output is None:
        _print_paths(kept, b"\0" if null else b"\n")
    else:
        with scores.as_input_error(output):
            score_tables.write(output, [picture.row for picture in kept], selection.label)
    log.info("cull: %s", _chosen(selection, conditions))
    return not changed


def file_away(
    table: Path, conditions: Conditions, kind: Kind, folder: Path, *, is_applied: bool
) -> bool:
    """Copy, move or link the chosen pictures into a folder; whether none was skipped.

    Args:
        table: of scores.
        conditions: of the choice.
        kind: of the action.
        folder: need not exist.
        is_applied: do it; else only say what would be done.

    Raises:
        InputError: a wrong table, condition or folder; a disk that refuses.
    """
    check_folder(folder)
    target = folder.resolve()

    def groups(selection: Selection, runs: Sequence[Run]) -> Iterable[Group]:
        planned = list(Filing(kind, target, selection.root, runs).groups(selection.chosen))
        _check_writable(planned)
        _check_room(target, kind, planned)
        return planned

    return _run(table, conditions, kind, groups, is_applied=is_applied)


def rate(
    table: Path, conditions: Conditions, naming: Naming, *, overwrite: bool, is_applied: bool
) -> bool:
    """Write ratings and keywords of the chosen pictures as sidecars; whether none was skipped.

    Args:
        table: of scores.
        conditions: of the choice.
        naming: of new sidecars.
        overwrite: replace ratings that a person has set.
        is_applied: do it; else only say what would be done.

    Raises:
        InputError: a wrong table or condition; a disk that refuses.
    """

    def groups(selection: Selection, _: Sequence[Run]) -> Iterable[Group]:
        return rating.groups(selection.chosen, naming, overwrite=overwrite)

    return _run(table, conditions, "xmp", groups, is_applied=is_applied)


def undo(table: Path) -> bool:
    """Take back the last run of a table; whether nothing had to be left.

    Raises:
        InputError: there is none, or the disk refuses.
    """
    if not journal_path(table).is_file():
        raise InputError(f"{table}: has no run to undo; rsfiqa cull --apply begins one")
    with Journal(table) as journal:
        if not journal.runs:
            raise InputError(f"{table}: has no run to undo; rsfiqa cull --apply begins one")
        left = execution.undo(journal)
    for reason in left.reasons:
        log.info("left as it is: %s", shown_path(reason))
    print(f"undone: {left.undone_files} of {left.files} actions on files")
    return not left.actions


@dataclass
class _Account:
    """Counts of what was or would be done."""

    pictures: int = 0
    sidecars: int = 0
    done_before: int = 0
    skipped: int = 0

    def add(self, group: Group, *, is_shown: bool) -> None:
        """Count a group, and print its actions or why it is skipped."""
        if group.skipped:
            self.skipped += len(group.pictures)
            for picture in group.pictures:
                path = shown_path(str(picture.path))
                log.info("skipped: %s %s", path, shown_path(group.skipped))
        elif group.done:
            self.done_before += len(group.pictures)
        else:
            self.pictures += len(group.pictures)
            files = [action for action in group.actions if not isinstance(action, MakeFolder)]
            written = any(isinstance(action, Write) for action in files)
            self.sidecars += len(files) - (0 if written else len(group.pictures))
            for line in group.lines if is_shown else ():
                print(shown_path(line))

    def __str__(self) -> str:
        words = [counted(self.pictures, "picture"), counted(self.sidecars, "sidecar")]
        text = f"{words[0]} ({words[1]})"
        text += f", {self.skipped} skipped" if self.skipped else ""
        return text + (f", {self.done_before} done before" if self.done_before else "")


def _run(
    table: Path,
    conditions: Conditions,
    kind: Kind | Literal["xmp"],
    groups: Callable[[Selection, Sequence[Run]], Iterable[Group]],
    *,
    is_applied: bool,
) -> bool:
    """Show or carry out plans; whether no picture was skipped."""
    selection, account = choose(table, conditions, needs_families=kind == "xmp"), _Account()
    if not is_applied:
        for group in groups(selection, read_runs(table)):
            account.add(group, is_shown=True)
        print(_chosen(selection, conditions))
        print(f"nothing has been done; with --apply would be {DONE[kind]}: {account}")
        return not account.skipped
    try:
        with Journal(table) as journal:
            execution.settle(journal)
            for group in execution.apply(journal, groups(selection, journal.runs)):
                account.add(group, is_shown=False)
    except KeyboardInterrupt:
        log.info("%s so far: %s; --undo takes it back", DONE[kind], account)
        raise
    print(_chosen(selection, conditions))
    hint = f"; rsfiqa cull {table} --undo takes it back" if account.pictures else ""
    print(f"{DONE[kind]}: {account}{hint}")
    return not account.skipped


def _chosen(selection: Selection, conditions: Conditions) -> str:
    """How many pictures were chosen, and by what."""
    text = f"{len(selection.chosen)} of {counted(selection.scored, 'scored picture')} chosen"
    text += f": {conditions.describe(selection.scale)}"
    return text + (f" ({selection.failed} without a score)" if selection.failed else "")


def _print_paths(pictures: Sequence[Picture], end: bytes) -> None:
    """Print paths byte by byte, so that another program finds the files."""
    sys.stdout.flush()
    content = b"".join(os.fsencode(picture.path) + end for picture in pictures)
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _check_output(output: Path) -> None:
    """Reject a table that exists, such as the one that is read.

    Raises:
        InputError: it exists, or cannot be a table.
    """
    scores.check(output)
    if output.exists():
        raise InputError(f"{output}: must be a new file, found one; give another name")


def _check_writable(groups: Iterable[Group]) -> None:
    """Reject pictures that cannot be moved out of their folder.

    Raises:
        InputError: the folder of one is on a read-only medium or may not be written.
    """
    actions = [action for group in groups for action in group.actions]
    for folder in sorted({action.source.parent for action in actions if isinstance(action, Move)}):
        if not os.access(folder, os.W_OK):
            raise InputError(
                f"{folder}: must be writable to move its pictures, found a read-only folder or"
                " medium; use --copy, or change permissions"
            )


def _check_room(folder: Path, kind: Kind, groups: Iterable[Group]) -> None:
    """Reject a file system without room for what is copied to it.

    Raises:
        InputError: it has too little.
    """
    place = next(path for path in (folder, *folder.parents) if path.exists())
    device, needed = place.stat().st_dev, 0
    for action in (action for group in groups for action in group.actions):
        if isinstance(action, Copy):
            needed += action.state[0]
        elif isinstance(action, Move) and action.link is None:
            with suppress(OSError):  # then it is skipped
                found = action.source.stat()
                needed += found.st_size if found.st_dev != device else 0
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InputError(
            f"{folder}: must have room for {needed / 1e6:.1f} MB to {kind}, found {free / 1e6:.1f}"
            " MB; make room, or choose fewer pictures"
        )
