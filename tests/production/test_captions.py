"""The caption stage against the real server."""

import asyncio

import numpy as np
import pytest

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm import answer, prompt
from rsfiqa.captioners.vlm.client import Client, RejectedError
from rsfiqa.captioners.vlm.requests import request_body
from rsfiqa.errors import InputError
from rsfiqa.vocabulary import ITU_LEVELS, RATINGS
from tests.support.captioning import TINY_QWEN, run_stage

LIMITS = {"max_pixels": 50_000, "max_tokens": 400, "concurrency": 8}


def options(endpoint: str, **changes) -> CaptionOptions:
    given = {"model": TINY_QWEN, "endpoints": (endpoint,), **LIMITS, **changes}
    return CaptionOptions(backend="vllm", **given)


def run(folder, endpoint, **changes):
    return run_stage(folder, options(endpoint, **changes))


@pytest.mark.parametrize("kind", ["regions", "image"])
def test_captions_of_a_shard(folder, endpoint, kind):
    rows, stats = run(folder, endpoint, prompt=kind)
    good = [row for row in rows if row["status"] == "ok"]
    assert len(good) > 0.8 * len(rows)  # random weights may talk until they are cut
    for row in good:
        answer.read_answers(row["raw"], None)
        for name in RATINGS:
            assert row[name] in (1, 2, 3, 4, 5)
            assert 1 <= row[f"{name}_expected"] <= 5
    assert stats["prompt_tokens"] > 100 * len(good) / 13
    if kind == "regions":
        assert stats["cached_fraction"] > 0.3


def send(endpoint: str, bodies: list[dict], concurrency: int):
    """The replies, in the order of the bodies."""

    async def all_of_them():
        limits = {"concurrency": concurrency, "timeout": 120, "retry_timeout": 120}
        async with Client([endpoint], **limits) as client:
            return await asyncio.gather(*(client.complete(body) for body in bodies))

    return asyncio.run(all_of_them())


def bodies(count: int, **changes) -> list[dict]:
    """Requests about regions of two pictures."""
    random = np.random.default_rng(0)
    wholes = [random.integers(0, 256, (96, 128, 3)).astype(np.uint8) for _ in range(2)]
    found = []
    for i in range(count):
        whole = wholes[i % 2]
        cut = prompt.picture(whole[: 64 + i], 50_000)
        messages = prompt.region_messages(prompt.picture(whole, 50_000), cut)
        found.append(request_body(options("http://x/v1", **changes), messages, None) | {"seed": 1})
    return found


def test_probabilities_are_those_of_the_allowed_words(endpoint):
    """They add up to 1 over the words' beginnings, after the schema's mask."""
    (reply,) = send(endpoint, bodies(1), 1)
    text = "".join(token.token for token in reply.tokens)
    assert text.startswith(reply.text)  # and the token that ends it
    place = text.index('"overall"') + len('"overall":"')
    start = 0
    for token in reply.tokens:
        if start <= place < start + len(token.token):
            allowed = [
                np.exp(other.logprob)
                for other in token.top_logprobs
                if any(word.startswith(other.token[place - start :]) for word in ITU_LEVELS)
            ]
            assert sum(allowed) == pytest.approx(1, abs=0.02)
            return
        start += len(token.token)
    raise AssertionError("no token holds the rating")


def test_the_prefix_cache_and_concurrency_change_no_answer(endpoint):
    """vllm#20261 reports wrong output under both; float rounding may turn a near-tie of words."""
    requests = bodies(16, max_tokens=200)
    alone = send(endpoint, requests, 1)
    together = send(endpoint, requests, 16)
    pairs = list(zip(alone, together, strict=True))
    assert sum(a.text == b.text for a, b in pairs) >= 14
    for a, b in pairs:
        first = [(x.tokens[0].token, x.tokens[0].logprob) for x in (a, b)]
        assert first[0] == (first[1][0], pytest.approx(first[1][1], abs=1e-3))


def test_a_request_longer_than_the_context(endpoint):
    with pytest.raises(RejectedError, match="HTTP 400"):
        send(endpoint, bodies(1, max_tokens=9000), 1)


def test_a_limit_that_the_context_does_not_hold_is_found_before_work(folder, endpoint):
    with pytest.raises(InputError, match=r"must respond to two pictures .* lower caption.max_pix"):
        run(folder, endpoint, max_tokens=9000)
