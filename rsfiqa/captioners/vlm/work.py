"""Concurrent requests about the images of a shard, with durable responses and progress."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tqdm import tqdm

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm.cache import CachedResponse, ResponseCache
from rsfiqa.captioners.vlm.client import Client
from rsfiqa.captioners.vlm.requests import PendingImage, Request, read_requests
from rsfiqa.captioners.vlm.responses import complete_image
from rsfiqa.captioners.vlm.server import Server
from rsfiqa.products import regions
from rsfiqa.runtime.shards import Shard

COMMIT_S = 0.02  # interval at which finished responses are written to the cache, then reported
WATCH_S = 1.0  # interval at which the job's own server is checked


class ShardWork:
    """Sends requests for all regions of a shard whose responses are not cached.

    Args:
        shard: the shard; images that cannot be read are added to its reasons.
        reader: label maps of the shard.
        cache: receives responses.
        options: options of the caption stage.
        slots: number of images in work at once.
        server: the job's own server, which is restarted after a crash; None with endpoints.
    """

    def __init__(
        self,
        shard: Shard,
        reader: regions.Reader,
        cache: ResponseCache,
        options: CaptionOptions,
        *,
        slots: int,
        server: Server | None,
    ) -> None:
        self.shard, self.reader, self.cache, self.options = shard, reader, cache, options
        self.server = server
        self._slots = asyncio.Semaphore(slots)  # one image for each request: no request slot idles
        self._finished: dict[str, CachedResponse] = {}  # not in the cache yet
        self._tokens: Counter[str] = Counter()

    async def run(
        self, client: Client, images: Sequence[PendingImage], cached: Mapping[str, CachedResponse]
    ) -> None:
        """Send the requests and write the responses to the cache.

        Args:
            client: client of the servers.
            images: all images of the shard.
            cached: cached responses by key.

        Raises:
            ExceptionGroup: the servers cannot be used; finished responses are in the cache.
        """
        # images with the same bytes and regions have the same keys: one that can be read is enough
        by_keys: dict[tuple[str, ...], list[PendingImage]] = {}
        for image in images:
            by_keys.setdefault(tuple(image.keys), []).append(image)
        missing = [equal for keys, equal in by_keys.items() if not cached.keys() >= set(keys)]
        total = sum(key not in cached for keys in by_keys for key in keys)
        name = f"caption {self.shard.name}"
        with tqdm(total=total, desc=name, unit="region", disable=None, mininterval=0.5) as bar:
            try:
                async with client, asyncio.TaskGroup() as group:
                    helpers = [group.create_task(self._commit_regularly(bar))]
                    if self.server is not None:
                        helpers.append(group.create_task(_restart_after_crashes(self.server)))
                    await self._complete_all(client, missing, cached)
                    for helper in helpers:
                        helper.cancel()
            finally:
                self._commit(bar)

    async def _complete_all(
        self,
        client: Client,
        images: Iterable[Sequence[PendingImage]],
        cached: Mapping[str, CachedResponse],
    ) -> None:
        async with asyncio.TaskGroup() as group:
            for equal in images:
                await self._slots.acquire()
                group.create_task(self._complete_image(client, equal, cached))

    async def _complete_image(
        self, client: Client, equal: Sequence[PendingImage], cached: Mapping[str, CachedResponse]
    ) -> None:
        """Send the requests about the first of several equal images that can be read."""
        try:
            for image in equal:
                with self.shard.record_failure(image.image_id):
                    requests = await asyncio.to_thread(self._read_requests, image, cached)
                    await complete_image(client, requests, self.options.attempts, self._finished)
                    break
        finally:
            self._slots.release()

    def _read_requests(
        self, image: PendingImage, cached: Mapping[str, CachedResponse]
    ) -> list[Request]:
        labels = self.reader[image.image_id].labels
        return read_requests(image, labels, self.options, cached)

    async def _commit_regularly(self, bar: tqdm) -> None:
        while True:
            await asyncio.sleep(COMMIT_S)
            if finished := dict(self._finished):
                # in a thread: writing to disk must not delay requests
                await asyncio.to_thread(self.cache.put, finished)
                self._report(bar, finished)

    def _commit(self, bar: tqdm) -> None:
        """Write the last responses to the cache and report them."""
        if finished := dict(self._finished):
            self.cache.put(finished)
            self._report(bar, finished)

    def _report(self, bar: tqdm, written: Mapping[str, CachedResponse]) -> None:
        """Show progress: only responses that are on the disk count."""
        for key in written:
            del self._finished[key]
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens"):
            self._tokens[name] += sum(getattr(one, name) for one in written.values())
        elapsed = max(bar.format_dict["elapsed"], 1e-9)
        tokens = self._tokens["prompt_tokens"] + self._tokens["completion_tokens"]
        cached = self._tokens["cached_tokens"] / max(self._tokens["prompt_tokens"], 1)
        bar.set_postfix({"tokens/s": f"{tokens / elapsed:.0f}", "cached": f"{cached:.0%}"}, False)
        bar.update(len(written))


async def _restart_after_crashes(server: Server) -> None:
    while True:
        await asyncio.sleep(WATCH_S)
        if not server.alive:
            try:
                await asyncio.to_thread(server.revive)
            except asyncio.CancelledError:
                server.stop()  # ends the thread
                raise
