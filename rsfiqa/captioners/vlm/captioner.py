"""The VLM captioner: a vision-language model behind servers describes and rates regions."""

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

import numpy as np

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm import prompt, vllm_command
from rsfiqa.captioners.vlm.cache import CachedResponse, ResponseCache, cache_path, key_of
from rsfiqa.captioners.vlm.client import BusyError, Client
from rsfiqa.captioners.vlm.requests import PendingImage, Request, image_requests
from rsfiqa.captioners.vlm.responses import caption_row, complete_image, statistics
from rsfiqa.captioners.vlm.server import Server
from rsfiqa.captioners.vlm.server_check import check_server
from rsfiqa.captioners.vlm.work import ShardWork
from rsfiqa.errors import InputError
from rsfiqa.products import regions
from rsfiqa.products.captions import CaptionRow
from rsfiqa.runtime.shards import Shard

if TYPE_CHECKING:
    from torch import Tensor

PROBE_RETRY_TIMEOUT_S = 60.0  # of the requests that check the servers before work


class VLMCaptioner:
    """Captions of regions from a vision-language model; see `Captioner`.

    Without endpoints it starts a server of its own for the first request, and ends it on exit.

    Args:
        options: options of the caption stage.
        log: log file of a server of its own.
    """

    version: ClassVar[int | None] = prompt.VERSION
    backbone_sha256: ClassVar[str | None] = None

    def __init__(self, options: CaptionOptions, *, log: Path) -> None:
        self.options, self.log = options, log
        self.api_key = os.environ.get(options.key_variable, "").strip()
        self.endpoints = tuple(url.rstrip("/") for url in options.endpoints)
        self.server: Server | None = None
        self._checked_regions = 0  # of an image, for which the servers are checked; 0 for none
        self._stack = ExitStack()

    @classmethod
    def check(cls, options: CaptionOptions) -> None:
        """As `Captioner.check`.

        Raises:
            InputError: no model is named, its folder cannot be served, or an endpoint holds a key.
        """
        for url in map(urlsplit, options.endpoints):
            if "@" in url.netloc or url.query:  # commands and logs show endpoints
                raise InputError(
                    "caption.endpoints: must be base URLs without a user, password or key, found"
                    f" one at {url.hostname}; set the environment variable that"
                    " caption.key_variable names"
                )
        if not options.model:
            raise InputError(
                f"caption.model: must be given for the backend {options.backend}, found nothing;"
                " name the model"
            )
        if not options.endpoints:
            vllm_command.check(options.server)

    @cached_property
    def model_digests(self) -> Mapping[str, str]:
        """As `Captioner.model_digests`; empty for a model that vLLM downloads."""
        return vllm_command.model_digests(self.options.server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def caption_maps(
        self, image: np.ndarray, labels: np.ndarray, maps: Sequence["Tensor"]
    ) -> list[CaptionRow]:
        """As `Captioner.caption_maps`, without using the maps."""
        del maps
        return self.caption(image, labels)

    def caption_shard(self, shard: Shard) -> dict[str, list[CaptionRow]]:
        """As `Captioner.caption_shard`; requests whose responses are cached are not sent again."""
        reader = regions.Reader(shard.path_of("segment"))
        images = self.pending(shard, reader)
        keys = [key for image in images for key in image.keys]
        with ResponseCache(cache_path(shard)) as cache:
            responses = cache.get(keys)
            shard.counts["from_cache"] = len(responses)
            if len(responses) < len(set(keys)):
                self.prepare_servers(max(len(image.keys) for image in images))
                try:
                    asyncio.run(
                        self._work(shard, reader, cache).run(self.client(), images, responses)
                    )
                except ExceptionGroup as group:  # of concurrent tasks
                    raise self._cause(group, str(shard.path)) from group
                responses = cache.get(keys)
        shard.counts |= statistics(responses[key] for key in keys if key in responses)
        if self.server is not None:
            shard.counts["restarts"] = self.server.restarted
        return {
            image.image_id: [
                caption_row(region, responses[key]) for region, key in enumerate(image.keys)
            ]
            for image in images
            if image.image_id not in shard.reasons
        }

    def _work(self, shard: Shard, reader: regions.Reader, cache: ResponseCache) -> ShardWork:
        slots = self.options.concurrency * len(self.endpoints)
        return ShardWork(shard, reader, cache, self.options, slots=slots, server=self.server)

    def caption(self, image: np.ndarray, labels: np.ndarray) -> list[CaptionRow]:
        """As `Captioner.caption`; responses are not cached."""
        keys = [str(region) for region in range(int(labels.max()) + 1)]
        requests = image_requests(image, labels, keys, self.options)
        responses = self.complete(requests, regions=len(keys))
        return [caption_row(region, responses[key]) for region, key in enumerate(keys)]

    def complete(
        self, requests: Sequence[Request], *, regions: int = 1
    ) -> dict[str, CachedResponse]:
        """The responses to requests by key, which are not cached.

        Args:
            requests: any number of requests.
            regions: largest number of regions in an image.

        Raises:
            InputError: a server cannot be used.
        """
        try:
            self.prepare_servers(regions)
            return asyncio.run(self._complete(requests))
        except ExceptionGroup as group:
            raise self._cause(group, "caption") from group

    async def _complete(self, requests: Sequence[Request]) -> dict[str, CachedResponse]:
        responses: dict[str, CachedResponse] = {}
        async with self.client() as client:
            await complete_image(client, requests, self.options.attempts, responses)
        return responses

    def client(self, retry_timeout: float | None = None) -> Client:
        """A client of all servers.

        Args:
            retry_timeout: see `Client`; by default that of the options, and time for a restart.
        """
        if retry_timeout is None:
            restart = self.options.server.startup_timeout if self.server is not None else 0
            retry_timeout = self.options.retry_timeout + restart
        return Client(
            self.endpoints,
            key=self.api_key,
            concurrency=self.options.concurrency,
            timeout=self.options.request_timeout,
            retry_timeout=retry_timeout,
        )

    def pending(self, shard: Shard, reader: regions.Reader) -> list[PendingImage]:
        """The images of a shard that have regions."""
        return [
            self._pending_image(row, reader[row["image_id"]].labels)
            for row in shard.images
            if row["image_id"] in reader
        ]

    def _pending_image(self, row: Mapping[str, Any], labels: np.ndarray) -> PendingImage:
        """An image; its keys depend on the model, the prompt, the image's bytes and its labels."""
        common: dict[str, Any] = {
            "model": self.options.model,
            "files": dict(self.model_digests),
            "prompt": prompt.VERSION,
            "options": self.options.recorded(),
            "image": row["sha256"],
            "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
            "shape": labels.shape,
        }
        keys = [key_of(**common, region=region) for region in range(int(labels.max()) + 1)]
        return PendingImage(row["image_id"], Path(row["path"]), keys)

    def prepare_servers(self, regions: int) -> None:
        """Start the job's own server if there are no endpoints, and check all servers.

        Args:
            regions: largest number of regions in an image.

        Raises:
            InputError: a server does not start or cannot be used.
        """
        one_region_each = self.options.prompt == "regions"
        if regions <= self._checked_regions or (self._checked_regions and one_region_each):
            return
        if not self.endpoints:
            own = Server(
                self.options.server,
                str(self.options.model),
                self.log,
                restarts=self.options.server.max_restarts,
            )
            self.server = self._stack.enter_context(own)
            self.endpoints = (own.url,)
        asyncio.run(self._check_servers(regions))
        self._checked_regions = regions

    async def _check_servers(self, regions: int) -> None:
        retry_timeout = min(PROBE_RETRY_TIMEOUT_S, self.options.retry_timeout)
        async with self.client(retry_timeout) as client:
            for endpoint in self.endpoints:
                await check_server(client, endpoint, self.options, regions, own=self.server)

    def _cause(self, group: ExceptionGroup[Exception], subject: str) -> Exception:
        """The first error of concurrent tasks; for busy servers an error of the input."""
        error: Exception = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, BusyError):
            return InputError(
                f"{subject}: the servers must respond within {self.options.retry_timeout:g} s"
                f" (caption.retry_timeout), found {error}; finished responses are cached, run it"
                " again"
            )
        return error
