"""Captions of a shard's regions from a vision-language model behind a server."""

import asyncio
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from rsfiqa import captions, images, regions
from rsfiqa.caption import answer, prompt
from rsfiqa.caption.client import BusyError, Client, RejectedError, Reply
from rsfiqa.caption.store import Store, Stored, key_of
from rsfiqa.errors import InputError
from rsfiqa.shards import Shard
from rsfiqa.stages import CaptionOptions

TOP_LOGPROBS = 20  # the most that servers give; the five words begin with at most ten tokens
COMMIT_S = 0.2  # finished answers are made durable this often, and then reported


@dataclass(frozen=True)
class Wanted:
    """One image and the keys of the answers for its regions, in their order."""

    image_id: str
    path: Path
    keys: list[str]


def check(options: CaptionOptions) -> str:
    """The servers' key, empty if there is none.

    Raises:
        InputError: options that vllm needs are missing; a server does not list the model.
    """
    for name in ("endpoints", "model"):
        if not getattr(options, name):
            raise InputError(
                f"caption.{name}: must be given for the backend vllm, found nothing; set it"
            )
    key = os.environ.get(options.key_variable, "")
    asyncio.run(_check_models(options, key))
    return key


async def _check_models(options: CaptionOptions, key: str) -> None:
    async with _client(options, key) as client:
        for endpoint in options.endpoints:
            served = await client.models(endpoint)
            if options.model not in served:
                raise InputError(
                    f"{endpoint}: must serve {options.model} (caption.model), found"
                    f" {', '.join(served) or 'nothing'}; name one of these"
                )


def _client(options: CaptionOptions, key: str) -> Client:
    return Client(
        options.endpoints,
        key=key,
        concurrency=options.concurrency,
        timeout=options.timeout,
        patience=options.patience,
    )


def caption_shard(shard: Shard, options: CaptionOptions, key: str) -> pa.Table:
    """The captions of a shard's regions; answers that are in the store are not asked for again.

    Raises:
        InputError: the servers do not answer; what has been answered is kept.
    """
    reader = regions.Reader(shard.path_of("segment"))
    wanted = [
        _wanted(row, reader[row["image_id"]].labels, options)
        for row in shard.images
        if row["image_id"] in reader
    ]
    store = Store(shard.path.parent / "answers" / f"{shard.name}.sqlite")
    try:
        work = _Work(shard, reader, store, options)
        asyncio.run(work.run(wanted, key))
        known = store.get([key for image in wanted for key in image.keys])
    except ExceptionGroup as group:  # of tasks that ran side by side
        raise _first(group, shard, options) from group
    finally:
        store.close()
    rows = [
        {"image_id": image.image_id, "region": region, **_row(known[key])}
        for image in wanted
        if image.image_id not in shard.reasons
        for region, key in enumerate(image.keys)
    ]
    shard.counts |= _counts(known.values())
    return pa.Table.from_pylist(rows, schema=captions.SCHEMA)


def _first(group: ExceptionGroup, shard: Shard, options: CaptionOptions) -> Exception:
    """The error to be shown of those that ended the work."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BusyError):
        return InputError(
            f"{shard.path}: the servers must answer within {options.patience:g} s"
            f" (caption.patience), found {error}; what was answered is kept, run it again"
        )
    return error


def _wanted(row: Mapping[str, Any], labels: np.ndarray, options: CaptionOptions) -> Wanted:
    """An answer depends on the model, the question, the image's bytes and its label map."""
    common = {
        "model": options.model,
        "prompt": prompt.VERSION,
        "options": options.recorded(),
        "image": row["sha256"],
        "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
        "shape": labels.shape,
    }
    keys = [key_of(**common, region=region) for region in range(int(labels.max()) + 1)]
    return Wanted(row["image_id"], Path(row["path"]), keys)


