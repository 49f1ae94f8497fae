"""Why a picture has its place in a group, in words."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rsfiqa.group.best import TIE, Frame, Member
from rsfiqa.images.enlarged import LEAST_RATIO
from rsfiqa.images.fingerprint import unpack_thumbnail
from rsfiqa.products.groups import Relation

DARKER = 0.85  # ratio of mean grey values
LEAST_LOSS = 0.25  # of a rating, so that it is named
WORDS = {"blur": "blurrier", "noise": "noisier", "artifact": "more artifacts"}
COLOR = "worse color"


class Placed(NamedTuple):
    """A picture at its place in a group."""

    member: Member
    relation: Relation
    reason: str


def explain(frames: Sequence[Frame], same: Mapping[str, str]) -> Iterator[Placed]:
    """The pictures of a group in their order, each with its relation and the reason.

    Args:
        frames: of the group, the best first.
        same: a key that files with the same bytes share, by name; others have none.
    """
    best = frames[0].members[0]
    if sum(len(frame.members) for frame in frames) == 1:
        yield Placed(best, "single", "no similar picture")
        return
    firsts: dict[str, Member] = {}
    for frame in frames:
        for member in frame.members:
            first = firsts.setdefault(same.get(member.name, member.name), member)
            if member is best:
                yield Placed(member, "best", _why_best(frames))
            elif first is not member:
                yield Placed(member, "same_bytes", _why_same(member, first))
            else:
                yield Placed(member, *_relation(member, frame, best))


def _why_same(member: Member, first: Member) -> str:
    name = _name(first, member)
    try:
        is_link = member.path.samefile(first.path)
    except OSError:  # one of them has just gone
        is_link = False
    return f"a link to the same file as {name}" if is_link else f"the same bytes as {name}"


def _name(other: Member, member: Member) -> str:
    """The path of another picture: its name alone, if it lies in the same folder."""
    path = Path(other.name)
    return path.name if path.parent == Path(member.name).parent else str(path)


def _relation(member: Member, frame: Frame, best: Member) -> tuple[Relation, str]:
    """What a member is to the pictures before it, in a word and in a sentence."""
    first = frame.members[0]
    if (original := frame.originals.get(member.name)) is not None:
        name, detail = _name(original, member), "no more detail than an enlargement of"
        if _is_smaller(first, member) or _is_smaller(member, first):
            sizes = f"({member.size}, {original.size})"
            return "enlarged", f"larger than {name} {sizes} but blurrier: {detail} it"
        # as large as one that shows more: enlarged, or blurred
        return "enlarged", f"{_comparison(member, best)}; {detail} {name}"
    if _is_smaller(member, first):
        return "reduced", f"smaller copy of {_name(first, member)} ({member.size}, {first.size})"
    return "similar", _comparison(member, best)


def _comparison(member: Member, best: Member) -> str:
    """A member against the best picture: points, and what it is worse at."""
    if member.scored is None or best.scored is None:
        return f"similar to {_name(best, member)}; it has no score"
    apart = abs(member.scored.shown - best.scored.shown)
    lost = ", ".join(_losses(member, best))
    because = f": {lost}" if lost else ""
    if abs(member.quality - best.quality) <= TIE:
        return f"about as good as {_name(best, member)}{because}"
    side = "lower" if member.quality < best.quality else "higher"
    return f"quality {apart:.1f} points {side} than that of {_name(best, member)}{because}"


def _losses(member: Member, best: Member) -> Iterator[str]:
    """What a member is worse at than the best picture, the largest loss of a rating first."""
    if member.scored is None or best.scored is None:
        return
    own, others = member.scored.ratings, best.scored.ratings
    losses = {name: others[name] - own[name] for name in own.keys() & others.keys()}
    brightness = [unpack_thumbnail(one.print["thumbnail"]).mean() for one in (member, best)]
    darker = brightness[0] < DARKER * brightness[1]
    for name in sorted(losses, key=lambda name: (-losses[name], name)):
        if name in WORDS and losses[name] >= LEAST_LOSS:
            yield WORDS[name]
        elif name == "color" and losses[name] >= LEAST_LOSS:
            yield "darker" if darker else COLOR
    if darker and losses.get("color", 0.0) < LEAST_LOSS:
        yield "darker"


def _why_best(frames: Sequence[Frame]) -> str:
    """Why the first picture of a group is the best one."""
    best, rest = frames[0].members[0], [frame.quality for frame in frames[1:]]
    count = f"best of {sum(len(frame.members) for frame in frames)}"
    if any(_is_smaller(other, best) for other in frames[0].members) and np.isfinite(best.quality):
        return f"{count}: most detail" + (", of the best exposure" if rest else "")
    if any(_is_smaller(best, other) for other in frames[0].members) and not rest:
        return f"{count}: a larger copy shows no more detail"
    if not np.isfinite(frames[0].quality):
        return f"{count}: the largest, as none has a score"
    qualities = [frame.quality for frame in frames] + [one.quality for one in frames[0].members]
    if frames[0].quality < max(qualities) or best.quality < max(qualities):
        return f"{count}: as good as the highest score, with better color"
    return f"{count}: highest score"


def _is_smaller(one: Member, other: Member) -> bool:
    """Whether a picture counts as smaller than another, not as equally large."""
    return other.long_side >= LEAST_RATIO * one.long_side
