"""The sentence of a caption, which the embed stage turns into a vector and people read."""

import re
from collections.abc import Sequence

from rsfiqa.products.captions import Distortion
from rsfiqa.vocabulary import ITU_LEVELS, SEVERITY_WORDS, UNGRADED, family_words

NO_DISTORTION = "no distortion"
NO_CAUSE = "no single cause found"  # quality is low, and no distortion is named
LEAST_UNDISTORTED = "good"  # the lowest level at which a region may be said to have no distortion
_OVERALL = ". Overall "
_UNGRADED = frozenset(map(family_words, UNGRADED))  # present or absent, without a severity


def caption_sentence(content: str, distortions: Sequence[Distortion], overall: int) -> str:
    """Content, distortions and overall rating of a region as text.

    Args:
        content: what the region shows.
        distortions: in the order in which they are named; empty for none.
        overall: 1 (bad) to 5 (excellent).
    """
    level = ITU_LEVELS[overall - 1]
    if distortions:
        return f"{content} with {_named(distortions)}{_OVERALL}{level}."
    return f"{content}{_unnamed(level)}{_OVERALL}{level}."


def revised_sentence(
    sentence: str, named: Sequence[Distortion], reported: Sequence[Distortion], level: str
) -> str:
    """A sentence of `caption_sentence` with another level and fewer or lesser distortions.

    Args:
        sentence: empty for a caption that failed, and stays so.
        named: distortions of the region, of which the sentence may name the first ones alone.
        reported: those that are reported instead.
        level: of `ITU_LEVELS`.
    """
    if not sentence:
        return ""
    start = sentence.rpartition(_OVERALL)[0] or sentence.removesuffix(".")
    middle = "" if named else _unnamed(level)
    for count, before in _middles(named):
        if start.endswith(before):
            start, shown = start.removesuffix(before), reported[:count]
            middle = f" with {_named(shown)}" if shown else _unnamed(level)
            break
    return f"{start}{middle}{_OVERALL}{level}."


def _middles(named: Sequence[Distortion]) -> list[tuple[int, str]]:
    """What a sentence may say between content and level, and how many distortions it names."""
    if named:
        return [(count, f" with {_named(named[:count])}") for count in range(len(named), 0, -1)]
    return [(0, _unnamed(level)) for level in ITU_LEVELS]


def named_families(sentence: str) -> list[str]:
    """The words of the families that a sentence of `caption_sentence` names."""
    named = re.split(r", | and ", sentence.rpartition(_OVERALL)[0].rpartition(" with ")[2])
    found = [one.partition(" ") for one in named]
    return [
        words
        for severity, _, words in found
        if (severity and severity in SEVERITY_WORDS) or (severity == "a" and words in _UNGRADED)
    ]


def without_distortions(level: str) -> str:
    """What is said of a region of which no distortion is named.

    Args:
        level: its overall quality, of `ITU_LEVELS`.
    """
    is_low = ITU_LEVELS.index(level) < ITU_LEVELS.index(LEAST_UNDISTORTED)
    return NO_CAUSE if is_low else NO_DISTORTION


def reason(distortions: Sequence[Distortion], level: str) -> str:
    """The distortions of a region in words, or that none is named.

    Args:
        distortions: of the region.
        level: its overall quality, of `ITU_LEVELS`.
    """
    return _named(distortions) if distortions else without_distortions(level)


def _unnamed(level: str) -> str:
    words = without_distortions(level)
    return f": {words}" if words == NO_CAUSE else f" with {words}"


def _named(distortions: Sequence[Distortion]) -> str:
    """Distortions as an enumeration: a, b and c."""
    *first, last = map(_words, distortions)
    return f"{', '.join(first)} and {last}" if first else last


def _words(one: Distortion) -> str:
    """A distortion in words: `slight noise`, or `a watermark`, which has no severity."""
    words = family_words(one["family"])
    return f"{'a' if words in _UNGRADED else SEVERITY_WORDS[one['severity']]} {words}"
