"""What a language model answers for one region: its schema, its reading, its probabilities."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rsfiqa.captions import FAMILIES, LEVELS, RATINGS, SEVERITY_WORDS

Level = Literal[LEVELS]  # type: ignore[valid-type]
Family = Literal[FAMILIES]  # type: ignore[valid-type]
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


RESPONSE_FORMAT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "region", "schema": Answer.model_json_schema(), "strict": True},
}


class AnswerError(ValueError):
    """Why an answer cannot be used; it is asked for again."""


def read_answer(text: str | None, finish_reason: str | None) -> Answer:
    """The answer in a completed text.

    Raises:
        AnswerError: cut by the limit of tokens, empty, not JSON, or not of the schema.
    """
    if finish_reason == "length":
        raise AnswerError("cut short by max_tokens")
    if not text or not text.strip():
        raise AnswerError("empty")
    try:
        return Answer.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "answer"
        raise AnswerError(f"{place}: {first['msg']}") from error


def expectations(tokens: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Expected rating in [1, 5] of each of `RATINGS`, from the probabilities of the five words.

    The words differ in their first letter, so the token that holds it decides; words that begin
    with several tokens ("e", "ex") are summed, what is no word is left out. None where the
    rating or its probabilities are missing. A score is the expectation over the words, not the
    most likely word (Q-Align, Wu et al. 2024).

    Args:
        tokens: of the answer as the server gives them with `logprobs`: token, logprob and
            top_logprobs (token, logprob).
    """
    text = "".join(token["token"] for token in tokens)
    return {name: _expectation(text, tokens, name) for name in RATINGS}


def _expectation(text: str, tokens: Sequence[Mapping[str, Any]], name: str) -> float | None:
    found = list(re.finditer(rf'"{name}"\s*:\s*"', text))
    if not found:
        return None
    place, start = found[-1].end(), 0  # of the word's first letter; of a token
    for token in tokens:
        end = start + len(token["token"])
        if start <= place < end:
            return _over_words(token, place - start)
        start = end
    return None


def _over_words(token: Mapping[str, Any], before: int) -> float | None:
    """The expectation at a token whose first `before` characters come before the word."""
    prefix = token["token"][:before]
    share = dict.fromkeys(LEVELS, 0.0)
    seen = {entry["token"]: entry["logprob"] for entry in (token, *token.get("top_logprobs", ()))}
    for candidate, logprob in seen.items():
        rest = candidate.removeprefix(prefix)
        if rest and candidate.startswith(prefix):
            for word in LEVELS:
                if word.startswith(rest) or rest.startswith(word):
                    share[word] += math.exp(logprob)
    total = sum(share.values())
    if total <= 0:
        return None
    return sum(rating * share[word] for rating, word in enumerate(LEVELS, start=1)) / total


def worst_first(answer: Answer) -> list[Distortion]:
    """The distortions by falling severity, then by name."""
    return sorted(answer.distortions, key=lambda found: (-found.severity, found.family))


def sentence(answer: Answer) -> str:
    """The text that is embedded: content, distortions, overall rating."""
    named = [
        f"{SEVERITY_WORDS[found.severity]} {found.family.replace('_', ' ')}"
        for found in worst_first(answer)
    ]
    content = answer.content.strip().rstrip(".")
    return f"{content} with {', '.join(named) or 'no distortion'}. Overall {answer.overall}."
