"""Plans: the actions on each chosen picture and its sidecars."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

from rsfiqa.cull import files, sidecars
from rsfiqa.cull.actions import Action, Copy, Link, Move
from rsfiqa.cull.journal import Run
from rsfiqa.cull.selection import GONE, Picture
from rsfiqa.errors import first_line

Kind = Literal["copy", "move", "link"]
ACTIONS = {"copy": Copy, "move": Move, "link": Link}
THERE = "lies in that folder already"


@dataclass(frozen=True)
class Group:
    """Pictures that are treated together: those of one name in one folder, such as RAW and JPEG.

    Attributes:
        pictures: at least one.
        actions: in order; none if nothing is to be done.
        lines: the actions in words.
        skipped: why nothing is done although it should be.
        done: nothing is done because an earlier run did it.
    """

    pictures: Sequence[Picture]
    actions: Sequence[Action] = ()
    lines: Sequence[str] = ()
    skipped: str | None = None
    done: bool = False


@dataclass
class Filing:
    """Plans copies, moves or links into a folder.

    Pictures keep their place relative to the folder that holds all of the table. Where a name is
    taken, a number is appended to the stem, for a picture and its sidecars alike.

    Attributes:
        kind: of the actions.
        folder: absolute.
        root: folder that holds all pictures of the table.
        runs: earlier ones of the table.
    """

    kind: Kind
    folder: Path
    root: Path
    runs: Sequence[Run]
    _taken: set[str] = field(default_factory=set)

    def groups(self, pictures: Sequence[Picture]) -> Iterator[Group]:
        """The groups of some pictures, in the order of their first ones."""
        sidecars.folder_of.cache_clear()
        moved, made = moved_by(self.runs), self._made()
        for members in by_name(pictures).values():
            kept = []
            for picture in members:
                reason = picture.change()
                if reason in (None, GONE) and picture.path in (moved if reason else made):
                    yield Group([picture], done=True)
                elif reason is None and picture.path.is_relative_to(self.folder):
                    yield Group([picture], skipped=THERE)
                elif reason is not None:
                    yield Group([picture], skipped=reason)
                else:
                    kept.append(picture)
            if kept:
                yield self._group(kept)

    def _made(self) -> set[Path]:
        """The files whose present state earlier runs have copied or linked into the folder."""
        return {
            action.source
            for action in _actions(self.runs)
            if isinstance(action, Copy | Link)
            and isinstance(action, ACTIONS[self.kind])
            and action.target.is_relative_to(self.folder)
            and files.exists(action.target)
            and (isinstance(action, Link) or action.is_current())
        }

    def _group(self, pictures: Sequence[Picture]) -> Group:
        source = pictures[0].path.parent
        found = sidecars.folder_of(source)
        own = [picture.path.name for picture in pictures]
        others = dict.fromkeys(name for picture in own for name in found.sidecars(picture))
        stem = pictures[0].path.stem
        place = self.folder / source.relative_to(self.root)
        renamed = self._free_names(place, stem, [*own, *others])
        actions: list[Action] = []
        for name, target in renamed.items():
            stays = self.kind == "move" and name in others and found.is_shared(name, own)
            action = Copy if stays else ACTIONS[self.kind]
            make = getattr(action, "of", action)
            try:
                actions.append(make(source / name, place / target))
            except OSError as error:
                return Group(pictures, skipped=reason_of(error))
        lines = [
            f"{action.to_json()['do']} {source / name} -> {action.target}"
            for name, action in zip(renamed, actions, strict=True)
        ]
        return Group(pictures, actions, lines)

    def _free_names(self, place: Path, stem: str, names: Iterable[str]) -> dict[str, str]:
        """New names that no file has, by the old ones; all with the same number, or none."""
        names = list(names)
        for number in count(1):
            numbered = stem if number == 1 else f"{stem}-{number}"
            renamed = {name: numbered + name[len(stem) :] for name in names}
            paths = [place / name for name in renamed.values()]
            keys = {_key(path) for path in paths}
            if self._taken.isdisjoint(keys) and not any(map(files.exists, paths)):
                self._taken |= keys
                return renamed
        raise AssertionError("numbers do not end")


def reason_of(error: OSError) -> str:
    """Why an action cannot be done."""
    named = f"{error.filename}: {error.strerror}"
    return f"cannot be done ({named if error.filename else first_line(error)})"


def by_name(pictures: Iterable[Picture]) -> Mapping[tuple[Path, str], list[Picture]]:
    """Pictures by folder and stem."""
    found: dict[tuple[Path, str], list[Picture]] = {}
    for picture in pictures:
        found.setdefault((picture.path.parent, picture.path.stem), []).append(picture)
    return found


def moved_by(runs: Iterable[Run]) -> set[Path]:
    """The files that earlier runs have moved."""
    return {action.source for action in _actions(runs) if isinstance(action, Move)}


def _actions(runs: Iterable[Run]) -> Iterator[Action]:
    for run in runs:
        for group in run.groups:
            yield from group


def _key(path: Path) -> str:
    """A path as a file system compares it that ignores case and forms of Unicode."""
    return unicodedata.normalize("NFC", os.fspath(path)).casefold()
