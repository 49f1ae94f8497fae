"""The caption stage against a bare request loop, and the prefix cache of its requests.

Needs `make install-vllm`. A tiny Qwen2.5-VL with random weights is served on the CPU; the images
are photographs from installed packages.
"""

import asyncio
import json
import os
import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks.figures import FOLDER, parser, write
from benchmarks.vllm_cpu import PYTHON, make_ready, write_tiny_model
from rsfiqa.caption.options import CaptionOptions, ServerOptions
from rsfiqa.captioners.vlm.cache import ResponseCache, cache_path
from rsfiqa.captioners.vlm.captioner import VLMCaptioner
from rsfiqa.captioners.vlm.requests import Request, read_requests
from rsfiqa.captioners.vlm.server import Server
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import manifest, regions
from rsfiqa.products.paths import product_path
from rsfiqa.runtime import shards
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions

IMAGES, SHARD = 24, "00000"
CONCURRENCY = 16
PAIRS = 5  # of the stage and the bare loop
NAME = "tiny-qwen"


def server_options(folder: Path) -> ServerOptions:
    """A CPU server of the model in a folder."""
    return ServerOptions(
        weights=str(folder / "model"),
        python=str(PYTHON),
        dtype="float32",
        max_model_len=4096,
        arguments="--enforce-eager",
    )


def options(**changes: Any) -> CaptionOptions:
    """Of the stage, for pictures as small as the model takes them."""
    given = {"model": NAME, "concurrency": CONCURRENCY, "max_pixels": 50_176, "max_tokens": 400}
    return CaptionOptions(backend="vllm", **given | changes)


def shard_of(data: Path) -> shards.Shard:
    """The one shard of the bench."""
    table, _ = manifest.read(data / "manifest.parquet", SHARD)
    return shards.Shard(data, SHARD, "caption", table.to_pylist())


def make_data(folder: Path) -> Path:
    """A data set's folder: photographs, and their regions."""
    data = folder / "photographs"
    if not product_path(data, "segment", SHARD).is_file():
        shutil.rmtree(data, ignore_errors=True)
        prepare.run(
            folder / "demo", PrepareOptions(), shard_size=10**6, max_failed_fraction=0, seed=0
        )
        rows = manifest.read(folder / "demo/manifest.parquet")[0].to_pylist()
        chosen = rows[:: len(rows) // IMAGES][:IMAGES]
        (folder / "pictures").mkdir(exist_ok=True)
        for row in chosen:
            shutil.copy(row["path"], folder / "pictures" / Path(row["path"]).name)
        pictures = PrepareOptions(layout="folder", root=str(folder / "pictures"))
        prepare.run(data, pictures, shard_size=10**6, max_failed_fraction=0, seed=0)
        segment.run(data, SegmentOptions(), max_failed_fraction=0)
    return data


def forget(data: Path) -> None:
    """Take captions and answers away."""
    shutil.rmtree(data / "caption", ignore_errors=True)


def call(url: str, body: dict[str, Any] | None = None, method: str = "POST") -> bytes:
    """What a server says."""
    data = None if body is None else json.dumps(body).encode()
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, head, method=method)
    with urllib.request.urlopen(request) as answer:
        content: bytes = answer.read()
    return content


# ---- throughput and cache


def throughput(folder: Path, data: Path) -> dict[str, float]:
    """Requests a second of the stage and of a bare loop in turn; what the cache served."""
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"  # for clearing the cache between measurements
    with Server(server_options(folder), NAME, folder / "throughput.log") as own:
        given = options(endpoints=(own.url,))
        bodies = all_bodies(data, given)
        root = own.url.removesuffix("/v1")
        bare(own.url, bodies[:CONCURRENCY])  # both sides find a warm server
        ratios, ours, ceiling = [], [], []
        for pair in range(PAIRS):
            rates = {}
            sides: list[tuple[str, Callable[[], float]]] = [
                ("stage", lambda: stage(data, given)),
                ("bare", lambda: bare(own.url, bodies)),
            ]
            for name, side in sides if pair % 2 else reversed(sides):
                for cache in ("prefix", "mm", "encoder"):
                    call(f"{root}/reset_{cache}_cache")
                rates[name] = side()
            ratios.append(rates["stage"] / rates["bare"])
            ours.append(rates["stage"])
            ceiling.append(rates["bare"])
            print(f"pair {pair + 1}: {rates}", file=sys.stderr, flush=True)
        return {
            "ceiling_ratio": float(np.median(ratios)),
            "requests_per_s": float(np.median(ours)),
            "ceiling_requests_per_s": float(np.median(ceiling)),
            "pairs": PAIRS,
            **cache_figures(own.url, data, given),
        }


