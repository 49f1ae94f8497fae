"""The order of the pictures of a group, the best first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from rsfiqa.errors import ImageError
from rsfiqa.group.sources import Scored
from rsfiqa.images.enlarged import LEAST_RATIO, has_more_detail
from rsfiqa.images.fingerprint import unpack_hash
from rsfiqa.images.load import load_reduced
from rsfiqa.images.near_duplicates import MAX_DISTANCE, distance
from rsfiqa.products.fingerprints import Fingerprint, state_of

# Fraction of the range within which scores do not tell two pictures apart. The better color rating
# decides there, which is that of the brighter frame: of 100 synthetic bursts of BIQ2021's training
# part the score alone preferred a frame of 60 % brightness in three, by 0.65 points of 100 at most.
TIE = 0.01
FULL = 1 << 16  # pixels a side, below which no picture is reduced
SHAPE = 0.03  # relative difference of the aspect ratios of two copies


class Ratable(Protocol):
    """What has a score."""

    @property
    def quality(self) -> float:
        """In fractions of the range, higher is better."""

    @property
    def color(self) -> float:
        """The rating of color, 1 to 5."""

    @property
    def order(self) -> tuple[Any, ...]:
        """Sorts those of equal quality."""


Load = Callable[[Path], np.ndarray | None]
Rated = TypeVar("Rated", bound=Ratable)


@dataclass(frozen=True, eq=False)
class Member:
    """A picture of a group.

    Attributes:
        name: path as displayed.
        path: of the file.
        print: its fingerprint.
        scored: its score; None if it is unknown.
    """

    name: str
    path: Path
    print: Fingerprint
    scored: Scored | None

    @property
    def size(self) -> str:
        """Width and height as text."""
        return f"{self.print['width']} x {self.print['height']}"

    @property
    def long_side(self) -> int:
        """In pixels."""
        return max(self.print["width"], self.print["height"])

    @property
    def quality(self) -> float:
        """In fractions of the range; below all others if it is unknown."""
        return self.scored.quality if self.scored else -np.inf

    @property
    def color(self) -> float:
        """The rating of color, 1 to 5; 0 if it is unknown."""
        return self.scored.ratings.get("color", 0.0) if self.scored else 0.0

    @property
    def order(self) -> tuple[Any, ...]:
        """Sorts members of equal quality: larger pictures, larger files, files before links."""
        return -self.long_side, -(self.print["size"] or 0), self.path.is_symlink(), self.name


@dataclass(frozen=True, eq=False)
class Frame:
    """One exposure: copies of it in several sizes, or the one picture.

    Attributes:
        members: the best first: by the detail that they show, then by score.
        originals: the smaller member beyond which a larger one shows nothing, by the larger's name.
    """

    members: list[Member]
    originals: Mapping[str, Member]

    @property
    def quality(self) -> float:
        """That of the copy of the highest score: reducing a picture hides noise and blur."""
        return max(member.quality for member in self.members)

    @property
    def color(self) -> float:
        """The rating of color, 1 to 5; 0 if it is unknown."""
        return self.members[0].color

    @property
    def order(self) -> tuple[Any, ...]:
        """Sorts frames of equal quality."""
        return self.members[0].order


def rank(members: Sequence[Member]) -> list[Frame]:
    """The exposures of a group from best to worst, and their copies likewise.

    The score decides between exposures. Of copies of one exposure in several sizes, that of most
    detail comes first, and an enlarged one after the picture that it was made of.

    Args:
        members: of the group.
    """
    return _by_score([_frame(part) for part in _copies(members)])


def _copies(members: Sequence[Member]) -> list[list[Member]]:
    """The members that are copies of each other in different sizes."""
    sets = DisjointSet(range(len(members)))
    hashes = [unpack_hash(member.print["hash"]) for member in members]
    for second, other in enumerate(members):
        for first, one in enumerate(members[:second]):
            sizes = sorted((one.long_side, other.long_side))
            if (
                sizes[1] >= LEAST_RATIO * sizes[0]
                and _same_shape(one, other)
                and distance(hashes[first], hashes[second]) <= MAX_DISTANCE
            ):
                sets.merge(first, second)
    return [[members[number] for number in sorted(part)] for part in sets.subsets()]


def _same_shape(one: Member, other: Member) -> bool:
    ratios = [member.print["width"] / member.print["height"] for member in (one, other)]
    return abs(ratios[0] / ratios[1] - 1) <= SHAPE


def _frame(members: list[Member]) -> Frame:
    """An exposure, its copies ordered by the detail that they show."""
    loaded = lru_cache(maxsize=2)(_load)
    detail: dict[str, int] = {}  # long side in pixels up to which a member shows detail
    originals: dict[str, Member] = {}
    shown: list[Member] = []  # members with the detail of their size, the smallest first
    for member in sorted(members, key=lambda one: (one.long_side, -one.quality, one.name)):
        original = _original(member, shown)
        if original is None or _shows_more(member, original, loaded):
            detail[member.name] = member.long_side
            shown.append(member)
        else:
            detail[member.name] = original.long_side
            originals[member.name] = original
    ordered: list[Member] = []
    for size in sorted(set(detail.values()), reverse=True):
        equal = [one for one in members if detail[one.name] == size]
        enlarged = [one for one in equal if one.name in originals]
        ordered += _by_score([one for one in equal if one.name not in originals])
        ordered += sorted(enlarged, key=lambda one: (one.long_side, one.name))
    return Frame(ordered, originals)


def _original(member: Member, shown: Sequence[Member]) -> Member | None:
    """The best of the largest copies that are smaller than a member; None if there is none."""
    smaller = [one for one in shown if member.long_side >= LEAST_RATIO * one.long_side]
    largest = [one for one in smaller if smaller[-1].long_side < LEAST_RATIO * one.long_side]
    return _by_score(largest)[0] if largest else None


def _load(path: Path) -> np.ndarray | None:
    try:
        return load_reduced(path, FULL).pixels
    except (ImageError, OSError):
        return None


def _shows_more(large: Member, small: Member, loaded: Load) -> bool:
    """Whether the larger copy shows more detail; its fingerprint keeps the answer."""
    state = state_of(small.print)
    if large.print["compared"] != state or large.print["has_more"] is None:
        answer = _compare(loaded(large.path), loaded(small.path))
        if answer is None:
            return True
        large.print["compared"], large.print["has_more"] = state, answer
    return bool(large.print["has_more"])


def _compare(large: np.ndarray | None, small: np.ndarray | None) -> bool | None:
    """Whether the larger image shows more; None if one cannot be read."""
    if large is None or small is None:
        return None
    if max(large.shape) < LEAST_RATIO * max(small.shape):
        return True  # both are huge, and were reduced while they were loaded
    return has_more_detail(large, small)


def _by_score(items: Sequence[Rated]) -> list[Rated]:
    """From best to worst score; among the best that it does not tell apart, color decides."""
    ordered = sorted(items, key=lambda one: (-one.quality, one.order))
    tied = [one for one in ordered if one.quality >= ordered[0].quality - TIE]
    if len(tied) > 1:
        best = max(tied, key=lambda one: one.color)  # the first of equal ones
        ordered.remove(best)
        ordered.insert(0, best)
    return ordered
