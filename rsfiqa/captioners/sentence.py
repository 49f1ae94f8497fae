"""The sentence of a caption, which the embed stage turns into a vector."""

from collections.abc import Sequence

from rsfiqa.products.captions import Distortion
from rsfiqa.vocabulary import ITU_LEVELS, SEVERITY_WORDS, family_words


def caption_sentence(content: str, distortions: Sequence[Distortion], overall: int) -> str:
    """Content, distortions and overall rating of a region as text.

    Args:
        content: what the region shows.
        distortions: in the order in which they are named; empty for none.
        overall: 1 (bad) to 5 (excellent).
    """
    named = ", ".join(
        f"{SEVERITY_WORDS[one['severity']]} {family_words(one['family'])}" for one in distortions
    )
    return f"{content} with {named or 'no distortion'}. Overall {ITU_LEVELS[overall - 1]}."