def all_bodies(data: Path, given: CaptionOptions) -> list[bytes]:
    """The stage's requests in its order, with the seed of a first attempt."""
    return [
        json.dumps(request.body | {"seed": 1}).encode()
        for requests in requests_of(data, given)
        for request in requests
    ]


def requests_of(data: Path, given: CaptionOptions) -> list[list[Request]]:
    """The stage's requests, image by image."""
    shard = shard_of(data)
    reader = regions.Reader(shard.path_of("segment"))
    captioner = VLMCaptioner(given, log=data / "unused.log")
    return [
        read_requests(image, reader[image.image_id].labels, given, cached=())
        for image in captioner.pending(shard, reader)
    ]


def stage(data: Path, given: CaptionOptions) -> float:
    """Requests a second of the stage, without its check of the servers."""
    forget(data)
    shard = shard_of(data)
    with VLMCaptioner(given, log=data / "unused.log") as captioner:
        captioner.prepare_servers(1)
        started = time.perf_counter()
        captioner.caption_shard(shard)
        spent = time.perf_counter() - started
    return shard.counts["attempts"] / spent


def bare(url: str, bodies: list[bytes]) -> float:
    """Requests a second of the least that can send them."""

    async def all_of_them() -> None:
        places = asyncio.Semaphore(CONCURRENCY)
        head = {"Content-Type": "application/json"}
        async with aiohttp.ClientSession(headers=head) as session:

            async def one(body: bytes) -> None:
                async with places, session.post(f"{url}/chat/completions", data=body) as answer:
                    await answer.read()

            await asyncio.gather(*(one(body) for body in bodies))

    started = time.perf_counter()
    asyncio.run(all_of_them())
    return len(bodies) / (time.perf_counter() - started)


def cache_figures(url: str, data: Path, given: CaptionOptions) -> dict[str, float]:
    """Fraction of later regions' prompts that came from the cache, and that could have."""
    root = url.removesuffix("/v1")
    metrics = call(f"{root}/metrics", method="GET").decode()
    block = int(re.search(r'block_size="(\d+)"', metrics).group(1))  # type: ignore[union-attr]
    closing = {"model": NAME, "prompt": "<|im_end|>\n<|im_start|>assistant\n"}
    tail = json.loads(call(f"{root}/tokenize", closing | {"add_special_tokens": False}))["count"]
    store = ResponseCache(cache_path(shard_of(data)))
    cached = possible = prompt_tokens = 0
    for requests in requests_of(data, given):
        known = store.get([request.keys[0] for request in requests])
        system, user = requests[0].body["messages"]
        shared = [system, user | {"content": user["content"][:-1]}]  # all but the region's picture
        body = {"model": NAME, "messages": shared, "max_tokens": 1}
        usage = json.loads(call(f"{url}/chat/completions", body))["usage"]
        prefix = usage["prompt_tokens"] - tail + 1  # and the token that begins the picture
        for request in requests[1:]:
            answer = known[request.keys[0]]
            if answer.attempts == 1:  # a repeated request finds its whole prompt
                cached += answer.cached_tokens
                prompt_tokens += answer.prompt_tokens
                possible += prefix // block * block
    store.close()
    return {
        "cached_of_possible": cached / possible,
        "cached_fraction": cached / prompt_tokens,
        "cache_block_tokens": block,
    }


def keys_of(data: Path) -> list[str]:
    """A key for each region."""
    return [q.keys[0] for requests in requests_of(data, options()) for q in requests]


def main(arguments: Sequence[str]) -> None:
    """Measure and write the figures."""
    parser(__name__, __doc__).parse_args(arguments)
    make_ready()
    folder = FOLDER / "caption"
    folder.mkdir(parents=True, exist_ok=True)
    write_tiny_model(folder / "model")
    data = make_data(folder)
    figures: dict[str, float] = {"images": IMAGES, "regions": len(keys_of(data))}
    write("bench-caption", figures | throughput(folder, data), "python -m benchmarks caption")
