"""What a language model answers for one region: its schema, its reading, its probabilities."""

import json
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from rsfiqa.captioners.vlm.completion import Token
from rsfiqa.errors import first_line
from rsfiqa.registry import choice
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS, SEVERITY_WORDS

Level = Literal[ITU_LEVELS]  # type: ignore[valid-type]


if TYPE_CHECKING:
    Family = str
else:
    Family = choice(FAMILIES)


MOST_DISTORTIONS = 4


class Distortion(BaseModel):
    """One distortion of a region and how severe it is, 1 (faint) to 5 (extreme)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    severity: Annotated[int, Field(ge=1, le=5)]


class Answer(BaseModel):
    """What is asked of the model, in this order: what it sees, what is wrong, how good it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: Annotated[str, Field(min_length=1, max_length=160)]
    distortions: Annotated[list[Distortion], Field(max_length=MOST_DISTORTIONS)]
    color: Level
    noise: Level
    artifact: Level
    blur: Level
    overall: Level


def response_format(regions: int | None) -> dict[str, Any]:
    """What holds an answer to its schema.

    Args:
        regions: how many an answer is about, by number; None where it is about the one shown.
    """
    return {
        "type": "json_schema",
        "json_schema": {
            "name": "region" if regions is None else "regions",
            "schema": _form(regions).model_json_schema(),
            "strict": True,
        },
    }


@cache
def _form(regions: int | None) -> type[BaseModel]:
    if regions is None:
        return Answer
    fields: dict[str, Any] = {f"region_{i}": (Answer, ...) for i in range(1, regions + 1)}
    return create_model("Regions", __config__=ConfigDict(frozen=True, extra="forbid"), **fields)


class AnswerError(ValueError):
    """Why an answer cannot be used; it is asked for again."""


def read_answers(
    text: str | None, finish_reason: str | None, regions: int | None = None
) -> list[Answer]:
    """The answers in a completed text, one for each region.

    Args:
        text: of the completion.
        finish_reason: as the server gives it; length means that the text was cut.
        regions: as in `response_format`.

    Raises:
        AnswerError: cut by the limit of tokens, empty, not JSON, or not of the schema.
    """
    if finish_reason == "length":
        raise AnswerError("cut short by max_tokens")
    if not text or not text.strip():
        raise AnswerError("empty")
    try:
        content = json.loads(text, strict=False)  # grammars let control characters through
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"answer: not JSON ({first_line(error)})") from error
    try:
        found = _form(regions).model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "answer"
        raise AnswerError(f"{place}: {first['msg']}") from error
    return [found] if isinstance(found, Answer) else [part for _, part in found]


def expectations(tokens: Sequence[Token], region: int | None = None) -> dict[str, float | None]:
    """Expected rating in [1, 5] of each of `RATINGS`, from the probabilities of the five words.

    The words differ in their first letter, so the token that holds it decides; words that begin
    with several tokens ("e", "ex") are summed, what is no word is left out. None where the
    rating or its probabilities are missing. A score is the expectation over the words, not the
    most likely word (Q-Align, Wu et al. 2024).

    Args:
        tokens: of the answer, with the likeliest at each place.
        region: its number, 1 or more, in an answer about several.
    """
    text = "".join(token.token for token in tokens)
    start, end = 0, len(text)
    if region is not None:
        start = max(text.find(f'"region_{region}"'), 0)
        following = text.find(f'"region_{region + 1}"', start)
        end = following if following >= 0 else end
    return {name: _expectation(text, tokens, name, start, end) for name in RATINGS}


def _expectation(
    text: str, tokens: Sequence[Token], name: str, start: int, end: int
) -> float | None:
    found = list(re.compile(rf'"{name}"\s*:\s*"').finditer(text, start, end))
    if not found:
        return None
    place, start = found[-1].end(), 0  # of the word's first letter; of a token
    for token in tokens:
        end = start + len(token.token)
        if start <= place < end:
            return _over_words(token, place - start)
        start = end
    return None


def _over_words(token: Token, before: int) -> float | None:
    """The expectation at a token whose first `before` characters come before the word."""
    prefix = token.token[:before]
    fraction = dict.fromkeys(ITU_LEVELS, 0.0)
    seen = {token.token: token.logprob} | {c.token: c.logprob for c in token.top_logprobs}
    for candidate, logprob in seen.items():
        rest = candidate.removeprefix(prefix)
        if rest and candidate.startswith(prefix):
            for word in ITU_LEVELS:
                if word.startswith(rest) or rest.startswith(word):
                    fraction[word] += math.exp(logprob)
    total = sum(fraction.values())
    if total <= 0:
        return None
    return sum(rating * fraction[word] for rating, word in enumerate(ITU_LEVELS, start=1)) / total


def worst_first(answer: Answer) -> list[Distortion]:
    """The distortions by falling severity, then by name."""
    return sorted(answer.distortions, key=lambda found: (-found.severity, found.family))


def sentence(answer: Answer) -> str:
    """The text that is embedded: content, distortions, overall rating."""
    named = [
        f"{SEVERITY_WORDS[found.severity]} {found.family.replace('_', ' ')}"
        for found in worst_first(answer)
    ]
    content = " ".join(answer.content.split()).rstrip(".")
    return f"{content} with {', '.join(named) or 'no distortion'}. Overall {answer.overall}."
