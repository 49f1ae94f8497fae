"""Sidecars: the files beside a picture that other programs keep about it."""

import os
import re
from collections import defaultdict
from collections.abc import Container
from functools import lru_cache
from pathlib import Path

from rsfiqa.images.formats import SUFFIXES

XMP = ".xmp"
# Suffixes of sidecars behind the whole name (a.jpg.xmp): XMP, RawTherapee, ART, DxO, Google Takeout
APPENDED = frozenset({XMP, ".pp3", ".arp", ".dop", ".json"})
# Suffixes of sidecars that take the place of the picture's own (a.xmp): XMP, Apple, On1, Canon
REPLACING = frozenset({XMP, ".aae", ".on1", ".thm"})
VERSION = re.compile(r"(.+)_\d\d(\.[^.]+)")  # of a picture, whose sidecar darktable calls a_01.jpg
FOLDERS = 64  # that are remembered


class Folder:
    """The pictures and sidecars in a folder.

    Args:
        path: of the folder; one that cannot be read counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._appended: dict[str, list[str]] = defaultdict(list)  # by name of the picture
        self._replacing: dict[str, list[str]] = defaultdict(list)  # by its stem
        self._pictures: dict[str, list[str]] = defaultdict(list)  # by stem
        try:
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in entries if not _is_folder(entry))
        except OSError:
            names = []
        for name in names:
            if Path(name).suffix.lower() in SUFFIXES:
                self._pictures[Path(name).stem].append(name)
        known = frozenset(names)
        for name in names:
            self._add(name, known)

    def _add(self, name: str, known: Container[str]) -> None:
        """Add a sidecar to the picture of its whole name, else to those of its stem."""
        base, suffix = Path(name).stem, Path(name).suffix.lower()
        owners = [base]
        if base not in known and (found := VERSION.fullmatch(base)):
            owners.append(found[1] + found[2])
        if suffix in APPENDED:
            for owner in owners:
                self._appended[owner].append(name)
        if suffix in REPLACING and not (suffix in APPENDED and any(map(self._has, owners))):
            self._replacing[base].append(name)

    def _has(self, name: str) -> bool:
        """Whether a picture has that name."""
        return name in self._pictures.get(Path(name).stem, [])

    def sidecars(self, name: str) -> list[str]:
        """The names of a picture's sidecars."""
        return [*self._appended.get(name, []), *self._replacing.get(Path(name).stem, [])]

    def is_shared(self, sidecar: str, group: Container[str]) -> bool:
        """Whether a sidecar such as a.xmp also belongs to a picture outside a group, such as a.cr2.

        Args:
            sidecar: one of the group's.
            group: names of pictures.
        """
        base = Path(sidecar).stem
        others = self._pictures.get(base, []) if sidecar in self._replacing.get(base, []) else []
        return base not in group and any(name not in group for name in others)

    def xmp_names(self, name: str, naming: str, group: Container[str]) -> list[str]:
        """The XMP sidecars of a picture that are to be written; they need not exist.

        Args:
            name: of the picture.
            naming: `darktable` for a.jpg.xmp, `lightroom` for a.xmp, unless that is the a.jpg.xmp
                of another picture, or `auto` for those that exist, and a.jpg.xmp if there is none.
            group: names of the pictures that are rated; with `auto`, a.xmp is left to a picture
                outside it, such as a.cr2.
        """
        stem = Path(name).stem
        appended = [
            other
            for other in self._appended.get(name, [])
            if Path(other).suffix.lower() == XMP and Path(other).stem == name
        ]
        replacing = [
            other for other in self._replacing.get(stem, []) if Path(other).suffix.lower() == XMP
        ]
        if naming == "lightroom" and not self._has(stem):
            return replacing or [stem + XMP]
        if naming == "auto":
            appended += [other for other in replacing if not self.is_shared(other, group)]
        return appended or [name + XMP]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or leads to one; `is_dir` fails for a link to itself."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # noqa: PTH112


@lru_cache(FOLDERS)
def folder_of(path: Path) -> Folder:
    """A folder as it was when it was first asked for; `folder_of.cache_clear` forgets it."""
    return Folder(path)
