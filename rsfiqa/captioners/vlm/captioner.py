"""Captions of a shard's regions from a vision-language model behind a server."""

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm import answer, prompt, server
from rsfiqa.captioners.vlm.cache import CachedResponse, ResponseCache, key_of
from rsfiqa.captioners.vlm.client import BusyError, Client, RejectedError, Reply
from rsfiqa.errors import InputError
from rsfiqa.images import load
from rsfiqa.products import captions, regions
from rsfiqa.runtime.shards import Shard
from rsfiqa.vocabulary import ITU_LEVELS, RATINGS

TOP_LOGPROBS = 20  # the most that servers give; the five words begin with at most ten tokens


COMMIT_S = 0.02  # finished answers are made durable this often, and then reported


CHECK_PATIENCE_S = 60.0  # of the check before work


WATCH_S = 1.0  # an own server is looked after this often


@dataclass(frozen=True)
class PendingImage:
    """One image and the keys of the answers for its regions, in their order."""

    image_id: str
    path: Path
    keys: list[str]


@dataclass(frozen=True)
class Request:
    """One request: its body, and the keys of the answers that it brings.

    `regions` is their number where the answer is about several, and None where it is about one.
    """

    keys: list[str]
    body: dict[str, Any]
    regions: int | None


def check(options: CaptionOptions) -> None:
    """Refuse what can be known to be wrong without a server.

    Raises:
        InputError: no model is named, its folder cannot be served, or an endpoint holds a secret.
    """
    for url in map(urlsplit, options.endpoints):
        if "@" in url.netloc or url.query:  # commands and logs show endpoints
            raise InputError(
                f"caption.endpoints: must be base URLs without a user, password or key, found one"
                f" at {url.hostname}; set the environment variable that caption.key_variable names"
            )
    if not options.model:
        raise InputError(
            "caption.model: must be given for the backend vllm, found nothing; name the model"
        )
    if not options.endpoints:
        server.check(options.server)


def store_path(shard: Shard) -> Path:
    """Where the answers about a shard are kept."""
    return shard.path.parent / "answers" / f"{shard.name}.sqlite"