class _Work:
    """Asks for what the store lacks, image by image, and makes it durable as it comes."""

    def __init__(
        self, shard: Shard, reader: regions.Reader, store: Store, options: CaptionOptions
    ) -> None:
        self.shard, self.reader, self.store, self.options = shard, reader, store, options
        self.finished: dict[str, Stored] = {}

    async def run(self, wanted: Sequence[Wanted], key: str) -> None:
        known = self.store.get([key for image in wanted for key in image.keys])
        missing = [image for image in wanted if not all(key in known for key in image.keys)]
        total = sum(key not in known for image in wanted for key in image.keys)
        self.shard.counts["from_store"] = len(known)
        name = f"caption {self.shard.name}"
        with tqdm(total=total, desc=name, unit="region", disable=None, mininterval=0.5) as bar:
            keeper = asyncio.create_task(self._keep(bar))
            # an image in work for each place, so that a place is never idle
            places = asyncio.Semaphore(self.options.concurrency * len(self.options.endpoints))
            try:
                async with _client(self.options, key) as client, asyncio.TaskGroup() as group:
                    for image in missing:
                        await places.acquire()
                        group.create_task(self._image(client, image, known, places))
            finally:
                keeper.cancel()
                self._commit(bar)

    async def _keep(self, bar: tqdm) -> None:
        while True:
            await asyncio.sleep(COMMIT_S)
            self._commit(bar)

    def _commit(self, bar: tqdm) -> None:
        """Make finished answers durable, then report them."""
        finished, self.finished = self.finished, {}
        if finished:
            self.store.put(finished)
            asked = sum(answer.prompt_tokens for answer in finished.values())
            cached = sum(answer.cached_tokens for answer in finished.values())
            bar.set_postfix(cached=f"{cached / max(asked, 1):.0%}", refresh=False)
            bar.update(len(finished))

    async def _image(
        self,
        client: Client,
        image: Wanted,
        known: Mapping[str, Stored],
        places: asyncio.Semaphore,
    ) -> None:
        """All missing regions of an image: the first alone, for the server to cache the prefix."""
        try:
            with self.shard.guarded(image.image_id):
                bodies = await asyncio.to_thread(self._bodies, image, known)
                for part in (bodies[:1], bodies[1:]):
                    async with asyncio.TaskGroup() as group:
                        for key, body in part:
                            group.create_task(self._region(client, key, body))
        finally:
            places.release()

    def _bodies(
        self, image: Wanted, known: Mapping[str, Stored]
    ) -> list[tuple[str, dict[str, Any]]]:
        """Key and request of each region that the store lacks."""
        options, labels = self.options, self.reader[image.image_id].labels
        pixels, labels = images.read_with_labels(image.path, labels, options.long_side)
        whole = prompt.picture(pixels, options.max_pixels)
        return [
            (key, self._body(whole, prompt.cut_out(pixels, labels, region)))
            for region, key in enumerate(image.keys)
            if key not in known
        ]

    def _body(self, whole: str, cut: np.ndarray) -> dict[str, Any]:
        return {
            "model": self.options.model,
            "messages": prompt.messages(whole, prompt.picture(cut, self.options.max_pixels)),
            "response_format": answer.RESPONSE_FORMAT,
            "max_tokens": self.options.max_tokens,
            "temperature": self.options.temperature,
            "logprobs": True,
            "top_logprobs": TOP_LOGPROBS,
        }

    async def _region(self, client: Client, key: str, body: dict[str, Any]) -> None:
        """Ask until the answer can be used, with another seed each time; keep what came."""
        spent, reply, reason = 0, Reply("", None, [], {}), ""
        for attempt in range(1, self.options.attempts + 1):
            try:
                reply = await client.ask(body | {"seed": attempt})
                spent += reply.usage["completion_tokens"]
                answer.read_answer(reply.text, reply.finish_reason)
                reason = ""
                break
            except answer.AnswerError as error:
                reason = str(error)
            except RejectedError as error:
                reason = str(error)
                break
        self.finished[key] = Stored(
            raw=reply.text or "",
            reason=reason,
            expected={} if reason or not reply.tokens else answer.expectations(reply.tokens),
            attempts=attempt,
            prompt_tokens=reply.usage.get("prompt_tokens", 0),
            cached_tokens=reply.usage.get("cached_tokens", 0),
            completion_tokens=spent,
        )


def _row(stored: Stored) -> dict[str, Any]:
    """What the captions' schema wants of one region."""
    if stored.reason:
        nothing = dict.fromkeys(captions.RATINGS) | dict.fromkeys(
            f"{name}_expected" for name in captions.RATINGS
        )
        return {
            **nothing,
            "content": "",
            "text": "",
            "distortions": [],
            "raw": stored.raw,
            "status": "failed",
        }
    found = answer.read_answer(stored.raw, None)
    return {
        "content": found.content,
        **{name: captions.LEVELS.index(getattr(found, name)) + 1 for name in captions.RATINGS},
        **{f"{name}_expected": stored.expected.get(name) for name in captions.RATINGS},
        "text": answer.sentence(found),
        "distortions": [one.model_dump() for one in answer.worst_first(found)],
        "raw": stored.raw,
        "status": "ok",
    }


def _counts(answers: Iterable[Stored]) -> dict[str, float]:
    """For the statistics of a shard."""
    every = list(answers)
    asked = sum(one.prompt_tokens for one in every)
    return {
        "regions": len(every),
        "failed_regions": sum(bool(one.reason) for one in every),
        "attempts": sum(one.attempts for one in every),
        "prompt_tokens": asked,
        "completion_tokens": sum(one.completion_tokens for one in every),
        "cached_share": sum(one.cached_tokens for one in every) / max(asked, 1),
    }
