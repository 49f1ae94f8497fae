"""The answer of a vision-language model about one region: schema, parsing, expected ratings."""

import json
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from rsfiqa.captioners.sentence import caption_sentence
from rsfiqa.captioners.vlm.completion import Token
from rsfiqa.errors import first_line
from rsfiqa.products import captions
from rsfiqa.registry import choice
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS, SEVERITIES

Level = Literal[ITU_LEVELS]  # type: ignore[valid-type]
MOST_DISTORTIONS = 4  # in the answer about one region
MAX_CONTENT = 160  # characters


if TYPE_CHECKING:
    FamilyName = str
else:
    FamilyName = choice(FAMILIES)


class Distortion(BaseModel):
    """One distortion of a region and its severity, 1 (faint) to 5 (extreme)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: FamilyName
    severity: Annotated[int, Field(ge=SEVERITIES[0], le=SEVERITIES[-1])]


class Description(BaseModel):
    """Content and distortions of a region; the ratings follow them in an `Answer`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: Annotated[str, Field(min_length=1, max_length=MAX_CONTENT)]
    distortions: Annotated[list[Distortion], Field(max_length=MOST_DISTORTIONS)]


if TYPE_CHECKING:  # mypy cannot read fields that are made from a tuple

    class Answer(Description):
        """Content, distortions and a level of `ITU_LEVELS` for each of `RATINGS`, in this order."""

else:
    Answer = create_model(
        "Answer",
        __base__=Description,
        __doc__="Content, distortions and ratings of a region, in this order.",
        **dict.fromkeys(RATINGS, (Level, ...)),
    )


def rating_of(answer: Answer, rating: str) -> int:
    """A rating of an answer as a number, 1 (bad) to 5 (excellent)."""
    return ITU_LEVELS.index(getattr(answer, rating)) + 1


def response_format(regions: int | None) -> dict[str, Any]:
    """The field of a request that constrains the response to the schema of an answer.

    Args:
        regions: number of regions that the response describes; None for a request about one.
    """
    return {
        "type": "json_schema",
        "json_schema": {
            "name": "region" if regions is None else "regions",
            "schema": _response_model(regions).model_json_schema(),
            "strict": True,
        },
    }


@cache
def _response_model(regions: int | None) -> type[BaseModel]:
    if regions is None:
        return Answer
    fields: dict[str, Any] = {f"region_{i}": (Answer, ...) for i in range(1, regions + 1)}
    return create_model("Regions", __config__=ConfigDict(frozen=True, extra="forbid"), **fields)


class AnswerError(ValueError):
    """Why a response is no valid answer; the request is sent again."""


def read_answers(
    text: str | None, finish_reason: str | None, regions: int | None = None
) -> list[Answer]:
    """The answers in the text of a completion, one for each region.

    Args:
        text: text of the completion.
        finish_reason: as the server gives it; length means that the text was cut.
        regions: as in `response_format`.

    Raises:
        AnswerError: the text is cut by the limit of tokens, empty, not JSON, or not of the schema.
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
        response = _response_model(regions).model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = ".".join(str(part) for part in first["loc"]) or "answer"
        raise AnswerError(f"{location}: {first['msg']}") from error
    return [response] if isinstance(response, Answer) else [answer for _, answer in response]


def expectations(tokens: Sequence[Token], region: int | None = None) -> dict[str, float | None]:
    """Expected rating in [1, 5] for each of `RATINGS`, from the probabilities of the five words.

    The words differ in their first letter, so the token that holds it decides. Tokens with which a
    word can begin ("e", "ex") are summed; others are ignored. None if the rating or its
    probabilities are missing. A score is the expectation over the words, not the most likely word
    (Q-Align, Wu et al. 2024).

    Args:
        tokens: tokens of the response, each with its most likely alternatives.
        region: number of the region, 1 or more, in a response about several.
    """
    text = "".join(token.token for token in tokens)
    start, end = 0, len(text)
    if region is not None:
        start = max(text.find(f'"region_{region}"'), 0)
        following = text.find(f'"region_{region + 1}"', start)
        end = following if following >= 0 else end
    return {rating: _expectation(text, tokens, rating, start, end) for rating in RATINGS}


def _expectation(
    text: str, tokens: Sequence[Token], rating: str, start: int, end: int
) -> float | None:
    keys = list(re.compile(rf'"{rating}"\s*:\s*"').finditer(text, start, end))
    if not keys:
        return None
    first_letter, token_start = keys[-1].end(), 0  # offsets in the text
    for token in tokens:
        token_end = token_start + len(token.token)
        if token_start <= first_letter < token_end:
            return _expected_level(token, first_letter - token_start)
        token_start = token_end
    return None


def _expected_level(token: Token, offset: int) -> float | None:
    """Expected level over the alternatives of a token in which the word begins at an offset."""
    prefix = token.token[:offset]
    probability = dict.fromkeys(ITU_LEVELS, 0.0)
    alternatives = {token.token: token.logprob} | {c.token: c.logprob for c in token.top_logprobs}
    for alternative, logprob in alternatives.items():
        beginning = alternative.removeprefix(prefix)
        if beginning and alternative.startswith(prefix):
            for word in ITU_LEVELS:
                if word.startswith(beginning) or beginning.startswith(word):
                    probability[word] += math.exp(logprob)
    total = sum(probability.values())
    if total <= 0:
        return None
    weighted = (level * probability[word] for level, word in enumerate(ITU_LEVELS, start=1))
    return sum(weighted) / total


def by_severity(answer: Answer) -> list[captions.Distortion]:
    """The distortions of an answer, the most severe first, then by name."""
    ordered = sorted(answer.distortions, key=lambda one: (-one.severity, one.family))
    return [captions.Distortion(family=one.family, severity=one.severity) for one in ordered]


def sentence(answer: Answer) -> str:
    """The text of a caption, which is embedded: content, distortions, overall rating."""
    content = " ".join(answer.content.split()).rstrip(".")
    return caption_sentence(content, by_severity(answer), rating_of(answer, "overall"))
