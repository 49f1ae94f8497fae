"""Carrying out plans, and taking them back."""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rsfiqa.cull.actions import Action, MakeFolder, NotBegunError
from rsfiqa.cull.journal import Journal
from rsfiqa.cull.plan import Group, reason_of
from rsfiqa.errors import InputError

# error numbers of a disk: what concerns one picture concerns the next one too
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.ENODEV, errno.ENXIO})


@dataclass
class Left:
    """Actions that could not be taken back.

    Attributes:
        actions: in the order in which they were done.
        reasons: why, one each.
        tried: number of actions, with those that were taken back.
        files: number of those that are on files, not on folders.
    """

    actions: list[Action] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    tried: int = 0
    files: int = 0

    @property
    def undone_files(self) -> int:
        """Number of actions on files that were taken back."""
        return self.files - _count_files(self.actions)

    def add(self, earlier: "Left") -> None:
        """Add actions that were done before these."""
        self.actions[:0] = earlier.actions
        self.reasons[:0] = earlier.reasons
        self.tried += earlier.tried
        self.files += earlier.files


def settle(journal: Journal) -> None:
    """Take back the last group of a run that was killed, of which only a part may be done.

    Raises:
        InputError: it cannot be taken back.
    """
    if not (journal.is_interrupted and journal.runs[-1].groups):
        return
    left = _undo(journal.runs[-1].groups[-1])
    if left.actions:
        raise InputError(
            f"{journal.path}: the run before was interrupted, and {left.reasons[0]}; put that"
            " right, or run with --undo"
        )
    journal.drop_group()


def apply(journal: Journal, groups: Iterable[Group]) -> Iterator[Group]:
    """Carry out groups; yields each when it is done, with the reason if it had to be skipped.

    A disk that refuses ends the run, and all that it has done is taken back.

    Raises:
        InputError: the disk refuses.
    """
    journal.begin()
    for group in groups:
        if group.skipped or not group.actions:
            yield group
            continue
        try:
            reason = _carry_out(journal, group)
        except OSError as error:
            raise _refused(journal, error) from error
        yield Group(group.pictures, skipped=reason) if reason else group
    journal.finish()


def _carry_out(journal: Journal, group: Group) -> str | None:
    """Do the actions of a group; why it was skipped, or None.

    Raises:
        OSError: the disk refuses; the group is in the journal.
    """
    reason = next(filter(None, (picture.change() for picture in group.pictures)), None)
    if reason is not None:
        return reason
    actions = [*_folders(group.actions), *group.actions]
    journal.add(actions)
    for number, action in enumerate(actions, 1):
        try:
            action.do()
        except OSError as error:
            if error.errno in DISK:
                raise
            begun = number - isinstance(error, FileExistsError | NotBegunError)
            left = _undo(actions[:begun])
            if left.actions:
                return f"is left half done: {left.reasons[0]}; see --undo"
            journal.drop_group()
            return reason_of(error)
    return None


def _folders(actions: Iterable[Action]) -> list[Action]:
    """The folders that are missing for some actions, the outer ones first."""
    missing: dict[Path, None] = {}
    for action in actions:
        parents = [action.target.parent, *action.target.parent.parents]
        missing |= dict.fromkeys(
            reversed([parent for parent in parents if not os.path.lexists(parent)])
        )
    return [MakeFolder(path) for path in missing]


def _refused(journal: Journal, error: OSError) -> InputError:
    """Take back the whole run, and say so."""
    subject, reason = error.filename or journal.path, os.strerror(error.errno or 0)
    try:
        left = undo(journal)
    except OSError as second:
        outcome = f"not all is taken back ({second.strerror}); run with --undo"
    else:
        outcome = (
            f"{len(left.actions)} actions could not be taken back ({left.reasons[0]}); run with"
            " --undo"
            if left.actions
            else "all of this run is taken back; make room or change permissions, and run it again"
        )
    return InputError(f"{subject}: cannot be written ({reason}); {outcome}")


def undo(journal: Journal) -> Left:
    """Take back the last run; what must be left stays in the journal.

    What is left of later runs is tried again first; where it must still be left, it does not keep
    the run before from being taken back.

    Raises:
        OSError: the disk refuses; the journal is as before, and the same call goes on.
    """
    found = Left()
    for run in reversed(journal.runs):
        left = Left()
        for group in reversed(run.groups):
            left.add(_undo(group))
        found.add(left)
        if not run.is_left or len(left.actions) < left.tried:
            journal.drop_run(run, left.actions)
            break
    return found


def _undo(actions: Sequence[Action]) -> Left:
    """Take back actions, the last one first."""
    left = Left(tried=len(actions), files=_count_files(actions))
    for action in reversed(actions):
        try:
            reason = action.undo()
        except OSError as error:
            if error.errno in DISK:
                raise
            reason = f"{error.filename}: {error.strerror}"
        if reason is not None:
            left.add(Left([action], [reason]))
    return left


def _count_files(actions: Iterable[Action]) -> int:
    return sum(not isinstance(action, MakeFolder) for action in actions)
