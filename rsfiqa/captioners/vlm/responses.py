"""Requests to responses, and responses to captions and statistics."""

import asyncio
from collections.abc import Iterable, Sequence

from rsfiqa.captioners.vlm.answer import (
    Answer,
    AnswerError,
    by_severity,
    expectations,
    rating_of,
    read_answers,
    sentence,
)
from rsfiqa.captioners.vlm.cache import CachedResponse
from rsfiqa.captioners.vlm.client import Client, RejectedError, Reply
from rsfiqa.captioners.vlm.requests import Request
from rsfiqa.products.captions import CaptionRow
from rsfiqa.vocabulary import RATINGS


async def complete_image(
    client: Client,
    requests: Sequence[Request],
    attempts: int,
    responses: dict[str, CachedResponse],
) -> None:
    """Send the requests about an image: the first alone, so that the server caches its prefix.

    Args:
        client: client of the servers.
        requests: requests about one image.
        attempts: number of requests for a region until its response is valid.
        responses: receives each response by its key as soon as it is there.
    """
    for part in (requests[:1], requests[1:]):
        async with asyncio.TaskGroup() as group:
            for request in part:
                group.create_task(_complete(client, request, attempts, responses))


async def _complete(
    client: Client, request: Request, attempts: int, responses: dict[str, CachedResponse]
) -> None:
    """Send a request until the response is valid, with another seed each time; keep the last."""
    completion_tokens, reply, reason = 0, Reply("", None, [], 0, 0, 0), ""
    answers: list[Answer] = []
    for attempt in range(1, attempts + 1):
        try:
            reply = await client.complete(request.body | {"seed": attempt})
            completion_tokens += reply.completion_tokens
            answers = read_answers(reply.text, reply.finish_reason, request.regions)
            reason = ""
            break
        except AnswerError as error:
            reason = str(error)
        except RejectedError as error:
            reason = str(error)
            break
    for index, key in enumerate(request.keys):
        number = None if request.regions is None else index + 1
        first = index == 0  # the cost of a request about several regions counts once
        responses[key] = CachedResponse(
            raw=answers[index].model_dump_json() if answers and number else reply.text or "",
            reason=reason,
            expected=expectations(reply.tokens, number) if answers and reply.tokens else {},
            attempts=attempt if first else 0,
            prompt_tokens=reply.prompt_tokens if first else 0,
            cached_tokens=reply.cached_tokens if first else 0,
            completion_tokens=completion_tokens if first else 0,
        )


def caption_row(region: int, response: CachedResponse) -> CaptionRow:
    """The caption of a region, or a failed one if the response is not valid."""
    if response.reason:
        return CaptionRow.failed(region, response.raw)
    (answer,) = read_answers(response.raw, None)
    return CaptionRow(
        region=region,
        content=answer.content,
        ratings={rating: rating_of(answer, rating) for rating in RATINGS},
        expectations={rating: response.expected.get(rating) for rating in RATINGS},
        text=sentence(answer),
        distortions=by_severity(answer),
        raw=response.raw,
    )


def statistics(responses: Iterable[CachedResponse]) -> dict[str, float]:
    """Numbers of regions, attempts and tokens for the statistics of a shard."""
    every = list(responses)
    prompt_tokens = sum(one.prompt_tokens for one in every)
    return {
        "regions": len(every),
        "failed_regions": sum(bool(one.reason) for one in every),
        "attempts": sum(one.attempts for one in every),
        "prompt_tokens": prompt_tokens,
        "completion_tokens": sum(one.completion_tokens for one in every),
        "cached_fraction": sum(one.cached_tokens for one in every) / max(prompt_tokens, 1),
    }