class VLMCaptioner:
    """Asks servers for captions; use it as a context manager.

    Without endpoints it starts a server of its own at the first question that the store cannot
    answer, and ends it on leaving.

    Args:
        options: of the stage.
        digests: SHA-256 of the model's files, where they are known.
        server_log: takes what an own server writes.
    """

    def __init__(
        self, options: CaptionOptions, digests: Mapping[str, str], server_log: Path
    ) -> None:
        self.options, self.digests, self.server_log = options, digests, server_log
        self.key = os.environ.get(options.key_variable, "").strip()
        self.endpoints = tuple(url.rstrip("/") for url in options.endpoints)
        self.server: server.Server | None = None
        self._most = 0  # regions of an image that the servers are known to take
        self._stack = ExitStack()

    def __enter__(self) -> "VLMCaptioner":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def caption_shard(self, shard: Shard) -> pa.Table:
        """The captions of a shard's regions; answers that are in the store are not asked for again.

        Raises:
            InputError: the servers do not answer or cannot be used; what was answered is kept.
        """
        reader = regions.Reader(shard.path_of("segment"))
        wanted = self.wanted(shard, reader)
        keys = [key for image in wanted for key in image.keys]
        store = ResponseCache(store_path(shard))
        try:
            known = store.get(keys)
            shard.counts["from_store"] = len(known)
            if len(known) < len(set(keys)):
                self.make_ready(max(len(image.keys) for image in wanted))
                work = _Work(shard, reader, store, self)
                asyncio.run(work.run(wanted, known))
                known = store.get(keys)
        except ExceptionGroup as group:  # of tasks that ran side by side
            raise _first(group, str(shard.path), self.options) from group
        finally:
            store.close()
        rows = [
            {"image_id": image.image_id, "region": region, **_row(known[key])}
            for image in wanted
            if image.image_id not in shard.reasons
            for region, key in enumerate(image.keys)
        ]
        shard.counts |= _counts([known[key] for key in keys if key in known])
        if self.server is not None:
            shard.counts["restarts"] = self.server.restarted
        return pa.Table.from_pylist(rows, schema=captions.SCHEMA)

    def caption(self, image: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
        """One row of the captions' schema per region, without image_id; nothing is kept.

        Args:
            image: uint8, sRGB, shape (H, W, 3).
            labels: the image's label map, shape (H, W), 0..R-1.

        Raises:
            InputError: the servers do not answer or cannot be used.
        """
        keys = [str(region) for region in range(int(labels.max()) + 1)]
        found = self.ask(questions_of(image, labels, keys, self.options, {}), len(keys))
        return [{"region": region, **_row(found[key])} for region, key in enumerate(keys)]

    def ask(self, questions: Sequence[Request], most: int = 1) -> dict[str, CachedResponse]:
        """The answers by their keys; nothing is kept.

        Args:
            questions: any number of them.
            most: regions that an image has.

        Raises:
            InputError: the servers do not answer or cannot be used.
        """
        try:
            self.make_ready(most)
            return asyncio.run(self._answers(questions))
        except ExceptionGroup as group:
            raise _first(group, "caption", self.options) from group

    async def _answers(self, questions: Sequence[Request]) -> dict[str, CachedResponse]:
        found: dict[str, CachedResponse] = {}
        async with self.client() as client:
            await ask_in_order(client, questions, self.options.attempts, found)
        return found

    def client(self, patience: float | None = None) -> Client:
        """A client of all servers, by default with the patience of the options."""
        if patience is None:
            own = (
                self.options.server.startup_timeout if self.server is not None else 0
            )  # it may be restarted
            patience = self.options.retry_timeout + own
        return Client(
            self.endpoints,
            key=self.key,
            concurrency=self.options.concurrency,
            timeout=self.options.request_timeout,
            patience=patience,
        )

    def wanted(self, shard: Shard, reader: regions.Reader) -> list[PendingImage]:
        """The images of a shard that have regions."""
        return [
            self._wanted(row, reader[row["image_id"]].labels)
            for row in shard.images
            if row["image_id"] in reader
        ]

    def _wanted(self, row: Mapping[str, Any], labels: np.ndarray) -> PendingImage:
        """An answer depends on the model, the question, the image's bytes and its label map."""
        common = {
            "model": self.options.model,
            "files": self.digests,
            "prompt": prompt.VERSION,
            "options": self.options.recorded(),
            "image": row["sha256"],
            "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
            "shape": labels.shape,
        }
        keys = [key_of(**common, region=region) for region in range(int(labels.max()) + 1)]
        return PendingImage(row["image_id"], Path(row["path"]), keys)

    def make_ready(self, most: int) -> None:
        """Start the own server, if there is to be one, and check all servers.

        Args:
            most: regions that an image has.

        Raises:
            InputError: a server that does not start or cannot be used.
        """
        if most <= self._most or (self._most and self.options.prompt == "regions"):
            return
        if not self.endpoints:
            own = server.Server(
                self.options.server,
                str(self.options.model),
                self.server_log,
                restarts=self.options.server.max_restarts,
            )
            self.server = self._stack.enter_context(own)
            self.endpoints = (own.url,)
        asyncio.run(self._check_servers(most))
        self._most = most

    async def _check_servers(self, most: int) -> None:
        """Refuse servers that lack the model or cannot answer as large a request as may come."""
        options = self.options
        side = int(options.max_pixels**0.5)
        grey = prompt.picture(np.full((side, side, 3), 128, np.uint8), options.max_pixels)
        if options.prompt == "image":
            body = _body(options, prompt.image_messages(grey, grey, most), most)
        else:
            body = _body(options, prompt.region_messages(grey, grey), None)
        async with self.client(patience=min(CHECK_PATIENCE_S, options.retry_timeout)) as client:
            for endpoint in self.endpoints:
                served = await client.models(endpoint)
                if options.model not in served:
                    raise InputError(
                        f"{endpoint}: must serve {options.model} (caption.model), found"
                        f" {', '.join(served) or 'nothing'}; name one of these"
                    )
                try:
                    await client.ask(body | {"seed": 0}, endpoint)
                except (RejectedError, BusyError) as error:
                    if self.server is not None and not self.server.alive:
                        raise InputError(
                            f"the model's server ended at its first question:"
                            f" {self.server.cause()}; its log is {self.server_log}"
                        ) from error
                    raise InputError(
                        f"{endpoint}: must answer about two pictures of {options.max_pixels} pixels"
                        f" with {body['max_tokens']} tokens, found {error}; lower"
                        " caption.max_pixels or max_tokens, raise the server's context, or use a"
                        " model that sees"
                    ) from error


def questions_about(
    image: PendingImage,
    reader: regions.Reader,
    options: CaptionOptions,
    known: Mapping[str, CachedResponse],
) -> list[Request]:
    """The requests for the regions of an image that are not known, in their order."""
    pixels, labels = load.load_with_labels(
        image.path, reader[image.image_id].labels, options.long_side
    )
    return questions_of(pixels, labels, image.keys, options, known)


def questions_of(
    pixels: np.ndarray,
    labels: np.ndarray,
    keys: list[str],
    options: CaptionOptions,
    known: Mapping[str, CachedResponse],
) -> list[Request]:
    """As `questions_about`, of an image uint8 (H, W, 3), its label map (H, W) and their keys."""
    whole = prompt.picture(pixels, options.max_pixels)
    if options.prompt == "image":
        number = len(keys)
        marks = prompt.picture(prompt.marked(pixels, labels), options.max_pixels)
        messages = prompt.image_messages(whole, marks, number)
        return [Request(keys, _body(options, messages, number), number)]
    found = []
    for region, key in enumerate(keys):
        if key not in known:
            cut = prompt.picture(prompt.cut_out(pixels, labels, region), options.max_pixels)
            found.append(question_about(key, whole, cut, options))
    return found


def question_about(key: str, whole: str, cut: str, options: CaptionOptions) -> Request:
    """The request about one region; both pictures are data URIs."""
    return Request([key], _body(options, prompt.region_messages(whole, cut), None), None)


def _body(
    options: CaptionOptions, messages: list[dict[str, Any]], number: int | None
) -> dict[str, Any]:
    """A request about one region (None) or about a number of them."""
    return {
        "model": options.model,
        "messages": messages,
        "response_format": answer.response_format(number),
        "max_tokens": options.max_tokens * (number or 1),
        "temperature": options.temperature,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
    }


def _first(group: ExceptionGroup, subject: str, options: CaptionOptions) -> Exception:
    """The error to be shown of those that ended the work."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BusyError):
        return InputError(
            f"{subject}: the servers must answer within {options.retry_timeout:g} s"
            f" (caption.retry_timeout), found {error}; what was answered is kept, run it again"
        )
    return error


class _Work:
    """Asks for what the store lacks, image by image, and makes it durable as it comes."""

    def __init__(
        self, shard: Shard, reader: regions.Reader, store: ResponseCache, captioner: VLMCaptioner
    ) -> None:
        self.shard, self.reader, self.store, self.captioner = shard, reader, store, captioner
        self.options = captioner.options
        self.finished: dict[str, CachedResponse] = {}
        self.totals: Counter[str] = Counter()  # of tokens, in this run

    async def run(
        self, wanted: Sequence[PendingImage], known: Mapping[str, CachedResponse]
    ) -> None:
        # images with the same bytes and regions have the same keys and are asked about once
        unique = {tuple(image.keys): image for image in wanted}
        missing = [image for keys, image in unique.items() if not known.keys() >= set(keys)]
        total = sum(key not in known for keys in unique for key in keys)
        name = f"caption {self.shard.name}"
        with tqdm(total=total, desc=name, unit="region", disable=None, mininterval=0.5) as bar:
            try:
                async with self.captioner.client() as client, asyncio.TaskGroup() as group:
                    helpers = [group.create_task(self._keep(bar))]
                    if self.captioner.server is not None:
                        helpers.append(group.create_task(self._watch(self.captioner.server)))
                    await self._all(client, missing, known)
                    for helper in helpers:
                        helper.cancel()
            finally:
                self._commit(bar)

    async def _all(
        self, client: Client, missing: Sequence[PendingImage], known: Mapping[str, CachedResponse]
    ) -> None:
        # an image in work for each place, so that a place is never idle
        places = asyncio.Semaphore(self.options.concurrency * len(self.captioner.endpoints))
        async with asyncio.TaskGroup() as group:
            for image in missing:
                await places.acquire()
                group.create_task(self._image(client, image, known, places))

    async def _watch(self, own: server.Server) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if not own.alive:
                try:
                    await asyncio.to_thread(own.revive)
                except asyncio.CancelledError:
                    own.stop()  # which ends the thread
                    raise

    async def _keep(self, bar: tqdm) -> None:
        while True:
            await asyncio.sleep(COMMIT_S)
            if finished := dict(self.finished):
                # in a thread: the disk's time must not hold up requests
                await asyncio.to_thread(self.store.put, finished)
                self._report(bar, finished)

    def _commit(self, bar: tqdm) -> None:
        """Make what is left durable, and report it."""
        if finished := dict(self.finished):
            self.store.put(finished)
            self._report(bar, finished)

    def _report(self, bar: tqdm, finished: Mapping[str, CachedResponse]) -> None:
        """Count answers that are durable."""
        for key in finished:
            del self.finished[key]
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens"):
            self.totals[name] += sum(getattr(one, name) for one in finished.values())
        spent = max(bar.format_dict["elapsed"], 1e-9)
        tokens = self.totals["prompt_tokens"] + self.totals["completion_tokens"]
        cached = self.totals["cached_tokens"] / max(self.totals["prompt_tokens"], 1)
        bar.set_postfix({"tokens/s": f"{tokens / spent:.0f}", "cached": f"{cached:.0%}"}, False)
        bar.update(len(finished))

    async def _image(
        self,
        client: Client,
        image: PendingImage,
        known: Mapping[str, CachedResponse],
        places: asyncio.Semaphore,
    ) -> None:
        """All missing regions of an image: the first alone, for the server to cache the prefix."""
        try:
            with self.shard.record_failure(image.image_id):
                questions = await asyncio.to_thread(
                    questions_about, image, self.reader, self.options, known
                )
                await ask_in_order(client, questions, self.options.attempts, self.finished)
        finally:
            places.release()


async def ask_in_order(
    client: Client, questions: Sequence[Request], attempts: int, found: dict[str, CachedResponse]
) -> None:
    """Answers to all questions about an image: the first alone, for the server to cache the prefix.

    Each goes into `found` as it comes.
    """
    for part in (questions[:1], questions[1:]):
        async with asyncio.TaskGroup() as group:
            for question in part:
                group.create_task(_ask(client, question, attempts, found))


async def _ask(
    client: Client, question: Request, attempts: int, found: dict[str, CachedResponse]
) -> None:
    """Ask until the answer can be used, with another seed each time; keep what came."""
    spent, reply, reason = 0, Reply("", None, [], 0, 0, 0), ""
    answers: list[answer.Answer] = []
    for attempt in range(1, attempts + 1):
        try:
            reply = await client.ask(question.body | {"seed": attempt})
            spent += reply.completion_tokens
            answers = answer.read_answers(reply.text, reply.finish_reason, question.regions)
            reason = ""
            break
        except answer.AnswerError as error:
            reason = str(error)
        except RejectedError as error:
            reason = str(error)
            break
    for index, key in enumerate(question.keys):
        number = None if question.regions is None else index + 1
        expected = answer.expectations(reply.tokens, number) if answers and reply.tokens else {}
        raw = reply.text or ""
        first = index == 0  # what the request cost is noted once
        found[key] = CachedResponse(
            raw=answers[index].model_dump_json() if answers and number is not None else raw,
            reason=reason,
            expected=expected,
            attempts=attempt if first else 0,
            prompt_tokens=reply.prompt_tokens if first else 0,
            cached_tokens=reply.cached_tokens if first else 0,
            completion_tokens=spent if first else 0,
        )


def _row(stored: CachedResponse) -> dict[str, Any]:
    """What the captions' schema wants of one region."""
    if stored.reason:
        nothing = dict.fromkeys(RATINGS) | dict.fromkeys(f"{name}_expected" for name in RATINGS)
        return {
            **nothing,
            "content": "",
            "text": "",
            "distortions": [],
            "raw": stored.raw,
            "status": "failed",
        }
    (found,) = answer.read_answers(stored.raw, None)
    return {
        "content": found.content,
        **{name: ITU_LEVELS.index(getattr(found, name)) + 1 for name in RATINGS},
        **{f"{name}_expected": stored.expected.get(name) for name in RATINGS},
        "text": answer.sentence(found),
        "distortions": [one.model_dump() for one in answer.worst_first(found)],
        "raw": stored.raw,
        "status": "ok",
    }


def _counts(answers: Iterable[CachedResponse]) -> dict[str, float]:
    """For the statistics of a shard."""
    every = list(answers)
    asked = sum(one.prompt_tokens for one in every)
    return {
        "regions": len(every),
        "failed_regions": sum(bool(one.reason) for one in every),
        "attempts": sum(one.attempts for one in every),
        "prompt_tokens": asked,
        "completion_tokens": sum(one.completion_tokens for one in every),
        "cached_fraction": sum(one.cached_tokens for one in every) / max(asked, 1),
    }
